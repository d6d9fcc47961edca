"""Precision over weighted samples, for all thresholds and classes at once: what a bootstrap asks thousands of times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from activity_bench.segments import Floats

if TYPE_CHECKING:
    from activity_bench.scoring.detection import DetectionProtocol, Ranked

Bools = NDArray[np.bool_]


class Curve:
    """Where the hits stand in their classes: what precision needs beside the weights of the samples.

    Weights are summed up between the places that are asked for alone, the hits and the beginnings of the classes.
    """

    def __init__(self, ranked: Ranked, rules: DetectionProtocol) -> None:
        truths, k = ranked.truths, len(ranked.label)
        self.truths, self.interpolated = truths, rules.interpolated
        self.shape = len(rules.thresholds), truths.classes
        # the last place is that of a video that the truth does not know
        self.sample = np.where(ranked.sample < 0, truths.samples, ranked.sample)
        self.every = np.empty(k)  # one room for the weights of all draws
        self.counted = None if ranked.counted.all() else ranked.counted
        self.row, place = np.nonzero(ranked.truth >= 0)  # by threshold, then class, then rank
        label = ranked.label[place]
        self.hit = self.sample[place]
        self.segment = self.row * truths.classes + label
        first = np.searchsorted(ranked.label, np.arange(truths.classes + 1))  # where each class begins
        stops = np.unique(np.concatenate([[0], first, place + 1]))
        self.stops = stops[stops < k]  # sums of what lies between them are taken
        self.place, self.first = np.searchsorted(stops, place + 1), np.searchsorted(stops, first)
        self.begin = self.first[label]
        places = np.arange(len(label))
        opens = np.diff(self.segment, prepend=-1) > 0
        self.opening = np.maximum.accumulate(np.where(opens, places, 0))  # the first hit of each hit's curve
        self.longest = int(np.bincount(self.segment, minlength=1).max())

    def precision(self, weights: Floats | None) -> tuple[Floats, Bools]:
        """AP of each threshold and class, nan where no truth has weight; who has a detection at all. (T, C), (C,)"""
        if weights is None:
            weights = np.ones(self.truths.samples)
        weight = np.append(weights, 1.0)  # (samples + 1,)
        every = weight.take(self.sample, out=self.every, mode="clip")  # (k,), without a look at each bound
        down = self._down(every)
        seen = self._seen(every, down)
        hit = weight[self.hit]
        right = np.cumsum(hit)
        right -= (right - hit)[self.opening]
        values = np.divide(right, seen, out=np.zeros_like(right), where=hit > 0)
        step = 1
        while self.interpolated and step < self.longest:  # the greatest from here to the curve's end, by doubling
            same = self.segment[:-step] == self.segment[step:]
            values[:-step] = np.maximum(values[:-step], np.where(same, values[step:], 0.0))
            step *= 2
        total = np.bincount(self.segment, values * hit, minlength=self.shape[0] * self.shape[1]).reshape(self.shape)
        positives = np.bincount(self.truths.label, weights[self.truths.sample], minlength=self.shape[1])
        ap = np.divide(total, positives, out=np.full(self.shape, np.nan), where=positives > 0)
        return ap, down[self.first[1:]] > down[self.first[:-1]]

    def _down(self, every: Floats) -> Floats:
        """The weight of all detections before each stop. (k,) -> (stops + 1,)"""
        if not len(self.stops):
            return np.zeros(1)
        return np.concatenate([[0.0], np.cumsum(np.add.reduceat(every, self.stops))])

    def _seen(self, every: Floats, down: Floats) -> Floats:
        """The weight of the counted detections of its class down to each hit. (hits,)"""
        if self.counted is None:
            return np.asarray(down[self.place] - down[self.begin])
        seen = np.empty(len(self.place))
        edges = np.searchsorted(self.row, np.arange(self.shape[0] + 1))
        for row, counted in enumerate(self.counted):
            of = slice(edges[row], edges[row + 1])
            down = self._down(every * counted)
            seen[of] = down[self.place[of]] - down[self.begin[of]]
        return seen

"""From class activations of one video to scored segments of classes, on whole rows, half-open; arrays, no loop over
rows, segments or classes.

What is found is `Found`: P segments, each with a class and a score. W-TALC (ECCV 2018) thresholds twice; ActionBytes
(CVPR 2020) adds proposals of its own and suppresses what overlaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from activity_bench.segments import Floats

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

PART = 8  # one row in so many counts for a class's confidence
WEIGHT = 0.7  # of the class's confidence in a segment's score, as W-TALC's released code has it


@dataclass(frozen=True)
class Found:
    """Segments of classes."""

    first: Ints  # (P,)
    last: Ints
    label: Ints
    score: Floats

    @property
    def columns(self) -> tuple[Ints, Ints, Ints, Floats]:
        """All there is of them."""
        return self.first, self.last, self.label, self.score

    def at(self, places: Ints) -> Found:
        """Some of them."""
        return Found(self.first[places], self.last[places], self.label[places], self.score[places])


def confidence(activations: Floats) -> Floats:
    """A class's confidence: the mean of its greatest activations, an eighth of the rows, rounded up. (T, C) -> (C,)"""
    rows = len(activations)
    k = -(-rows // PART)
    return np.asarray(np.partition(activations, rows - k, axis=0)[rows - k :].mean(axis=0))


def confident(confidences: Floats) -> Ints:
    """The first threshold: classes whose confidence is not less than the mean of all classes'. (C,) -> (kept,)

    The mean is rounded, so that of equal classes the greatest is kept, whatever the rounding.
    """
    return np.flatnonzero(confidences >= min(confidences.mean(), confidences.max()))


def runs(activations: Floats, classes: Ints) -> tuple[Ints, Ints, Ints]:
    """The second threshold: rows above the middle of a class's greatest and least activation; runs of them, by class.
    Where all rows are alike none is above. (T, C), (kept,) -> first, last, class: (P,)"""
    own = activations[:, classes]
    middle = own.max(axis=0) - (own.max(axis=0) - own.min(axis=0)) * 0.5  # (kept,)
    above = np.pad((own > middle).T.astype(np.int8), ((0, 0), (1, 1)))  # (kept, T + 2)
    change = np.diff(above, axis=1)  # (kept, T + 1)
    place, first = np.nonzero(change == 1)
    return first, np.nonzero(change == -1)[1], classes[place]


def proposals(bounds: Sequence[Ints], merge: Sequence[int], rows: int) -> tuple[Ints, Ints]:
    """P_AB of Eq. 2: for every m of `merge`, from each boundary to the m-th after it; each as it is and with one row
    more before it, after it, and on both sides, where the video has one. The union over several sets of boundaries;
    every proposal once, in order. (B,) each -> (P,)"""
    none = np.zeros(0, np.int64)
    first = np.concatenate([none, *(own[:-m] for own in bounds for m in merge)])
    last = np.concatenate([none, *(own[m:] for own in bounds for m in merge)])
    jittered = [(first - before, last + after) for before in (0, 1) for after in (0, 1)]
    first, last = (np.concatenate(column) for column in zip(*jittered, strict=True))
    cells = np.unique(np.maximum(first, 0) * (rows + 1) + np.minimum(last, rows))
    return cells // (rows + 1), cells % (rows + 1)


def peaks(activations: Floats, first: Ints, last: Ints) -> Floats:
    """The greatest activation of each class in each segment. (T, C), (P,) -> (P, C)"""
    if not len(first):
        return np.zeros((0, activations.shape[1]))
    padded = np.concatenate([activations, activations[-1:]])  # a segment may end with the last row
    return np.asarray(np.maximum.reduceat(padded, np.stack([first, last], axis=1).ravel(), axis=0)[::2])


def averages(activations: Floats, first: Ints, last: Ints) -> Floats:
    """The mean activation of each class in each segment. (T, C), (P,) -> (P, C)"""
    total = np.concatenate([np.zeros((1, activations.shape[1])), np.cumsum(activations, axis=0)])
    return np.asarray((total[last] - total[first]) / (last - first)[:, None])


def localised(activations: Floats, pool: tuple[Ints, Ints] | None, overlap: float) -> Found:
    """Segments of one video, best first. W-TALC's: runs above both thresholds, each scored with its greatest activation
    and 0.7 times its class's confidence. With a pool of proposals, each is one of every class above the first
    threshold, scored with its mean activation in place of the greatest; then what overlaps is suppressed. (T, C)"""
    sure = confidence(activations)
    classes = confident(sure)
    first, last, label = runs(activations, classes)
    value = peaks(activations, first, last)[np.arange(len(first)), label]
    if pool is not None:
        means = averages(activations, *pool)[:, classes]  # (P, kept)
        first, last = (
            np.concatenate([own, np.repeat(more, len(classes))]) for own, more in ((first, pool[0]), (last, pool[1]))
        )
        label = np.concatenate([label, np.tile(classes, len(pool[0]))])
        value = np.concatenate([value, means.ravel()])
    found = Found(first, last, label, value + WEIGHT * sure[label])
    return found.at(np.argsort(-found.score, kind="stable")) if pool is None else suppress(found, overlap)


def suppress(found: Found, threshold: float) -> Found:
    """Non-maximum suppression in each class: a segment goes where a better one that stays has IoU over the threshold
    with it. Best first; of equal scores the one that came first. (P,) -> (kept,)

    Exactly the greedy answer. A segment that reaches IoU t with another starts between the other's end less its length
    by t, and its end less t times its length, so each that stays looks at its neighbours alone.
    """
    if not len(found.first):
        return found
    span = int(found.last.max()) + 1
    first, last = found.first + found.label * 4 * span, found.last + found.label * 4 * span  # classes never meet
    order = np.lexsort((last, first))
    start, end = first[order].astype(np.float64), last[order].astype(np.float64)
    length = end - start
    low = np.searchsorted(start, np.maximum(end - length / threshold, start - span) - 1)
    high = np.searchsorted(start, end - threshold * length + 1)
    by_score = np.argsort(-found.score, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    gone, kept = np.zeros(len(order), np.bool_), []
    for item, at in zip(by_score.tolist(), place[by_score].tolist(), strict=True):
        if gone[at]:
            continue
        kept.append(item)
        near = slice(low[at], high[at])
        shared = np.minimum(end[near], end[at]) - np.maximum(start[near], start[at])
        gone[near] |= shared > threshold * (length[near] + length[at] - shared)
    return found.at(np.array(kept, np.int64))

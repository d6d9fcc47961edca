"""Scores of moments: one question, one answered segment.

The task: every sample of a split asks for one segment of its video. A method gives any number of segments with scores;
the one with the greatest score is its answer, ties going to the segment that starts, then ends, first, so that the
order of a file means nothing (but to `qvhighlights`, where the first of equals stands for them). The split is the
denominator: a sample without an answer has IoU 0.

Conventions, each written into its metric:

- `mIoU`: mean IoU over samples. No threshold, no tie.
- `IoU@R`: share of samples with IoU **>** R (IJCAI 2019, section 6.2: "the percentage of the samples, which IoU > R").
- `top1-mAP@t`: share of samples with IoU **>** t (ECCV 2018, section 5.2; strict in the released code). It is called a
  mean average precision in the paper; with one answer and one truth a sample it is this share. `top1-mAP` is its mean
  over t = .5, .6, .7, .8, .9.
- `R1@t` (QVHighlights): share of samples with IoU **>=** t. `mAP@t` there: the average precision of each sample's ten
  best segments, interpolated, and the mean over the samples.

Samples on a feature grid are compared on their rows, where IoU is a quotient of integers and a tie is decided exactly.
A sample with several targets counts the one that its answer fits best. Every score is a mean of one value a sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import fsum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from activity_bench.scoring import detection
from activity_bench.scoring.detection import DetectionProtocol, Detections, Truths
from activity_bench.scoring.intervals import LEVEL, of_means, of_shares
from activity_bench.segments import Floats, iou, on_grid
from activity_bench.types import Foreign

Ints = NDArray[np.int64]
Ties = Literal["stable", "official"]
VERSION = 1  # of the rules; a report states it, and scores of different versions are not ranked together
TENTHS = (0.5, 0.6, 0.7, 0.8, 0.9)
RANKED = 10  # segments of a sample, where a ranking is scored
TWENTIETHS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


@dataclass(frozen=True)
class Metric:
    """A number that is a mean of values, one a sample."""

    name: str
    thresholds: tuple[float, ...]  # () for a mean of the IoU itself
    summary: str | None  # the name of the mean over thresholds, where there is one
    definition: str  # with its tie rule
    strict: bool = True  # IoU > t, else IoU >= t
    of: Literal["answer", "ranking"] = "answer"  # a ranking's value is its average precision at each threshold

    def columns(self, ious: Floats, precision: Floats | None = None) -> dict[str, Floats]:
        """The values, one a sample, whose means the scores are. (n,), (n, thresholds) -> name: (n,)"""
        if not self.thresholds:
            return {self.name: ious}
        if self.of == "ranking":
            assert precision is not None
            values = {f"{self.name}@{t}": precision[:, place] for place, t in enumerate(self.thresholds)}
        else:
            reach = np.greater if self.strict else np.greater_equal
            values = {f"{self.name}@{t}": reach(ious, t).astype(np.float64) for t in self.thresholds}
        return values | ({self.summary: np.mean(list(values.values()), axis=0)} if self.summary else {})

    def scores(self, ious: Floats, precision: Floats | None = None) -> dict[str, float]:
        """The scores of n samples. Exactly rounded sums: the order of the samples means nothing."""
        values = self.columns(ious, precision)
        means = {name: _mean(column) for name, column in values.items() if name != self.summary}
        return means | ({self.summary: fsum(means.values()) / len(means)} if self.summary else {})

    @property
    def shares(self) -> frozenset[str]:
        """Those of its scores that are a share of the samples, so that their interval is exact."""
        return frozenset(f"{self.name}@{t}" for t in self.thresholds if self.of == "answer")


def _mean(column: Floats) -> float:
    hits = float(column.sum())  # zeros and ones: exact as it is, and fast
    return (hits if hits == np.count_nonzero(column) else fsum(column)) / len(column)


MIOU = Metric("mIoU", (), None, "mean IoU over all samples: no threshold, no tie")
IOU_AT = Metric("IoU", (0.3, 0.5, 0.7), None, "share of samples with IoU > R, strictly")
TOP1_MAP = Metric("top1-mAP", TENTHS, "top1-mAP", "share of samples with IoU > t, strictly; its mean over t")
R1_AT = Metric("R1", TWENTIETHS, None, "share of samples with IoU >= t", strict=False)
SAMPLE_MAP = Metric(
    "mAP", TWENTIETHS, "mAP", "mean over samples of the interpolated AP of their ten best segments, IoU >= t",
    strict=False, of="ranking",
)  # fmt: skip


@dataclass(frozen=True)
class MomentProtocol:
    """A named set of rules for moment manifests."""

    name: str
    metrics: tuple[Metric, ...]
    definition: str
    differences: str = "Nothing is known to differ."  # from what it is named after, with the size of their effect
    task: str = "moment"
    lengths: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # seconds: targets scored apart
    ties: Ties = "stable"  # equal scores: the earlier start, then the earlier end; official: as the file has them
    foreign: Foreign = field(default_factory=Foreign)

    @property
    def ranked(self) -> list[str]:
        """The names of the scores that do not follow from the IoU of one answer a sample."""
        names = [metric.columns(np.ones(1), np.ones((1, 10))) for metric in self.metrics if metric.of == "ranking"]
        return [name for columns in names for name in columns]

    @property
    def scores(self) -> list[str]:
        """The names of its scores, the one to rank by first."""
        return list(evaluate(np.ones(1), self, np.ones((1, len(TWENTIETHS)))))


MOMENTS = MomentProtocol(
    "moments", (MIOU, IOU_AT, TOP1_MAP), "best-scored segment; unanswered is 0; strict thresholds; grid rows"
)
RELEASED = MomentProtocol(
    "released", (TOP1_MAP,), "ECCV 2018 and AAAI 2020: share of samples with IoU > t, and its mean over .5 to .9",
    "Pairs are those of the manifest; the released code draws references anew, with replacement, so that 613 of 978 "
    "are asked. Rows are compared as whole numbers, as there.",
)  # fmt: skip
IBAL = MomentProtocol(
    "ibal", (MIOU, IOU_AT), "IJCAI 2019: mean IoU, and the share of samples with IoU > .3, .5, .7",
    "No evaluation code was released: these are the paper's words.",
)  # fmt: skip
QVHIGHLIGHTS = MomentProtocol(
    "qvhighlights", (SAMPLE_MAP, R1_AT), "moment retrieval: R1 and mAP at .5:.05:.95, IoU >= t, ten segments a sample",
    "The original takes the first segment of a line and the first ten, whatever their scores; here the best-scored, "
    "and of equals the first: the same where lines are sorted (its own sample file: equal in every printed digit; with "
    "ties=stable up to 0.23 of a percent off). It leaves out samples that the file does not answer; here they count 0. "
    "It rounds to two digits of a percentage; nothing is rounded here. Saliency is not scored.",
    foreign=Foreign(outside="keep", empty="keep"), ties="official",
    lengths={"short": (0, 10), "middle": (10, 30), "long": (30, 150)},
)  # fmt: skip


BY_SAMPLE = DetectionProtocol("moments as detections", TWENTIETHS, "a sample is a class", "")


def best_answers(
    sample: Ints, start: Floats, end: Floats, score: Floats, n: int, ties: Ties = "stable"
) -> tuple[Floats, Floats]:
    """The best-scored segment of each of n samples, nan where there is none. (k,) -> (n,), (n,)"""
    best_start, best_end = np.full(n, np.nan), np.full(n, np.nan)
    single = np.bincount(sample, minlength=1).max() <= 1
    order = slice(None) if single else _best_first(sample, start, end, score, ties)[::-1]  # the last written stays
    best_start[sample[order]], best_end[sample[order]] = start[order], end[order]
    return best_start, best_end


def _best_first(sample: Ints, start: Floats, end: Floats, score: Floats, ties: Ties) -> Ints:
    """Segments by sample, best first; equal scores by time, or as they stand where ties are `official`. (k,)"""
    return np.lexsort((-score, sample) if ties == "official" else (end, start, -score, sample))


def answer_iou(
    answer: tuple[Floats, Floats], step: Floats, target_sample: Ints, target_start: Floats, target_end: Floats
) -> Floats:
    """IoU of each sample's answer with the target it fits best; 0 where there is no answer. (n,)

    Answers are in seconds; targets are in rows where a sample has a grid (`step` is not nan), else in seconds.
    """
    on = ~np.isnan(step)
    start, end = (np.where(on, on_grid(time, np.where(on, step, 1.0)), time) for time in answer)
    one_each = len(target_sample) == len(step) and bool((np.diff(target_sample) == 1).all())
    if one_each:
        ious = iou(start, end, target_start, target_end)
    else:
        ious = np.zeros(len(step))
        np.maximum.at(ious, target_sample, iou(start[target_sample], end[target_sample], target_start, target_end))
    return np.nan_to_num(ious, nan=0.0)


def average_precision(
    answers: tuple[Ints, Floats, Floats, Floats], step: Floats, target_sample: Ints, target_start: Floats,
    target_end: Floats, ties: Ties = "stable",
) -> Floats:  # fmt: skip
    """The average precision of each sample's ten best segments, a sample being a class of its own. (n, thresholds)

    `answers`: sample, start and end in seconds, score; targets as in `answer_iou`.
    """
    sample, start, end, values = answers
    order = _best_first(sample, start, end, values, ties)
    place = np.arange(len(order)) - np.searchsorted(sample[order], sample[order])
    best = order[place < RANKED]
    sample, start, end = sample[best], start[best], end[best]
    score: Floats = -place[place < RANKED].astype(np.float64)  # the order is decided
    on = ~np.isnan(step[sample])
    start, end = (np.where(on, on_grid(t, np.where(on, step[sample], 1.0)), t) for t in (start, end))
    n, none = len(step), np.zeros(0)
    truths = Truths(
        n, n, target_sample, target_sample, target_start, target_end, none.astype(np.int64), none, none
    )  # fmt: skip
    ranked = detection.rank(truths, Detections(sample, sample, start, end, score), BY_SAMPLE)
    return detection.average_precision(ranked, BY_SAMPLE).T


def evaluate(ious: Floats, protocol: MomentProtocol = MOMENTS, precision: Floats | None = None) -> dict[str, float]:
    """Every score of the protocol, by name; `precision` is what `average_precision` gives, where it ranks."""
    scores: dict[str, float] = {}
    for metric in protocol.metrics:
        scores |= metric.scores(ious, precision)
    return scores


def columns(ious: Floats, protocol: MomentProtocol = MOMENTS, precision: Floats | None = None) -> dict[str, Floats]:
    """The values of each sample whose means the scores are, by name: for a paired comparison. name: (n,)"""
    values: dict[str, Floats] = {}
    for metric in protocol.metrics:
        values |= metric.columns(ious, precision)
    return values


def intervals(
    ious: Floats, seed: int = 0, protocol: MomentProtocol = MOMENTS, precision: Floats | None = None,
    clusters: Ints | None = None,
) -> dict[str, tuple[float, float]]:  # fmt: skip
    """95 % intervals: by Clopper and Pearson for a share of the samples, a seeded bootstrap for other means.

    `clusters` has a code for the source video of each sample. (n,)
    """
    values = columns(ious, protocol, precision)
    shares = [name for metric in protocol.metrics for name in metric.shares]
    means = [name for name in values if name not in shares]
    found: dict[str, tuple[float, float]] = {}
    for names in (shares, means):
        if names:
            column = np.stack([values[name] for name in names], axis=1)
            edges = of_shares(column, clusters) if names is shares else of_means(column, clusters, seed)
            edges = np.clip(edges, 0.0, 1.0)  # rounded deviations can pass a bound by 1e-14
            found |= {name: (float(low), float(high)) for name, (low, high) in zip(names, edges, strict=True)}
    return {name: found[name] for name in values}


def by_group(
    ious: Floats, codes: Ints, words: list[str], protocol: MomentProtocol = MOMENTS, precision: Floats | None = None
) -> dict[str, Mapping[str, Any]]:
    """The scores of each group of samples, by its word. Samples with code -1 are in no group, and no group is empty."""
    groups = {}
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(len(words) + 1))
    for code, word in enumerate(words):
        members = order[edges[code] : edges[code + 1]]
        if len(members):
            ranked = None if precision is None else precision[members]
            groups[word] = {"asked": len(members), "metrics": evaluate(ious[members], protocol, ranked)}
    return dict(sorted(groups.items()))


__all__ = ["LEVEL", "MOMENTS", "VERSION", "answer_iou", "best_answers", "by_group", "columns", "evaluate", "intervals"]

"""Scores of moments: one question, one answered segment.

The task: every sample of a split asks for one segment of its video. A method gives any number of segments with scores;
the one with the greatest score is its answer, ties going to the segment that starts, then ends, first, so that the
order of a file means nothing. The split is the denominator: a sample without an answer has IoU 0.

Conventions, each written into its metric:

- `mIoU`: mean IoU over samples. No threshold, no tie.
- `IoU@R`: share of samples with IoU **>** R (IJCAI 2019, section 6.2: "the percentage of the samples, which IoU > R").
- `top1-mAP@t`: share of samples with IoU **>** t (ECCV 2018, section 5.2; strict in the released code). It is called a
  mean average precision in the paper; with one answer and one truth a sample it is this share. `top1-mAP` is its mean
  over t = .5, .6, .7, .8, .9.

Samples on a feature grid are compared on their rows, where IoU is a quotient of integers and a tie is decided exactly.
A sample with several targets counts the one that its answer fits best.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activity_bench.scoring.intervals import LEVEL, bootstrap_means, exact_share
from activity_bench.segments import Floats, iou, on_grid

Ints = NDArray[np.int64]
VERSION = 1  # of the rules; a report states it, and scores of different versions are not ranked together


@dataclass(frozen=True)
class Metric:
    """A number from the samples' IoU: a mean of values, one a sample."""

    name: str
    thresholds: tuple[float, ...]  # () for a mean of the IoU itself
    summary: str | None  # the name of the mean over thresholds, where there is one
    definition: str  # with its tie rule

    def scores(self, ious: Floats) -> dict[str, float]:
        """The scores of n samples. Counts and an exactly rounded sum: the order of the samples means nothing."""
        if not self.thresholds:
            return {self.name: fsum(ious) / len(ious)}
        shares = {f"{self.name}@{t}": int(np.count_nonzero(ious > t)) / len(ious) for t in self.thresholds}
        return shares | ({self.summary: fsum(shares.values()) / len(shares)} if self.summary else {})

    def columns(self, ious: Floats) -> dict[str, Floats]:
        """The values, one a sample, whose means the scores are. (n,) -> name: (n,)"""
        if not self.thresholds:
            return {self.name: ious}
        hits = {f"{self.name}@{t}": (ious > t).astype(np.float64) for t in self.thresholds}
        return hits | ({self.summary: np.mean(list(hits.values()), axis=0)} if self.summary else {})

    @property
    def shares(self) -> frozenset[str]:
        """Those of its scores that are a share of the samples, so that their interval is exact."""
        return frozenset(f"{self.name}@{t}" for t in self.thresholds)


MIOU = Metric("mIoU", (), None, "mean IoU over all samples: no threshold, no tie")
IOU_AT = Metric("IoU", (0.3, 0.5, 0.7), None, "share of samples with IoU > R, strictly")
TOP1_MAP = Metric(
    "top1-mAP", (0.5, 0.6, 0.7, 0.8, 0.9), "top1-mAP", "share of samples with IoU > t, strictly; its mean over t"
)


@dataclass(frozen=True)
class MomentProtocol:
    """A named set of rules for moment manifests."""

    name: str
    task: str
    metrics: tuple[Metric, ...]
    definition: str

    @property
    def scores(self) -> list[str]:
        """The names of its scores, the one to rank by first."""
        return list(evaluate(np.ones(1), self))


MOMENTS = MomentProtocol(
    "moments", "moment", (MIOU, IOU_AT, TOP1_MAP), "best-scored segment; unanswered is 0; strict thresholds; grid rows"
)


def best_answers(sample: Ints, start: Floats, end: Floats, score: Floats, n: int) -> tuple[Floats, Floats]:
    """The best-scored segment of each of n samples, nan where there is none. (k,) -> (n,), (n,)"""
    best_start, best_end = np.full(n, np.nan), np.full(n, np.nan)
    single = np.bincount(sample, minlength=1).max() <= 1
    order = slice(None) if single else np.lexsort((-end, -start, score, sample))  # the last of a sample is its best
    best_start[sample[order]], best_end[sample[order]] = start[order], end[order]
    return best_start, best_end


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


def evaluate(ious: Floats, protocol: MomentProtocol = MOMENTS) -> dict[str, float]:
    """Every score of the protocol, by name."""
    return {name: score for metric in protocol.metrics for name, score in metric.scores(ious).items()}


def intervals(ious: Floats, seed: int = 0, protocol: MomentProtocol = MOMENTS) -> dict[str, tuple[float, float]]:
    """95 % intervals: exact (Clopper-Pearson) for a share of the samples, a seeded bootstrap for other means."""
    columns = {name: column for metric in protocol.metrics for name, column in metric.columns(ious).items()}
    shares = frozenset[str]().union(*(metric.shares for metric in protocol.metrics))
    means = [name for name in columns if name not in shares]
    drawn = bootstrap_means(np.stack([columns[name] for name in means], axis=1), seed) if means else np.zeros((0, 2))
    found = {name: (float(low), float(high)) for name, (low, high) in zip(means, drawn, strict=True)}
    for name in shares:
        found[name] = exact_share(int(columns[name].sum()), len(ious))
    return {name: found[name] for name in columns}


def by_group(
    ious: Floats, codes: Ints, words: list[str], protocol: MomentProtocol = MOMENTS
) -> dict[str, Mapping[str, Any]]:
    """The scores of each group of samples, by its word. Samples with code -1 are in no group."""
    groups = {}
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(len(words) + 1))
    for code, word in enumerate(words):
        members = ious[order[edges[code] : edges[code + 1]]]
        groups[word] = {"asked": len(members), "metrics": evaluate(members, protocol)}
    return dict(sorted(groups.items()))


__all__ = ["LEVEL", "MOMENTS", "VERSION", "answer_iou", "best_answers", "by_group", "evaluate", "intervals"]

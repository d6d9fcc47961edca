"""The answers of a method as a page shows them: by sample, best first, with what each sample is worth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from activity_bench.data.instances import Instances
from activity_bench.data.predictions import Answers
from activity_bench.scoring import detection
from activity_bench.scoring.detection import DetectionProtocol, Ranked
from activity_bench.scoring.moments import MomentProtocol
from activity_bench.workflow.judge import Verdict, ranked_by


@dataclass(frozen=True)
class Shown:
    """A method whose answers are at hand."""

    name: str
    answers: Answers
    verdict: Verdict


@dataclass(frozen=True)
class Answered:
    """A method's segments, by sample, best first; `hit` says of a detection that it found a target."""

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    score: NDArray[np.float64]
    label: NDArray[np.int64] | None
    hit: NDArray[np.bool_] | None
    edges: NDArray[np.int64]  # (samples + 1,) where each sample's begin
    values: list[float | None]  # (samples,) the IoU of the answer, or the AP of the video


def of_moments(method: Shown, n: int, rules: MomentProtocol) -> Answered:
    """Segments of n samples in the protocol's order, and the IoU of each answer."""
    found = method.answers
    by_time = () if rules.ties == "official" else (found.end, found.start)
    order = np.lexsort((*by_time, -found.score, found.sample))
    edges = np.searchsorted(found.sample[order], np.arange(n + 1))
    return Answered(found.start[order], found.end[order], found.score[order], None, None, edges,
                     method.verdict.rows["iou"].tolist())  # fmt: skip


def threshold(rules: DetectionProtocol) -> int:
    """The place of the threshold nearest to 0.5."""
    return int(np.argmin(np.abs(np.asarray(rules.thresholds) - 0.5)))


def of_detections(method: Shown, truth: Instances, rules: DetectionProtocol) -> Answered:
    """The detections that the protocol looks at, and the AP of each video."""
    ranked = ranked_by(truth, method.answers, rules)
    at = threshold(rules)
    order = np.lexsort((ranked.start, -ranked.score, ranked.sample))
    order = order[ranked.sample[order] >= 0]
    edges = np.searchsorted(ranked.sample[order], np.arange(len(truth.ids) + 1))
    return Answered(ranked.start[order], ranked.end[order], ranked.score[order], ranked.label[order],
                     ranked.truth[at][order] >= 0, edges, _own_precision(ranked, rules, at))  # fmt: skip


def _own_precision(ranked: Ranked, rules: DetectionProtocol, at: int) -> list[float | None]:
    """Of each video by itself, the mean AP over the classes that it has: a class of a video is taken for a class."""
    truths = ranked.truths
    groups, code = np.unique(truths.sample * truths.classes + truths.label, return_inverse=True)
    group = ranked.sample * truths.classes + ranked.label
    place = np.minimum(np.searchsorted(groups, group), len(groups) - 1)
    keep = np.flatnonzero((groups[place] == group) & (ranked.sample >= 0))
    keep = keep[np.argsort(place[keep], kind="stable")]  # best first stays so inside each
    own = Ranked(
        ranked.sample[keep], place[keep], ranked.start[keep], ranked.end[keep], ranked.score[keep],
        ranked.truth[at : at + 1, keep], np.broadcast_to(ranked.counted, ranked.truth.shape)[at : at + 1, keep],
        replace(truths, classes=len(groups), label=code),
    )  # fmt: skip
    precision = detection.average_precision(own, replace(rules, thresholds=(rules.thresholds[at],)))[0]
    sample = groups // truths.classes
    total, count = np.bincount(sample, precision, truths.samples), np.bincount(sample, minlength=truths.samples)
    return [float(t / c) if c else None for t, c in zip(total, count, strict=True)]

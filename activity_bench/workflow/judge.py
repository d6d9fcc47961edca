"""What answers are worth under a protocol: the scores of a split, whole and by part, and the rows behind them.

Moments and detections differ in what is computed and agree in what comes out, so that a report has one form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activity_bench.data.instances import Instances
from activity_bench.data.predictions import Answers
from activity_bench.data.truth import Moments
from activity_bench.errors import InputError
from activity_bench.scoring import detection, diagnosis, moments
from activity_bench.scoring.detection import DetectionProtocol, Detections, Ranked, Truths
from activity_bench.scoring.moments import MomentProtocol
from activity_bench.segments import Floats

Ints = NDArray[np.int64]
Truth = Moments | Instances
Protocol = MomentProtocol | DetectionProtocol


@dataclass(frozen=True)
class Wanted:
    """What a report shall hold beside the scores."""

    intervals: bool
    diagnosis: bool
    rows: bool
    seed: int


@dataclass(frozen=True)
class Verdict:
    """The part of a report that the answers decide."""

    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    by_part: Mapping[str, Any]
    by_label: Mapping[str, Any]
    diagnosis: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def judge(truth: Truth, answers: Answers, rules: Protocol, wanted: Wanted) -> Verdict:
    """Scores by the protocol's rules."""
    if isinstance(truth, Moments):
        assert isinstance(rules, MomentProtocol)
        return _moments(truth, answers, rules, wanted)
    assert isinstance(rules, DetectionProtocol)
    return _detections(truth, answers, rules, wanted)


def _moments(truth: Moments, answers: Answers, rules: MomentProtocol, wanted: Wanted) -> Verdict:
    targets = truth.target_sample, truth.target_start, truth.target_end
    ious, precision = _values(truth.step, answers, targets, rules)
    values = moments.columns(ious, rules, precision)
    video = _codes(truth.videos) if wanted.intervals or wanted.rows else None
    found: dict[str, Any] = {}
    if wanted.diagnosis:
        found = diagnosis.of_moments(ious, _kinds(truth), rules, precision) | _by_length(truth, answers, rules)
    return Verdict(
        moments.evaluate(ious, rules, precision),
        moments.intervals(ious, wanted.seed, rules, precision, video) if wanted.intervals else {},
        moments.by_group(ious, truth.part.codes, truth.part.words, rules, precision),
        moments.by_group(ious, truth.label.codes, truth.label.words, rules, precision),
        found,
        {} if video is None else {"iou": ious, "video": video, **{name: values[name] for name in rules.ranked}},
    )


def _values(
    step: Floats, answers: Answers, targets: tuple[Ints, Floats, Floats], rules: MomentProtocol
) -> tuple[Floats, Floats | None]:
    """The IoU of each sample's answer, and the average precision of its ranking where the protocol looks at it."""
    answered = answers.sample, answers.start, answers.end, answers.score
    best = moments.best_answers(*answered, len(step), rules.ties)
    ious = moments.answer_iou(best, step, *targets)
    return ious, moments.average_precision(answered, step, *targets, rules.ties) if rules.ranked else None


def _by_length(truth: Moments, answers: Answers, rules: MomentProtocol) -> dict[str, Any]:
    """The scores on the targets of each of the protocol's own lengths, as if the samples had no others."""
    start, end = _seconds(truth)
    found = {}
    for name, (low, high) in rules.lengths.items():
        of = np.flatnonzero((end - start > low) & (end - start <= high))
        targets = truth.target_sample[of], truth.target_start[of], truth.target_end[of]
        ious, precision = _values(truth.step, answers, targets, rules)
        asked = np.unique(targets[0])
        if len(asked):
            ranked = None if precision is None else precision[asked]
            found[name] = {"asked": len(asked), "metrics": moments.evaluate(ious[asked], rules, ranked)}
    return {"by_length": found} if rules.lengths else {}


def _codes(words: list[str]) -> Ints:
    """A number for each word, the same for equal ones."""
    codes = {word: code for code, word in enumerate(dict.fromkeys(words))}
    return np.fromiter(map(codes.__getitem__, words), np.int64, len(words))


def _seconds(truth: Moments) -> tuple[Floats, Floats]:
    """Where the targets start and end, in seconds. (m,), (m,)"""
    step = truth.step[truth.target_sample]
    scale = np.where(np.isnan(step), 1.0, step)
    return truth.target_start * scale, truth.target_end * scale


def _kinds(truth: Moments) -> dict[str, Any]:
    """The kinds of samples by their longest target, all in seconds."""
    start, end = _seconds(truth)
    order = np.lexsort((end - start, truth.target_sample))  # the last of a sample is its longest
    last = np.searchsorted(truth.target_sample[order], np.arange(len(truth.ids)), side="right") - 1
    longest = order[last]
    return diagnosis.target_kinds(
        (end - start)[longest], start[longest], truth.window_start, truth.window_end
    )  # fmt: skip


def _detections(truth: Instances, answers: Answers, rules: DetectionProtocol, wanted: Wanted) -> Verdict:
    ranked = ranked_by(truth, answers, rules)
    if not len(ranked.truths.label):
        raise InputError(f"no target is left that {rules.name} counts: it drops short ones", field="targets",
                         found=f"0 of {len(truth.target_label)}")  # fmt: skip
    return Verdict(
        detection.evaluate(ranked, rules),
        detection.intervals(ranked, rules, wanted.seed) if wanted.intervals else {},
        _by_part(truth, ranked, rules),
        _by_label(truth, ranked, rules),
        diagnosis.of_detection(ranked, rules, truth.window_start, truth.window_end) if wanted.diagnosis else {},
        _rows(ranked) if wanted.rows else {},
    )


def ranked_by(truth: Instances, answers: Answers, rules: DetectionProtocol) -> Ranked:
    """The detections that a protocol looks at, best first, beside the instances that it counts."""
    assert answers.label is not None
    asked = Truths(
        len(truth.ids), len(truth.labels), truth.target_sample, truth.target_label, truth.target_start,
        truth.target_end, truth.ignore_sample, truth.ignore_start, truth.ignore_end,
    )  # fmt: skip
    found = Detections(answers.sample, answers.label, answers.start, answers.end, answers.score)
    return detection.rank(asked, found, rules)


def _by_part(truth: Instances, ranked: Ranked, rules: DetectionProtocol) -> dict[str, Any]:
    parts = {}
    for code, word in enumerate(truth.part.words):
        members = truth.part.codes == code
        if not members[ranked.truths.sample].any():
            continue
        scores = detection.evaluate(ranked, rules, members.astype(np.float64))
        parts[word] = {"asked": int(members.sum()), "metrics": scores}
    return dict(sorted(parts.items()))


def _by_label(truth: Instances, ranked: Ranked, rules: DetectionProtocol) -> dict[str, Any]:
    return {truth.labels[code]: found for code, found in detection.by_label(ranked, rules).items()}


def _rows(ranked: Ranked) -> dict[str, NDArray[Any]]:
    truths = ranked.truths
    return {
        "sample": ranked.sample, "label": ranked.label, "truth": ranked.truth, "counted": ranked.counted,
        "truth_sample": truths.sample, "truth_label": truths.label,
        "samples": np.array(truths.samples), "classes": np.array(truths.classes),
    }  # fmt: skip


def suspicions(answers: Answers, metrics: Mapping[str, float]) -> list[str]:
    """What is legal and looks wrong all the same."""
    found = []
    several = np.bincount(answers.sample[answers.sample >= 0], minlength=1).max(initial=0) > 1
    if several and answers.score.min() == answers.score.max():
        found.append("every segment has the same score, so that their order is an accident of their times")
    with np.errstate(over="ignore"):
        lengths: Floats = answers.end - answers.start
    if len(lengths) > 1 and np.median(lengths) < 0.05:
        found.append("half of the segments are under 0.05 s: times are in seconds here, not minutes or shares")
    thresholds = [
        value for name, value in metrics.items() if "@" in name and name.partition("@")[0] in ("mAP", "top1-mAP", "R1")
    ]
    if len(thresholds) > 2 and 0 < min(thresholds) == max(thresholds) < 1:
        found.append("the score is the same at every threshold, which real answers never give: look at their times")
    return found

"""The scores of moments a second time: plain Python, exact fractions, written from the papers' words alone.

- IJCAI 2019, section 6.2: "mIoU" is the mean of the samples' IoU; "IoU@R" is "the percentage of the samples, which
  IoU > R".
- ECCV 2018, section 5.2, and its released code: a sample is right where the IoU of its answer is greater than t; the
  mean runs over t = 0.5, 0.6, 0.7, 0.8, 0.9.
- The split is the denominator: a sample without an answer has IoU 0.
- The segment with the greatest score answers; of equal ones the first to start, then the first to end.
- On a grid of rows, a segment is the rows that its seconds state, where these are rows; else a fraction of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

IOU_AT = ("0.3", "0.5", "0.7")
MAP_AT = ("0.5", "0.6", "0.7", "0.8", "0.9")
NEAR = Fraction(1, 10_000)  # of a row: a time that is nearer to a row boundary states that boundary

Pair = tuple[Fraction, Fraction]


@dataclass(frozen=True)
class Question:
    """Targets are in rows of `step` seconds where there is a step, else in seconds."""

    targets: Sequence[tuple[float, float]]
    step: float | None = None


def iou(a: Pair, b: Pair) -> Fraction:
    """What both share, of what either has."""
    shared = min(a[1], b[1]) - max(a[0], b[0])
    if shared <= 0:
        return Fraction(0)
    return shared / (max(a[1], b[1]) - min(a[0], b[0]))  # they overlap, so the union has no gap


def rows(seconds: float, step: float) -> Fraction:
    """A time in rows."""
    position = Fraction(seconds) / Fraction(step)
    return Fraction(round(position)) if abs(position - round(position)) <= NEAR else position


def best_iou(question: Question, segments: Sequence[tuple[float, float, float]]) -> Fraction:
    """The IoU of the answer with the target that it fits best."""
    if not segments:
        return Fraction(0)
    start, end, _ = sorted(segments, key=lambda segment: (-segment[2], segment[0], segment[1]))[0]
    answer = (Fraction(start), Fraction(end))
    if question.step is not None:
        answer = (rows(start, question.step), rows(end, question.step))
    return max(iou(answer, (Fraction(a), Fraction(b))) for a, b in question.targets)


def scores(
    questions: Sequence[Question], answers: Sequence[Sequence[tuple[float, float, float]]]
) -> dict[str, Fraction]:
    """Every score by name; an answer without segments is none."""
    ious = [best_iou(question, segments) for question, segments in zip(questions, answers, strict=True)]
    n = len(ious)

    def share(t: str) -> Fraction:
        return Fraction(sum(value > Fraction(t) for value in ious), n)

    return (
        {"mIoU": sum(ious, Fraction(0)) / n}
        | {f"IoU@{t}": share(t) for t in IOU_AT}
        | {f"top1-mAP@{t}": share(t) for t in MAP_AT}
        | {"top1-mAP": sum(map(share, MAP_AT), Fraction(0)) / len(MAP_AT)}
    )


def ranking(question: Question, segments: Sequence[tuple[float, float, float]], t: str) -> Fraction:
    """The average precision of a sample's ten best segments, as moment retrieval has it: of equal scores the first.

    Each segment takes the free target that it fits best, if IoU >= t, else the next best. Precision at a hit is the
    greatest from there on; a target that is not found has 0.
    """
    best = sorted(segments, key=lambda segment: -segment[2])[:10]
    free = [(Fraction(a), Fraction(b)) for a, b in question.targets]
    total, hits = len(free), []
    for start, end, _ in best:
        pair = (Fraction(start), Fraction(end))
        if question.step is not None:
            pair = (rows(start, question.step), rows(end, question.step))
        fits = sorted(free, key=lambda target: iou(pair, target), reverse=True)
        hit = bool(fits) and iou(pair, fits[0]) >= Fraction(t)
        if hit:
            free.remove(fits[0])
        hits.append(hit)
    precision = [Fraction(sum(hits[: n + 1]), n + 1) for n in range(len(hits))]
    return sum((max(precision[n:]) for n, hit in enumerate(hits) if hit), Fraction(0)) / total


def first(question: Question, segments: Sequence[tuple[float, float, float]]) -> Fraction:
    """The IoU of the best-scored segment, of equals the first, with the target that it fits best."""
    if not segments:
        return Fraction(0)
    start, end, _ = max(segments, key=lambda segment: segment[2])
    return best_iou(question, [(start, end, 0.0)])

"""The scores of detections a second time: plain Python, exact fractions, one function a protocol, from written rules.

Every evaluator here ranks the detections of a class by score (equal scores: by video, then by place in the file), says
which of them are hits, and takes a mean of precisions over the class's truths. mAP is the mean over classes with truth.

- ActivityNet devkit, AutoLoc: a detection takes the free truth of its video that it fits best, if IoU >= t, else it is
  wrong; precision is the greatest at this recall or a higher one.
- OpenTAD: the same; before, a truth without length goes, and one within 1 ms (both ends) of an earlier one that stays.
- ActionFormer: the same; a truth shorter than 1 ms goes.
- W-TALC: times are rows, 25 for 16 seconds, rounded; a detection under 2 rows goes, and one that shares a row with an
  ambiguous stretch, and one in a video without truth; a detection takes the first free truth with IoU >= t; precision
  as it stands at the hits; if a class is left without a detection, mAP is 0.
- THUMOS14 evaluation kit: each truth in order takes its best free detection, if IoU > t; a detection that hits nothing
  and touches an ambiguous stretch is out of the ranking; precision as it stands at the hits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

Segment = tuple[Fraction, Fraction]


@dataclass(frozen=True)
class Case:
    """Truths (video, class, start, end), ambiguous stretches (video, start, end), detections (…, score)."""

    truths: Sequence[tuple[int, int, float, float]]
    ignore: Sequence[tuple[int, float, float]]
    detections: Sequence[tuple[int, int, float, float, float]]


Table = dict[int, list[Fraction]]  # class -> AP at each threshold
Match = Callable[[list[Segment], list[Segment], Fraction], list[bool]]


def exact(a: float, b: float) -> Segment:
    return Fraction(a), Fraction(b)


def rows(a: float, b: float) -> Segment:
    return Fraction(round(Fraction(a) * 25 / 16)), Fraction(round(Fraction(b) * 25 / 16))


def iou(a: Segment, b: Segment) -> Fraction:
    shared = min(a[1], b[1]) - max(a[0], b[0])
    return shared / (max(a[1], b[1]) - min(a[0], b[0])) if shared > 0 else Fraction(0)


def takes_best(found: list[Segment], true: list[Segment], t: Fraction) -> list[bool]:
    free, hits = list(range(len(true))), []
    for segment in found:
        best = max(free, key=lambda j: (iou(segment, true[j]), -j), default=None)
        hit = best is not None and iou(segment, true[best]) >= t
        hits.append(hit)
        if hit:
            free.remove(best)
    return hits


def takes_first(found: list[Segment], true: list[Segment], t: Fraction) -> list[bool]:
    free, hits = list(range(len(true))), []
    for segment in found:
        reached = [j for j in free if iou(segment, true[j]) >= t]
        hits.append(bool(reached))
        if reached:
            free.remove(reached[0])
    return hits


def truths_take(found: list[Segment], true: list[Segment], t: Fraction) -> list[bool]:
    hits = [False] * len(found)
    for segment in true:
        free = [i for i, hit in enumerate(hits) if not hit]
        best = max(free, key=lambda i: (iou(segment, found[i]), -i), default=None)
        if best is not None and iou(segment, found[best]) > t:
            hits[best] = True
    return hits


def curve(hits: Sequence[bool], positives: int, interpolated: bool) -> Fraction:
    """Average precision of a ranking."""
    precisions, right = [], 0
    for place, hit in enumerate(hits, 1):
        right += hit
        precisions.append(Fraction(right, place))
    at = [max(precisions[i:]) if interpolated else precisions[i] for i, hit in enumerate(hits) if hit]
    return sum(at, Fraction(0)) / positives


def table(
    case: Case, thresholds: Sequence[str], match: Match, interpolated: bool = True,
    unit: Callable[[float, float], Segment] = exact, excuse: bool = False,
) -> Table:  # fmt: skip
    """AP of each class with a truth."""
    found: Table = {}
    for label in sorted({truth[1] for truth in case.truths}):
        ranking = [d for d in case.detections if d[1] == label]
        ranking.sort(key=lambda d: (-d[4], d[0]))
        positives = sum(truth[1] == label for truth in case.truths)
        found[label] = []
        for t in thresholds:
            hit: dict[int, bool] = {}
            for video in {d[0] for d in ranking}:
                places = [i for i, d in enumerate(ranking) if d[0] == video]
                true = [unit(a, b) for v, c, a, b in case.truths if (v, c) == (video, label)]
                hits = match([unit(*ranking[i][2:4]) for i in places], true, Fraction(t))
                hit |= dict(zip(places, hits, strict=True))
            counts = [i for i, d in enumerate(ranking) if hit[i] or not (excuse and touches(case, d, unit))]
            found[label].append(curve([hit[i] for i in counts], positives, interpolated))
    return found


def touches(case: Case, d: tuple[int, int, float, float, float], unit: Callable[[float, float], Segment]) -> bool:
    a, b = unit(d[2], d[3])
    spans = [unit(*span) for video, *span in case.ignore if video == d[0]]
    return any(min(b, end) > max(a, start) for start, end in spans)


def without_repeats(case: Case, long_enough: Callable[[float], bool]) -> Case:
    kept: list[tuple[int, int, float, float]] = []
    for v, c, a, b in case.truths:
        near = [k for k in kept if k[:2] == (v, c) and abs(a - k[2]) <= 1e-3 and abs(b - k[3]) <= 1e-3]
        if long_enough(b - a) and not near:
            kept.append((v, c, a, b))
    return replace(case, truths=kept)


TWENTIETHS = ("0.5", "0.55", "0.6", "0.65", "0.7", "0.75", "0.8", "0.85", "0.9", "0.95")
TO_HALF = ("0.1", "0.2", "0.3", "0.4", "0.5")


def activitynet(case: Case) -> Table:
    return table(case, TWENTIETHS, takes_best)


def opentad(case: Case) -> Table:
    return table(without_repeats(case, lambda length: length > 0), TWENTIETHS, takes_best)


def actionformer(case: Case) -> Table:
    kept = without_repeats(case, lambda length: length >= 1e-3)
    return table(kept, ("0.3", "0.4", "0.5", "0.6", "0.7"), takes_best)


def wtalc_kept(case: Case) -> Case:
    with_truth = {truth[0] for truth in case.truths}
    kept = [d for d in case.detections if d[0] in with_truth and not touches(case, d, rows)]
    return replace(case, detections=[d for d in kept if rows(*d[2:4])[1] - rows(*d[2:4])[0] >= 2])


def wtalc(case: Case) -> Table:
    return table(wtalc_kept(case), TO_HALF, takes_first, interpolated=False, unit=rows)


def thumos_evalkit(case: Case) -> Table:
    return table(case, TO_HALF, truths_take, interpolated=False, excuse=True)


PROTOCOLS: dict[str, Callable[[Case], Table]] = {
    "activitynet": activitynet, "opentad": opentad, "actionformer": actionformer, "wtalc": wtalc,
    "thumos-evalkit": thumos_evalkit, "autoloc": activitynet,
}  # fmt: skip


def scores(case: Case, protocol: str) -> list[Fraction]:
    """mAP at each threshold."""
    found = PROTOCOLS[protocol](case)
    answered = {d[1] for d in wtalc_kept(case).detections}
    if protocol == "wtalc" and not set(found) <= answered:
        return [Fraction(0)] * len(TO_HALF)
    return [sum(column, Fraction(0)) / len(found) for column in zip(*found.values(), strict=True)]

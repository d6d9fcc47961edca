"""Scores of detections: any number of segments a video, each with a class and a score, against all true segments.

The task: find every activity of every class. Detections of a class are ranked by score over all videos together; each
true segment (of the same video and class) can be found once; a class's average precision (AP) is the mean, over its
true segments, of the precision at which they are found, 0 where they are not. mAP is the mean over classes that have a
true segment.

Evaluators in the field agree on this and on little else, so a protocol is a row of rules, each a field here:

- when a detection reaches a truth: `IoU >= t`, or `>` where it is strict; IoU in seconds, or in rows of a grid;
- who chooses: `best`, detections by rank, each the free truth that it fits best, else the next best that it reaches;
  `first`, each the first free truth in order that it reaches; `truth`, truths in order, each its best free detection;
- precision as it stands at each hit, or interpolated: the greatest at this recall or a higher one;
- what becomes of duplicate or very short truths, of detections that touch a stretch marked ambiguous (counted as they
  stand; dropped; or excused, if they hit nothing), of classes without a detection, of videos without a truth;
- equal scores: `stable` orders them by video, as the manifest does, then as the video's answers stand in the file, so
  that the order of a file's lines means nothing; `official` is NumPy's own sort, turned round, as the ActivityNet
  devkit has it: unspecified there, and different on other processors.

Only pairs of one video and class are ever made, and only those that reach the least threshold are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from activity_bench.scoring.curve import Curve
from activity_bench.scoring.intervals import DRAWS, LEVEL
from activity_bench.scoring.matching import greedy, pairs, repeats
from activity_bench.segments import Floats, iou
from activity_bench.types import Foreign

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Truths:
    """What is true of n samples (videos) and c classes; parallel arrays, in order of the manifest."""

    samples: int
    classes: int
    sample: Ints  # (m,)
    label: Ints
    start: Floats
    end: Floats
    ignore_sample: Ints  # (i,) stretches that are neither activity nor none
    ignore_start: Floats
    ignore_end: Floats


@dataclass(frozen=True)
class Detections:
    """k answers; sample -1 is a video that the truth does not know: it is counted, and hits nothing."""

    sample: Ints
    label: Ints
    start: Floats
    end: Floats
    score: Floats


@dataclass(frozen=True)
class DetectionProtocol:
    """A named row of rules. Rows are rules alone: no two protocols have code of their own."""

    name: str
    thresholds: tuple[float, ...]
    definition: str
    differences: str  # from the original of that name, with the size of their effect
    strict: bool = False  # IoU > t, else IoU >= t
    matching: Literal["best", "first", "truth"] = "best"
    interpolated: bool = True
    ties: Literal["stable", "official"] = "stable"
    duplicates: float | None = None  # seconds: a truth this near to an earlier one of its video and class is dropped
    shortest_truth: float | None = None  # seconds: a truth no longer than this is dropped
    ignore: Literal["count", "drop", "excuse"] = "count"
    grid: float | None = None  # rows a second, where IoU is that of whole rows
    shortest: float | None = None  # a detection of fewer rows is dropped
    absent: Literal["zero", "all zero"] = "zero"  # a class with a truth and no detection: its AP, or every mAP
    empty_videos: Literal["count", "drop"] = "count"  # detections in videos without a truth
    foreign: Foreign = field(default_factory=Foreign)
    task: str = "detection"

    @property
    def scores(self) -> list[str]:
        """The names of its scores, the one to rank by first."""
        return ["mAP", *(f"mAP@{t}" for t in self.thresholds)]


@dataclass(frozen=True)
class Ranked:
    """Detections class by class, best first, and what each hit: all that precision is computed from."""

    sample: Ints  # (k,)
    label: Ints
    start: Floats
    end: Floats
    score: Floats
    truth: NDArray[np.int32]  # (T, k) which truth it hit at each threshold, -1 none
    counted: Bools  # (T, k) False where it is excused
    truths: Truths  # those that count


@np.errstate(over="ignore", invalid="ignore")  # as in `iou`
def rank(truths: Truths, detections: Detections, rules: DetectionProtocol) -> Ranked:
    """Detections in order, matched with the truths at every threshold."""
    truths = _counting(truths, rules)
    keep = _kept(truths, detections, rules)
    found = detections if keep.all() else _take(detections, np.flatnonzero(keep))
    found = _take(found, _best_first(found, rules))
    # by class first, as the ranking is; a video that is not known has a place of its own, where no truth is
    group, of = (x.label.astype(np.int64) * (truths.samples + 1) + x.sample + 1 for x in (found, truths))
    span, true_span = _span(found.start, found.end, rules), _span(truths.start, truths.end, rules)
    nothing = np.zeros(0, np.int64)
    kept = [(nothing, nothing, nothing.astype(np.float64))]
    for i, j in pairs(group, of):
        fits = _fit((span[0][i], span[1][i]), (true_span[0][j], true_span[1][j]), rules)
        near = np.flatnonzero(_reaches(fits, min(rules.thresholds), rules))
        kept.append((i[near], j[near], fits[near]))
    i, j, fits = (np.concatenate(column) for column in zip(*kept, strict=True))
    truth = _matched(i, j, fits, len(group), len(of), rules)
    counted = np.broadcast_to(np.ones(1, bool), truth.shape)
    if rules.ignore == "excuse":
        counted = (truth >= 0) | ~_touching(truths, found, rules)
    return Ranked(found.sample, found.label, found.start, found.end, found.score, truth, counted, truths)


def _matched(i: Ints, j: Ints, fits: Floats, k: int, m: int, rules: DetectionProtocol) -> NDArray[np.int32]:
    """Which truth each detection hits at each threshold. Pairs of detection i and truth j, by i, then j -> (T, k)"""
    truth = np.full((len(rules.thresholds), k), -1, np.int32)
    if rules.matching == "truth":
        order = np.argsort(j, kind="stable")
        i, j, fits = i[order], j[order], fits[order]
    chooser, chosen = (j, i) if rules.matching == "truth" else (i, j)
    if rules.matching != "first":
        some = np.flatnonzero(np.bincount(chooser, minlength=1)[chooser] > 1)  # who has one choice needs no order
        of = some[np.lexsort((-chosen[some] if rules.ties == "official" else chosen[some], -fits[some], chooser[some]))]
        chosen[some], fits[some] = chosen[of], fits[of]
    for row, t in zip(truth, rules.thresholds, strict=True):
        reached = np.flatnonzero(_reaches(fits, t, rules))
        couples = greedy(chooser[reached], chosen[reached], k if rules.matching == "truth" else m)
        hit, by = couples[::-1] if rules.matching == "truth" else couples
        row[hit] = by
    return truth


def _reaches(fits: Floats, t: float, rules: DetectionProtocol) -> Bools:
    return fits > t if rules.strict else fits >= t


def _span(start: Floats, end: Floats, rules: DetectionProtocol) -> tuple[Floats, Floats]:
    """Seconds, or whole rows where the protocol has a grid; halves go to the even row, as Python rounds."""
    return (start, end) if rules.grid is None else (np.rint(start * rules.grid), np.rint(end * rules.grid))


def _fit(span: tuple[Floats, Floats], other: tuple[Floats, Floats], rules: DetectionProtocol) -> Floats:
    """IoU, element by element. The devkit divides 0 by 0 where both are empty, and nan is not less than any t."""
    fits = iou(*span, *other)
    if rules.ties == "official":
        lengths = (other[1] - other[0]) + (span[1] - span[0])
        fits[(lengths == 0) & (fits == 0)] = np.inf
    return fits


def _counting(truths: Truths, rules: DetectionProtocol) -> Truths:
    """The truths less those that the protocol drops."""
    keep = np.ones(len(truths.label), bool)
    if rules.shortest_truth is not None:
        keep = truths.end - truths.start > rules.shortest_truth
    if rules.duplicates is not None:
        places = np.flatnonzero(keep)
        group = truths.sample[places] * truths.classes + truths.label[places]
        keep[places[repeats(group, truths.start[places], truths.end[places], rules.duplicates)]] = False
    columns = {name: getattr(truths, name)[keep] for name in ("sample", "label", "start", "end")}
    return truths if keep.all() else replace(truths, **columns)


def _kept(truths: Truths, found: Detections, rules: DetectionProtocol) -> Bools:
    """Which detections the protocol looks at. (k,)"""
    keep = np.ones(len(found.label), bool)
    if rules.shortest is not None:
        start, end = _span(found.start, found.end, rules)
        keep &= end - start >= rules.shortest
    if rules.ignore == "drop":
        keep &= ~_touching(truths, found, rules)
    if rules.empty_videos == "drop":
        keep &= np.isin(found.sample, truths.sample)
    return keep


def _touching(truths: Truths, found: Detections, rules: DetectionProtocol) -> Bools:
    """Which detections share time with a stretch that is to be ignored. (k,)"""
    touching = np.zeros(len(found.label), bool)
    start, end = _span(found.start, found.end, rules)
    ignore_start, ignore_end = _span(truths.ignore_start, truths.ignore_end, rules)
    for i, j in pairs(found.sample, truths.ignore_sample):
        touching[i[np.minimum(end[i], ignore_end[j]) > np.maximum(start[i], ignore_start[j])]] = True
    return touching


def _take(found: Detections, places: Ints) -> Detections:
    return Detections(
        found.sample[places], found.label[places], found.start[places], found.end[places], found.score[places]
    )


def _best_first(found: Detections, rules: DetectionProtocol) -> Ints:
    """The order of the detections: class by class, best first. (k,)"""
    narrow = found.label.astype(np.int16) if found.label.max(initial=0) < 1 << 15 else found.label  # sorted by radix
    if rules.ties == "official":
        order = np.argsort(narrow, kind="stable")
        cuts = np.flatnonzero(np.diff(found.label[order])) + 1
        return np.concatenate([of[found.score[of].argsort()[::-1]] for of in np.split(order, cuts)])
    order = np.argsort(-found.score)
    order = order[np.argsort(narrow[order], kind="stable")]
    score, label = found.score[order], found.label[order]
    tied = np.concatenate([[False], (score[1:] == score[:-1]) & (label[1:] == label[:-1])])
    places = np.flatnonzero(tied | np.append(tied[1:], False))
    if len(places):
        run, of = np.cumsum(~tied)[places], order[places]
        order[places] = of[np.lexsort((of, found.sample[of], run))]
    return order


def average_precision(ranked: Ranked, rules: DetectionProtocol, weights: Floats | None = None) -> Floats:
    """AP of each threshold and class, nan for a class without truth. (T, C)

    `weights`: how often each sample counts, for a bootstrap. A hit of weight w adds w times the precision behind it.
    """
    return Curve(ranked, rules).precision(weights)[0]


def summary(curve: Curve, rules: DetectionProtocol, weights: Floats | None = None) -> Floats | None:
    """mAP over all thresholds, then at each; None where there is no truth. (1 + T,)"""
    ap, answered = curve.precision(weights)
    known = ~np.isnan(ap[0])
    if not known.any():
        return None
    at = ap[:, known].mean(axis=1)
    if rules.absent == "all zero":
        at *= answered[known].all()
    return np.concatenate([[at.mean()], at])


def evaluate(ranked: Ranked, rules: DetectionProtocol, weights: Floats | None = None) -> dict[str, float]:
    """Every score of the protocol, by name; with weights of those samples alone, or as often, as they say."""
    found = summary(Curve(ranked, rules), rules, weights)
    if found is None:
        raise ValueError("no ground truth: a mean over no class is no score")
    return dict(zip(rules.scores, found.tolist(), strict=True))


def by_label(ranked: Ranked, rules: DetectionProtocol) -> dict[int, dict[str, Any]]:
    """The number of truths and the scores of each class that has a truth, by its code."""
    ap = average_precision(ranked, rules)
    asked = np.bincount(ranked.truths.label, minlength=ranked.truths.classes)
    return {
        code: {
            "asked": int(asked[code]),
            "metrics": dict(zip(rules.scores, [float(ap[:, code].mean()), *ap[:, code].tolist()], strict=True)),
        }
        for code in np.flatnonzero(asked).tolist()
    }


def intervals(
    ranked: Ranked, rules: DetectionProtocol, seed: int = 0, draws: int = DRAWS, level: float = LEVEL
) -> dict[str, tuple[float, float]]:
    """Intervals of every score, videos drawn with replacement: the middle of the drawn scores, moved to our own.

    Drawn sets hold copies, which rank together, so that their AP is off to one side; the spread is what they tell. What
    is covered is the mean score over test sets of this size. One draw is in memory at a time.
    """
    curve, n = Curve(ranked, rules), ranked.truths.samples
    rng = np.random.Generator(np.random.Philox(key=seed))
    drawn = []
    for _ in range(draws):
        weights = np.bincount(rng.integers(0, n, size=n), minlength=n).astype(np.float64)
        found = summary(curve, rules, weights)
        if found is not None:  # a draw of videos without a truth says nothing
            drawn.append(found)
    own = list(evaluate(ranked, rules).values())
    edges = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0) - np.mean(drawn, axis=0) + own
    return {name: (float(a), float(b)) for name, a, b in zip(rules.scores, *np.clip(edges, 0.0, 1.0), strict=True)}

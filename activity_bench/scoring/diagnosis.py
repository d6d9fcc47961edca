"""Where a method is right and how it goes wrong: scores by kind of target, kinds of false positives, and misses.

For moments: the protocol's scores among the samples whose (only, or longest) target is of a length, a coverage (its
share of the window) or a place in the window. For detection, after Alwassel et al. (ECCV 2018), at one threshold:

- targets by length, coverage, place and number in their video: how many, the share found and missed, and the mean over
  classes of a normalised AP, in which targets of other kinds neither help nor hurt. Precision there is r N / (r N + F):
  r the recall, F the false positives so far, N the mean number of targets of a class, so that kinds of different
  frequency can be compared.
- false positives among the 10 G best detections of each class (G: its number of targets). The target of its video
  that a detection overlaps most decides: `double detection` and `wrong label` reach the threshold, `localisation` and
  `confusion` (wrong label too) overlap it by 0.1 at least, and the rest is `background`. For each kind, the mAP that
  would be gained if those detections were taken away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activity_bench.scoring import detection, moments
from activity_bench.scoring.detection import DetectionProtocol, Ranked
from activity_bench.segments import Floats, iou

Ints = NDArray[np.int64]
LENGTHS = (2.5, 5.0, 10.0, 20.0, 40.0, 80.0)  # seconds
COVERAGES = (0.2, 0.4, 0.6, 0.8)
NUMBERS = (1.0, 4.0, 8.0)  # targets of one class in a video
LOOSE = 0.1  # IoU from which a detection is said to have seen a target
SEEN = 10  # times the number of a class's targets: the detections that are looked at
KINDS = ("double detection", "wrong label", "localisation", "confusion", "background")


def binned(values: Floats, edges: Sequence[float], unit: str = "") -> tuple[Ints, list[str]]:
    """The bin of each value, upper edges included, and the bins' names; -1 where a value is not known."""
    marks = [f"{edge:g}" for edge in edges]
    names = [f"to {marks[0]}", *(f"{a} to {b}" for a, b in pairwise(marks)), f"over {marks[-1]}"]
    codes = np.searchsorted(np.asarray(edges), values, side="left")
    return np.where(np.isfinite(values), codes, -1), [name + unit for name in names]


def of_moments(
    ious: Floats, kinds: Mapping[str, tuple[Ints, list[str]]], protocol: moments.MomentProtocol,
    precision: Floats | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The protocol's scores by each kind of sample, bins in order. kinds: name -> codes (n,), words"""
    found = {}
    for name, (codes, words) in kinds.items():
        groups = moments.by_group(ious, codes, words, protocol, precision)
        found[name] = {word: groups[word] for word in words if word in groups}
    return found


def target_kinds(
    length: Floats, start: Floats, window_start: Floats, window_end: Floats
) -> dict[str, tuple[Ints, list[str]]]:
    """Targets by length, coverage and place in their window, all in seconds. (n,) each"""
    window = window_end - window_start
    known = np.isfinite(window) & (window > 0)
    size = np.where(known, window, 1.0)
    place = np.where(known, (start + length / 2 - window_start) / size, 0.0)
    thirds = np.where(known, np.minimum(place * 3, 2.0).astype(np.int64), -1)
    return {
        "by_length": binned(length, LENGTHS, " s"),
        "by_coverage": binned(np.where(known, length / size, np.nan), COVERAGES),
        "by_position": (thirds, ["first third", "middle third", "last third"]),
    }


def of_detection(
    ranked: Ranked, rules: DetectionProtocol, window_start: Floats, window_end: Floats
) -> dict[str, Any]:  # fmt: skip
    """The diagnosis at the threshold nearest to 0.5; windows are those of the samples, to inf where unknown."""
    at = int(np.argmin(np.abs(np.asarray(rules.thresholds) - 0.5)))
    truths = ranked.truths
    of_class = truths.sample * truths.classes + truths.label
    _, group, count = np.unique(of_class, return_inverse=True, return_counts=True)
    windows = window_start[truths.sample], window_end[truths.sample]
    kinds = target_kinds(truths.end - truths.start, truths.start, *windows) | {
        "by_number": binned(count[group].astype(np.float64), NUMBERS, " in its video"),
    }
    found: dict[str, Any] = {"at": rules.thresholds[at]}
    for name, (codes, words) in kinds.items():
        present = [code for code in range(len(words)) if (codes == code).any()]
        found[name] = {words[code]: _of_targets(ranked, at, codes == code, rules.interpolated) for code in present}
    return found | {"false_positives": _false_positives(ranked, rules, at)}


def _of_targets(ranked: Ranked, at: int, chosen: NDArray[np.bool_], interpolated: bool) -> dict[str, Any]:
    """How many targets are chosen, the share of them that is hit, and the mean normalised AP on them alone."""
    truth = ranked.truth[at]
    hit = np.zeros(len(truth), bool)
    hit[truth >= 0] = chosen[truth[truth >= 0]]
    wrong = ranked.counted[at] & (truth < 0)
    positives = np.bincount(ranked.truths.label[chosen], minlength=ranked.truths.classes)
    average = len(ranked.truths.label) / max(1, len(np.unique(ranked.truths.label)))
    values = []
    for label in np.flatnonzero(positives):
        first, last = np.searchsorted(ranked.label, [label, label + 1])
        hits, misses = np.cumsum(hit[first:last]), np.cumsum(wrong[first:last])
        weighed = hits / positives[label] * average
        precision = weighed / np.maximum(weighed + misses, np.finfo(float).tiny)
        if interpolated:
            precision = np.maximum.accumulate(precision[::-1])[::-1]
        values.append(float(precision[hit[first:last]].sum() / positives[label]))
    share = float(hit.sum() / chosen.sum())
    return {"targets": int(chosen.sum()), "found": share, "missed": 1 - share, "normalised mAP": float(np.mean(values))}


def _false_positives(ranked: Ranked, rules: DetectionProtocol, at: int) -> dict[str, Any]:
    truths = ranked.truths
    number = np.bincount(truths.label, minlength=truths.classes)
    known = (ranked.label >= 0) & (ranked.label < truths.classes)
    place = np.arange(len(ranked.label)) - np.searchsorted(ranked.label, ranked.label)  # rank inside its class
    seen = np.flatnonzero(known & (place < SEEN * number[np.where(known, ranked.label, 0)]))
    wrong = seen[(ranked.truth[at, seen] < 0) & ranked.counted[at, seen]]
    best, same = _nearest(ranked, wrong)
    t = rules.thresholds[at]
    reached = best > t if rules.strict else best >= t
    kind = np.select([reached & same, reached, (best >= LOOSE) & same, best >= LOOSE], [0, 1, 2, 3], 4)
    one = replace(rules, thresholds=(t,))
    alone = replace(ranked, truth=ranked.truth[at : at + 1], counted=ranked.counted[at : at + 1])
    base = detection.evaluate(alone, one)["mAP"]
    found: dict[str, Any] = {}
    for code, name in enumerate(KINDS):
        counted = alone.counted.copy()
        counted[0, wrong[kind == code]] = False
        gain = detection.evaluate(replace(alone, counted=counted), one)["mAP"] - base
        count = int((kind == code).sum())
        found[name] = {"detections": count, "share": count / max(1, len(seen)), "mAP gained without": gain}
    hits = int((ranked.truth[at, seen] >= 0).sum())
    return {"looked at": len(seen), "right": hits, "kinds": found}


def _nearest(ranked: Ranked, places: Ints) -> tuple[Floats, NDArray[np.bool_]]:
    """The IoU of each detection with the target of its video that it overlaps most, and whether that is of its class.

    Of equal overlaps a target of its own class decides.
    """
    truths = ranked.truths
    order = np.argsort(truths.sample, kind="stable")
    by_sample = truths.sample[order]
    sample = ranked.sample[places]
    first, last = np.searchsorted(by_sample, sample, "left"), np.searchsorted(by_sample, sample, "right")
    best, same = np.zeros(len(places)), np.zeros(len(places), bool)
    for turn in range(int((last - first).max(initial=0))):  # the n-th target of every video at once
        here = np.flatnonzero((first + turn < last) & (sample >= 0))
        target = order[first[here] + turn]
        detected = places[here]
        overlap = iou(ranked.start[detected], ranked.end[detected], truths.start[target], truths.end[target])
        own = ranked.label[detected] == truths.label[target]
        better = (overlap > best[here]) | ((overlap == best[here]) & own & (overlap > 0))
        best[here], same[here] = np.where(better, overlap, best[here]), np.where(better, own, same[here])
    return best, same

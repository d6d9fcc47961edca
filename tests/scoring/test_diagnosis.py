"""The diagnosis against a plain reading of its words, one target and one detection after another."""

from __future__ import annotations

from dataclasses import replace
from math import inf, isinf
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from activity_bench.scoring import detection, moments
from activity_bench.scoring.detection import DetectionProtocol, Ranked, rank
from activity_bench.scoring.diagnosis import binned, of_detection, of_moments, target_kinds
from activity_bench.segments import iou
from tests.reference.detection import Case
from tests.scoring.test_detection_twin import ROWS, VIDEOS, arrays, cases

pytestmark = pytest.mark.quick

WINDOWS = [(0.0, 20.0), (-1.0, 12.5), (0.0, inf)]


def kinds_of(start: float, end: float, window: tuple[float, float], number: int) -> dict[str, str]:
    """The words for one target."""
    length, size = end - start, window[1] - window[0]
    found = {"by_length": in_bin(length, [2.5, 5, 10, 20, 40, 80], " s"),
             "by_number": in_bin(number, [1, 4, 8], " in its video")}  # fmt: skip
    if not isinf(size):
        found["by_coverage"] = in_bin(length / size, [0.2, 0.4, 0.6, 0.8], "")
        middle = (start + length / 2 - window[0]) / size
        found["by_position"] = "first third" if middle * 3 < 1 else "middle third" if middle * 3 < 2 else "last third"
    return found


def in_bin(value: float, edges: list[float], unit: str) -> str:
    for place, edge in enumerate(edges):
        if value <= edge:
            return (f"to {edge:g}" if place == 0 else f"{edges[place - 1]:g} to {edge:g}") + unit
    return f"over {edges[-1]:g}{unit}"


def plainly(ranked: Ranked, rules: DetectionProtocol) -> dict[str, Any]:
    at = min(range(len(rules.thresholds)), key=lambda i: abs(rules.thresholds[i] - 0.5))
    truths = ranked.truths
    targets = list(zip(*(getattr(truths, name).tolist() for name in ("sample", "label", "start", "end")), strict=True))
    words = [kinds_of(a, b, WINDOWS[v], sum(t[:2] == (v, c) for t in targets)) for v, c, a, b in targets]
    found: dict[str, Any] = {"at": rules.thresholds[at]}
    for name in ("by_length", "by_coverage", "by_position", "by_number"):
        groups = {word[name] for word in words if name in word}
        found[name] = {word: of_targets(ranked, at, [w.get(name) == word for w in words], rules) for word in groups}
    return found | {"false_positives": false_positives(ranked, rules, at, targets)}


def of_targets(ranked: Ranked, at: int, chosen: list[bool], rules: DetectionProtocol) -> dict[str, Any]:
    labels, truth, counted = ranked.truths.label.tolist(), ranked.truth[at].tolist(), ranked.counted[at].tolist()
    mean, values = len(labels) / len(set(labels)), []
    for label in sorted({one for one, mine in zip(labels, chosen, strict=True) if mine}):
        positives = sum(one == label and mine for one, mine in zip(labels, chosen, strict=True))
        hits, wrong, curve = 0, 0, []
        for place in np.flatnonzero(ranked.label == label).tolist():
            if truth[place] >= 0 and chosen[truth[place]]:
                hits += 1
                curve.append(hits / positives * mean / (hits / positives * mean + wrong))
            wrong += truth[place] < 0 and counted[place]
        best = [max(curve[i:]) if rules.interpolated else curve[i] for i in range(len(curve))]
        values.append(sum(best) / positives)
    share = sum(one >= 0 and chosen[one] for one in truth) / sum(chosen)
    return {"targets": sum(chosen), "found": share, "missed": 1 - share, "normalised mAP": sum(values) / len(values)}


def false_positives(ranked: Ranked, rules: DetectionProtocol, at: int, targets: list[Any]) -> dict[str, Any]:
    t, seen, kinds = rules.thresholds[at], [], {}
    for label in sorted({target[1] for target in targets}):
        number = sum(target[1] == label for target in targets)
        seen += np.flatnonzero(ranked.label == label).tolist()[: 10 * number]
    for place in seen:
        if ranked.truth[at, place] < 0 and ranked.counted[at, place]:
            fits = [(float(iou(ranked.start[place], ranked.end[place], a, b)), label == ranked.label[place])
                    for video, label, a, b in targets if video == ranked.sample[place]]  # fmt: skip
            best, same = max(fits, default=(0.0, False))
            reached = best > t if rules.strict else best >= t
            kinds[place] = (
                ("double detection" if same else "wrong label") if reached
                else ("localisation" if same else "confusion") if best >= 0.1
                else "background"
            )  # fmt: skip
    one = replace(rules, thresholds=(t,))
    alone = replace(ranked, truth=ranked.truth[at : at + 1], counted=np.array(ranked.counted[at : at + 1]))
    found = {}
    for name in ("double detection", "wrong label", "localisation", "confusion", "background"):
        places = [place for place, kind in kinds.items() if kind == name]
        counted = alone.counted.copy()
        counted[0, places] = False
        gain = detection.evaluate(replace(alone, counted=counted), one)["mAP"] - detection.evaluate(alone, one)["mAP"]
        found[name] = {"detections": len(places), "share": len(places) / max(1, len(seen)), "mAP gained without": gain}
    return {"looked at": len(seen), "right": sum(ranked.truth[at, place] >= 0 for place in seen), "kinds": found}


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[key], expected[key]) for key in expected)
    return bool(found == pytest.approx(expected, abs=1e-12))


@pytest.mark.parametrize("name", ["activitynet", "thumos-evalkit", "wtalc"])
@settings(max_examples=60)
@given(case=cases(), copies=st.sampled_from([1, 1, 8]))
def test_as_its_words_say(name: str, case: Case, copies: int) -> None:
    assume(any(b - a > 0.01 for _, _, a, b in case.truths))
    rules = ROWS[name]
    ranked = rank(*arrays(replace(case, detections=list(case.detections) * copies)), rules)
    start, end = np.array(WINDOWS).T
    assert len(start) == VIDEOS
    found, expected = of_detection(ranked, rules, start, end), plainly(ranked, rules)
    assert same(found, expected), (found, expected)


def test_bins_hold_their_upper_edge() -> None:
    codes, words = binned(np.array([0.0, 1.0, 1.5, 2.0, 3.0, np.inf, np.nan]), [1.0, 2.0], " s")
    assert words == ["to 1 s", "1 to 2 s", "over 2 s"]
    assert codes.tolist() == [0, 0, 1, 1, 2, -1, -1]


def test_a_target_in_its_window() -> None:
    window = np.array([[0, 30], [0, 30], [0, 30], [10, 40], [0, np.inf], [5, 5], [2, 2.8]], np.float64).T
    start, length = np.array([0, 10, 25, 30, 3, 5, 2.0]), np.array([6, 10, 5, 10, 3, 1, 0.1])
    kinds = target_kinds(length, start, *window)
    said = {name: [words[code] if code >= 0 else None for code in codes] for name, (codes, words) in kinds.items()}
    assert said == {
        "by_length": ["5 to 10 s", "5 to 10 s", "2.5 to 5 s", "5 to 10 s", "2.5 to 5 s", "to 2.5 s",
                      "to 2.5 s"],
        "by_coverage": ["to 0.2", "0.2 to 0.4", "to 0.2", "0.2 to 0.4", None, None, "to 0.2"],
        "by_position": ["first third", "middle third", "last third", "last third", None, None, "first third"],
    }  # fmt: skip


def test_moments_by_kind_in_the_order_of_the_bins() -> None:
    ious, codes = np.array([1.0, 0.4, 0.0, 0.8]), np.array([2, 0, -1, 2])
    found = of_moments(ious, {"by_length": (codes, ["c", "b", "a"])}, moments.IBAL)
    assert list(found["by_length"]) == ["c", "a"]
    assert found["by_length"]["a"]["asked"] == 2
    assert found["by_length"]["a"]["metrics"]["mIoU"] == pytest.approx(0.9)


def test_a_tenth_of_overlap_has_seen_a_target() -> None:
    case = Case([(0, 0, 0.0, 10.0), (1, 1, 0.0, 10.0)], [], [(0, 0, 0.0, 1.0, 0.9), (1, 0, 0.0, 1.0, 0.8),
                                                            (0, 0, 0.0, 0.99, 0.7)])  # fmt: skip
    ranked = rank(*arrays(case), ROWS["activitynet"])
    kinds = of_detection(ranked, ROWS["activitynet"], *np.array(WINDOWS).T)["false_positives"]["kinds"]
    assert {name: kind["detections"] for name, kind in kinds.items()} == {
        "double detection": 0, "wrong label": 0, "localisation": 1, "confusion": 1, "background": 1,
    }  # fmt: skip

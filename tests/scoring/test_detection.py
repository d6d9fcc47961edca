"""Detection scores against the outputs of the original evaluators, on stored sets and on published detections."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from activity_bench.scoring.detection import (
    DetectionProtocol,
    Detections,
    Truths,
    average_precision,
    by_label,
    evaluate,
    intervals,
    rank,
)
from activity_bench.scoring.protocols import ACTIVITYNET, AUTOLOC, OPENTAD, PROTOCOLS, THUMOS_EVALKIT, WTALC

GOLDEN = Path(__file__).parents[1] / "golden" / "detection"
PAGE = Path(__file__).parents[2] / "docs" / "protocols.md"
ROWS = {rules.name: rules for rules in PROTOCOLS}
SETS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(GOLDEN.glob("*.json"))}


def arrays(
    videos: Iterable[str], classes: Iterable[str], truths: list[Any], ignore: list[Any], detections: list[Any]
) -> tuple[Truths, Detections]:
    """Rows by name as the package takes them: a label without a class is left out, a strange video is -1."""
    video, label = ({name: place for place, name in enumerate(names)} for names in (videos, classes))
    true = [(video[v], label[c], a, b) for v, c, a, b in truths]
    skip = [(video[v], a, b) for v, a, b in ignore]
    found = [(video.get(v, -1), label[c], *rest) for v, c, *rest in detections if c in label]

    def columns(rows: list[Any], whole: int, width: int) -> list[np.ndarray]:
        table = np.array(rows, np.float64).reshape(len(rows), width).T
        return [column.astype(np.int64) if place < whole else column for place, column in enumerate(table)]

    known = Truths(len(video), len(label), *columns(true, 2, 4), *columns(skip, 1, 3))
    return known, Detections(*columns(found, 2, 5))


def of_set(name: str) -> tuple[Truths, Detections]:
    return arrays(*(SETS[name][part] for part in ("videos", "classes", "truths", "ignore", "detections")))


# ---- the originals' outputs ------------------------------------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize(("name", "protocol"), [(name, p) for name in SETS for p in SETS[name]["expected"]])
def test_equal_to_the_original(name: str, protocol: str) -> None:
    expected = SETS[name]["expected"][protocol]
    row, _, ties = protocol.partition(", ")
    rules = replace(ROWS[row], thresholds=tuple(expected["thresholds"]), ties=ties or "stable")
    ranked = rank(*of_set(name), rules)
    assert list(evaluate(ranked, rules).values())[1:] == pytest.approx(expected["map"], abs=1e-12)
    found = average_precision(ranked, rules)
    for label, column in expected["ap"].items():
        assert found[:, SETS[name]["classes"].index(label)] == pytest.approx(column, abs=1e-12)


@pytest.mark.quick
def test_the_stored_sets_cover_every_row_and_every_oddity() -> None:
    assert len(SETS) == 9
    assert {protocol.partition(",")[0] for case in SETS.values() for protocol in case["expected"]} == set(ROWS)
    scores = [d[4] for d in SETS["ties"]["detections"]]
    assert len(set(scores)) <= 5 < len(scores)
    assert any(a == b for *_, a, b in SETS["empty-truths"]["truths"])
    assert any(a == b for *_, a, b, _ in SETS["empty-detections"]["detections"])
    assert {d[1] for d in SETS["unknown"]["detections"]} - set(SETS["unknown"]["classes"])
    assert {d[0] for d in SETS["unknown"]["detections"]} - set(SETS["unknown"]["videos"])
    assert SETS["no-detection"]["expected"]["wtalc"]["map"] == [0.0] * 5
    assert all(SETS["ambiguous"]["expected"]["wtalc"]["map"])


# ---- edges -----------------------------------------------------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize("rules", PROTOCOLS, ids=lambda rules: rules.name)
@pytest.mark.parametrize("ties", ["stable", "official"])
def test_no_answer_scores_nought_and_no_truth_is_an_error(rules: DetectionProtocol, ties: Any) -> None:
    rules = replace(rules, ties=ties)
    case = SETS["larger"]
    names = case["videos"], case["classes"]
    silent = rank(*arrays(*names, case["truths"], [], []), rules)
    assert evaluate(silent, rules) == dict.fromkeys(rules.scores, 0.0)
    for found in ([], case["detections"]):
        with pytest.raises(ValueError, match="no ground truth"):
            evaluate(rank(*arrays(*names, [], [], found), rules), rules)


@pytest.mark.quick
def test_all_truths_may_be_dropped() -> None:
    empty = arrays(["v"], ["A"], [["v", "A", 3.0, 3.0]], [], [["v", "A", 1.0, 4.0, 0.5]])
    with pytest.raises(ValueError, match="no ground truth"):
        evaluate(rank(*empty, OPENTAD), OPENTAD)


@pytest.mark.quick
def test_a_score_has_its_threshold_in_its_name() -> None:
    assert ACTIVITYNET.scores[:3] == ["mAP", "mAP@0.5", "mAP@0.55"]
    assert list(evaluate(rank(*of_set("larger"), ACTIVITYNET), ACTIVITYNET)) == ACTIVITYNET.scores
    other = replace(ACTIVITYNET, thresholds=(0.75,))
    found = evaluate(rank(*of_set("larger"), other), other)
    assert found["mAP"] == found["mAP@0.75"]


@pytest.mark.quick
def test_a_tie_with_the_threshold_is_a_hit_unless_strict() -> None:
    half = arrays(["v"], ["A"], [["v", "A", 0.0, 4.0]], [], [["v", "A", 0.0, 2.0, 0.9]])
    for strict, score in ((False, 1.0), (True, 0.0)):
        rules = replace(ACTIVITYNET, thresholds=(0.5,), strict=strict)
        assert evaluate(rank(*half, rules), rules)["mAP@0.5"] == score


@pytest.mark.quick
def test_halves_of_rows_go_to_the_even_row() -> None:
    """8 s is row 12.5: the truth is rows 12 to 25, the answer 12 to 18, 6 of 13; from row 13 on it would be 5 of 12."""
    rules = replace(WTALC, thresholds=(0.45,))
    files = arrays(["v"], ["A"], [["v", "A", 8.0, 16.0]], [], [["v", "A", 8.0, 11.52, 0.9]])
    assert evaluate(rank(*files, rules), rules)["mAP"] == 1.0


@pytest.mark.quick
def test_classes_are_means_to_the_whole() -> None:
    ranked = rank(*of_set("no-truth"), ACTIVITYNET)
    groups = by_label(ranked, ACTIVITYNET)
    assert sorted(groups) == [0, 1, 2]  # D has detections and no truth
    assert sum(group["asked"] for group in groups.values()) == len(SETS["no-truth"]["truths"])
    for name, score in evaluate(ranked, ACTIVITYNET).items():
        assert np.mean([group["metrics"][name] for group in groups.values()]) == pytest.approx(score, abs=1e-12)


@pytest.mark.quick
def test_what_was_hit_is_told_at_every_threshold() -> None:
    truths, detections = of_set("larger")
    ranked = rank(truths, detections, ACTIVITYNET)
    assert ranked.truth.shape == ranked.counted.shape == (10, len(detections.score))
    for row, t in zip(ranked.truth, ACTIVITYNET.thresholds, strict=True):
        i = np.flatnonzero(row >= 0)
        j = row[i]
        assert len(np.unique(j)) == len(j)  # a truth is found once
        assert (ranked.sample[i] == truths.sample[j]).all() and (ranked.label[i] == truths.label[j]).all()
        shared = np.minimum(ranked.end[i], truths.end[j]) - np.maximum(ranked.start[i], truths.start[j])
        either = np.maximum(ranked.end[i], truths.end[j]) - np.minimum(ranked.start[i], truths.start[j])
        assert (shared / either >= t - 1e-12).all()
    steps = np.diff(ranked.score)[np.diff(ranked.label) == 0]
    assert (steps <= 0).all() and (np.diff(ranked.label) >= 0).all()


# ---- intervals -------------------------------------------------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize("rules", [ACTIVITYNET, WTALC, THUMOS_EVALKIT], ids=lambda rules: rules.name)
def test_intervals_are_seeded_and_around_the_score(rules: DetectionProtocol) -> None:
    """Seeded, and around the score. That a weight is a number of copies is asked among the invariants."""
    truths, detections = of_set("larger")
    ranked = rank(truths, detections, rules)
    found = intervals(ranked, rules, seed=3, draws=150)
    assert found == intervals(ranked, rules, seed=3, draws=150) != intervals(ranked, rules, seed=4, draws=150)
    for name, score in evaluate(ranked, rules).items():
        low, high = found[name]
        assert 0 <= low < score < high <= 1, name
    assert set(found) == set(rules.scores)


@pytest.mark.quick
def test_one_video_has_no_spread() -> None:
    one = arrays(["v"], ["A"], [["v", "A", 0.0, 4.0]], [], [["v", "A", 0.0, 3.0, 0.9]])
    found = intervals(rank(*one, ACTIVITYNET), ACTIVITYNET, draws=20)
    assert found["mAP@0.75"] == (1.0, 1.0) and found["mAP@0.8"] == (0.0, 0.0)


@pytest.mark.quick
def test_draws_without_a_truth_are_not_counted() -> None:
    """Of two videos one is empty: a quarter of the draws hold no truth."""
    two = arrays(["v", "w"], ["A"], [["v", "A", 0.0, 4.0]], [], [["v", "A", 0.0, 4.0, 0.9]])
    assert set(intervals(rank(*two, AUTOLOC), AUTOLOC, draws=50).values()) == {(1.0, 1.0)}


# ---- published figures on real files ---------------------------------------------------------------------------------


def activitynet_files(truth: Path, found: Path) -> tuple[Truths, Detections]:
    database = json.loads(truth.read_text(encoding="utf-8"))["database"]
    videos = sorted(name for name, video in database.items() if video["subset"] == "validation")
    truths = [[v, a["label"], *a["segment"]] for v in videos for a in database[v]["annotations"]]
    results = json.loads(found.read_text(encoding="utf-8"))["results"]
    detections = [[v, d["label"], *d["segment"], d["score"]] for v, rows in results.items() for d in rows]
    return arrays(videos, sorted({truth[1] for truth in truths}), truths, [], detections)


@pytest.mark.check
@pytest.mark.real
@pytest.mark.parametrize("rules", [AUTOLOC, ACTIVITYNET], ids=lambda rules: rules.name)
def test_autoloc_has_its_published_scores(real_data: Path, rules: DetectionProtocol) -> None:
    folder = real_data / "predictions"
    files = (folder / f"autoloc_activitynet12_val_{part}.json" for part in ("groundtruth", "detections"))
    truths, detections = activitynet_files(*files)
    assert (len(truths.label), len(detections.label)) == (3457, 13295)
    found = [round(score, 4) for score in evaluate(rank(truths, detections, rules), rules).values()]
    assert found == [0.1604, 0.2733, 0.2494, 0.2251, 0.1990, 0.1747, 0.1514, 0.1297, 0.1002, 0.0683, 0.0327]


@pytest.mark.check
@pytest.mark.real
@pytest.mark.parametrize(("t", "published"), [(0.1, 0.4771865), (0.3, 0.36276084), (0.5, 0.18970081)])
def test_scnn_has_its_published_scores(real_data: Path, t: float, published: float) -> None:
    """To the last digit of the results file that its authors released. Truths in the order of the files."""
    lines = (real_data / "predictions" / "thumos14_detclasslist.txt").read_text(encoding="utf-8").splitlines()
    classes = dict(line.split() for line in lines)
    truths: list[list[Any]] = []
    for path in sorted((real_data / "thumos14" / "annotations_test").glob("*_test.txt")):
        words = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
        truths += [[video, path.stem.removesuffix("_test"), float(a), float(b)] for video, a, b in words]
    videos = sorted({truth[0] for truth in truths})
    ambiguous = [[v, a, b] for v, label, a, b in truths if label == "Ambiguous"]
    truths = [truth for truth in truths if truth[1] != "Ambiguous"]
    file = real_data / "predictions" / f"scnn_c3dv10_thumos14_test_iou{t}.txt"
    words = (line.split() for line in file.read_text(encoding="utf-8").splitlines())
    detections = [[v, classes[c], float(a), float(b), float(score)] for v, a, b, c, score in words]
    rules = replace(THUMOS_EVALKIT, thresholds=(t,))
    files = arrays(videos, classes.values(), truths, ambiguous, detections)
    assert (len(videos), len(truths)) == (213, 3358)
    assert evaluate(rank(*files, rules), rules)["mAP"] == pytest.approx(published, abs=1e-7)


@pytest.mark.check
@pytest.mark.real
def test_the_devkits_sample_misses_only_what_is_empty(real_data: Path) -> None:
    """The truth itself with equal scores: three truths are empty, and as many answers hit nothing."""
    truths, detections = activitynet_files(
        real_data / "activitynet" / "activity_net.v1-3.min.json",
        real_data / "predictions" / "anet_sample_detection_prediction.json",
    )
    empty = detections.end <= detections.start
    assert empty.sum() == (truths.end <= truths.start).sum() == 3
    kept = Detections(*(getattr(detections, field.name)[~empty] for field in fields(detections)))

    def whole(found: Detections, rules: DetectionProtocol) -> set[float]:
        return set(evaluate(rank(truths, found, rules), rules).values())

    official = replace(ACTIVITYNET, ties="official")  # 0 / 0 counts as a match
    assert whole(detections, official) == whole(kept, replace(ACTIVITYNET, shortest_truth=0.0)) == {1.0}
    labels = truths.label[truths.end <= truths.start]
    lost = sum(1 / np.count_nonzero(truths.label == label) for label in labels) / 200  # three truths, each never found
    assert all(score == pytest.approx(1 - lost, abs=1e-12) for score in whole(kept, ACTIVITYNET))
    assert all(1 - 2 * lost < score < 1 - lost for score in whole(detections, ACTIVITYNET))


# ---- the page --------------------------------------------------------------------------------------------------------


def cells(rules: DetectionProtocol) -> list[str]:
    """A row of the page's table."""
    steps = np.diff(rules.thresholds)
    foreign = rules.foreign
    return [
        f"`{rules.name}`",
        f"{rules.thresholds[0]:g} to {rules.thresholds[-1]:g} by {steps[0]:.2g}",
        "IoU > t" if rules.strict else "IoU >= t",
        "seconds" if rules.grid is None else f"rows, {rules.grid:g} a second",
        rules.matching,
        "yes" if rules.interpolated else "no",
        "none" if rules.duplicates is None else f"within {1000 * rules.duplicates:g} ms",
        "none" if rules.shortest_truth is None else f"to {1000 * rules.shortest_truth:g} ms",
        "none" if rules.shortest is None else f"under {rules.shortest:g} rows",
        rules.ignore,
        rules.absent,
        rules.empty_videos,
        f"{foreign.unknown_video}, {foreign.unknown_label}",
    ]


@pytest.mark.quick
@pytest.mark.parametrize("rules", PROTOCOLS, ids=lambda rules: rules.name)
def test_the_page_shows_the_rules_as_they_are(rules: DetectionProtocol) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert "| " + " | ".join(cells(rules)) + " |" in page
    flat = " ".join(page.split())
    assert f"`{rules.name}`: {rules.definition}. {rules.differences}" in flat
    assert len(np.unique(np.diff(rules.thresholds).round(9))) == 1  # or the page would need another word

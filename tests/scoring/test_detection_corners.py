"""Corners of the detection scores: what is empty, codes beyond 16 bits, intervals draw by draw, and ranks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from activity_bench.scoring.detection import DetectionProtocol, Detections, Truths, evaluate, intervals, rank
from activity_bench.scoring.protocols import ACTIVITYNET, WTALC

pytestmark = pytest.mark.quick

OFFICIAL = replace(ACTIVITYNET, ties="official")


def one(truth: tuple[float, float], found: tuple[float, float], rules: DetectionProtocol) -> float:
    none, zero = np.zeros(0), np.zeros(1, np.int64)
    truths = Truths(1, 1, zero, zero, *np.array(truth)[:, None], none.astype(np.int64), none, none)
    return evaluate(rank(truths, Detections(zero, zero, *np.array(found)[:, None], np.ones(1)), rules), rules)["mAP"]


@pytest.mark.parametrize(
    ("truth", "found", "official"),
    [((5, 5), (9, 9), 1.0), ((5, 6), (9, 9), 0.0), ((5, 5), (8, 9), 0.0), ((5, 7), (5, 7), 1.0)],
)
def test_nothing_by_nothing_is_a_hit_in_the_devkit_alone(
    truth: tuple[float, float], found: tuple[float, float], official: float
) -> None:
    assert one(truth, found, OFFICIAL) == official
    assert one(truth, found, ACTIVITYNET) == (1.0 if truth == found else 0.0)


@pytest.mark.parametrize("ties", ["stable", "official"])
def test_codes_of_classes_may_be_large(ties: str) -> None:
    labels = np.array([40_000, 3, 32_768, 65_535, 3])
    sample = np.zeros(5, np.int64)
    none = np.zeros(0)
    truths = Truths(1, 70_000, sample, labels, np.arange(5.0), np.arange(5.0) + 1, none.astype(np.int64), none, none)
    found = Detections(sample, labels, np.arange(5.0), np.arange(5.0) + 1, np.array([0.1, 0.9, 0.2, 0.3, 0.8]))
    rules = replace(ACTIVITYNET, ties=ties)  # type: ignore[arg-type]
    ranked = rank(truths, found, rules)
    assert ranked.label.tolist() == [3, 3, 32_768, 40_000, 65_535]
    assert ranked.score.tolist() == [0.9, 0.8, 0.2, 0.1, 0.3]
    assert evaluate(ranked, rules)["mAP"] == 1.0


@pytest.mark.parametrize("level", [0.95, 0.5])
def test_an_interval_is_the_middle_of_the_drawn_scores_moved_to_our_own(level: float) -> None:
    chance = np.random.default_rng(0)
    sample, label = chance.integers(0, 12, 40), chance.integers(0, 3, 40)
    start = chance.uniform(0, 50, 40)
    none = np.zeros(0)
    order = np.argsort(sample, kind="stable")
    truths = Truths(
        12, 3, sample[order], label[order], start[order], start[order] + 8, none.astype(np.int64), none, none
    )
    found = Detections(sample, label, start + chance.normal(0, 2, 40), start + 8, chance.random(40))
    rules = replace(ACTIVITYNET, thresholds=(0.5, 0.75))
    ranked = rank(truths, found, rules)
    drawn = []
    for places in np.random.Generator(np.random.Philox(key=5)).integers(0, 12, size=(60, 12)):
        weights = [float((places == video).sum()) for video in range(12)]
        drawn.append(list(evaluate(ranked, rules, np.array(weights)).values()))
    own = list(evaluate(ranked, rules).values())
    low, high = np.quantile(drawn, [(1 - level) / 2, 1 - (1 - level) / 2], axis=0) - np.mean(drawn, axis=0) + own
    for name, a, b in zip(rules.scores, low, high, strict=True):
        expected = (min(1, max(0, a)), min(1, max(0, b)))
        assert intervals(ranked, rules, 5, 60, level)[name] == pytest.approx(expected, abs=1e-12)


def test_a_class_that_no_detection_names_takes_all_of_wtalc() -> None:
    none, video = np.zeros(0), np.zeros(2, np.int64)
    truths = Truths(1, 2, video, np.array([0, 1]), np.array([0.0, 20.0]), np.array([9.0, 29.0]),
                    none.astype(np.int64), none, none)  # fmt: skip
    found = Detections(video[:1], video[:1], np.zeros(1), np.full(1, 9.0), np.ones(1))
    assert evaluate(rank(truths, found, WTALC), WTALC)["mAP"] == 0.0
    assert evaluate(rank(truths, found, ACTIVITYNET), ACTIVITYNET)["mAP"] == 0.5

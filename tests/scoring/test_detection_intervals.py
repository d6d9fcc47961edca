"""Intervals of detection hold what they say they hold: the mean score of the method over sets of the size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from activity_bench.scoring import detection
from activity_bench.scoring.detection import Detections, Ranked, Truths
from activity_bench.scoring.protocols import ACTIVITYNET, THUMOS_EVALKIT

CLASSES, VIDEOS = 5, 200
NONE = np.zeros(0)


def made_up(rng: np.random.Generator, rules: detection.DetectionProtocol) -> Ranked:
    """A set of videos, some hard, others easy, with one to three instances each, and a method's answers to it."""
    per_video, ease = rng.integers(1, 4, VIDEOS), rng.beta(2, 2, VIDEOS)
    video = np.repeat(np.arange(VIDEOS), per_video)
    label, start = rng.integers(CLASSES, size=len(video)), rng.uniform(0, 90, len(video))
    end = start + rng.uniform(2, 20, len(video))
    seen = rng.random(len(video)) < ease[video]
    off = rng.normal(0, 0.15, (2, len(video))) * (end - start)
    low = start + off[0]
    high = np.maximum(end + off[1], low + 0.1)
    wrong = np.repeat(np.arange(VIDEOS), rng.poisson(2.0, VIDEOS))
    there, of = rng.uniform(0, 90, len(wrong)), rng.integers(CLASSES, size=len(wrong))
    found = Detections(
        np.concatenate([video[seen], wrong]), np.concatenate([label[seen], of]), np.concatenate([low[seen], there]),
        np.concatenate([high[seen], there + rng.uniform(2, 20, len(wrong))]),
        np.concatenate([rng.beta(4, 2, int(seen.sum())), rng.beta(2, 4, len(wrong))]),
    )  # fmt: skip
    return detection.rank(
        Truths(VIDEOS, CLASSES, video, label, start, end, NONE.astype(np.int64), NONE, NONE), found, rules
    )


def held(rules: detection.DetectionProtocol, sets: int, draws: int) -> float:
    """The share of sets whose interval holds the mean score, which four times as many sets, at least 1,000, tell."""
    rules = replace(rules, thresholds=(0.5,))
    others = np.random.default_rng(1)
    mean = np.mean([detection.evaluate(made_up(others, rules), rules)["mAP"] for _ in range(max(1000, 4 * sets))])
    rng, hits = np.random.default_rng(2), 0
    for seed in range(sets):
        low, high = detection.intervals(made_up(rng, rules), rules, seed, draws)["mAP"]
        hits += low <= mean <= high
    return hits / sets


@pytest.mark.check
def test_an_interval_holds_the_mean_score() -> None:
    assert 0.91 <= held(ACTIVITYNET, 200, 200) <= 0.985


@pytest.mark.nightly
@pytest.mark.parametrize("rules", [ACTIVITYNET, THUMOS_EVALKIT], ids=lambda rules: rules.name)
def test_an_interval_holds_the_mean_score_in_95_of_100_sets(rules: detection.DetectionProtocol) -> None:
    assert 0.93 <= held(rules, 1000, 500) <= 0.97

"""Baselines: draws against their exact distribution, the prior against the paper, one answer whatever the batch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench import catalog
from activity_bench.baselines.full_window import FullWindow
from activity_bench.baselines.oracle import Oracle
from activity_bench.baselines.random import Options, Random, pair
from activity_bench.baselines.statistical_prior import StatisticalPrior
from activity_bench.errors import InputError
from activity_bench.scoring.moments import evaluate
from activity_bench.segments import iou, on_grid
from activity_bench.types import Grid, Method, NoOptions, Prediction, Query, Sample, Target, Window
from tests import tiny

pytestmark = pytest.mark.quick

SAMPLES = [
    *(tiny.on_rows(f"test/v{i}/{i}-{i + 9}/0", (i, i + 9), (i + 2, i + 5)) for i in range(6)),
    tiny.in_seconds("test/s/2000-9000/0", (2.0, 9.0), (3.0, 5.0), label="Diving"),
]
METHODS = {
    "full-window": FullWindow(NoOptions(), 0),
    "oracle": Oracle(NoOptions(), 0),
    "statistical-prior": StatisticalPrior(NoOptions(), 0),
    **{f"random {draw}": Random(Options(draw), 3) for draw in ("pair", "cuts", "independent")},
}


@pytest.mark.parametrize("name", METHODS)
def test_alone_in_a_batch_and_in_any_order(name: str) -> None:
    method = METHODS[name]
    method.fit(SAMPLES, ())
    batch = list(method.predict(SAMPLES))
    assert [prediction.sample for prediction in batch] == [sample.id for sample in SAMPLES]
    assert [next(iter(method.predict([sample]))) for sample in SAMPLES] == batch
    assert list(method.predict(reversed(SAMPLES))) == batch[::-1]


@pytest.mark.parametrize("name", METHODS)
def test_answers_lie_in_their_windows(name: str) -> None:
    for sample, prediction in zip(SAMPLES, METHODS[name].predict(SAMPLES), strict=True):
        low, high = sample.video.bounds()
        assert all(low <= start < end <= high + 1e-6 for start, end, _ in prediction.segments)


def test_every_baseline_that_needs_no_features_is_tested_here() -> None:
    assert {name.split()[0] for name in METHODS} >= {
        n
        for n, where in catalog.METHODS.items()
        if ".baselines." in where and not catalog.load("method", catalog.METHODS, n).needs_features
    }


def test_only_the_oracle_sees_answers() -> None:
    seeing = [name for name in catalog.METHODS if catalog.load("method", catalog.METHODS, name).sees_answers]
    assert seeing == ["oracle"]
    question = tiny.TEST[0].question()
    assert (question.targets, question.label, question.ignore) == ((), None, None)
    assert question.grid == Grid(tiny.STEP, (0, 10), (), (0, 3))
    assert question.id == tiny.TEST[0].id
    assert "Diving" not in repr(question)


# ---- random ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 7, 30])
def test_a_pair_is_any_stretch_with_equal_chance(n: int) -> None:
    """As the key runs evenly through 64 bits, every stretch comes equally often: all of them, exactly."""
    stretches, times = comb(n + 1, 2), 16
    total = stretches * times
    counts = Counter(pair(-(-(i << 64) // total), n) for i in range(total))
    assert counts == dict.fromkeys(combinations(range(n + 1), 2), times)
    assert pair(2**64 - 1, n)[1] == n


@given(st.integers(0, 2**64 - 1), st.integers(1, 10**6))
def test_a_pair_lies_in_its_window_at_any_size(key: int, n: int) -> None:
    first, last = pair(key, n)
    assert 0 <= first < last <= n


def test_the_expected_score_of_a_pair() -> None:
    """By enumeration of all stretches in exact fractions, against 6,000 drawn answers to the same question."""
    low, high, target = 5, 45, (20, 32)
    stretches = list(combinations(range(low, high + 1), 2))
    ious = []
    for a, b in stretches:
        shared = max(0, min(b, target[1]) - max(a, target[0]))
        ious.append(Fraction(shared, b - a + target[1] - target[0] - shared))
    asked = [tiny.on_rows(f"test/v/5-45/{i}", (low, high), target) for i in range(6000)]
    drawn = drawn_ious(Random(Options(), 0), asked)
    found = evaluate(drawn)
    assert found["mIoU"] == pytest.approx(float(sum(ious) / len(ious)), abs=5 * drawn.std() / 6000**0.5)
    for t in ("0.5", "0.6", "0.7", "0.8", "0.9"):
        share = sum(value > Fraction(t) for value in ious) / len(ious)
        assert found[f"top1-mAP@{t}"] == pytest.approx(share, abs=5 * (share * (1 - share) / 6000) ** 0.5), t


def drawn_ious(method: Method, asked: list[Sample]) -> np.ndarray:
    found = []
    for sample, prediction in zip(asked, method.predict(sample.question() for sample in asked), strict=True):
        assert sample.grid is not None
        rows = on_grid(prediction.segments[0][:2], sample.grid.step)
        assert rows.tolist() == [int(row) for row in rows]  # whole rows
        found.append(iou(*rows, *sample.grid.targets[0]))
    return np.array(found, float)


def many(draw: str, count: int = 4000) -> list[Prediction]:
    samples = [tiny.in_seconds(f"test/{i}", (10.0, 20.0), (11.0, 12.0)) for i in range(count)]
    return list(Random(Options(draw), 1).predict(samples))


def test_two_cuts_are_two_uniform_points_in_order() -> None:
    """Of two uniform points the lesser has mean 1/3 and the greater 2/3, each with variance 1/18."""
    points = np.array([prediction.segments[0][:2] for prediction in many("cuts")]) / 10 - 1
    assert points.mean(axis=0) == pytest.approx([1 / 3, 2 / 3], abs=5 * (1 / 18 / 4000) ** 0.5)
    assert points.var(axis=0) == pytest.approx([1 / 18, 1 / 18], rel=0.15)


def test_an_independent_pair_is_reversed_half_of_the_time_and_then_no_answer() -> None:
    predictions = many("independent")
    unanswered = sum(not prediction.segments for prediction in predictions)
    assert unanswered == pytest.approx(2000, abs=5 * 1000**0.5)


def test_without_a_grid_a_pair_is_two_cuts() -> None:
    assert many("pair", 50) == many("cuts", 50)


def test_the_seed_is_the_chance() -> None:
    one, same, other = (list(Random(Options(), seed).predict(SAMPLES)) for seed in (0, 0, 1))
    assert one == same != other


def test_a_window_without_an_end_is_said_to_be_none() -> None:
    sample = tiny.in_seconds("test/open", (0.0, None), (1.0, 2.0))
    for method in (Random(Options(), 0), FullWindow(NoOptions(), 0), StatisticalPrior(NoOptions(), 0)):
        with pytest.raises(InputError, match="window without an end"):
            list(method.predict([sample]))


# ---- the others -----------------------------------------------------------------------------------------------------


def test_the_prior_is_the_mean_place() -> None:
    train = [tiny.on_rows("a", (0, 10), (1, 5)), tiny.on_rows("b", (10, 30), (20, 30)),
             tiny.in_seconds("c", (2.0, 12.0), (5.0, 6.0), label="x")]  # fmt: skip
    method = StatisticalPrior(NoOptions(), 0)
    # starts 1/10, 10/20, 3/10; ends 5/10, 20/20, 4/10
    assert method.fit(train, ()) == {"start": pytest.approx(0.3), "end": pytest.approx(1.9 / 3), "samples": 3}
    (answer,) = method.predict([tiny.in_seconds("d", (100.0, 130.0), (101.0, 102.0))])
    assert answer.segments == ((pytest.approx(109), pytest.approx(119), 1.0),)
    with pytest.raises(InputError, match="train"):
        StatisticalPrior(NoOptions(), 0).fit((), ())


def test_the_prior_knows_no_order() -> None:
    methods = [StatisticalPrior(NoOptions(), 0) for _ in range(2)]
    one, other = (m.fit(s, ()) for m, s in zip(methods, (SAMPLES, SAMPLES[::-1]), strict=True))
    assert one == other


def test_the_full_window() -> None:
    assert [p.segments for p in METHODS["full-window"].predict(SAMPLES[-1:])] == [((2.0, 9.0, 1.0),)]


def test_the_oracle_says_all_targets_with_labels_where_classes_are_asked() -> None:
    asked = Sample("a", Query("classes", vocabulary="all"), Window("v", 0, 9), (Target(1, 2, "x"), Target(3, 4, "y")))
    (answer,) = METHODS["oracle"].predict([asked])
    assert answer == Prediction("a", ((1, 2, 1.0), (3, 4, 1.0)), ("x", "y"))


# ---- the released split ---------------------------------------------------------------------------------------------


def released(path: Path) -> Iterable[Sample]:
    """The released files say where a window lies in its video, and where the target lies in the window, in rows."""
    for place, row in enumerate(json.loads(path.read_text(encoding="utf-8"))):
        (low, high), (first, last) = row["location"], row["groundtruth"]
        yield tiny.on_rows(f"train/{row['id']}/{low}-{high}/{place}", (low, high), (low + first, low + last))


@pytest.mark.real
def test_the_released_training_split_gives_the_papers_two_numbers(real_data: Path) -> None:
    """AAAI 2020, Table 4 prints 0.3265 and 0.6509; the released file gives 0.3267 and 0.6510."""
    train = list(released(real_data / "relocalization" / "train.json"))
    fitted = StatisticalPrior(NoOptions(), 0).fit(train, ())
    assert fitted["samples"] == 7_593
    assert round(fitted["start"], 4) == 0.3267
    assert round(fitted["end"], 4) == 0.6510

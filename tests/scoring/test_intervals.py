"""Intervals: exact ones against scipy's, bootstrap ones by what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from activity_bench.scoring.intervals import DRAWS, NORMAL_FROM, bootstrap_means, exact_share
from activity_bench.scoring.moments import evaluate, intervals

pytestmark = pytest.mark.quick

SIZES = (1, 2, 3, 10, 97, 978, 9_400, 100_003, 1_000_000)


@pytest.mark.parametrize("n", SIZES)
def test_a_share_has_clopper_and_pearsons_interval(n: int) -> None:
    for k in sorted({0, 1, 2, n // 1000, n // 10, n // 3, n // 2, n - n // 7, n - 2, n - 1, n} & set(range(n + 1))):
        expected = binomtest(k, n).proportion_ci(0.95, method="exact")
        assert exact_share(k, n) == pytest.approx((expected.low, expected.high), abs=1e-9), (k, n)


@given(st.integers(1, 3000), st.floats(0, 1), st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999]))
def test_at_every_level(n: int, share: float, level: float) -> None:
    k = round(share * n)
    expected = binomtest(k, n).proportion_ci(level, method="exact")
    assert exact_share(k, n, level) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(st.integers(1, 3000), st.floats(0, 1))
def test_hits_and_misses_mirror_each_other(n: int, share: float) -> None:
    k = round(share * n)
    low, high = exact_share(k, n)
    mirrored = exact_share(n - k, n)
    assert (1 - high, 1 - low) == pytest.approx(mirrored, abs=1e-12)
    assert 0 <= low <= k / n <= high <= 1


@pytest.mark.parametrize(("hits", "n"), [(1, 0), (-1, 3), (4, 3), (0, 0)])
def test_a_share_of_nothing_is_refused(hits: int, n: int) -> None:
    with pytest.raises(ValueError, match="of"):
        exact_share(hits, n)


def test_the_bootstrap_covers_what_it_says() -> None:
    """300 samples of 60 numbers whose mean is known: the interval holds it 95 times of 100, give or take."""
    rng = np.random.default_rng(7)
    values = rng.beta(0.8, 1.2, size=(60, 300))  # (n, c): each column is a sample, mean 0.4
    covered = [low <= 0.4 <= high for low, high in bootstrap_means(values, 3, draws=1000)]
    # percentile intervals of 60 numbers fall a point or two short; five standard errors of 300 trials are 6 points
    assert 0.87 <= np.mean(covered) <= 1.0


def test_the_bootstrap_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(1).random((4000, 1))
    ((low, high),) = bootstrap_means(values, 0)
    expected = 2 * 1.96 * values.std() / np.sqrt(4000)
    assert high - low == pytest.approx(expected, rel=0.06)  # 2,000 draws know a quantile's place to some 3 %
    assert low < values.mean() < high


def test_many_samples_take_the_normal_interval_which_is_the_same() -> None:
    values = np.random.default_rng(1).random((NORMAL_FROM, 1))
    few, many = bootstrap_means(values[:-1], 0, draws=400), bootstrap_means(values, 0)
    assert few == pytest.approx(many, abs=3e-4)
    margin = 1.959963984540054 * values.std() / np.sqrt(NORMAL_FROM)  # scipy.stats.norm.ppf(0.975)
    assert many[0] == pytest.approx([values.mean() - margin, values.mean() + margin], abs=1e-12)


def test_the_bootstrap_is_chance_by_seed_alone() -> None:
    values = np.random.default_rng(5).random((200, 2))
    one = bootstrap_means(values, 0)
    assert np.array_equal(one, bootstrap_means(values.copy(), 0))
    assert not np.array_equal(one, bootstrap_means(values, 1))
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(200)
        assert np.array_equal(one, bootstrap_means(values[order], 0))


def test_columns_share_their_draws() -> None:
    values = np.random.default_rng(5).random((100, 1))
    both = bootstrap_means(np.hstack([values, values + 1]), 0)
    assert both[1] == pytest.approx(both[0] + 1, abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 1000])
def test_what_does_not_vary_has_no_width(n: int) -> None:
    ((low, high),) = bootstrap_means(np.full((n, 1), 0.375), 0)
    assert (low, high) == (0.375, 0.375)
    assert DRAWS >= 1000


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_every_score_has_an_interval_around_it(ious: list[float]) -> None:
    values = np.array(ious)
    found, scores = intervals(values), evaluate(values)
    assert list(found) == list(scores)
    for name, (low, high) in found.items():
        assert -1e-12 <= low <= high <= 1 + 1e-12
        if name != "mIoU" and name != "top1-mAP":
            assert low <= scores[name] <= high

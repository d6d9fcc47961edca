"""Paired tests: against scipy's, against what they promise, and against a plain enumeration."""

from __future__ import annotations

from itertools import product
from statistics import stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, permutation_test

from activity_bench.scoring.compare import (
    EXACT_UP_TO,
    FLIPS,
    NORMAL,
    POWER,
    holm,
    paired,
    resampled,
    sign_flips,
)
from activity_bench.scoring.intervals import NORMAL_FROM, of_means
from activity_bench.segments import Floats

QUICK = pytest.mark.quick


def plainly(differences: list[float], clusters: list[int]) -> float:
    """p by trying every assignment of signs to clusters, in plain Python and whole numbers."""
    sums: dict[int, int] = {}
    for value, cluster in zip(differences, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0) + round(value * 4)
    flips = list(product((1, -1), repeat=len(sums)))
    seen = abs(sum(sums.values()))
    return sum(abs(sum(s * v for s, v in zip(f, sums.values(), strict=True))) >= seen for f in flips) / len(flips)


@QUICK
@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(0, 5)), min_size=1, max_size=12))
def test_sign_flips_as_all_of_them_written_out(rows: list[tuple[int, int]]) -> None:
    differences, clusters = [value / 4 for value, _ in rows], [cluster for _, cluster in rows]
    ((found),) = sign_flips(np.array(differences)[:, None], np.array(clusters))
    assert found == plainly(differences, clusters)


@QUICK
@pytest.mark.parametrize("n", [6, 12])
def test_sign_flips_as_scipys(n: int) -> None:
    rng = np.random.default_rng(n)
    for _ in range(5):
        a, b = rng.random((2, n))
        expected = permutation_test(
            (a, b), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples", n_resamples=10_000,
            vectorized=True,
        )  # fmt: skip
        assert sign_flips((a - b)[:, None], None) == pytest.approx(expected.pvalue, abs=1e-12)


@QUICK
def test_drawn_flips_agree_with_all_of_them() -> None:
    differences = np.random.default_rng(3).normal(0.3, 1, (EXACT_UP_TO, 4))
    exact = sign_flips(differences, None)
    doubled = np.concatenate([differences, np.full((1, 4), 1e-9)])  # one video too many to try all
    drawn = sign_flips(doubled, None)
    assert drawn == pytest.approx(exact, abs=4 * 0.5 / np.sqrt(FLIPS))
    assert not np.array_equal(drawn, exact)


@QUICK
def test_many_videos_take_the_normal_distribution_which_is_the_same() -> None:
    differences = np.random.default_rng(4).normal(0, 1, (NORMAL_FROM, 6)) + np.linspace(0, 3, 6) / np.sqrt(NORMAL_FROM)
    many, few = sign_flips(differences, None), sign_flips(differences[:-1], None, 0, 400)
    assert many == pytest.approx(few, abs=4 * 0.5 / np.sqrt(400))
    assert sign_flips(differences + 1, None) == pytest.approx(np.full(6, 1 / (1 + FLIPS)))
    assert sign_flips(np.zeros((NORMAL_FROM, 1)), None) == 1.0


@QUICK
def test_p_is_never_0_and_1_where_nothing_differs() -> None:
    assert sign_flips(np.ones((500, 1)), None) == 1 / (1 + FLIPS)
    assert sign_flips(np.ones((10, 1)), None) == 2 / 2**10
    assert sign_flips(np.zeros((500, 1)), None) == 1.0
    assert sign_flips(np.ones((50, 1)), np.zeros(50, np.int64)) == 1.0  # one video tells nothing


@QUICK
@pytest.mark.parametrize("each", [1, 3])
def test_order_and_names_mean_nothing_and_swapping_turns_the_sign(each: int) -> None:
    rng = np.random.default_rng(5)
    a, b = (rng.random((90, 3)) > [[0.3, 0.5, 0.6]]).astype(float), rng.random((90, 3))
    video = np.arange(90) // each
    one = paired(a, b, video)
    order, renamed = rng.permutation(90), rng.permutation(500)[video]
    assert paired(a[order], b[order], renamed[order]) == one
    assert paired(a[:, 1:2], b[:, 1:2], video) == one[1:2]  # what else is compared means nothing, either
    turned = paired(b, a, video)
    for x, y in zip(one, turned, strict=True):
        assert (x.baseline, x.score, x.difference, x.smallest) == (y.score, y.baseline, -y.difference, y.smallest)
        assert x.p == pytest.approx(y.p, abs=0.02)  # other draws
        assert (x.low, x.high) == pytest.approx((-y.high, -y.low), abs=0.02)
    assert paired(a, b, video, 1) != one


@pytest.mark.check
@pytest.mark.parametrize(("videos", "each"), [(300, 1), (100, 5)])
def test_where_nothing_is_to_be_found_one_in_twenty_is(videos: int, each: int) -> None:
    """4,000 pairs of equally good methods, whose answers to one video are alike."""
    rng = np.random.default_rng(11)
    of_video = np.repeat(rng.normal(0, 1, (videos, 4000)), each, axis=0)
    differences = of_video + rng.normal(0, 0.5, of_video.shape)
    video = np.repeat(np.arange(videos), each)
    assert 0.04 <= (sign_flips(differences, video) < 0.05).mean() <= 0.06
    bounds = of_means(differences, video)
    assert 0.93 <= ((bounds[:, 0] <= 0) & (bounds[:, 1] >= 0)).mean() <= 0.97
    if each > 1:  # as strangers, twins would find three times as many
        assert (sign_flips(differences, None) < 0.05).mean() > 0.15


@pytest.mark.check
def test_four_of_five_sets_show_the_difference_that_they_can_show() -> None:
    rng = np.random.default_rng(12)
    noise = rng.normal(0, 1, (300, 1000))
    smallest = paired(np.zeros((300, 1)), noise[:, :1], None)[0].smallest
    assert smallest == pytest.approx((norm.ppf(0.975) + norm.ppf(0.8)) / np.sqrt(300), rel=0.1)
    p = sign_flips(noise + 2.8016 / np.sqrt(300), None)
    assert 0.76 <= (p < 0.05).mean() <= 0.84
    assert pytest.approx([norm.ppf(0.975), norm.ppf(0.8)], abs=1e-15) == [NORMAL, POWER]


@QUICK
@pytest.mark.parametrize(
    ("ps", "adjusted"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # Holm 1979: 4 x .005, 3 x .01, 2 x .03, 1 x .04
        ([0.2], [0.2]), ([], []), ([0.5, 0.9, 0.6], [1.0, 1.0, 1.0]), ([0.02, 0.02], [0.04, 0.04]),
    ],
)  # fmt: skip
def test_holm(ps: list[float], adjusted: list[float]) -> None:
    assert holm(ps) == pytest.approx(adjusted, abs=1e-15)


@QUICK
def test_resampling_of_means_is_the_bootstrap_of_means() -> None:
    rng = np.random.default_rng(8)
    base, others = rng.random((200, 2)), [rng.random((200, 2)), rng.random((200, 2)) + 0.05]

    def scores(weights: Floats | None) -> Floats | None:
        weights = np.ones(200) if weights is None else weights
        return np.array([weights @ one / 200 for one in (base, *others)])

    for found, other in zip(resampled(scores, 200, 0, 2000), others, strict=True):
        for one, direct in zip(found, paired(base, other, None), strict=True):
            assert (one.low, one.high) == pytest.approx((direct.low, direct.high), abs=0.012)  # other draws
            assert one.difference == pytest.approx(direct.difference, abs=1e-12)
            assert one.smallest == pytest.approx(direct.smallest, rel=0.08)
            assert one.p == pytest.approx(direct.p, abs=0.06)
            assert one.p >= 2 / 2001


@QUICK
def test_draws_without_a_score_are_left_out() -> None:
    def scores(weights: Floats | None) -> Floats | None:
        return None if weights is not None and weights[0] == 0 else np.array([[0.5], [0.75]])

    ((one,),) = resampled(scores, 5, 0, 200)
    assert (one.low, one.high, one.difference) == (0.25, 0.25, 0.25)
    assert 2 / 201 < one.p < 0.05  # of fewer than 200 draws
    with pytest.raises(ValueError, match="no score"):
        resampled(lambda weights: None, 5)


@QUICK
@given(st.lists(st.integers(-3, 9), min_size=2, max_size=60))
def test_what_is_said_of_draws_is_said_of_those_drawn(drawn: list[int]) -> None:
    """The middle 95 %, twice the share on the rarer side with the one seen, and 2.8 standard deviations of them."""
    scores = iter([[[0.5], [0.75]], *([[1.0], [1.0 + one / 4]] for one in drawn)])
    ((one,),) = resampled(lambda weights: np.array(next(scores)), 5, 0, len(drawn))
    low, high = np.quantile(np.array(drawn) / 4, [0.025, 0.975])
    rarer = min(sum(value <= 0 for value in drawn), sum(value >= 0 for value in drawn))
    assert (one.baseline, one.score, one.difference) == (0.5, 0.75, 0.25)
    assert (one.low, one.high) == pytest.approx((low, high), abs=1e-12)
    assert one.p == min(1.0, 2 * (1 + rarer) / (1 + len(drawn)))
    assert one.smallest == pytest.approx((norm.ppf(0.975) + norm.ppf(0.8)) * stdev(drawn) / 4, abs=1e-12)

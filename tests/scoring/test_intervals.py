"""Intervals: exact ones against scipy's, bootstrap ones by what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import beta, binom, binomtest

from activity_bench.scoring.intervals import (
    DRAWS,
    NORMAL_FROM,
    cluster_counts,
    exact_share,
    of_means,
    of_shares,
    standard_errors,
)
from activity_bench.scoring.moments import evaluate, intervals
from activity_bench.segments import Floats

QUICK = pytest.mark.quick
SIZES = (1, 2, 3, 10, 97, 978, 9_400, 100_003, 1_000_000)


@QUICK
@pytest.mark.parametrize("n", SIZES)
def test_a_share_has_clopper_and_pearsons_interval(n: int) -> None:
    for k in sorted({0, 1, 2, n // 1000, n // 10, n // 3, n // 2, n - n // 7, n - 2, n - 1, n} & set(range(n + 1))):
        expected = binomtest(k, n).proportion_ci(0.95, method="exact")
        assert exact_share(k, n) == pytest.approx((expected.low, expected.high), abs=1e-9), (k, n)


@QUICK
@given(st.integers(1, 3000), st.floats(0, 1), st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999]))
def test_at_every_level(n: int, share: float, level: float) -> None:
    k = round(share * n)
    expected = binomtest(k, n).proportion_ci(level, method="exact")
    assert exact_share(k, n, level) == pytest.approx((expected.low, expected.high), abs=1e-9)


@QUICK
@given(st.integers(1, 3000), st.floats(0, 1))
def test_hits_and_misses_mirror_each_other(n: int, share: float) -> None:
    k = round(share * n)
    low, high = exact_share(k, n)
    mirrored = exact_share(n - k, n)
    assert (1 - high, 1 - low) == pytest.approx(mirrored, abs=1e-12)
    assert 0 <= low <= k / n <= high <= 1


@QUICK
@pytest.mark.parametrize(("hits", "n"), [(1, 0), (-1, 3), (4, 3), (0, 0)])
def test_a_share_of_nothing_is_refused(hits: int, n: int) -> None:
    with pytest.raises(ValueError, match="of"):
        exact_share(hits, n)


def clustered(seed: int, videos: int, each: int, mean: float, alike: float, sets: int) -> tuple[Floats, Floats]:
    """Zeros and ones whose chance is the video's own, and IoU-like values about it. (n, sets) each"""
    rng = np.random.default_rng(seed)
    spread = (1 - alike) / alike
    chance = np.repeat(rng.beta(mean * spread, (1 - mean) * spread, (videos, sets)), each, axis=0)
    return (rng.random(chance.shape) < chance).astype(float), 0.7 * chance + 0.3 * mean * 2 * rng.random(chance.shape)


def covered(bounds: Floats, truth: float) -> float:
    return float(((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])).mean())


@QUICK
@pytest.mark.parametrize("n", [30, 200])
def test_an_exact_share_covers_at_least_what_it_says_whatever_the_truth(n: int) -> None:
    """No simulation: the chance of each count is known. Conservative, as exact intervals are: 95 % or more."""
    low, high = np.array([exact_share(k, n) for k in range(n + 1)]).T
    for truth in np.linspace(0.001, 0.999, 333):
        chance = binom.pmf(np.arange(n + 1), n, truth)
        assert chance[(low <= truth) & (truth <= high)].sum() >= 0.95 - 1e-9


@QUICK
@example(1.0, 1 - 2**-53)
@given(st.floats(0.5, 400), st.floats(0, 1).filter(lambda share: share == 0 or share > 1e-300))  # scipy overflows
def test_hits_need_not_be_whole(n: float, share: float) -> None:
    k = share * n
    low, high = exact_share(k, n)
    assert low == pytest.approx(beta.ppf(0.025, k, n - k + 1) if k else 0.0, abs=1e-8)
    assert high == pytest.approx(beta.ppf(0.975, k + 1, n - k) if n - k > 1e-9 * n else 1.0, abs=1e-8)


@pytest.mark.check
@pytest.mark.parametrize(("n", "share"), [(60, 0.1), (300, 0.5), (978, 0.03)])
def test_a_thousand_made_up_shares(n: int, share: float) -> None:
    hits = np.random.default_rng(n).binomial(n, share, 1000)
    bounds = {int(k): exact_share(int(k), n) for k in set(hits)}
    assert covered(np.array([bounds[int(k)] for k in hits]), share) >= 0.95 - 0.01  # 1.5 standard errors of 1,000 sets


@pytest.mark.check
@pytest.mark.parametrize("n", [200, 500, 1000])
def test_four_thousand_made_up_means(n: int) -> None:
    values = np.random.default_rng(n).beta(0.4, 0.6, (n, 4000))  # like IoU: many near 0, many near 1
    assert 0.93 <= covered(of_means(values), 0.4) <= 0.97


@pytest.mark.check
@pytest.mark.parametrize(
    ("videos", "each", "mean", "alike"), [(200, 5, 0.5, 0.8), (600, 3, 0.2, 0.3), (400, 2, 0.8, 0.5)]
)
def test_a_thousand_made_up_splits_whose_videos_are_asked_more_than_once(
    videos: int, each: int, mean: float, alike: float
) -> None:
    hits, values = clustered(videos, videos, each, mean, alike, 1000)
    video = np.repeat(np.arange(videos), each)
    assert 0.93 <= covered(of_shares(hits, video), mean) <= 0.98  # a little conservative, like what it comes from
    assert 0.93 <= covered(of_means(values, video, 0, 1000), mean) <= 0.97
    if alike * each > 2:  # as if they were strangers, the intervals would promise too much
        assert covered(of_means(values, None, 0, 1000), mean) < 0.93


@pytest.mark.nightly
@pytest.mark.parametrize("alike", [0.05, 0.8])
@pytest.mark.parametrize("mean", [0.02, 0.5])
@pytest.mark.parametrize(("videos", "each"), [(200, 5), (500, 2), (1000, 4)])
def test_two_thousand_made_up_splits(videos: int, each: int, mean: float, alike: float) -> None:
    hits, values = clustered(7, videos, each, mean, alike, 2000)
    video = np.repeat(np.arange(videos), each)
    assert 0.93 <= covered(of_shares(hits, video), mean) <= 0.985
    if videos * mean * (1 - mean) * (1 - alike) > 15:  # else the means of so skewed values are not yet normal
        assert 0.93 <= covered(of_means(values, video), mean) <= 0.97


@QUICK
def test_as_much_is_beyond_one_end_as_beyond_the_other() -> None:
    half = np.random.default_rng(2).random((200, 1))
    ((low, high),) = of_means(np.concatenate([half, -half]), None, 0, 20_000)
    assert -low == pytest.approx(high, rel=0.04)  # a tail of a third in place of a half is 9 % further out


@QUICK
def test_the_bootstrap_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(1).random((4000, 1))
    ((low, high),) = of_means(values)
    expected = 2 * 1.96 * values.std() / np.sqrt(4000)
    assert high - low == pytest.approx(expected, rel=0.06)  # 2,000 draws know a quantile's place to some 3 %
    assert low < values.mean() < high


@QUICK
def test_a_video_that_is_asked_five_times_is_one_video() -> None:
    """The same answers five times over: the interval is that of the videos alone."""
    once = np.random.default_rng(2).random((300, 2))
    hits = (once > 0.6).astype(float)
    video = np.repeat(np.arange(300), 5)
    assert of_means(np.repeat(once, 5, axis=0), video) == pytest.approx(of_means(once), abs=1e-12)
    # n - 1 in the variance of the videos' means makes the effective number 299 of 300
    assert of_shares(np.repeat(hits, 5, axis=0), video) == pytest.approx(of_shares(hits), abs=2e-4)
    assert standard_errors(once, None) == pytest.approx(once.std(axis=0, ddof=1) / np.sqrt(300))


@QUICK
def test_all_or_nothing_counts_videos() -> None:
    video = np.repeat(np.arange(40), 5)
    assert of_shares(np.zeros((200, 1)), video)[0].tolist() == list(exact_share(0, 40))
    assert of_shares(np.ones((200, 1)), video)[0].tolist() == list(exact_share(40, 40))


@QUICK
@pytest.mark.parametrize("each", [1, 2])
def test_many_samples_take_the_normal_interval_which_is_the_same(each: int) -> None:
    values = np.random.default_rng(1).random((NORMAL_FROM * each, 1))
    video = np.arange(NORMAL_FROM * each) // each
    many, few = of_means(values, video), of_means(values[:-each], video[:-each], 0, 400)
    assert few == pytest.approx(many, abs=3e-4)
    of_video = values.reshape(-1, each).mean(axis=1)
    margin = 1.959963984540054 * of_video.std(ddof=1) / np.sqrt(NORMAL_FROM)  # scipy.stats.norm.ppf(0.975)
    assert many[0] == pytest.approx([values.mean() - margin, values.mean() + margin], abs=1e-12)


@QUICK
@pytest.mark.parametrize("each", [1, 4])
def test_the_bootstrap_is_chance_by_seed_alone(each: int) -> None:
    values = np.random.default_rng(5).random((200, 2))
    video = np.arange(200) // each
    one = of_means(values, video)
    assert np.array_equal(one, of_means(values.copy(), video))
    assert not np.array_equal(one, of_means(values, video, 1))
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(200)
        renamed = np.random.default_rng(seed).permutation(900)[video]  # numbers mean nothing, either
        assert np.array_equal(one, of_means(values[order], renamed[order]))
        assert np.array_equal(standard_errors(values, video), standard_errors(values[order], renamed[order]))


@QUICK
def test_a_draw_counts_as_many_videos_as_there_are() -> None:
    (counts,) = cluster_counts(7, 0, 500)
    assert counts.shape == (500, 7)
    assert (counts.sum(axis=1) == 7).all()
    assert counts.var() == pytest.approx(1 - 1 / 7, rel=0.1)  # of a binomial (7, 1/7)
    several = list(cluster_counts(3_000_000, 0, 2))
    assert [block.shape for block in several] == [(1, 3_000_000)] * 2  # bounded memory


@QUICK
def test_a_columns_interval_is_its_own() -> None:
    rng = np.random.default_rng(5)
    values, video = rng.random((100, 3)), rng.integers(0, 40, 100)
    alone = np.concatenate([of_means(values[:, [j]], video) for j in range(3)])
    assert np.array_equal(of_means(values, video), alone)
    assert of_means(values + 1, video) == pytest.approx(alone + 1, abs=1e-12)


@QUICK
@pytest.mark.parametrize("n", [1, 2, 1000])
def test_what_does_not_vary_has_no_width(n: int) -> None:
    ((low, high),) = of_means(np.full((n, 1), 0.375))
    assert (low, high) == (0.375, 0.375)
    assert DRAWS >= 1000


@QUICK
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_every_score_has_an_interval_around_it(ious: list[float]) -> None:
    values = np.array(ious)
    found, scores = intervals(values), evaluate(values)
    assert list(found) == list(scores)
    for name, (low, high) in found.items():
        assert -1e-12 <= low <= high <= 1 + 1e-12
        if name != "mIoU" and name != "top1-mAP":
            assert low <= scores[name] <= high

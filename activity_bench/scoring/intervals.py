"""95 % intervals: exact ones for shares, a seeded bootstrap for means, both by video. Pure numpy.

What is drawn is a video: samples that share one are alike, and count as less than as many strangers would. `clusters`
has a code for each sample's video; where no two samples share one, it changes nothing.

`of_means` is the percentile bootstrap: videos are drawn with replacement, and the middle 95 % of the drawn means is the
interval. `exact_share` is Clopper and Pearson's: the shares p under which a count as extreme as the one seen has a
chance of at least 2.5 % on either side; it covers 95 % or more. It needs the incomplete beta function, a sum of
binomial terms; scipy has it, and is too large a dependency for one function, so the sum is taken here (and compared
with scipy's in the tests). `of_shares` is that interval with the number of samples divided by the design effect where
samples share videos (Korn and Graubard 1998): a bootstrap of few hits is too narrow, and of none has no width.

Deviations from the mean are rounded to a binary grid, 2^-51 of the largest sum that can come up, so that sums are exact
in any order: the bytes do not depend on how a machine adds, nor on the order of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import fsum, lgamma, log, log1p

import numpy as np
from numpy.typing import NDArray

from activity_bench.segments import Floats

Ints = NDArray[np.int64]

LEVEL = 0.95
DRAWS = 2000
NORMAL = 1.959963984540054  # the normal distribution's 97.5 % quantile
NORMAL_FROM = 50_000  # videos; from here on the bootstrap's interval is the normal one to three digits


# ---- shares ---------------------------------------------------------------------------------------------------------


def exact_share(hits: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Clopper-Pearson interval of `hits` out of `n`; neither need be whole."""
    if not 0 <= hits <= n or n <= 0:
        raise ValueError(f"{hits} of {n}")
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else _solve(lambda p: _upper_tail(hits, n, p) - tail)
    high = 1.0 if n - hits <= 1e-9 * n else _solve(lambda p: _upper_tail(hits + 1, n, p) - (1 - tail))
    return low, high


def of_shares(columns: Floats, clusters: Ints | None = None, level: float = LEVEL) -> Floats:
    """Intervals of the share of ones in each column of zeros and ones. (n, c), (n,) -> (c, 2)

    A share of samples that share videos has the interval of n / d samples, where d is how many times larger its
    variance is than that of as many strangers. All or nothing has no variance, and counts videos.
    """
    n = len(columns)
    if clusters is None or np.bincount(clusters).max() == 1:
        return np.array([exact_share(float(column.sum()), n, level) for column in columns.T])
    videos = len(np.unique(clusters))
    shares, errors = columns.mean(axis=0), standard_errors(columns, clusters)
    effective = [p * (1 - p) / e**2 if e else n if 0 < p < 1 else videos for p, e in zip(shares, errors, strict=True)]
    return np.array([exact_share(p * m, m, level) for p, m in zip(shares, np.minimum(effective, n), strict=True)])


def _solve(rising: Callable[[float], float], low: float = 0.0, high: float = 1.0) -> float:
    """The root of a rising function, by bisection to the last bit that matters."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2


def _upper_tail(k: float, n: float, p: float) -> float:
    """P(X >= k) for X binomial (n, p): I_p(k, n - k + 1)."""
    if p <= 0.0 or p >= 1.0:
        return float(p >= 1.0)
    if p > (k + 1) / (n + 2):  # the shorter tail converges fast
        return 1.0 - _fraction(n - k + 1, k, 1 - p)
    return _fraction(k, n - k + 1, p)


def _fraction(a: float, b: float, x: float) -> float:
    """The incomplete beta function I_x(a, b) by Lentz's continued fraction, for x below (a + 1) / (a + b + 2)."""
    front = lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)
    tiny, c = 1e-300, 1.0
    d = 1.0 - (a + b) * x / (a + 1)
    d = 1.0 / (d if abs(d) > tiny else tiny)
    value = d
    for m in range(1, 10_000):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 + step * d
            c = 1.0 + step / c
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = c if abs(c) > tiny else tiny
            value *= d * c
        if abs(d * c - 1.0) < 1e-15:
            break
    return float(np.exp(front)) * value / a


# ---- means ----------------------------------------------------------------------------------------------------------


def of_means(
    columns: Floats, clusters: Ints | None = None, seed: int = 0, draws: int = DRAWS, level: float = LEVEL
) -> Floats:
    """Percentile intervals of the column means, videos drawn with replacement. (n, c), (n,) -> (c, 2)

    A column's interval depends on that column alone, and neither on the order of the samples nor on what numbers name
    the clusters.
    """
    means = column_means(columns)
    sums, sizes, scale = cluster_sums(columns - means, clusters)
    if len(sizes) >= NORMAL_FROM:
        if level != LEVEL:
            raise ValueError(f"so many videos have an interval of {LEVEL} alone")
        margin = NORMAL * standard_errors(columns, clusters)
        return np.stack([means - margin, means + margin], axis=1)
    order = np.stack([np.lexsort((sizes, column)) for column in sums.T], axis=1)  # (g, c)
    sums, weights = np.take_along_axis(sums, order, axis=0), sizes[order]
    drawn = [counts @ sums / (counts @ weights) for counts in cluster_counts(len(sizes), seed, draws)]
    tails = [(1 - level) / 2, (1 + level) / 2]
    return means[:, None] + (np.quantile(np.concatenate(drawn), tails, axis=0) / scale).T


def column_means(columns: Floats) -> Floats:
    """The exactly rounded mean of each column. (n, c) -> (c,)"""
    return np.array([fsum(column) / len(columns) for column in columns.T])


def cluster_sums(columns: Floats, clusters: Ints | None) -> tuple[Floats, Floats, Floats]:
    """Each column's sum in each cluster, the clusters' sizes, and the scales. (n, c) -> (g, c), (g,), (c,)

    The sums are whole numbers: sums of the values, times the scale (a power of two). Any g of them add up exactly.
    """
    n, c = columns.shape
    place = np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    sizes = np.bincount(place)
    most = np.abs(columns).max(axis=0, initial=0.0) * sizes.max() * len(sizes)
    scale = 2.0 ** np.minimum(51 - np.ceil(np.log2(np.where(most > 0, most, 1.0))), 1000)  # a float, whatever is tiny
    whole = np.rint(columns * scale)
    if clusters is not None:
        whole = np.stack([np.bincount(place, whole[:, j]) for j in range(c)], axis=1)
    return whole, sizes.astype(np.float64), scale


def cluster_counts(clusters: int, seed: int, draws: int) -> Iterator[Floats]:
    """How often each of g clusters comes up in g draws, for block after block of `draws`. Each (b, g)"""
    rng = np.random.Generator(np.random.Philox(key=seed))
    block = max(1, 4_000_000 // clusters)  # bounded memory
    for first in range(0, draws, block):
        drawn = rng.integers(0, clusters, size=(min(block, draws - first), clusters))
        counts = np.empty(drawn.shape)
        for row, places in enumerate(drawn):
            counts[row] = np.bincount(places, minlength=clusters)
        yield counts


def standard_errors(columns: Floats, clusters: Ints | None) -> Floats:
    """The standard error of each column's mean, videos being what varies. (n, c), (n,) -> (c,)

    sqrt(g / (g - 1) * sum over clusters of (sum of the deviations from the mean)^2) / n; 0 where there is one cluster.
    """
    sums, sizes, scale = cluster_sums(columns - column_means(columns), clusters)
    g = len(sizes)
    squares = np.array(
        [np.sort(column**2).sum() for column in sums.T]
    )  # sorted: in another order they add up otherwise
    return np.asarray(np.sqrt(squares * g / max(g - 1, 1)) / scale / len(columns), np.float64)

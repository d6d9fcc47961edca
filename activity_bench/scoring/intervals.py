"""95 % intervals: exact ones for shares, a seeded bootstrap for means. Pure numpy.

`exact_share` is Clopper and Pearson's: the shares p under which a count as extreme as the one seen has a chance of at
least 2.5 % on either side. It needs the incomplete beta function, which is a sum of binomial terms; scipy has it, and
is too large a dependency for one function, so the sum is taken here (and compared with scipy's in the tests).
"""

from __future__ import annotations

from collections.abc import Callable
from math import lgamma, log, log1p, sqrt

import numpy as np

from activity_bench.segments import Floats

LEVEL = 0.95
DRAWS = 2000
NORMAL_FROM = 50_000  # samples; from here on the bootstrap's interval is the normal one to three digits


def exact_share(hits: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Clopper-Pearson interval of `hits` out of `n`."""
    if not 0 <= hits <= n or n == 0:
        raise ValueError(f"{hits} of {n}")
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else _solve(lambda p: _upper_tail(hits, n, p) - tail)
    high = 1.0 if hits == n else _solve(lambda p: _upper_tail(hits + 1, n, p) - (1 - tail))
    return low, high


def _solve(rising: Callable[[float], float], low: float = 0.0, high: float = 1.0) -> float:
    """The root of a rising function, by bisection to the last bit that matters."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2


def _upper_tail(k: int, n: int, p: float) -> float:
    """P(X >= k) for X binomial (n, p): I_p(k, n - k + 1)."""
    if p <= 0.0 or p >= 1.0:
        return float(p >= 1.0)
    if p > (k + 1) / (n + 2):  # the shorter tail converges fast
        return 1.0 - _fraction(n - k + 1, k, 1 - p)
    return _fraction(k, n - k + 1, p)


def _fraction(a: int, b: int, x: float) -> float:
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


def bootstrap_means(values: Floats, seed: int, draws: int = DRAWS, level: float = LEVEL) -> Floats:
    """Percentile intervals of the column means, samples drawn with replacement. (n, c) -> (c, 2)

    The columns share their draws. The samples are sorted first, so that the order of a file means nothing.
    """
    n, columns = values.shape
    values = values[np.lexsort(values.T)]
    tails = [(1 - level) / 2, (1 + level) / 2]
    if n >= NORMAL_FROM:
        margin = 1.959963984540054 * values.std(axis=0) / sqrt(n)
        return np.stack([values.mean(axis=0) - margin, values.mean(axis=0) + margin], axis=1)
    rng = np.random.Generator(np.random.Philox(key=seed))
    chunk = max(1, 4_000_000 // n)  # bounded memory: 4 M indices at a time
    means = np.empty((draws, columns))
    for first in range(0, draws, chunk):
        drawn = rng.integers(0, n, size=(min(chunk, draws - first), n), dtype=np.int32)
        means[first : first + chunk] = values[drawn].mean(axis=1)
    return np.quantile(means, tails, axis=0).T

"""Two methods on the same samples: the difference, its interval, and whether chance would show as much. Pure numpy.

Pairs: both methods answered every sample, so what counts is each sample's difference; how hard a sample is cancels.
What varies is the video: samples that share one are drawn, and flipped, together.

- interval: percentile bootstrap of the mean difference (`intervals.of_means`);
- p: if the two methods were alike, a video's difference could as well have had the other sign. p is the share of all
  sign flips whose mean difference is at least as far from 0 as the one seen: all of them where there are at most 2^16,
  else 9,999 drawn ones and the one seen itself, (1 + hits) / (1 + 9,999), which can never be 0. From 50,000 videos on,
  the normal distribution that such flips have, and never a smaller p than theirs;
- the smallest difference that this set can show: (z_.975 + z_.8) * standard error = 2.80 standard errors of the paired
  difference. A true difference of that size would be found in 80 % of such sets, at p < .05;
- `holm` corrects p for the number of methods that are compared.

Average precision is no mean over samples: the detections of two methods compete inside a class and cannot be flipped
sample by sample. `resampled` draws videos, scores the methods on the same draws, and takes interval and p from the
differences: p is twice the share of draws on the far side of 0, one more than there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import erfc

import numpy as np

from activity_bench.scoring.intervals import (
    LEVEL,
    NORMAL,
    NORMAL_FROM,
    Ints,
    cluster_counts,
    cluster_sums,
    column_means,
    of_means,
    standard_errors,
)
from activity_bench.segments import Floats

FLIPS = 9_999
EXACT_UP_TO = 16  # videos that differ: 2^16 sign flips are all tried
POWER = 0.8416212335729143  # the normal distribution's 80 % quantile
RESAMPLES = 1000


@dataclass(frozen=True)
class Difference:
    """What a method scores more than the baseline, in one metric."""

    baseline: float
    score: float
    difference: float
    low: float
    high: float
    p: float
    smallest: float  # the smallest difference that this set can show


def paired(baseline: Floats, method: Floats, clusters: Ints | None, seed: int = 0) -> list[Difference]:
    """The difference in each metric, from its values of the same samples. (n, c), (n, c), (n,)"""
    difference = method - baseline
    bounds = of_means(difference, clusters, seed)
    smallest = (NORMAL + POWER) * standard_errors(difference, clusters)
    columns = zip(
        column_means(baseline), column_means(method), column_means(difference), *bounds.T,
        sign_flips(difference, clusters, seed), smallest, strict=True,
    )  # fmt: skip
    return [Difference(*map(float, column)) for column in columns]


def sign_flips(difference: Floats, clusters: Ints | None, seed: int = 0, flips: int = FLIPS) -> Floats:
    """p of each column's mean difference, the signs of whole clusters flipped. (n, c), (n,) -> (c,)"""
    sums, _, _ = cluster_sums(difference, clusters)  # whole numbers: equal sums are equal
    sums = np.sort(sums, axis=0)  # so that neither order nor the other columns matter
    seen = np.abs(sums.sum(axis=0)) - len(difference)  # less what rounding can have added
    if len(sums) >= NORMAL_FROM:
        spread = np.sqrt(2 * (sums**2).sum(axis=0))
        normal = [erfc(t / s) if t > 0 else 1.0 for t, s in zip(seen, spread, strict=True)]
        return np.maximum(normal, 1 / (1 + flips))
    drawn = _drawn(sums, seen, seed, flips)
    signed = np.count_nonzero(sums, axis=0)  # a video without a difference has no sign
    for place in np.flatnonzero(signed <= EXACT_UP_TO):
        drawn[place] = _exact(sums[sums[:, place] != 0, place], seen[place])
    return drawn


def _exact(sums: Floats, seen: float) -> float:
    flipped = np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1
    return float((_spread(flipped.astype(np.float64), sums) >= seen).mean())


def _drawn(sums: Floats, seen: Floats, seed: int, flips: int) -> Floats:
    """p of each column from drawn flips. (g, c), (c,) -> (c,)"""
    g, hits = len(sums), np.zeros(sums.shape[1])
    rng = np.random.Generator(np.random.Philox(key=[seed, 1]))  # not the stream of the bootstrap
    block = max(1, 8_000_000 // g)  # bounded memory
    for first in range(0, flips, block):
        rows = min(block, flips - first)
        bits = np.unpackbits(np.frombuffer(rng.bytes((rows * g + 7) // 8), np.uint8), count=rows * g)
        hits += (_spread(bits.reshape(rows, g).astype(np.float64), sums) >= seen).sum(axis=0)
    return np.asarray((1 + hits) / (1 + flips), np.float64)


def _spread(flipped: Floats, sums: Floats) -> Floats:
    """How far from 0 a sum is once the clusters with a one have the other sign. (b, g), (g, c) -> (b, c)"""
    return np.asarray(np.abs(sums.sum(axis=0) - 2 * (flipped @ sums)), np.float64)


def resampled(
    scores: Callable[[Floats | None], Floats | None], samples: int, seed: int = 0, draws: int = RESAMPLES
) -> list[list[Difference]]:
    """The difference in each metric, method by method, from the scores under weights of the samples.

    `scores(weights)` has a row of metrics for the baseline and one for each method, (1 + methods, c), or None where
    these samples have no score; weights None are the samples as they are.
    """
    seen = scores(None)
    if seen is None:
        raise ValueError("no score to compare")
    found = (scores(weights) for block in cluster_counts(samples, seed, draws) for weights in block)
    drawn = np.array([one for one in found if one is not None])  # (draws, 1 + methods, c)
    return [_of_draws(seen[0], seen[i], drawn[:, i] - drawn[:, 0]) for i in range(1, len(seen))]


def _of_draws(baseline: Floats, score: Floats, differences: Floats) -> list[Difference]:
    """Interval, p and smallest difference from drawn ones. (c,), (c,), (draws, c)"""
    low, high = np.quantile(differences, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    sides = np.minimum((differences <= 0).sum(axis=0), (differences >= 0).sum(axis=0))
    p = np.minimum(1.0, 2 * (1 + sides) / (1 + len(differences)))
    smallest = (NORMAL + POWER) * differences.std(axis=0, ddof=1)
    columns = zip(baseline, score, score - baseline, low, high, p, smallest, strict=True)
    return [Difference(*map(float, column)) for column in columns]


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's adjusted p, in the order given: the smallest times the number of tests, the next times one less, …"""
    adjusted, largest = [0.0] * len(ps), 0.0
    for place, index in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        largest = max(largest, min(1.0, (len(ps) - place) * ps[index]))
        adjusted[index] = largest
    return adjusted

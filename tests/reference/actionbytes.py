"""CVPR 2020, section 3, and W-TALC's losses and thresholds a second time: one video, one row, one class after another,
in plain float64."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tests.reference.recurrence import Array, softmax

Segment = tuple[int, int]  # rows, half-open
Scored = tuple[int, int, int, float]  # first, last, class, score


def boundaries(latent: Array, percentile: float) -> list[int]:
    """Eq. 1, rows counted from 0."""
    change = [sum(abs(a - b) for a, b in zip(latent[t], latent[t - 1], strict=True)) for t in range(1, len(latent))]
    if not change:
        return []
    ordered, rank = sorted(change), (len(change) - 1) * percentile / 100
    low, high = ordered[math.floor(rank)], ordered[math.ceil(rank)]
    tau = low if rank == math.floor(rank) else low + (rank - math.floor(rank)) * (high - low)
    return [t for t, value in enumerate(change, 1) if value > tau]


def action_bytes(bounds: Sequence[int]) -> list[Segment]:
    """A_i = (B_i, B_{i+1} - 1), half-open."""
    return [(bounds[i], bounds[i + 1]) for i in range(len(bounds) - 1)]


def fixed(rows: int, length: int) -> list[Segment]:
    return [(first, min(first + length, rows)) for first in range(0, rows, length)]


def proposals(bounds: Sequence[Sequence[int]], merge: Sequence[int], rows: int) -> list[Segment]:
    """Eq. 2, jittered."""
    found = set()
    for own in bounds:
        for m in merge:
            for i in range(len(own) - m):
                for before in (0, 1):
                    for after in (0, 1):
                        found.add((max(own[i] - before, 0), min(own[i + m] + after, rows)))
    return sorted(found)


def k_max(values: Sequence[float]) -> float:
    k = max(1, math.ceil(len(values) / 8))
    return sum(sorted(values, reverse=True)[:k]) / k


def k_max_loss(activations: Sequence[Array], classes: Array) -> float:
    """W-TALC, Eqs. 3 to 5; (rows, C) of each video."""
    total = 0.0
    for own, marks in zip(activations, classes, strict=True):
        p = softmax(np.array([k_max(own[:, c]) for c in range(own.shape[1])]))
        total -= sum(math.log(p[c]) for c in range(len(marks)) if marks[c]) / sum(marks)
    return total / len(activations)


def co_activity_loss(latent: Sequence[Array], activations: Sequence[Array], classes: Array) -> float:
    """W-TALC, Eqs. 6 to 9, over every two videos and every class that both have."""
    losses = []
    for m in range(len(latent)):
        for n in range(m):
            for c in range(classes.shape[1]):
                if classes[m, c] and classes[n, c]:
                    high_m, low_m = _seen(latent[m], activations[m][:, c])
                    high_n, low_n = _seen(latent[n], activations[n][:, c])
                    near = _distance(high_m, high_n)
                    losses.append(
                        0.5 * max(0.0, near - _distance(high_m, low_n) + 0.5)
                        + 0.5 * max(0.0, near - _distance(high_n, low_m) + 0.5)
                    )
    return sum(losses) / len(losses) if losses else 0.0


def _seen(latent: Array, activation: Array) -> tuple[Array, Array]:
    active = softmax(activation)
    rest = (1 - active) / max(len(latent) - 1, 1)
    return active @ latent, rest @ latent


def _distance(a: Array, b: Array) -> float:
    sizes = max(float(np.linalg.norm(a)), 1e-8) * max(float(np.linalg.norm(b)), 1e-8)
    return 1 - float(a @ b) / sizes


def two_stage(activations: Array) -> list[Scored]:
    """Runs above both thresholds, scored as W-TALC's released code does; by class, then by row."""
    rows, count = activations.shape
    sure = [k_max(activations[:, c]) for c in range(count)]
    found = []
    for c in range(count):
        if sure[c] < sum(sure) / count and sure[c] < max(sure):
            continue
        high, low = max(activations[:, c]), min(activations[:, c])
        middle, first = high - (high - low) * 0.5, None
        for t in range(rows + 1):
            above = t < rows and activations[t, c] > middle
            if above and first is None:
                first = t
            if not above and first is not None:
                found.append((first, t, c, max(activations[first:t, c]) + 0.7 * sure[c]))
                first = None
    return found


def localised(activations: Array, pool: Sequence[Segment], overlap: float) -> list[Scored]:
    """With proposals of every class above the first threshold, and what overlaps suppressed."""
    count = activations.shape[1]
    sure = [k_max(activations[:, c]) for c in range(count)]
    found = two_stage(activations)
    for first, last in pool:
        for c in range(count):
            if sure[c] >= sum(sure) / count or sure[c] == max(sure):
                found.append((first, last, c, float(np.mean(activations[first:last, c])) + 0.7 * sure[c]))
    return suppress(found, overlap)


def suppress(found: Sequence[Scored], overlap: float) -> list[Scored]:
    """The best, less all of its class that overlap it, and again."""
    left, kept = sorted(found, key=lambda each: -each[3]), []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [each for each in left if each[2] != best[2] or not _overlap(each, best) > overlap]
    return kept


def _overlap(a: Scored, b: Scored) -> float:
    shared = max(0, min(a[1], b[1]) - max(a[0], b[0]))
    return shared / (a[1] - a[0] + b[1] - b[0] - shared)


def k_means(points: Array, centres: Array, rounds: int) -> tuple[Array, list[int], float]:
    """Lloyd's rounds from given centres; an empty cluster takes the farthest point that no other has taken."""
    count, before = len(centres), None
    for turn in range(rounds + 1):
        away = [[float(((x - c) ** 2).sum()) for c in centres] for x in points]
        label = [min(range(count), key=own.__getitem__) for own in away]
        if label == before or turn == rounds:
            break
        far = sorted(range(len(points)), key=lambda i: -away[i][label[i]])
        moved = []
        for c in range(count):
            own = [points[i] for i in range(len(points)) if label[i] == c]
            moved.append(np.mean(own, axis=0) if own else points[far.pop(0)])
        centres, before = np.array(moved), label
    return centres, label, sum(away[i][label[i]] for i in range(len(points))) / len(points)

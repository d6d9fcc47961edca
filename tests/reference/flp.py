"""Frame-level prediction a second time: one row after another, and every segment's product multiplied out."""

from __future__ import annotations

import numpy as np

from tests.reference.recurrence import Array, Weights, sigmoid


def chances(video: Array, whole: Array, w: Weights, layers: int) -> Array:
    """p of each row. (n,)"""
    found = []
    first = np.concatenate([w["of_row.weight"], w["of_image.weight"]], axis=1)  # of [v; f]
    for row in video:
        x = first @ np.concatenate([row, whole]) + w["of_row.bias"]
        for layer in range(layers - 1):
            x = w[f"deeper.{layer}.weight"] @ np.maximum(x, 0) + w[f"deeper.{layer}.bias"]
        found.append(float(sigmoid(w["judge.weight"] @ np.maximum(x, 0) + w["judge.bias"])[0]))
    return np.array(found)


def product(p: Array, first: int, last: int) -> float:
    """The score of a segment, as the paper writes it."""
    score = 1.0
    for i, chance in enumerate(p):
        score *= chance if first <= i < last else 1 - chance
    return score


def best(p: Array) -> tuple[int, int, float]:
    """The best of all segments, and the geometric mean of its product."""
    every = [(product(p, a, b), -b, a) for a in range(len(p)) for b in range(a + 1, len(p) + 1)]
    score, last, first = max(every)
    return first, -last, score ** (1 / len(p))

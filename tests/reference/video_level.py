"""The video-level baseline a second time: one segment after another, each read from its first row."""

from __future__ import annotations

import numpy as np

from tests.reference.recurrence import Array, Weights, lstm


def embedding(rows: Array, w: Weights) -> Array:
    last = lstm(rows, w, "lstm")[-1]
    return last / np.linalg.norm(last)


def best(video: Array, query: Array, w: Weights, longest: int) -> tuple[int, int, float]:
    """The segment most like the query, and their cosine."""
    asked, found = embedding(query, w), (0, 0, -2.0)
    for first in range(len(video)):
        for last in range(first + 1, min(len(video), first + longest) + 1):
            cosine = float(embedding(video[first:last], w) @ asked)
            if cosine > found[2]:
                found = (first, last, cosine)
    return found


def tiou(a: tuple[int, int], b: tuple[int, int]) -> float:
    rows, others = set(range(*a)), set(range(*b))
    return len(rows & others) / len(rows | others)


def triplet(query: Array, positive: Array, negative: Array, w: Weights, margin: float) -> float:
    q, p, n = (embedding(rows, w) for rows in (query, positive, negative))
    return max(0.0, float(((q - p) ** 2).sum() - ((q - n) ** 2).sum() + margin))

"""SST's proposals a second time: one row, one length after another."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from tests.reference.recurrence import Array, Weights, gru, sigmoid
from tests.reference.video_level import tiou

Grid = dict[tuple[int, int], float]  # (first, last) -> confidence


def proposals(video: Array, w: Weights, layers: int, stride: int) -> Grid:
    """Every proposal that lies within the video."""
    return _confidences(gru(video, w, "encode.gru", layers), w, stride)


def proposals_for(video: Array, whole: Array, w: Weights, layers: int, stride: int) -> Grid:
    """The same for an image, which is fused with every state."""
    f, fused = w["of_image.weight"] @ whole + w["of_image.bias"], []
    for h in gru(video, w, "encode.gru", layers):
        both = np.concatenate([h, f, h * f, h - f])
        fused.append(np.tanh(w["fuse.linear.weight"] @ both + w["fuse.linear.bias"]))
    return _confidences(fused, w, stride)


def _confidences(states: Iterable[Array], w: Weights, stride: int) -> Grid:
    found = {}
    for last, state in enumerate(states, start=1):
        confidences = sigmoid(w["propose.weight"] @ state + w["propose.bias"])
        for j, confidence in enumerate(confidences, start=1):
            if last - j * stride >= 0:
                found[last - j * stride, last] = float(confidence)
    return found


def loss(grids: list[Grid], targets: list[tuple[int, int]], over: float = 0.5) -> float:
    """Weighted cross entropy; the weights of a length are the shares of right and wrong proposals of that length."""
    right: dict[int, list[bool]] = {}
    for grid, target in zip(grids, targets, strict=True):
        for first, last in grid:
            right.setdefault(last - first, []).append(tiou((first, last), target) > over)
    share = {length: (sum(said) + 1) / (len(said) + 2) for length, said in right.items()}
    samples = []
    for grid, target in zip(grids, targets, strict=True):
        terms = []
        for (first, last), c in grid.items():
            positive = share[last - first]
            if tiou((first, last), target) > over:
                terms.append(-(1 - positive) * math.log(c))
            else:
                terms.append(-positive * math.log(1 - c))
        samples.append(sum(terms) / max(len(terms), 1))
    return float(np.mean(samples))

"""C3D, I3D and Faster R-CNN a second time: one cell, one box, one part after another, in plain float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = Mapping[str, Array]
Pads = Sequence[tuple[int, int]]


def windows(x: Array, kernel: Sequence[int], stride: Sequence[int], pads: Pads, fill: float) -> Array:
    """Every place's cells: (C, …) -> (places …, C, cells of the kernel)."""
    x = np.pad(x, [(0, 0), *pads], constant_values=fill)
    sizes = [(n - k) // s + 1 for n, k, s in zip(x.shape[1:], kernel, stride, strict=True)]
    out = np.empty((*sizes, x.shape[0], math.prod(kernel)))
    for place in product(*map(range, sizes)):
        cut = tuple(slice(p * s, p * s + k) for p, k, s in zip(place, kernel, stride, strict=True))
        out[place] = x[(slice(None), *cut)].reshape(x.shape[0], -1)
    return out


def conv(x: Array, weight: Array, bias: Array | None, stride: int, pads: Pads) -> Array:
    """Cross-correlation, as networks call a convolution."""
    seen = windows(x, weight.shape[2:], [stride] * (x.ndim - 1), pads, 0.0)
    out = np.einsum("...ck,ock->o...", seen, weight.reshape(*weight.shape[:2], -1))
    return out if bias is None else out + bias.reshape(-1, *[1] * (x.ndim - 1))


def pool(x: Array, kernel: Sequence[int], stride: Sequence[int], pads: Pads, fill: float) -> Array:
    return np.moveaxis(windows(x, kernel, stride, pads, fill).max(axis=-1), -1, 0)


def relu(x: Array) -> Array:
    return np.maximum(x, 0.0)


def dense(x: Array, w: Weights, name: str) -> Array:
    return relu(w[f"{name}.weight"] @ x + w[f"{name}.bias"])


# ---- clips ----------------------------------------------------------------------------------------------------------


def c3d(x: Array, w: Weights) -> Array:
    """(3, T, H, W) -> fc7"""
    for name in ("conv1", "pool1", "conv2", "pool", "conv3a", "conv3b", "pool", "conv4a", "conv4b", "pool", "conv5a",
                 "conv5b", "pool5"):  # fmt: skip
        if name.startswith("conv"):
            x = relu(conv(x, w[f"{name}.weight"], w[f"{name}.bias"], 1, [(1, 1)] * 3))
        else:
            kernel = (1, 2, 2) if name == "pool1" else (2, 2, 2)
            edge = (1, 1) if name == "pool5" else (0, 0)
            x = pool(x, kernel, kernel, [(0, 0), edge, edge], -np.inf)
    return dense(dense(x.reshape(-1), w, "fc6"), w, "fc7")


def same(sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> list[tuple[int, int]]:
    """TensorFlow's documentation: out = ceil(in / stride), pad = max((out - 1) stride + kernel - in, 0)."""
    pads = []
    for n, k, s in zip(sizes, kernel, stride, strict=True):
        pad = max((math.ceil(n / s) - 1) * s + k - n, 0)
        pads.append((pad // 2, pad - pad // 2))
    return pads


def i3d(x: Array, w: Weights, mixed: Sequence[str]) -> Array:
    """(channels, T, H, W) -> the mean of the last maps"""

    def unit(x: Array, name: str, stride: int = 1) -> Array:
        weight = w[f"{name}.conv3d.weight"]
        x = conv(x, weight, None, stride, same(x.shape[1:], weight.shape[2:], [stride] * 3))
        mean, var, gain, bias = (
            w[f"{name}.bn.{part}"][:, None, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return relu((x - mean) / np.sqrt(var + 1e-3) * gain + bias)

    def pooled(x: Array, kernel: Sequence[int], stride: Sequence[int]) -> Array:
        return pool(x, kernel, stride, same(x.shape[1:], kernel, stride), 0.0)

    x = pooled(unit(x, "Conv3d_1a_7x7", 2), (1, 3, 3), (1, 2, 2))
    x = pooled(unit(unit(x, "Conv3d_2b_1x1"), "Conv3d_2c_3x3"), (1, 3, 3), (1, 2, 2))
    for name in mixed:
        if name == "Mixed_4b":
            x = pooled(x, (3, 3, 3), (2, 2, 2))
        if name == "Mixed_5b":
            x = pooled(x, (2, 2, 2), (2, 2, 2))
        branches = [unit(x, f"{name}.b0")]
        branches += [unit(unit(x, f"{name}.b{i}a"), f"{name}.b{i}b") for i in (1, 2)]
        branches += [unit(pooled(x, (3, 3, 3), (1, 1, 1)), f"{name}.b3b")]
        x = np.concatenate(branches)
    return np.asarray(x.reshape(len(x), -1).mean(axis=1))


# ---- boxes ----------------------------------------------------------------------------------------------------------


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Of boxes that are named by their first and last pixel."""
    sides = [min(a[i + 2], b[i + 2]) - max(a[i], b[i]) + 1 for i in (0, 1)]
    shared = max(sides[0], 0) * max(sides[1], 0)
    area_a, area_b = ((c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b))
    return shared / (area_a + area_b - shared)


def suppress(boxes: Any, scores: Any, threshold: float, most: int) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        if all(iou(boxes[i], boxes[j]) <= threshold for j in kept):
            kept.append(i)
    return kept[:most]


def roi_pool(maps: Array, box: Sequence[float], size: int, scale: float) -> Array:
    """The loop of Fast R-CNN's layer, with exact fractions of cells."""
    c, h, w = maps.shape
    x1, y1, x2, y2 = (math.floor(value * scale + 0.5) for value in box)
    width, height = max(x2 - x1 + 1, 1), max(y2 - y1 + 1, 1)
    out = np.zeros((c, size, size))
    for p, q in product(range(size), range(size)):
        top, bottom = y1 + p * height // size, y1 + math.ceil((p + 1) * height / size)
        left, right = x1 + q * width // size, x1 + math.ceil((q + 1) * width / size)
        cut = maps[:, max(top, 0) : min(max(bottom, 0), h), max(left, 0) : min(max(right, 0), w)]
        if cut.size:
            out[:, p, q] = cut.max(axis=(1, 2))
    return out


def roi_align(maps: Array, box: Sequence[float], size: int, scale: float) -> Array:
    """The loop of the layer's first release, samples as many as cells."""
    c, h, w = maps.shape
    x1, y1, x2, y2 = (value * scale for value in box)
    width, height = max(x2 - x1, 1.0), max(y2 - y1, 1.0)
    rows, columns = math.ceil(height / size), math.ceil(width / size)
    out = np.zeros((c, size, size))
    for p, q in product(range(size), range(size)):
        for i, j in product(range(rows), range(columns)):
            y = y1 + (p + (i + 0.5) / rows) * height / size
            x = x1 + (q + (j + 0.5) / columns) * width / size
            if -1 <= y <= h and -1 <= x <= w:
                out[:, p, q] += between(maps, min(max(y, 0), h - 1), min(max(x, 0), w - 1)) / (rows * columns)
    return out


def between(maps: Array, y: float, x: float) -> Array:
    y0, x0 = math.floor(y), math.floor(x)
    y1, x1 = min(y0 + 1, maps.shape[1] - 1), min(x0 + 1, maps.shape[2] - 1)
    top = maps[:, y0, x0] * (x0 + 1 - x) + maps[:, y0, x1] * (x - x0)
    bottom = maps[:, y1, x0] * (x0 + 1 - x) + maps[:, y1, x1] * (x - x0)
    return np.asarray(top * (y0 + 1 - y) + bottom * (y - y0))


# Shaoqing Ren's own anchors, as the released code quotes them; MATLAB counts pixels from 1.
ANCHORS = np.array([
    [-83, -39, 100, 56], [-175, -87, 192, 104], [-359, -183, 376, 200],
    [-55, -55, 72, 72], [-119, -119, 136, 136], [-247, -247, 264, 264],
    [-35, -79, 52, 96], [-79, -167, 96, 184], [-167, -343, 184, 360],
]) - 1.0  # fmt: skip


def faster_rcnn(
    x: Array, w: Weights, depths: Sequence[int], least: float, most: int,
    take: Callable[[Array, Sequence[float], int, float], Array] = roi_pool,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """(3, h, w) -> regions, boxes in pixels, the whole"""
    _, height, width = x.shape
    layer = 0
    for group, depth in enumerate(depths):
        if group:
            x, layer = pool(x, (2, 2), (2, 2), [(0, 0)] * 2, -np.inf), layer + 1
        for _ in range(depth):
            x = relu(conv(x, w[f"base.{layer}.weight"], w[f"base.{layer}.bias"], 1, [(1, 1)] * 2))
            layer += 2
    shared = relu(conv(x, w["rpn.weight"], w["rpn.bias"], 1, [(1, 1)] * 2))
    score, by = (conv(shared, w[f"{n}.weight"], w[f"{n}.bias"], 1, [(0, 0)] * 2) for n in ("rpn_score", "rpn_box"))
    found: list[tuple[float, list[float]]] = []
    for row, column, k in product(range(x.shape[1]), range(x.shape[2]), range(9)):
        no, yes = np.exp(score[[k, k + 9], row, column])
        x1, y1, x2, y2 = ANCHORS[k] + 16 * np.array([column, row, column, row])
        wide, high = x2 - x1 + 1, y2 - y1 + 1
        dx, dy, dw, dh = by[4 * k : 4 * k + 4, row, column]
        cx, cy = x1 + 0.5 * wide + dx * wide, y1 + 0.5 * high + dy * high
        half_w, half_h = 0.5 * wide * math.exp(dw), 0.5 * high * math.exp(dh)
        box = [max(cx - half_w, 0), max(cy - half_h, 0), cx + half_w, cy + half_h]
        box = [min(value, limit) for value, limit in zip(box, [width - 1, height - 1] * 2, strict=True)]
        box = [max(value, 0) for value in box]
        if box[2] - box[0] + 1 >= least and box[3] - box[1] + 1 >= least:
            found.append((yes / (no + yes), box))
    boxes = [box for _, box in found]
    kept = [boxes[i] for i in suppress(boxes, [score for score, _ in found], 0.7, 300)][:most]
    regions = [dense(dense(take(x, box, 7, 1 / 16).reshape(-1), w, "fc6"), w, "fc7") for box in kept]
    return np.array(regions), np.array(kept), x.mean(axis=(1, 2))

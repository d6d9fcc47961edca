"""IJCAI 2019, section 4, a second time: one question, one row, one equation after another, in plain float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.reference.recurrence import Array, Weights, softmax


def log_p(
    video: Array, regions: Array, boxes: Array, whole: Array, w: Weights, layers: int, heads: int, window: int,
    ba: bool = True,
) -> tuple[Array, Array]:  # fmt: skip
    """log p^s and log p^e, (n,) each. Whatever has no weights is left out; `window` of all rows is no window."""
    h_r = region_encoder(regions, boxes, whole, w)
    f = np.array([linear(row, w, "project") + encoding(i, w["project.bias"].size) for i, row in enumerate(video)])
    for k in range(layers):
        f = layer(f, h_r, w, f"layers.{k}", heads, window)
    n, found = len(f), []
    for name, seen in (("start", lambda i: range(i, n)), ("end", lambda i: range(i + 1))):
        h = aggregation(f, w, f"{name}.context", seen) if ba else f
        inner = [np.tanh(linear(row, w, f"{name}.w_inner")) for row in h]
        found.append(np.log(softmax(np.array([linear(row, w, f"{name}.w")[0] for row in inner]))))
    return found[0], found[1]


def linear(x: Array, w: Weights, name: str) -> Array:
    return w[f"{name}.weight"] @ x + w.get(f"{name}.bias", 0.0)


def layer_norm(x: Array, w: Weights, name: str) -> Array:
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]


def encoding(place: int, size: int) -> Array:
    """Vaswani et al., section 3.5: sines at even numbers, cosines at odd ones."""
    angles = [place / 10_000 ** ((number - number % 2) / size) for number in range(size)]
    return np.array([math.cos(a) if number % 2 else math.sin(a) for number, a in enumerate(angles)])


def relative(i: Array, j: Array) -> Array:
    """p^r_ij of two boxes."""
    return np.array([(i[0] - j[0]) / j[2], (i[1] - j[1]) / j[3], math.log(i[2] / j[2]), math.log(i[3] / j[3])])


def region_encoder(regions: Array, boxes: Array, whole: Array, w: Weights) -> Array:
    """H^r, (m, d); every W^r p_ij made in full."""
    r = np.array([linear(region, w, "regions.project") for region in regions])
    found = []
    for i in range(len(r)):
        h = np.zeros(r.shape[1])
        if "regions.position.weight" in w:
            moved = [r[j] + linear(relative(boxes[i], boxes[j]), w, "regions.position") for j in range(len(r))]
            alpha = softmax(np.array([r[i] @ row for row in moved]) / math.sqrt(r.shape[1]))
            h = sum(share * row for share, row in zip(alpha, moved, strict=True))
        found.append(layer_norm(h + r[i] + linear(whole, w, "regions.whole"), w, "regions.normalise"))
    return np.array(found)


def dot_attention(query: Array, keys: Array, values: Array) -> Array:
    """DotAtten of one query. (s,), (k, s), (k, s) -> (s,)"""
    alpha = softmax(np.array([query @ key for key in keys]) / math.sqrt(query.size))
    return sum(share * value for share, value in zip(alpha, values, strict=True))


def multi_head(asking: Array, seen: Array, w: Weights, name: str, heads: int, window: int | None) -> Array:
    """MultiHead, or LocalMultiHead: head by head, row by row."""
    size = asking.shape[1]
    w_q, (w_k, w_v), s = w[f"{name}.query.weight"], np.split(w[f"{name}.key_value.weight"], 2), size // heads
    rows = []
    for i, row in enumerate(asking):
        near = seen if window is None else seen[max(0, i - window) : i + window + 1]
        parts = [
            dot_attention(w_q[at] @ row, near @ w_k[at].T, near @ w_v[at].T)
            for at in (slice(h * s, (h + 1) * s) for h in range(heads))
        ]
        rows.append(linear(np.concatenate(parts), w, f"{name}.out"))
    return np.array(rows)


def layer(f: Array, h_r: Array, w: Weights, name: str, heads: int, window: int) -> Array:
    """Section 4.3, one layer; without its second sublayer where that has no weights."""
    seen = multi_head(f, f, w, f"{name}.rows", heads, window)
    f1 = np.array([layer_norm(a + b, w, f"{name}.normalise_rows") for a, b in zip(seen, f, strict=True)])
    f2 = f1
    if f"{name}.image.out.weight" in w:
        asked = multi_head(f1, h_r, w, f"{name}.image", heads, None)
        fused = [
            np.tanh(linear(np.concatenate([a, b, a * b, a - b]), w, f"{name}.fusion.linear"))
            for a, b in zip(f1, asked, strict=True)
        ]
        f2 = np.array([layer_norm(row, w, f"{name}.normalise_fusion") for row in fused])
    wide = [np.maximum(linear(row, w, f"{name}.widen"), 0) for row in f2]
    return np.array(
        [layer_norm(a + linear(b, w, f"{name}.narrow"), w, f"{name}.normalise") for a, b in zip(f2, wide, strict=True)]
    )


def additive(i: Array, t: Array, w: Weights, name: str) -> float:
    """a_it"""
    return float(linear(np.tanh(linear(i, w, f"{name}.w1") + linear(t, w, f"{name}.w2")), w, f"{name}.w")[0])


def aggregation(h: Array, w: Weights, name: str, seen: Callable[[int], Sequence[int]]) -> Array:
    """H^fw or H^bw: row i of the rows that `seen` says."""
    found = []
    for i in range(len(h)):
        alpha = softmax(np.array([additive(h[i], h[t], w, name) for t in seen(i)]))
        found.append(sum(share * h[t] for share, t in zip(alpha, seen(i), strict=True)))
    return np.array(found)


def loss(log_start: Array, log_end: Array, first: int, last: int) -> float:
    return float(-(log_start[first] + log_end[last - 1]))


def answer(log_start: Array, log_end: Array, joint: bool) -> tuple[int, int, float]:
    """First, last (half-open), p^s p^e. Joint: of all pairs in order; else of the two best rows."""
    n = len(log_start)
    if joint:
        best: Any = max((log_start[s] + log_end[e], -s, -e) for s in range(n) for e in range(s, n))
        return -best[1], -best[2] + 1, math.exp(best[0])
    s, e = int(np.argmax(log_start)), int(np.argmax(log_end))
    return s, max(s, e) + 1, math.exp(log_start[s] + log_end[e])

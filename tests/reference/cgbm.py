"""ECCV 2018, section 3, a second time: one pair, one row, one equation after another, in plain float64."""

from __future__ import annotations

import math

import numpy as np

from tests.reference.recurrence import Array, Weights, lstm, lstm_cell, sigmoid, softmax


def log_p(video: Array, query: Array, w: Weights, rank: int, gated: bool, bilinear: bool) -> tuple[Array, Array]:
    """log of p_i of Eq. 8, (n, 4), and the attention of both directions, (2, n, m)."""
    hq, hr = lstm(query, w, "video"), lstm(video, w, "video")  # Eq. 1
    ahead, seen_ahead = matching(hq, hr, w, 0, rank, gated, bilinear)
    back, seen_back = matching(hq, hr[::-1], w, 1, rank, gated, bilinear)
    located = lstm(np.concatenate([ahead, back[::-1]], axis=1), w, "localise")  # Eq. 8
    logits = located @ w["classify.weight"].T + w["classify.bias"]
    return np.log([softmax(row) for row in logits]), np.stack([seen_ahead, seen_back[::-1]])


def matching(
    hq: Array, hr: Array, w: Weights, direction: int, rank: int, gated: bool, bilinear: bool
) -> tuple[Array, Array]:
    """Eqs. 2 to 7 in the order of `hr`'s rows."""
    size = hq.shape[1]
    h = c = np.zeros(size)
    states, weights = [], []
    for row in hr:
        scores = []
        for past in hq:  # Eq. 2
            e = np.tanh(
                w["match.w_query.weight"] @ past + w["match.w_reference.weight"] @ row
                + w["match.w_match.weight"] @ h + w["match.w_reference.bias"]
            )  # fmt: skip
            scores.append(w["match.w.weight"][0] @ e + w["match.w.bias"][0])
        alpha = softmax(np.array(scores))
        seen = sum(a * past for a, past in zip(alpha, hq, strict=True))
        matched = row
        if gated:  # Eq. 3
            gate_r = sigmoid(w["match.gate_reference.weight"] @ row + w["match.gate_reference.bias"])
            gate_q = sigmoid(w["match.gate_query.weight"] @ seen + w["match.gate_query.bias"])
            seen, matched = seen * gate_r, row * gate_q
        t = bilinear_form(seen, matched, w, rank) if bilinear else np.concatenate([seen, matched])
        gates = np.concatenate([t, h]) @ w["match.aggregate.weight"][direction] + w["match.aggregate.bias"][direction]
        h, c = lstm_cell(gates, c)  # Eq. 7
        states.append(h)
        weights.append(alpha)
    return np.stack(states), np.stack(weights)


def bilinear_form(q: Array, r: Array, w: Weights, rank: int) -> Array:
    """Eq. 6, its three terms for every j; F_j is every l-th row of the stored weight, from j on."""
    size = len(q)
    t = []
    for j in range(size):
        f, b = w["match.factors.weight"][j::size], w["match.factors.bias"][j::size]  # (k, l), (k,)
        assert f.shape == (rank, size)
        t.append(q @ f.T @ f @ r + b @ f @ (q + r) + b @ b)
    return np.array(t)


def labels(n: int, s: int, e: int) -> list[list[float]]:
    """Section 3.4, with s and e both inside, counted from 0."""
    rows = []
    for i in range(n):
        if i == s == e:
            rows.append([1 / 3, 1 / 3, 1 / 3, 0])
        elif i == s:
            rows.append([1 / 2, 0, 1 / 2, 0])
        elif i == e:
            rows.append([0, 1 / 2, 1 / 2, 0])
        elif s < i < e:
            rows.append([0, 0, 1, 0])
        else:
            rows.append([0, 0, 0, 1])
    return rows


def loss(log_p: Array, s: int, e: int, weight: float = 10.0) -> float:
    """Eqs. 10 and 11."""
    total = 0.0
    for row, g in zip(log_p, labels(len(log_p), s, e), strict=True):
        w = weight if g[0] + g[1] > 0 else 1.0
        total += w * sum(g[n] * row[n] for n in range(4))
    return -total / len(log_p)


def best(log_p: Array, longest: int) -> tuple[int, int, float]:
    """Eq. 12 by trying every pair; half-open, with the joint probability."""
    p = np.exp(log_p)
    found = (0, 0, -1.0)
    for s in range(len(p)):
        for e in range(s, min(len(p), s + longest)):
            joint = p[s, 0] * p[e, 1] * math.prod(p[s : e + 1, 2]) ** (1 / (e - s + 1))
            if joint > found[2]:
                found = (s, e + 1, joint)
    return found

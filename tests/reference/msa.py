"""AAAI 2020 a second time: one pair, one row, one head, one equation after another, in plain float64."""

from __future__ import annotations

import numpy as np

from tests.reference.recurrence import Array, Weights, bilstm, lstm, softmax

SCALES = ((1, 1), (3, 1), (3, 2), (3, 3), (3, 4))  # Table 1


def convolution(rows: Array, weight: Array, bias: Array, rate: int) -> Array:
    """Each row from its neighbours `rate` apart; what is past the ends is 0."""
    out = []
    kernel = weight.shape[2]
    for i in range(len(rows)):
        total = bias.copy()
        for k in range(kernel):
            j = i + rate * (k - kernel // 2)
            if 0 <= j < len(rows):
                total = total + weight[:, :, k] @ rows[j]
        out.append(total)
    return np.stack(out)


def projection(rows: Array, w: Weights, name: str) -> Array:
    """Eq. 7."""
    seen = convolution(rows, w[f"{name}.convolve.weight"], w[f"{name}.convolve.bias"], 1)
    scaled = [(row - row.mean()) / np.sqrt(row.var() + 1e-5) for row in seen]
    return np.stack(scaled) * w[f"{name}.normalise.weight"] + w[f"{name}.normalise.bias"]


def multiscale(r: Array, q: Array, w: Weights, scales: tuple[tuple[int, int], ...], heads: int, size: int) -> Array:
    """Eqs. 4 to 6: (n, heads in all)."""
    columns = []
    for s, (_, rate) in enumerate(scales):
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            both = []
            for rows, name in ((r, "of_reference"), (q, "of_query")):
                name = f"multiscale.{name}.{s}"
                both.append(convolution(rows, w[f"{name}.weight"][part], w[f"{name}.bias"][part], rate))
            table = both[0] @ both[1].T / np.sqrt(size)  # (n, m)
            columns.append(np.mean([softmax(column) for column in table.T], axis=0))
    return np.stack(columns, axis=1)


def self_attention(x: Array, w: Weights, heads: int, size: int) -> Array:
    """Eqs. 1 to 3."""
    projected = (x @ w["self_attention.project.weight"].T).reshape(len(x), 3, heads, size)
    out = []
    for head in range(heads):
        q, k, v = projected[:, 0, head], projected[:, 1, head], projected[:, 2, head]
        out.append(np.stack([softmax(row) @ v for row in q @ k.T / np.sqrt(size)]))
    return np.concatenate(out, axis=1)


def log_p(
    video: Array, query: Array, w: Weights, variant: str, heads: int, size: int, self_heads: int, self_size: int
) -> tuple[Array, Array]:
    """log of Eq. 11, (n, 4), and the heads' scores, (n, heads in all)."""
    q, r = projection(query, w, "project_query"), projection(video, w, "project_reference")
    scales = SCALES if variant in ("multiscale", "complete") else ((3, 1),) * 5
    scores = multiscale(r, q, w, scales, heads, size)  # Eq. 8
    seen = scores
    if variant in ("selfatt", "complete"):
        seen = np.concatenate([scores, self_attention(r, w, self_heads, self_size)], axis=1)  # Eq. 9
    located = lstm(bilstm(seen, w, "bilstm"), w, "localise")  # Eqs. 10 and 12
    logits = located @ w["classify.weight"].T + w["classify.bias"]
    return np.log([softmax(row) for row in logits]), scores


def distance(a: Array, b: Array) -> float:
    return float(1 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def co_attention(video: Array, query: Array, p: Array, alpha: float, run: tuple[int, int] | None) -> float:
    """Eqs. 13 to 18 with -log in front; with a run of rows, action is what lies in it and background what does not."""
    action, background = p[:, 2].copy(), p[:, 3].copy()
    if run is not None:
        for i in range(len(p)):
            if run[0] <= i < run[1]:
                background[i] = 0
            else:
                action[i] = 0
    q_a = query.mean(axis=0)
    r_a = sum(g * row for g, row in zip(action / action.sum(), video, strict=True))
    r_b = sum(g * row for g, row in zip(background / background.sum(), video, strict=True))
    near = distance(q_a, r_a)
    far = alpha * distance(q_a, r_b) + (1 - alpha) * distance(r_a, r_b)
    return float(-np.log(np.exp(-near) / (np.exp(-near) + np.exp(-far))))


def run_above_mean(p3: Array) -> tuple[int, int]:
    """The longest run of rows above the mean, the first of equal ones."""
    best, start = (0, 0), None
    for i, value in enumerate([*p3, -1.0]):
        if value > p3.mean():
            start = i if start is None else start
        elif start is not None:
            if i - start > best[1] - best[0]:
                best = (start, i)
            start = None
    return best if best != (0, 0) else (0, len(p3))

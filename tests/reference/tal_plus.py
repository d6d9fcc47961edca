"""TAL+ a second time: one sample, one row, one anchor, one part after another."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tests.reference.recurrence import Array, Weights, sigmoid, softmax

Segment = tuple[float, float]
EDGE = 1e-4  # a part's end so near to a row's edge lies on it


def tiou(a: Segment, b: Segment) -> float:
    shared = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return shared / (a[1] - a[0] + b[1] - b[0] - shared)


def offsets(segment: Segment, anchor: Segment) -> tuple[float, float]:
    length = anchor[1] - anchor[0]
    return (sum(segment) - sum(anchor)) / 2 / length, math.log((segment[1] - segment[0]) / length)


def moved(anchor: Segment, by: Sequence[float], n: int) -> Segment:
    length = anchor[1] - anchor[0]
    middle = sum(anchor) / 2 + by[0] * length
    half = length * math.exp(by[1]) / 2
    start = min(max(middle - half, 0.0), n - 1.0)
    return start, max(min(middle + half, float(n)), start + 1)


def in_rows(segment: Segment) -> tuple[int, int]:
    first, last = (math.floor(end + 0.5) for end in segment)
    return first, last


def projected(video: Array, w: Weights) -> Array:
    return np.maximum(video @ w["project.weight"].T + w["project.bias"], 0)


def tower(rows: Array, w: Weights, k: int, length: float) -> Array:
    """What the k-th tower says of its anchors. (n, 3)"""
    n, rate = len(rows), max(1, round(length / 3))
    x = np.stack([rows[max(0, i - rate // 2) : i + rate // 2 + 1].max(0) for i in range(n)])
    for name, gap in (("near", rate), ("far", 2 * rate)):
        weight, bias = w[f"towers.{k}.{name}.weight"], w[f"towers.{k}.{name}.bias"]
        seen = []
        for i in range(n):
            places = [(tap, i + (tap - 1) * gap) for tap in range(3)]
            seen.append(bias + sum(weight[:, :, tap] @ x[place] for tap, place in places if 0 <= place < n))
        x = np.maximum(np.stack(seen), 0)
    return x @ w[f"towers.{k}.say.weight"][:, :, 0].T + w[f"towers.{k}.say.bias"]


def said(rows: Array, w: Weights, lengths: Sequence[float]) -> Array:
    """(n, K, 3)"""
    return np.stack([tower(rows, w, k, length) for k, length in enumerate(lengths)], axis=1)


def anchor(row: int, length: float) -> Segment:
    return row + 0.5 - length / 2, row + 0.5 + length / 2


def suppressed(segments: Sequence[Segment], most: float) -> list[Segment]:
    """Those that no better one that stays overlaps by more; given best first."""
    kept: list[Segment] = []
    for segment in segments:
        if all(tiou(segment, better) <= most for better in kept):
            kept.append(segment)
    return kept


def proposals(spoken: Array, lengths: Sequence[float], count: int) -> list[Segment]:
    n, every = len(spoken), []
    for i in range(n):
        for k, length in enumerate(lengths):
            every.append((spoken[i, k, 0], moved(anchor(i, length), spoken[i, k, 1:], n)))
    every.sort(key=lambda one: -one[0])
    return suppressed([segment for _, segment in every[:256]], 0.7)[:count]


def parts(rows: Array, segment: Segment, bins: int) -> list[Array]:
    found = []
    for j in range(bins):
        low, high = (segment[0] + (segment[1] - segment[0]) * (j + more) / bins for more in (0, 1))
        first, last = max(0, math.floor(low + EDGE)), min(len(rows), math.ceil(high - EDGE))
        found.append(rows[first:last].max(0) if first < last else np.zeros(rows.shape[1]))
    return found


def second(rows: Array, regions: Array, w: Weights, segment: Segment, bins: int) -> Array:
    """Score and offsets of one proposal for one image. (3,)"""
    more = (segment[1] - segment[0]) / 2
    seen = np.concatenate(parts(rows, (segment[0] - more, segment[1] + more), bins))
    z = np.maximum(w["read.weight"] @ seen + w["read.bias"], 0)
    query = w["query.weight"] @ z + w["query.bias"]
    alpha = softmax(np.array([query @ (w["key.weight"] @ region) for region in regions]) / math.sqrt(len(z)))
    a = sum(
        share * (w["value.weight"] @ region + w["value.bias"]) for share, region in zip(alpha, regions, strict=True)
    )
    fused = np.tanh(w["fuse.linear.weight"] @ np.concatenate([z, a, z * a, z - a]) + w["fuse.linear.bias"])
    return w["judge.weight"] @ fused + w["judge.bias"]


def stage_loss(spoken: Sequence[Array], right: Sequence[bool], wrong: Sequence[bool], by: Sequence[Segment]) -> float:
    """Right and wrong weigh the same in all; offsets count where right."""
    good, bad, far = [], [], []
    for (score, *moves), is_right, is_wrong, wanted in zip(spoken, right, wrong, by, strict=True):
        if is_right:
            good.append(-math.log(sigmoid(score)))
            gaps = [abs(move - want) for move, want in zip(moves, wanted, strict=True)]
            far.append(sum(gap**2 / 2 if gap < 1 else gap - 0.5 for gap in gaps))
        if is_wrong:
            bad.append(-math.log(sigmoid(-score)))
    return (float(np.mean(good)) + (float(np.mean(bad)) if bad else 0.0)) / 2 + float(np.mean(far))


def first_loss(spoken: Array, lengths: Sequence[float], target: Segment) -> float:
    cells = [(i, k) for i in range(len(spoken)) for k in range(len(lengths))]
    places = [anchor(i, lengths[k]) for i, k in cells]
    shared = [tiou(place, target) for place in places]
    right = [share >= 0.7 or share > max(shared) - 1e-6 for share in shared]
    wrong = [share < 0.3 and not good for share, good in zip(shared, right, strict=True)]
    return stage_loss([spoken[cell] for cell in cells], right, wrong, [offsets(target, place) for place in places])

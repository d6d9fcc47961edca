"""Boxes in an image: overlap, suppression, and what a feature map holds inside them. Every function is vectorised.

A box is (x1, y1, x2, y2). The pixels of an image lie on whole numbers and a box names its first and last one, as in the
code of Fast and Faster R-CNN: its width is x2 - x1 + 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 256  # boxes that are suppressed at a time
BOXES = 32  # that are pooled at a time


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of pixels. (n, 4), (m, 4) -> (n, m)"""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])  # (n, m, 2)
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])  # (n, m, 2)
    shared = (high - low + 1).clamp(min=0).prod(-1)  # (n, m)
    area_a, area_b = ((box[:, 2:] - box[:, :2] + 1).prod(-1) for box in (a, b))  # (n,), (m,)
    return shared / (area_a[:, None] + area_b - shared)


def suppress(boxes: Tensor, scores: Tensor, threshold: float, most: int) -> Tensor:
    """Non-maximum suppression: a box goes where a better one that stays overlaps it by more than the threshold.

    The places of those that stay, best first and at most so many; of equal scores the first comes first. Exactly the
    greedy answer, a block of boxes at a time: those that nothing better overlaps meet one another. After round k the
    first k of them are decided, and a round that changes nothing is the last. (n, 4), (n,) -> (kept,)
    """
    order = scores.argsort(descending=True, stable=True)
    kept = order[:0]
    for first in range(0, len(order), BLOCK):
        some = order[first : first + BLOCK]
        some = some[~(overlap(boxes[kept], boxes[some]) > threshold).any(0)]
        over = (overlap(boxes[some], boxes[some]) > threshold).triu(1)  # [i, j]: i is better and overlaps j
        stays, before = torch.ones_like(some, dtype=torch.bool), None
        while before is None or not torch.equal(stays, before):
            stays, before = ~(over & stays[:, None]).any(0), stays
        kept = torch.cat((kept, some[stays]))
        if len(kept) >= most:
            break
    return kept[:most]


def pool(features: Tensor, boxes: Tensor, size: int, scale: float) -> Tensor:
    """RoI max-pooling (Girshick 2015): the box on the map in whole cells, cut into size x size parts that may share
    cells, the greatest number of each part, 0 where a part has none. (C, H, W), (m, 4) -> (m, C, size, size)

    The originals divide in float32; parts are whole-number divisions here.
    """
    cells = (boxes * scale + 0.5).floor().long()  # (m, 4); half a cell goes up, as C's round does
    extent = (cells[:, 2:] - cells[:, :2] + 1).clamp(min=1)  # (m, 2): width, height
    parts = torch.arange(size, device=boxes.device)  # (s,)
    first = cells[:, :2, None] + parts * extent[..., None] // size  # (m, 2, s)
    last = cells[:, :2, None] - (-(parts + 1) * extent[..., None] // size)  # (m, 2, s), exclusive
    limit = torch.tensor(features.shape[:0:-1], device=boxes.device)[:, None]  # (2, 1): W, H
    first, last = first.clamp(min=0).minimum(limit), last.clamp(min=0).minimum(limit)
    some = [slice(at, at + BOXES) for at in range(0, len(boxes), BOXES)]
    none = features.new_zeros(0, len(features), size, size)
    return torch.cat([none, *(_pooled(features, first[chunk], last[chunk]) for chunk in some)])


def _pooled(features: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """(C, H, W), (m, 2, s), (m, 2, s) -> (m, C, s, s)"""
    c, h, _ = features.shape
    m, _, s = first.shape
    x = _range_max(features.reshape(1, c * h, -1), first[None, :, 0].flatten(1), last[None, :, 0].flatten(1))
    x = x.reshape(c, h, m, s).permute(2, 0, 3, 1)  # (m, C, s by columns, H)
    x = _range_max(x.reshape(m, c * s, h), first[:, 1], last[:, 1])  # (m, C s, s by rows)
    x = x.reshape(m, c, s, s).transpose(2, 3)  # (m, C, s by rows, s by columns)
    is_empty = (last <= first)[:, 1, :, None] | (last <= first)[:, 0, None, :]  # (m, s, s)
    return x.masked_fill(is_empty[:, None], 0.0)


def _range_max(x: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """The greatest of x[i, :, first:last] of each range: two overlapping powers of two cover any range.
    (g, k, n), (g, r), (g, r) -> (g, k, r); what an empty range gives means nothing."""
    n = x.shape[-1]
    length = (last - first).clamp(min=1)
    level = length.log2().floor().long()  # (g, r)
    tables = [x]  # level l holds the greatest of 2^l neighbours
    for power in range(int(level.max()) if level.numel() else 0):
        ahead = (torch.arange(n, device=x.device) + (1 << power)).clamp(max=n - 1)
        tables.append(torch.maximum(tables[-1], tables[-1][..., ahead]))
    table = torch.cat(tables, dim=-1)  # (g, k, levels n)
    left = level * n + first.clamp(max=n - 1)
    right = level * n + (first + length - (1 << level)).clamp(max=n - 1)
    shape = (*x.shape[:2], first.shape[1])
    return torch.maximum(*(table.gather(2, at[:, None].expand(shape)) for at in (left, right)))


def align(features: Tensor, boxes: Tensor, size: int, scale: float) -> Tensor:
    """RoI-align (He et al. 2017): each part is the mean of samples about one cell apart, each between its four cells.
    Cells lie on whole numbers, as in the first release. (C, H, W), (m, 4) -> (m, C, size, size)

    The weight of a cell is that of its row times that of its column, so two matrix products do it.
    """
    c, h, w = features.shape
    rows = _weights(boxes[:, 1] * scale, boxes[:, 3] * scale, size, h)  # (m, s, H)
    columns = _weights(boxes[:, 0] * scale, boxes[:, 2] * scale, size, w)  # (m, s, W)
    pooled = [features.new_zeros(0, c, size, size)]
    for at in range(0, len(boxes), BOXES):
        by_row = torch.einsum("msh,chw->mcsw", rows[at : at + BOXES], features)  # (m, C, s, W)
        pooled.append(torch.einsum("mcsw,mtw->mcst", by_row, columns[at : at + BOXES]))  # (m, C, s, s)
    return torch.cat(pooled)


def _weights(start: Tensor, end: Tensor, size: int, cells: int) -> Tensor:
    """What each cell of one axis weighs in each part. (m,), (m,) -> (m, size, cells)"""
    extent = (end - start).clamp(min=1.0)  # (m,)
    count = (extent / size).ceil()[:, None, None]  # (m, 1, 1) samples of a part
    most = int(count.max()) if len(start) else 1
    sample = torch.arange(most, device=start.device)  # (k,)
    part = torch.arange(size, device=start.device)[:, None]  # (s, 1)
    at = start[:, None, None] + (part + (sample + 0.5) / count) * (extent / size)[:, None, None]  # (m, s, k)
    share = ((sample < count) & (at >= -1) & (at <= cells)) / count  # (m, s, k); beyond the map is nothing
    at = at.clamp(0, cells - 1)
    low = at.floor().clamp(max=max(0, cells - 2))
    weights = start.new_zeros(len(start), size, cells)
    weights.scatter_add_(2, low.long(), share * (low + 1 - at))
    return weights.scatter_add_(2, (low.long() + 1).clamp(max=cells - 1), share * (at - low))

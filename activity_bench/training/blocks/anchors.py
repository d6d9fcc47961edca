"""Segments with ends between rows: anchors, where they are moved to, how they overlap, and what is read in them.

A segment is (…, 2): start and end in rows, half-open. Faster R-CNN in one dimension, as in Chao et al., *Rethinking the
Faster R-CNN Architecture for Temporal Action Localization* (TAL-Net), CVPR 2018. No loop over samples or segments.
"""

from __future__ import annotations

import torch
from torch import Tensor

SLACK = 1e-4  # rows by which an end may miss a row's edge for rounding's sake


def anchors(rows: int, lengths: Tensor) -> Tensor:
    """Around the middle of every row a segment of every length, over the window's ends where it is long.
    (K,) -> (N, K, 2)"""
    middle = torch.arange(rows, device=lengths.device, dtype=lengths.dtype)[:, None] + 0.5  # (N, 1)
    return torch.stack((middle - lengths / 2, middle + lengths / 2), dim=-1)


def offsets(segment: Tensor, anchor: Tensor) -> Tensor:
    """How far the middle of a segment is from an anchor's, in the anchor's lengths, and the logarithm of the lengths'
    ratio. (…, 2) twice -> (…, 2)"""
    (a, b), (start, end) = segment.unbind(-1), anchor.unbind(-1)
    length = end - start
    return torch.stack(((a + b - start - end) / (2 * length), ((b - a) / length).log()), dim=-1)


def moved(anchor: Tensor, by: Tensor, rows: Tensor) -> Tensor:
    """The segment at an offset from an anchor, cut to the rows of its window, one row long at least.
    (…, 2), (…, 2), (…) -> (…, 2)"""
    start, end = anchor.unbind(-1)
    length, (centre, log_ratio) = end - start, by.unbind(-1)
    middle = (start + end) / 2 + centre * length
    half = length / 2 * log_ratio.exp()
    start = torch.minimum((middle - half).clamp(min=0), rows - 1)
    end = torch.maximum(torch.minimum(middle + half, rows), start + 1)
    return torch.stack((start, end), dim=-1)


def overlap(one: Tensor, other: Tensor) -> Tensor:
    """tIoU. (…, 2) twice -> (…)"""
    (a, b), (c, d) = one.unbind(-1), other.unbind(-1)
    shared = (torch.minimum(b, d) - torch.maximum(a, c)).clamp(min=0)
    return shared / ((b - a) + (d - c) - shared)


def apart(segments: Tensor, real: Tensor, most: float) -> Tensor:
    """Non-maximum suppression: of segments, best first, those that overlap no better one that stays by more than
    `most`. (B, P, 2), (B, P) -> (B, P)

    All at once, again and again until nothing changes: after round k the first k are as one after another leaves them.
    """
    near = (overlap(segments[:, :, None], segments[:, None]) > most).triu(1)  # (B, P, P): [i, j] for i before j
    keep = real
    while True:
        found = real & ~(near & keep[:, :, None]).any(1)  # (B, P)
        if torch.equal(found, keep):
            return keep
        keep = found


def pooled(x: Tensor, count: Tensor, segments: Tensor, bins: int) -> Tensor:
    """The greatest values of the rows that each of `bins` equal parts of a segment touches; 0 where a part lies outside
    of the window (SoI pooling). x has `count` real rows. (B, N, D), (B,), (B, P, 2) -> (B, P, bins, D)

    In a table of the greatest of 1, 2, 4, … rows from every row, two entries cover any stretch.
    """
    start, end = segments.unbind(-1)
    shares = torch.arange(bins + 1, device=x.device) / bins  # (bins + 1,)
    edges = start[..., None] + (end - start)[..., None] * shares  # (B, P, bins + 1)
    first = (edges[..., :-1] + SLACK).floor().long().clamp(min=0)  # (B, P, bins)
    last = torch.minimum((edges[..., 1:] - SLACK).ceil().long(), count[:, None, None])
    inside = first < last
    first, length = first * inside, (last - first).where(inside, 1)

    table = [x]
    while 2 ** len(table) <= x.shape[1]:
        before, step = table[-1], 2 ** (len(table) - 1)
        table.append(torch.cat((torch.maximum(before[:, :-step], before[:, step:]), before[:, -step:]), dim=1))
    powers = 2 ** torch.arange(len(table), device=x.device)  # (J,)
    level = torch.bucketize(length, powers, right=True) - 1  # (B, P, bins): the longest that is no longer
    batch = torch.arange(len(x), device=x.device)[:, None, None]
    row = (batch * len(table) + level) * x.shape[1] + first  # (B, P, bins), in the table laid out flat
    values = torch.stack(table, dim=1).flatten(0, 2)  # (B J N, D)
    ends = torch.stack((row, row + length - powers[level]))  # (2, B, P, bins)
    found = values.index_select(0, ends.flatten()).view(*ends.shape, -1)  # (2, B, P, bins, D)
    return torch.maximum(*found) * inside[..., None]

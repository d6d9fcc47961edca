"""ActionBytes: Jain, Ghodrati and Snoek, *ActionBytes*, CVPR 2020, section 3.1: where the latent features change.

Read to the letter: a boundary starts an ActionByte, which ends before the next one. So what lies before the first
boundary and from the last one on is in none, and B boundaries make B - 1 ActionBytes. Rows that change equally are
boundaries together or not at all; where all changes are equal (a still video: 0) there is none.
"""

from __future__ import annotations

import torch
from torch import Tensor

Pieces = tuple[Tensor, Tensor, Tensor]  # video, first, last: (P,) each, by video, then by row; half-open


def boundaries(latent: Tensor, mask: Tensor, percentile: float) -> Tensor:
    """Rows that differ from the row before by more than the p-th percentile of the video's changes (Eq. 1). The first
    row has none before it. (B, N, l), (B, N) -> (B, N)

    The percentile lies between two of the sorted changes where its rank is no whole number.
    """
    change = (latent[:, 1:] - latent[:, :-1]).abs().sum(-1).double()  # (B, N - 1)
    change = change.masked_fill(~mask[:, 1:], float("inf"))
    if not change.shape[1]:
        return torch.zeros_like(mask)
    rank = (mask.sum(1, keepdim=True) - 2).clamp(min=0).double() * percentile / 100  # (B, 1)
    low, high = rank.floor().long(), rank.ceil().long()
    ordered = change.sort(dim=1).values
    below, above = ordered.gather(1, low), ordered.gather(1, high)
    tau = torch.where(low == high, below, below + (rank - low) * (above - below))  # (B, 1)
    return torch.nn.functional.pad((change > tau) & mask[:, 1:], (1, 0))


def action_bytes(bounds: Tensor) -> Pieces:
    """A_i = (B_i, B_{i+1} - 1), of every video. (B, N) -> (P,)"""
    video, row = bounds.nonzero(as_tuple=True)
    follows = video[1:] == video[:-1]
    return video[:-1][follows], row[:-1][follows], row[1:][follows]


def fixed(mask: Tensor, length: int) -> Pieces:
    """Segments of a fixed length from the first row on, instead of ActionBytes; the last one takes what is left.
    (B, N) -> (P,)"""
    rows = torch.arange(mask.shape[1], device=mask.device)
    video, first = (mask & (rows % length == 0)).nonzero(as_tuple=True)
    return video, first, torch.minimum(first + length, mask.sum(1)[video])


def or_whole(pieces: Pieces, mask: Tensor) -> Pieces:
    """A video that has no piece is one piece. (P,), (B, N) -> (P',)"""
    lacks = ~torch.isin(torch.arange(len(mask), device=mask.device), pieces[0])
    (video,) = lacks.nonzero(as_tuple=True)
    whole = video, torch.zeros_like(video), mask.sum(1)[video]
    joined = [torch.cat(both) for both in zip(pieces, whole, strict=True)]
    order = joined[0].argsort(stable=True)
    return joined[0][order], joined[1][order], joined[2][order]


def means(latent: Tensor, pieces: Pieces) -> Tensor:
    """The mean latent features of each piece. (B, N, l), (P,) -> (P, l)"""
    video, first, last = pieces
    lengths = last - first
    start = torch.repeat_interleave(video * latent.shape[1] + first - (lengths.cumsum(0) - lengths), lengths)  # (R,)
    rows = latent.flatten(0, 1)[start + torch.arange(len(start), device=start.device)]  # (R, l)
    return torch.segment_reduce(rows, "mean", lengths=lengths, axis=0)

"""Batches of made-up pairs for the tests of networks: any lengths, and a small world in which there is something to
learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from activity_bench.training.batches import PairBatch

torch.set_num_threads(1)  # the machine is shared, and the sizes are small

Pair = tuple[Tensor, Tensor, int, int]  # video (n, D), query (m, D), first, last
INPUTS = ("video", "query")  # what a network may have gradients by


def batch_of(pairs: Sequence[Pair], rows: int = 0, query_rows: int = 0) -> PairBatch:
    """Pairs padded to the longest, or to more."""
    videos, queries = (padded([pair[i] for pair in pairs], least) for i, least in ((0, rows), (1, query_rows)))
    first, last = (torch.tensor([pair[i] for pair in pairs]) for i in (2, 3))
    return PairBatch([str(i) for i in range(len(pairs))], *videos, *queries, first, last, [None] * len(pairs))


def padded(rows: Sequence[Tensor], least: int) -> tuple[Tensor, Tensor]:
    """(n, D) each -> (B, N, D) and its mask (B, N)."""
    filler = rows[0].new_zeros(max(least, *map(len, rows)), rows[0].shape[1])
    values = pad_sequence([*rows, filler], batch_first=True)[:-1]
    lengths = torch.tensor([len(row) for row in rows])
    return values, torch.arange(values.shape[1]) < lengths[:, None]


def dims(pair: Pair) -> tuple[int]:
    """What a network for such pairs is made with, before its options."""
    return (pair[0].shape[1],)


def drawn(
    seed: int, shapes: Sequence[tuple[int, int, int, int]], dim: int, dtype: torch.dtype = torch.float64
) -> list[Pair]:
    """Rows of noise for (n, m, first, last) each."""
    chance = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(n, dim, generator=chance, dtype=dtype), torch.randn(m, dim, generator=chance, dtype=dtype), a, b)
        for n, m, a, b in shapes
    ]


ODD = [(9, 4, 2, 5), (5, 6, 0, 5), (7, 1, 3, 4), (12, 3, 7, 12), (1, 2, 0, 1)]  # one row, whole windows, last rows


APPEARANCE = 4  # numbers of a row that say whose video it is, and nothing of the activity


def world(seed: int, count: int, others: bool = True, appearance: float = 2.0) -> list[Pair]:
    """Videos of background with an activity in each half, of different classes; the query is of one of them, and its
    rows are the target. Without `others` the target is the only activity.

    The first row of an activity and its last look unlike its middle. Every video looks like itself all along, more than
    like its activities, so that what is alike to the eye is not what is asked for.
    """
    dim, classes, noise = 16, 6, 0.3
    chance = torch.Generator().manual_seed(seed)
    prototypes = torch.randn(classes, 3, dim, generator=torch.Generator().manual_seed(0))
    prototypes = prototypes[:, :1] + 0.5 * prototypes  # start, middle and end of a class are alike

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=chance))

    def activity(label: int, length: int) -> Tensor:
        return prototypes[label, [0, *[1] * (length - 2), 2]]

    def seen(rows: Tensor) -> Tensor:
        rows = rows + noise * torch.randn(rows.shape, generator=chance)
        rows[:, :APPEARANCE] = appearance * torch.randn(APPEARANCE, generator=chance)
        return rows

    pairs: list[Pair] = []
    for _ in range(count):
        kinds, asked, half = torch.randperm(classes, generator=chance)[:2].tolist(), number(0, 2), number(12, 15)
        video = torch.zeros(2 * half, dim)
        places = [(low + 1 + number(0, half - 8), number(4, 7)) for low in (0, half)]
        for place, (start, length) in enumerate(places):
            if others or place == asked:
                video[start : start + length] = activity(kinds[place], length)
        start, length = places[asked]
        pairs.append((seen(video), seen(activity(kinds[asked], number(4, 7))), start, start + length))
    return pairs


def ious(first: Tensor, last: Tensor, batch: Any) -> Tensor:
    """(B,)"""
    shared = (torch.minimum(last, batch.last) - torch.maximum(first, batch.first)).clamp(min=0)
    return shared / (torch.maximum(last, batch.last) - torch.minimum(first, batch.first)).clamp(min=1)

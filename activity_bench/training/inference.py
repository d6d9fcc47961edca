"""Answers of a network to many pairs, batched by length; each answer is what the pair alone would get."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from activity_bench.data.features import Provider
from activity_bench.errors import WorkError
from activity_bench.segments import iou
from activity_bench.training.batches import collate
from activity_bench.training.pairs import Pair

ROWS = 1 << 15  # padded rows of the windows of one batch: long windows share it with fewer others
POOL = 16  # batches of questions that are sorted together

Answer = NDArray[np.float64]  # (K, 3): first, last, score; best first


def answers(
    network: nn.Module, pairs: Sequence[Pair], features: Provider, device: torch.device, batch: int
) -> list[Answer]:
    """The answer to each pair, in their order."""
    found: list[Answer | None] = [None] * len(pairs)
    was_training = network.training
    network.eval()
    try:
        for places in _by_length(pairs, batch):
            some = [pairs[place] for place in places]
            for place, answer in zip(places, _decoded(network, some, features, device), strict=True):
                found[place] = answer
    finally:
        network.train(was_training)
    return [answer for answer in found if answer is not None]


def ious(answered: Iterable[Answer], pairs: Iterable[Pair]) -> list[float]:
    """The IoU of each best answer with the target that it meets best, on rows."""
    found = []
    for answer, pair in zip(answered, pairs, strict=True):
        first, last = answer[0, :2] * pair.scale + pair.window[0]
        targets = np.array(pair.targets, np.float64)  # (targets, 2)
        found.append(float(iou(first, last, targets[:, 0], targets[:, 1]).max()))
    return found


def _by_length(pairs: Sequence[Pair], batch: int) -> Iterator[list[int]]:
    """Places in `pairs`, batch by batch: windows alike in length, few where they are long."""
    lengths = [pair.rows for pair in pairs]
    order = sorted(range(len(pairs)), key=lambda place: (lengths[place], place))
    some: list[int] = []
    for place in order:
        if some and (len(some) == batch or (len(some) + 1) * lengths[place] > ROWS):
            yield some
            some = []
        some.append(place)
    if some:
        yield some


def _decoded(network: Any, pairs: Sequence[Pair], features: Provider, device: torch.device) -> list[Answer]:
    batch = collate(pairs, features).to(device)
    with torch.inference_mode():
        first, last, score = network.decode(network(batch), batch)
        columns = torch.stack([column.double().reshape(len(pairs), -1) for column in (first, last, score)], dim=2)
    found: Answer = columns.cpu().numpy()  # (B, K, 3)
    for pair, answer in zip(pairs, found, strict=True):
        rows = pair.rows
        start, end = answer[:, 0], answer[:, 1]
        if not (np.isfinite(answer).all() and ((start >= 0) & (start < end) & (end <= rows)).all()):
            raise WorkError("the network's answer is no stretch of its window", field=pair.id, found=answer.tolist(),
                            expected=f"0 <= first < last <= {rows}, a finite score")  # fmt: skip
    return list(found)

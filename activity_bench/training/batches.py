"""Batches of pairs: a clip and the video it is to be found in, padded, with masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from activity_bench.data.features import Provider
from activity_bench.training.pairs import Pair


@dataclass
class PairBatch:
    """B pairs of one clip and one video."""

    ids: list[str]
    video: Tensor  # (B, N, D) float32, rows of the window, 0 where padded
    video_mask: Tensor  # (B, N) bool, True where a row is real
    query: Tensor  # (B, M, D) float32, rows of the clip, 0 where padded
    query_mask: Tensor  # (B, M) bool
    first: Tensor  # (B,) int64, the target's rows within the window, half-open [first, last); -1 where there is none
    last: Tensor  # (B,) int64
    labels: list[str | None]

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device | str) -> PairBatch:
        """The batch on a device; pinned memory is copied while the host goes on."""
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> PairBatch:
        """The batch in memory that a GPU reads by itself; a DataLoader calls this."""
        return self._mapped(lambda tensor: tensor.pin_memory())

    def _mapped(self, change: Any) -> PairBatch:
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if isinstance(getattr(self, f.name), Tensor)}
        return replace(self, **{name: change(tensor) for name, tensor in tensors.items()})


def collate(pairs: Sequence[Pair], features: Provider, multiple: int = 1) -> PairBatch:
    """Read the rows of pairs and pad them to the longest, or to the next `multiple` (fewer shapes to compile)."""
    video, video_mask = _padded([features.read(pair.video, *pair.window) for pair in pairs], multiple)
    query, query_mask = _padded([features.read(pair.query_video, *pair.query) for pair in pairs], multiple)
    targets = [pair.target and (pair.target[0] - pair.window[0], pair.target[1] - pair.window[0]) for pair in pairs]
    places = torch.tensor([target or (-1, -1) for target in targets], dtype=torch.int64).reshape(-1, 2)  # (B, 2)
    return PairBatch(
        [pair.id for pair in pairs], video, video_mask, query, query_mask, places[:, 0].clone(), places[:, 1].clone(),
        [pair.label for pair in pairs],
    )  # fmt: skip


def _padded(arrays: Sequence[NDArray[np.float32]], multiple: int) -> tuple[Tensor, Tensor]:
    """(rows, D) each -> (B, N, D) and its mask (B, N)."""
    longest = -(-max(map(len, arrays)) // multiple) * multiple
    filled = np.zeros((len(arrays), longest, arrays[0].shape[1]), np.float32)
    mask = np.zeros((len(arrays), longest), np.bool_)
    for place, array in enumerate(arrays):
        filled[place, : len(array)] = array
        mask[place, : len(array)] = True
    return torch.from_numpy(filled), torch.from_numpy(mask)

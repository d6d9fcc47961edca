"""Batches: what is asked with, a clip or an image, and the video it is to be found in, padded, with masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from activity_bench.data.features import Provider
from activity_bench.data.features.images import Image
from activity_bench.training.pairs import Pair

WHOLE_BOX = (0.5, 0.5, 1.0, 1.0)
NO_BOX = (0.0, 0.0, 1.0, 1.0)  # where padded: a size of 1 has a logarithm, and can be divided by


@dataclass
class Batch:
    """What all batches have: B questions, and the rows in which their answers lie."""

    ids: list[str]
    video: Tensor  # (B, N, D) float32, rows of the window, 0 where padded
    video_mask: Tensor  # (B, N) bool, True where a row is real

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device | str) -> Self:
        """The batch on a device; pinned memory is copied while the host goes on."""
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Self:
        """The batch in memory that a GPU reads by itself; a DataLoader calls this."""
        return self._mapped(lambda tensor: tensor.pin_memory())

    def _mapped(self, change: Any) -> Self:
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if isinstance(getattr(self, f.name), Tensor)}
        return replace(self, **{name: change(tensor) for name, tensor in tensors.items()})


@dataclass
class PairBatch(Batch):
    """B pairs of one clip and one video."""

    query: Tensor  # (B, M, D) float32, rows of the clip, 0 where padded
    query_mask: Tensor  # (B, M) bool
    first: Tensor  # (B,) int64, the target's rows within the window, half-open [first, last); -1 where there is none
    last: Tensor  # (B,) int64
    labels: list[str | None]


@dataclass
class ImageBatch(Batch):
    """B pairs of one image and one video."""

    regions: Tensor  # (B, M, R) float32, the image's regions, 0 where padded; an image has one region at least
    boxes: Tensor  # (B, M, 4) float32, centre x, centre y, width, height; (0, 0, 1, 1) where padded
    region_mask: Tensor  # (B, M) bool
    whole: Tensor  # (B, G) float32, the image's global feature
    first: Tensor  # (B,) int64, as in PairBatch
    last: Tensor  # (B,) int64
    labels: list[str | None]


@dataclass
class VideoBatch(Batch):
    """B videos, of which only the classes are known."""

    classes: Tensor  # (B, C) float32, 1 where the video has the class


def collate(pairs: Sequence[Pair], features: Provider, multiple: int = 1) -> PairBatch | ImageBatch:
    """Read the rows of pairs and pad them to the longest, or to the next `multiple` (fewer shapes to compile).

    All ask with clips, or all with images."""
    ids, labels = [pair.id for pair in pairs], [pair.label for pair in pairs]
    video = padded([_window(pair, features) for pair in pairs], multiple)
    targets = [pair.seen(pair.target) if pair.target else (-1, -1) for pair in pairs]
    first, last = torch.tensor(targets, dtype=torch.int64).reshape(-1, 2).unbind(1)  # (B,) each
    clips = [features.read(p.query_video, *p.query) for p in pairs if isinstance(p.query, tuple)]
    if clips:
        return PairBatch(ids, *video, *padded(clips, multiple), first.clone(), last.clone(), labels)
    images = [_image(pair, features) for pair in pairs]
    regions, mask = padded([image.regions for image in images], multiple)
    boxes, _ = padded([image.boxes for image in images], multiple)
    boxes[~mask] = torch.tensor(NO_BOX)
    whole = torch.from_numpy(np.stack([image.whole for image in images]))  # (B, G)
    return ImageBatch(ids, *video, regions, boxes, mask, whole, first.clone(), last.clone(), labels)


def _window(pair: Pair, features: Provider) -> NDArray[np.float32]:
    """The rows that a network sees of a pair's window."""
    rows = features.read(pair.video, *pair.window)
    return rows if pair.rows == len(rows) else rows[pair.places()]


def _image(pair: Pair, features: Provider) -> Image:
    """What a pair asks with. Of an image without regions the whole is the one region; it says what the global feature
    says where the two have one size, and nothing where they have not."""
    assert features.images is not None and isinstance(pair.query, float)
    image = features.images.image(pair.query_video, pair.query)
    if len(image.regions):
        return image
    region = image.whole if image.regions.shape[1] == len(image.whole) else np.zeros(image.regions.shape[1], np.float32)
    return Image(region[None], np.array([WHOLE_BOX], np.float32), image.whole)


def padded(arrays: Sequence[NDArray[np.float32]], multiple: int) -> tuple[Tensor, Tensor]:
    """(rows, D) each -> (B, N, D) and its mask (B, N)."""
    longest = -(-max(map(len, arrays)) // multiple) * multiple
    filled = np.zeros((len(arrays), longest, arrays[0].shape[1]), np.float32)
    mask = np.zeros((len(arrays), longest), np.bool_)
    for place, array in enumerate(arrays):
        filled[place, : len(array)] = array
        mask[place, : len(array)] = True
    return torch.from_numpy(filled), torch.from_numpy(mask)

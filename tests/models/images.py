"""Batches of made-up questions by image, for the tests of networks that are asked so: as `pairs`, whose place it takes
where a check of `networks` is given it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from activity_bench.training.batches import ImageBatch
from tests.models import pairs
from tests.models.pairs import ODD, padded

Dims = tuple[int, int, int]  # of a row, of a region, of the whole image


class Image(NamedTuple):
    regions: Tensor  # (m, R)
    boxes: Tensor  # (m, 4): centre x, centre y, width, height
    whole: Tensor  # (G,)


Question = tuple[Tensor, Image, int, int]  # video (n, D), image, first, last

__all__ = ["INPUTS", "ODD", "batch_of", "dims", "drawn", "world"]
INPUTS = ("video", "regions", "boxes", "whole")  # what a network may have gradients by
PLACE = (0.0, 0.0, 1.0, 1.0)  # the box of a region that is none


def batch_of(questions: Sequence[Question], rows: int = 0, query_rows: int = 0) -> ImageBatch:
    """Questions padded to the longest video and the most regions, or to more."""
    video, video_mask = padded([question[0] for question in questions], rows)
    images = [question[1] for question in questions]
    regions, region_mask = padded([image.regions for image in images], query_rows)
    boxes, _ = padded([image.boxes for image in images], query_rows)
    boxes[~region_mask] = boxes.new_tensor(PLACE)
    whole = torch.stack([image.whole for image in images])
    first, last = (torch.tensor([question[i] for question in questions]) for i in (2, 3))
    ids, labels = [str(i) for i in range(len(questions))], [None] * len(questions)
    return ImageBatch(ids, video, video_mask, regions, boxes, region_mask, whole, first, last, labels)


def dims(question: Question) -> Dims:
    """What a network for such questions is made with, before its options."""
    video, image = question[:2]
    return video.shape[1], image.regions.shape[1], len(image.whole)


def drawn(
    seed: int, shapes: Sequence[tuple[int, int, int, int]], dims: Dims, dtype: torch.dtype = torch.float64
) -> list[Question]:
    """Rows and regions of noise for (n, m, first, last) each."""
    chance = torch.Generator().manual_seed(seed)
    row, region, whole = dims

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=chance, dtype=dtype)

    return [(noise(n, row), Image(noise(m, region), _boxes(noise(m, 4)), noise(whole)), a, b) for n, m, a, b in shapes]


def _boxes(noise: Tensor) -> Tensor:
    """Boxes within the image, none of no size. (m, 4) -> (m, 4)"""
    share = noise.sigmoid()
    size = 0.1 + 0.5 * share[:, 2:]
    return torch.cat((size / 2 + share[:, :2] * (1 - size), size), dim=1)


def world(seed: int, count: int, others: bool = True, told: bool = True) -> list[Question]:
    """The videos of `pairs.world`, asked for by an image: one of its regions shows the activity, in numbers of its own
    kind, among regions that show anything; the whole image shows it too, unless it is not `told`."""
    chance = torch.Generator().manual_seed(seed)
    fixed = torch.Generator().manual_seed(0)
    clips = pairs.world(seed, count, others)
    row = pairs.dims(clips[0])[0]
    seen_in_region, seen_in_whole = (torch.randn(row, size, generator=fixed) / row**0.5 for size in (12, 10))
    questions = []
    for video, clip, first, last in clips:
        activity = clip.mean(0)
        activity[: pairs.APPEARANCE] = 0  # another video's looks say nothing of an image
        place, *_ = order = torch.randperm(int(torch.randint(1, 5, (), generator=chance)), generator=chance)
        regions = torch.randn(len(order), 12, generator=chance)
        regions[place] = activity @ seen_in_region + 0.2 * torch.randn(12, generator=chance)
        whole = told * (activity @ seen_in_whole) + 0.2 * torch.randn(10, generator=chance)
        boxes = _boxes(torch.randn(len(order), 4, generator=chance))
        questions.append((video, Image(regions, boxes, whole), first, last))
    return questions

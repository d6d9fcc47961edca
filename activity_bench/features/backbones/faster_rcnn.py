"""Regions of an image: Ren, He, Girshick and Sun, *Faster R-CNN*, NIPS 2015, with VGG-16, up to fc7.

VGG-16's thirteen convolutions; at each place of conv5_3 nine anchors are scored and moved (section 3.1); the best boxes
that do not overlap by more than 0.7 are pooled to 7 x 7 and read by fc6 and fc7. A region is 4,096 numbers and a box;
the image as a whole is the mean of conv5_3, 512 numbers (IJCAI 2019, section 4.1).

What the papers leave open, and what was chosen:

- How many regions an image has: the best 36 of the 300 that suppression leaves of the 6,000 best, as is usual since
  *Bottom-Up and Top-Down Attention* (CVPR 2018). They are proposals: no classifier chooses among them.
- Blue, green, red less their means, the shorter side 600 and the longer 1,000 at most, boxes below 16 pixels left out,
  boxes named by their first and last pixel, rounding of RoI pooling: as released. A file that says it was trained with
  RoI-align (`pooling_mode`) is run with it.
- A feature is what comes after the rectifier.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from activity_bench.data.features.images import Image
from activity_bench.features import boxes
from activity_bench.features.backbones.kind import Kind, Loaded
from activity_bench.features.decode import Look

MEAN = (102.9801, 115.9465, 122.7717)  # blue, green, red of ImageNet
SHORTER, LONGER = 600, 1000
STRIDE = 16  # pixels from place to place on conv5_3
RATIOS, SCALES = (0.5, 1.0, 2.0), (8, 16, 32)  # of the anchors: height by width, and sides of a place's 16 pixels
LEAST = 16.0  # pixels of the image as it was given
BEFORE, AFTER, OVERLAP = 6000, 300, 0.7
REGIONS_OF_IMAGE = 36
SIZE = 7  # rows and columns that a region is pooled to
DEPTHS = (2, 2, 3, 3, 3)  # convolutions of VGG-16's five groups


def anchors() -> Tensor:
    """The boxes that are moved, around the first place: a ratio's three sizes, then the next ratio's. (9, 4)"""
    rows = []
    for ratio in RATIOS:
        width = round(math.sqrt(STRIDE**2 / ratio))
        height = round(width * ratio)
        for scale in SCALES:
            half_w, half_h, centre = (width * scale - 1) / 2, (height * scale - 1) / 2, (STRIDE - 1) / 2
            rows.append([centre - half_w, centre - half_h, centre + half_w, centre + half_h])
    return torch.tensor(rows)


def moved(start: Tensor, by: Tensor) -> Tensor:
    """Section 3.1.2: the inverse of t_x, t_y, t_w, t_h. (n, 4), (n, 4) -> (n, 4)"""
    size = start[:, 2:] - start[:, :2] + 1  # (n, 2): width, height
    centre = start[:, :2] + 0.5 * size + by[:, :2] * size  # (n, 2)
    half = 0.5 * size * by[:, 2:].exp()  # (n, 2)
    return torch.cat((centre - half, centre + half), dim=1)


class FasterRCNN(nn.Module):
    """From an image to boxes and what is in them."""

    pool: Callable[[Tensor, Tensor, int, float], Tensor]  # what the maps hold in a box

    def __init__(
        self,
        widths: tuple[int, int, int, int, int] = (64, 128, 256, 512, 512),  # channels of VGG-16's groups
        hidden: int = 4096,  # of fc6 and fc7
        middle: int = 512,  # of the convolution that proposals are read from
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for group, (depth, width) in enumerate(zip(DEPTHS, widths, strict=True)):
            layers += [nn.MaxPool2d(2)] if group else []
            for _ in range(depth):
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
                inputs = width
        count = len(RATIOS) * len(SCALES)
        self.base = nn.Sequential(*layers)  # conv1_1 to conv5_3
        self.rpn = nn.Conv2d(inputs, middle, 3, padding=1)
        self.rpn_score = nn.Conv2d(middle, 2 * count, 1)  # background of every anchor, then foreground of every anchor
        self.rpn_box = nn.Conv2d(middle, 4 * count, 1)  # four numbers of the first anchor, then of the next
        self.fc6 = nn.Linear(inputs * SIZE**2, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.pool = boxes.pool

    def prepare(self, image: Tensor) -> tuple[Tensor, float]:
        """uint8 (H, W, 3) RGB -> float (1, 3, h, w), blue first, less the mean colour; and h / H"""
        height, width = image.shape[:2]
        scale = min(SHORTER / min(height, width), LONGER / max(height, width))
        x = (image.flip(-1).float() - torch.tensor(MEAN, device=image.device)).permute(2, 0, 1)[None]  # (1, 3, H, W)
        size = (max(STRIDE, round(height * scale)), max(STRIDE, round(width * scale)))
        return nn.functional.interpolate(x, size, mode="bilinear", align_corners=False), scale

    def forward(self, x: Tensor, scale: float = 1.0, most: int = REGIONS_OF_IMAGE) -> tuple[Tensor, Tensor, Tensor]:
        """(1, 3, h, w) -> regions (m, hidden), boxes (m, 4) in pixels of x, the whole (512,)"""
        maps = self.base(x)[0]  # (512, h / 16, w / 16), rounded down
        found = self.propose(maps, x.shape[2], x.shape[3], LEAST * scale)[:most]  # (m, 4)
        pooled = self.pool(maps, found, SIZE, 1 / STRIDE)  # (m, 512, 7, 7)
        regions = self.fc7(self.fc6(pooled.flatten(1)).relu()).relu()  # (m, 4096)
        return regions, found, maps.mean((1, 2))

    def propose(self, maps: Tensor, height: int, width: int, least: float) -> Tensor:
        """Boxes that may hold a thing, best first. (512, rows, columns) -> (m, 4)"""
        rows, columns = maps.shape[1:]
        shared = self.rpn(maps).relu()  # (512, rows, columns)
        exact = torch.promote_types(maps.dtype, torch.float32)  # half precision is too coarse for pixels
        score = self.rpn_score(shared).to(exact)  # (18, rows, columns)
        background, foreground = score.permute(1, 2, 0).reshape(-1, 2, len(score) // 2).unbind(1)
        score = (foreground - background).flatten()  # (places x 9,): the log-odds order as the softmax does
        by = self.rpn_box(shared).to(exact).permute(1, 2, 0).reshape(-1, 4)  # (places x 9, 4)
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        places = torch.stack((x, y, x, y), dim=-1).reshape(-1, 1, 4) * STRIDE  # (places, 1, 4)
        start = (places + anchors()).reshape(-1, 4).to(by)  # (places x 9, 4)
        limit = by.new_tensor([width - 1, height - 1, width - 1, height - 1])
        found = moved(start, by).clamp(min=0).minimum(limit)  # (places x 9, 4)
        is_large = (found[:, 2:] - found[:, :2] + 1 >= least).all(1)
        found, score = found[is_large], score[is_large]
        best = score.argsort(descending=True, stable=True)[:BEFORE]
        return found[best][boxes.suppress(found[best], score[best], OVERLAP, AFTER)]


class Regions(Loaded):
    """A loaded Faster R-CNN: an image to its regions."""

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Image:
        """uint8 (H, W, 3) RGB -> regions (m, 4096), boxes (m, 4) of an image whose sides are 1, the whole (512,)"""
        x, scale = self.network.prepare(image.to(self._device))
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            regions, found, whole = self.network(x, scale)
        x1, y1, x2, y2 = found.double().unbind(1)  # (m,) each, the first and the last pixel
        height, width = x.shape[2:]
        shares = torch.stack(((x1 + x2 + 1) / 2 / width, (y1 + y2 + 1) / 2 / height,
                              (x2 - x1 + 1) / width, (y2 - y1 + 1) / height), dim=1)  # fmt: skip
        return Image(*(np.asarray(array.float().cpu()) for array in (regions, shares, whole)))


def own_name(name: str) -> str:
    """`RCNN_base.0.weight`, `RCNN_rpn.RPN_Conv.weight`, `RCNN_top.3.weight`; VGG-16's own `features`, `classifier`."""
    for pattern, ours in (
        (r"(RCNN_base|features)\.(?=\d)", "base."), (r"(RCNN_top|classifier)\.0\.", "fc6."),
        (r"(RCNN_top|classifier)\.3\.", "fc7."), (r"RCNN_rpn\.RPN_Conv\.", "rpn."),
        (r"RCNN_rpn\.RPN_cls_score\.", "rpn_score."), (r"RCNN_rpn\.RPN_bbox_pred\.", "rpn_box."),
    ):  # fmt: skip
        if found := re.match(pattern, name):
            return ours + name[found.end() :]
    return name


@dataclass(frozen=True)
class RegionKind(Kind):
    """What is known of Faster R-CNN before its weights are read."""

    def load(self, weights: Path | None, device: str = "cpu", bf16: bool = False) -> Any:
        """Ready to run."""
        network, sha256, notes = self.filled(weights, device)
        assert isinstance(network, FasterRCNN)
        if notes.get("pooling_mode") == "align":
            network.pool = boxes.align
        if weights is None:
            network.rpn_box.weight.zero_()  # random moves leave the image: the anchors stay where they are
        return Regions(self, network, sha256, device, bf16)


REGIONS = RegionKind(
    "vgg16-regions", "fc7", 4096, None, Look(size=None, crop=None, fps=None), FasterRCNN, own_name,
    r"RCNN_(cls_score|bbox_pred)\..*|classifier\.6\..*",
)  # fmt: skip

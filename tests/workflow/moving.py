"""A backbone that costs nothing: how much each part of the picture moves in a clip, and what colours it has."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from activity_bench.features.decode import Look

ACROSS, DOWN = 8, 6  # parts of a picture


class Moving:
    """The movement of 8 x 6 parts of the picture from frame to frame, and its mean colour: 51 numbers."""

    name, dim, layer, window, weights_sha256 = "moving", ACROSS * DOWN + 3, "movement", 8, "none"
    look = Look(size=(64, 48))

    def __init__(self, weights: Path | None, random_weights: bool, device: str) -> None:
        pass

    def __call__(self, clips: Tensor) -> Tensor:
        frames = clips.float().div(255)  # (B, T, H, W, 3)
        moved = (frames[:, 1:] - frames[:, :-1]).abs().mean(dim=(1, 4))  # (B, H, W)
        parts = torch.nn.functional.adaptive_avg_pool2d(moved[:, None], (DOWN, ACROSS)).flatten(1)  # (B, 48)
        return torch.cat([(parts * 50).clamp(max=1).sqrt(), frames.mean(dim=(1, 2, 3))], dim=1)  # (B, 51)


class Wide(Moving):
    """The same, over and over, in as many numbers as C3D has."""

    name, dim = "wide", 4096

    def __call__(self, clips: Tensor) -> Tensor:
        return super().__call__(clips).repeat(1, 81)[:, : self.dim]  # (B, 4096)

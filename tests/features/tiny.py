"""Backbones for the tests of jobs: one that is small and honest, and one that does to its worker what a colour says."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch
from torch import Tensor

from activity_bench.errors import InputError
from activity_bench.features.decode import Look


class Tiny:
    """Mean and deviation of each colour of each clip: six numbers."""

    name, dim, layer, window, weights_sha256 = "tiny", 6, "moments", 16, "none"
    look = Look(size=(40, 30), crop=24)

    def __init__(self, weights: Path | None, random_weights: bool, device: str) -> None:
        if weights is not None:
            raise InputError("tiny has no weights", file=weights)

    def __call__(self, clips: Tensor) -> Tensor:
        points = clips.float().flatten(1, 3)  # (B, T H W, 3)
        return torch.cat([points.mean(1), points.std(1)], 1)  # (B, 6)


class Fragile(Tiny):
    """Tiny, but red hangs, blue eats memory, green ends its worker, black breaks the program, white is not finite."""

    name = "fragile"

    def __call__(self, clips: Tensor) -> Tensor:
        found = super().__call__(clips)
        red, green, blue = (value > 150 for value in found[0, :3].tolist())
        eaten = []
        while red and not green and not blue:
            time.sleep(60)
        while blue and not red:
            eaten.append(bytearray(b"1") * (1 << 26))
            time.sleep(0.05)
        if green and not red:
            os.kill(os.getpid(), signal.SIGKILL)
        if found[0, :3].sum() < 30:
            raise ZeroDivisionError("a fault of the program")
        return found * float("nan") if red and green and blue else found


NOT_A_BACKBONE = 3

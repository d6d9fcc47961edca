"""A backbone for images that costs nothing, and one that takes its time, for jobs that are looked at from outside."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from torch import Tensor

from activity_bench.data.features.images import Image
from activity_bench.errors import InputError
from activity_bench.features.decode import Look


class Tiny:
    """The mean colours of the halves of an image; what is white has none."""

    name, dim, layer, window, weights_sha256 = "tiny-regions", 3, "halves", None, "none"
    look = Look()

    def __init__(self, weights: Path | None, random_weights: bool, device: str) -> None:
        if weights is not None:
            raise InputError("tiny has no weights", file=weights)

    def __call__(self, image: Tensor) -> Image:
        middle = image.shape[1] // 2
        halves = [half.float().mean((0, 1)).numpy() for half in (image[:, :middle], image[:, middle:])]
        boxes = np.array([[0.25, 0.5, 0.5, 1.0], [0.75, 0.5, 0.5, 1.0]], np.float32)
        whole = image.float().mean((0, 1)).numpy()
        return Image(np.stack(halves), boxes, whole * np.float32("nan") if whole.min() > 250 else whole)


class Slow(Tiny):
    """Half a second an image."""

    def __call__(self, image: Tensor) -> Image:
        time.sleep(0.5)
        return super().__call__(image)

"""Regions of image queries: what a backbone sees in one picture after the other.

A picture that cannot be had, or described, costs its own line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from activity_bench.data.features.images import Frame, Image, frame_name
from activity_bench.errors import InputError, printable
from activity_bench.features import frames
from activity_bench.features.ledger import Failure
from activity_bench.features.stills import Missing, Reader

if TYPE_CHECKING:
    from activity_bench.features.backbones import RegionBackbone


def describe(
    backbone: RegionBackbone,
    sources: Mapping[Path, Sequence[Frame]],
    of_videos: bool,
    write: Callable[[Frame, Image], object],
    limit: float,
) -> Iterator[tuple[Frame, Failure | None]]:
    """Pictures of videos, or in image files (a frame each), described and written; each with its failure, if it is one.

    The frames of a video ascend. `limit` is the seconds that a file may take to give its next picture.
    """
    started = time.monotonic()
    with Reader(limit) as reader:
        for path, asked in sources.items():
            pictures = reader.read(path, [second for _, second in asked] if of_videos else ())
            for frame, picture in zip(asked, pictures, strict=True):
                missing = picture if isinstance(picture, Missing) else _described(backbone, frame, picture, write)
                seconds, started = time.monotonic() - started, time.monotonic()
                failed = missing and Failure(
                    frame_name(*frame), missing.kind, printable(missing.message), 1, round(seconds, 3)
                )
                yield frame, failed


def _described(
    backbone: RegionBackbone, frame: Frame, picture: frames.Image, write: Callable[[Frame, Image], object]
) -> Missing | None:
    """Write what a picture (H, W, 3) shows, or say why it cannot be."""
    try:
        image = backbone(torch.from_numpy(np.ascontiguousarray(picture)))
    except MemoryError:
        return Missing("memory", "out of memory")
    try:
        write(frame, image)
    except InputError as error:  # not finite, for one; what the disk refuses ends the job
        return Missing("features", str(error))
    return None

"""Decoding by torchcodec, where it loads: it wants FFmpeg's libraries on the machine and one exact version of torch."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from activity_bench.errors import InputError
from activity_bench.features.frames import Clock, Look, Shown, Stated, Undecodable
from activity_bench.features.pyav import Painter

NAME = "torchcodec"
# Measured with 0.13: AVI and programme streams lack stamps, and fail; so do frames that an edit list leaves out.
CONTAINERS = ("avi", "mpeg")
HINT = "It wants FFmpeg's shared libraries and the torch that it was built for. --decoder auto needs neither."


def version() -> str:
    """torchcodec's version."""
    return str(_torchcodec().__version__)


def reads(facts: Stated) -> bool:
    """Whether torchcodec reads such a file rightly."""
    return facts.container not in CONTAINERS and not facts.trimmed


def shown(path: Path, look: Look, facts: Stated) -> Iterator[Shown]:
    """The frames in order. torchcodec makes them RGB at the file's own size; scaling is PyAV's."""
    decoders = _torchcodec().decoders
    painter = Painter(path, look)
    clock = Clock(1.0, 1 / facts.fps if facts.fps else 0.0)
    try:
        decoder = decoders.VideoDecoder(str(path.absolute()), stream_index=facts.stream, dimension_order="NHWC")
        for index in range(len(decoder)):
            frame = decoder.get_frame_at(index)
            picture = _as_av(frame.data.numpy())  # (height, width, 3)
            yield Shown(clock.at(frame.pts_seconds), frame.duration_seconds, partial(painter, picture))
    except (RuntimeError, ValueError, IndexError) as error:
        raise Undecodable("corrupt", path, why=(str(error).splitlines() or [""])[0]) from None


def _as_av(array: Any) -> Any:
    import av

    frame = av.VideoFrame.from_ndarray(array, format="rgb24")
    frame.time_base = Fraction(1)
    return frame


def _torchcodec() -> Any:
    try:
        torchcodec = import_module("torchcodec")
        import_module("torchcodec.decoders")
    except (ImportError, OSError, RuntimeError) as error:  # what it raises where FFmpeg or torch do not fit is long
        cause = (str(error).strip().splitlines() or [""])[0].partition(". ")[0]
        raise InputError(f"torchcodec does not load: {cause}", field="decoder", found=NAME, hint=HINT) from None
    return torchcodec

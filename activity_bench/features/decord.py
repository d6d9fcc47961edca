"""Decoding by decord, the second decoder: it reads some kinds of files wrongly, and can hang without end.

Its pictures are PyAV's to the byte. But where a scaling changes the width and not the height, its older FFmpeg makes
the colours otherwise: by 0.5 of 255 in the mean, by 60 at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from activity_bench.errors import InputError
from activity_bench.features.frames import Clock, Image, Look, Shown, Stated, Undecodable
from activity_bench.features.pyav import HINT, check_crop

NAME = "decord"
# Measured with 0.6.0: AV1 does not open, transport streams lack frames, programme streams give other ones, and frames
# that an edit list leaves out give those that stay the times of others.
CODECS, CONTAINERS = ("av1",), ("mpegts", "mpeg")


def version() -> str:
    """decord's version."""
    return str(_decord().__version__)


def reads(facts: Stated) -> bool:
    """Whether decord reads such a file rightly."""
    return facts.codec not in CODECS and facts.container not in CONTAINERS and not facts.trimmed and facts.width > 0


def shown(path: Path, look: Look, facts: Stated) -> Iterator[Shown]:
    """The frames in order; decord turns the pictures itself."""
    decord = _decord()
    shape = (facts.height, facts.width) if facts.rotation % 180 else (facts.width, facts.height)
    width, height = look.scaled(*shape)
    check_crop(look, width, height, path)
    sized = {} if look.size is None else {"width": width, "height": height}
    step = 1 / facts.fps if facts.fps else 0.0
    clock = Clock(1.0, step)
    try:
        reader = decord.VideoReader(str(path.absolute()), ctx=decord.cpu(0), num_threads=1, **sized)
        for index in range(len(reader)):
            array = reader.next()
            start, end = (float(second) for second in reader.get_frame_timestamp(index))
            if facts.container == "avi":  # its times are noise there
                start, end = index * step, (index + 1) * step
            yield Shown(clock.at(start), end - start, partial(_picture, array, look))
    except (decord.DECORDError, StopIteration, RuntimeError) as error:
        raise Undecodable("corrupt", path, why=_short(error)) from None


def _picture(array: Any, look: Look) -> Image:
    return look.cropped(array.asnumpy())


def _short(error: BaseException) -> str:
    """The first line of what decord says, without its own place in its own source."""
    lines = str(error).splitlines() or [""]
    return lines[0].rpartition("] ")[2]


def _decord() -> Any:
    try:
        import decord
    except (ImportError, OSError):
        raise InputError("this decoder is not installed", field="decoder", found=NAME, hint=HINT) from None
    decord.logging.set_level(decord.logging.QUIET)
    return decord

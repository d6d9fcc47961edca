"""The words of decoding: how a picture shall look, what a header states, a frame, and why a file gives none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from activity_bench.errors import InputError

Image = NDArray[np.uint8]  # (height, width, 3), red green blue

MOST_PIXELS = 1 << 27  # of a picture: four times 8K
FASTEST = 1000.0  # frames a second
KINDS = (
    "unreadable",  # the file is not there, or may not be read
    "empty",  # 0 bytes
    "not a video",  # no container that is known, or its head is missing
    "no video stream",  # sound alone, or sound and a cover picture
    "no decoder",  # a codec that this build lacks
    "no frame rate",  # none is stated, and none was asked for
    "too large",  # more pixels than allowed
    "too small",  # smaller than the crop
    "no frames",  # nothing could be decoded
    "corrupt",  # decoding failed on the way
    "cut off",  # the frames end well before the duration that the header states
)


class Undecodable(InputError):
    """A file that gives no frames, or not all of them; `kind` is one of `KINDS`."""

    def __init__(
        self, kind: str, file: Path, *, found: object = ..., expected: str | None = None, why: str = ""
    ) -> None:
        assert kind in KINDS
        super().__init__(f"{kind}: {why}" if why else kind, file=file, found=found, expected=expected)
        self.kind, self.why = kind, why

    def __reduce__(self) -> tuple[Callable[..., Undecodable], tuple[object, ...]]:
        return _again, (self.kind, self.file, self.found, self.expected, self.why)  # it crosses processes


def _again(kind: str, file: Path, found: object, expected: str | None, why: str) -> Undecodable:
    return Undecodable(kind, file, found=found, expected=expected, why=why)


@dataclass(frozen=True, slots=True)
class Look:
    """What is done to each picture: scaled (bilinear), then cropped; and at which instants it is taken.

    `size` is of the picture as it is shown, after its rotation: the shorter side, or (width, height). `fps` None takes
    the file's own frames; otherwise frame `k` is the one that is shown at `k / fps` seconds.
    """

    size: int | tuple[int, int] | None = None
    crop: int | None = None  # side of a square around the centre
    fps: float | None = None

    def __post_init__(self) -> None:
        sides = self.size if isinstance(self.size, tuple) else (self.size,)
        for name, value in [*(("size", side) for side in sides), ("crop", self.crop)]:
            if value is not None and not 1 <= value <= 1 << 15:
                raise InputError("not a size in pixels", field=name, found=value, expected="1 to 32,768")
        if self.fps is not None and not 0 < self.fps <= FASTEST:
            raise InputError("not a frame rate", field="fps", found=self.fps, expected=f"above 0, up to {FASTEST:g}")
        if self.crop is not None and self.size is not None and self.crop > min(side for side in sides if side):
            raise InputError("larger than the scaled picture", field="crop", found=self.crop, expected=f"{self.size}")

    def scaled(self, width: int, height: int) -> tuple[int, int]:
        """Width and height after scaling."""
        if self.size is None:
            return width, height
        if isinstance(self.size, tuple):
            return self.size
        ratio = self.size / min(width, height)
        return max(self.size, round(width * ratio)), max(self.size, round(height * ratio))

    def squeezed(self) -> Look:
        """The whole picture made as large as the crop, whatever its shape; nothing is cut off."""
        if self.crop is None:
            raise InputError("nothing is cropped here", field="crop", found=self.size)
        return replace(self, size=(self.crop, self.crop), crop=None)

    def cropped(self, image: Image) -> Image:
        """The centre, as an array of its own; an odd pixel too many goes at the right and at the bottom."""
        height, width = image.shape[:2]
        if self.crop is not None:
            top, left = (height - self.crop) // 2, (width - self.crop) // 2
            image = image[top : top + self.crop, left : left + self.crop]
        return np.ascontiguousarray(image)


@dataclass(frozen=True, slots=True)
class Stated:
    """What a file's header says of the stream that is read. Nothing of it is trusted for counting."""

    width: int  # as stored, before the rotation
    height: int
    codec: str
    container: str
    fps: float  # the average rate; 0 where none is stated
    duration: float  # seconds, of the stream or else of the file; 0 where none is stated
    promised: float  # seconds by the stream's own table of frames, which MP4 has; 0 where there is none
    stream: int  # its index in the file
    rotation: int  # degrees, counterclockwise, by which a player turns the picture
    trimmed: bool  # an edit list leaves out frames that are in the file


class Frame(NamedTuple):
    """One picture and when it is shown."""

    time: float  # seconds since the first frame
    image: Image  # (height, width, 3), contiguous


class Shown(NamedTuple):
    """A decoded frame whose picture is made only when it is wanted."""

    time: float  # seconds since the first frame
    lasts: float  # seconds that it is shown, if it is the last
    picture: Callable[[], Image]  # scaled and cropped


class Clock:
    """Seconds since the first frame, never backwards, whatever the container's stamps do."""

    SPLICE = 5  # frames back, from which on another recording starts, and is put behind the one before

    def __init__(self, tick: float, step: float) -> None:
        self.tick, self.step = tick, step  # seconds: of a unit of the stamps, and from frame to frame on average
        self.last = -math.inf
        self.origin = 0.0

    def at(self, stamp: float | None) -> float:
        """When the frame with this stamp is shown; one without follows the one before it by a step."""
        first = self.last == -math.inf
        if stamp is None:
            now = 0.0 if first else self.last + self.step
        elif first:
            now, self.origin = 0.0, stamp * self.tick
        else:
            now = stamp * self.tick - self.origin
            if now < self.last - self.SPLICE * self.step:
                self.origin -= self.last + self.step - now
                now = self.last + self.step
        self.last = max(now, self.last)
        return self.last

"""Units: the clips of which a row of features is made, cut out of frames as they come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from activity_bench.errors import InputError, unknown
from activity_bench.features.frames import FASTEST, Image

TAILS = ("pad", "drop")


@dataclass(frozen=True, slots=True)
class Units:
    """Row `i` is made of `window` frames from frame `i * stride` on.

    The last frames may be too few for a window. `pad` makes a row of them, too, the last frame repeated up to the
    window; `drop` leaves them out. A video shorter than a window is one padded row either way.
    """

    fps: float | None = None  # to which frames are resampled; None: the file's own rate
    window: int = 16
    stride: int = 16
    tail: Literal["pad", "drop"] = "pad"

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps <= FASTEST:
            raise InputError("not a frame rate", field="fps", found=self.fps, expected=f"above 0, up to {FASTEST:g}")
        for name in ("window", "stride"):
            if getattr(self, name) < 1:
                raise InputError("not a number of frames", field=name, found=getattr(self, name), expected="1 or more")
        if self.tail not in TAILS:
            raise unknown("tail", self.tail, TAILS, field="tail")

    def rows_for(self, frames: int) -> int:
        """How many rows so many frames make; with `drop` what `Timing.rows_for` says, with `pad` at most one more."""
        whole = max(1, (frames - self.window) // self.stride + 1)
        return whole + (self.tail == "pad" and self._is_left(whole, frames))

    def _is_left(self, rows: int, frames: int) -> bool:
        """Whether frames come after the last row's, among them the first of a next row."""
        return frames > max((rows - 1) * self.stride + self.window, rows * self.stride)


PRESETS: Mapping[str, Units] = {
    "c3d": Units(None, 16, 8),  # the official ActivityNet features
    "c3d-nonoverlap": Units(None, 16, 16),  # the released localizer's: a row is 16 frames of the file's own rate
    "i3d": Units(25.0, 16, 16),  # I3D was trained at 25 frames a second
}


def own_room(*shape: int) -> Image:
    """Memory for clips that nobody else sees."""
    return np.empty(shape, np.uint8)


def batches(frames: Iterable[Image], units: Units, size: int, room: Callable[..., Image] = own_room) -> Iterator[Image]:
    """The clips in order, up to `size` together: (b, window, H, W, 3). What is handed out is overwritten by the next.

    They are laid out in `room(size, window, H, W, 3)`. Beside it no more than a window of frames is held, and no frame
    is copied but into its clips.
    """
    ring: deque[Image] = deque(maxlen=units.window)
    held = np.empty(0, np.uint8)  # (size, window, H, W, 3) from the first clip on
    count = rows = filled = 0
    for frame in frames:
        ring.append(frame)
        count += 1
        if count == rows * units.stride + units.window:
            held = held if rows else room(size, units.window, *frame.shape)
            np.stack(ring, out=held[filled])
            rows, filled = rows + 1, filled + 1
            if filled == size:
                yield held
                filled = 0
    if count and units.rows_for(count) > rows:
        rest = list(ring)[-(count - rows * units.stride) :]  # those of the next row
        held = held if rows else room(1, units.window, *rest[0].shape)
        np.stack(rest + rest[-1:] * (units.window - len(rest)), out=held[filled])
        filled += 1
    if filled:
        yield held[:filled]

"""Stretches of a video: cut out to the frame as a file of its own, and single frames as small JPEG pictures.

Seconds are those of the features: from the first frame that is shown. A stretch is encoded anew, for a copy of packets
could begin at key frames alone, and can be off by seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from activity_bench.data import disk
from activity_bench.errors import InputError, unknown
from activity_bench.features import film, pyav
from activity_bench.features.decode import SLACK, stated
from activity_bench.features.frames import MOST_PIXELS, Clock, Image, Look, Shown, Undecodable

try:
    import av
except ImportError:
    raise InputError("cutting videos needs PyAV", field="av", hint=pyav.HINT) from None

FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}  # by the name's end
SEEKABLE = pyav.CONTAINERS[:2]  # MP4 and Matroska: their indices are to be trusted; the others are read from the start
EARLIER = 2.0  # seconds before what is wanted: pictures behind a key frame may still need what came before it
TICK = Fraction(1, 90_000)  # of the clock of a cut: 24, 25, 30 and 60 frames a second are whole numbers of it
SIDE = 240  # pixels of a still's longer side
QUALITY = {"preset": "veryfast", "crf": "18", "bf": "0", "threads": "1"}  # no frame out of order: times are exact


def check_format(out: Path) -> str:
    """The container that a name asks for, or an error that says which there are."""
    if out.suffix.lower() not in FORMATS:
        raise unknown("container", out.suffix, FORMATS, field=str(out))
    return FORMATS[out.suffix.lower()]


def cut(path: Path, start: float, end: float, out: Path) -> int:
    """Write what is shown in [start, end) to a file, h264 without sound; how many frames it has.

    A frame that is on the screen at `start` is the first, and is shown for what is left of its time.
    """
    about, form = stated(path), check_format(out)
    width, height = (about.width, about.height)[:: -1 if about.rotation % 180 else 1]
    even = (max(2, width - width % 2), max(2, height - height % 2))  # subsampled colour needs even sizes
    lasts: dict[int, int] = {}
    with disk.atomic(out) as stream, av.open(stream, "w", format=form) as container:
        rate = Fraction(about.fps or 25).limit_denominator(1001)
        video: Any = container.add_stream("libx264", rate=rate, options=QUALITY)
        video.width, video.height = even
        video.pix_fmt = "yuv420p"
        video.time_base = video.codec_context.time_base = TICK
        for first, last, picture in _stretch(path, start, end, Look(size=even)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base, lasts[first] = first, TICK, last - first
            _write(container, video.encode(frame), lasts)
        if not lasts:
            raise InputError("no frame is shown then", file=path, found=[start, end])
        _write(container, video.encode(None), lasts)
    return len(lasts)


def _write(container: Any, packets: Sequence[Any], lasts: dict[int, int]) -> None:
    for packet in packets:
        packet.duration = lasts[packet.pts]  # the encoder forgets that of the last one
        container.mux(packet)


def _stretch(path: Path, start: float, end: float, look: Look) -> Iterator[tuple[int, int, Image]]:
    """Each frame of a stretch with the ticks at which it comes and goes, from 0."""
    held: Shown | None = None
    for frame in chain(_from(path, start, look), [None]):
        until = end if frame is None else min(frame.time, end)
        if held is not None and frame is None:
            until = min(held.time + held.lasts, end)
        if held is not None and until > start + SLACK:
            first, last = (round((second - start) / TICK) for second in (max(held.time, start), until))
            if first < last:
                yield first, last, held.picture()
        if frame is None or frame.time >= end - SLACK:
            return
        held = frame


def stills(path: Path, seconds: Sequence[float]) -> list[bytes]:
    """The pictures that are shown at some instants, in their order, as JPEG."""
    return [small(_shown_at(path, second)) for second in seconds]


def _shown_at(path: Path, second: float) -> Image:
    held: Shown | None = None
    for frame in _from(path, second, Look()):
        if held is not None and frame.time > second + SLACK:
            break
        held = frame
    if held is None:
        raise Undecodable("no frames", path)
    return held.picture()


def small(image: Image, side: int = SIDE) -> bytes:
    """A small JPEG of a picture (H, W, 3), no larger than it is."""
    height, width = image.shape[:2]
    ratio = min(1.0, side / max(height, width))
    size = (max(2, round(width * ratio / 2) * 2), max(2, round(height * ratio / 2) * 2))
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    shrunk: Image = np.asarray(frame.reformat(*size, interpolation="AREA").to_ndarray(), np.uint8)
    return film.jpeg(shrunk)


def _from(path: Path, second: float, look: Look) -> Iterator[Shown]:
    """The frames from one at or before `second` on, in the order in which they are shown."""
    first: Shown | None = None
    with suppress(Undecodable):
        frames = _read(path, second - EARLIER, look)
        first = next(frames, None)
    if first is None or first.time > second:  # it cannot be looked up, or its index leads astray
        frames = _read(path, 0.0, look)
        first = next(frames, None)
    return iter(()) if first is None else chain([first], frames)


def _read(path: Path, second: float, look: Look) -> Iterator[Shown]:
    """The frames from a key frame before `second` on; all of them where the container has no index to be trusted."""
    with pyav.opened(path, MOST_PIXELS) as (container, stream, facts):
        tick, step = float(stream.time_base), 1 / facts.fps if facts.fps else 0.0
        clock, painter = Clock(tick, step), pyav.Painter(path, look)
        try:
            frames = container.decode(stream)
            frame = next(frames, None)
            if frame is not None and frame.pts is not None and second > 0 and facts.container in SEEKABLE:
                clock.at(frame.pts)  # the origin of all times
                container.seek(frame.pts + round(second / tick), stream=stream, backward=True)
                frames = container.decode(stream)
                frame = next(frames, None)
            while frame is not None:
                time = clock.at(frame.dts if facts.container == "avi" else frame.pts)
                lasts = float(frame.duration * stream.time_base) if frame.duration else step
                yield Shown(time, lasts, partial(painter, frame))
                frame = next(frames, None)
        except IndexError:  # of PyAV at the file's end, behind our last frame: another stream began within the file
            return
        except av.FFmpegError as error:
            raise Undecodable("corrupt", path, why=error.strerror or "") from None

"""Decoding by PyAV: one thread, frame after frame; pictures are turned, scaled and made RGB by FFmpeg's filters."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from activity_bench.errors import InputError
from activity_bench.features.frames import Clock, Image, Look, Shown, Stated, Undecodable

NAME = "pyav"
HINT = "pip install 'activity-bench[video]'"
OLDEST = 17, 1  # the first that tells what an edit list leaves out, and whose filters can be kept to one thread
# Containers of video. Others are refused: a playlist names further files, and FFmpeg draws a plain text as a picture.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "asf", "ogg", "rm",
    "mxf", "nut", "ivf", "gif", "h264", "hevc", "m4v", "dv", "wtv", "yuv4mpegpipe",
)  # fmt: skip
# Quarter turns and mirrored ones as FFmpeg names them: whether the stored x goes down, and the stored y to the right.
QUARTERS = {
    (True, False): "clock", (False, True): "cclock", (True, True): "cclock_flip", (False, False): "clock_flip",
}  # fmt: skip


def version() -> str:
    """PyAV's version and that of the FFmpeg in it."""
    av = _av()
    return f"{av.__version__} (libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))})"


def stated(path: Path, most_pixels: int) -> Stated:
    """What the header says, and the rotation, which is known from the first frame."""
    with opened(path, most_pixels) as (container, stream, facts):
        try:
            first = next(container.decode(stream), None)
        except _av().FFmpegError:
            first = None
        return facts if first is None else replace(facts, rotation=first.rotation)


def shown(path: Path, look: Look, most_pixels: int) -> Iterator[Shown]:
    """The frames in the order in which they are shown."""
    with opened(path, most_pixels) as (container, stream, facts):
        step = 1 / facts.fps if facts.fps else 0.0
        clock = Clock(float(stream.time_base), step)
        painter = Painter(path, look)
        for frame in _decoded(container, stream, path, most_pixels):
            # AVI has no stamps of showing, and FFmpeg's guess swaps B frames; they come out in the order of showing.
            time = clock.at(frame.dts if facts.container == "avi" else frame.pts)
            lasts = float(frame.duration * stream.time_base) if frame.duration else step
            yield Shown(time, lasts, partial(painter, frame))


@contextmanager
def opened(path: Path, most_pixels: int) -> Iterator[tuple[Any, Any, Stated]]:
    """A container, the stream of it that is read, and what is stated; every refusal comes before memory is taken."""
    try:
        if not path.stat().st_size:
            raise Undecodable("empty", path)
    except OSError as error:
        raise Undecodable("unreadable", path, why=error.strerror or "") from None
    with _open(path, _limit(most_pixels)) as container:
        stream = _chosen(container)
        if stream is None:
            raise Undecodable("no video stream", path)
        context = stream.codec_context
        if context is None:
            raise Undecodable("no decoder", path)
        width, height = context.width, context.height
        if not width:  # FFmpeg forgets a size beyond its own limit; unless it may open no codec
            with _open(path, {"codec_whitelist": "none"}) as unread:
                header = unread.streams[stream.index].codec_context
                width, height = header.width, header.height
        if width * height > most_pixels:
            raise Undecodable("too large", path, found=f"{width} x {height}",
                              expected=f"at most {most_pixels:,} pixels")  # fmt: skip
        context.thread_count = 1
        context.options = _limit(most_pixels)  # of pictures that turn out larger than the header said, too
        yield container, stream, _facts(container, stream)


def _open(path: Path, options: dict[str, str]) -> Any:
    """A container of video. Options are for its codecs, while the first packets are looked at, too."""
    av = _av()
    if tuple(map(int, av.__version__.split(".")[:2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise InputError("PyAV is too old", field="av", found=av.__version__, expected=f"{oldest} or newer", hint=HINT)
    # `file:` keeps a name with a colon from being read as a protocol; nothing but files is opened, whatever it names.
    only = {"protocol_whitelist": "file", "format_whitelist": ",".join(CONTAINERS)}
    try:
        return av.open(f"file:{path.absolute()}", container_options=only, options=options, metadata_errors="replace")
    except PermissionError as error:
        raise Undecodable("unreadable", path, why=error.strerror or "") from None
    except (av.FFmpegError, OSError) as error:
        raise Undecodable("not a video", path, why=getattr(error, "strerror", None) or "") from None


def _limit(most_pixels: int) -> dict[str, str]:
    return {"max_pixels": str(most_pixels)}


def _chosen(container: Any) -> Any:
    """The stream that FFmpeg takes for the main one; never the picture on a cover."""
    from av.stream import Disposition

    real = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    best = container.streams.best("video")
    return next((stream for stream in real if best is not None and stream.index == best.index), next(iter(real), None))


def _facts(container: Any, stream: Any) -> Stated:
    context, micro = stream.codec_context, 1_000_000
    seconds = float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / micro
    is_table = bool(stream.duration) and container.format.name == CONTAINERS[0]
    return Stated(
        context.width, context.height, context.codec.canonical_name, container.format.name,
        float(stream.average_rate or stream.guessed_rate or 0), seconds, seconds if is_table else 0.0,
        stream.index, 0, any(entry.is_discard for entry in stream.index_entries),
    )  # fmt: skip


def _decoded(container: Any, stream: Any, path: Path, most_pixels: int) -> Iterator[Any]:
    av = _av()
    try:
        for frame in container.decode(stream):
            if frame.width * frame.height > most_pixels:
                raise Undecodable("too large", path, found=f"{frame.width} x {frame.height}")
            yield frame
    except IndexError:  # of PyAV at the file's end, behind our last frame: another stream began within the file
        return
    except av.FFmpegError as error:
        raise Undecodable("corrupt", path, why=error.strerror or "") from None


class Painter:
    """Frames as pictures: turned, scaled, RGB, cropped. The filters are made anew where the frames' format changes."""

    def __init__(self, path: Path, look: Look) -> None:
        self.path, self.look = path, look
        self._format: tuple[object, ...] = ()
        self._graph: Any = None

    def __call__(self, frame: Any) -> Image:
        av = _av()
        found = (frame.width, frame.height, frame.format.name, frame.rotation)
        try:
            if found != self._format:
                self._graph, self._format = self._filters(frame), found
            self._graph.push(frame)
            plane = self._graph.pull().planes[0]
        except av.FFmpegError as error:
            raise Undecodable("corrupt", self.path, why=error.strerror or "") from None
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)  # (H, W * 3 and what pads it)
        return self.look.cropped(rows[:, : plane.width * 3].reshape(plane.height, plane.width, 3))

    def _filters(self, frame: Any) -> Any:
        from av.filter import Graph

        turns = turning(frame)
        flipped = any(name == "transpose" for name, _ in turns)
        shape = (frame.height, frame.width) if flipped else (frame.width, frame.height)
        width, height = self.look.scaled(*shape)
        check_crop(self.look, width, height, self.path)
        graph = Graph()
        graph.threads = 1
        nodes = [
            graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
        ]
        nodes += [graph.add(name, arguments) for name, arguments in turns]
        nodes += [graph.add("scale", f"{width}:{height}:flags=bilinear"), graph.add("format", "rgb24")]
        graph.link_nodes(*nodes, graph.add("buffersink")).configure()
        return graph


def check_crop(look: Look, width: int, height: int, path: Path) -> None:
    """Refuse a picture out of which the crop cannot be cut."""
    if look.crop is not None and min(width, height) < look.crop:
        raise Undecodable("too small", path, found=f"{width} x {height}", expected=f"at least {look.crop} a side")


def turning(frame: Any) -> list[tuple[str, str]]:
    """The filters that show a frame upright: PyAV hands out pictures as they are stored, and the matrix beside them."""
    from av.sidedata.sidedata import SideDataContainer, Type

    beside: Any = SideDataContainer  # its stub knows no arguments
    try:
        # Not `frame.side_data`, which the frame keeps: each would hold the other, and its memory until the collector.
        matrix = struct.unpack("=9i", bytes(beside(frame)[Type.DISPLAYMATRIX]))
    except KeyError:
        return []
    except ValueError:  # PyAV has no name for what lies beside it, Exif for one: its own rotation knows no mirrors
        turns = {90: [("transpose", "cclock")], 180: [("hflip", ""), ("vflip", "")], 270: [("transpose", "clock")]}
        return turns.get(frame.rotation % 360, [])
    # The stored x goes `a` to the right and `b` down, the stored y `c` to the right and `d` down.
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    if abs(b) > abs(a):
        return [("transpose", QUARTERS[b > 0, c > 0])]
    return [(name, "") for name, along in (("hflip", a), ("vflip", d)) if along < 0]


def _av() -> Any:
    try:
        import av
    except ImportError:
        raise InputError("reading videos needs PyAV", field="av", hint=HINT) from None
    return av

"""Video files for tests: rendered clips in other containers, turned, cut, and files that are none."""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

from activity_bench.simulation.clips import Clip, ClipsOptions, encode, plan

DECODERS = ["pyav", *(["decord"] if importlib.util.find_spec("decord") else [])]  # decord has no wheel everywhere
ONE = 1 << 16  # in a display matrix
NULLS = (b"\x47\x1f\xff\x10" + b"\xff" * 184) * 2000  # empty packets of a transport stream


@cache
def _encoded(number: int) -> tuple[Clip, bytes]:
    clip = plan(ClipsOptions())[number]
    return clip, encode(clip, 0)


def rendered(folder: Path, number: int = 0) -> tuple[Path, Clip]:
    """One of the rendered clips as a file."""
    clip, data = _encoded(number)
    path = folder / f"{clip.id}.mp4"
    path.write_bytes(data)
    return path, clip


def remuxed(source: Path, target: Path, container: str, matrix: Sequence[int] | None = None, late: int = 0) -> Path:
    """The same packets in another container, or turned, or `late` ticks later."""
    with av.open(str(source)) as old, av.open(str(target), "w", format=container, options={"movflags": "faststart"}
                                              if container == "mp4" else {}) as new:  # fmt: skip
        template = old.streams.video[0]
        stream = new.add_stream_from_template(template)
        if matrix is not None:
            a, b, c, d = matrix
            stream.set_display_matrix([a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30])
        for packet in old.demux(template):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts + late, packet.dts + late, stream
                new.mux(packet)
    return target


def greys(
    target: Path, container: str, codec: str, count: int = 10, cover: bool = False, sounds: int = 0, title: str = ""
) -> Path:
    """`count` grey pictures of 64 x 48 at 25 frames a second, each brighter than the last; and what else is asked."""
    with av.open(str(target), "w", format=container) as file:
        file.metadata.update({"title": title} if title else {})
        streams = [file.add_stream("mjpeg")] if cover else []
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 16, 16, "yuvj420p"
            stream.disposition = Disposition.attached_pic
        streams.append(file.add_stream(codec, rate=25))
        streams[-1].width, streams[-1].height, streams[-1].pix_fmt = 64, 48, "yuv420p"
        silent = [file.add_stream("aac", rate=44100, layout="mono") for _ in range(sounds)]
        for stream in streams:
            for k in range(count if stream is streams[-1] else 1):
                grey = np.full((stream.height, stream.width, 3), 20 * k, np.uint8)
                frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
                frame.pts = k
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
        for stream in silent:
            _silence(file, stream)
    return target


def _silence(file: av.container.OutputContainer, stream: av.AudioStream) -> None:
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
    frame.sample_rate, frame.pts = 44100, 0
    file.mux(stream.encode(frame))
    file.mux(stream.encode(None))


def sound(target: Path) -> Path:
    """A file of silence."""
    with av.open(str(target), "w") as file:
        _silence(file, file.add_stream("aac", rate=44100, layout="mono"))
    return target


def huge(target: Path) -> Path:
    """An AVI of raw pictures whose header says 100,000 x 100,000."""
    data = bytearray(greys(target, "avi", "rawvideo").read_bytes())
    for tag, offset in ((b"avih", 40), (b"strf", 12)):
        place = data.index(tag) + offset
        assert struct.unpack_from("<II", data, place) == (64, 48)
        struct.pack_into("<II", data, place, 100_000, 100_000)
    target.write_bytes(data)
    return target


def still(target: Path) -> Path:
    """Matroska whose stamps promise four days: a hundred small pictures, each shown for an hour but a second."""
    with av.open(str(target), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        frames = [av.VideoFrame(64, 48, "yuv420p") for _ in range(100)]
        for packet in [packet for frame in [*frames, None] for packet in stream.encode(frame)]:
            packet.pts = packet.dts = packet.pts * 25 * 3599
            file.mux(packet)
    return target


def heavy(target: Path, side: int = 8000) -> Path:
    """A small file whose pictures take 100 MB each, and are within what is allowed."""
    with av.open(str(target), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
        frame = av.VideoFrame(side, side, "yuv420p")
        for number in range(4):
            frame.pts = number
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return target


def beheaded(source: Path, target: Path, packets: int) -> Path:
    """The head of a file, which promises all frames, and the first packets."""
    whole = remuxed(source, target, "mp4")
    with av.open(str(whole)) as file:
        places = [packet.pos for packet in file.demux(video=0) if packet.size]
    target.write_bytes(whole.read_bytes()[: places[packets]])
    return target

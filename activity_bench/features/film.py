"""A strip of film: pictures of a video at even distances, side by side, as one JPEG."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from activity_bench.features.decode import read
from activity_bench.features.frames import Image, Look, Undecodable

PICTURES = 8  # in a strip
HEIGHT, WIDTH = 54, 96  # of a picture; a JPEG's sides are even
QUALITY = 6  # of FFmpeg's 1 (best) to 31


def strip(path: Path, start: float, end: float) -> bytes:
    """The video from `start` to `end` seconds, each picture from the middle of its share; black where it ended."""
    step = (end - start) / PICTURES
    wanted = [start + (number + 0.5) * step for number in range(PICTURES)]
    pictures = np.zeros((PICTURES, HEIGHT, WIDTH, 3), np.uint8)
    frames = read(path, Look(size=(WIDTH, HEIGHT), fps=min(max(2 / step, 1.0), 10.0)))  # near enough to the second
    found = 0
    try:
        for frame in frames:
            while found < PICTURES and frame.time >= wanted[found] - 0.5 / frames.fps:
                pictures[found] = frame.image
                found += 1
            if found == PICTURES:
                break
    finally:
        frames.close()
    if not found:
        raise Undecodable("no frames", path, why=f"none from {wanted[0]:.2f} s on")
    return jpeg(np.concatenate(list(pictures), axis=1))


def jpeg(image: Image) -> bytes:
    """(H, W, 3) -> a JPEG file; both sides are even."""
    import av
    from av.codec.context import Flags

    codec: Any = av.CodecContext.create("mjpeg", "w")
    codec.height, codec.width = image.shape[:2]
    codec.pix_fmt, codec.time_base, codec.thread_count = "yuvj420p", Fraction(1, 1), 1
    codec.options = {"qmin": str(QUALITY), "qmax": str(QUALITY)}
    codec.flags |= Flags.bitexact  # the writer's version is not written into the file
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuvj420p")
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])

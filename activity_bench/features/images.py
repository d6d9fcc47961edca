"""Image files as pictures: PNG, JPEG, WebP and BMP, decoded by PyAV, upright, red green blue.

A file is told by its first bytes, not by its name. Its size is known before memory is taken for its pixels.
"""

from __future__ import annotations

import io
import re
import struct
from pathlib import Path

import numpy as np

from activity_bench.data import disk
from activity_bench.errors import InputError
from activity_bench.features.frames import MOST_PIXELS, Image, Undecodable
from activity_bench.features.pyav import HINT

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
LARGEST = 1 << 29  # bytes of a file
FORMATS = {  # how a file of each begins, and who reads it
    "png_pipe": rb"\x89PNG\r\n\x1a\n",
    "jpeg_pipe": rb"\xff\xd8\xff",
    "webp_pipe": rb"RIFF....WEBP",
    "bmp_pipe": rb"BM",
}
# Exif's own table begins behind its name, in JPEG, PNG and WebP; 0x0112 is the entry that says how the picture lies.
EXIF = re.compile(rb"(?:Exif\0\0|eXIf|EXIF....)(?=II\*\0|MM\0\*)", re.DOTALL)
LIES, SHORT = 0x0112, 3
SCAN, END = b"\xff\xda", b"\xff\xd9"  # JPEG's marks of a picture's numbers, among which neither stands, and of its end
SIZED = re.compile(rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]")  # JPEG's segments that say a size


def read_image(path: Path) -> Image:
    """The picture in a file, as a viewer shows it: uint8 (H, W, 3) RGB."""
    data = disk.read_bytes(path := Path(path), LARGEST)
    if not data:
        raise Undecodable("empty", path)
    reader = next((name for name, start in FORMATS.items() if re.match(start, data, re.DOTALL)), None)
    if reader is None:
        raise Undecodable("no decoder", path, found=data[:8], expected="a PNG, JPEG, WebP or BMP file")
    width, height = _size(reader, data)
    if width * height > MOST_PIXELS:
        raise Undecodable("too large", path, found=f"{width} x {height}", expected=f"at most {MOST_PIXELS:,} pixels")
    if reader == "jpeg_pipe" and data.rfind(END) < data.rfind(SCAN):  # FFmpeg would paint what is missing grey
        raise Undecodable("cut off", path)
    try:
        import av
    except ImportError:
        raise InputError("reading images needs PyAV", field="av", hint=HINT) from None
    # Of the formats whose size we do not read FFmpeg itself makes no picture that is larger.
    limits = {"max_pixels": str(MOST_PIXELS), "err_detect": "explode"}
    try:
        with av.open(io.BytesIO(data), "r", format=reader, options=limits) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            picture = next(container.decode(stream)).reformat(format="rgb24").to_ndarray()  # (H, W, 3)
    except (av.FFmpegError, StopIteration, IndexError) as error:
        raise Undecodable("corrupt", path, why=getattr(error, "strerror", None) or "no picture in it") from None
    return upright(np.asarray(picture, np.uint8), orientation(data))


def upright(image: Image, lies: int) -> Image:
    """A picture as Exif's `lies` (1 to 8) says that it is to be seen. (H, W, 3) -> (H, W, 3) or (W, H, 3)"""
    if lies >= 5:
        image = image.transpose(1, 0, 2)
    if lies in (3, 4, 7, 8):
        image = image[::-1]
    if lies in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def orientation(data: bytes) -> int:
    """What Exif says of how a picture lies, 1 to 8; 1 where nothing is said."""
    if found := EXIF.search(data):
        table = data[found.end() : found.end() + (1 << 16)]
        order = "<" if table[:2] == b"II" else ">"
        try:
            (first,) = struct.unpack_from(order + "I", table, 4)
            (count,) = struct.unpack_from(order + "H", table, first)
            for place in range(first + 2, first + 2 + 12 * count, 12):
                tag, kind, _, lies = struct.unpack_from(order + "HHIH", table, place)
                if tag == LIES and kind == SHORT and 1 <= lies <= 8:
                    return int(lies)
        except struct.error:
            pass  # a table that is cut short says nothing
    return 1


def _size(reader: str, data: bytes) -> tuple[int, int]:
    """Width and height as a PNG or JPEG states them; (0, 0) where that is left to the decoder."""
    if reader == "png_pipe" and len(data) >= 24:
        width, height = struct.unpack_from(">II", data, 16)
        return width, height
    place = 2
    while reader == "jpeg_pipe" and place + 9 <= len(data) and data[place] == 0xFF:
        if SIZED.match(data, place):
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        place += 2 + struct.unpack_from(">H", data, place + 2)[0]
    return 0, 0

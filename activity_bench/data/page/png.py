"""A small picture of a table of numbers: a PNG whose opacity is the number, drawn in one colour."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode

import numpy as np
from numpy.typing import NDArray

SHADES = 64  # of opacity: as many as the eye tells apart, and a palette that packs well
COLOUR = (59, 130, 196)  # the page's accent, between its light and its dark one


def picture(values: NDArray[np.floating], greatest: float) -> bytes:
    """(rows, columns) -> PNG. 0 is clear, `greatest` is opaque, and twice as much is twice as opaque."""
    share = np.clip(np.nan_to_num(values.astype(np.float64)) / (greatest or 1.0), 0.0, 1.0)
    shades = np.rint(share * (SHADES - 1)).astype(np.uint8)  # (rows, columns)
    lines = np.pad(shades, ((0, 0), (1, 0))).tobytes()  # each line begins with its filter: 0, none
    head = struct.pack(">IIBBBBB", shades.shape[1], shades.shape[0], 8, 3, 0, 0, 0)  # 8 bits a pixel, of a palette
    opacity = bytes(round(255 * shade / (SHADES - 1)) for shade in range(SHADES))
    chunks = ((b"IHDR", head), (b"PLTE", bytes(COLOUR) * SHADES), (b"tRNS", opacity),
              (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def uri(kind: str, data: bytes) -> str:
    """A picture as an address of its own: image/png, image/jpeg."""
    return f"data:{kind};base64,{b64encode(data).decode()}"

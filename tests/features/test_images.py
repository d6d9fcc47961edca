"""Image files against OpenCV's reader, every way a picture may lie, and files that are none or too large."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.errors import InputError
from activity_bench.features.frames import Undecodable
from activity_bench.features.images import orientation, read_image

pytestmark = pytest.mark.quick

ENDINGS = {"png": 0.0, "webp": 0.0, "bmp": 0.0, "jpg": 1.5}  # and by how much two readers may differ in the mean


def drawn(height: int = 192, width: int = 256) -> np.ndarray:
    """Smooth colours, of which no two corners are alike: (height, width, 3), blue first as OpenCV has it."""
    points = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    return cv2.resize(points, (width, height), interpolation=cv2.INTER_LINEAR)


def encoded(ending: str, image: np.ndarray) -> bytes:
    options = {"webp": [cv2.IMWRITE_WEBP_QUALITY, 101], "jpg": [cv2.IMWRITE_JPEG_QUALITY, 98]}.get(ending, [])
    return bytes(cv2.imencode(f".{ending}", image, options)[1])


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def exif(lies: int, order: str) -> bytes:
    """Exif's table with two entries, of which the second says how the picture lies."""
    entries = struct.pack(order + "HHIHH", 0x0100, 3, 1, 640, 0) + struct.pack(order + "HHIHH", 0x0112, 3, 1, lies, 0)
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, 2) + entries + bytes(4)


def lying(ending: str, data: bytes, table: bytes) -> bytes:
    if ending == "png":
        return data[:33] + chunk(b"eXIf", table) + data[33:]  # behind the head
    body = b"Exif\0\0" + table
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


@pytest.mark.parametrize("ending", ENDINGS)
def test_pictures_are_those_of_another_reader(ending: str, tmp_path: Path) -> None:
    path = tmp_path / "named.wrongly"
    path.write_bytes(encoded(ending, drawn()))
    expected = cv2.imread(str(path))[..., ::-1]
    found = read_image(path)
    assert (found.shape, found.dtype, found.flags.c_contiguous) == ((192, 256, 3), np.uint8, True)
    assert np.abs(found.astype(int) - expected).mean() <= ENDINGS[ending]


@pytest.mark.parametrize("lies", range(1, 9))
@pytest.mark.parametrize(("ending", "order"), [("png", ">"), ("jpg", "<"), ("jpg", ">")])
def test_pictures_are_upright(ending: str, order: str, lies: int, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(lying(ending, encoded(ending, drawn()), exif(lies, order)))
    expected = cv2.imread(str(path))[..., ::-1]
    assert expected.shape == ((256, 192, 3) if lies >= 5 else (192, 256, 3))
    assert np.abs(read_image(path).astype(int) - expected).mean() <= ENDINGS[ending]


def test_grey_deep_and_transparent_pictures(tmp_path: Path) -> None:
    grey = drawn()[..., 0]
    for name, image in (
        ("grey", grey),
        ("deep", grey.astype(np.uint16) * 257),
        ("clear", np.dstack([grey, grey, grey, 255 - grey])),
    ):
        path = tmp_path / f"{name}.png"
        cv2.imwrite(str(path), image)
        np.testing.assert_allclose(read_image(path).astype(int), np.dstack([grey] * 3), atol=1)


@given(st.binary(max_size=80), st.integers(0, 60), st.binary(max_size=4))
def test_any_table_is_read(noise: bytes, place: int, changed: bytes) -> None:
    table = bytearray(exif(6, ">"))
    table[place : place + len(changed)] = changed
    assert 1 <= orientation(b"Exif\0\0" + bytes(table) + noise) <= 8
    assert orientation(noise[:8]) == 1


# ---- what is refused ------------------------------------------------------------------------------------------------


def png(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def jpeg(width: int, height: int) -> bytes:
    data = bytearray(encoded("jpg", drawn()))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(data)


# A whole small picture within the head of one that is cut off, as cameras write them.
COVERED = lying("jpg", encoded("jpg", drawn())[:-900], exif(1, "<") + encoded("jpg", drawn(8, 8)))
REFUSED = {
    "empty": (b"", "empty"),
    "text": (b"no picture at all", "no decoder"),
    "wide.png": (png(100_000, 100_000), "too large; found '100000 x 100000'"),
    "cover.jpg": (COVERED, "cut off"),
    "wide.jpg": (jpeg(60_000, 50_000), "too large; found '60000 x 50000'"),
    "wide.bmp": (encoded("bmp", drawn())[:18] + struct.pack("<ii", 90_000, 90_000) + bytes(100), "corrupt"),
    "short.png": (encoded("png", drawn())[:-200], "corrupt"),
    "short.jpg": (encoded("jpg", drawn())[:-900], "cut off"),
    "short.webp": (encoded("webp", drawn())[:-200], "corrupt"),
    "head.png": (png(10, 10)[:20], "corrupt"),
    "head.jpg": (b"\xff\xd8\xff\xe0\0", "corrupt"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_picture(name: str, tmp_path: Path) -> None:
    data, said = REFUSED[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(Undecodable, match=rf"{name}: {said}") as caught:
        read_image(tmp_path / name)
    assert caught.value.kind == said.split(";")[0]


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_image(tmp_path / "a.png")
    with pytest.raises(InputError, match="this is a folder"):
        read_image(tmp_path)

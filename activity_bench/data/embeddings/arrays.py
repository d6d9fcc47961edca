"""Vectors in NumPy's formats: an npz with `names` and `vectors`, or an npy with the names of its rows in another file.

A name is a word or a class. An array's header is read by hand, so that nothing is evaluated or unpickled, and must fit
the file's size; then both arrays stream, and of the vectors only the wanted rows are kept.
"""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from activity_bench.data.canonical import BOM, read_page
from activity_bench.data.disk import GZIP_FREE, GZIP_RATIO, open_read, read_bytes
from activity_bench.data.embeddings.entries import MAX_DIM, Found, Vector, Wanted, as_float32, folded
from activity_bench.errors import InputError, printable, unknown

NPY, NPZ = "npy", "npz"
NPY_MAGIC, NPZ_MAGIC = b"\x93NUMPY", b"PK\x03\x04"
NAMES, VECTORS = ("names", "words", "labels"), "vectors"
KEYS = ("name", "word", "label")  # of an entry in a JSON file of names
MAX_NAMES = 1 << 26  # bytes of a file of names
MAX_NAME = 1 << 12  # bytes of a name in an array
BLOCK = 1 << 20  # bytes in memory at a time

_DESCR = re.compile(rb"""['"]descr['"]\s*:\s*['"]([<>|=]?[a-zA-Z]\d{0,6})['"]""")
_ORDER = re.compile(rb"""['"]fortran_order['"]\s*:\s*(True|False)""")
_SHAPE = re.compile(rb"""['"]shape['"]\s*:\s*\(\s*((?:\d{1,18}\s*,\s*)*(?:\d{1,18}\s*)?)\)""")


@dataclass(frozen=True)
class Header:
    """What an npy header says."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    start: int  # bytes of the header itself

    @property
    def size(self) -> int:
        """Bytes of header and numbers."""
        return self.start + math.prod(self.shape) * self.dtype.itemsize


def read_npz(path: Path, wanted: Wanted) -> Found:
    """The wanted names of an npz: `names` (or `words`, `labels`) and `vectors`, (names, dim)."""
    with _damage(path), open_read(path) as raw, zipfile.ZipFile(raw) as archive:
        members = [name.removesuffix(".npy") for name in archive.namelist()]
        key = next((name for name in NAMES if name in members), None)
        if key is None or VECTORS not in members:
            raise unknown("array", NAMES[0] if key is None else VECTORS, members, file=path)
        with _member(archive, path, key) as (stream, header):
            if len(header.shape) != 1 or header.dtype.kind not in "US" or header.dtype.itemsize > MAX_NAME:
                raise InputError("no list of names", file=path, field=key, found=f"{header.dtype} {header.shape}",
                                 expected="texts in one row")  # fmt: skip
            found, rows, count = Found(0), _Rows(wanted), header.shape[0]
            rows.take(_texts(stream, header, path, key))
        with _member(archive, path, VECTORS) as (stream, header):
            return _vectors(stream, header, path, VECTORS, rows, count, found)


def read_npy(path: Path, names: Path, wanted: Wanted) -> Found:
    """The wanted rows of an npy, (names, dim), whose names a file of text or JSON has."""
    rows = _Rows(wanted)
    count = rows.take(_listed(names))
    with _damage(path), open_read(path) as stream:
        header = _header(stream, path, None)
        if header.size > path.stat().st_size:
            raise InputError("an array larger than its file", file=path, found=header.shape)
        return _vectors(stream, header, path, None, rows, count, Found(0), names)


# ---- names ----------------------------------------------------------------------------------------------------------


class _Rows:
    """The rows of the names that are wanted."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.spelt: dict[str, int] = {}
        self.folded: dict[str, int] = {}
        self.repeated = 0

    def take(self, names: Iterable[str]) -> int:
        """Look at all names, in the order of their rows; how many there are."""
        row = -1
        for row, name in enumerate(names):
            if name in self.wanted.spelt:
                self.repeated += name in self.spelt
                self.spelt.setdefault(name, row)
            if (key := folded(name)) in self.wanted.folded:
                self.folded.setdefault(key, row)
        return row + 1


def _texts(stream: BinaryIO, header: Header, path: Path, key: str) -> Iterator[str]:
    for block in _blocks(stream, header, path, key):
        for name in block.tolist():
            yield name if isinstance(name, str) else name.decode("utf-8", "backslashreplace")


def _listed(path: Path) -> list[str]:
    """The names in a file: JSON (a list of texts, or of objects with `name`, `word` or `label`), or one a line."""
    data = read_bytes(path, MAX_NAMES).removeprefix(BOM)
    if data.lstrip().startswith(b"["):
        entries = read_page(data, path, list[str | dict[str, Any]])
        return [entry if isinstance(entry, str) else _named(entry, path, place) for place, entry in enumerate(entries)]
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise InputError("not UTF-8 text", file=path, expected="a name a line, or a JSON list of names") from None
    return [line.strip() for line in (lines if lines[-1] else lines[:-1])]


def _named(entry: dict[str, Any], path: Path, place: int) -> str:
    name = next((entry[key] for key in KEYS if key in entry), None)
    if not isinstance(name, str):
        raise InputError("an entry without a name", file=path, field=f"[{place}]", found=sorted(entry),
                         expected=" or ".join(KEYS))  # fmt: skip
    return name


# ---- arrays ---------------------------------------------------------------------------------------------------------


@contextmanager
def _member(archive: zipfile.ZipFile, path: Path, key: str) -> Iterator[tuple[BinaryIO, Header]]:
    """An array of an npz, its header read: it has the size that the archive says, and that is plausible."""
    info = archive.getinfo(f"{key}.npy")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError("an archive of another kind than NumPy writes", file=path, field=key)
    with archive.open(info) as stream:
        header = _header(stream, path, key)  # type: ignore[arg-type]
        packed = min(info.compress_size, path.stat().st_size)
        if header.size != info.file_size or header.size > max(GZIP_FREE, GZIP_RATIO * packed):
            raise InputError("an array larger or smaller than its file", file=path, field=key, found=header.shape)
        yield stream, header  # type: ignore[misc]


def _header(stream: BinaryIO, path: Path, key: str | None) -> Header:
    """The header of an array of numbers or texts; objects are pickled, and that is never read."""
    begin = stream.read(10)
    if begin[:8] != NPY_MAGIC + b"\x01\x00":
        raise InputError("not an array of numbers", file=path, field=key, found=begin[:8].decode("latin-1"),
                         expected="npy, version 1.0")  # fmt: skip
    text = stream.read(int.from_bytes(begin[8:], "little"))
    descr, order, shape = _DESCR.search(text), _ORDER.search(text), _SHAPE.search(text)
    if descr and descr[1].endswith(b"O"):
        raise InputError("pickled objects: such a file can run code, and is never read", file=path, field=key)
    if not (descr and order and shape):
        raise InputError("not an array of numbers", file=path, field=key, found=text.decode("latin-1").strip())
    try:
        dtype = np.dtype(descr[1].decode())
    except (TypeError, ValueError):
        raise InputError("no such kind of number", file=path, field=key, found=descr[1].decode()) from None
    return Header(tuple(map(int, re.findall(rb"\d+", shape[1]))), order[1] == b"True", dtype, 10 + len(text))


def _vectors(
    stream: BinaryIO, header: Header, path: Path, key: str | None, rows: _Rows, count: int, found: Found,
    names: Path | None = None,
) -> Found:  # fmt: skip
    """The vectors of some rows, whichever of its two orders the array is stored in."""
    if len(header.shape) != 2 or header.dtype.kind not in "fiu":
        raise InputError("no array of vectors", file=path, field=key, found=f"{header.dtype} {header.shape}",
                         expected="numbers, (names, dim)")  # fmt: skip
    if header.shape[0] != count:
        raise InputError("not one name a row", file=names or path, found=f"{count} names",
                         expected=f"{header.shape[0]}, the rows of {path.name if names else VECTORS}")  # fmt: skip
    if count == 0 or not 0 < header.shape[1] <= MAX_DIM:
        raise InputError("no vector in it" if count == 0 else "not a vector's length", file=path, field=key,
                         found=header.shape, expected=f"(names, 1 to {MAX_DIM:,} numbers)")  # fmt: skip
    found.dim, found.repeated = header.shape[1], rows.repeated
    chosen = sorted({*rows.spelt.values(), *rows.folded.values()})
    row = np.array(chosen, np.int64)[:, None]  # (w, 1)
    column = np.arange(found.dim)  # (dim,)
    places = row + count * column if header.fortran else row * found.dim + column  # (w, dim), in the stored order
    picked = as_float32(_picked(stream, header, path, key, places.ravel()).reshape(places.shape))  # (w, dim)
    of_row: dict[int, Vector] = dict(zip(chosen, picked, strict=True))
    for names_, into in ((rows.spelt, found.spelt), (rows.folded, found.folded)):
        for name, at in names_.items():
            if not np.isfinite(of_row[at]).all():
                raise InputError("a vector that is not finite", file=path, field=name, found=f"row {at}")
            into[name] = of_row[at]
    return found


def _picked(stream: BinaryIO, header: Header, path: Path, key: str | None, places: NDArray[np.int64]) -> NDArray[Any]:
    """The items at some places of a stored array: (len(places),)."""
    order = np.argsort(places, kind="stable")
    sorted_places = places[order]
    picked = np.empty(len(places), header.dtype)
    first = 0
    for block in _blocks(stream, header, path, key):
        low, high = np.searchsorted(sorted_places, [first, first + len(block)])
        picked[order[low:high]] = block[sorted_places[low:high] - first]
        first += len(block)
    return picked


def _blocks(stream: BinaryIO, header: Header, path: Path, key: str | None) -> Iterator[NDArray[Any]]:
    """The items of an array, flat, some at a time; all of them or an error."""
    left, step = math.prod(header.shape), max(1, BLOCK // max(1, header.dtype.itemsize))
    while left:
        data = stream.read(min(step, left) * header.dtype.itemsize)
        block = np.frombuffer(data[: len(data) // header.dtype.itemsize * header.dtype.itemsize], header.dtype)
        if not len(block):
            raise InputError("a file that is cut", file=path, field=key, expected=f"{left:,} more numbers")
        yield block
        left -= len(block)


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """What the libraries say of a damaged file, as an error of ours."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, ArithmeticError, LookupError, OSError, RuntimeError, SystemError,
            ValueError) as error:  # SystemError: what NumPy makes of a code point that there is not  # fmt: skip
        raise InputError(f"a damaged file: {printable(str(error)) or 'it is cut'}", file=path) from None

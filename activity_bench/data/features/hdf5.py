"""HDF5 files read by many processes, and with distrust: links, claims and damage."""

from __future__ import annotations

import math
import os
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from activity_bench.data import disk
from activity_bench.errors import InputError, WorkError

# What h5py, NumPy and zipfile raise when the bytes are not what they should be.
BROKEN = (
    OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError, EOFError, SyntaxError, tokenize.TokenError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


SPARE = 1 << 16  # bytes
HEAP = b"GCOL\1\0\0\0"  # how a heap of texts begins
HEAD, TAIL = 1 << 16, 1 << 22  # bytes at either end of a file in which they are looked for
_SOUND: set[tuple[int, int, int, int]] = set()


class HDF5:
    """A file of HDF5 that many processes read: each opens it for itself, at need, and it is never pickled open.

    A handle that crosses a fork gives garbage, so the process id stands beside it. Nothing is locked: network file
    systems often cannot, and nobody writes to a file that has its final name. HDF5 says where an array lies; what lies
    in one piece is then read past the library, which is faster and needs no lock of its.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._file: Any = None
        self._pid = 0
        self._stamp: tuple[int, int] | None = None
        self._places: dict[str, Place] = {}

    @property
    def file(self) -> Any:
        """This process's handle."""
        if self._file is None or self._pid != os.getpid():
            self.close()  # in a child of a fork: the child's copy alone
            file = open_hdf5(self.path)
            found = self.path.stat()
            stamp = (found.st_size, found.st_mtime_ns)  # places and index hold for these bytes alone
            if self._stamp not in (None, stamp):
                file.close()
                raise InputError("the file was replaced while it was in use", file=self.path, hint="Start again.")
            self._file, self._pid, self._stamp = file, os.getpid(), stamp
        return self._file

    def close(self) -> None:
        """Close this process's handle; the next reading opens the file again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}

    def dataset(self, name: str) -> Any:
        """A dataset of this file."""
        return dataset_of(self.file, self.path, name)

    def place(self, name: str) -> Place:
        """Shape, type and place of a dataset, looked up once."""
        if name not in self._places:
            self._places[name] = Place.of(self.dataset(name))
        return self._places[name]

    def rows(self, name: str, first: int, last: int) -> NDArray[Any]:
        """Rows of a dataset of numbers, as they lie in the file: (rows, dim)."""
        file, place = self.file, self.place(name)
        if place.offset is None:
            return np.asarray(self.dataset(name)[first:last])
        array = np.empty((last - first, *place.shape[1:]), place.dtype)
        left = memoryview(array.reshape(-1).view(np.uint8).data)
        offset = place.offset + first * array.strides[0]
        while left:
            count = os.preadv(file.id.get_vfd_handle(), [left], offset)
            if count == 0:
                raise Damaged("the file ends within an array", file=self.path, field=name)
            left, offset = left[count:], offset + count
        return array


class Place(NamedTuple):
    """What a dataset is, and where its numbers begin in the file."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int | None  # None where the library must read: chunks, numbers that NumPy has not, no preadv

    @classmethod
    def of(cls, dataset: Any) -> Place:
        """Of an open dataset."""
        shape, dtype, offset = dataset.shape, dataset.dtype, dataset.id.get_offset()
        in_one_piece = dataset.id.get_storage_size() == math.prod(shape) * dtype.itemsize and hasattr(os, "preadv")
        return cls(shape, dtype, offset if in_one_piece else None)


class Damaged(InputError):
    """A file of ours that is not what was written."""


def open_hdf5(path: Path) -> Any:
    """An HDF5 file for reading, or an error that says why it is none."""
    with disk.open_read(path) as stream:  # a missing file, a folder: said in the words of every other reader
        signed = stream.read(8) == b"\x89HDF\r\n\x1a\n"
        _check_heaps(stream, Path(path))
    try:
        with suppress(OSError):
            return h5py.File(path, "r", locking=False)
        return h5py.File(path, "r")  # whoever has it open in this process has it open like that
    except OSError as error:
        if error.errno is not None:  # too many open files, a network that went away: no fault of the file
            raise InputError(f"cannot read: {os.strerror(error.errno)}", file=path) from None
        raise Damaged(f"a damaged HDF5 file: {error}" if signed else "not an HDF5 file", file=path) from None


def _check_heaps(stream: BinaryIO, path: Path) -> None:
    """Refuse a heap of texts in which an entry takes no room, or has the number that is too high for the HDF5 library
    (2.0 too): it is at that one for ever.

    A sector of zeros is enough, or of ones. Looked at are both ends of a file, where h5py puts attributes and what is
    written last.
    """
    found = os.fstat(stream.fileno())
    stamp = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
    if stamp in _SOUND:
        return
    for first, size in ((0, HEAD), (max(0, found.st_size - TAIL), TAIL)):
        stream.seek(first)
        data = stream.read(size)
        at = data.find(HEAP)
        while at >= 0:
            if (place := _stuck(data, at)) is not None:
                raise Damaged("a damaged heap of texts", file=path, found=f"byte {first + place:,}")
            at = data.find(HEAP, at + 1)
    _SOUND.clear()  # the last file alone: it is opened several times in a row
    _SOUND.add(stamp)


def _stuck(data: bytes, at: int) -> int | None:
    """Where in the heap that begins at `at` an entry takes no room, or has too high a number."""
    place, end = at + 16, min(at + int.from_bytes(data[at + 8 : at + 16], "little"), len(data)) - 16
    words = np.frombuffer(data, "<u8", max(0, end + 16 - place) // 8, place)
    numbers = words[:-1] & 0xFFFF
    if not ((numbers == 0) & (words[1:] == 0) | (numbers == 0xFFFF) | (words[1:] > (1 << 64) - 24)).any():
        return None  # no such entry, wherever entries begin: most heaps are full
    entry = struct.Struct("<H6xQ").unpack_from  # its number, 0 for what is free, and its bytes
    while place <= end:
        number, size = entry(data, place)
        size = size if number == 0 else (16 + (size + 7) % (1 << 64) // 8 * 8) % (1 << 64)  # as it counts there
        if size == 0 or number == 0xFFFF:
            return place
        place += size
    return None


def dataset_of(file: Any, path: Path, name: str) -> Any:
    """A dataset that lies in this very file, and that can be as large as it says; else an error."""
    links, parts = file.id.links, name.encode().split(b"/")
    for depth in range(len(parts)):
        link = b"/".join(parts[: depth + 1])
        if not links.exists(link):
            raise Damaged("this file lacks a dataset", file=path, field=name)
        if links.get_info(link).type != h5py.h5l.TYPE_HARD:
            raise InputError("a link to elsewhere", file=path, field=name, expected="a dataset")
    dataset = h5py.Dataset(h5py.h5d.open(file.id, name.encode()))
    if dataset.id.get_offset() is None and (dataset.external or dataset.is_virtual):
        raise InputError("numbers of another file", file=path, field=name, expected="a dataset")
    # What is written without compression cannot be larger than its file; what is compressed, not by so much.
    ratio = 1 if dataset.chunks is None else disk.GZIP_RATIO
    if math.prod(dataset.shape) * dataset.dtype.itemsize > ratio * path.stat().st_size:
        raise Damaged("a dataset larger than its file", file=path, field=name, found=dataset.shape)
    return dataset


@contextmanager
def damage(path: Path, field: str | None = None) -> Iterator[None]:
    """What the libraries say of a damaged file, as an error of ours; what the system refuses is no damage."""
    try:
        yield
    except BROKEN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(f"cannot read: {os.strerror(error.errno)}", file=path, field=field) from None
        raise Damaged(f"a damaged feature file: {error}", file=path, field=field) from None


@contextmanager
def write_faults(file: Path) -> Iterator[None]:
    """What the HDF5 library says of a full disk: an OSError, or a RuntimeError while it closes."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = re.search(r"error message = '([^']*)'", str(error))
        said = reason[1] if reason else getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise WorkError(f"cannot write: {said}", file=file) from error


class Room:
    """The disk that a file of HDF5 is about to take, taken before: the library (2.0 too) does not survive a full disk.

    It crashes where it cannot write what it holds back until a file is closed. `close` gives back what was not used.
    """

    def __init__(self, hdf5: Any) -> None:
        self._hdf5, self._taken = hdf5, 0

    @classmethod
    def new(cls, path: Path, **how: Any) -> Room:
        """A new file at `path`, which does not exist."""
        with path.open("xb") as stream:  # is there any?
            _allocate(stream.fileno(), 0, SPARE)
        made = cls(h5py.File(path, "w", locking=False, **how))
        made.take(0)
        return made

    @property
    def hdf5(self) -> Any:
        """The open file."""
        return self._hdf5

    def take(self, more: int) -> None:
        """Room for `more` bytes, and some to spare for what the library notes of them."""
        end = self._hdf5.id.get_filesize() + more + SPARE
        if end > self._taken:
            _allocate(self._hdf5.id.get_vfd_handle(), self._taken, end - self._taken)
            self._taken = end

    def close(self) -> None:
        """Close the file, and cut it where its head says that it ends."""
        path = self._hdf5.filename
        self._hdf5.close()
        with open(path, "r+b") as stream:  # noqa: PTH123 - a name, as the library has it
            head = stream.read(48)
            assert head[8] == 0, "the library writes the first version of the head unless it is told otherwise"
            stream.truncate(struct.unpack_from("<Q", head, 40)[0])


def _allocate(handle: int, first: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, first, size)

"""Features as other people keep them. They do not say what they are, so their timing is always given by hand."""

from __future__ import annotations

import zipfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from activity_bench.data import disk
from activity_bench.data.features import words
from activity_bench.data.features.hdf5 import HDF5, damage
from activity_bench.data.features.store import digest_of
from activity_bench.data.features.words import Attributes, Described, Rows, Timing
from activity_bench.errors import InputError, unknown

PREFIX = "v_"  # ActivityNet's files name a video v_<id>
C3D = "c3d_features"
KEYS = ("features", "feats", "feature")  # of an npz that holds several arrays
SUFFIXES = (".npy", ".npz")


class Foreign(Described, ABC):
    """What foreign layouts share: ids with or without `v_`, rows counted once, finite numbers."""

    def __init__(self, path: Path, timing: Timing | None, names: Sequence[str]) -> None:
        self.path = path
        if timing is None:
            raise InputError("these features do not say what they are", file=path, hint=words.BY_HAND)
        if not names:
            raise InputError("no features here", file=path)
        prefixed = all(name.startswith(PREFIX) for name in names)
        self._names = {name[len(PREFIX) :] if prefixed else name: name for name in sorted(names)}  # id -> name
        self._rows: dict[str, int] = {}
        shape, dtype = self._head(next(iter(self._names.values())))
        words.check_array(shape, dtype, None, next(iter(self._names)), path)
        self.attributes = Attributes.unstated(timing, shape[1], words.stored_as(dtype))

    @abstractmethod
    def _head(self, name: str) -> tuple[tuple[int, ...], Any]:
        """Shape and dtype of an array, without reading it."""

    @abstractmethod
    def _array(self, name: str, first: int, last: int) -> NDArray[Any]:
        """Rows [first, last) of an array."""

    @cached_property
    def digest(self) -> str:
        """The sha256 of the timing given, and of every id and its rows: what can be known without reading it all."""
        return digest_of(self.attributes, ((video, self.rows(video), "") for video in self.ids()))

    def ids(self) -> Sequence[str]:
        """The videos, sorted."""
        return sorted(self._names)

    def rows(self, video: str) -> int:
        """How many rows a video has."""
        name = self._name(video)
        if name not in self._rows:
            shape, dtype = self._head(name)
            words.check_array(shape, dtype, self.dim, video, self.path)
            self._rows[name] = int(shape[0])
        return self._rows[name]

    def read(self, video: str, first: int = 0, last: int | None = None) -> Rows:
        """Rows [first, last) of a video: (rows, dim)."""
        first, last = words.check_slice(video, self.rows(video), first, last, self.path)
        array = np.asarray(self._array(self._name(video), first, last), np.float32)
        words.check_finite(array, video, self.path)
        return array

    def check_rows(self, video: str, duration: float, tolerance_rows: float | None = None) -> None:
        """Refuse a video whose rows do not fit its duration."""
        words.check_rows(self, video, duration, tolerance_rows, self.path)

    def _name(self, video: str) -> str:
        for candidate in (video, video.removeprefix(PREFIX), PREFIX + video):
            if candidate in self._names:
                return self._names[candidate]
        raise unknown("video", video, self._names, file=self.path)


class OfficialC3D(Foreign):
    """The ActivityNet file: `/v_<id>/c3d_features`, 500 numbers a row, windows of 16 frames, stride 8."""

    def __init__(self, path: Path, timing: Timing | None = None) -> None:
        self._hdf5 = HDF5(Path(path))
        try:
            with damage(Path(path)):
                super().__init__(Path(path), timing, list(self._hdf5.file))
        finally:
            self._hdf5.close()

    def _head(self, name: str) -> tuple[tuple[int, ...], Any]:
        with damage(self.path, name):
            return self._hdf5.place(f"{name}/{C3D}")[:2]

    def _array(self, name: str, first: int, last: int) -> NDArray[Any]:
        with damage(self.path, name):
            return self._hdf5.rows(f"{name}/{C3D}", first, last)

    def close(self) -> None:
        """Close this process's handle."""
        self._hdf5.close()


def is_official_c3d(file: Any) -> bool:
    """Whether an open HDF5 file is laid out like that: its first group is."""
    first = next(iter(file), None)
    return first is not None and isinstance(file.get(first), h5py.Group) and C3D in file[first]


class ArrayFolder(Foreign):
    """A folder with one `.npy` or `.npz` a video, (rows, dim). No file is ever unpickled."""

    def __init__(self, path: Path, timing: Timing | None = None, key: str | None = None) -> None:
        self._key = key
        files = sorted(file for file in Path(path).iterdir() if file.suffix in SUFFIXES and file.name[0] != ".")
        self._files = {file.stem: file for file in files}
        if len(self._files) < len(files):
            raise InputError("a video has both .npy and .npz", file=path)
        super().__init__(Path(path), timing, list(self._files))

    def _head(self, name: str) -> tuple[tuple[int, ...], Any]:
        file = self._files[name]
        with damage(file):
            if file.suffix == ".npy":
                array = _mapped(file)
                return array.shape, array.dtype
            with zipfile.ZipFile(file) as archive:
                return self._member(archive, file)[1:]

    def _array(self, name: str, first: int, last: int) -> NDArray[Any]:
        file = self._files[name]
        with damage(file):
            if file.suffix == ".npy":
                return np.array(_mapped(file)[first:last])
            with zipfile.ZipFile(file) as archive, archive.open(self._member(archive, file)[0]) as stream:
                return np.asarray(npy.read_array(stream, allow_pickle=False)[first:last])

    def _member(self, archive: zipfile.ZipFile, file: Path) -> tuple[str, tuple[int, ...], Any]:
        """The array of an npz: its member, shape and dtype, which must fit the member's size."""
        keys = [name.removesuffix(".npy") for name in archive.namelist()]
        wanted = [self._key] if self._key else [*KEYS, *(keys if len(keys) == 1 else [])]
        key = next((name for name in wanted if name in keys), None)
        if key is None:
            raise unknown("array", self._key or KEYS[0], keys, file=file)
        info = archive.getinfo(f"{key}.npy")
        with archive.open(info) as stream:
            shape, dtype = _header(stream, file)
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if size > info.file_size or size > max(disk.GZIP_FREE, disk.GZIP_RATIO * info.compress_size):
            raise InputError("an array larger than its file", file=file, field=key, found=shape)
        return info.filename, shape, dtype


def _mapped(file: Path) -> NDArray[Any]:
    """An npy file, of which only what is looked at is read; NumPy compares its claim with its size."""
    with disk.open_read(file) as stream:
        _header(stream, file)
    return np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))


def _header(stream: Any, file: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise InputError("an npy file of another version", file=file, found=version, expected="1.0 or 2.0")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise InputError("pickled objects: such a file can run code, and is never read", file=file)
    return shape, dtype

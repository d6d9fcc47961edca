"""Features as other people keep them. They do not say what they are, so their timing is always given by hand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from activity_bench.data.features import words
from activity_bench.data.features.hdf5 import HDF5, damage
from activity_bench.data.features.store import digest_of
from activity_bench.data.features.words import Attributes, Described, Rows, Timing
from activity_bench.errors import InputError, unknown

PREFIX = "v_"  # ActivityNet's files name a video v_<id>
C3D = "c3d_features"


class Foreign(Described, ABC):
    """What foreign layouts share: ids with or without `v_`, rows counted once, finite numbers.

    `made` is for a folder that says what its features are, in place of `timing`. `transposed` arrays are (dim, rows).
    """

    def __init__(
        self, path: Path, timing: Timing | None, names: Sequence[str], transposed: bool = False,
        made: Attributes | None = None,
    ) -> None:  # fmt: skip
        self.path, self._transposed = path, transposed
        if not names:
            raise InputError("no features here", file=path, expected="an array a video")
        if timing is None and made is None:
            raise InputError("these features do not say what they are", file=path, hint=words.BY_HAND)
        prefixed = made is None and all(name.startswith(PREFIX) for name in names)
        self._names = {name[len(PREFIX) :] if prefixed else name: name for name in sorted(names)}  # id -> name
        self._rows: dict[str, int] = {}
        self._first_rows = 0  # of the array by which the dim is known
        self._is_wide = False  # whether any array that was looked at is more than float16
        shape, dtype = self._seen(next(iter(self._names.values())))
        words.check_array(shape, dtype, made.dim if made else None, next(iter(self._names)), path)
        self._first_rows = shape[0]
        if made is not None and timing not in (None, made.timing):
            raise InputError("the folder states another timing", file=path, found=timing, expected=str(made.timing),
                             hint="Leave the timing out.")  # fmt: skip
        self.attributes = made or Attributes.unstated(timing, shape[1], words.stored_as(dtype))  # type: ignore[arg-type]

    @abstractmethod
    def _head(self, name: str) -> tuple[tuple[int, ...], Any]:
        """Shape and dtype of an array, without reading it."""

    @abstractmethod
    def _array(self, name: str, first: int, last: int) -> NDArray[Any]:
        """Entries [first, last) of an array's first axis."""

    @cached_property
    def digest(self) -> str:
        """The sha256 of the timing given, and of every id and its rows: what can be known without reading it all."""
        return digest_of(self.attributes, ((video, self.rows(video), "") for video in self.ids()))

    @property
    def stored_as(self) -> str:
        """The narrowest type that holds every array whose rows were asked for."""
        return words.DTYPES[self._is_wide]

    def ids(self) -> Sequence[str]:
        """The videos, sorted."""
        return sorted(self._names)

    def rows(self, video: str) -> int:
        """How many rows a video has."""
        name = self._name(video)
        if name not in self._rows:
            shape, dtype = self._seen(name)
            try:
                words.check_array(shape, dtype, self.dim, video, self.path)
            except InputError as error:
                if len(shape) == 2 and shape[1] != self.dim and shape[0] == self._first_rows:
                    raise InputError(error.problem, file=self.path, field=video, found=shape, expected=error.expected,
                                     hint=words.TRANSPOSED) from None  # fmt: skip
                raise
            self._rows[name] = int(shape[0])
        return self._rows[name]

    def read(self, video: str, first: int = 0, last: int | None = None) -> Rows:
        """Rows [first, last) of a video: (rows, dim)."""
        array = self.raw(video, first, last)
        words.check_finite(array, video, self.path)
        return array

    def raw(self, video: str, first: int = 0, last: int | None = None) -> Rows:
        """What `read` gives, numbers that are not finite with it."""
        first, last = words.check_slice(video, self.rows(video), first, last, self.path)
        name = self._name(video)
        found = self._array(name, 0, self.dim).T[first:last] if self._transposed else self._array(name, first, last)
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
            return np.asarray(found, np.float32)

    def check_rows(self, video: str, duration: float, tolerance_rows: float | None = None) -> None:
        """Refuse a video whose rows do not fit its duration."""
        words.check_rows(self, video, duration, tolerance_rows, self.path)

    def _seen(self, name: str) -> tuple[tuple[int, ...], Any]:
        """Shape as (rows, dim), and dtype."""
        shape, dtype = self._head(name)
        self._is_wide |= np.dtype(dtype).itemsize > 2
        return shape[::-1] if self._transposed else shape, dtype

    def _name(self, video: str) -> str:
        for candidate in (video, video.removeprefix(PREFIX), PREFIX + video):
            if candidate in self._names:
                return self._names[candidate]
        raise unknown("video", video, self._names, file=self.path)


class OfficialC3D(Foreign):
    """An HDF5 file of `/v_<id>/c3d_features`, as ActivityNet's own: 500 numbers a row, windows of 16 frames, stride 8.

    Another `key` is another name than c3d_features; arrays may lie at `/v_<id>` themselves, as ActionFormer reads them.
    """

    def __init__(
        self, path: Path, timing: Timing | None = None, key: str | None = None, transposed: bool = False
    ) -> None:
        self._hdf5 = HDF5(Path(path))
        try:
            with damage(Path(path)):
                names = list(self._hdf5.file)
                inside = bool(names) and self._hdf5.file.get(names[0], getclass=True) is h5py.Group
                self._inside = f"/{key or C3D}" if inside else ""
                super().__init__(Path(path), timing, names, transposed)
        finally:
            self._hdf5.close()

    def _head(self, name: str) -> tuple[tuple[int, ...], Any]:
        with damage(self.path, name):
            return self._hdf5.place(name + self._inside)[:2]

    def _array(self, name: str, first: int, last: int) -> NDArray[Any]:
        with damage(self.path, name):
            return self._hdf5.rows(name + self._inside, first, last)

    def close(self) -> None:
        """Close this process's handle."""
        self._hdf5.close()


def is_official_c3d(file: Any, key: str | None = None) -> bool:
    """Whether an open HDF5 file is laid out like that: its first member is a group with such an array, or an array."""
    name = next(iter(file), None)
    first = None if name is None else file.get(name)
    if isinstance(first, h5py.Group):
        return (key or C3D) in first
    return isinstance(first, h5py.Dataset) and len(first.shape) == 2

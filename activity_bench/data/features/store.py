"""A feature store on the disk: one HDF5 file, opened by each process for itself."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from activity_bench.data import canonical, disk
from activity_bench.data.features import words
from activity_bench.data.features.words import Attributes, Rows, Timing
from activity_bench.errors import InputError, unknown

FEATURES, IDS, ROWS, SHA256 = "features", "index/ids", "index/rows", "index/sha256"


class HDF5:
    """A file of HDF5 that is read by many processes: opened at need, in each for itself, and never pickled open.

    A handle that crosses a fork gives garbage, so the process id stands beside it. Nothing is locked: network file
    systems often cannot, and nobody writes to a file that has its final name.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._file: Any = None
        self._pid = 0

    @property
    def file(self) -> Any:
        """This process's handle."""
        if self._file is None or self._pid != os.getpid():
            self.close()  # in a child of a fork: the child's copy alone
            self._file, self._pid = open_hdf5(self.path), os.getpid()
        return self._file

    def close(self) -> None:
        """Close this process's handle; the next reading opens the file again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_file": None, "_pid": 0}

    def dataset(self, name: str) -> Any:
        """A dataset of numbers that lie in this very file, and that can be as large as it says."""
        node = self.file
        for part in name.split("/"):
            if not isinstance(node, h5py.Group) or part not in node:
                raise InputError("this file lacks a dataset", file=self.path, field=name)
            if not isinstance(node.get(part, getlink=True), h5py.HardLink):
                raise InputError("a link to elsewhere", file=self.path, field=name, expected="a dataset")
            node = node[part]
        if not isinstance(node, h5py.Dataset) or node.external or node.is_virtual:
            raise InputError("not a dataset of this file", file=self.path, field=name)
        # What is written without compression cannot be larger than the file; what is compressed, by not so much.
        ratio = 1 if node.chunks is None else disk.GZIP_RATIO
        if node.nbytes > ratio * self.path.stat().st_size:
            raise InputError("a dataset larger than its file", file=self.path, field=name, found=node.shape,
                             hint="The file is damaged.")  # fmt: skip
        return node


def open_hdf5(path: Path) -> Any:
    """An HDF5 file for reading, or an error that says why it is none."""
    with disk.open_read(path) as stream:  # a missing file, a folder: said in the words of every other reader
        signed = stream.read(8) == b"\x89HDF\r\n\x1a\n"
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        problem = f"a damaged HDF5 file: {error}" if signed else "not an HDF5 file"
        raise InputError(problem, file=path) from None


@contextmanager
def damage(path: Path, field: str | None = None) -> Iterator[None]:
    """What h5py says of a damaged file, as an error of ours."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeDecodeError, MemoryError) as error:
        raise InputError(f"a damaged feature file: {error}", file=path, field=field) from None


class FeatureStore:
    """The features of many videos in one file: `/features/<id>`, the index beside them, what made them as attributes.

    `timing` is for a file that does not say what its features are. One that says it is believed.
    """

    def __init__(self, path: Path, timing: Timing | None = None) -> None:
        self._hdf5 = HDF5(Path(path))
        self.path = self._hdf5.path
        with damage(self.path):
            self._index, self._sha256 = self._read_index()
            self.attributes = self._read_attributes(timing)
        self._hdf5.close()  # so that nothing is open when a parent forks before it reads

    def _read_index(self) -> tuple[dict[str, int], Sequence[str]]:
        file = self._hdf5.file
        names = [name for name in (FEATURES, IDS, ROWS) if name not in file]
        if names:
            raise InputError("not a feature store: it lacks /" + ", /".join(names), file=self.path)
        ids = [str(name) for name in self._hdf5.dataset(IDS).asstr()[:]]
        rows = [int(count) for count in self._hdf5.dataset(ROWS)[:]]
        sums = [str(text) for text in self._hdf5.dataset(SHA256).asstr()[:]] if SHA256 in file else [""] * len(ids)
        if not len(set(ids)) == len(ids) == len(rows) == len(sums) or min(rows, default=1) < 1:
            raise InputError("a damaged index", file=self.path, field="index", expected="an id and its rows, each once")
        return dict(zip(ids, rows, strict=True)), sums

    def _read_attributes(self, timing: Timing | None) -> Attributes:
        found = dict(self._hdf5.file.attrs)
        if timing is None or all(name in found for name in Attributes.__dataclass_fields__):
            stated = Attributes.read(found, self.path)
            if timing is not None and timing != stated.timing:
                raise InputError("the file states another timing", file=self.path, found=timing,
                                 expected=str(stated.timing), hint="Leave the timing out.")  # fmt: skip
            return stated
        first = self._dataset(next(iter(self._index))) if self._index else None
        if first is None:
            raise InputError("an empty feature store", file=self.path)
        return Attributes.unstated(timing, first.shape[1], words.stored_dtype(first.dtype))

    @property
    def dim(self) -> int:
        """Numbers in a row."""
        return self.attributes.dim

    @property
    def timing(self) -> Timing:
        """When the rows lie."""
        return self.attributes.timing

    @cached_property
    def digest(self) -> str:
        """The sha256 of the attributes and the index: every id, its rows and the sha256 of its numbers."""
        index = sorted(zip(self._index.items(), self._sha256, strict=True))
        return digest_of(self.attributes, ((video, rows, text) for (video, rows), text in index))

    def ids(self) -> Sequence[str]:
        """The videos, sorted."""
        return sorted(self._index)

    def rows(self, video: str) -> int:
        """How many rows a video has."""
        if video not in self._index:
            raise unknown("video", video, self._index, file=self.path)
        return self._index[video]

    def read(self, video: str, first: int = 0, last: int | None = None) -> Rows:
        """Rows [first, last) of a video: (rows, dim)."""
        first, last = words.check_slice(video, self.rows(video), first, last, self.path)
        with damage(self.path, video):
            return np.asarray(self._dataset(video)[first:last], np.float32)

    def check_rows(self, video: str, duration: float, tolerance_rows: float | None = None) -> None:
        """Refuse a video whose rows do not fit its duration."""
        words.check_rows(self, video, duration, tolerance_rows, self.path)

    def damaged(self) -> list[str]:
        """The videos whose numbers are not those that were written; reads all of the file."""
        return [
            video for video, text in zip(self._index, self._sha256, strict=True)
            if text and text != sha256_of(self._dataset(video)[:])
        ]  # fmt: skip

    def attributes_of(self, video: str) -> Mapping[str, Any]:
        """What was noted of one video when its features were made."""
        self.rows(video)
        with damage(self.path, video):
            return {name: words.plain(value) for name, value in self._dataset(video).attrs.items()}

    def close(self) -> None:
        """Close this process's handle; the next reading opens the file again."""
        self._hdf5.close()

    def _dataset(self, video: str) -> Any:
        dataset = self._hdf5.dataset(f"{FEATURES}/{video}")
        shape = (self._index[video], self.attributes.dim if hasattr(self, "attributes") else dataset.shape[-1])
        if dataset.shape != shape or dataset.dtype.kind != "f":
            raise InputError("not the rows that the index states", file=self.path, field=video,
                             found=(dataset.shape, str(dataset.dtype)), expected=str(shape))  # fmt: skip
        return dataset


def digest_of(attributes: Attributes, index: Iterator[tuple[str, int, str]]) -> str:
    """The digest of features: a canonical JSON line of the attributes, then one of each (id, rows, sha256), by id."""
    hasher = hashlib.sha256(canonical.line(attributes.as_dict()))
    for entry in index:
        hasher.update(canonical.line(entry))
    return "sha256:" + hasher.hexdigest()


def sha256_of(array: Any) -> str:
    """The sha256 of an array's numbers, as they lie in the file: row by row, little-endian."""
    return hashlib.sha256(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data).hexdigest()

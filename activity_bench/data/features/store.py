"""A feature store on the disk: one HDF5 file, opened by each process for itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from activity_bench.data import canonical
from activity_bench.data.features import words
from activity_bench.data.features.hdf5 import HDF5, Damaged, damage
from activity_bench.data.features.images import IMAGES, ImageStore, frame_name, has_images
from activity_bench.data.features.words import Attributes, Described, Rows, Timing
from activity_bench.errors import InputError, unknown

FEATURES, IDS, ROWS, SHA256 = "features", "index/ids", "index/rows", "index/sha256"


class FeatureStore(Described):
    """The features of many videos in one file: `/features/<id>`, the index beside them, what made them as attributes.

    `timing` is for a file that does not say what its features are. One that says it is believed.
    """

    def __init__(self, path: Path, timing: Timing | None = None) -> None:
        self._hdf5 = HDF5(Path(path))
        self.path = self._hdf5.path
        self._sound: set[str] = set()  # videos whose numbers were compared with their sum
        try:
            with damage(self.path):
                self._index, self._sums = self._read_index()
                self.attributes = self._read_attributes(timing)
            self._images = ImageStore(self.path) if has_images(self.path) else None
        finally:
            self._hdf5.close()  # so that nothing is open when a parent forks before it reads

    @property
    def images(self) -> ImageStore | None:
        """The frames that are asked with, where the file has any."""
        return self._images

    def _read_index(self) -> tuple[dict[str, int], dict[str, str]]:
        file = self._hdf5.file
        names = [name for name in (FEATURES, IDS, ROWS) if name not in file]
        if names:
            raise InputError("not a feature store: it lacks /" + ", /".join(names), file=self.path)
        ids = [str(name) for name in self._hdf5.dataset(IDS).asstr()[:]]
        rows = [int(count) for count in self._hdf5.dataset(ROWS)[:]]
        sums = [str(text) for text in self._hdf5.dataset(SHA256).asstr()[:]] if SHA256 in file else [""] * len(ids)
        if not len(set(ids)) == len(ids) == len(rows) == len(sums) or min(rows, default=1) < 1:
            raise InputError("a damaged index", file=self.path, field="index", expected="an id and its rows, each once")
        return dict(zip(ids, rows, strict=True)), dict(zip(ids, sums, strict=True))

    def _read_attributes(self, timing: Timing | None) -> Attributes:
        found = dict(self._hdf5.file.attrs)
        if timing is None or all(name in found for name in Attributes.__dataclass_fields__):
            stated = Attributes.read(found, self.path)
            if timing is not None and timing != stated.timing:
                raise InputError("the file states another timing", file=self.path, found=timing,
                                 expected=str(stated.timing), hint="Leave the timing out.")  # fmt: skip
            return stated
        if not self._index:
            raise InputError("an empty feature store", file=self.path)
        video = next(iter(self._index))
        shape, dtype, _ = self._hdf5.place(f"{FEATURES}/{video}")
        words.check_array(shape, dtype, None, video, self.path)
        return Attributes.unstated(timing, shape[1], words.stored_as(dtype))

    @cached_property
    def digest(self) -> str:
        """The sha256 of the attributes and the index: every id, its rows and the sha256 of its numbers."""
        index = ((video, self._index[video], self._sums[video]) for video in self.ids())
        return digest_of(self.attributes, index)

    def ids(self) -> Sequence[str]:
        """The videos, sorted."""
        return sorted(self._index)

    def rows(self, video: str) -> int:
        """How many rows a video has."""
        if video not in self._index:
            raise unknown("video", video, self._index, file=self.path)
        return self._index[video]

    def read(self, video: str, first: int = 0, last: int | None = None) -> Rows:
        """Rows [first, last) of a video: (rows, dim). All of it is compared with its sum when it is first asked for."""
        first, last = words.check_slice(video, self.rows(video), first, last, self.path)
        with damage(self.path, video):
            if video in self._sound:
                return np.asarray(self._hdf5.rows(self._name(video), first, last), np.float32)
            whole = self._hdf5.rows(self._name(video), 0, self._index[video])
            if not self._has_sum(video, whole):
                raise Damaged("not the numbers that were written: their sha256 differs", file=self.path, field=video,
                              hint="Make this file again, or get it again.")  # fmt: skip
            self._sound.add(video)
            return np.array(whole[first:last], np.float32)

    def check_rows(self, video: str, duration: float, tolerance_rows: float | None = None) -> None:
        """Refuse a video whose rows do not fit its duration."""
        words.check_rows(self, video, duration, tolerance_rows, self.path)

    def sums(self) -> dict[str, str]:
        """The sha256 of each video's numbers, as the index has it; empty where another writer noted none."""
        return dict(self._sums)

    def damaged(self) -> list[str]:
        """The videos whose numbers are not those that were written; reads all of the file."""
        return [video for video in self._sums if not self.is_sound(video)]

    def is_sound(self, video: str) -> bool:
        """Whether a video's numbers are those that were written, as far as their sum was noted; reads all of them."""
        with damage(self.path, video):
            return self._has_sum(video, self._hdf5.rows(self._name(video), 0, self._index[video]))

    def _has_sum(self, video: str, whole: Any) -> bool:
        return self._sums[video] in ("", sha256_of(whole))

    def strangers(self) -> list[str]:
        """What lies in the file and in no index: groups beside ours, features of videos that the index has not."""
        with damage(self.path):
            file = self._hdf5.file
            beside = sorted(set(file) - {FEATURES, "index", IMAGES})
            images = (
                set(file[IMAGES]) - {frame_name(*frame) for frame in self._images.frames()} if self._images else set()
            )
            return [*beside, *(f"{FEATURES}/{name}" for name in sorted(set(file[FEATURES]) - self._index.keys())),
                    *(f"{IMAGES}/{name}" for name in sorted(images))]  # fmt: skip

    def attributes_of(self, video: str) -> Mapping[str, Any]:
        """What was noted of one video when its features were made."""
        self.rows(video)
        with damage(self.path, video):
            return {name: words.plain(value) for name, value in self._hdf5.dataset(self._name(video)).attrs.items()}

    def close(self) -> None:
        """Close this process's handle; the next reading opens the file again."""
        self._hdf5.close()

    def _name(self, video: str) -> str:
        """The dataset of a video, which must be what attributes and index state."""
        name = f"{FEATURES}/{video}"
        shape, dtype, _ = self._hdf5.place(name)
        if shape != (self._index[video], self.dim) or dtype.kind != "f":
            raise Damaged("not the rows that the index states", file=self.path, field=video, found=(*shape, str(dtype)),
                          expected=str((self._index[video], self.dim, self.attributes.dtype)))  # fmt: skip
        return name


def digest_of(attributes: Attributes, index: Iterator[tuple[str, int, str]]) -> str:
    """The digest of features: a canonical JSON line of the attributes, then one of each (id, rows, sha256), by id."""
    hasher = hashlib.sha256(canonical.line(attributes.as_dict()))
    for entry in index:
        hasher.update(canonical.line(entry))
    return "sha256:" + hasher.hexdigest()


def sha256_of(array: Any) -> str:
    """The sha256 of an array's numbers, as they lie in the file: row by row, little-endian."""
    return hashlib.sha256(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data).hexdigest()

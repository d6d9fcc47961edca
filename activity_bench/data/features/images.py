"""Features of single frames, for image queries: regions and their boxes, and one vector for the whole image.

They lie in a store beside the rows of its videos: `/images/<video>@<seconds>/` with `regions` (m x d), `boxes` (m x 4:
centre x, centre y, width, height, of an image whose sides are 1) and `global` (g); `/index/images` lists them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from activity_bench.data import canonical
from activity_bench.data.features import words
from activity_bench.data.features.hdf5 import HDF5, Damaged, damage, open_hdf5
from activity_bench.data.features.words import Rows
from activity_bench.errors import InputError, unknown

IMAGES, NAMES, SUMS = "images", "index/images", "index/image_sha256"
PARTS = ("regions", "boxes", "global")
BOX = 4
Frame = tuple[str, float]  # a video and a second


class Image(NamedTuple):
    """One frame: regions (m, d), their boxes (m, 4), and the whole image (g,)."""

    regions: Rows
    boxes: Rows
    whole: Rows


class ImageStore:
    """The images of a store's file, opened by each process for itself."""

    def __init__(self, path: Path) -> None:
        self._hdf5 = HDF5(Path(path))
        self.path = self._hdf5.path
        try:
            with damage(self.path):
                if NAMES not in self._hdf5.file or SUMS not in self._hdf5.file:
                    raise InputError("this file has no images", file=self.path, expected=f"/{NAMES} and /{SUMS}")
                names = [str(text) for text in self._hdf5.dataset(NAMES).asstr()[:]]
                sums = [str(text) for text in self._hdf5.dataset(SUMS).asstr()[:]]
        finally:
            self._hdf5.close()  # so that nothing is open when a parent forks before it reads
        if not len(names) == len(set(names)) == len(sums):
            raise InputError("a damaged index of images", file=self.path, expected="each image and its sum, once")
        self._sums = {_frame(name, self.path): text for name, text in zip(names, sums, strict=True)}

    @cached_property
    def digest(self) -> str:
        """The sha256 of every frame's name and the sha256 of its numbers."""
        return image_digest((video, time, self._sums[video, time]) for video, time in self.frames())

    def frames(self) -> list[Frame]:
        """The frames there are, sorted."""
        return sorted(self._sums)

    def image(self, video: str, time: float) -> Image:
        """The features of one frame."""
        if (video, time) not in self._sums:
            raise unknown(
                "frame", frame_name(video, time), [frame_name(*frame) for frame in self._sums], file=self.path
            )
        name = f"{IMAGES}/{frame_name(video, time)}"
        with damage(self.path, name):
            found = Image(*(np.asarray(self._whole(f"{name}/{part}"), np.float32) for part in PARTS))
        if found.regions.ndim != 2 or found.boxes.shape != (len(found.regions), BOX) or found.whole.ndim != 1:
            raise Damaged("not regions, boxes and a vector", file=self.path, field=name,
                          found=[array.shape for array in found])  # fmt: skip
        return found

    def regions(self, video: str, time: float) -> int:
        """How many regions a frame has; nothing is read but the shape."""
        name = f"{IMAGES}/{frame_name(video, time)}/regions"
        with damage(self.path, name):
            shape = self._hdf5.place(name).shape
        return shape[0] if shape else 0

    def damaged(self) -> list[str]:
        """The frames whose numbers are not those that were written; reads all of them."""
        return [frame_name(*frame) for frame, text in self._sums.items() if image_sum(self.image(*frame)) != text]

    def close(self) -> None:
        """Close this process's handle; the next reading opens the file again."""
        self._hdf5.close()

    def _whole(self, name: str) -> NDArray[Any]:
        return self._hdf5.rows(name, 0, self._hdf5.place(name).shape[0])


def has_images(file: Path) -> bool:
    """Whether a store holds images beside the rows of its videos."""
    with damage(file), open_hdf5(file) as hdf5:
        return NAMES in hdf5


def add_images(file: Path, items: Iterable[tuple[Frame, Image]]) -> int:
    """Put images into a store that nobody else knows yet (a draft); how many there were."""
    sums: dict[str, str] = {}
    with h5py.File(file, "r+", locking=False) as hdf5:
        group = hdf5.create_group(IMAGES)
        for (video, time), image in items:
            name = frame_name(video, time)
            if name in sums:
                raise InputError("features of a frame given twice", field=name)
            for part, array in zip(PARTS, image, strict=True):
                words.check_finite(np.atleast_2d(array), f"{name}/{part}")
                group.create_dataset(f"{name}/{part}", data=np.ascontiguousarray(array, "<f4"))
            sums[name] = image_sum(image)
        names = sorted(sums, key=lambda name: _frame(name, file))
        hdf5.create_dataset(NAMES, data=names, dtype=h5py.string_dtype(), shape=(len(names),))
        hdf5.create_dataset(SUMS, data=np.array([sums[name] for name in names], "S64"))
    return len(sums)


def frame_name(video: str, time: float) -> str:
    """How a frame is called: the video and the second, in the fewest digits that say it."""
    return f"{words.check_id(video)}@{float(time)!r}"


def image_sum(image: Image) -> str:
    """The sha256 of an image's numbers: regions, boxes, whole, little-endian."""
    hasher = hashlib.sha256()
    for array in image:
        hasher.update(np.ascontiguousarray(array, "<f4").data)
    return hasher.hexdigest()


def image_digest(index: Iterable[tuple[str, float, str]]) -> str:
    """The digest of images: a canonical JSON line of each (video, seconds, sha256), in order."""
    hasher = hashlib.sha256()
    for entry in index:
        hasher.update(canonical.line(entry))
    return "sha256:" + hasher.hexdigest()


def _frame(name: str, file: Path) -> Frame:
    video, _, time = name.rpartition("@")
    try:
        return video, float(time)
    except ValueError:
        raise InputError("not the name of a frame", file=file, found=name, expected="video@seconds") from None

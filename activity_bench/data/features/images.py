"""Features of single frames, for image queries: regions and their boxes, and one vector for the whole image.

They lie in a store beside the rows of its videos: `/images/<video>@<seconds>/` with `regions` (m x d), `boxes` (m x 4:
centre x, centre y, width, height, of an image whose sides are 1) and `global` (g); `/index/images` lists them. What
made them stands in the attributes of `/images`, where that is known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import h5py
import numpy as np

from activity_bench.data import canonical
from activity_bench.data.features import words
from activity_bench.data.features.hdf5 import HDF5, Damaged, Room, damage, open_hdf5
from activity_bench.data.features.words import Rows
from activity_bench.errors import InputError, unknown

IMAGES, NAMES, SUMS = "images", "index/images", "index/image_sha256"
PARTS = ("regions", "boxes", "global")
BOX = 4
LEAST, MOST = 1e-6, 1e6  # sides of a box, and how far it lies: what differs by more has no ratio worth a logarithm
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
                    raise Damaged("this file has no images", file=self.path, expected=f"/{NAMES} and /{SUMS}")
                names = [str(text) for text in self._hdf5.dataset(NAMES).asstr()[:]]
                sums = [str(text) for text in self._hdf5.dataset(SUMS).asstr()[:]]
                about = self._hdf5.file[IMAGES].attrs
                self.made_by: dict[str, str] = {name: str(words.plain(value)) for name, value in about.items()}
        finally:
            self._hdf5.close()  # so that nothing is open when a parent forks before it reads
        if not len(names) == len(set(names)) == len(sums):
            raise InputError("a damaged index of images", file=self.path, expected="each image and its sum, once")
        self._sums = {_frame(name, self.path): text for name, text in zip(names, sums, strict=True)}
        self._sound: set[Frame] = set()  # whose numbers were compared with their sum

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
        found = self._image(name := f"{IMAGES}/{frame_name(video, time)}")
        if (video, time) not in self._sound:
            if image_sum(found) != self._sums[video, time]:
                raise Damaged("not the numbers that were written: their sha256 differs", file=self.path, field=name,
                              hint="Make these images again, or get the file again.")  # fmt: skip
            self._sound.add((video, time))
        return found

    def _image(self, name: str) -> Image:
        _check_shapes(self._shapes(name), self._sizes, name, self.path)
        with damage(self.path, name):
            found = Image(*(self._whole(f"{name}/{part}") for part in PARTS))
        return _check_numbers(found, name, self.path)

    @cached_property
    def _sizes(self) -> tuple[int, ...]:
        """Numbers of a region and of a whole image: all are like the first."""
        name = f"{IMAGES}/{frame_name(*self.frames()[0])}"
        return _check_shapes(self._shapes(name), None, name, self.path)

    def _shapes(self, name: str) -> list[tuple[int, ...]]:
        with damage(self.path, name):
            return [self._hdf5.place(f"{name}/{part}").shape for part in PARTS]

    def regions(self, video: str, time: float) -> int:
        """How many regions a frame has; nothing is read but the shape."""
        name = f"{IMAGES}/{frame_name(video, time)}/regions"
        with damage(self.path, name):
            shape = self._hdf5.place(name).shape
        return shape[0] if shape else 0

    def damaged(self) -> list[str]:
        """The frames whose numbers are not those that were written; reads all of them."""
        return [name for name, text in ((frame_name(*frame), text) for frame, text in self._sums.items())
                if image_sum(self._image(f"{IMAGES}/{name}")) != text]  # fmt: skip

    def close(self) -> None:
        """Close this process's handle; the next reading opens the file again."""
        self._hdf5.close()

    def _whole(self, name: str) -> Rows:
        return np.asarray(self._hdf5.rows(name, 0, self._hdf5.place(name).shape[0]), np.float32)


def has_images(file: Path) -> bool:
    """Whether a store holds images beside the rows of its videos."""
    with damage(file), open_hdf5(file) as hdf5:
        return NAMES in hdf5


def add_images(
    file: Path, items: Iterable[tuple[Frame, Image]], made_by: Mapping[str, str] = MappingProxyType({})
) -> int:
    """Put images into a store that nobody else knows yet (a draft); how many there were."""
    with h5py.File(file, "r+", locking=False) as hdf5:
        room = Room(hdf5)
        count = fill(hdf5, items, made_by, room.take)
        room.close()
        return count


def fill(
    hdf5: Any,
    items: Iterable[tuple[Frame, Image]],
    made_by: Mapping[str, str],
    take: Callable[[int], object] = lambda more: None,
) -> int:
    """Put images into an open file that has none; `take` is told what each needs of the disk."""
    take(0)
    sums: dict[str, str] = {}
    sizes: tuple[int, ...] | None = None
    group = hdf5.create_group(IMAGES)
    group.attrs.update(sorted(made_by.items()))
    for (video, time), image in items:
        name = frame_name(video, time)
        if name in sums:
            raise InputError("features of a frame given twice", field=name)
        sizes = _check_shapes([np.shape(array) for array in image], sizes, name)
        kept = _check_numbers(Image(*(np.ascontiguousarray(array, "<f4") for array in image)), name)
        take(sum(array.nbytes for array in kept))
        for part, array in zip(PARTS, kept, strict=True):
            group.create_dataset(f"{name}/{part}", data=array)
        sums[name] = image_sum(kept)
    names = sorted(sums, key=lambda name: _frame(name, Path(hdf5.filename)))
    take(sum(200 + len(name.encode()) for name in names))
    hdf5.create_dataset(NAMES, data=names, dtype=h5py.string_dtype(), shape=(len(names),))
    hdf5.create_dataset(SUMS, data=np.array([sums[name] for name in names], "S64"))
    return len(sums)


def _check_shapes(
    shapes: Sequence[tuple[int, ...]], sizes: tuple[int, ...] | None, name: str, file: Path | None = None
) -> tuple[int, ...]:
    """Numbers of a region and of the whole; refused where regions, boxes and whole are none, or of other `sizes`."""
    regions, boxes, whole = shapes
    if len(regions) != 2 or boxes != (regions[0], BOX) or len(whole) != 1:
        raise Damaged("not regions, boxes and a vector", file=file, field=name, found=list(shapes))
    found = (regions[1], whole[0])
    if sizes not in (None, found):
        raise InputError("images of several sizes", file=file, field=name, found=found,
                         expected=f"{sizes} numbers a region and of the whole")  # fmt: skip
    return found


def _check_numbers(image: Image, name: str, file: Path | None = None) -> Image:
    """The image; refused where a number is not finite, or a box has no size: ratios of boxes are what networks read."""
    for part, array in zip(PARTS, image, strict=True):
        if not np.isfinite(array).all():
            words.check_finite(np.atleast_2d(array), f"{name}/{part}", file)  # which row
    boxes = image.boxes
    usable = (np.abs(boxes) <= MOST).all(axis=1) & (boxes[:, 2:] >= LEAST).all(axis=1)  # (m,)
    if not usable.all():
        row = int(usable.argmin())
        raise InputError("not a box", file=file, field=f"{name}/boxes, row {row}", found=boxes[row].tolist(),
                         expected=f"centre x, centre y, width, height, the last two above {LEAST:g}")  # fmt: skip
    return image


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

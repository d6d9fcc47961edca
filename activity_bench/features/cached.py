"""Features of single files for a model that asks for them: made as its own were made, and kept in a cache.

A part of the cache lies under the sha256 of its file, in a folder named by all that made it. One that is damaged is
made anew. What makes them is a worker process, as in an extraction.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from activity_bench.data import canonical, disk
from activity_bench.data.features import Attributes, parts_folder
from activity_bench.data.features.hdf5 import HDF5, Damaged, damage
from activity_bench.data.features.images import Image, image_sum
from activity_bench.data.features.parts import ID, SUM, part_name
from activity_bench.data.features.words import Described, Rows, check_array, plain
from activity_bench.errors import InputError, WorkError
from activity_bench.features.backbones import FOREIGN, RegionBackbone
from activity_bench.features.crew import Limits, local
from activity_bench.features.frames import KINDS
from activity_bench.features.worker import VERSIONS, Task

BLOCK = 4096  # rows that are looked over at a time
SAME = ("backbone", "layer", "weights_sha256", "projection", "dim", "fps", "window", "stride", "offset")
Tell = Callable[[str], object]


class Part:
    """The features of one file in the cache: rows, what made them, and what was noted of the file."""

    def __init__(self, path: Path, name: str) -> None:
        self._hdf5 = HDF5(path)
        try:
            with damage(path):
                found = dict(self._hdf5.file.attrs)
                self.attributes = Attributes.read(found, path)
                shape, dtype, _ = self._hdf5.place("rows")
                check_array(shape, dtype, self.attributes.dim, name, path)
                self.rows = shape[0]
                self.sha256 = self._sum()
                if (found.get(ID), found.get(SUM)) != (name, self.sha256):
                    raise Damaged("not the features that were written", file=path)
                notes = {key: plain(value) for key, value in self._hdf5.dataset("rows").attrs.items()}
                self.fps = float(notes["fps"])
                self.seconds = int(notes["frames"]) / self.fps
        finally:
            self._hdf5.close()

    def read(self, first: int, last: int) -> Rows:
        """Rows [first, last): (rows, dim)."""
        return np.asarray(self._hdf5.rows("rows", first, min(last, self.rows)), np.float32)

    def _sum(self) -> str:
        hasher = hashlib.sha256()
        for first in range(0, self.rows, BLOCK):
            hasher.update(np.ascontiguousarray(self._hdf5.rows("rows", first, min(first + BLOCK, self.rows))).data)
        return hasher.hexdigest()


def parts(
    folder: Path, task: Task, wanted: Attributes, files: Mapping[str, Path], limits: Limits, tell: Tell
) -> dict[str, Part]:
    """The features of files, by their sha256: from the cache, or made now; always those that are `wanted`."""
    task = replace(task, file=str(folder / _recipe(task, wanted)))
    place = parts_folder(Path(task.file))
    found = {name: part for name in files if (part := _kept(place / part_name(name), name, tell))}
    if left := {name: path for name, path in files.items() if name not in found}:
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"no place for a cache: {error.strerror}", file=folder, field="--cache") from None
        _make(task, wanted, left, limits, tell)
    found |= {name: Part(place / part_name(name), name) for name in left}
    for part in found.values():
        _check(part.attributes, wanted)
    return found


def _kept(path: Path, name: str, tell: Tell) -> Part | None:
    """A part that is there and whole."""
    if not path.exists():
        return None
    try:
        return Part(path, name)
    except InputError as error:
        tell(f"damaged features in the cache are made anew: {error}")
        path.unlink(missing_ok=True)
        return None


def _make(task: Task, wanted: Attributes, files: Mapping[str, Path], limits: Limits, tell: Tell) -> None:
    """By one worker; what would be other features than those wanted is refused before the first frame is read."""
    with local(task, 1, limits) as crew:
        _check(crew.attributes(), wanted)
        for path in files.values():
            tell(f"making the features of {path} by {wanted.backbone}; they are kept in {Path(task.file).parent}")
        for outcome in crew.run(files):
            if outcome.failure is None:
                continue
            path, kind, message = files[outcome.video], outcome.failure.kind, outcome.failure.message
            if kind in KINDS:
                raise InputError(message)  # which names the file, and the kind
            raise WorkError(f"no features: {kind}: {message}", file=path)


def _check(found: Attributes, wanted: Attributes) -> None:
    for name in SAME:
        if getattr(found, name) != getattr(wanted, name):
            raise InputError("these are not the features that the model was trained on", field=name,
                             found=getattr(found, name), expected=str(getattr(wanted, name)))  # fmt: skip


def _recipe(task: Task, wanted: Attributes) -> str:
    """A folder's name: the backbone's, and a hash of all that the features depend on but the file."""
    module = task.backbone.partition(":")[0]
    own = module not in FOREIGN and ":" in task.backbone
    what = {
        "backbone": task.backbone, "code": _code(module) if own else "", "weights": wanted.weights_sha256,
        "layer": wanted.layer, "projection": wanted.projection,
        "decoder": task.decoder, "version": VERSIONS[task.decoder].version(), "own rate": task.own_rate,
        "fps": task.fps, "window": task.window, "stride": task.stride, "dtype": task.dtype,
    }  # fmt: skip
    slug = re.sub(r"[^A-Za-z0-9.-]+", "-", task.backbone)[:40].strip("-.")
    return f"{slug}-{hashlib.sha256(canonical.line(what)).hexdigest()[:20]}"


def _code(module: str) -> str:
    """The sha256 of a module's file: a backbone of one's own changes with it."""
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        spec = None  # the worker says that there is no such backbone
    return disk.sha256(Path(spec.origin))[0] if spec and spec.origin and Path(spec.origin).is_file() else ""


class Asked(Described):
    """The features of a video, `VIDEO`, and of what it is asked with, `QUERY`: a clip's rows, or an image's regions."""

    VIDEO, QUERY = "video", "query"

    def __init__(self, video: Part, query: Part | Image, made: Attributes) -> None:
        self._parts = {self.VIDEO: video} | ({self.QUERY: query} if isinstance(query, Part) else {})
        self._images = None if isinstance(query, Part) else OneImage(query, self.QUERY)
        self.attributes = made
        self.digest = "sha256:" + hashlib.sha256(canonical.line([p.sha256 for p in self._parts.values()])).hexdigest()

    @property
    def images(self) -> OneImage | None:
        """What the video is asked with, where that is an image."""
        return self._images

    def ids(self) -> list[str]:
        """The videos, sorted."""
        return sorted(self._parts)

    def rows(self, video: str) -> int:
        """How many rows a video has."""
        return self._parts[video].rows

    def read(self, video: str, first: int = 0, last: int | None = None) -> Rows:
        """Rows [first, last) of a video: (rows, dim)."""
        return self._parts[video].read(first, self.rows(video) if last is None else last)


class OneImage:
    """A single image, as whoever hands out many would."""

    def __init__(self, image: Image, name: str) -> None:
        self._image, self._name = image, name
        self.digest = "sha256:" + image_sum(image)

    def frames(self) -> list[tuple[str, float]]:
        """The one frame there is."""
        return [(self._name, 0.0)]

    def image(self, video: str, time: float) -> Image:
        """Its regions, boxes and a vector of the whole."""
        return self._image

    def regions(self, video: str, time: float) -> int:
        """How many regions it has."""
        return len(self._image.regions)


def regions_of(picture: NDArray[np.uint8], backbone: RegionBackbone) -> Image:
    """The regions of a picture: uint8 (H, W, 3)."""
    import torch

    return backbone(torch.from_numpy(picture))

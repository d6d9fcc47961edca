"""Images on their way into a store: each in a small file of its own as soon as it is done, then all of them together.

A part is a store of one image. It appears whole, so a job that is killed resumes by listing; and the same images give
the same bytes, whether they came into their store at once or in several goes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import h5py

from activity_bench.data import disk
from activity_bench.data.features import images
from activity_bench.data.features.hdf5 import Damaged, Room, open_hdf5, write_faults
from activity_bench.data.features.images import Frame, Image, ImageStore, frame_name
from activity_bench.data.features.parts import part_name
from activity_bench.data.features.store import FEATURES
from activity_bench.errors import InputError, WorkError


class ImageParts:
    """The images that are done and not yet in `FILE`, in `FILE.images.parts/`; what made them is the same for all."""

    def __init__(self, file: Path, made_by: Mapping[str, str]) -> None:
        self.file, self.made_by = Path(file), dict(made_by)
        self.folder = self.file.with_name(self.file.name + ".images.parts")
        self.discarded: list[str] = []  # what `done` threw away, and why

    def done(self) -> set[Frame]:
        """The frames that have a part. A broken one is removed and named in `discarded`."""
        found = set()
        for path in sorted(self.folder.glob("*.h5")):
            try:
                store = ImageStore(path)
                frames = store.frames()
                if [part_name(frame_name(*frame)) for frame in frames] != [path.name]:
                    raise Damaged("not a part of a store of images", file=path)
            except Damaged as error:
                path.unlink(missing_ok=True)
                self.discarded.append(str(error))
                continue
            check_made_by(store, self.made_by, f"Resume with the same options, or remove {str(self.folder)!r}.")
            found.update(frames)
        return found

    def write(self, frame: Frame, image: Image) -> None:
        """Make one image durable."""
        with h5py.File(os.urandom(8).hex(), "w", driver="core", backing_store=False) as part:  # in memory
            images.fill(part, [(frame, image)], self.made_by)
            part.flush()
            data = part.id.get_file_image()
        with disk.atomic(self._path(frame)) as stream:
            stream.write(data)

    def pack(self) -> None:
        """Rewrite the store with the images it has and those of the parts; then remove the parts."""
        there = ImageStore(self.file) if images.has_images(self.file) else None
        old, new = set(there.frames()) if there else set(), self.done()
        if new - old:
            draft = disk.draft_of(self.file)
            frames = sorted(old | new)  # one order, so that the bytes do not tell how they came
            try:
                with write_faults(self.file), open_hdf5(self.file) as source:
                    room = Room.new(draft)
                    with room.hdf5:
                        room.take(self.file.stat().st_size)
                        _copy(source, room.hdf5)
                        room.close()
                items = ((frame, there.image(*frame) if there and frame in old else self._read(frame))
                         for frame in frames)  # fmt: skip
                with write_faults(self.file):
                    images.add_images(draft, items, self.made_by)
                disk.move_in(draft, self.file)
            finally:
                draft.unlink(missing_ok=True)  # gone already if all went well
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, frame: Frame) -> Path:
        return self.folder / part_name(frame_name(*frame))

    def _read(self, frame: Frame) -> Image:
        """A part's image. One that is not what was written is removed, to be made again."""
        store = ImageStore(self._path(frame))
        try:
            damaged = store.damaged()
        except Damaged as error:
            damaged = [str(error)]
        if damaged:
            self._path(frame).unlink(missing_ok=True)
            raise WorkError(
                "this part was damaged after it was written, and is removed", file=self._path(frame),
                field=frame_name(*frame), hint="Run the extraction again: it makes this one anew.",
            )  # fmt: skip
        return store.image(*frame)


def check_made_by(store: ImageStore, made_by: Mapping[str, str], hint: str) -> None:
    """Refuse images that were made otherwise, or of which that is not known."""
    for name, value in made_by.items():
        if store.made_by.get(name) != value:
            raise InputError("these images were made otherwise", file=store.path, field=name,
                             found=store.made_by.get(name, "not stated"), expected=value, hint=hint)  # fmt: skip


def _copy(source: h5py.File, target: h5py.File) -> None:
    """All of a store but its images."""
    target.attrs.update(source.attrs)
    source.copy(FEATURES, target)
    for name in source["index"]:
        if f"index/{name}" not in (images.NAMES, images.SUMS):
            source.copy(f"index/{name}", target.require_group("index"))
    for name in source:
        if name not in (FEATURES, "index", images.IMAGES):
            source.copy(name, target)

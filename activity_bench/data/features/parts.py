"""Writing features so that nothing finished is ever lost: one small file a video, then all of them packed into one.

A part appears under its name only when it is whole, so a job that is killed resumes by listing. A part is made in
memory and written as bytes: a full disk then fails like any other file, and not inside the HDF5 library.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from activity_bench.data import disk
from activity_bench.data.features import words
from activity_bench.data.features.hdf5 import Damaged, Room, damage, dataset_of, open_hdf5, write_faults
from activity_bench.data.features.store import FEATURES, IDS, ROWS, SHA256, FeatureStore, sha256_of
from activity_bench.data.features.words import Attributes
from activity_bench.errors import InputError, WorkError

TEXT = h5py.string_dtype()
ID = "id"  # a part's attributes: the video, and the sum of its numbers
SUM = "sha256"
NOTED = 160  # bytes of the index that a video takes, beside its id


def parts_folder(file: Path) -> Path:
    """Where the parts of `FILE` lie: `FILE.parts`."""
    file = Path(file)
    return file.with_name(file.name + ".parts")


class PartsWriter:
    """Writes the features of one video after the other into `FILE.parts/`; many processes may write into one folder."""

    def __init__(self, file: Path, attributes: Attributes) -> None:
        self.file, self.folder, self.attributes = Path(file), parts_folder(file), attributes
        self.discarded: list[str] = []  # what `done` threw away, and why

    def done(self) -> set[str]:
        """The videos that have a part. A broken one is removed and named in `discarded`."""
        found = set()
        for path in _listing(self.folder):
            try:
                with damage(path), open_hdf5(path) as part:
                    video, attributes = _head(part, path)
                self._check_same(attributes, path)
                found.add(video)
            except Damaged as error:
                path.unlink(missing_ok=True)
                self.discarded.append(str(error))
        return found

    def noted(self, video: str) -> dict[str, Any]:
        """What was noted beside a video's features."""
        path = self.folder / part_name(video)
        with damage(path), open_hdf5(path) as part:
            return {name: words.plain(value) for name, value in dataset_of(part, path, "rows").attrs.items()}

    def remove(self, video: str) -> None:
        """Throw away what was made of a video."""
        (self.folder / part_name(video)).unlink(missing_ok=True)

    def write(self, video: str, array: NDArray[Any], extra: Mapping[str, Any] | None = None) -> None:
        """Make one video's features durable: (rows, dim), finite; `extra` is noted beside them."""
        array = stored(array, self.attributes, video)
        with h5py.File(os.urandom(8).hex(), "w", driver="core", backing_store=False) as part:  # in memory
            part.attrs.update(self.attributes.as_dict())
            part.attrs[ID], part.attrs[SUM] = video, sha256_of(array)
            dataset = part.create_dataset("rows", data=array)
            for name, value in sorted((extra or {}).items()):
                dataset.attrs[name] = value
            part.flush()
            image = part.id.get_file_image()
        with disk.atomic(self.folder / part_name(video)) as stream:
            stream.write(image)

    def _check_same(self, other: Attributes, path: Path) -> None:
        mine, theirs = self.attributes.as_dict(), other.as_dict()
        for name in mine:
            if mine[name] != theirs[name]:
                raise InputError(
                    "this part was made otherwise", file=path, field=name, found=theirs[name], expected=str(mine[name]),
                    hint=f"Resume with the same options, or remove {str(self.folder)!r} to begin anew.",
                )  # fmt: skip


def part_name(video: str) -> str:
    """The file name of a video's part: a hash, so that no id can be a path."""
    return hashlib.sha256(words.check_id(video).encode()).hexdigest()[:32] + ".h5"


def stored(array: NDArray[Any], attributes: Attributes, video: str) -> NDArray[Any]:
    """A video's features as they will lie in the file, or an error that names the video."""
    array = np.asarray(array)
    words.check_array(array.shape, array.dtype, attributes.dim, words.check_id(video))
    with np.errstate(over="ignore"):  # what float16 cannot hold becomes infinite, and is refused
        array = np.ascontiguousarray(array, np.dtype(attributes.dtype).newbyteorder("<"))
    words.check_finite(array, video)
    return array


def pack(file: Path, force: bool = False) -> Path:
    """Make `FILE` of `FILE.parts/`, then remove the parts. The same parts give the same bytes.

    `FILE` appears only when it is whole. One that holds these very parts already is left: their removal was cut short.
    """
    file, folder = Path(file), parts_folder(file)
    paths = dict(sorted(_read_heads(folder)))  # id -> part
    if not paths:
        raise InputError("there are no parts to pack", file=folder, hint="Extract features first.")
    if not (file.exists() and not force and _holds(file, paths)):
        _refuse_existing(file, force)
        with open_hdf5(next(iter(paths.values()))) as part:
            attributes = _head(part, Path(part.filename))[1]
        with _packer(file, attributes) as packer:
            for video, path in paths.items():
                packer.add(video, *_read_part(video, path, attributes))
    _remove(folder, set(paths.values()))
    return file


def add_parts(file: Path) -> Path:
    """Make `FILE` of `FILE.parts/` and of what it holds already. It stays until the new one replaces it."""
    file, folder = Path(file), parts_folder(file)
    paths = dict(sorted(_read_heads(folder)))
    if not paths or not file.exists() or _holds(file, paths):
        return pack(file)
    store = FeatureStore(file)
    if store.images is not None:
        raise InputError("this file holds images, too, and cannot be added to", file=file)
    writer = PartsWriter(file, store.attributes)
    there = writer.done()
    for video in store.ids():
        if video not in there:
            writer.write(video, store.read(video), store.attributes_of(video))
    store.close()
    return pack(file, force=True)


def write_store(
    file: Path, attributes: Attributes, items: Iterable[tuple[str, NDArray[Any]]], force: bool = False
) -> Path:
    """Write a store in one go, one video in memory at a time: for what is made quickly and need not be resumed."""
    _refuse_existing(file := Path(file), force)
    with _packer(file, attributes) as packer:
        for video, array in items:
            array = stored(array, attributes, video)
            packer.add(video, array, sha256_of(array), {})
    return file


class _Packer:
    """A store in the making."""

    def __init__(self, room: Room, file: Path, attributes: Attributes) -> None:
        self._room, self._hdf5, self._file = room, room.hdf5, file
        self._index: dict[str, tuple[int, str]] = {}
        with write_faults(file):
            self._hdf5.attrs.update(attributes.as_dict())
            self._features = self._hdf5.create_group(FEATURES)

    def add(self, video: str, array: NDArray[Any], text: str, extra: Mapping[str, Any]) -> None:
        if video in self._index:
            raise InputError("features of a video given twice", field=video)
        with write_faults(self._file):
            self._room.take(array.nbytes)
            dataset = self._features.create_dataset(video, data=array)  # contiguous, uncompressed, no time in it
            for name, value in extra.items():
                dataset.attrs[name] = value
        self._index[video] = (len(array), text)

    def finish(self) -> None:
        index = sorted(self._index.items())
        with write_faults(self._file):
            self._room.take(sum(NOTED + len(video.encode()) for video in self._index))
            self._hdf5.create_dataset(IDS, data=[video for video, _ in index], dtype=TEXT, shape=(len(index),))
            self._hdf5.create_dataset(ROWS, data=np.array([rows for _, (rows, _) in index], np.int64))
            self._hdf5.create_dataset(SHA256, data=np.array([text for _, (_, text) in index], "S64"))
            self._room.close()


@contextmanager
def _packer(file: Path, attributes: Attributes) -> Iterator[_Packer]:
    """A packer whose file takes its final name when the block ends well."""
    draft = disk.draft_of(file)
    # Locking is of no use to a file that nobody knows. Never libver="latest": other people's h5py may be older.
    try:
        with write_faults(file):
            room = Room.new(draft)
        try:
            packer = _Packer(room, file, attributes)
            yield packer
            packer.finish()
            disk.move_in(draft, file)
        finally:
            with suppress(OSError, RuntimeError):
                room.hdf5.close()  # closed already if all went well
    finally:
        draft.unlink(missing_ok=True)


def _refuse_existing(file: Path, force: bool) -> None:
    if file.is_dir():
        raise InputError("this is a folder, and a file is to be written here", file=file)
    if file.exists() and not force:
        raise InputError("the file exists", file=file, hint="Use --force to replace it, or name another.")


def _listing(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.h5") if path.name[0] != ".")


def _head(part: Any, path: Path) -> tuple[str, Attributes]:
    """Whose part this is and what made it; an error where it is no whole part under its own name."""
    video = part.attrs.get(ID)
    try:
        own_name = isinstance(video, str) and part_name(video) == path.name
    except InputError:  # an id that cannot be one
        own_name = False
    if not own_name or SUM not in part.attrs:
        raise Damaged("not a part of a feature store", file=path)
    dataset = dataset_of(part, path, "rows")
    attributes = Attributes.read(dict(part.attrs), path)
    words.check_array(dataset.shape, dataset.dtype, attributes.dim, video, path)
    return video, attributes


def _read_heads(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in _listing(folder):
        with damage(path), open_hdf5(path) as part:
            yield _head(part, path)[0], path


def _read_part(video: str, path: Path, attributes: Attributes) -> tuple[NDArray[Any], str, dict[str, Any]]:
    """A part's numbers, their sum and notes. One that is not what was written is removed, to be made again."""
    with damage(path), open_hdf5(path) as part:
        if _head(part, path)[1] != attributes:
            raise InputError("this part was made otherwise than the others", file=path, field=video)
        array, text, extra = part["rows"][:], str(part.attrs[SUM]), dict(part["rows"].attrs)
    if sha256_of(array) != text:
        path.unlink(missing_ok=True)
        raise WorkError("this part was damaged after it was written, and is removed", file=path, field=video,
                        hint="Run the extraction again: it makes this one anew.")  # fmt: skip
    return array, text, extra


def _holds(file: Path, paths: Mapping[str, Path]) -> bool:
    store = FeatureStore(file)
    sums = store.sums()
    for video, path in paths.items():
        with damage(path), open_hdf5(path) as part:
            if sums.get(video) != part.attrs[SUM] or _head(part, path)[1] != store.attributes:
                return False
    return True


def _remove(folder: Path, packed: set[Path]) -> None:
    """Remove the parts that were packed; a part that came meanwhile stays, and the folder with it."""
    if set(_listing(folder)) <= packed:
        shutil.rmtree(folder, ignore_errors=True)
    for path in packed:
        path.unlink(missing_ok=True)

"""Features in a folder with a file or two a video: npy, npz or csv. No file is ever unpickled."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from activity_bench.data import disk
from activity_bench.data.features.foreign import Foreign
from activity_bench.data.features.hdf5 import damage
from activity_bench.data.features.layouts import read_made
from activity_bench.data.features.words import Timing
from activity_bench.data.npy import read_header
from activity_bench.errors import InputError, unknown

KEYS = ("features", "feats", "feature")  # of an npz that holds several arrays
SUFFIXES = (".npy", ".npz", ".csv")
PICKLES = (".pt", ".pth", ".pkl", ".pickle")
HALVES = ("_rgb", "_flow", "_opt")  # what follows the id, where a video has two files that belong together
CSV_BYTES = 1 << 28
MORE = "more in the file than the one array that its header states"


class ArrayFolder(Foreign):
    """A folder with one `.npy`, `.npz` or `.csv` a video, (rows, dim).

    `key` names the array of an npz. `suffix` stands between id and ending; files that lack it are not looked at.
    """

    def __init__(
        self, path: Path, timing: Timing | None = None, key: str | None = None, suffix: str = "",
        transposed: bool = False,
    ) -> None:  # fmt: skip
        path = Path(path)
        self._key, self._files = key, _listed(path, suffix)
        if plain := next((file for file in self._files.values() if key and file.suffix != ".npz"), None):
            raise InputError("only the arrays of an npz have names", file=plain, field="--key", found=key)
        super().__init__(path, timing, list(self._files), transposed, None if suffix or key else read_made(path))

    def _head(self, name: str) -> tuple[tuple[int, ...], Any]:
        file = self._files[name]
        with damage(file):
            if file.suffix == ".npy":
                array = _mapped(file)
                return array.shape, array.dtype
            if file.suffix == ".csv":
                return _csv_shape(file), np.dtype(np.float64)
            with zipfile.ZipFile(file) as archive:
                return self._member(archive, file)[1:]

    def _array(self, name: str, first: int, last: int) -> NDArray[Any]:
        file = self._files[name]
        with damage(file):
            if file.suffix == ".npy":
                return np.array(_mapped(file)[first:last])
            if file.suffix == ".csv":
                return _csv(file, first, last)
            with zipfile.ZipFile(file) as archive, archive.open(self._member(archive, file)[0]) as stream:
                return np.asarray(npy.read_array(stream, allow_pickle=False)[first:last])

    def _member(self, archive: zipfile.ZipFile, file: Path) -> tuple[str, tuple[int, ...], Any]:
        """The array of an npz: its member, shape and dtype, which must fit the member's size."""
        keys = [name.removesuffix(".npy") for name in archive.namelist()]
        wanted = [self._key] if self._key else [*KEYS, *(keys if len(keys) == 1 else [])]
        key = next((name for name in wanted if name in keys), None)
        if key is None:
            if self._key:
                raise unknown("array", self._key, keys, file=file)
            raise InputError("unknown array: none is called " + " or ".join(KEYS), file=file,
                             found=", ".join(sorted(keys)), hint="Name it with --key.")  # fmt: skip
        info = archive.getinfo(f"{key}.npy")
        with archive.open(info) as stream:
            shape, dtype = read_header(stream, file)
            left = info.file_size - stream.tell()
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if size < left:
            raise InputError(MORE, file=file, field=key, found=f"{left - size:,} bytes after {shape} of {dtype}")
        if size > left or size > max(disk.GZIP_FREE, disk.GZIP_RATIO * info.compress_size):
            raise InputError("an array larger than its file", file=file, field=key, found=shape)
        return info.filename, shape, dtype


def _listed(folder: Path, suffix: str) -> Mapping[str, Path]:
    """The files of a folder by what precedes `suffix`, one a video."""
    found: dict[str, Path] = {}
    pickles, folders = {}, []
    for path in sorted(folder.iterdir()):
        if path.name[0] == ".":
            continue
        if path.is_dir():
            folders.append(path.name)
        elif path.suffix in PICKLES:
            pickles[path.stem] = path
        elif path.suffix in SUFFIXES and path.stem.endswith(suffix) and path.stem != suffix:
            stem = path.stem.removesuffix(suffix)
            if stem in found:
                raise InputError(
                    f"a video has both {found[stem].suffix} and {path.suffix}", file=path, expected="one of them"
                )
            found[stem] = path
    for stem, path in pickles.items():
        if stem.endswith(suffix) and stem.removesuffix(suffix) not in found:
            raise InputError(
                "a pickle: reading such a file can run code, and it is never read", file=path,
                expected="files that end in " + ", ".join(SUFFIXES),
                hint="Save the array with numpy.save where you trust the file, or move it away.",
            )  # fmt: skip
    if not found and folders:
        raise InputError("no arrays in this folder", file=folder, found=folders[0], expected="files, not folders",
                         hint=f"Is it {str(folder / folders[0])!r}?")  # fmt: skip
    halves = {half for stem in found for half in HALVES if stem.endswith(half)}
    if not suffix and len(halves) > 1 and all(stem.endswith(HALVES) for stem in found):
        names = [path.name for path in found.values()][:2]
        raise InputError("a video has several files here", file=folder, found=names,
                         hint="To set them side by side, name what follows the id: "
                         + " ".join(f"--suffix {half}" for half in HALVES if half in halves))  # fmt: skip
    return found


def _mapped(file: Path) -> NDArray[Any]:
    """An npy file, of which only what is looked at is read; NumPy compares its claim with its size."""
    with disk.open_read(file) as stream:
        shape, dtype = read_header(stream, file)
        begun = stream.tell()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))
    if (left := file.stat().st_size - begun - array.nbytes) > 0:
        raise InputError(MORE, file=file, found=f"{left:,} bytes after {shape} of {dtype}")
    return array


def _lines(file: Path) -> tuple[list[bytes], int]:
    """The lines of a csv, and how many of them are its header."""
    lines = [line for line in disk.read_bytes(file, CSV_BYTES).splitlines() if line.strip()]
    if not lines:
        raise InputError("an empty file", file=file, expected="a row of numbers a line")
    return lines, _is_header(lines[0].split(b","))


def _is_header(cells: list[bytes]) -> bool:
    """Whether a csv's first line names its columns: a word, or 0, 1, 2, … to the end."""
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        return True
    return len(cells) > 2 and numbers == list(range(len(cells)))


def _csv_shape(file: Path) -> tuple[int, int]:
    lines, header = _lines(file)
    return len(lines) - header, lines[0].count(b",") + 1


def _csv(file: Path, first: int, last: int) -> NDArray[Any]:
    lines, header = _lines(file)
    chosen = [line.decode("ascii", "replace") for line in lines[header + first : header + last]]
    return np.loadtxt(chosen, np.float64, delimiter=",", comments=None, ndmin=2)

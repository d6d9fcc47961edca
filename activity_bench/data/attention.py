"""Attention maps on the disk: HDF5, every map of a sample in one stretch of numbers, and a table of ids.

`/ids` (n,) text, an id a sample; `/shape` (n, 3) maps, window rows, columns; `/seconds` (n, 2) where the rows begin and
end; `/values` float16, the samples' maps one after the other in the order of the table. Attributes: `format`, `method`,
`manifest` (digest), `split`, `maps` (their names, JSON), `columns` (what they are).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from activity_bench.data.disk import draft_of, move_in
from activity_bench.data.features.hdf5 import Room, damage, dataset_of, open_hdf5, write_faults
from activity_bench.errors import InputError

FORMAT = 1
LARGEST = 1 << 28  # bytes of all maps
ABOUT = ("method", "manifest", "split", "columns")
MOST_SAMPLES = 1 << 20

Map = NDArray[np.float16]  # (maps, rows, columns)
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class About:
    """Whose attention it is, and to what."""

    method: str
    manifest: str  # digest
    split: str
    columns: str
    maps: tuple[str, ...]


def check_size(shapes: Sequence[Shape], path: Path) -> None:
    """Refuse maps that would take more than they may, before they are made."""
    size = sum(maps * rows * columns for maps, rows, columns in shapes) * np.dtype(np.float16).itemsize
    if size > LARGEST:
        raise InputError("attention to so many samples takes too much", file=path, found=f"{size:,} bytes",
                         expected=f"at most {LARGEST:,}",
                         hint="--limit-attention N keeps that of N samples.")  # fmt: skip


def write(
    path: Path, about: About, ids: Sequence[str], shapes: Sequence[Shape], seconds: Sequence[tuple[float, float]],
    maps: Iterable[Map],
) -> int:  # fmt: skip
    """Write the maps as they come; the size of the file."""
    check_size(shapes, path)
    draft = draft_of(path)
    try:
        total = sum(a * b * c for a, b, c in shapes)
        with write_faults(path), (room := Room.new(draft, track_order=True)).hdf5 as file:
            room.take(2 * total + sum(200 + len(name.encode()) for name in ids))
            file.attrs.update({"format": FORMAT, "maps": json.dumps(about.maps)})
            file.attrs.update({name: getattr(about, name) for name in ABOUT})
            file.create_dataset("ids", data=list(ids), dtype=h5py.string_dtype(), track_times=False)
            file.create_dataset("shape", data=np.array(shapes, np.int64).reshape(-1, 3), track_times=False)
            file.create_dataset("seconds", data=np.array(seconds, np.float64).reshape(-1, 2), track_times=False)
            values = file.create_dataset("values", (total,), np.float16, track_times=False)
            first = 0
            for of, shape in zip(maps, shapes, strict=True):
                assert of.shape == shape
                values[first : first + of.size] = of.reshape(-1)
                first += of.size
            room.close()
        size = draft.stat().st_size
        move_in(draft, path)
    finally:
        with suppress(OSError):
            draft.unlink()
    return size


class Attention:
    """The maps of a file, by sample."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        with damage(self.path), open_hdf5(self.path) as file:
            if "values" not in file or file.attrs.get("format") != FORMAT:
                raise InputError("no file of attention maps", file=self.path, hint="predict --attention makes one.")
            said = {name: str(file.attrs[name]) for name in ABOUT}
            self.about = About(**said, maps=tuple(map(str, json.loads(file.attrs["maps"]))))
            shapes, ids = self._array(file, "shape"), dataset_of(file, self.path, "ids")
            seconds, values = self._array(file, "seconds"), dataset_of(file, self.path, "values")
            n = len(shapes)
            if n > MOST_SAMPLES or shapes.shape != (n, 3) or seconds.shape != (n, 2) or ids.shape != (n,):
                raise InputError(
                    "tables that do not fit one another", file=self.path, field="shape", found=shapes.shape
                )
            if (shapes < 1).any() or (shapes > MOST_SAMPLES).any() or (shapes[:, 0] != len(self.about.maps)).any():
                raise InputError("a map of an impossible size", file=self.path, field="shape")
            sizes = shapes.astype(object).prod(axis=1) if n else np.zeros(0, object)  # no number here can overflow
            if values.shape != (sum(sizes),) or values.dtype != np.float16 or sum(sizes) * 2 > LARGEST:
                raise InputError("not as many numbers as its table says", file=self.path, field="values",
                                 found=values.shape, expected=f"{sum(sizes):,}")  # fmt: skip
            self._values: Map = values[:]
            names = ids.asstr()[:].tolist()
        ends = np.cumsum(sizes.astype(np.int64))
        self._places = {name: (int(end - size), tuple(shape), tuple(span)) for name, end, size, shape, span
                        in zip(names, ends, sizes, shapes.tolist(), seconds.tolist(), strict=True)}  # fmt: skip
        if len(self._places) < n:
            raise InputError("two samples share an id", file=self.path, field="ids")

    def __len__(self) -> int:
        return len(self._places)

    def of(self, sample: str) -> tuple[Map, tuple[float, float]] | None:
        """The maps of a sample and the seconds that they span; None where it has none."""
        if sample not in self._places:
            return None
        first, shape, span = self._places[sample]
        return self._values[first : first + int(np.prod(shape))].reshape(shape), span

    def _array(self, file: Any, name: str) -> NDArray[Any]:
        return np.asarray(dataset_of(file, self.path, name)[:])

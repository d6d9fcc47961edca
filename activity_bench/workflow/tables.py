"""The auxiliary tables that a builder wants beside the annotations: read, checked, and recorded as sources."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from activity_bench.data import canonical
from activity_bench.data.disk import read_bytes
from activity_bench.errors import InputError
from activity_bench.types import Source

MAX_BYTES = 1 << 28


class _Counts(msgspec.Struct):
    n_frames: int
    n_feat: int


class _Released(msgspec.Struct):
    id: str
    groundtruth: tuple[int, int]
    location: tuple[int, int]


def read(paths: Mapping[str, Path]) -> tuple[dict[str, Any], list[Source]]:
    """Each table by its name, and the files that they came from."""
    tables, sources = {}, []
    for name, path in paths.items():
        tables[name], files = READERS[name](Path(path))
        sources += [Source(file, len(data), sha256(data).hexdigest()) for file, data in files.items()]
    return tables, sources


def _frame_counts(path: Path) -> tuple[dict[str, tuple[int, int]], dict[str, bytes]]:
    data = read_bytes(path, MAX_BYTES)
    counts: dict[str, _Counts] = canonical.read_page(data, path, dict[str, _Counts])
    for video, count in counts.items():
        if count.n_frames < 1 or count.n_feat < 1:
            raise InputError("no frame, or no row", file=path, field=video, found=[count.n_frames, count.n_feat])
    return {video: (count.n_frames, count.n_feat) for video, count in counts.items()}, {path.name: data}


def _class_order(path: Path) -> tuple[list[int], dict[str, bytes]]:
    data = read_bytes(path, MAX_BYTES)
    try:
        order = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"not an array that can be read safely: {error}", file=path, expected="npy") from None
    if not isinstance(order, np.ndarray) or order.ndim != 1 or order.dtype.kind not in "iu":
        raise InputError("not an order of classes", file=path, expected="a list of whole numbers")
    return order.tolist(), {path.name: data}


def _crop_order(folder: Path) -> tuple[dict[str, list[tuple[str, int, int]]], dict[str, bytes]]:
    order, files = {}, {}
    for split in ("train", "val", "test"):
        path = folder / f"{split}.json"
        if path.is_file():
            data = read_bytes(path, MAX_BYTES)
            rows: list[_Released] = canonical.read_page(data, path, list[_Released])
            order[split] = [(r.id, r.location[0] + r.groundtruth[0], r.location[0] + r.groundtruth[1]) for r in rows]
            files[path.name] = data
    if not order:
        raise InputError("no released list in this folder", file=folder, expected="train.json, val.json, test.json")
    return order, files


def _class_split(path: Path) -> tuple[dict[str, list[str]], dict[str, bytes]]:
    data = read_bytes(path, MAX_BYTES)
    splits: dict[str, list[str]] = canonical.read_page(data, path, dict[str, list[str]])
    if set(splits) != {"train", "val", "test"}:
        raise InputError("not a split of classes", file=path, found=sorted(splits), expected="train, val and test")
    names = [name for split in splits.values() for name in split]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise InputError("a class in two splits", file=path, found=twice, expected="every class once")
    return splits, {path.name: data}


def _query_frames(path: Path) -> tuple[dict[str, list[float]], dict[str, bytes]]:
    data = read_bytes(path, MAX_BYTES)
    frames: dict[str, list[float]] = canonical.read_page(data, path, dict[str, list[float]])
    return frames, {path.name: data}


READERS: Mapping[str, Callable[[Path], tuple[Any, dict[str, bytes]]]] = {
    "frame_counts": _frame_counts,
    "class_order": _class_order,
    "crop_order": _crop_order,
    "class_split": _class_split,
    "query_frames": _query_frames,
}

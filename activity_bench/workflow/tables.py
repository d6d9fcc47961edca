"""The auxiliary tables that a builder wants beside the annotations: read, checked, and recorded as sources."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from tokenize import TokenError
from typing import Any

import msgspec
import numpy as np

from activity_bench.data import annotations as reader
from activity_bench.data import canonical
from activity_bench.data.annotations.values import MAX_SECONDS
from activity_bench.data.disk import read_bytes
from activity_bench.data.npy import read_header
from activity_bench.data.shipped import folder as shipped_folder
from activity_bench.errors import InputError, nearest
from activity_bench.types import Corpus, Source

MAX_BYTES = 1 << 28


class _Counts(msgspec.Struct):
    n_frames: int
    n_feat: int


class _Released(msgspec.Struct):
    id: str
    groundtruth: tuple[int, int]
    location: tuple[int, int]


def read(paths: Mapping[str, Path], shipped: Mapping[str, str] | None = None) -> tuple[dict[str, Any], list[Source]]:
    """Each table by its name, and the files that they came from; `shipped` ones are the package's own."""
    tables, sources = {}, []
    ours = {name: shipped_folder() / place for name, place in (shipped or {}).items()}
    for name, path in {**paths, **ours}.items():
        tables[name], files = READERS[name](Path(path))
        sources += files
    return tables, sources


def _source(path: Path, data: bytes) -> Source:
    return Source(path.name, len(data), sha256(data).hexdigest())


def _frame_counts(path: Path) -> tuple[dict[str, tuple[int, int]], list[Source]]:
    data = read_bytes(path, MAX_BYTES)
    counts: dict[str, _Counts] = canonical.read_page(data, path, dict[str, _Counts])
    pairs = {video: (count.n_frames, count.n_feat) for video, count in counts.items()}
    for video, pair in pairs.items():
        if min(pair) < 1 or max(pair) > 1 << 40:
            raise InputError("no frame, no row, or too many", file=path, field=video, found=list(pair))
    return pairs, [_source(path, data)]


def _class_order(path: Path) -> tuple[list[int], list[Source]]:
    data = read_bytes(path, MAX_BYTES)
    stream = io.BytesIO(data)
    try:
        shape, dtype = read_header(stream, path)
        order = np.frombuffer(data, dtype, offset=stream.tell())
    except (ValueError, EOFError, SyntaxError, TypeError, TokenError) as error:
        raise InputError(f"not an array that can be read safely: {error}", file=path, expected="npy") from None
    if order.shape != shape or order.dtype.kind not in "iu":
        raise InputError("not an order of classes", file=path, found=f"{shape} of {dtype}",
                         expected="a list of whole numbers")  # fmt: skip
    return order.tolist(), [_source(path, data)]


def _crop_order(folder: Path) -> tuple[dict[str, list[tuple[str, int, int]]], list[Source]]:
    order, files = {}, []
    for split in ("train", "val", "test"):
        path = folder / f"{split}.json"
        if path.is_file():
            data = read_bytes(path, MAX_BYTES)
            rows: list[_Released] = canonical.read_page(data, path, list[_Released])
            order[split] = [(r.id, r.location[0] + r.groundtruth[0], r.location[0] + r.groundtruth[1]) for r in rows]
            files.append(_source(path, data))
    if not order:
        raise InputError("no released list in this folder", file=folder, expected="train.json, val.json, test.json")
    return order, files


def _class_split(path: Path) -> tuple[dict[str, list[str]], list[Source]]:
    data = read_bytes(path, MAX_BYTES)
    splits: dict[str, list[str]] = canonical.read_page(data, path, dict[str, list[str]])
    if set(splits) != {"train", "val", "test"}:
        raise InputError("not a split of classes", file=path, found=sorted(splits), expected="train, val and test")
    names = [name for split in splits.values() for name in split]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise InputError("a class in two splits", file=path, found=twice, expected="every class once")
    return splits, [_source(path, data)]


def _query_frames(path: Path) -> tuple[dict[str, list[float]], list[Source]]:
    data = read_bytes(path, MAX_BYTES)
    frames: dict[str, list[float]] = canonical.read_page(data, path, dict[str, list[float]])
    return frames, [_source(path, data)]


class _Duration(msgspec.Struct):
    duration: float


def _durations(path: Path) -> tuple[dict[str, float], list[Source]]:
    data = read_bytes(path, MAX_BYTES)
    durations: dict[str, _Duration] = canonical.read_page(data, path, dict[str, _Duration])
    if not durations:
        raise InputError("no duration in it", file=path, expected="{video: {duration: seconds}}")
    for video, row in durations.items():
        if not 0 < row.duration < MAX_SECONDS:
            raise InputError("not a duration", file=path, field=f"{video:.80}.duration", found=row.duration,
                             expected="seconds above 0")  # fmt: skip
    return {video: row.duration for video, row in durations.items()}, [_source(path, data)]


def _clips(path: Path) -> tuple[Corpus, list[Source]]:
    (corpus,) = reader.read([path])
    return corpus, list(corpus.sources)


PAIR = ("target_class", "source_class", "basis", "reason")


def _overlap(path: Path) -> tuple[list[tuple[str, ...]], list[Source]]:
    data = read_bytes(path, MAX_BYTES)
    try:
        rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        for name in PAIR:
            if name not in (rows.fieldnames or ()):
                close = nearest(name, rows.fieldnames or ())
                raise InputError(f"no column {name}", file=path, line=1, found=",".join(rows.fieldnames or ()),
                                 hint=f"Is it {close!r}?" if close else None)  # fmt: skip
        pairs = []
        for row in rows:
            pair = tuple((row[name] or "").strip() for name in PAIR)
            if not pair[0] or not pair[1]:
                raise InputError("a pair that lacks a class", file=path, line=rows.line_num, found=",".join(pair),
                                 expected=",".join(PAIR))  # fmt: skip
            pairs.append(pair)
    except UnicodeDecodeError:
        raise InputError("not UTF-8 text", file=path, expected="UTF-8") from None
    except csv.Error as error:
        raise InputError(f"not CSV: {error}", file=path) from None
    return pairs, [_source(path, data)]


READERS: Mapping[str, Callable[[Path], tuple[Any, list[Source]]]] = {
    "frame_counts": _frame_counts,
    "class_order": _class_order,
    "crop_order": _crop_order,
    "class_split": _class_split,
    "query_frames": _query_frames,
    "source": _clips,
    "durations": _durations,
    "overlap": _overlap,
    "shipped_overlap": _overlap,
}

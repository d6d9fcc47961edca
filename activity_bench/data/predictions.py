"""Predictions: JSON lines, one sample a line, `{"sample": …, "segments": [[start, end, score], …]}`.

Plain or gzipped; `-` is standard input. An optional first line says what made them, and for which manifest. A stranger,
a duplicate, a segment that is empty, reversed or outside its sample's window is an error with file and line. The order
of lines and of segments means nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from activity_bench.data import canonical, lines
from activity_bench.data.truth import Ints, Moments
from activity_bench.errors import InputError, nearest, unknown
from activity_bench.segments import Floats
from activity_bench.types import Prediction

TOLERANCE = 2e-6  # seconds: times are written to the microsecond, so a window's edge may be missed by one


class Header(msgspec.Struct):
    """The optional first line."""

    method: dict[str, Any] = {}
    manifest: dict[str, Any] = {}


@dataclass(frozen=True)
class Answers:
    """k answered segments as columns, and where they came from."""

    sample: Ints  # (k,) place of the sample in the truth's index
    start: Floats  # (k,) seconds
    end: Floats  # (k,)
    score: Floats  # (k,)
    header: Header
    file: str
    sha256: str


def write(path_stream: Any, predictions: Iterable[Prediction], header: Mapping[str, Any]) -> int:
    """Write predictions to an open binary stream, header first; how many there were."""
    path_stream.write(canonical.line(header))
    count = 0
    for prediction in predictions:
        row: dict[str, Any] = {"sample": prediction.sample, "segments": prediction.segments}
        if prediction.labels is not None:
            row["labels"] = prediction.labels
        path_stream.write(canonical.line(row))
        count += 1
    return count


def read(path: Path, truth: Moments, digest: str) -> Answers:
    """The answers to `truth`, every fault of the file named. `digest` is that of the manifest that asks."""
    hasher, header = sha256(), Header()
    seen = np.zeros(len(truth.ids), bool)
    parts: list[tuple[Ints, NDArray[np.float64]]] = []
    decoder = msgspec.json.Decoder(_LineOrHeader)
    for block in lines.read(path, decoder, (hasher,)):
        rows: list[Any] = block.items
        offset = 0
        if block.first_line == 1 and rows and rows[0].sample is None:
            header, offset = _header(block, path, digest), 1
            rows = rows[1:]
        parts.append(_columns(path, block, rows, offset, truth, seen))
    sample = np.concatenate([part[0] for part in parts]) if parts else np.zeros(0, np.int64)
    values = np.concatenate([part[1] for part in parts]) if parts else np.zeros((0, 3))
    return Answers(sample, values[:, 0], values[:, 1], values[:, 2], header, path.name, hasher.hexdigest())


class _LineOrHeader(msgspec.Struct, gc=False):
    sample: str | None = None
    segments: list[tuple[float, float, float]] | None = None


def _header(block: lines.Block[Any], path: Path, digest: str) -> Header:
    text = next(text for text in block.text.split(b"\n") if text.strip())
    number = block.line_of(0)
    try:
        raw = msgspec.json.decode(text, type=dict[str, Any])
        header = msgspec.convert(raw, Header)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise canonical.complaint(error, path, number) from None
    if not ({"method", "manifest"} & raw.keys()):
        close = next((name for name in raw if nearest(name, ["sample"])), None)
        raise InputError(
            "neither an answer nor a header", file=path, line=number, field=close, found=list(raw)[:5],
            expected='"sample" and "segments", or a header with "method" or "manifest"',
        )  # fmt: skip
    made_for = header.manifest.get("digest")
    if made_for is not None and made_for != digest:
        raise InputError(
            "these predictions were made for another manifest", file=path, line=number, field="manifest.digest",
            found=made_for, expected=digest, hint="Predict again on this manifest, or score against that one.",
        )  # fmt: skip
    return header


def _columns(
    path: Path, block: lines.Block[Any], rows: list[Any], offset: int, truth: Moments, seen: NDArray[np.bool_]
) -> tuple[Ints, NDArray[np.float64]]:
    n, done = len(rows), int(np.count_nonzero(seen))
    names = [row.sample for row in rows]
    if names == truth.ids[done : done + n]:  # in the manifest's order, as most files are
        place = np.arange(done, done + n)
    else:
        try:
            place = np.fromiter(map(truth.index.__getitem__, names), np.int64, n)
        except KeyError:
            raise _stranger(path, block, rows, offset, truth) from None
    segments = [row.segments for row in rows]
    if None in segments:
        raise _stranger(path, block, rows, offset, truth)
    count = np.fromiter(map(len, segments), np.int64, n)
    total = int(count.sum())
    flat = chain.from_iterable(chain.from_iterable(segments))
    values = np.fromiter(flat, np.float64, 3 * total).reshape(total, 3)

    again = seen[place]
    seen[place] = True
    if np.count_nonzero(seen) - done != n:
        raise _duplicate(path, block, rows, offset, again)
    sample = np.repeat(place, count)
    start, end = values[:, 0], values[:, 1]
    wrong = ~(start < end)
    wrong |= (start < truth.window_start[sample] - TOLERANCE) | (end > truth.window_end[sample] + TOLERANCE)
    if wrong.any():
        bad = int(wrong.argmax())
        row = int(np.searchsorted(np.cumsum(count), bad, side="right"))
        column = bad - int(count[:row].sum())
        window = [float(truth.window_start[sample[bad]]), float(truth.window_end[sample[bad]])]
        reversed_ = not start[bad] < end[bad]
        raise InputError(
            "a reversed or empty segment" if reversed_ else "a segment outside its sample's window",
            file=path, line=block.line_of(row + offset), field=f"segments[{column}]",
            found=values[bad].tolist(), expected="start < end" if reversed_ else f"inside {window} seconds",
        )  # fmt: skip
    return sample, values


def _stranger(path: Path, block: lines.Block[Any], rows: list[Any], offset: int, truth: Moments) -> InputError:
    for place, row in enumerate(rows, offset):
        if row.sample is None or row.segments is None:
            field, line = "sample" if row.sample is None else "segments", block.line_of(place)
            keys = msgspec.json.decode(block.text.split(b"\n")[line - block.first_line], type=dict[str, Any])
            close = nearest(field, keys)
            return InputError(f"a line without {field}", file=path, line=line, field=field,
                              hint=f"Is it {close!r}?" if close else None)  # fmt: skip
        if row.sample not in truth.index:
            names = truth.ids[:50_000]
            return unknown("sample", row.sample, names, file=path, line=block.line_of(place), field="sample")
    raise AssertionError("no stranger in the block")


def _duplicate(
    path: Path, block: lines.Block[Any], rows: list[Any], offset: int, again: NDArray[np.bool_]
) -> InputError:
    met: set[str] = set()
    for place, row in enumerate(rows):
        if again[place] or row.sample in met:
            line = block.line_of(place + offset)
            return InputError(
                "a sample answered twice", file=path, line=line, field="sample", found=row.sample, expected="one line"
            )
        met.add(row.sample)
    raise AssertionError("no duplicate in the block")

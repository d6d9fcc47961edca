"""Our own predictions: JSON lines, one sample a line, `{"sample": …, "segments": [[start, end, score], …]}`.

A detection adds `labels`, parallel to `segments`; where these are empty, it need not. An optional first line says what
made them, and for which manifest. A stranger, a duplicate, a segment that is empty, reversed or outside its sample's
window is always an error. Most files are in the manifest's own order, which needs no index.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from activity_bench.data import canonical, lines
from activity_bench.data.instances import Instances
from activity_bench.data.predictions.faults import Faults
from activity_bench.data.predictions.source import UNDECODABLE, Lines, json_lines, repeated
from activity_bench.data.truth import Ints, Moments, encode
from activity_bench.errors import InputError, nearest, unknown
from activity_bench.segments import Floats
from activity_bench.types import Prediction

TOLERANCE = 2e-6  # seconds: times are written to the microsecond, so a window's edge may be missed by one
KEYS = (b'"sample"', b'"segments"', b'"labels"')
Columns = tuple[Ints, Floats, Ints]  # sample (k,); start, end, score (k, 3); label (k,), empty for moments


class Header(msgspec.Struct):
    """The optional first line."""

    method: dict[str, Any] = {}
    manifest: dict[str, Any] = {}


class Line(msgspec.Struct, gc=False):
    """An answer to a moment."""

    sample: str | None = None
    segments: list[tuple[float, float, float]] | None = None


class Labelled(msgspec.Struct, gc=False):
    """An answer of detection."""

    sample: str | None = None
    segments: list[tuple[float, float, float]] | None = None
    labels: list[str] | None = None


def write(path_stream: Any, predictions: Iterable[Prediction], header: Mapping[str, Any] | None = None) -> int:
    """Write predictions to an open binary stream, the header first; how many there were."""
    if header is not None:
        path_stream.write(canonical.line(header))
    count = 0
    for prediction in predictions:
        row: dict[str, Any] = {"sample": prediction.sample, "segments": prediction.segments}
        if prediction.labels is not None:
            row["labels"] = prediction.labels
        path_stream.write(canonical.line(row))
        count += 1
    return count


def read(
    path: Path, stream: BinaryIO, hasher: lines.Hasher, truth: Moments | Instances, digest: str, faults: Faults
) -> tuple[Columns, Header]:
    """The answers as columns, and what the header says. `digest` is that of the manifest that asks."""
    header = Header()
    reader = Reader(path, truth, faults)
    parts: list[Columns] = []
    decoder = msgspec.json.Decoder(Labelled if isinstance(truth, Instances) else Line)
    for block in json_lines(path, stream, decoder, hasher, faults, KEYS, _marks):
        if block.first_line == 1 and block.items and block.items[0].sample is None:
            try:
                header = _header(block, path, digest)
            except InputError as error:
                faults.add(error)
            block = block.rest()
        parts.append(reader.columns(block))
    return joined(parts), header


def _marks(rows: list[Any]) -> int:
    """The quotes of lines that hold our keys and nothing else."""
    if not rows or not isinstance(rows[0], Labelled):
        return 6 * len(rows)  # two keys and the sample's id
    return sum([6 if row.labels is None else 8 + 2 * len(row.labels) for row in rows])


def joined(parts: list[Columns]) -> Columns:
    """The columns of several blocks as one."""
    if not parts:
        return np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros(0, np.int64)
    sample, values, label = (np.concatenate(pieces) for pieces in zip(*parts, strict=True))
    return sample, values, label


def _keys(text: bytes) -> set[str]:
    """The keys of a line; none where what the decoder passed over is no JSON."""
    try:
        return set(msgspec.json.decode(text, type=dict[str, Any]))
    except UNDECODABLE:
        return set()


def _header(block: Lines, path: Path, digest: str) -> Header:
    number = block.line_of(0)
    text = block.text.split(b"\n")[number - block.first_line]
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
    if repeated(text) is not None:
        raise InputError("a key that stands twice", file=path, line=number, field=repeated(text), expected="one")
    made_for = header.manifest.get("digest")
    if made_for is not None and made_for != digest:
        raise InputError(
            "these predictions were made for another manifest", file=path, line=number, field="manifest.digest",
            found=made_for, expected=digest, hint="Predict again on this manifest, or score against that one.",
        )  # fmt: skip
    return header


class Reader:
    """Blocks of lines -> columns, by what is asked and what was answered before."""

    def __init__(self, path: Path, truth: Moments | Instances, faults: Faults) -> None:
        self.path, self.truth, self.faults = path, truth, faults
        self.seen = np.zeros(len(truth.ids), bool)
        self.labels = truth.labels if isinstance(truth, Instances) else None
        self.codes: dict[str | None, int] = {None: -1} | {word: code for code, word in enumerate(self.labels or ())}

    def columns(self, block: Lines) -> Columns:
        """The columns of a block; with every fault counted, what is faulty is left out."""
        segments = [row.segments for row in block.items]
        place = self._places(block, segments)
        if place is None:
            block, place = self._sound(block)
        again = self._again(block, place)
        if again is not None:
            block, place = block.pick(np.flatnonzero(~again).tolist()), place[~again]
        if len(block.items) < len(segments):
            segments = [row.segments for row in block.items]
        count = np.fromiter(map(len, segments), np.int64, len(segments))
        total = int(count.sum())
        flat = chain.from_iterable(chain.from_iterable(segments))
        values = np.fromiter(flat, np.float64, 3 * total).reshape(total, 3)
        sample = np.repeat(place, count)
        label, wrong = self._labels(block, count)
        start, end = values[:, 0], values[:, 1]
        low, high = self.truth.window_start[sample], self.truth.window_end[sample]
        self.faults.look(start, end, high)
        reversed_ = ~(start < end)
        outside = ((start < low - TOLERANCE) | (end > high + TOLERANCE)) & ~reversed_
        for mask, kind in (
            (reversed_, "a reversed or empty segment"),
            (outside, "a segment outside its sample's window"),
        ):
            if mask.any():
                self.faults.mask(kind, mask, self._segment_error(block, count, values, low, high, kind))
                wrong = mask | (False if wrong is None else wrong)
        if wrong is not None:
            return sample[~wrong], values[~wrong], label[~wrong] if self.labels is not None else label
        return sample, values, label

    def _places(self, block: Lines, segments: list[Any]) -> Ints | None:
        """The place of each line's sample; None if some line is a stranger's, or lacks something."""
        rows, n = block.items, len(block.items)
        if None in segments:
            return None
        if self.labels is not None and any(len(row.labels or ()) != len(row.segments) for row in rows):
            return None
        done = int(np.count_nonzero(self.seen))
        names = [row.sample for row in rows]
        if names == self.truth.ids[done : done + n]:  # in the manifest's order, as most files are
            return np.arange(done, done + n)
        try:
            return np.fromiter(map(self.truth.index.__getitem__, names), np.int64, n)
        except KeyError:
            return None

    def _sound(self, block: Lines) -> tuple[Lines, Ints]:
        """The lines that are answers to something, and to what; each of the others is a fault."""
        good = []
        for item, row in enumerate(block.items):
            fault = self._fault(block, item, row)
            if fault is None:
                good.append(item)
            else:
                self.faults.add(fault)
        places = [self.truth.index[block.items[item].sample] for item in good]
        return block.pick(good), np.array(places, np.int64)

    def _fault(self, block: Lines, item: int, row: Any) -> InputError | None:
        where: dict[str, Any] = {"file": self.path, "line": block.line_of(item)}
        needed = ["sample", "segments"] + (["labels"] if self.labels is not None and row.segments else [])
        for field in needed:
            if getattr(row, field) is None:
                text = block.text.split(b"\n")[where["line"] - block.first_line]
                close = nearest(field, _keys(text) - set(needed))
                return InputError(f"a line without {field}", **where, field=field,
                                  hint=f"Is it {close!r}?" if close else None)  # fmt: skip
        if row.sample not in self.truth.index:
            return unknown("sample", row.sample, self.truth.ids[:50_000], **where, field="sample")
        if self.labels is not None and len(row.labels or ()) != len(row.segments):
            return InputError("not one class a segment", **where, field="labels", found=len(row.labels),
                              expected=str(len(row.segments)))  # fmt: skip
        return None

    def _again(self, block: Lines, place: Ints) -> NDArray[np.bool_] | None:
        """Which lines answer a sample that is answered already; None if none does."""
        done = int(np.count_nonzero(self.seen))
        before = self.seen[place]
        self.seen[place] = True
        if np.count_nonzero(self.seen) - done == len(place):
            return None
        first = np.zeros(len(place), bool)
        first[np.unique(place, return_index=True)[1]] = True
        again: NDArray[np.bool_] = before | ~first
        self.faults.mask("a sample answered twice", again, lambda item: InputError(
            "a sample answered twice", file=self.path, line=block.line_of(item), field="sample",
            found=block.items[item].sample, expected="one line"))  # fmt: skip
        return again

    def _labels(self, block: Lines, count: Ints) -> tuple[Ints, NDArray[np.bool_] | None]:
        """The classes, as places among those that are asked, and which segments have none of them."""
        if self.labels is None:
            return np.zeros(0, np.int64), None
        words = list(chain.from_iterable([row.labels or () for row in block.items]))
        label = encode(words, self.codes)
        strange = label >= len(self.labels)
        known = self.labels
        if not self.faults.mask("unknown class", strange, lambda bad: unknown(
                "class", words[bad], known, file=self.path, **_where(block, count, bad, "labels"))):  # fmt: skip
            return label, None
        return label, strange

    def _segment_error(self, block: Lines, count: Ints, values: Floats, low: Floats, high: Floats, kind: str) -> Any:
        def error(bad: int) -> InputError:
            window = [float(low[bad]), float(high[bad])]
            expected = f"inside {window} seconds" if "outside" in kind else "start < end"
            return InputError(kind, file=self.path, **_where(block, count, bad, "segments"),
                              found=values[bad].tolist(), expected=expected)  # fmt: skip

        return error


def _where(block: Lines, count: Ints, bad: int, name: str) -> dict[str, Any]:
    """Line and field of a segment of the block."""
    row = int(np.searchsorted(np.cumsum(count), bad, side="right"))
    return {"line": block.line_of(row), "field": f"{name}[{bad - int(count[:row].sum())}]"}

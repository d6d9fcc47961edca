"""The text of a file of predictions: which format it has, JSON lines one by one or in blocks, or all of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from activity_bench.data import lines
from activity_bench.data.canonical import BOM, complaint, no_gc
from activity_bench.data.disk import BLOCK, LIMIT, blocks, newlines
from activity_bench.data.predictions.faults import Faults
from activity_bench.errors import InputError

FORMATS = {
    "ours": "JSON lines: sample, segments (start, end, score) and, of a detection, labels",
    "activitynet": "ActivityNet result JSON, strict or loose: video -> label, score, segment",
    "qvhighlights": "moment-retrieval JSON lines: qid, vid, pred_relevant_windows",
    "thumos": "THUMOS evaluation kit: video, start, end, number of the class, score; a line each",
    "csv": "CSV with a header: sample or video, start, end, score and, of a detection, label",
}
CSV_NAMES = frozenset({"sample", "video", "video-id", "start", "t-start", "end", "t-end", "score", "label"})
UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_KEYS = {
    "ours": {b"sample", b"segments", b"labels", b"method", b"manifest"},
    "qvhighlights": {b"qid", b"vid", b"query", b"pred_relevant_windows"},
    "activitynet": {b"results", b"database", b"version", b"external_data"},
}
_DIGIT = re.compile(rb"\d")
_FIRST_KEY = re.compile(rb'\{\s*"((?:[^"\\]|\\.)*)"\s*:\s*(.)', re.DOTALL)


# ---- which format ---------------------------------------------------------------------------------------------------


def sniff(head: bytes) -> str | None:
    """The format that a file has, by how it begins; None where it begins like none."""
    head = head.removeprefix(BOM).lstrip()
    line = head.partition(b"\n")[0].strip()
    if head.startswith(b"{"):
        return _sniff_json(head, line)
    if len(CSV_NAMES.intersection(field.strip(' "').lower() for field in line.decode("latin-1").split(","))) >= 3:
        return "csv"
    words = line.split()  # of any length
    is_thumos = len(words) == 5 and all(_DIGIT.search(word) for word in words[1:3]) and words[3].isdigit()
    return "thumos" if is_thumos else None


def _sniff_json(head: bytes, line: bytes) -> str | None:
    first = _FIRST_KEY.match(head)
    try:
        row = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        keys = {key.encode() for key in row}
        lists = bool(row) and all(bytes(value).startswith(b"[") for value in row.values())
    except UNDECODABLE:  # a page of many lines, or one that is longer than what we look at
        keys, lists = ({first[1]}, first[2] == b"[") if first else (set(), False)
    for name, known in _KEYS.items():
        if keys & known:
            return name
    return "activitynet" if lists else None  # the results alone, without a name for them


# ---- reading --------------------------------------------------------------------------------------------------------


def whole(path: Path, stream: BinaryIO, hasher: lines.Hasher) -> bytes:
    """All of a file that has at most `LIMIT` bytes, without a byte order mark."""
    parts: list[bytes] = []
    size = 0
    stated = os.fstat(stream.fileno()).st_size if path.suffix != ".gz" and str(path) != "-" else 0
    while max(size, stated) <= LIMIT and (part := stream.read(max(BLOCK, stated + 1 - size))):
        hasher.update(part)
        parts.append(part)
        size += len(part)
    if max(size, stated) > LIMIT:
        raise InputError("too large to be read at once", file=path, expected=f"at most {LIMIT:,} bytes",
                         hint="JSON lines have no such limit.")  # fmt: skip
    return (parts[0] if len(parts) == 1 else b"".join(parts)).removeprefix(BOM)


def text_of(path: Path, data: bytes) -> str:
    """UTF-8 text, or an error that names the first line that is none."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise complaint(error, path, 1 + newlines(data[: error.start]), data=data) from None


@dataclass(frozen=True)
class Lines(lines.Block[Any]):
    """Some lines of a file, decoded; `numbers` where they are not one after the other."""

    numbers: list[int] | None = None
    skipped: int = 0  # items before the first, where `numbers` is None

    def line_of(self, item: int) -> int:
        """The line number of an item."""
        return self.first_line + self.skipped + item if self.numbers is None else self.numbers[item]

    def pick(self, items: Sequence[int]) -> Lines:
        """Some of the items alone."""
        numbers = [self.line_of(item) for item in items]
        return Lines([self.items[item] for item in items], self.text, self.first_line, numbers)

    def rest(self) -> Lines:
        """All items but the first."""
        return Lines(self.items[1:], self.text, self.first_line, self.numbers and self.numbers[1:], self.skipped + 1)


def json_lines(
    path: Path, stream: BinaryIO, decoder: msgspec.json.Decoder[Any], hasher: lines.Hasher, faults: Faults,
    keys: tuple[bytes, ...], marks: Callable[[list[Any]], int] = lambda items: -1,
) -> Iterator[Lines]:  # fmt: skip
    """Blocks of JSON lines; each of `keys`, quotes included, may stand once in a line.

    `marks` says how many quotes the lines of some items have if they hold nothing but those: then no key is looked for.
    """
    first_line = 1
    for text in blocks(stream, lines.BLOCK):
        hasher.update(text)
        if first_line == 1:
            text = text.removeprefix(BOM) or b"\n"
        try:
            with no_gc():
                items = decoder.decode_lines(text)
        except UNDECODABLE:
            items = []
        once = quotes(text) == marks(items) or all(text.count(key) <= len(items) for key in keys)
        if once and _plain(text, len(items)):
            yield Lines(items, text, first_line)
        else:
            yield _one_by_one(path, text, first_line, decoder, faults, keys)
        first_line += newlines(text)


def quotes(data: bytes) -> int:
    """How many `"` stand in a text: bytes.count, 10 x as fast."""
    marks = np.frombuffer(data, np.uint8)
    return sum(int(np.count_nonzero(marks[at : at + lines.BLOCK] == 34)) for at in range(0, len(marks), lines.BLOCK))


def _plain(text: bytes, items: int) -> bool:
    """One item a line: the decoder takes two on a line, and one on two; no line is blank or begins with one."""
    data = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(data == 10)
    begins = data[ends[:-1] + 1] if text.endswith(b"\n") else data[ends + 1]
    return items == len(begins) + 1 and data[0] > 32 and not (begins <= 32).any()


def _one_by_one(
    path: Path, text: bytes, first: int, decoder: msgspec.json.Decoder[Any], faults: Faults, keys: tuple[bytes, ...]
) -> Lines:
    """A block with blank lines in it, or faults: each line alone."""
    items, numbers = [], []
    for number, line in enumerate(text.split(b"\n"), first):
        if not line.strip(b" \t\r"):
            continue
        try:
            item = decoder.decode(line)
        except UNDECODABLE as error:
            faults.add(complaint(error, path, number, data=line))
            continue
        twice = repeated(line) if any(line.count(key) > 1 for key in keys) else None
        if twice is not None:
            faults.add(InputError("a key that stands twice", file=path, line=number, field=twice, expected="one"))
            continue
        items.append(item)
        numbers.append(number)
    return Lines(items, text, first, numbers)


class _TwiceError(Exception):
    pass


def repeated(data: bytes) -> str | None:
    """A key that some object of a JSON text has twice: readers keep the last and say nothing."""

    def once(pairs: list[tuple[str, Any]]) -> None:
        keys = {key for key, _ in pairs}
        if len(keys) < len(pairs):
            names = [key for key, _ in pairs]
            raise _TwiceError(next(key for place, key in enumerate(names) if key in names[:place]))

    try:
        json.loads(data, object_pairs_hook=once)
    except _TwiceError as error:
        return str(error)
    except (ValueError, RecursionError):
        return None  # msgspec has read it, or says what is wrong with it
    return None

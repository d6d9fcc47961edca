"""Kinetics CSV: `label,youtube_id,time_start,time_end,split` and, in some copies, `is_cc`: trimmed clips of videos.

A video's id is its YouTube id; two clips of one video are two instances of it. No file states a video's duration.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from hashlib import sha256
from pathlib import Path

from activity_bench.data.annotations.values import check_id, check_label, seconds, subset_of
from activity_bench.data.disk import read_bytes
from activity_bench.errors import InputError, nearest
from activity_bench.types import Corpus, Instance, Source, Video

MAX_BYTES = 1 << 28
DEMANDED = ("label", "youtube_id", "time_start", "time_end", "split")


def read(path: Path) -> Corpus:
    """The corpus of one file."""
    data = read_bytes(path, MAX_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("not UTF-8 text", file=path, expected="UTF-8") from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    reader = _Reader(path)
    try:
        header = next(rows, [])
        column = _columns(header, path)
        for row in rows:
            if row:
                reader.take(row, column, len(header), rows.line_num)
    except csv.Error as error:
        raise InputError(f"not CSV: {error}", file=path, line=rows.line_num) from None
    if not reader.clips:
        raise InputError("no clip in it", file=path, expected=",".join(DEMANDED))
    videos = tuple(Video(name, None, reader.subsets[name], tuple(clips)) for name, clips in reader.clips.items())
    source = Source(path.name, len(data), sha256(data).hexdigest())
    return Corpus("kinetics", videos, {}, (source,), dict(sorted(reader.mended.items())))


def _columns(header: list[str], path: Path) -> dict[str, int]:
    column = {name.strip(): place for place, name in enumerate(header)}
    for name in DEMANDED:
        if [field.strip() for field in header].count(name) > 1:
            raise InputError("a column that stands twice", file=path, line=1, found=name)
        if name not in column:
            close = nearest(name, column)
            raise InputError(f"no column {name}", file=path, line=1, found=",".join(header),
                             hint=f"Is it {close!r}?" if close else None)  # fmt: skip
    return column


class _Reader:
    """The clips of one file. A class or a subset is checked where it stands first; `spelt` is what nobody counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mended: Counter[str] = Counter()
        self.spelt: Counter[str] = Counter()  # in CSV every number is text, and no spelling of a subset is official
        self.clips: dict[str, list[Instance]] = defaultdict(list)
        self.subsets: dict[str, str] = {}  # of the videos
        self.labels: dict[str, str] = {}  # as the file has them -> as we have them
        self.splits: dict[str, str] = {}

    def take(self, row: list[str], column: dict[str, int], width: int, line: int) -> None:
        if len(row) < width:
            raise InputError("a row that is too short", file=self.path, line=line, found=len(row),
                             expected=f"{width} fields")  # fmt: skip
        text, name, start, end, split = [row[column[field]] for field in DEMANDED]
        name = check_id(name.strip(), self.path, f"line {line}: youtube_id")
        subset = self.splits.get(split)
        if subset is None:
            subset = self.splits[split] = subset_of(split, self.path, f"line {line}: split", self.spelt)
        if self.subsets.setdefault(name, subset) != subset:
            raise InputError("a video in two subsets", file=self.path, line=line, field="youtube_id", found=name)
        first = seconds(start, self.path, "time_start", self.spelt, line)
        last = seconds(end, self.path, "time_end", self.spelt, line)
        label = self.labels.get(text)
        if label is None:
            label = self.labels[text] = check_label(text, self.path, f"line {line}: label")
        clip = Instance(first, last, label)
        if clip in self.clips[name]:
            self.mended["a clip that stands twice"] += 1
        else:
            self.clips[name].append(clip)

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
    mended: Counter[str] = Counter()
    clips: dict[str, list[Instance]] = defaultdict(list)
    subsets: dict[str, str] = {}
    try:
        column = _columns(next(rows, []), path)
        for row in rows:
            if row:
                _take(row, column, path, rows.line_num, clips, subsets, mended)
    except csv.Error as error:
        raise InputError(f"not CSV: {error}", file=path, line=rows.line_num) from None
    if not clips:
        raise InputError("no clip in it", file=path, expected=",".join(DEMANDED))
    videos = tuple(Video(name, None, subsets[name], tuple(instances)) for name, instances in clips.items())
    source = Source(path.name, len(data), sha256(data).hexdigest())
    return Corpus("kinetics", videos, {}, (source,), dict(sorted(mended.items())))


def _columns(header: list[str], path: Path) -> dict[str, int]:
    column = {name.strip(): place for place, name in enumerate(header)}
    for name in DEMANDED:
        if name not in column:
            close = nearest(name, column)
            raise InputError(f"no column {name}", file=path, line=1, found=",".join(header),
                             hint=f"Is it {close!r}?" if close else None)  # fmt: skip
    return column


def _take(
    row: list[str], column: dict[str, int], path: Path, line: int,
    clips: dict[str, list[Instance]], subsets: dict[str, str], mended: Counter[str],
) -> None:  # fmt: skip
    if len(row) < len(column):
        raise InputError(
            "a row that is too short", file=path, line=line, found=len(row), expected=f"{len(column)} fields"
        )
    label, name, start, end, split = (row[column[field]] for field in DEMANDED)
    name = check_id(name.strip(), path, f"line {line}: youtube_id")
    spelt: Counter[str] = Counter()  # in CSV every number is text, and no spelling of a subset is official
    subset = subset_of(split, path, f"line {line}: split", spelt)
    if subsets.setdefault(name, subset) != subset:
        raise InputError("a video in two subsets", file=path, line=line, field="youtube_id", found=name)
    times = [seconds(value, path, field, spelt, line) for field, value in (("time_start", start), ("time_end", end))]
    clip = Instance(times[0], times[1], check_label(label, path, f"line {line}: label"))
    if clip in clips[name]:
        mended["a clip that stands twice"] += 1
    else:
        clips[name].append(clip)

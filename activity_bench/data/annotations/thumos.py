"""THUMOS14: a folder of `<Class>_test.txt` or `<Class>_val.txt`, a line an instance: `video start end`, in seconds.

`Ambiguous_*.txt` holds stretches that are taken out of the evaluation: they become `ignore` of their video. A folder
that holds `annotations_test`, `annotations_val` or both is read as one corpus. No file states a duration.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from hashlib import sha256
from pathlib import Path

from activity_bench.data.annotations.values import check_id, check_label, seconds
from activity_bench.data.disk import read_bytes
from activity_bench.errors import InputError
from activity_bench.types import Corpus, Instance, Source, Video

MAX_BYTES = 1 << 26  # of a class's file
AMBIGUOUS = "Ambiguous"
NAME = re.compile(r"(?P<label>.+)_(?P<subset>val|test)\.txt")
SUBSETS = {"val": "validation", "test": "testing"}


def files(folder: Path) -> list[Path]:
    """The class files of a folder, or of its `annotations_*` folders."""
    if not folder.is_dir():
        raise InputError("no such folder", file=folder, expected="a folder of <Class>_test.txt or <Class>_val.txt")
    found = [path for path in sorted(folder.iterdir()) if NAME.fullmatch(path.name)]
    inner = [path for path in sorted(folder.glob("annotations_*")) if path.is_dir()]
    return found or [path for sub in inner for path in sorted(sub.iterdir()) if NAME.fullmatch(path.name)]


def read(folder: Path) -> Corpus:
    """The corpus of one folder."""
    found = files(folder)
    if not found:
        raise InputError(
            "no THUMOS annotation in this folder", file=folder, expected="<Class>_test.txt or <Class>_val.txt"
        )
    mended: Counter[str] = Counter()
    instances: dict[tuple[str, str], list[Instance]] = defaultdict(list)
    sources = []
    for path in found:
        data = read_bytes(path, MAX_BYTES)
        sources.append(Source(path.name, len(data), sha256(data).hexdigest()))
        match = NAME.fullmatch(path.name)
        assert match is not None
        label = check_label(match["label"], path, "file name")
        for name, start, end in _lines(data, path):
            instances[SUBSETS[match["subset"]], name].append(Instance(start, end, label))
    videos = tuple(_video(name, subset, rows, mended) for (subset, name), rows in sorted(instances.items()))
    return Corpus("thumos14", videos, {}, tuple(sources), dict(sorted(mended.items())))


def _lines(data: bytes, path: Path) -> list[tuple[str, float, float]]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError("not UTF-8 text", file=path, expected="UTF-8") from None
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 3:
            raise InputError("not an instance", file=path, line=number, found=line, expected="video start end")
        start, end = (seconds(word, path, "time", Counter(), number) for word in words[1:])
        rows.append((check_id(words[0], path, f"line {number}"), start, end))
    return rows


def _video(name: str, subset: str, rows: list[Instance], mended: Counter[str]) -> Video:
    once = list(dict.fromkeys(rows))  # in the order of the files: in the evalkit truths choose in it
    if len(once) < len(rows):
        mended["an instance that stands twice"] += len(rows) - len(once)
    sure = tuple(row for row in once if row.label != AMBIGUOUS)
    return Video(name, None, subset, sure, tuple(row for row in once if row.label == AMBIGUOUS))

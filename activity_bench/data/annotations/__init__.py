"""Readers of other people's annotation files: each gives a Corpus and says what it mended.

Which reader a file wants is seen from the file itself, or said with a format's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from activity_bench.data.annotations import activitynet, kinetics, multithumos, thumos
from activity_bench.data.annotations.values import check_spellings
from activity_bench.data.disk import open_read
from activity_bench.errors import InputError, unknown
from activity_bench.types import Corpus

FORMATS: dict[str, Callable[[Path], Corpus]] = {
    "activitynet": activitynet.read,
    "kinetics": kinetics.read,
    "multithumos": multithumos.read,
    "thumos": thumos.read,
}
COMPACT = re.compile(rb'\{\s*"[^"]{1,255}"\s*:\s*\{[^{}]*"actions"')  # the first video of MultiTHUMOS's own layout


def read(paths: Sequence[Path], format_: str | None = None) -> list[Corpus]:
    """The corpora of some annotation files. A video may stand in one of them only."""
    if format_ is not None and format_ not in FORMATS:
        raise unknown("annotation format", format_, FORMATS)
    corpora = [FORMATS[format_ or detect(path)](path) for path in paths]
    check_spellings(sorted({label for corpus in corpora for label in corpus.labels}), paths[0])
    ids = [video.id for corpus in corpora for video in corpus.videos]
    if len(set(ids)) == len(ids):
        return corpora
    where: dict[str, Path] = {}
    for path, corpus in zip(paths, corpora, strict=True):
        for video in corpus.videos:
            if video.id in where:
                raise InputError(
                    f"a video that {where[video.id].name} has too", file=path, field="video", found=video.id,
                    expected="each video in one file",
                )  # fmt: skip
            where[video.id] = path
    return corpora


def detect(path: Path) -> str:
    """The format of a file or folder, from its first bytes."""
    if path.is_dir():
        return "thumos"
    with open_read(path) as stream:
        head = stream.read(1 << 16).lstrip(b"\xef\xbb\xbf \t\r\n")
    if not head:
        raise InputError("an empty annotation file", file=path, expected="annotations: " + ", ".join(FORMATS))
    if head[:1] != b"{":
        first = head.split(b"\n", 1)[0]
        if b"youtube_id" in first or (b"," in first and path.name.endswith((".csv", ".csv.gz"))):
            return "kinetics"
    return "multithumos" if COMPACT.match(head) else "activitynet"

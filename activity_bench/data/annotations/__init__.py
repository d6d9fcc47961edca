"""Readers of other people's annotation files: each gives a Corpus and says what it mended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from activity_bench.data.annotations import activitynet
from activity_bench.errors import InputError
from activity_bench.types import Corpus


def read(paths: Sequence[Path]) -> list[Corpus]:
    """The corpora of some annotation files. A video may stand in one of them only."""
    corpora = [activitynet.read(path) for path in paths]
    where: dict[str, Path] = {}
    for path, corpus in zip(paths, corpora, strict=True):
        for video in corpus.videos:
            if video.id in where:
                raise InputError(
                    f"a video that {where[video.id].name} has too", file=path, field="database", found=video.id,
                    expected="each video in one file",
                )  # fmt: skip
            where[video.id] = path
    return corpora

"""A small benchmark made by hand: videos of rows in which a class's vector shows where the target is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from activity_bench import chance
from activity_bench.data import manifest as manifests
from activity_bench.data.features import Attributes, FeatureStore, write_store
from activity_bench.data.manifest import Manifest
from activity_bench.segments import to_seconds
from activity_bench.types import Built, Grid, Ledger, Query, Sample, Source, Target, Window

STEP = 16 / 30
DIM = 6
LABELS = ("Diving", "Rafting", "Frisbee")
COUNTS = {"train": 24, "val": 9, "test": 9}


def rows_of(video: str) -> tuple[int, tuple[int, int]]:
    """How many rows a video has, and where its target lies."""
    rows = chance.integer(0, video, "rows", 12, 40)
    length = chance.integer(0, video, "length", 3, 8)
    first = chance.integer(0, video, "first", 0, rows - length)
    return rows, (first, first + length)


def samples(split: str, marked: bool = True) -> list[Sample]:
    """The lines of a split: each video once, asked for with the target of the next one of its class."""
    count = COUNTS[split]
    return [_sample(split, n, f"{split}{n}", f"{split}{(n + len(LABELS)) % count}", marked) for n in range(count)]


def _sample(split: str, n: int, video: str, other: str, marked: bool) -> Sample:
    (rows, target), (_, clip) = rows_of(video), rows_of(other)
    start, end = to_seconds(clip, STEP)
    return Sample(
        id=f"{split}/{video}/0-{rows}/0",
        label=LABELS[n % len(LABELS)],
        query=Query("clip", video=other, start=start, end=end),
        targets=(Target(*to_seconds(target, STEP), LABELS[n % len(LABELS)]),) if marked else (),
        video=Window(video, *to_seconds((0, rows), STEP)),
        grid=Grid(STEP, (0, rows), (target,) if marked else (), clip),
    )


def manifest(folder: Path, marked: bool = True) -> Manifest:
    """The benchmark on the disk."""
    lines = [(split, sample) for split in COUNTS for sample in samples(split, marked or split != "train")]
    built = Built("relocalization", "made.1", "moment", lines, Ledger("instance"))
    return manifests.write(
        folder, built, {"options": {}}, (Source("made.json", 1, "ab" * 32),), lambda page: "# made\n"
    )


def features(path: Path, dim: int = DIM, leave_out: tuple[str, ...] = (), **changes: Any) -> FeatureStore:
    """Features of every video: noise, and where the target is its class's vector."""
    plain: dict[str, Any] = {
        "backbone": "made", "weights_sha256": "none", "decoder": "none", "decoder_version": "none", "fps": 30.0,
        "window": 16, "stride": 16, "offset": 0, "dtype": "float32", "layer": "none", "projection": "none", "dim": dim,
    }  # fmt: skip
    names = [(f"{split}{n}", LABELS[n % len(LABELS)]) for split, count in COUNTS.items() for n in range(count)]
    arrays = ((video, _array(video, label, dim)) for video, label in names if video not in leave_out)
    write_store(path, Attributes(**{**plain, **changes}), arrays)
    return FeatureStore(path)


def _array(video: str, label: str, dim: int) -> np.ndarray:
    rows, (first, last) = rows_of(video)
    noise = np.random.Generator(np.random.Philox(key=chance.key(0, video, "noise"))).standard_normal((rows, dim))
    array = (0.3 * noise).astype(np.float32)
    array[first:last, LABELS.index(label) : LABELS.index(label) + 2] += 1.0
    return array

"""What is known of how long videos are: by a manifest, by annotations or durations, by counts of frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from activity_bench.data import annotations as reader
from activity_bench.data.disk import read_bytes
from activity_bench.data.features.fit import Length
from activity_bench.data.features.words import SAME_STEP, Timing
from activity_bench.errors import InputError
from activity_bench.types import Sample
from activity_bench.workflow import tables

MAX_BYTES = 1 << 30


def of_samples(samples: Iterable[Sample], timing: Timing) -> dict[str, Length]:
    """How long each video is at least, by what is asked of it; None of one's end is known, and it is not here.

    Rows of a manifest's grid are rows of the features, whatever the rate, if the grid's step is about theirs.
    """
    asked: dict[str, tuple[float, int | None, bool]] = {}

    def note(video: str | None, end: float | None, last: int | None, searched: bool) -> None:
        if video is not None and end is not None:
            seconds, rows, before = asked.get(video, (0.0, last, False))
            rows = None if rows is None or last is None else max(rows, last)
            asked[video] = max(seconds, end), rows, searched or before

    for sample in samples:
        grid, query = sample.grid, sample.query
        alike = grid is not None and 1 / SAME_STEP < timing.step / grid.step < SAME_STEP
        note(sample.video.id, sample.video.end, grid.video[1] if grid and alike else None, True)
        last = grid.query[1] if grid and alike and grid.query else None
        note(query.video, query.end if query.time is None else query.time, last, False)
    return {video: Length(seconds, rows, False, whole) for video, (seconds, rows, whole) in asked.items()}


def of_files(durations: Path | None, frame_counts: Path | None, fps: float) -> dict[str, Length]:
    """How long videos are, by {video: {"duration": seconds}} or any annotations, or by counts of frames."""
    if durations is not None and frame_counts is not None:
        raise InputError("lengths by two files", field="--frame-counts", found=str(frame_counts),
                         expected="--durations or --frame-counts")  # fmt: skip
    if frame_counts is not None:
        counts = tables.read({"frame_counts": frame_counts})[0]["frame_counts"]
        return {video: Length(frames / fps) for video, (frames, _) in counts.items()}
    if durations is None:
        return {}
    if durations.is_dir() or b'"database"' in read_bytes(durations, MAX_BYTES):
        videos = [video for corpus in reader.read([durations]) for video in corpus.videos]
        return {video.id: Length(video.duration) for video in videos if video.duration}
    found = tables.read({"durations": durations})[0]["durations"]
    return {video: Length(seconds) for video, seconds in found.items()}


def spelt(names: Iterable[str], ids: Iterable[str]) -> Mapping[str, str]:
    """Each of `ids` that is among the `names`, with or without `v_`, and how it is spelt there."""
    there = set(names)
    found = {}
    for video in ids:
        for name in (video, f"v_{video}", video.removeprefix("v_")):
            if name in there:
                found[video] = name
                break
    return found

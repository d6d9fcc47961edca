"""Pairs in rows: which rows of which videos a question is about, and seconds again from rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from activity_bench.data.features import Provider, Timing
from activity_bench.errors import InputError
from activity_bench.segments import quantise, to_rows
from activity_bench.types import Sample

Stretch = tuple[int, int]  # rows of the original video's features, half-open
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pair:
    """One question in rows."""

    id: str
    label: str | None
    video: str
    window: Stretch
    targets: tuple[Stretch, ...]  # none in a question, and where the line has none (weak)
    query_video: str
    query: Stretch | float  # the rows of a clip, or the second of an image
    most: int = 0  # rows that are read of a window; a longer one is read at so many places; 0: any

    @property
    def target(self) -> Stretch | None:
        """What a network learns to find: the first target."""
        return self.targets[0] if self.targets else None

    @property
    def rows(self) -> int:
        """How many rows a network sees of the window."""
        length = self.window[1] - self.window[0]
        return min(length, self.most or length)

    @property
    def scale(self) -> float:
        """Rows of the window that one row which a network sees stands for."""
        return (self.window[1] - self.window[0]) / self.rows

    def places(self) -> Rows:
        """Which rows of the window are read: the middle ones of as many equal parts. (rows,)"""
        return (2 * np.arange(self.rows) + 1) * (self.window[1] - self.window[0]) // (2 * self.rows)

    def seen(self, stretch: Stretch) -> Stretch:
        """Rows of the video as rows that a network sees: those nearest to its ends, else the one that holds its middle.
        In whole numbers, so exact."""
        length = self.window[1] - self.window[0]
        ends = [(row - self.window[0]) * self.rows for row in stretch]
        first, last = ((2 * end + length) // (2 * length) for end in ends)
        middle = sum(ends) // (2 * length)
        return (first, last) if first < last else (middle, middle + 1)


def pair_of(sample: Sample, features: Provider, most: int = 0) -> Pair:
    """A sample in rows: those of its grid, or those that its seconds fall in at the features' timing.

    Features may lack the last rows of a video, as real ones do: then the window ends with them.
    """
    query, rows = sample.query, features.rows(sample.video.id)
    targets: tuple[Stretch, ...]
    if sample.grid is not None:
        window, targets = sample.grid.video, sample.grid.targets
    else:
        timing, end = features.timing, sample.video.end
        whole = timing.start_of(rows) + timing.window / timing.fps  # behind the last row
        window = rows_of(sample.video.start, whole if end is None else end, timing, rows)
        targets = tuple(rows_of(target.start, target.end, timing, rows) for target in sample.targets)
    window = _there(window, rows, sample, sample.video.id)
    targets = tuple(_within(target, window) for target in targets)
    asked = _asked(sample, features)
    return Pair(sample.id, sample.label, sample.video.id, window, targets, str(query.video), asked, most)


def _asked(sample: Sample, features: Provider) -> Stretch | float:
    """What a sample asks with: the rows of a clip, or the second of an image."""
    query, grid = sample.query, sample.grid
    if query.kind == "image" and query.video is not None and query.time is not None:
        return float(query.time)
    if query.kind != "clip" or query.video is None or query.start is None or query.end is None:
        raise InputError("this method asks with clips or images", field=sample.id, found=query.kind,
                         expected="clip or image, its video and its place")  # fmt: skip
    rows = features.rows(query.video)
    own = grid.query if grid is not None else None
    return _there(own or rows_of(query.start, query.end, features.timing, rows), rows, sample, query.video)


def rows_of(start: float, end: float, timing: Timing, rows: int) -> Stretch:
    """The rows of a stretch of seconds. A row stands for one step around the middle of its window."""
    return to_rows(start - _shift(timing), end - _shift(timing), timing.step, rows)


def seconds_of(sample: Sample, pair: Pair, first: float, last: float, timing: Timing) -> tuple[float, float]:
    """Where rows [first, last) of a pair's window lie in seconds; never outside the sample's window."""
    rows = pair.window[0] + first * pair.scale, pair.window[0] + last * pair.scale
    if sample.grid is not None:
        return quantise(rows[0] * sample.grid.step), quantise(rows[1] * sample.grid.step)
    least, most = sample.video.start, float("inf") if sample.video.end is None else sample.video.end
    start, end = (min(max(row * timing.step + _shift(timing), least), most) for row in rows)
    return quantise(start), quantise(end)


def _shift(timing: Timing) -> float:
    """Seconds between a row's number times the step and the start of what it stands for."""
    return (timing.offset + (timing.window - timing.stride) / 2) / timing.fps


def _there(stretch: Stretch, rows: int, sample: Sample, video: str) -> Stretch:
    first, last = stretch[0], min(stretch[1], rows)
    if first >= last:
        raise InputError("the features of this video end before the rows that are asked", field=f"{sample.id}: {video}",
                         found=f"{rows} rows", expected=f"more than {first}")  # fmt: skip
    return first, last


def _within(target: Stretch, window: Stretch) -> Stretch:
    """The target's rows in the window; one row at least, where features lack the rest."""
    first = min(max(target[0], window[0]), window[1] - 1)
    return first, max(min(target[1], window[1]), first + 1)

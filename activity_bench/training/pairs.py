"""Pairs in rows: which rows of which videos a question is about, and seconds again from rows."""

from __future__ import annotations

from dataclasses import dataclass

from activity_bench.data.features import Provider, Timing
from activity_bench.errors import InputError
from activity_bench.segments import quantise, to_rows
from activity_bench.types import Sample

Stretch = tuple[int, int]  # rows of the original video's features, half-open


@dataclass(frozen=True, slots=True)
class Pair:
    """One question in rows."""

    id: str
    label: str | None
    video: str
    window: Stretch
    targets: tuple[Stretch, ...]  # none in a question, and where the line has none (weak)
    query_video: str
    query: Stretch

    @property
    def target(self) -> Stretch | None:
        """What a network learns to find: the first target."""
        return self.targets[0] if self.targets else None


def pair_of(sample: Sample, features: Provider) -> Pair:
    """A sample in rows: those of its grid, or those that its seconds fall in at the features' timing.

    Features may lack the last rows of a video, as real ones do: then the window ends with them.
    """
    query = sample.query
    if query.kind != "clip" or query.video is None or query.start is None or query.end is None:
        raise InputError("this method asks with clips", field=sample.id, found=query.kind, expected="clip")
    rows, query_rows = features.rows(sample.video.id), features.rows(query.video)
    targets: tuple[Stretch, ...]
    clip = sample.grid.query if sample.grid is not None else None
    if sample.grid is not None:
        window, targets = sample.grid.video, sample.grid.targets
    else:
        timing, end = features.timing, sample.video.end
        window = rows_of(sample.video.start, timing.start_of(rows) if end is None else end, timing, rows)
        targets = tuple(rows_of(target.start, target.end, timing, rows) for target in sample.targets)
    clip = clip or rows_of(query.start, query.end, features.timing, query_rows)
    window = _there(window, rows, sample, sample.video.id)
    clip = _there(clip, query_rows, sample, query.video)
    targets = tuple(_within(target, window) for target in targets)
    return Pair(sample.id, sample.label, sample.video.id, window, targets, query.video, clip)


def rows_of(start: float, end: float, timing: Timing, rows: int) -> Stretch:
    """The rows of a stretch of seconds. A row stands for one step around the middle of its window."""
    return to_rows(start - _shift(timing), end - _shift(timing), timing.step, rows)


def seconds_of(sample: Sample, pair: Pair, first: float, last: float, timing: Timing) -> tuple[float, float]:
    """Where rows [first, last) of a pair's window lie in seconds; never outside the sample's window."""
    rows = pair.window[0] + first, pair.window[0] + last
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

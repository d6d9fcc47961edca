"""Whether the rows of many videos fit their lengths, and which timing would: a wrong stride shows before it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from activity_bench.data.features import words
from activity_bench.data.features.words import Timing
from activity_bench.errors import InputError

RATES = (1, 2, 4, 5, 8, 10, 12, 12.5, 15, 16, 20, 24, 25, 30, 50, 60)  # frames a second that extractors are set to
STRIDES = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
NEAR = 0.06  # by how much what is guessed at may be missed: the last window of a short video is not whole
SEVERAL = 3  # videos of one length by chance
SPREAD = 1.5  # times the shortest video that the longest has at least, if they are of all lengths
TOO_MANY = 1.3  # times the rows that are asked of videos at least, at the median


@dataclass(frozen=True)
class Length:
    """How long a video is, in seconds or (where a manifest's grid says so) in rows; or how long at least."""

    seconds: float = 0.0
    rows: int | None = None
    exact: bool = True
    searched: bool = True  # else a part of it is asked with, which says little of its end

    def expected(self, timing: Timing) -> int:
        """How many rows it should have, or should have at least."""
        return timing.rows_for(self.seconds) if self.rows is None else self.rows

    def told(self) -> str:
        """What is known, for a message."""
        if self.rows is not None:
            return "the manifest's rows"
        return f"{self.seconds:g} seconds" if self.exact else f"the {self.seconds:g} seconds that the manifest asks of"


@dataclass(frozen=True)
class Fit:
    """How the rows of videos fit: those that do not, whether all are off, and a word on what would fit."""

    misfits: Mapping[str, InputError]
    off: InputError | None  # where half of the videos say that the timing is wrong


def fit(features: Any, found: Mapping[str, int], lengths: Mapping[str, Length], file: Path) -> Fit:
    """Judge the rows that were `found` by what is known of the lengths; videos of unknown length are not judged."""
    timing = features.timing
    known = {video: (rows, lengths[video]) for video, rows in found.items() if video in lengths}
    hint = _advice(timing, known, features.dim)
    misfits: dict[str, InputError] = {}
    off: InputError | None = None
    tolerated = _all_off(timing, known)
    for video, (rows, length) in known.items():
        expected = length.expected(timing)
        allowed = words.allowed_rows(timing, expected)
        if rows < expected - allowed or (length.exact and rows > expected + allowed):
            misfits[video] = words.misfit(timing, video, rows, expected, length.told(), file, allowed, hint)
        if off is None and tolerated is not None and abs(rows - expected) > tolerated:
            off = words.misfit(timing, video, rows, expected, length.told(), file, tolerated, hint)
    return Fit(misfits, off)


def _all_off(timing: Timing, known: Mapping[str, tuple[int, Length]]) -> float | None:
    """By how many rows half of the videos may miss, where they miss by more: each may by 8, half of them may not."""
    counts = [(rows, length.expected(timing), length) for rows, length in known.values()]
    if not counts:
        return None
    tolerated = max(timing.padded_rows, words.TOLERANCE * median(expected for _, expected, _ in counts))
    exact = [rows - expected for rows, expected, length in counts if length.exact]
    least = [rows - expected for rows, expected, length in counts if not length.exact]
    whole = [rows / expected for rows, expected, length in counts if not length.exact and length.searched]
    is_off = (
        _are_resized([rows for rows, _, _ in counts], [expected for _, expected, _ in counts])
        or (exact and abs(median(exact)) > tolerated)
        or (least and median(least) < -tolerated)
        or (len(whole) >= SEVERAL and median(whole) > TOO_MANY)
    )
    return tolerated if is_off else None


def _advice(timing: Timing, known: Mapping[str, tuple[int, Length]], dim: int) -> str:
    """What would fit: another stride, another rate, the other axis; or that nothing can."""
    timed = [(rows, length) for rows, length in known.values() if length.rows is None and length.searched]
    usual = "Is the stride or the fps that of the extraction?"
    if not timed:
        return usual
    counts, seconds = [rows for rows, _ in timed], [length.seconds for _, length in timed]
    if _are_resized(counts, seconds):
        return f"Every video has {counts[0]} rows: they were resized to one length, and no stride fits."
    expected = median(length.expected(timing) for _, length in timed)
    on_its_side = abs(dim - expected) <= timing.padded_rows < abs(median(counts) - expected)
    step = median(length / rows for rows, length in zip(counts, seconds, strict=True))  # seconds a row
    stride, rate = _usual(STRIDES, step * timing.fps) or max(1, round(step * timing.fps)), timing.stride / step
    window = stride if timing.window == timing.stride else timing.window
    found = []
    if _is_near(replace(timing, stride=stride, window=window), timed):
        found.append(f"a stride of {stride} at fps {timing.fps:g}")
    near = _usual(RATES, rate)
    if near and _is_near(replace(timing, fps=near), timed):
        found.append(f"a stride of {timing.stride} at fps {near:g}")
    said = [f"What would fit: {', or '.join(found)}."] if found else [usual] if not on_its_side else []
    return " ".join([*said, *([words.TRANSPOSED] if on_its_side else [])])


def _are_resized(counts: Sequence[int], lengths: Sequence[float]) -> bool:
    """Whether videos of all lengths have one number of rows."""
    return len(counts) >= SEVERAL and len(set(counts)) == 1 and max(lengths) > SPREAD * min(lengths)


def _usual(names: Sequence[float], found: float) -> Any:
    """The number that is meant, if one is near."""
    near = min(names, key=lambda one: abs(one / found - 1))
    return near if abs(near / found - 1) <= NEAR else None


def _is_near(timing: Timing, timed: list[tuple[int, Length]]) -> bool:
    off = median(abs(rows - length.expected(timing)) for rows, length in timed)
    return off <= max(timing.padded_rows, words.TOLERANCE * median(rows for rows, _ in timed))

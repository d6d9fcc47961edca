"""Interval arithmetic on arrays, and seconds <-> feature rows: the only conversion in the house.

A segment is half-open. A grid of `step` seconds has row `i` cover `[i * step, (i + 1) * step)`. What lies on a grid is
compared on its rows: the quotient of two integers below 2^53 is correctly rounded, so `IoU > 0.5` is decided exactly
there, while the same boundaries as rounded seconds could fall on either side.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

ON_GRID = 1e-4  # of a row: two µs at a step of 20 ms; what is nearer to a row boundary than this is on it


@np.errstate(over="ignore", invalid="ignore")  # of 1e308 seconds: too long to hit anything, and no error
def iou(start_a: ArrayLike, end_a: ArrayLike, start_b: ArrayLike, end_b: ArrayLike) -> Floats:
    """Intersection over union, element by element (arguments broadcast). Two empty segments have 0."""
    start_a, end_a = np.asarray(start_a, np.float64), np.asarray(end_a, np.float64)
    start_b, end_b = np.asarray(start_b, np.float64), np.asarray(end_b, np.float64)
    inter = np.maximum(np.minimum(end_a, end_b) - np.maximum(start_a, start_b), 0.0)
    union = (end_a - start_a) + (end_b - start_b) - inter
    return np.asarray(np.divide(inter, union, out=np.zeros_like(union), where=union > 0), np.float64)


def merge(segments: Iterable[tuple[float, float]], touching: bool = False) -> list[tuple[float, float]]:
    """The union of segments as disjoint segments in order; `touching` ones (end = start) become one when asked."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted(segments):
        if merged and (start < merged[-1][1] or (touching and start == merged[-1][1])):
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def quantise(seconds: float) -> float:
    """Seconds as a manifest states them: to the microsecond."""
    return round(seconds, 6) + 0.0  # + 0.0 turns -0.0 into 0.0


def quantised(seconds: ArrayLike) -> Floats:
    """`quantise` of every element, to the last bit.

    A whole number of microseconds by 1e6 is the float nearest to what it spells, so the quotient is right where the
    whole number is: where `micro`, whose own rounding is below 2e-3 up to 1e13, is not that near to a half.
    """
    seconds = np.asarray(seconds, np.float64)
    micro = seconds * 1e6
    whole = np.rint(micro)
    found = np.asarray(whole / 1e6 + 0.0)
    sure = (np.abs(micro) < 1e13) & (np.abs(micro - whole) < 0.5 - 2e-3)
    found[~sure] = [quantise(value) for value in seconds[~sure].tolist()]
    return found


def rows_in(duration: float, step: float) -> int:
    """How many whole rows a video has; at least one."""
    return max(1, int(np.floor(duration / step + ON_GRID)))


def to_rows(start: float, end: float, step: float, rows: int) -> tuple[int, int]:
    """The fewest rows that cover a segment, clamped to the video: `first < last` unless it lies past the last row."""
    first = int(np.floor(start / step + ON_GRID))
    last = max(int(np.ceil(end / step - ON_GRID)), first + 1)  # a sliver on a row boundary has a row, too
    return min(max(first, 0), rows), min(max(last, 0), rows)


def to_seconds(rows: Sequence[int], step: float) -> tuple[float, float]:
    """Where a stretch of rows starts and ends."""
    return round(rows[0] * step, 6), round(rows[1] * step, 6)  # rows are never negative, so neither is -0.0


def on_grid(seconds: ArrayLike, step: ArrayLike) -> Floats:
    """Seconds in units of rows, snapped to the row boundary they state; between boundaries they stay fractions."""
    position = np.asarray(seconds, np.float64) / np.asarray(step, np.float64)
    nearest = np.rint(position)
    return np.where(np.abs(position - nearest) <= ON_GRID, nearest, position)

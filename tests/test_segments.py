"""Interval arithmetic against exact fractions, and the one conversion between seconds and rows."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activity_bench.segments import iou, merge, on_grid, quantise, quantised, rows_in, to_rows, to_seconds

pytestmark = pytest.mark.quick

THRESHOLDS = [number / 100 for number in range(10, 100, 5)]
STEPS = [16 / 30, 16 * 231.56 / 6941, 16 * 55.12 / 1378, 0.5, 1.0, 16 / 23.976, 0.04]
TIME = st.floats(0, 1e5, allow_nan=False)


def exact_iou(a: tuple[float, float], b: tuple[float, float]) -> Fraction:
    """What the words say, in exact fractions."""
    (s, e), (t, f) = ((Fraction(x), Fraction(y)) for x, y in (a, b))
    inter = max(Fraction(0), min(e, f) - max(s, t))
    union = (e - s) + (f - t) - inter
    return inter / union if union else Fraction(0)


def ordered(pair: tuple[float, float]) -> tuple[float, float]:
    return min(pair), max(pair)


@settings(max_examples=300)
@given(st.lists(st.tuples(TIME, TIME, TIME, TIME), min_size=1, max_size=20))
def test_iou_is_the_fraction(rows: list[tuple[float, float, float, float]]) -> None:
    pairs = [(ordered(row[:2]), ordered(row[2:])) for row in rows]
    found = iou(*(np.array([side[i] for side in column]) for column in zip(*pairs, strict=True) for i in (0, 1)))
    for (a, b), value in zip(pairs, found, strict=True):
        assert value == pytest.approx(float(exact_iou(a, b)), abs=1e-9)  # differences of times as large as 1e5


@given(st.tuples(TIME, TIME), st.tuples(TIME, TIME))
def test_iou_is_a_share_and_has_no_sides(a: tuple[float, float], b: tuple[float, float]) -> None:
    a, b = ordered(a), ordered(b)
    assert iou(*a, *b) == iou(*b, *a)
    assert 0 <= iou(*a, *b) <= 1
    assert iou(*a, *a) == (a[0] < a[1])


def test_iou_of_nothing_is_nothing_and_arguments_broadcast() -> None:
    assert iou(3, 3, 3, 3) == 0
    assert iou(0, 1, 1, 2) == 0  # half-open: touching is not overlapping
    assert iou([[0.0], [1.0]], [[2.0], [3.0]], [0.0, 1.0], [2.0, 3.0]).tolist() == [[1, 1 / 3], [1 / 3, 1]]


STRETCH = st.tuples(st.integers(0, 40), st.integers(1, 10)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@settings(max_examples=300)
@given(st.lists(STRETCH, max_size=12), st.booleans(), st.randoms(use_true_random=False))
def test_merge_is_the_union(segments: list[tuple[int, int]], touching: bool, rng) -> None:
    merged = merge(segments, touching)
    shuffled = segments[:]
    rng.shuffle(shuffled)
    assert merge(shuffled, touching) == merged
    assert merge(merged, touching) == merged
    assert {i for s, e in merged for i in range(int(s), int(e))} == {i for s, e in segments for i in range(s, e)}
    for (_, end), (start, _) in pairwise(merged):
        assert end < start or (end == start and not touching)


def test_touching_segments_stay_two_unless_asked() -> None:
    assert merge([(2, 3), (0, 2)]) == [(0, 2), (2, 3)]
    assert merge([(2, 3), (0, 2)], touching=True) == [(0, 3)]


@settings(max_examples=300)
@given(st.floats(-5, 500), st.floats(1e-6, 60), st.sampled_from(STEPS), st.integers(1, 900))
def test_rows_cover_a_segment_and_are_clamped(start: float, length: float, step: float, rows: int) -> None:
    end = start + length
    first, last = to_rows(start, end, step, rows)
    slack = 1.01e-4 * step
    assert 0 <= first <= last <= rows
    if 0 <= start < rows * step - slack and end <= rows * step:
        assert first < last
        assert first * step <= start + slack
        assert end - slack <= last * step
        if length > 3 * slack:  # the fewest: one row less on either side would not cover it
            assert start < (first + 1) * step
            assert (last - 1) * step < end
    if start >= rows * step:
        assert first == last == rows


def test_a_segment_of_a_microsecond_still_has_a_row() -> None:
    for start in (0.0, 1.6, 1.600001, 1.599999, 1.59997):
        first, last = to_rows(start, start + 1e-6, 16 / 30, 10)
        assert last - first == 1


@given(st.integers(0, 20_000), st.integers(1, 500), st.sampled_from(STEPS))
def test_rows_and_seconds_round_trip(first: int, length: int, step: float) -> None:
    last = first + length
    seconds = to_seconds((first, last), step)
    assert seconds == tuple(round(s, 6) for s in seconds)
    assert to_rows(*seconds, step, last) == (first, last)
    assert on_grid(seconds, step).tolist() == [first, last]
    assert on_grid((first * step, last * step), step).tolist() == [first, last]


@given(st.floats(0.01, 5000), st.sampled_from(STEPS))
def test_whole_rows_of_a_video(duration: float, step: float) -> None:
    rows = rows_in(duration, step)
    assert rows >= 1
    assert rows == 1 or rows * step <= duration + 1.01e-4 * step
    assert duration < (rows + 1) * step


def test_a_video_of_whole_rows_has_them_all() -> None:
    assert all(rows_in(quantise(n * step), step) == n for step in STEPS for n in range(1, 2000))


def test_what_lies_between_rows_stays_a_fraction() -> None:
    assert on_grid([0.25, 0.2501, 0.4999, 0.5, 0.500001], 0.5).tolist() == [0.5, 0.5002, 0.9998, 1, 1]


def test_there_is_no_negative_zero() -> None:
    assert str(quantise(-1e-9)) == "0.0"


HALVES = st.builds(lambda n, ulps: float(np.nextafter((n + 0.5) * 1e-6, ulps)), st.integers(-10, 10**13), st.floats())
SECONDS = st.one_of(HALVES, st.integers(-10, 10**13).map(lambda n: n * 1e-6), st.floats(-1e15, 1e15), TIME)


@settings(max_examples=600)
@given(st.lists(SECONDS, max_size=30))
def test_many_are_quantised_as_one_is_to_the_last_bit(seconds: list[float]) -> None:
    assert list(map(repr, quantised(seconds).tolist())) == [repr(quantise(value)) for value in seconds]


@pytest.mark.parametrize("step", STEPS)
def test_many_rows_are_quantised_as_one_is(step: float) -> None:
    rows = np.arange(20_000)
    assert quantised(rows * step).tolist() == [quantise(row * step) for row in rows.tolist()]


@pytest.mark.parametrize("step", STEPS)
def test_a_tie_on_a_grid_is_decided_exactly(step: float) -> None:
    """Every pair of stretches of 12 rows far into a video, through the seconds that a manifest and an answer state."""
    base = 4711
    stretches = list(combinations(range(13), 2))
    seconds = np.array([to_seconds((base + first, base + last), step) for first, last in stretches])
    rows = on_grid(seconds, step)
    found = iou(rows[:, None, 0], rows[:, None, 1], rows[None, :, 0], rows[None, :, 1])
    fraction = {pair: exact_iou(*pair) for pair in ((a, b) for a in stretches for b in stretches)}
    for t in THRESHOLDS:
        exact = [[fraction[a, b] > Fraction(str(t)) for b in stretches] for a in stretches]
        assert (found > t).tolist() == exact


def test_the_same_ties_in_rounded_seconds_would_fall_either_way() -> None:
    """Why there are rows: in seconds, ratios that are a half exactly come out on both sides of it."""
    step = STEPS[1]
    halves = [(to_seconds((i, i + 2), step), to_seconds((i, i + 1), step)) for i in range(1, 400)]
    assert len({bool(iou(*a, *b) > 0.5) for a, b in halves}) == 2

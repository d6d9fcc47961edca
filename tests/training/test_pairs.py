"""Samples in rows and rows in seconds, with a grid and without, and what features may lack."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.data.features import Timing
from activity_bench.errors import InputError
from activity_bench.training.pairs import pair_of, rows_of, seconds_of
from activity_bench.types import Grid, Query, Sample, Target, Window

pytestmark = pytest.mark.quick

STEP = 16 / 30
PLAIN = Timing(fps=30.0, window=16, stride=16)


class Rows:
    """Features of which only the rows count."""

    def __init__(self, timing: Timing = PLAIN, **rows: int) -> None:
        self.timing, self._rows = timing, rows

    def rows(self, video: str) -> int:
        return self._rows[video]


def sample(**changes: Any) -> Sample:
    plain = Sample(
        id="s", label="Diving", query=Query("clip", video="q", start=2 * STEP, end=5 * STEP),
        targets=(Target(12 * STEP, 15 * STEP, "Diving"),), video=Window("v", 10 * STEP, 40 * STEP),
        grid=Grid(STEP, (10, 40), ((12, 15),), (2, 5)),
    )  # fmt: skip
    return replace(plain, **changes)


def test_a_grid_says_the_rows() -> None:
    pair = pair_of(sample(), Rows(Timing(fps=25.0, window=16, stride=16), v=60, q=9))
    assert (pair.window, pair.target, pair.query) == ((10, 40), (12, 15), (2, 5))
    no_clip = sample(grid=Grid(STEP, (10, 40), ((12, 15),)))
    assert pair_of(no_clip, Rows(v=60, q=9)) == pair_of(sample(), Rows(v=60, q=9))


def test_without_a_grid_the_timing_does() -> None:
    assert pair_of(sample(grid=None), Rows(v=60, q=9)) == pair_of(sample(), Rows(v=60, q=9))


def test_a_window_without_an_end_ends_with_the_rows() -> None:
    open_ended = sample(grid=None, video=Window("v", 10 * STEP, None))
    assert pair_of(open_ended, Rows(v=33, q=9)).window == (10, 33)


def test_features_may_end_early_and_the_window_with_them() -> None:
    pair = pair_of(sample(), Rows(v=14, q=9))
    assert (pair.window, pair.target) == ((10, 14), (12, 14))
    assert pair_of(sample(), Rows(v=12, q=9)).target == (11, 12)  # a row at least: a loss wants one


@pytest.mark.parametrize(("rows", "field"), [({"v": 10, "q": 9}, "s: v"), ({"v": 60, "q": 2}, "s: q")])
def test_features_that_end_before_the_question_are_refused(rows: dict[str, int], field: str) -> None:
    with pytest.raises(InputError, match="end before the rows") as error:
        pair_of(sample(), Rows(**rows))
    assert error.value.field == field


def test_another_kind_of_query_is_refused() -> None:
    with pytest.raises(InputError, match="asks with clips or images"):
        pair_of(sample(query=Query("classes", vocabulary="thumos14")), Rows(v=60, q=9))


def test_an_image_is_asked_by_its_second() -> None:
    pair = pair_of(sample(query=Query("image", video="q", time=1.5)), Rows(v=60, q=9))
    assert (pair.window, pair.query_video, pair.query) == ((10, 40), "q", 1.5)


@given(st.integers(0, 50), st.integers(1, 400), st.integers(1, 300), st.data())
def test_a_long_window_is_read_at_so_many_places(first: int, length: int, most: int, data: st.DataObject) -> None:
    """As many as allowed, evenly; each end of a target is off by half a row at most, by one where it has one."""
    start = data.draw(st.integers(0, length - 1))
    end = data.draw(st.integers(start + 1, length))
    whole = sample(grid=Grid(STEP, (first, first + length), ((first + start, first + end),), (2, 5)))
    pair = pair_of(whole, Rows(v=first + length, q=9), most)
    assert pair.rows == min(length, most) == len(pair.places())
    assert list(pair.places()) == sorted(set(pair.places())) and 0 <= pair.places()[0] <= pair.places()[-1] < length
    assert pair.rows < length or list(pair.places()) == list(range(length))
    seen = pair.seen(pair.targets[0])
    assert 0 <= seen[0] < seen[1] <= pair.rows
    answer = seconds_of(whole, pair, *seen, PLAIN)
    most_off = (0.5 if seen[1] - seen[0] > 1 else 1.0) * pair.scale * STEP + 1e-5
    assert abs(answer[0] - (first + start) * STEP) <= most_off
    assert abs(answer[1] - (first + end) * STEP) <= most_off


def test_a_question_has_no_target() -> None:
    assert pair_of(sample().question(), Rows(v=60, q=9)).targets == ()


@pytest.mark.parametrize("offset", [0, 8])
@pytest.mark.parametrize("window", [16, 64])
def test_a_row_stands_for_a_step_around_the_middle_of_its_window(window: int, offset: int) -> None:
    timing = Timing(fps=30.0, window=window, stride=16, offset=offset)
    middle = timing.start_of(5) + window / 30 / 2
    assert rows_of(middle - 0.01, middle + 0.01, timing, 100) == (5, 6)
    assert rows_of(middle - STEP / 2, middle + STEP / 2, timing, 100) == (5, 6)


@given(
    st.integers(0, 50), st.integers(1, 50), st.sampled_from([16, 32, 64]), st.sampled_from([4, 8, 16]),
    st.integers(0, 9), st.floats(5, 60),
)  # fmt: skip
def test_seconds_of_rows_are_those_rows(
    first: int, length: int, window: int, stride: int, offset: int, fps: float
) -> None:
    timing = Timing(fps=fps, window=window, stride=stride, offset=offset)
    whole = sample(grid=None, video=Window("v", 0.0, None), targets=())
    pair = pair_of(whole, Rows(timing, v=1000, q=1000))
    start, end = seconds_of(whole, pair, first - pair.window[0], first + length - pair.window[0], timing)
    assert rows_of(start, end, timing, 1000) == (first, first + length)


def test_seconds_stay_in_the_window_and_on_the_grid() -> None:
    rows = Rows(v=60, q=9)
    within = sample(grid=None, video=Window("v", 10.3 * STEP, 39.2 * STEP))
    pair = pair_of(within, rows)
    assert pair.window == (10, 40)
    assert seconds_of(within, pair, 0, 30, PLAIN) == (round(10.3 * STEP, 6), round(39.2 * STEP, 6))
    assert seconds_of(sample(), pair_of(sample(), rows), 2, 5, PLAIN) == (round(12 * STEP, 6), round(15 * STEP, 6))

"""check_grid: whose rows a store has, told by the videos of an unusual rate; no right store is refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from activity_bench.data.features.words import Timing, check_grid
from activity_bench.errors import InputError
from activity_bench.segments import to_seconds
from activity_bench.types import Grid, Query, Sample, Window
from tests import tiny

pytestmark = pytest.mark.quick

C3D = Timing(fps=30.0, window=16, stride=16)
SLOW, USUAL, QUICK = 16 / 15, 16 / 30, 16 / 60  # seconds a row


class Rows:
    """Features of which only the numbers of rows are looked at."""

    def __init__(self, rows: dict[str, int], timing: Timing = C3D) -> None:
        self.counts, self.timing = rows, timing

    def ids(self) -> list[str]:
        return sorted(self.counts)

    def rows(self, video: str) -> int:
        return self.counts[video]


def sample(video: str, last: int, step: float, first: int = 0) -> Sample:
    query, window = Query("clip", video="q", start=0.0, end=2 * step), Window(video, *to_seconds((first, last), step))
    return Sample(video, query, window, (), grid=Grid(step, (first, last), (), (0, 2)))


def released(count: int = 12, share: float = 1.0) -> tuple[list[Sample], dict[str, int], dict[str, int]]:
    """Windows over a share of videos at their own rates; the rows of a right store, and of one rate for all."""
    steps = [(USUAL, USUAL, SLOW, QUICK)[n % 4] for n in range(count)]
    full = [100 + 17 * n for n in range(count)]
    samples = [sample(f"v{n}", round(share * full[n]), steps[n]) for n in range(count)]
    own = {f"v{n}": full[n] for n in range(count)}
    return samples, own, {f"v{n}": int(full[n] * steps[n] / USUAL) for n in range(count)}


def refused(samples: Iterable[Sample], rows: Any, timing: Timing = C3D) -> str:
    with pytest.raises(InputError) as error:
        check_grid(samples, Rows(rows, timing))
    return str(error.value)


def test_rows_at_each_videos_own_rate_pass_and_at_one_rate_do_not() -> None:
    samples, own, one_rate = released()
    check_grid(samples, Rows(own))
    check_grid(samples, Rows({video: max(1, rows - 6) for video, rows in own.items()}))  # as real ones end early
    assert "one frame rate for all videos" in refused(samples, one_rate)


@pytest.mark.parametrize("rows", [60, 67, 91, 100, 112, 128, 135, 400])
def test_a_window_that_ends_before_its_video_is_no_evidence(rows: int) -> None:
    """At 15 frames a second, 60 rows of the grid are 120 rows at 30; a longer video may have as many by chance."""
    usual = [sample(f"u{n}", 60, USUAL) for n in range(4)]
    samples, there = [*usual, *(sample(f"v{n}", 60, SLOW) for n in range(3))], {f"u{n}": 60 for n in range(4)}
    check_grid(samples, Rows(there | {"v0": rows, "v1": 60, "v2": 61}))
    if not 112 <= rows <= 128:
        check_grid(samples, Rows(there | {"v0": rows, "v1": rows, "v2": rows}))


def test_windows_of_half_a_video_let_the_right_store_pass() -> None:
    samples, own, _ = released(share=0.6)
    check_grid(samples, Rows(own))


def test_the_last_window_of_a_video_counts() -> None:
    samples, own, one_rate = released()
    earlier = [sample(each.video.id, 20, each.grid.step) for each in samples if each.grid]
    check_grid([*samples, *earlier], Rows(own))
    assert "one frame rate" in refused([*earlier, *samples], one_rate)


def test_a_manifest_of_one_step_says_so() -> None:
    """A grid of 16/30 s for all: rows of 16 frames at 25 a second are refused, and no other protocol is advised."""
    samples = [sample(f"v{n}", 200 + n, USUAL) for n in range(5)]
    check_grid(samples, Rows({f"v{n}": 200 + n for n in range(5)}))
    said = refused(samples, {f"v{n}": int((200 + n) * 25 / 30) for n in range(5)}, Timing(25.0, 16, 16))
    assert "not a row of the manifest's grid" in said and "protocol" not in said
    assert "not a row" in refused(samples, {"v0": 400}, Timing(30.0, 16, 8))
    assert "the first at 0.53" in refused(samples, {"v0": 200}, Timing(30.0, 16, 16, offset=16))


def test_no_grid_and_no_videos_are_nothing_to_refuse() -> None:
    samples = [tiny.in_seconds("a", (0.0, 60.0)), tiny.in_seconds("b", (0.0, None))]
    for timing in (C3D, Timing(25.0, 64, 8, offset=100)):
        check_grid(samples, Rows({}, timing))
    check_grid([], Rows({}))
    check_grid([sample("v", 100, SLOW)], Rows({}, Timing(15.0, 16, 16)))  # that it lacks the video is said elsewhere


@pytest.mark.parametrize("seed", range(5))
def test_chance_windows_do_not_refuse_the_right_store(seed: int) -> None:
    draw = np.random.Generator(np.random.Philox(key=seed))
    samples, own, _ = released(200)
    cut = [sample(s.video.id, int(draw.integers(10, own[s.video.id] + 1)), s.grid.step) for s in samples if s.grid]
    whole = samples[:: int(draw.integers(3, 8))]
    check_grid([*cut, *whole], Rows(own))

"""Frame-level: the search against plain twins, what must not change an answer, rows and seconds, what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from activity_bench.baselines import frame_level
from activity_bench.baselines.frame_level import UNIT, WIDEST, FrameLevel, Options, best_blocks, distances
from activity_bench.data.features import Attributes, Timing, write_store
from activity_bench.errors import InputError
from activity_bench.segments import to_seconds
from activity_bench.types import Grid, Prediction, Query, Sample, Window
from tests import tiny
from tests.reference import frame_level as plain

pytestmark = pytest.mark.quick

C3D = Timing(fps=30.0, window=16, stride=16)
small = st.integers(1, 6).flatmap(
    lambda q: st.integers(1, 8).flatmap(lambda r: arrays(np.int64, (q, r), elements=st.integers(0, 4)))
)
costs = st.integers(1, 12).flatmap(
    lambda q: st.integers(1, 20).flatmap(lambda r: arrays(np.int64, (q, r), elements=st.integers(0, 2 * UNIT)))
)


class Arrays:
    """Features in memory."""

    def __init__(self, timing: Timing = C3D, **arrays: Any) -> None:
        self.timing, self.arrays = timing, {name: np.asarray(array, np.float32) for name, array in arrays.items()}

    def ids(self) -> list[str]:
        return sorted(self.arrays)

    def rows(self, video: str) -> int:
        return len(self.arrays[video])

    def read(self, video: str, first: int = 0, last: int | None = None) -> np.ndarray:
        return self.arrays[video][first:last]


def drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.Generator(np.random.Philox(key=seed)).standard_normal(shape).astype(np.float32)


def asked(window: tuple[int, int], query: tuple[int, int], name: str = "s", step: float = tiny.STEP) -> Sample:
    """A sample on a grid, of the videos `v` and `q`."""
    return Sample(
        name, Query("clip", video="q", start=to_seconds(query, step)[0], end=to_seconds(query, step)[1]),
        Window("v", *to_seconds(window, step)), (), grid=Grid(step, window, (), query),
    )  # fmt: skip


def answered(features: Any, *samples: Sample, **options: Any) -> list[Prediction]:
    return list(FrameLevel(Options(**options), 0, features).predict(samples))


def as_found(tables: Sequence[np.ndarray], longest: int = WIDEST) -> list[plain.Found]:
    return [(block.average, block.first, block.last) for block in best_blocks(tables, longest)]


# ---- the search -----------------------------------------------------------------------------------------------------


@given(st.lists(small, max_size=4), st.integers(1, 8))
def test_the_twin_that_looks_at_every_length(tables: list[np.ndarray], longest: int) -> None:
    """Few different distances, so that ties are everywhere; limits that bind."""
    assert as_found(tables, longest) == [plain.best_block(table.tolist(), longest) for table in tables]


@given(st.lists(costs, max_size=6))
def test_the_twin_in_loops(tables: list[np.ndarray]) -> None:
    assert as_found(tables) == [plain.searched(table.tolist()) for table in tables]


@given(costs)
def test_columns_that_are_worse_than_all_change_nothing(table: np.ndarray) -> None:
    worse = np.full((len(table), 2), table.max() + 1)
    (found,), (padded,) = as_found([table]), as_found([np.hstack([worse, table, worse])])
    assert padded == (found[0], found[1] + 2, found[2] + 2)


@given(costs)
def test_the_best_of_a_limit_is_no_better_than_the_best(table: np.ndarray) -> None:
    averages = [as_found([table], longest)[0][0] for longest in range(1, table.shape[1] + 1)]
    assert averages == sorted(averages, reverse=True)
    assert averages[-1] == plain.searched(table.tolist())[0]


def test_any_batch_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = [distances(drawn(i, 1 + i % 7, 5), drawn(99 + i, 1 + i * i % 40, 5)) for i in range(40)]
    found = as_found(tables)
    for size in (1, 500, 5000):
        monkeypatch.setattr(frame_level, "BATCH", size)
        assert as_found(tables) == found
        assert as_found(tables[::-1]) == found[::-1]


def test_a_table_wider_than_one_search() -> None:
    """The block lies across the seam of the first two stretches; and the widest sums still fit their bits."""
    query, window = drawn(1, 20, 8), drawn(2, WIDEST + 300, 8)
    window[WIDEST - 10 : WIDEST + 10] = query
    assert as_found([distances(query, window)], 64) == [(0, WIDEST - 10, WIDEST + 10)]
    worst = np.full((WIDEST, WIDEST), 2 * UNIT)
    worst[:, -1] = 0
    assert as_found([worst]) == [(0, WIDEST - 1, WIDEST)]
    worst[:, -1] = 2 * UNIT
    assert as_found([worst]) == [(2 * UNIT, 0, 1)]


# ---- the distances --------------------------------------------------------------------------------------------------


def test_the_distances_of_the_twin() -> None:
    query, window = drawn(3, 4, 6), drawn(4, 7, 6)
    window[2] = 0
    found = distances(query, window) / UNIT
    expected = [[plain.distance(a, b) for b in window.tolist()] for a in query.tolist()]
    assert np.abs(found - expected).max() <= 0.5 / UNIT + 1e-7
    assert distances(query, query).diagonal().tolist() == [0] * 4


@given(st.integers(0, 99), st.sampled_from([2.0**-9, 0.5, 4.0]), st.sampled_from([2.0**-5, 8.0]))
def test_the_scale_of_features_is_nothing(seed: int, one: float, other: float) -> None:
    query, window = drawn(seed, 5, 9), drawn(seed + 100, 30, 9)
    assert (distances(one * query, other * window) == distances(query, window)).all()


@given(st.integers(1, 32), st.integers(0, 60), st.integers(0, 60), st.integers(0, 99))
def test_a_query_found_word_for_word(rows: int, before: int, after: int, seed: int) -> None:
    """Its place exactly, with distance 0, however the copy is scaled."""
    query = drawn(seed, rows, 12)
    window = np.vstack([drawn(seed + 100, before, 12), 3 * query, drawn(seed + 200, after, 12)])
    sample = asked((0, len(window)), (0, rows))
    (prediction,) = answered(Arrays(v=window, q=query), sample)
    assert prediction.segments == ((*to_seconds((before, before + rows), tiny.STEP), 1.0),)


# ---- rows and seconds -----------------------------------------------------------------------------------------------


def test_a_batch_a_single_question_and_any_portion(monkeypatch: pytest.MonkeyPatch) -> None:
    features = Arrays(v=drawn(5, 90, 6), q=drawn(6, 90, 6))
    samples = [asked((i, 40 + i), (2 * i, 2 * i + 1 + i % 12), f"s{i}") for i in range(40)]
    batch = answered(features, *samples)
    assert [prediction.sample for prediction in batch] == [sample.id for sample in samples]
    assert [answered(features, sample)[0] for sample in samples] == batch
    monkeypatch.setattr(frame_level, "HELD", 1000)
    assert answered(features, *samples) == batch


def test_a_window_is_read_where_it_lies() -> None:
    """The query is in the video twice; only the second copy is in the window, which starts at row 20."""
    query, video = drawn(7, 4, 6), drawn(8, 60, 6)
    video[5:9] = video[31:35] = query
    features = Arrays(v=video, q=np.vstack([drawn(9, 3, 6), query]))
    sample = asked((20, 50), (3, 7))
    assert answered(features, sample)[0].segments == ((*to_seconds((31, 35), tiny.STEP), 1.0),)
    off_grid = replace(sample, grid=None, video=Window("v", 20 * tiny.STEP + 0.1, 33.5 * tiny.STEP))
    ((start, end, _),) = answered(features, off_grid)[0].segments
    assert (start, end) == (pytest.approx(31 * tiny.STEP), 33.5 * tiny.STEP)  # rows of the store, within the window


def test_rows_that_are_not_those_of_the_grid_are_refused() -> None:
    """Grids at 25 frames a second, in units of 16: rows of 0.64 s. A store with twice as many, one that begins late."""
    sample = asked((0, 40), (0, 4), step=0.64)
    for timing in (Timing(fps=25.0, window=16, stride=8), Timing(fps=25.0, window=16, stride=16, offset=32)):
        with pytest.raises(InputError, match="not a row of the manifest's grid"):
            answered(Arrays(timing, v=drawn(11, 100, 6), q=drawn(10, 8, 6)), sample)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_refused(value: float) -> None:
    video = drawn(11, 60, 6)
    video[33, 2] = value
    with pytest.raises(InputError, match="v, row 13: features that are not finite"):
        answered(Arrays(v=video, q=drawn(10, 8, 6)), asked((20, 50), (3, 7)))


def test_rows_at_the_rate_of_each_video() -> None:
    """Videos of 15 and 60 frames a second under a nominal 30: their numbers of rows say whose rows they are."""
    query, video = drawn(10, 4, 6), drawn(11, 200, 6)
    video[20:24] = query
    slow, usual = asked((0, 100), (0, 4), step=16 / 15), asked((0, 100), (0, 4), name="u")
    usual = [replace(usual, id=f"u{i}", video=replace(usual.video, id=f"u{i}")) for i in range(3)]
    native = Arrays(v=video[:100], q=query, **{f"u{i}": video[:100] for i in range(3)})
    assert answered(native, slow, *usual)[0].segments[0][:2] == to_seconds((20, 24), 16 / 15)
    timed = Arrays(v=video, q=query, **{f"u{i}": video[:100] for i in range(3)})
    with pytest.raises(InputError, match="one frame rate for all videos"):
        answered(timed, slow, *usual)


def test_features_that_end_a_little_early_are_read_as_far_as_they_go() -> None:
    features = Arrays(v=drawn(14, 55, 6), q=drawn(15, 4, 6))
    ((start, end, _),) = answered(features, asked((40, 60), (0, 4)))[0].segments
    assert 40 * tiny.STEP <= start < end <= 55 * tiny.STEP
    beyond = answered(features, asked((56, 60), (0, 4)))[0].segments[0][:2]
    assert beyond == to_seconds((56, 57), tiny.STEP)


def test_an_answer_has_at_most_the_rows_that_are_allowed() -> None:
    features = Arrays(v=np.tile(drawn(16, 1, 6), (90, 1)) + 0.01 * drawn(17, 90, 6), q=drawn(18, 30, 6))
    lengths = [
        (s[1] - s[0]) / tiny.STEP
        for limit in (1, 5, 64)
        for s in answered(features, asked((0, 90), (0, 30)), longest=limit)[0].segments
    ]
    assert all(round(length) <= limit for length, limit in zip(lengths, (1, 5, 64), strict=True))


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", [Query("image", video="q", time=1.0), Query("classes", vocabulary="all")])
def test_a_question_that_is_no_clip(query: Query) -> None:
    with pytest.raises(InputError, match=r"query.kind of s: .*found '(image|classes)'; expected clip"):
        answered(Arrays(v=drawn(1, 9, 2), q=drawn(1, 9, 2)), replace(asked((0, 9), (0, 2)), query=query))


def test_features_that_are_far_too_short() -> None:
    features = Arrays(v=drawn(1, 40, 2), q=drawn(1, 9, 2))
    with pytest.raises(InputError, match="v: the features end before the video does; found '40 rows'; expected 80"):
        answered(features, asked((0, 80), (0, 2)))


def test_a_query_that_is_too_long_and_a_limit_that_is_none() -> None:
    features = Arrays(v=drawn(1, 40, 2), q=drawn(1, WIDEST + 1, 2))
    with pytest.raises(InputError, match=r"too long.*1025 rows"):
        answered(features, asked((0, 40), (0, WIDEST + 1)))
    for longest in (0, WIDEST + 1):
        with pytest.raises(InputError, match="longest"):
            Options(longest=longest)


def test_faults_are_named_before_the_first_answer() -> None:
    samples = [asked((0, 9), (0, 2)), replace(asked((0, 9), (0, 2)), video=Window("v", 0.0, None), grid=None)]
    with pytest.raises(InputError, match="without an end"):
        next(FrameLevel(Options(), 0, Arrays(v=drawn(1, 9, 2), q=drawn(2, 9, 2))).predict(samples))


def test_a_store_that_lacks_a_video_leaves_no_run(tmp_path: Path, invoke: Any) -> None:
    samples = [
        replace(sample, video=replace(sample.video, id=video), query=replace(sample.query, video="q"))
        for video in ("v", "w")
        for sample in [tiny.on_rows(f"test/{video}/0-9/0", (0, 9), (2, 5))]
    ]
    made = tiny.write(tmp_path / "m", test=samples)
    attributes = Attributes(backbone="none", weights_sha256="none", decoder="none", decoder_version="1", fps=30.0,
                            window=16, stride=16, offset=0, dtype="float32", layer="none", projection="none",
                            dim=3)  # fmt: skip
    run = ["run-baseline", "frame-level", "--manifest", made.folder, "--split", "test", "--out", tmp_path / "r"]
    assert "frame-level needs features" in invoke(*run, code=2).err
    write_store(tmp_path / "two.h5", attributes, [("q", drawn(1, 9, 3)), ("v", drawn(2, 9, 3))])
    assert "unknown video; found 'w'" in invoke(*run, "--features", tmp_path / "two.h5", code=2).err
    assert not (tmp_path / "r").exists()
    write_store(tmp_path / "all.h5", attributes, [(name, drawn(3, 9, 3)) for name in "qvw"])
    invoke(*run, "--features", tmp_path / "all.h5")
    assert (tmp_path / "r" / "predictions.jsonl").read_text().count("test/") == 2


def test_the_score_is_one_less_half_the_average() -> None:
    features = Arrays(v=[[1.0, 0.0]] * 3, q=[[-1.0, 0.0]])
    assert answered(features, asked((0, 3), (0, 1)))[0].segments == ((*to_seconds((0, 1), tiny.STEP), 0.0),)
    assert plain.best_block([[2 * UNIT] * 3], 3) == (Fraction(2 * UNIT), 0, 1)

"""Videos of which only the classes are known: windows, what a step learns from, and its batches."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.errors import InputError
from activity_bench.training.blocks.proposals import Found
from activity_bench.training.options import TrainOptions
from activity_bench.training.videos import MinedBatch, Video, VideoPlan, answered, collate_videos, labels_of, video_of
from activity_bench.types import Grid, Query, Sample, Window
from tests.training import made

pytestmark = pytest.mark.quick


def videos(seed: int, count: int, width: int = 6) -> list[Video]:
    """Some of one class, some of several, some long."""
    noise = np.random.Generator(np.random.Philox(key=seed))
    classes = [tuple(sorted({int(c) for c in noise.integers(0, width, noise.integers(1, 4))})) for _ in range(count)]
    rows = noise.integers(1, 60, count).tolist()
    return [
        Video(f"s{n}", f"v{n}", (n, n + length), own) for n, (own, length) in enumerate(zip(classes, rows, strict=True))
    ]


def engine(**changes: Any) -> TrainOptions:
    return TrainOptions(**{"redraw": False, "augment": 0.0, **changes})


def plan(seed: int, count: int, pairs: int = 3, processes: int = 1, **options: Any) -> VideoPlan:
    return VideoPlan(videos(seed, count), seed, engine(**{"batch": 12, **options}), pairs, processes)


@given(st.integers(0, 1000), st.integers(1, 40), st.integers(0, 8), st.sampled_from([1, 2, 3]))
def test_what_holds_of_every_batch(seed: int, count: int, pairs: int, processes: int) -> None:
    if count < processes:
        with pytest.raises(InputError, match="shared out evenly"):
            plan(seed, count, pairs, processes)
        return
    made_plan = plan(seed, count, pairs, processes, rows=20)
    by_id = {video.id: video for video in made_plan.videos}
    for step in range(3):
        batch = made_plan.batch(step)
        assert batch == plan(seed, count, pairs, processes, rows=20).batch(step)  # of the seed and the step alone
        assert (
            len(batch)
            == len({video.id for video in batch})
            == made_plan.size
            == min(12, count // processes * processes)
        )
        for video in batch:
            whole = by_id[video.id].window
            assert video.window[1] - video.window[0] == min(20, whole[1] - whole[0])
            assert whole[0] <= video.window[0] and video.window[1] <= whole[1]


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_pairs_of_a_class_come_to_one_process(processes: int) -> None:
    """Classes of two videos each, so that a pair is no accident."""
    own = [Video(f"s{n}", f"v{n}", (0, 5), (n // 2,)) for n in range(60)]
    made_plan = VideoPlan(own, 0, engine(batch=12), 4, processes)
    shared = 0
    for step in range(50):
        batch = made_plan.batch(step)
        for rank in range(processes):
            seen = Counter(video.classes[0] for video in batch[rank::processes])
            shared += sum(count == 2 for count in seen.values())
    assert shared > 0.85 * 4 * 50  # now and then two pairs are of one class
    none = VideoPlan([Video(f"s{n}", f"v{n}", (0, 5), (n,)) for n in range(9)], 0, engine(batch=4), 2)
    assert none.pairs == 0 and len(none.batch(0)) == 4


def test_every_class_and_every_crop_comes_about_equally_often() -> None:
    """Pairs are of a drawn class, however many videos it has; the rest are any videos."""
    own = [Video(f"s{n}", f"v{n}", (0, 9), (0 if n < 2 else 1,)) for n in range(100)]
    rare = Counter(any(v.classes == (0,) for v in VideoPlan(own, 1, engine(batch=2), 1).batch(s)) for s in range(300))
    assert 110 < rare[True] < 190
    plain = Counter(v.id for s in range(300) for v in VideoPlan(own, 1, engine(batch=10), 0).batch(s))
    assert len(plain) == 100 and max(plain.values()) < 70 and min(plain.values()) > 8
    crops = Counter(v.window for s in range(300) for v in VideoPlan(own, 1, engine(batch=10, rows=7), 0).batch(s))
    assert set(crops) == {(0, 7), (1, 8), (2, 9)} and min(crops.values()) > 850


def test_pseudo_labels_take_the_place_of_classes_in_pairs() -> None:
    own = [Video(f"s{n}", f"v{n}", (0, 5), (0,), (n % 30,)) for n in range(60)]
    made_plan = VideoPlan(own, 0, engine(batch=2), 1)
    assert all(len({video.pseudo for video in made_plan.batch(step)}) == 1 for step in range(30))


def test_epochs_bound_the_steps() -> None:
    assert plan(0, 30, batch=10, steps=100, epochs=2).options.steps == 6
    assert plan(0, 30, batch=10, steps=100).options.steps == 100


@pytest.mark.parametrize("name", ["redraw", "augment", "patience"])
def test_an_option_that_nothing_here_reads_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: this method has no use for it; found (True|1)"):
        plan(0, 30, **{name: True if name == "redraw" else 1})


# ---- lines ----------------------------------------------------------------------------------------------------------


def line(start: float, end: float | None, **more: Any) -> Sample:
    return Sample(
        id="s", query=Query("classes", vocabulary="target"), targets=(), video=Window("train0", start, end), **more
    )


def test_a_line_in_rows_and_back(tmp_path: Path) -> None:
    store = made.features(tmp_path / "f.h5")
    rows, step, places = store.rows("train0"), made.STEP, {"Diving": 1, "Tango": 0}
    video = video_of(line(0.0, None, labels=("Tango", "Diving")), store, places)
    assert (video.window, video.classes) == ((0, rows), (0, 1))
    assert video_of(line(2 * step, 6 * step, label="Diving"), store, places).window == (2, 6)
    assert video_of(line(2 * step, 99.0), store, {}).window == (2, rows)
    assert labels_of(line(0.0, 1.0)) == ()
    grid = Grid(step, (1, 5), ())
    assert video_of(line(step, 5 * step, grid=grid), store, {}).window == (1, 5)
    with pytest.raises(InputError, match="end before the rows that are asked"):
        video_of(line(500.0, 510.0), store, {})

    asked = line(2 * step, 6 * step - 0.1)
    found = Found(np.array([0, 3]), np.array([1, 4]), np.array([1, 0]), np.array([0.5, 0.25]))
    answer = answered(asked, video_of(asked, store, {}), found, ["A", "B"], store.timing)
    np.testing.assert_allclose(
        answer.segments, [(2 * step, 3 * step, 0.5), (5 * step, 6 * step - 0.1, 0.25)], atol=1e-6
    )
    assert (answer.sample, answer.labels) == ("s", ("B", "A"))


def test_batches(tmp_path: Path) -> None:
    store = made.features(tmp_path / "f.h5")
    own = [Video("a", "train0", (0, 4), (0,), (2, 3)), Video("b", "train1", (1, 7), (1, 2), (0,))]
    batch = collate_videos(own, store, 4, classes=3, pseudo=4)
    assert isinstance(batch, MinedBatch) and batch.ids == ["a", "b"]
    assert batch.video.shape == (2, 8, made.DIM) and batch.video_mask.sum(1).tolist() == [4, 6]
    np.testing.assert_array_equal(batch.video[1, :6], store.read("train1", 1, 7))
    assert batch.classes.tolist() == [[1, 0, 0], [0, 1, 1]]
    assert batch.pseudo.tolist() == [[0, 0, 1, 1], [1, 0, 0, 0]]
    plain = collate_videos(own, store, classes=3)
    assert not isinstance(plain, MinedBatch) and plain.video.shape[1] == 6
    assert torch.equal(plain.to("cpu").classes, batch.classes)

"""The rows of the simulated world: each property of docs/world.md with its size, the same array every way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.data.features import FeatureStore, Provider, Timing, write_store
from activity_bench.errors import InputError
from activity_bench.simulation.classes import paths
from activity_bench.simulation.content import Content
from activity_bench.simulation.happenings import SLOT, activities
from activity_bench.simulation.properties import correlation
from activity_bench.simulation.videos import annotated
from activity_bench.simulation.world import C3D, MOST_BYTES, World, WorldOptions
from activity_bench.types import Instance, Video

pytestmark = pytest.mark.quick

STEP = 16 / 30
SILENT = {"noise": 0.0, "appearance": 0.0, "scenes": 0.0, "distractors": 0.0}  # activities alone
EVEN = {**SILENT, "tempo": 0.0}  # phases of equal length
WIDE = 4096  # numbers a row: a correlation is then known to 1 / 64
CORPUS = annotated(0, 96)


def video(name: str, seconds: float, *instances: tuple[float, float, str]) -> Video:
    return Video(name, seconds, "training", tuple(Instance(*instance) for instance in instances))


def world(*videos: Video, timing: Timing | None = None, **options: Any) -> World:
    return World(WorldOptions(**{"dim": 64, **options}), paths(), videos, timing)


# ---- activities -----------------------------------------------------------------------------------------------------


def test_start_middle_and_end_stand_in_order() -> None:
    label = "Playing chess"
    made = world(video("v", 30 * STEP, (6 * STEP, 15 * STEP, label)), dim=16, **EVEN)
    found, phases = made.read("v"), made.phases(label)
    expected = np.zeros((30, 16), np.float32)
    expected[6:15] = np.repeat(phases, 3, axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_time_reversed_lowers_a_matched_filter() -> None:
    label = "Playing chess"
    videos = [video(f"v{i}", 30 * STEP, (6 * STEP, 15 * STEP, label)) for i in range(50)]
    made = world(*videos, dim=500, tempo=0)
    filtered = np.repeat(made.phases(label), 3, axis=0)  # (9, dim)
    forward = np.array([np.vdot(made.read(v.id, 6, 15), filtered) for v in videos])
    backward = np.array([np.vdot(made.read(v.id, 6, 15)[::-1], filtered) for v in videos])
    assert (forward > backward).mean() > 0.75  # each video alone, at the default noise
    assert (forward - backward).mean() / (forward - backward).std() > 0.8
    without = world(*videos, dim=500, order=0)
    assert np.ptp(without.phases(label), axis=0).max() == 0  # nothing is left to be in order


def test_a_boundary_is_seen_from_the_inside_alone() -> None:
    """How far a row is in line with the start's vector jumps at the start, and with the end's at the end."""
    labels = list(paths())
    videos = [video(f"v{i}", 60 * STEP, (20 * STEP, 35 * STEP, label)) for i, label in enumerate(labels)]
    made = world(*videos, dim=500, tempo=0, distractors=0)
    rows = np.stack([made.read(v.id) for v in videos])  # (videos, 60, dim)
    phases = np.stack([made.phases(label) for label in labels])  # (videos, 3, dim)
    before, after = (np.einsum("vd,vd->v", rows[:, at], phases[:, 0]) for at in (19, 20))
    inside, outside = (np.einsum("vd,vd->v", rows[:, at], phases[:, 2]) for at in (34, 35))
    for without, within in ((before, after), (outside, inside)):
        spread = (within - without).std()
        assert (within - without).mean() / spread > 1  # standard deviations, of single pairs of rows
        assert abs(without.mean()) < 4 * spread / np.sqrt(len(labels))  # outside nothing of it is to be seen


def test_a_boundary_inside_a_row_counts_by_its_share() -> None:
    label = "Playing chess"
    made = world(video("v", 30 * STEP, (6.25 * STEP, 15.5 * STEP, label)), **EVEN)
    found, phases = made.read("v"), made.phases(label)
    np.testing.assert_allclose(found[6], 0.75 * phases[0], atol=1e-4)
    np.testing.assert_allclose(found[15], 0.5 * phases[2], atol=1e-4)
    assert not found[:6].any() and not found[16:].any()


@given(
    st.floats(0, 20), st.floats(0, 20), st.sampled_from([Timing(30, 16, 16), Timing(25, 16, 8), Timing(10, 3, 7, 5)])
)
def test_an_instance_is_seen_for_as_long_as_it_lasts(start: float, length: float, timing: Timing) -> None:
    made = world(video("v", 60, (start, start + length, "Playing chess")), timing=timing, dim=1, order=0, **EVEN)
    starts = np.array([timing.start_of(row) for row in range(made.rows("v"))])
    window = timing.window / timing.fps
    seen = np.clip(np.minimum(starts + window, start + length) - np.maximum(starts, start), 0, None) / window
    np.testing.assert_allclose(made.read("v")[:, 0], seen * made.phases("Playing chess")[0, 0], atol=1e-4)


def test_annotations_that_overlap_are_seen_once() -> None:
    twice = [Instance(1, 5, "a"), Instance(1, 5, "a"), Instance(4, 9, "a"), Instance(2, 3, "b"), Instance(9, 9, "a")]
    assert activities(twice) == [Instance(1, 9, "a"), Instance(2, 3, "b"), Instance(9, 9, "a")]
    assert activities(activities(twice)) == activities(twice)


def test_tempo_moves_what_is_between_start_and_end() -> None:
    videos = [video(f"v{i}", 60, (10, 40, "Playing chess")) for i in range(300)]
    made = world(*videos, tempo=0.4, distractors=0)
    edges = np.array([made.events(v.id)[0].edges for v in videos])
    assert (edges[:, 0] == 10).all() and (edges[:, 3] == 40).all() and (np.diff(edges, axis=1) > 0).all()
    powers = np.log((edges[:, 1:3] - 10) / 30) / np.log([1 / 3, 2 / 3])  # (300, 2)
    np.testing.assert_allclose(powers[:, 0], powers[:, 1])  # one tempo an instance
    assert np.log(powers[:, 0]).std() == pytest.approx(0.4, rel=0.15)
    assert abs(np.log(powers[:, 0]).mean()) < 0.08


# ---- what is not the activity ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("slow", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9, 0.99])
def test_noise_remembers_as_stated(slow: float, memory: float) -> None:
    made = world(video("v", 3000 * STEP), dim=256, **{**SILENT, "noise": 2.0}, slow=slow, memory=memory)
    found = made.read("v")
    assert found.var() == pytest.approx(4 * (256 / 500) ** 0.5, rel=0.05)
    for lag in (1, 2, 5, 20):
        assert correlation(found[:-lag], found[lag:]) == pytest.approx(slow * memory**lag, abs=0.03)


def test_memory_is_in_seconds() -> None:
    """Units that overlap by half lie twice as dense, and remember as much a second."""
    made = world(
        video("v", 1500 * STEP), timing=Timing(30, 8, 8), dim=256, **{**SILENT, "noise": 1.0}, slow=1.0, memory=0.9
    )
    found = made.read("v")
    assert correlation(found[:-2], found[2:]) == pytest.approx(0.9, abs=0.03)


def test_units_that_overlap_by_half_share_half() -> None:
    made = world(video("v", 1500 * STEP), dim=256, stride=8, **{**SILENT, "noise": 1.0}, slow=0.0)
    assert made.timing == Timing(30.0, 16, 8)
    found = made.read("v")
    assert [correlation(found[:-lag], found[lag:]) for lag in (1, 2)] == pytest.approx([0.5, 0.0], abs=0.03)


def test_scenes_come_in_shots_from_a_few() -> None:
    videos = [video(f"v{i}", 1200.0) for i in range(20)]
    made = world(*videos, dim=8, **{**SILENT, "scenes": 1.0}, shot=8.0)
    lengths, used = [], []
    for v in videos:
        scenes = made.scenes(v.id, np.arange(made.rows(v.id)) * STEP + STEP / 2)
        used.append(len(set(scenes)))
        lengths.append(1200 / (1 + np.count_nonzero(np.diff(scenes))))
        assert (np.diff(made.read(v.id), axis=0).any(axis=1) == (np.diff(scenes) != 0)).all()
    assert max(used) == 3
    assert np.mean(lengths) == pytest.approx(12, rel=0.15)  # a shot in three goes on with the scene that was


def test_distractors_are_of_other_classes_beside_the_activities() -> None:
    label = "Playing chess"
    videos = [video(f"v{i}", 300, (30, 80, label), (200, 210, label)) for i in range(100)]
    made = world(*videos, dim=8, distractors=2.0)
    free, count = 0.0, 0
    own = made.concepts.path(label)
    for v in videos:
        known, others = made.events(v.id)[:2], made.events(v.id)[2:]
        assert [event.label for event in known] == [label, label] and {event.label for event in others} == {None}
        for event in others:
            assert event.start // SLOT == event.end // SLOT and 3 <= event.end - event.start <= 12
            assert all(event.end <= seen.start or seen.end <= event.start for seen in known)
            assert event.path[:-1] != own[:-1]
        free, count = free + 240 / 60, count + len(others)
    assert 0.75 * 2.0 < count / free < 2.0  # some fall where activities are
    trimmed = World(WorldOptions(dim=8), paths(), Content({"v0": videos[0]}, {}, frozenset({"v0"})))
    assert len(trimmed.events("v0")) == 2


def test_a_trimmed_clip_is_of_its_own_domain() -> None:
    label = "Playing chess"
    known = video("v", 10, (0, 10, label))
    clip = World(WorldOptions(dim=2048, **SILENT), paths(), Content({"v": known}, {}, frozenset({"v"}))).read("v")
    film = World(WorldOptions(dim=2048, **SILENT), paths(), [known]).read("v")
    assert correlation(clip, film) == pytest.approx(0.8, abs=0.06)


def test_each_video_has_its_look_and_it_turns() -> None:
    made = world(video("a", 360), video("b", 360), dim=WIDE, **{**SILENT, "appearance": 1.0}, drift=0.5)
    a, b = made.read("a"), made.read("b")
    minutes = np.arange(len(a)) * STEP / 60
    turned = [correlation(a[0], row) for row in a]
    np.testing.assert_allclose(turned, np.cos(0.5 * minutes), atol=0.05)
    assert max(abs(correlation(x, y)) for x, y in zip(a[::50], b[::50], strict=True)) < 0.07
    still = world(video("a", 60), dim=8, **{**SILENT, "appearance": 1.0}, drift=0).read("a")
    assert (still == still[0]).all()


# ---- a provider like the others -------------------------------------------------------------------------------------


def test_a_store_of_it_is_the_same_features(tmp_path: Path) -> None:
    made: Provider = world(*CORPUS[:5])
    write_store(tmp_path / "features.h5", made.attributes, ((name, made.read(name)) for name in made.ids()))
    store = FeatureStore(tmp_path / "features.h5")
    assert store.ids() == made.ids() and store.attributes == made.attributes and store.digest == made.digest
    for name in made.ids():
        assert store.rows(name) == made.rows(name)
        assert (store.read(name, 1, 5) == made.read(name, 1, 5)).all()


def test_attributes_name_the_world() -> None:
    found = world().attributes
    assert (found.backbone, found.decoder, found.dim, found.timing) == ("simulated", "none", 64, C3D)
    others = [world(seed=1), world(noise=2.5), World(WorldOptions(dim=64), {}, ())]
    assert len({found.weights_sha256, *(other.attributes.weights_sha256 for other in others)}) == 4
    assert found == world(video("v", 60)).attributes


@given(st.integers(1, 3000), st.sampled_from([16 / 30, 8 / 25, 1 / 3]))
def test_rows_of_a_rounded_duration(rows: int, step: float) -> None:
    timing = Timing(16 / step, 16, 16)
    assert world(video("v", round(rows * step, 6)), timing=timing).rows("v") == rows


def test_a_video_without_a_duration_lasts_as_long_as_its_activities() -> None:
    unknown = replace(video("v", 1, (3, 20.5 * STEP, "Tap dancing")), duration=None)
    assert world(unknown).rows("v") == 20


def test_rows_that_are_not_there() -> None:
    made = world(video("video one", 10 * STEP))
    with pytest.raises(InputError, match="Did you mean 'video one'"):
        made.read("video two")
    for first, last in ((10, 12), (-1, 3), (4, 4)):
        with pytest.raises(InputError, match="no such rows"):
            made.read("video one", first, last)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dim", 0),
        ("noise", -1.0),
        ("noise", float("nan")),
        ("drift", float("inf")),
        ("memory", 1.0),
        ("kinship", 1.1),
        ("distractors", 3.5),
        ("shot", 0.0),
        ("image_noise", -1.0),
        ("region_dim", 0),
    ],
)
def test_options_out_of_range(name: str, value: float) -> None:
    with pytest.raises(InputError, match=name):
        WorldOptions(**{name: value})


def test_a_video_too_long_to_hold_is_named_before_memory_is_taken() -> None:
    made = world(video("film", 1e7), dim=500)
    with pytest.raises(InputError, match=r"film: a video too long to be held in memory.*at most 67,108 at dim 500"):
        made.read("film")
    assert MOST_BYTES == 1 << 27

"""The simulated world is what its docstring says: each property with its size, and the same array every way."""

from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.data.features import FeatureStore, Provider, Timing, write_store
from activity_bench.errors import InputError
from activity_bench.simulation.classes import ROOT, TREE, paths, siblings
from activity_bench.simulation.processes import NEGLIGIBLE, autoregression
from activity_bench.simulation.videos import annotated
from activity_bench.simulation.world import C3D, World, WorldOptions, activities
from activity_bench.types import Instance, Video

pytestmark = pytest.mark.quick

STEP = 16 / 30
SILENT = {"noise": 0.0, "appearance": 0.0, "background": 0.0}  # activities alone
WIDE = 4096  # numbers a row: a correlation is then known to 1 / 64
CORPUS = annotated(0, 96)


def video(name: str, seconds: float, *instances: tuple[float, float, str]) -> Video:
    return Video(name, seconds, "training", tuple(Instance(*instance) for instance in instances))


def world(*videos: Video, timing: Timing = C3D, **options: Any) -> World:
    return World(WorldOptions(**options), paths(), videos, timing)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Of vectors drawn around zero."""
    return float(np.vdot(a, b) / np.sqrt(np.vdot(a, a) * np.vdot(b, b)))


def pairs() -> dict[str, list[tuple[str, str]]]:
    """Pairs of leaves by how they are kin."""
    tree = paths()
    found: dict[str, list[tuple[str, str]]] = {"siblings": [], "cousins": [], "strangers": []}
    for a, b in combinations(tree, 2):
        kin = "siblings" if tree[a][0] == tree[b][0] else "cousins" if tree[a][1] == tree[b][1] else "strangers"
        found[kin].append((a, b))
    return found


# ---- classes and phases ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinship", [0.0, 0.3, 0.5, 0.8])
def test_kin_share_the_stated_variance(kinship: float) -> None:
    made = world(dim=WIDE, kinship=kinship)
    for kin, expected in (("siblings", kinship), ("cousins", kinship**2), ("strangers", 0.0)):
        found = [correlation(made.phases(a), made.phases(b)) for a, b in pairs()[kin][:100]]
        assert np.mean(found) == pytest.approx(expected, abs=0.03), kin
    variances = [made.phases(label).var() for label in paths()]
    assert np.mean(variances) == pytest.approx(1, abs=0.02)


def test_siblings_are_nearer_than_strangers_at_the_default_size() -> None:
    made = world()
    near, far = (
        np.array([correlation(made.phases(a), made.phases(b)) for a, b in pairs()[kin]])
        for kin in ("siblings", "strangers")
    )
    effect = (near.mean() - far.mean()) / np.sqrt((near.var() + far.var()) / 2)
    assert effect > 4  # standard deviations: 0.5 apart, each known to about 0.1


def test_a_class_outside_the_tree_is_kin_to_none() -> None:
    made = world(dim=WIDE)
    assert max(abs(correlation(made.phases("yawning"), made.phases(label))) for label in paths()) < 0.05


def test_the_root_is_nobodys_kin() -> None:
    rooted = World(WorldOptions(dim=8), {label: (*path, ROOT) for label, path in paths().items()}, ())
    assert all((rooted.phases(label) == world(dim=8).phases(label)).all() for label in paths())


@pytest.mark.parametrize("order", [0.0, 0.25, 0.5, 1.0])
def test_phases_differ_as_stated(order: float) -> None:
    made = world(dim=WIDE, order=order)
    found = [correlation(a, b) for label in list(paths())[:8] for a, b in combinations(made.phases(label), 2)]
    assert np.mean(found) == pytest.approx(1 - order, abs=0.02)


def test_start_middle_and_end_stand_in_order() -> None:
    label = "Playing chess"
    made = world(video("v", 30 * STEP, (6 * STEP, 15 * STEP, label)), dim=16, **SILENT)
    found, phases = made.read("v"), made.phases(label)
    expected = np.zeros((30, 16), np.float32)
    expected[6:15] = np.repeat(phases, 3, axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_time_reversed_lowers_a_matched_filter() -> None:
    label = "Playing chess"
    videos = [video(f"v{i}", 30 * STEP, (6 * STEP, 15 * STEP, label)) for i in range(50)]
    made = world(*videos)
    filtered = np.repeat(made.phases(label), 3, axis=0)  # (9, dim)
    forward = np.array([np.vdot(made.read(v.id, 6, 15), filtered) for v in videos])
    backward = np.array([np.vdot(made.read(v.id, 6, 15)[::-1], filtered) for v in videos])
    assert (forward > backward).mean() > 0.75  # each video alone, at the default noise
    assert (forward - backward).mean() / (forward - backward).std() > 0.8


def test_a_boundary_inside_a_row_counts_by_its_share() -> None:
    label = "Playing chess"
    made = world(video("v", 30 * STEP, (6.25 * STEP, 15.5 * STEP, label)), **SILENT)
    found, phases = made.read("v"), made.phases(label)
    np.testing.assert_allclose(found[6], 0.75 * phases[0], atol=1e-4)
    np.testing.assert_allclose(found[15], 0.5 * phases[2], atol=1e-4)
    assert not found[:6].any() and not found[16:].any()


@given(
    st.floats(0, 20), st.floats(0, 20), st.sampled_from([Timing(30, 16, 16), Timing(25, 16, 8), Timing(10, 3, 7, 5)])
)
def test_an_instance_is_seen_for_as_long_as_it_lasts(start: float, length: float, timing: Timing) -> None:
    made = world(video("v", 60, (start, start + length, "Playing chess")), timing=timing, dim=1, order=0, **SILENT)
    starts = np.array([timing.start_of(row) for row in range(made.rows("v"))])
    window = timing.window / timing.fps
    seen = np.clip(np.minimum(starts + window, start + length) - np.maximum(starts, start), 0, None) / window
    np.testing.assert_allclose(made.read("v")[:, 0], seen * made.phases("Playing chess")[0, 0], atol=1e-4)


def test_annotations_that_overlap_are_seen_once() -> None:
    twice = [Instance(1, 5, "a"), Instance(1, 5, "a"), Instance(4, 9, "a"), Instance(2, 3, "b"), Instance(9, 9, "a")]
    assert activities(twice) == [Instance(1, 9, "a"), Instance(2, 3, "b"), Instance(9, 9, "a")]
    assert activities(activities(twice)) == activities(twice)


# ---- what is not the activity ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9, 0.99])
def test_the_slow_noise_remembers_as_stated(memory: float) -> None:
    made = world(video("v", 3000 * STEP), dim=256, memory=memory, noise=0, appearance=0)
    found = made.read("v")
    assert found.var() == pytest.approx(1, abs=0.05)
    for lag in (1, 2, 5, 20):
        assert correlation(found[:-lag], found[lag:]) == pytest.approx(memory**lag, abs=0.03)


def test_white_noise_dilutes_the_memory() -> None:
    made = world(video("v", 2000 * STEP), dim=256, memory=0.9, noise=2.0, background=1.0, appearance=0)
    found = made.read("v")
    assert found.var() == pytest.approx(1 + 4, rel=0.03)
    for lag in (1, 3):
        assert correlation(found[:-lag], found[lag:]) == pytest.approx(0.9**lag / 5, abs=0.01)


@given(st.integers(1, 700), st.floats(0, 0.999), st.integers(0, 2**32))
def test_autoregression_is_the_plain_recursion(rows: int, memory: float, seed: int) -> None:
    innovations = np.random.default_rng(seed).standard_normal((rows, 2)).astype(np.float32)
    plain = innovations.astype(np.float64)
    for t in range(1, rows):
        plain[t] = memory * plain[t - 1] + np.sqrt(1 - memory**2) * plain[t]
    np.testing.assert_allclose(autoregression(innovations, memory), plain, atol=2e-5)
    assert np.finfo(np.float32).eps > NEGLIGIBLE


def test_autoregression_does_not_look_ahead() -> None:
    innovations = np.random.default_rng(0).standard_normal((500, 3)).astype(np.float32)
    whole = autoregression(innovations, 0.95)
    for rows in (1, 2, 17, 256, 499):
        assert (autoregression(innovations[:rows], 0.95) == whole[:rows]).all()


def test_each_video_has_its_look_and_it_turns() -> None:
    made = world(video("a", 360), video("b", 360), dim=WIDE, noise=0, background=0, drift=0.5)
    a, b = made.read("a"), made.read("b")
    minutes = np.arange(len(a)) * STEP / 60
    turned = [correlation(a[0], row) for row in a]
    np.testing.assert_allclose(turned, np.cos(0.5 * minutes), atol=0.05)
    assert max(abs(correlation(x, y)) for x, y in zip(a[::50], b[::50], strict=True)) < 0.07
    still = world(video("a", 60), dim=8, noise=0, background=0, drift=0).read("a")
    assert (still == still[0]).all()


# ---- the same array every way ---------------------------------------------------------------------------------------


def _read_all(made: World, ids: list[str]) -> dict[str, bytes]:
    return {name: made.read(name).tobytes() for name in ids}


def test_alone_in_a_batch_in_any_order_on_any_worker() -> None:
    whole = world(*CORPUS)
    expected = _read_all(whole, whole.ids())
    assert _read_all(whole, whole.ids()[::-1]) == expected
    assert all(world(v).read(v.id).tobytes() == expected[v.id] for v in CORPUS)
    copy = pickle.loads(pickle.dumps(whole))
    with ThreadPoolExecutor(4) as threads:
        assert (
            dict(zip(whole.ids(), threads.map(lambda v: copy.read(v).tobytes(), whole.ids()), strict=True)) == expected
        )
    with ProcessPoolExecutor(2) as processes:
        halves = [processes.submit(_read_all, whole, whole.ids()[part::2]) for part in (0, 1)]
        assert halves[0].result() | halves[1].result() == expected


def test_seed_and_id_are_what_differs() -> None:
    a, b = video("a", 60), video("b", 60)
    assert (world(a).read("a") != world(b).read("b")).all()
    assert (world(a).read("a") != world(a, seed=1).read("a")).all()


@given(st.integers(1, 200), st.integers(1, 200))
def test_what_comes_later_changes_nothing_before(rows: int, more: int) -> None:
    short = world(video("v", rows * STEP), dim=4)
    longer = world(video("v", (rows + more) * STEP, ((rows + 0.1) * STEP, (rows + more) * STEP, "Tap dancing")), dim=4)
    assert (short.read("v") == longer.read("v")[:rows]).all()


@given(st.data())
def test_a_window_is_a_slice(data: st.DataObject) -> None:
    made = world(*CORPUS[:3])
    name = data.draw(st.sampled_from(made.ids()))
    first = data.draw(st.integers(0, made.rows(name) - 1))
    last = data.draw(st.integers(first + 1, made.rows(name) + 5))
    window = made.read(name, first, last)
    assert (window == world(*CORPUS[:3]).read(name)[first:last]).all()
    window[:] = 0  # the reader's own copy
    assert made.read(name).any(axis=1).all()


def test_siblings_of_a_class_do_not_change_it() -> None:
    """A manifest that has fewer classes has the same vectors for those it has."""
    few = {label: path for label, path in paths().items() if path[0] in TREE["Sports and exercise"]}
    label = "Playing squash"
    assert siblings(label)[0] in few
    assert (World(WorldOptions(), few, ()).phases(label) == world().phases(label)).all()


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
    others = [world(seed=1), world(noise=3.0), World(WorldOptions(), {}, ())]
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
    [("dim", 0), ("noise", -1.0), ("noise", float("nan")), ("drift", float("inf")), ("memory", 1.0), ("kinship", 1.1)],
)
def test_options_out_of_range(name: str, value: float) -> None:
    with pytest.raises(InputError, match=name):
        WorldOptions(**{name: value})

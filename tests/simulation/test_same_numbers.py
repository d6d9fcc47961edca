"""The world is the same array every way: alone, in a batch, in any order, on any worker, on other machines."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.simulation.classes import paths
from activity_bench.simulation.content import Content
from activity_bench.simulation.videos import annotated
from activity_bench.simulation.world import World, WorldOptions
from activity_bench.types import Instance, Video

pytestmark = pytest.mark.quick

STEP = 16 / 30
CORPUS = annotated(0, 96)


def video(name: str, seconds: float, *instances: tuple[float, float, str]) -> Video:
    return Video(name, seconds, "training", tuple(Instance(*instance) for instance in instances))


def world(*videos: Video, **options: Any) -> World:
    return World(WorldOptions(**{"dim": 64, **options}), paths(), videos)


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
    short = world(video("v", rows * STEP), dim=4, distractors=0)
    end = (rows + more) * STEP
    longer = world(video("v", end, ((rows + 0.1) * STEP, end, "Tap dancing")), dim=4, distractors=0)
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


def test_distractors_that_come_later_change_nothing_before() -> None:
    short, longer = (world(video("v", seconds), dim=4, distractors=3.0) for seconds in (400, 700))
    assert len(longer.events("v")) > len(short.events("v")) > 5
    assert (short.read("v") == longer.read("v")[: short.rows("v")]).all()


NUMBERS = """
import json, sys
from activity_bench.simulation.classes import paths
from activity_bench.simulation.content import Content
from activity_bench.simulation.world import World, WorldOptions
from activity_bench.types import Instance, Video
seen = Video("v", 120.0, "x", (Instance(30.0, 50.0, "Tap dancing"),))
made = World(WorldOptions(dim=500, region_dim=64), paths(), Content({"v": seen}, {("v", 40.0): "Tap dancing"}))
image = made.image("v", 40.0)
print(json.dumps([made.digest, *(array.tobytes().hex()[:200] for array in image)]))
"""


def test_the_same_bytes_whatever_the_threads_and_the_hash_seed() -> None:
    found = set()
    for threads, hash_seed in (("1", "0"), ("8", "1")):
        environment = os.environ | dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), threads)
        environment["PYTHONHASHSEED"] = hash_seed
        run = subprocess.run([sys.executable, "-c", NUMBERS], capture_output=True, text=True, check=True,
                             env=environment, cwd=Path(__file__).parents[2])  # fmt: skip
        found.add(run.stdout)
    assert len(found) == 1


def test_the_numbers_are_those_of_other_machines() -> None:
    """world.json was written with NumPy 2.4 and, the same bytes, with 1.26: one that draws otherwise is found out."""
    stored = json.loads((Path(__file__).with_name("world.json")).read_text())
    seen = Video("v", 120.0, "x", (Instance(30.0, 50.0, "Tap dancing"),))
    made = World(WorldOptions(dim=16, region_dim=16, global_dim=16, noise=5.43), paths(),
                 Content({"v": seen}, {("v", 40.0): "Tap dancing"}))  # fmt: skip
    image = made.image("v", 40.0)
    found = {"rows": made.read("v")[55:95:5], "regions": image.regions[:4], "boxes": image.boxes[:4],
             "global": image.whole, "word": made.word("Tap dancing")[:16]}  # fmt: skip
    assert found.keys() == stored.keys()
    for name, array in found.items():
        np.testing.assert_allclose(array, stored[name], atol=1e-5, err_msg=name)

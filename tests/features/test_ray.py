"""Extraction by a real Ray: the store of one process, whoever is lost on the way, and nothing left behind."""

from __future__ import annotations

import importlib.util
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from activity_bench.errors import InputError
from activity_bench.features.cluster import STORE
from activity_bench.workflow.extract import extract_features
from tests.conftest import clean_environment
from tests.features.processes import (
    ACTOR,
    TINY,
    WORKER,
    descendants,
    kill,
    like,
    lives,
    parts,
    sha256,
    started,
    wait_for,
)
from tests.features.videos import rendered

pytestmark = [
    pytest.mark.check,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]
with_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray has no wheel here")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips, and a file that is none."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(6):
        rendered(folder, number)
    (folder / "text.avi").write_text("not a video, whatever its name\n" * 50)
    return folder


@with_ray
def test_two_actors_make_the_store_of_one_process_though_one_is_killed(videos: Path, tmp_path: Path) -> None:
    plain, out = tmp_path / "plain.h5", tmp_path / "features.h5"
    assert extract_features(videos, TINY, plain, random_weights=True, stride=8, workers=1).done == 6
    with started(videos, out, "--engine", "ray") as job:
        wait_for(lambda: parts(out) or job.poll() is not None)
        actors, all_workers = like(job.pid, ACTOR), like(job.pid, WORKER)
        assert 1 <= len(actors) <= 2
        lost = like(actors[0], WORKER)
        kill(actors[0], signal.SIGKILL)
        wait_for(lambda: not any(map(lives, lost)), 60)  # it takes its worker with it
        below = descendants(job.pid)
        said = job.communicate(timeout=300)[1]
        assert job.returncode == 0, said
        assert list(Path("/tmp").glob(f"activity-bench-ray-{job.pid}-*")) == []
    assert sha256(out) == sha256(plain)
    assert "6 of 7 videos have features" in said
    assert [
        line for line in said.splitlines() if "ray" in line.lower().replace("--engine ray", "")
    ] == []  # it is quiet
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{name}.h5{end}" for name in ("plain", "features") for end in ("", ".failures.jsonl")
    )
    wait_for(lambda: not any(map(lives, {*below, *all_workers})), 60)


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes of one CPU each, as if they were two machines."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": STORE}
    with TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        Path(folder, "ray").mkdir()  # where it writes the address that `auto` means, which may be somebody's
        for name, value in clean_environment(RAY_TMPDIR=folder, RAY_USAGE_STATS_ENABLED="0").items():
            monkeypatch.setenv(name, value)  # of its nodes
        made = Cluster(True, head_node_args={**node, "include_dashboard": False})
        try:
            made.add_node(**node)
            yield made
        finally:
            made.shutdown()


@with_ray
def test_a_node_that_is_lost_costs_nothing_but_a_second_try(videos: Path, tmp_path: Path, cluster: Any) -> None:
    plain, out = tmp_path / "plain.h5", tmp_path / "features.h5"
    extract_features(videos, TINY, plain, random_weights=True, stride=8, workers=1)
    with started(videos, out, "--engine", "ray", RAY_ADDRESS=cluster.address) as job:
        wait_for(lambda: parts(out) or job.poll() is not None)
        cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)
        said = job.communicate(timeout=300)[1]
        assert job.returncode == 0, said
    assert sha256(out) == sha256(plain)
    assert "6 of 7 videos have features" in said


@with_ray
def test_a_cluster_that_is_not_there_is_named(videos: Path, tmp_path: Path) -> None:
    with started(videos, tmp_path / "f.h5", "--engine", "ray", RAY_ADDRESS="127.0.0.1:1") as job:
        said = job.communicate(timeout=300)[1]
    assert job.returncode == 1
    assert "cannot reach the Ray cluster 127.0.0.1:1" in said
    assert list(tmp_path.iterdir()) == []


def test_without_ray_its_extra_is_named(videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"Ray is not installed.*activity-bench\[distributed\]"):
        extract_features(videos, TINY, tmp_path / "f.h5", random_weights=True, engine="ray")
    assert list(tmp_path.iterdir()) == []

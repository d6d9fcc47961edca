"""One thread, one small benchmark, and a toy among the methods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch

from activity_bench import catalog
from activity_bench.data.features import FeatureStore
from activity_bench.data.manifest import Manifest
from tests.training import made


@dataclass(frozen=True)
class Benchmark:
    """What a training starts from."""

    manifest: Manifest
    features: FeatureStore


@pytest.fixture(scope="session")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """The small benchmark on the disk."""
    folder = tmp_path_factory.mktemp("made")
    return Benchmark(made.manifest(folder / "manifest"), made.features(folder / "features.h5"))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalog.METHODS, "toy", "tests.training.toy:Method")

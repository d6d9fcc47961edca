"""What the tests of the commands share: the embedded corpus as a manifest, answers to it, and what a folder holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from activity_bench.simulation.corpus import files
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.run import run_method


@pytest.fixture(scope="session")
def annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded annotation file in the official layout."""
    path = tmp_path_factory.mktemp("corpus") / "activitynet.json"
    path.write_bytes(files()["activitynet.json"])
    return path


@pytest.fixture(scope="session")
def manifest(annotations: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built manifest, which no test changes."""
    folder = tmp_path_factory.mktemp("built") / "manifest"
    build_dataset("relocalization", [annotations], folder)
    return folder


@pytest.fixture(scope="session")
def run(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a baseline, which no test changes."""
    folder = tmp_path_factory.mktemp("runs") / "random"
    run_method("random", manifest, "test", folder)
    return folder


@pytest.fixture(scope="session")
def held() -> Callable[[Path], dict[str, bytes | None]]:
    """`held(folder)`: every name under it, with the bytes of the files."""

    def look(folder: Path) -> dict[str, bytes | None]:
        return {
            str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
            for path in sorted(folder.rglob("*"))
        }

    return look

"""What the tests of faults share: the stage, and what the commands leave on it when nothing happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import stage as made
from tests.faults.harness import Undisturbed


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of inputs, which no test changes."""
    return made.build(tmp_path_factory.mktemp("stage"))


@pytest.fixture(scope="session")
def undisturbed(stage: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """Each row's call, made when first asked for."""
    return Undisturbed(stage, tmp_path_factory.mktemp("undisturbed"))

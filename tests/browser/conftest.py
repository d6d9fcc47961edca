"""One browser for all pages. Where there is none these tests are left out, and a line says so; in CI they fail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from activity_bench.workflow.report import report
from tests.browser import runs
from tests.browser.chromium import Chromium, find


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without Chromium: deselected, but not where CI says that it must be there."""
    if find() or os.environ.get("CI", "").lower() == "true":
        return
    ours = [item for item in items if item.path.parent == Path(__file__).parent]
    items[:] = [item for item in items if item not in ours]
    config.hook.pytest_deselected(items=ours)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    browser = Chromium()
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def moments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of 60 questions and three methods."""
    folder = tmp_path_factory.mktemp("moments")
    report(runs.moments(folder), folder / "report.html")
    return folder / "report.html"


@pytest.fixture(scope="session")
def detections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a dozen videos with several targets and classes."""
    folder = tmp_path_factory.mktemp("detections")
    report(runs.detections(folder), folder / "report.html")
    return folder / "report.html"

"""The table of `make bench`: goals as they are meant, what got worse, and a page that is what was recorded."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.quick

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("bench", BENCHMARKS / "__main__.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("timing", None)


@pytest.mark.parametrize(
    ("figure", "goal", "met"),
    [(2.0, "at least 2 x", True), (1.9, "at least 2 x", False), (2.1, "at most 2 GB", False), (9.0, "more x", None)],
)
def test_a_goal_is_met_or_not(bench: ModuleType, figure: float, goal: str, met: bool | None) -> None:
    assert bench.met({"figure": figure, "goal": goal}) is met


@pytest.mark.parametrize(
    ("figure", "goal", "worse"),
    [
        (0.9, "at least 1 x", False), (0.8, "at least 1 x", True), (1.1, "at most 1 x", False),
        (1.3, "at most 1 x", True), (9.0, "at most 1 s", False), (1.3, "less x", True), (1.3, "more x", False),
    ],
)  # fmt: skip
def test_a_ratio_that_is_a_fifth_worse_is_seen(bench: ModuleType, figure: float, goal: str, worse: bool) -> None:
    row = {"name": "a", "figure": figure, "goal": goal}
    assert bench.worse(row, {"figure": 1.0}) is worse
    assert not bench.worse(row, None)


def test_rows_are_printed_and_kept(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from timing import ROWS, row

    monkeypatch.setenv(ROWS, str(tmp_path / "rows"))
    row("a", 2.34567, "at least 2 x", "b", "c")
    assert capsys.readouterr().out == "a: 2.346 x (goal: at least 2 x); b: c\n"
    (kept,) = map(json.loads, (tmp_path / "rows").read_text().splitlines())
    assert kept["figure"] == 2.346 and bench.met(kept)
    (_, line) = bench.table([kept], {"rows": {}, "reasons": {}})
    assert line == ["a", "2.35 x", "at least 2 x", "yes", "", "b: c"]


def test_the_page_is_what_was_recorded(bench: ModuleType) -> None:
    recorded = json.loads(bench.RECORDED.read_text("utf-8"))
    assert bench.page(recorded) in bench.PAGE.read_text("utf-8")
    assert {row["script"] for row in recorded["rows"].values()} <= set(bench.SCRIPTS)
    assert recorded["reasons"].keys() <= recorded["rows"].keys()


def test_every_goal_is_a_row(bench: ModuleType) -> None:
    """No program prints a goal past the table."""
    for script in bench.SCRIPTS:
        text = (BENCHMARKS / f"{script}.py").read_text("utf-8")
        assert "(goal:" not in text
        assert re.search(r"^from (timing|models) import .*\b(row|compare)\b", text, re.M), script

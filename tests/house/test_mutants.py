"""Mutation testing itself: which edits there are, that an edited module is what runs, and that most mutants die."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).resolve().parent

SOURCE = '''"""A module."""

import math

LEAST: int = 2


def chosen(values: list[int], at: int | None = None) -> list[int]:
    """Values. -1"""
    if not values or at in (0, 1):
        raise ValueError(f"no values: {at + 1}")
    values[0] += math.floor(2.5)
    return sorted([v for v in values if v >= LEAST], key=min)
'''


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutants_of_the_house", HERE / "mutants.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # for its dataclasses
    spec.loader.exec_module(module)
    return module


@pytest.mark.quick
def test_the_edits_of_a_small_module(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "activity_bench").mkdir()
    (tmp_path / "activity_bench" / "small.py").write_text(SOURCE, "utf-8")
    monkeypatch.setattr(script, "ROOT", tmp_path)
    edits = {f"{mutant.first} {mutant.tree()[2]}" for mutant in script.mutants("activity_bench/small.py")}
    assert edits == {
        "5 LEAST: int = 3", "5 LEAST: int = 1",
        "10 if not (not values or at in (0, 1)):", "10 not values and at in (0, 1)", "10 values or at in (0, 1)",
        "10 not values or at not in (0, 1)", "10 (1, 1)", "10 (-1, 1)", "10 (0, 2)", "10 (0, 0)",
        "11 pass",
        "12 values[0] -= math.floor(2.5)", "12 pass", "12 values[1]", "12 values[-1]", "12 math.ceil(2.5)",
        "12 math.floor(3.5)", "12 math.floor(1.5)",
        "13 for v in values if v > LEAST", "13 for v in values if v < LEAST", "13 key=max",
    }  # fmt: skip


@pytest.mark.quick
def test_the_edited_module_is_the_one_that_is_imported(script: ModuleType) -> None:
    (first, *_) = [m for m in script.mutants("activity_bench/segments.py") if m.kind == "number"]
    tree, before, after = first.tree()
    assert before != after
    edited = script.Edited("activity_bench/segments.py", tree)
    found = edited.find_spec("activity_bench.segments")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    from activity_bench import segments

    assert module.ON_GRID == segments.ON_GRID + 1
    assert edited.find_spec("activity_bench.types") is None


@pytest.mark.nightly
def test_most_mutants_are_killed() -> None:
    """The figures of many more stand in docs/mutants.md."""
    command = [sys.executable, HERE / "mutants.py", "--count", "60", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr

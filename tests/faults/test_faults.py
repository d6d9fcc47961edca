"""Commands that are killed, starved of disk, handed damaged files or started twice: nothing is lost or half-written."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

from activity_bench import catalog
from tests.faults import summary
from tests.faults.harness import KINDS, Case, Undisturbed
from tests.faults.judge import tried
from tests.faults.table import ROWS

LIGHT = [row for row in ROWS if not row.heavy]
SEEDS = range(*map(int, os.environ.get("FAULT_SEEDS", "0:500").split(":")))  # of the nightly cases
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")


@pytest.mark.quick
def test_every_command_is_in_the_table() -> None:
    assert {row.command for row in ROWS} == set(catalog.COMMANDS)


@pytest.mark.quick
@pytest.mark.parametrize(("rows", "seeds"), [(LIGHT, 60), (ROWS, 500)])
def test_the_seeds_reach_every_kind_and_row(rows: list[object], seeds: int) -> None:
    cases = [Case.of(seed, rows) for seed in range(seeds)]  # type: ignore[arg-type]
    assert {case.kind for case in cases} == set(KINDS)
    assert all(case.row.makes or case.kind != "disk full" for case in cases)
    if seeds > len(rows) * len(KINDS):
        assert {case.row.command for case in cases} == set(catalog.COMMANDS)
        assert max(Counter((ROWS.index(case.row), case.kind) for case in cases).values()) < 10


def attempt(case: Case, undisturbed: Undisturbed, folder: Path, request: pytest.FixtureRequest) -> None:
    said = (case.row.command, case.kind, case.seed)
    request.node.user_properties.append((summary.CASE, (*said, "FAILED")))
    tried(case, undisturbed, folder)
    request.node.user_properties[-1] = (summary.CASE, (*said, case.outcome))
    shutil.rmtree(folder)  # what went well need not be kept


@LINUX
@pytest.mark.check
@pytest.mark.parametrize("seed", range(60))
def test_a_fault(seed: int, undisturbed: Undisturbed, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    attempt(Case.of(seed, LIGHT), undisturbed, tmp_path / "case", request)


@LINUX
@pytest.mark.nightly
@pytest.mark.parametrize("seed", SEEDS)
def test_many_faults(seed: int, undisturbed: Undisturbed, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    attempt(Case.of(seed, ROWS), undisturbed, tmp_path / "case", request)


@pytest.mark.quick
def test_the_summary_counts_every_case() -> None:
    cases = [("score", "killed", 0, "stopped"), ("score", "cut short", 7, "refused with one message"),
             ("demo", "killed", 3, "stopped")]  # fmt: skip
    hunts = [("features", "seeded", 100, 40, 0), ("features", "seeded", 200, 60, 1)]
    page = summary.text(cases, hunts, Counter({("tests/x.py", "passed"): 2}), "- one")
    assert page == summary.text(cases[::-1], hunts[::-1], Counter({("tests/x.py", "passed"): 2}), "- one")
    assert "| features | 2 | seeded | 5 | 100 | 1 |" in page
    assert "seeds 0 to 7, 3 cases. Nothing was lost" in page
    assert "| killed | 2 | 0 | 2 |" in page and "| score | 2 | 1 | 1 |" in page and "| tests/x.py | 2 | 2 |" in page
    assert "Cases that failed: seed 9, demo, killed." in summary.text([*cases, ("demo", "killed", 9, "FAILED")],
                                                                      [], Counter(), "")  # fmt: skip

"""doctor: what it says of commands, extras and the machine holds, with and without the optional parts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from activity_bench import catalog
from activity_bench.workflow import doctor as verbs
from activity_bench.workflow.doctor import NEEDS, doctor

pytestmark = pytest.mark.quick


def test_the_table_names_extras_and_commands_that_there_are() -> None:
    extras = set(metadata.metadata("activity-bench").get_all("Provides-Extra") or [])
    assert {extra for some in NEEDS.values() for extra in some} <= extras
    rows = {row.command: row for row in doctor().commands}
    assert set(catalog.COMMANDS) <= set(rows)
    assert rows["score"].works and rows["score"].needs == "" and rows["train"].needs == "models"


def test_an_extra_that_is_missing_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    real = verbs._version
    monkeypatch.setattr(verbs, "_version", lambda package: None if package in ("torch", "av") else real(package))
    found = doctor()
    rows = {row.command: row for row in found.commands}
    assert not rows["train"].works and rows["train"].remedy == "pip install 'activity-bench[models]'"
    assert rows["simulate clips"].remedy == "pip install 'activity-bench[video]'"
    assert rows["extract-features"].remedy == "pip install 'activity-bench[models,video]'"
    assert rows["build-dataset"].works
    parts = {part.name: part for part in found.parts}
    assert (parts["torch"].version, parts["torch"].remedy) == ("missing", "pip install 'activity-bench[models]'")
    assert "all" not in parts["torch"].needed_for.split(", ")


def test_it_ends_well_where_nothing_optional_loads(environment: Callable[..., dict[str, str]]) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'av', 'decord', 'torchcodec', 'cv2'): sys.modules[name] = None\n"
        "from activity_bench.cli import main\n"
        "sys.exit(main(['doctor', '--json']))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, encoding="utf-8",
                          check=True)  # fmt: skip
    machine = {row["what"]: row for row in map(json.loads, done.stdout.splitlines()) if row["table"] == "Machine"}
    assert machine["GPU"]["remedy"] == "pip install 'activity-bench[models]'"
    assert "PyAV" in machine["decoder pyav"]["found"]


def test_the_machine_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, invoke: Callable[..., Any]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "not" / "yet"))
    told = {line.split("\t")[0]: line.split("\t") for line in invoke("doctor").out.splitlines()}
    assert told["cores"][1].endswith("usable of " + told["cores"][1].split()[-1])
    assert told["this folder"][1].startswith(f"{tmp_path}: ") and "GB free" in told["this folder"][1]
    assert told["cache"][1].startswith(str(tmp_path / "not" / "yet"))
    monkeypatch.setattr(verbs.os, "access", lambda path, mode: False)
    assert "not writable" in invoke("doctor").out

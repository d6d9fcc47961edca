"""The root's help: a line for each command, and no command imported for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from activity_bench import catalog

pytestmark = pytest.mark.quick


def test_a_line_for_each_command(cli: Callable[..., Any]) -> None:
    told = cli("--help").stdout.split("Commands:\n")[1]
    lines = dict(line.split(maxsplit=1) for line in told.splitlines() if line[2:3].strip())
    assert list(lines) == list(catalog.COMMANDS)
    assert lines["demo"] == "The whole way, offline."
    assert all(len(line) > 5 for line in lines.values())


def test_no_command_is_imported_for_it(environment: Callable[..., dict[str, str]]) -> None:
    code = "import sys; from activity_bench.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, encoding="utf-8", check=True
    )
    loaded = set(done.stderr.split())
    assert "activity_bench.cli" in loaded
    assert loaded & {entry.partition(":")[0] for entry in catalog.COMMANDS.values()} == set()

"""A newcomer's first evening: clone, `make demo`, commands of the README one after another, and one mistake."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.check,
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no clone of what is no repository"),
    pytest.mark.skipif(not shutil.which("make"), reason="no make"),
]

# In this order: each finds what those before it have made.
FIVE = (
    "build-dataset relocalization",
    "inspect manifest",
    "run-baseline statistical-prior",
    "score run/",
    "leaderboard run",
)


def test_clone_demo_commands_and_a_mistake(tmp_path: Path, environment: Callable[..., dict[str, str]]) -> None:
    clone = tmp_path / "activity-bench"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    programs = clone / ".venv" / "bin"
    programs.mkdir(parents=True)
    _installed(programs, clone)
    env = environment(PYTHONPATH=str(clone), PATH=f"{programs}{os.pathsep}{os.environ['PATH']}")

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=clone, env=env, capture_output=True, encoding="utf-8", check=False)

    demo = run("make", "demo")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "pip" not in demo.stdout  # a second `make` installs nothing
    assert "oracle" in demo.stdout and (clone / "demo-out" / "leaderboard.csv").is_file()
    shutil.copy(clone / "demo-out" / "corpus" / "activitynet.json", clone)
    readme = re.findall(r"`(activity-bench [^`]+)`", (clone / "README.md").read_text(encoding="utf-8"))
    for begun in FIVE:
        command = next(command for command in readme if command.startswith(f"activity-bench {begun}"))
        done = run(*shlex.split(command))
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert done.stdout
    mistake = run("activity-bench", "score", "run/predictions.jsonl", "--manifest", "manifest", "--split", "tset")
    assert mistake.returncode == 2
    assert mistake.stderr == "error: manifest/manifest.json: unknown split; found 'tset'. Did you mean 'test'?\n"
    left = subprocess.run(
        ["git", "status", "--porcelain"], cwd=clone, capture_output=True, encoding="utf-8", check=True
    )
    made = {line[3:].partition("/")[0] for line in left.stdout.splitlines()}
    assert made <= {"activitynet.json", "leaderboard.csv", "manifest", "report.json", "report.rows.npz", "run"}


def _installed(programs: Path, clone: Path) -> None:
    """What `make` takes for an environment that is there: this one, with the clone for its package."""
    command = programs / "activity-bench"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m activity_bench "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    for stamp in (clone / ".venv" / "pyvenv.cfg", clone / ".venv" / ".base"):  # in the order that make would leave
        stamp.touch()

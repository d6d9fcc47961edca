"""The oldest and the newest that the package says it runs with: its dependencies, torch aside, and Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.nightly

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# What the tests themselves need; torch is no part of them.
TOOLS = ["hypothesis", "pandas", "pyarrow", "pytest", "pytest-xdist", "pyyaml", "scipy"]
TORCHLESS = ["tests/test_chance.py", "tests/test_errors.py", "tests/test_segments.py", "tests/test_types.py",
             "tests/data", "tests/scoring", "tests/builders", "tests/baselines"]  # fmt: skip
EVERY_METHOD = "tests/baselines/test_baselines.py::test_only_the_oracle_sees_answers"  # loads the networks, too
NEWEST = ("3.14", "3.13", "3.12")


def lowest() -> list[str]:
    """`numpy>=1.26` is `numpy==1.26.*`: of the lowest release the last mending."""
    ranges = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["export"]]
    return [re.sub(r">=([\d.]+)$", r"==\1.*", one) for one in ranges]


def oldest_python() -> str:
    return PROJECT["requires-python"].removeprefix(">=")


def python_of(version: str) -> str | None:
    """An interpreter of this version: this one, one that pyenv keeps, or one on the path."""
    if version == ".".join(map(str, sys.version_info[:2])):
        return sys.executable
    kept = sorted(Path(os.environ.get("PYENV_ROOT", Path("~/.pyenv").expanduser())).glob(f"versions/{version}.*"))
    places = [*(str(path / "bin" / "python") for path in reversed(kept)), shutil.which(f"python{version}")]
    return next((place for place in places if place and works(place)), None)


def works(python: str) -> bool:
    """What is on the path may stand in for versions that are not there."""
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def runs(tmp_path: Path, python: str, *constraints: str) -> None:
    """The quick tests that need no torch pass in a fresh environment."""
    env = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    bound = tmp_path / "bound.txt"
    bound.write_text("\n".join(constraints) + "\n", encoding="utf-8")
    programs = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    for command in (
        [python, "-m", "venv", tmp_path / "env"],
        [programs / "python", "-m", "pip", "install", "--quiet", "-c", bound, ROOT, *TOOLS],
        [programs / "python", "-m", "pytest", "-q", "-m", "quick", "-p", "no:cacheprovider", "--deselect", EVERY_METHOD,
         *TORCHLESS],
    ):  # fmt: skip
        result = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, encoding="utf-8", check=False)
        assert result.returncode == 0, f"{command}\n{result.stdout[-5000:]}\n{result.stderr[-3000:]}"


def test_the_lowest_versions(tmp_path: Path) -> None:
    python = python_of(oldest_python())
    assert python, f"no Python {oldest_python()} here"
    runs(tmp_path, python, *lowest())


def test_the_highest_versions(tmp_path: Path) -> None:
    """Whatever the index has today, whatever the constraints say."""
    runs(tmp_path, sys.executable)


def test_the_newest_python(tmp_path: Path) -> None:
    python = next((found for version in NEWEST if (found := python_of(version))), None)
    if python is None:
        pytest.skip("no newer Python here")
    runs(tmp_path, python)

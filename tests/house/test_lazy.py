"""What a command does not need, it does not import: measured by watching the imports, not by reading the source."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick

HEAVY = {"torch", "torchvision", "pandas", "sklearn", "scipy", "matplotlib", "ray", "pyarrow", "cv2", "av", "decord"}

# Names are noted when they are asked for, so that an import counts whether or not the library is installed here.
WATCH = """
import json, sys

asked = set()

class Watch:
    def find_spec(self, name, path=None, target=None):
        asked.add(name.partition(".")[0])

sys.meta_path.insert(0, Watch())
from activity_bench.cli import main

codes = [main(argv) for argv in json.loads(sys.argv[1])]
with open(sys.argv[2], "w") as file:
    json.dump([codes, sorted(asked)], file)
"""


@pytest.fixture
def imported(tmp_path: Path, environment: Callable[..., dict[str, str]]) -> Callable[..., set[str]]:
    """The top-level modules that commands ask for, run one after the other in a fresh process."""

    def run(*commands: list[str]) -> set[str]:
        note = tmp_path / "asked.json"
        argv = [sys.executable, "-c", WATCH, json.dumps(commands), str(note)]
        result = subprocess.run(
            argv, cwd=tmp_path, env=environment(), capture_output=True, encoding="utf-8", check=False
        )
        assert result.returncode == 0, result.stderr
        codes, asked = json.loads(note.read_text(encoding="utf-8"))
        assert set(codes) == {0}, result.stderr
        assert "activity_bench" in asked
        return set(asked)

    return run


@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["score", "--help"]])
def test_help_imports_nothing_heavy(imported: Callable[..., set[str]], argv: list[str]) -> None:
    assert imported(argv) & (HEAVY | {"numpy", "h5py", "rich"}) == set()


def test_a_builders_options_are_shown_without_anything_heavy(imported: Callable[..., set[str]]) -> None:
    assert imported(["build-dataset", "--help"]) & HEAVY == set()  # builders bring numpy with their options


def test_the_way_from_annotations_to_a_score_imports_nothing_heavy(imported: Callable[..., set[str]]) -> None:
    asked = imported(
        ["simulate", "corpus", "--out", "corpus"],
        ["build-dataset", "relocalization", "--annotations", "corpus/activitynet.json", "--out", "manifest"],
        ["run-baseline", "random", "--manifest", "manifest", "--split", "test", "--out", "run"],
        ["score", "run/predictions.jsonl", "--manifest", "manifest", "--split", "test"],
    )
    assert asked & HEAVY == set()


def test_the_scorer_alone_imports_numpy_and_no_more(environment: Callable[..., dict[str, str]]) -> None:
    code = "import sys, activity_bench.scoring.moments as m; print(*{n.partition('.')[0] for n in sys.modules})"
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, env=environment(), capture_output=True, encoding="utf-8", check=True)
    names = set(done.stdout.split())
    assert "numpy" in names
    assert names & (HEAVY | {"h5py", "msgspec", "click", "rich"}) == set()

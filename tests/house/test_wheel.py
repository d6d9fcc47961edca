"""The wheel, built from the sdist, in an environment that has nothing but what the wheel asks for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pandas
import pytest

from activity_bench import __version__

pytestmark = pytest.mark.check

ROOT = Path(__file__).resolve().parents[2]
# Nothing of the checkout may be seen from the installed package.
OUTSIDE = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


def run(*command: object, cwd: Path) -> str:
    """Standard output of a command that must succeed."""
    result = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=OUTSIDE, capture_output=True, encoding="utf-8", check=False
    )
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stdout}\n{result.stderr}"
    assert "Traceback" not in result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sdist and the wheel that was built from it."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", out, ROOT, cwd=out)
    return out


@pytest.fixture(scope="module")
def outside(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder far from the checkout, and the programs of a fresh environment with the base install."""
    home = tmp_path_factory.mktemp("outside")
    run(sys.executable, "-m", "venv", "env", cwd=home)
    programs = home / "env" / ("Scripts" if os.name == "nt" else "bin")
    (wheel,) = dist.glob("*.whl")
    run(programs / "python", "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel, cwd=home)
    return home, programs


def names_in(dist: Path) -> tuple[list[str], list[str]]:
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive, tarfile.open(sdist) as tar:
        return archive.namelist(), [name.partition("/")[2] for name in tar.getnames()]


def test_the_wheel_holds_what_a_user_needs(dist: Path) -> None:
    wheel, sdist = names_in(dist)
    for held in ("activity_bench/py.typed", "activity_bench/manifests/digests.csv"):
        assert held in wheel
    published = {path.name for path in (ROOT / "manifests" / "published").glob("*.csv")}
    assert published
    assert {f"activity_bench/manifests/published/{name}" for name in published} <= set(wheel)
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "activity_bench").rglob("*.py")}
    assert modules <= set(wheel)
    assert modules <= set(sdist)
    assert any(name.endswith("licenses/LICENSE") for name in wheel)


def test_the_wheel_claims_one_name(dist: Path) -> None:
    wheel, _ = names_in(dist)
    assert {name.partition("/")[0] for name in wheel} <= {"activity_bench", f"activity_bench-{__version__}.dist-info"}


def test_the_base_install_is_light(outside: tuple[Path, Path]) -> None:
    home, programs = outside
    found = "import importlib.util as u; print([n for n in ('torch', 'pandas', 'scipy') if u.find_spec(n)])"
    assert run(programs / "python", "-c", found, cwd=home).strip() == "[]"
    where = run(programs / "python", "-c", "import activity_bench; print(activity_bench.__file__)", cwd=home)
    assert Path(where.strip()).is_relative_to(home)


def test_the_command_stands_alone_with_its_version(outside: tuple[Path, Path]) -> None:
    """As pipx leaves it: called by its path, from anywhere, with nothing activated."""
    home, programs = outside
    assert run(programs / "activity-bench", "--version", cwd=home).split()[-1] == __version__
    stated = "from importlib.metadata import version; print(version('activity-bench'))"
    assert run(programs / "python", "-c", stated, cwd=home).strip() == __version__


def test_a_plugin_beside_the_wheel(outside: tuple[Path, Path]) -> None:
    """Without torch: the method of numbers works, the network is listed with what it lacks, and so are ours."""
    home, programs = outside
    shutil.copytree(ROOT / "examples" / "plugin", home / "plugin")
    run(programs / "python", "-m", "pip", "install", "--quiet", "--no-deps", "./plugin", cwd=home)
    listed = run(programs / "activity-bench", "list", "methods", cwd=home)
    assert "query-length\tmethods\tAn answer in proportion" in listed
    assert "No module named 'torch'" in next(line for line in listed.splitlines() if line.startswith("row-match\t"))
    assert "\ncgbm\t" in listed
    run(programs / "activity-bench", "simulate", "corpus", "--out", "corpus-2", cwd=home)
    run(programs / "activity-bench", "build-dataset", "relocalization", "--annotations", "corpus-2/activitynet.json",
        "--out", "manifest-2", cwd=home)  # fmt: skip
    run(programs / "activity-bench", "run-baseline", "query-length", "--manifest", "manifest-2", "--split", "test",
        "--out", "mine", cwd=home)  # fmt: skip
    assert json.loads((home / "mine" / "report.json").read_text())["method"]["package"] == "my-methods 0.1.0"


def test_the_whole_way_without_the_extras(outside: tuple[Path, Path]) -> None:
    home, programs = outside

    def bench(*args: str) -> None:
        run(programs / "activity-bench", *args, cwd=home)

    bench("simulate", "corpus", "--out", "corpus")
    bench("build-dataset", "relocalization", "--annotations", "corpus/activitynet.json", "--out", "manifest")
    reports = []
    for method in ("random", "statistical-prior"):
        bench("run-baseline", method, "--manifest", "manifest", "--split", "test", "--out", method)
        answers, again = f"{method}/predictions.jsonl", f"{method}-again.json"
        bench("score", answers, "--manifest", "manifest", "--split", "test", "--json", again)
        assert metrics(home / again) == metrics(home / method / "report.json")
        reports.append(f"{method}/report.json")
    bench("leaderboard", *reports, "--csv", "board.csv")

    board = pandas.read_csv(home / "board.csv")  # the developer's pandas: that environment has none
    measured = board[board["source"] == "measured"]
    assert sorted(measured["method"]) == ["random", "statistical-prior"]
    expected = {"rank", "method", "benchmark", "version", "split", "mIoU", "asked", "answered", "source", "date"}
    assert expected <= set(board.columns)
    assert measured["mIoU"].between(0, 1).all()


def metrics(report: Path) -> dict[str, float]:
    return json.loads(report.read_text(encoding="utf-8"))["metrics"]

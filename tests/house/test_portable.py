"""Any machine: its paths, its locale, a home that cannot be written to, the names that its file system takes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "a b ü 影"
NOWHERE = "/proc/nowhere"  # no one can make a folder there
# Python alone would take UTF-8 for the locale C: this is the locale as it was.
ASCII = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
UTF8 = {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "0"}

# One process that runs every command, and in which a text file without a stated encoding is an error.
RUN = """
import json, os, sys, traceback, warnings
warnings.filterwarnings("error", category=EncodingWarning, module=r"activity_bench")
from activity_bench.cli import main
for line in sys.stdin:
    try:
        code = main([os.fsdecode(word.encode()) for word in json.loads(line)])  # as the system hands them over
    except BaseException:
        traceback.print_exc()
        code = 99
    if code:
        sys.exit(f"{code}: {line}")
"""


def together(commands: list[list[object]], folder: Path, env: dict[str, str]) -> str:
    """What a process says that runs the commands one after the other in a folder; none may fail."""
    lines = "".join(json.dumps([str(word) for word in command]) + "\n" for command in commands)
    result = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-c", RUN],
        cwd=folder, env=env, input=lines.encode(), capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    said = (result.stdout + result.stderr).decode("utf-8", "replace")
    assert result.returncode == 0 and "Traceback" not in said, said[-3000:]
    return said


def annotations(ids: list[str], labels: list[str]) -> str:
    """Videos in which each class is seen twice."""
    segments = [(3.0, 9.0), (12.0, 20.0), (25.0, 40.0), (45.0, 58.0)]
    rows = [{"label": labels[place % len(labels)], "segment": segment} for place, segment in enumerate(segments)]
    subsets = ("training", "validation", "testing")
    database = {
        name: {"subset": subsets[place % 3], "duration": 60.0, "annotations": [
            {**row, "label": labels[(labels.index(row["label"]) + place) % len(labels)]} for row in rows]}
        for place, name in enumerate(ids)
    }  # fmt: skip
    return json.dumps({"database": database}, ensure_ascii=False)


def whole_way(name: str) -> list[list[object]]:
    """What most people run, with `name` in whatever is named."""
    run, table = ["--manifest", name, "--split", "test"], ["--manifest", name, "--features", f"{name}.h5"]
    small = ["--set", "steps=2", "--set", "batch=4", "--set", "hidden=8", "--device", "cpu"]
    return [
        ["build-dataset", "relocalization", "--annotations", f"{name}.json", "--out", name],
        ["inspect", name], ["validate", name], ["verify", name],
        ["simulate", "features", "--manifest", name, "--out", f"{name}.h5", "--set", "dim=4"],
        ["inspect", f"{name}.h5", "--manifest", name], ["validate", f"{name}.h5"], ["verify", f"{name}.h5"],
        ["run-baseline", "random", *run, "--out", f"{name}-run"],
        ["run-baseline", "statistical-prior", *run, "--out", f"{name}-prior"],
        ["score", f"{name}-run/predictions.jsonl", *run, "--json", f"{name}-report.json"],
        ["leaderboard", f"{name}-run", f"{name}-prior", "--csv", f"{name}.csv"],
        ["compare", f"{name}-run", f"{name}-prior"],
        ["report", f"{name}-run", f"{name}-prior", "--out", f"{name}.html"],
        *(["export", name, "--to", to, "--out", f"{name}-{to}"] for to in ("hf", "video_reloc")),
        ["export", name, "--to", "opentad", "--split", "test", "--out", f"{name}-opentad"],
        ["export", name, "--to", "qvhighlights", "--split", "test", "--out", f"{name}-q.jsonl"],
        ["import", f"{name}-hf", "--from", "hf", "--out", f"{name}-again"],
        ["train", "cgbm", *table, "--out", f"{name}-trained", *small],
        ["predict", f"{name}-trained", *table, "--split", "test", "--out", f"{name}-answers"],
        ["verify", f"{name}-trained"], ["list"], ["doctor"], ["where", "kinetics-400", "--folder", name],
    ]  # fmt: skip


@pytest.mark.check
@pytest.mark.parametrize("locale", [ASCII, UTF8], ids=["C", "C.UTF-8"])
def test_every_path_and_every_locale(
    locale: dict[str, str], tmp_path: Path, environment: Callable[..., dict[str, str]]
) -> None:
    """Spaces and signs of two scripts in every path and in every name, and a home that is not there."""
    folder = tmp_path / FOLDER
    folder.mkdir()
    labels = ["Tauchen ü", "影 play", *(f"class {place}" for place in range(8))]
    (folder / f"{FOLDER}.json").write_text(annotations([f"vidéo {n} 影" for n in range(60)], labels), encoding="utf-8")
    env = {**environment(HOME=NOWHERE, TMPDIR=str(folder)), **locale}
    for name in ("XDG_CACHE_HOME", "USERPROFILE"):
        env.pop(name, None)
    together(whole_way(FOLDER), folder, env)
    check_names(folder)


# ---- names of files -------------------------------------------------------------------------------------------------

DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
IMPOSSIBLE = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


def check_names(folder: Path) -> None:
    """Every name below a folder is one that Windows takes, too, and no two are one where case is not told apart."""
    found = [path.relative_to(folder) for path in folder.rglob("*")]
    assert len(found) > 20
    for path in found:
        assert not IMPOSSIBLE.search(path.name), path
        assert not DEVICES.fullmatch(path.name), path
        assert path.name[-1] not in ". ", path
        assert len(path.name.encode()) <= 255, path
    assert len({str(path).casefold() for path in found}) == len(found)


@pytest.mark.check
def test_ids_that_no_file_system_takes(tmp_path: Path, environment: Callable[..., dict[str, str]]) -> None:
    """They are videos like others, and name no file."""
    evil = ["con", "a:b", "x?y*", "lpt1.txt", '"q"', "end.", "a|b", "<x>", "é" * 200, "A:B", "CON", "AUX"]
    ids = [f"{name}{n or ''}" if n else name for n in range(5) for name in evil]
    labels = ["nul", "a:b", "c<d>", "aux", "con", "x|y", 'd"e', "f*", "g?", "h"]
    (tmp_path / "m.json").write_text(annotations(ids, labels), encoding="utf-8")
    together(whole_way("m"), tmp_path, environment())
    check_names(tmp_path)


# ---- the sources ----------------------------------------------------------------------------------------------------


def sources() -> list[Path]:
    folders = ("activity_bench", "benchmarks", "examples", "tests")
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.quick
def test_no_file_names_the_temporary_folder() -> None:
    """tempfile knows it, and TMPDIR moves it. Sockets alone lie in a place whose name is short."""
    here = Path(__file__).relative_to(ROOT)
    named = re.compile(r"""["'(\s]/(?:var/)?tmp\b""")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sources() if path != ROOT / here
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if named.search(line) and "socket" not in line and "activity-bench-ray-" not in path.read_text(encoding="utf-8")
    ]  # fmt: skip
    assert found == []


@pytest.mark.quick
def test_every_text_file_says_its_encoding() -> None:
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--preview", "--select", "PLW1514", "--quiet",
               "--output-format", "json", "activity_bench", "examples"]  # fmt: skip
    result = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    found = [(Path(row["filename"]), row["location"]["row"]) for row in json.loads(result.stdout)]
    lines = [f"{path}:{row}: {path.read_text(encoding='utf-8').splitlines()[row - 1].strip()}" for path, row in found]
    assert [line for line in lines if "devnull" not in line] == []


# ---- what a terminal cannot show ------------------------------------------------------------------------------------


@pytest.mark.quick
def test_what_a_terminal_cannot_show_is_escaped(tmp_path: Path, environment: Callable[..., dict[str, str]]) -> None:
    """An id in signs that the locale lacks, and a folder whose name is no text at all."""
    (tmp_path / "影.json").write_text(annotations([f"影{n}" for n in range(60)], [*"影ÜABCDEFGH"]), encoding="utf-8")
    commands: list[list[object]] = [
        ["build-dataset", "relocalization", "--annotations", "影.json", "--out", "影"], ["inspect", "影"],
    ]  # fmt: skip
    said = together(commands, tmp_path, {**environment(), **ASCII})
    assert said.count("sha256:") >= 2
    if sys.platform == "linux":
        odd = os.fsencode(tmp_path) + b"/\xff\xfe.json"
        Path(os.fsdecode(odd)).write_bytes((tmp_path / "影.json").read_bytes())
        command = [sys.executable, "-m", "activity_bench", "build-dataset", "relocalization", "--annotations", odd,
                   "--out", os.fsencode(tmp_path) + b"/\xff"]  # fmt: skip
        result = subprocess.run(command, env=environment(), capture_output=True, check=False)
        assert b"Traceback" not in result.stderr, result.stderr.decode("utf-8", "replace")
        assert result.returncode in (0, 2)


@pytest.mark.quick
def test_nobody_has_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke: Any) -> None:
    """A container runs as a number that no table of users knows."""

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.chdir(tmp_path)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert "cache" in invoke("doctor", code=0).out

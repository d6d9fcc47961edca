"""No command asks a network: each runs where there is none, and whoever looks for one is written down."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import clean_environment
from tests.faults.harness import prepare
from tests.faults.table import ROWS, Row

WATCH = """
import os, sys

ASKS = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"}

def hook(event, args):
    if event in ASKS and not (event == "socket.connect" and isinstance(args[1], (str, bytes))):
        with open(os.environ["ASKED"], "a") as stream:
            stream.write(f"{event} {args[1:]!r} {sys.argv!r}\\n")
        raise OSError(event)

sys.addaudithook(hook)
"""


def offline() -> list[str]:
    """Words before a command's, with which it has no network at all, where the system can do that."""
    words = ["unshare", "--net", "--map-root-user"]
    can = sys.platform == "linux" and shutil.which("unshare")
    return words if can and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0 else []


def without_network(row: Row, stage: Path, folder: Path) -> None:
    """The row's call succeeds with no network, and does not ask for one."""
    prepare(row, stage, folder)
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(WATCH)
    env = clean_environment(ASKED=str(folder / "asked"), OMP_NUM_THREADS="1", HOME=str(folder))
    env["PYTHONPATH"] = f"{folder / 'site'}{os.pathsep}{env['PYTHONPATH']}"
    argv = [*offline(), sys.executable, "-m", "activity_bench", *row.words]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert not (folder / "asked").exists(), (folder / "asked").read_text()


@pytest.mark.parametrize(
    "row", [pytest.param(row, marks=pytest.mark.nightly if row.heavy else pytest.mark.check) for row in ROWS],
    ids=lambda row: " ".join(row.words[:2]),
)  # fmt: skip
def test_no_command_asks_a_network(row: Row, stage: Path, tmp_path: Path) -> None:
    without_network(row, stage, tmp_path / "case")


@pytest.mark.quick
def test_a_question_to_a_network_is_seen(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    code = "import socket; socket.create_connection(('127.0.0.1', 9))"
    env = clean_environment(PYTHONPATH=str(tmp_path), ASKED=str(tmp_path / "asked"))
    assert subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=False).returncode
    assert "socket.getaddrinfo" in (tmp_path / "asked").read_text()

"""One job a folder, in real processes: a second one is refused at once, and a killed one leaves nothing held."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from activity_bench import catalog
from activity_bench.data.lock import alone
from activity_bench.errors import InputError
from activity_bench.workflow.reproduce import reproduce
from activity_bench.workflow.train import train
from tests.conftest import ROOT
from tests.training import made

pytestmark = pytest.mark.check

REPRODUCE = """
import sys, time
from activity_bench.workflow.reproduce import reproduce

def stay(text):
    if text == "random, seed 0":
        print("here", flush=True)
        time.sleep(600)

reproduce("relocalization", sys.argv[1], size="tiny", only=["random"], say=stay)
"""
TRAIN = """
import sys, time
from activity_bench import catalog
from activity_bench.workflow.train import train
from activity_bench.training.watch import Silent

class Stay(Silent):
    def step(self, progress):
        print("here", flush=True)
        time.sleep(600)

catalog.METHODS["toy"] = "tests.training.toy:Method"
folder, manifest, features = sys.argv[1:]
train("toy", manifest, folder, features=features, options={"steps": 4}, watch=Stay())
"""
FORK = """
import os, sys, time
from pathlib import Path
from activity_bench.data.lock import alone

with alone(Path(sys.argv[1]), "job"):
    if not os.fork():
        print(os.getpid(), flush=True)
    time.sleep(600)
"""


@contextmanager
def other(script: str, *words: object) -> Iterator[str]:
    """Another process at work, from its first line on, which is given; killed at the end."""
    command = [sys.executable, "-c", script, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline().strip()
            assert said, "it ended before it began"
            yield said
        finally:
            process.kill()


def test_a_second_reproduction_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with other(REPRODUCE, out):
        held = sorted(out.rglob("*"))
        with pytest.raises(InputError, match=r"out: another reproduction runs here\..* name another folder"):
            reproduce("relocalization", out, size="tiny", only=["random"])
        assert sorted(out.rglob("*")) == held
        other_out = reproduce("relocalization", tmp_path / "beside", size="tiny", only=["random"])
    found = reproduce("relocalization", out, size="tiny", only=["random"])
    assert found.outcomes == other_out.outcomes
    assert {path.name for path in out.iterdir()} == {path.name for path in (tmp_path / "beside").iterdir()}


@pytest.mark.parametrize("how", [{"resume": True}, {"force": True}])
def test_a_second_training_is_refused_until_the_first_is_killed(
    tmp_path: Path, how: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(catalog.METHODS, "toy", "tests.training.toy:Method")
    manifest, features = made.manifest(tmp_path / "manifest").folder, made.features(tmp_path / "features.h5").path

    def again() -> int:
        return int(train("toy", manifest, tmp_path / "run", features=features, options={"steps": 4}, **how)
                   .fitted["steps"])  # fmt: skip

    with other(TRAIN, tmp_path / "run", manifest, features):
        page = (tmp_path / "run" / "run.json").read_bytes()
        with pytest.raises(InputError, match="run: another training runs here"):
            again()
        assert (tmp_path / "run" / "run.json").read_bytes() == page
    assert again() == 4
    assert again() == 4  # what this process held it has given back


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_that_outlives_a_killed_job_holds_nothing(tmp_path: Path) -> None:
    """A reader of features is such a child."""
    with (
        other(FORK, tmp_path) as said,
        pytest.raises(InputError, match="another job runs here"),
        alone(tmp_path, "job"),
    ):
        raise AssertionError
    child = int(said)
    try:
        os.kill(child, 0)  # it lives
        with alone(tmp_path, "job"), pytest.raises(InputError, match="another job"), alone(tmp_path, "job"):
            raise AssertionError
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def test_a_folder_that_cannot_be_locked_is_used_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activity_bench.data.lock.fcntl", None)
    with alone(tmp_path, "job"), alone(tmp_path, "job"):
        assert tmp_path.is_dir()

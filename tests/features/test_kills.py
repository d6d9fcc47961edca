"""Jobs that are killed at any moment, from outside: nothing that was finished is lost, and the bytes are the same."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from activity_bench.data.features import parts_folder
from activity_bench.features import ledger
from activity_bench.workflow.extract import extract_features
from tests.features.processes import (
    ACTOR,
    NETWORK,
    TINY,
    WORKER,
    check_parts,
    kill,
    like,
    lives,
    parts,
    sha256,
    started,
    wait_for,
)  # fmt: skip

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]
WORDS = {  # who is killed: how the job is started
    "parent": [],
    "worker": [],
    "ray driver": ["--engine", "ray"],
    "parent of one that hangs": [],
    "network": ["--one-network"],
}


def strike(job: subprocess.Popen[str], out: Path, who: str) -> None:
    """SIGKILL to the parent, with which all that it started must die; before that, to one without which it goes on."""
    role = {"worker": WORKER, "network": NETWORK, "parent of one that hangs": WORKER}.get(who)
    if role:
        wait_for(lambda: like(job.pid, role) or job.poll() is not None)
    count = len(parts(out))
    for pid in like(job.pid, role)[:1] if role else []:
        if who == "parent of one that hangs":
            kill(pid, signal.SIGSTOP)  # as in native code, where no thread of its own runs
        else:
            kill(pid, signal.SIGKILL)
            wait_for(lambda: len(parts(out)) > count or job.poll() is not None or not parts_folder(out).exists())
    below = [pid for words in (WORKER, NETWORK, ACTOR) for pid in like(job.pid, words)]
    job.kill()
    job.wait()
    wait_for(lambda: not any(map(lives, below)), 60)


@pytest.mark.parametrize(
    "kills", [pytest.param(3, marks=pytest.mark.check), pytest.param(30, marks=pytest.mark.nightly)]
)
def test_killed_anywhere_and_resumed_it_ends_with_the_same_bytes(kills: int, real_data: Path, tmp_path: Path) -> None:
    videos, plain, out = real_data / "videos", tmp_path / "plain.h5", tmp_path / "features.h5"
    whole = extract_features(videos, TINY, plain, random_weights=True, stride=8, workers=2)
    assert whole.failed == {"corrupt": 1}
    moments = np.random.Generator(np.random.Philox(key=9))
    kept: dict[str, tuple[int, int]] = {}
    hit = 0
    for number in range(kills):
        who = list(WORDS)[number % len(WORDS)]
        enough = len(kept) + int(moments.integers(0, 3)) + (who == "parent of one that hangs")  # it must have begun
        with started(videos, out, *WORDS[who]) as job:
            wait_for(lambda job=job, enough=enough: len(parts(out)) >= enough or job.poll() is not None)
            time.sleep(moments.uniform(0, 3))
            hit += job.poll() is None
            strike(job, out, who)
        if out.exists():  # it was quicker: begin anew
            assert sha256(out) == sha256(plain)
            shutil.rmtree(parts_folder(out), ignore_errors=True)
            out.unlink()
        else:
            assert kept.items() <= parts(out).items()  # what was finished stays, and is not made again
            check_parts(out)
        kept = parts(out)
    assert hit >= 0.6 * kills
    with started(videos, out) as job:
        assert job.wait(300) == 0
    assert sha256(out) == sha256(plain)
    assert ledger.read(ledger.ledger_of(out)).keys() == ledger.read(whole.ledger).keys()

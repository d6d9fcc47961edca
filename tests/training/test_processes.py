"""Real processes: one that is killed at a random step and goes on, and two that train as one."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

from activity_bench import chance
from tests.conftest import assert_exit
from tests.training.conftest import Benchmark

pytestmark = pytest.mark.check

COMMAND = Path(__file__).with_name("command.py")
SETTINGS = ("--set", "steps=60", "--set", "validate_every=10", "--set", "log_every=1", "--set", "lr=0.03")
Environment = Callable[..., dict[str, str]]


def words(benchmark: Benchmark, out: Path, *more: str) -> list[str]:
    start = ("--manifest", benchmark.manifest.folder, "--features", benchmark.features.path, "--out", out)
    return ["train", "toy", *map(str, start), "--device", "cpu", *SETTINGS, *more]


def finish(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False, timeout=240)
    assert_exit(done, 0)


def steps_done(folder: Path) -> int:
    path = folder / "metrics.csv"
    return len(path.read_text().splitlines()) - 1 if path.exists() else 0


def status(folder: Path) -> str:
    return str(json.loads((folder / "run.json").read_text())["status"])


def test_killed_at_a_random_step_a_run_goes_on_to_the_same_weights(
    benchmark: Benchmark, tmp_path: Path, environment: Environment
) -> None:
    here = environment(OMP_NUM_THREADS="1")
    finish([sys.executable, str(COMMAND), *words(benchmark, tmp_path / "whole")], here)
    seed = os.getpid()  # another step in each run of this test; a failure names it
    run, kills = tmp_path / "run", []
    for attempt in range(2):
        step = chance.integer(seed, str(attempt), "kill", 3 + 25 * attempt, 28 + 25 * attempt)
        command = [sys.executable, str(COMMAND), *words(benchmark, run, "--set", "workers=1", "--resume")]
        with subprocess.Popen(command, env=here, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 120
            while steps_done(run) < step and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.001)
            process.kill()
        kills.append((step, steps_done(run)))
    assert status(run) == "training", kills
    finish([sys.executable, str(COMMAND), *words(benchmark, run, "--resume")], here)
    assert status(run) == "done"
    for name in ("last.safetensors", "best.safetensors", "state-60.safetensors"):
        assert (run / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), (name, seed, kills)


def test_two_processes_train_as_one_of_twice_the_batch(
    benchmark: Benchmark, tmp_path: Path, environment: Environment
) -> None:
    here = environment(OMP_NUM_THREADS="1")
    plain = ("--set", "dropout=0")  # masks belong to a process
    finish([sys.executable, str(COMMAND), *words(benchmark, tmp_path / "one", *plain)], here)
    several = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(COMMAND)]
    finish([*several, *words(benchmark, tmp_path / "two", *plain)], here)
    one, two = (load_file(tmp_path / name / "last.safetensors") for name in ("one", "two"))
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-4
    found = json.loads((tmp_path / "two" / "run.json").read_text())["fitted"]
    assert (found["processes"], found["batch"], found["steps"]) == (2, 8, 60)
    with (tmp_path / "two" / "metrics.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["step"]) for row in rows] == list(range(1, 61))  # one writer
    command = [*several, *words(benchmark, tmp_path / "two")]
    refused = subprocess.run(command, env=here, capture_output=True, encoding="utf-8", check=False, timeout=240)
    assert "two: the folder exists" in refused.stderr and "the first process refuses" in refused.stderr
    assert "activity_bench/workflow" not in refused.stderr  # torchrun's own traceback apart
    alone = json.loads((tmp_path / "one" / "run.json").read_text())["fitted"]
    assert found["val_mIoU"] == pytest.approx(alone["val_mIoU"], abs=1e-4)


def test_without_a_compiler_it_is_said(benchmark: Benchmark, tmp_path: Path, environment: Environment) -> None:
    here = environment(CXX="/nonexistent", TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "cache"))
    command = [sys.executable, str(COMMAND), *words(benchmark, tmp_path / "run", "--compile")]
    done = subprocess.run(command, env=here, capture_output=True, encoding="utf-8", check=False, timeout=240)
    assert_exit(done, 1)
    assert "compile: the compiler failed" in done.stderr
    assert status(tmp_path / "run") == "failed"

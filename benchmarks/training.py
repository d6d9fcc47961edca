"""The loader against the step it feeds: how long the loop stands still, and what a step holds in memory.

Goals: under 5 % of the time waiting; drawing an epoch of the released size costs less than one of its steps.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from timing import row

from activity_bench.data.features import Attributes, FeatureStore, write_store

VIDEOS, ROWS, DIM, BATCH, STEPS = 200, 220, 500, 32, 20  # rows and numbers a row as in the paper; fewer pairs a step
RELEASED, CLASSES = 7593, 160


def store(path: Path) -> None:
    """Features of the paper's size."""
    attributes = Attributes(
        backbone="noise", weights_sha256="none", decoder="none", decoder_version="none", fps=30.0, window=16, stride=16,
        offset=0, dtype="float16", layer="none", projection="none", dim=DIM,
    )  # fmt: skip
    noise = np.random.Generator(np.random.Philox(key=1))
    write_store(path, attributes, ((f"v{n}", noise.standard_normal((ROWS, DIM), np.float32)) for n in range(VIDEOS)))


def pairs(count: int, videos: int, classes: int) -> list[Any]:
    """Questions whose windows are 20 to ROWS rows long."""
    from activity_bench.training.pairs import Pair

    found = []
    for n in range(count):
        rows = 20 + n * 37 % (ROWS - 20)
        found.append(Pair(f"s{n}", f"class {n % classes}", f"v{n % videos}", (0, rows), ((3, 3 + 5 + n % 12),),
                          f"v{(n + 1) % videos}", (0, 8)))  # fmt: skip
    return found


def feed(path: str, workers: int, precision: str) -> None:
    """Some steps of cgbm in the loop itself; what they cost, as JSON."""
    import resource

    import torch

    from activity_bench.models.cgbm import CGBM, Options
    from activity_bench.training.distributed import Processes, device_of
    from activity_bench.training.keeper import Job
    from activity_bench.training.loop import train
    from activity_bench.training.options import TrainOptions
    from activity_bench.training.plan import Plan

    options: Any = {"batch": BATCH, "steps": STEPS, "workers": workers, "precision": precision}
    plan, device = Plan(pairs(400, VIDEOS, 20), 0, TrainOptions(**options)), device_of("auto", Processes())
    job = Job(CGBM(DIM, Options()).to(device), plan, [], FeatureStore(Path(path)), 0, device)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = train(job)
    held = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    if device.type == "cuda":
        held = torch.cuda.max_memory_allocated()
    what = {"device": str(device), "threads": torch.get_num_threads(), "memory": held, "waited": outcome.waited}
    print(json.dumps(what | {"step": outcome.state.seconds / STEPS}))


def run(path: Path, workers: int, precision: str) -> dict[str, Any]:
    """`feed` in a process of its own, so that its memory is its own."""
    command = [sys.executable, __file__, "feed", str(path), str(workers), precision]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."})
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    from activity_bench.training.options import TrainOptions
    from activity_bench.training.plan import Plan

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.h5"
        store(path)
        found = {(w, p): [run(path, w, p) for _ in range(3)] for w in (0, 2) for p in ("float32",)}
        found[2, "bf16"] = [run(path, 2, "bf16")]
    for (workers, precision), runs in found.items():
        step, waited = (statistics.median(each[name] for each in runs) for name in ("step", "waited"))
        memory = max(each["memory"] for each in runs)
        machine = f"{runs[0]['device']}, {runs[0]['threads']} threads"
        row(f"cgbm, batch {BATCH}, {precision}, {workers} workers, waiting for features", 100 * waited, "at most 5 %",
            "the time of the loop", f"{machine}: {step * 1000:.0f} ms a step, {BATCH / step:,.0f} samples/s, "
            f"{memory / 2**20:,.0f} MB held by a step")  # fmt: skip
    plan = Plan(pairs(RELEASED, RELEASED // 2, CLASSES), 0, TrainOptions())
    times = []
    for epoch in range(5):
        started = time.perf_counter()
        plan.epoch(epoch)
        times.append(time.perf_counter() - started)
    step = statistics.median(each["step"] for each in found[2, "float32"])
    drawn = statistics.median(times)
    row(f"an epoch of {RELEASED:,} pairs drawn, shortened and bucketed", drawn / step, "at most 1 x",
        f"a step of {BATCH} pairs", f"{drawn * 1000:.0f} ms")  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["feed"]:
        feed(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        main()

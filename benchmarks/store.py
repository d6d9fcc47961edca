"""The feature store: reading against h5py, two processes against one, and opening 20,000 videos.

Goals: whole videos and windows at 0.9 x h5py's rate on the same contiguous datasets, or better; two readers 1.5 x one;
opening not more than a tenth of what walking the groups costs. All files are in the page cache; every pair is timed in
turn, and the medians of the ratios are printed.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from timing import row

from activity_bench.data.features import Attributes, FeatureStore, write_store

VIDEOS, ROWS, DIM = 400, 200, 500  # 160 MB
MANY, SHORT = 20_000, 2
WINDOW = 32
ROUNDS = 9
TIMES = 6  # how often a process reads everything
MADE = Attributes("c3d", "none", "none", "none", 30.0, 16, 8, 0, "float32", "fc7", "none", DIM)


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def ratios(ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float, float]:
    """The median of theirs / ours, so that 2 is twice as fast, and the medians of both."""
    ours(), theirs()  # warm the caches
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(ROUNDS)]
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    return statistics.median(theirs / ours for ours, theirs in pairs), a, b


def order() -> list[tuple[str, int]]:
    """Videos and first rows in the order of a shuffled epoch."""
    draw = np.random.default_rng(0)
    return [(f"v{video}", int(first)) for video, first in
            zip(draw.permutation(VIDEOS), draw.integers(0, ROWS - WINDOW, VIDEOS), strict=True)]  # fmt: skip


def reading(path: Path) -> None:
    store, asked = FeatureStore(path), order()
    with h5py.File(path, "r") as file:
        whole = ratios(
            lambda: [store.read(video) for video, _ in asked],
            lambda: [file[f"features/{video}"][:] for video, _ in asked],
        )
        part = ratios(
            lambda: [store.read(video, first, first + WINDOW) for video, first in asked],
            lambda: [file[f"features/{video}"][first : first + WINDOW] for video, first in asked],
        )
    for what, (ratio, ours, _), rows in (("whole videos", whole, ROWS), (f"windows of {WINDOW} rows", part, WINDOW)):
        rate = VIDEOS * rows * DIM * 4 / ours / 1e9
        row(f"store, {what}", ratio, "at least 0.9 x", "h5py", f"{rate:.1f} GB/s")


def work(path: str, times: str) -> None:
    """Read everything several times when told to start; the seconds as JSON."""
    store, asked = FeatureStore(Path(path)), order()
    [store.read(video) for video, _ in asked]
    print(flush=True)
    sys.stdin.readline()  # all start together
    print(json.dumps(seconds(lambda: [store.read(video) for _ in range(int(times)) for video, _ in asked])))


def rate(readers: int, path: Path) -> float:
    """Videos a second of so many processes at once."""
    command = [sys.executable, __file__, str(path), str(TIMES)]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(readers)
    ]
    for process in running:
        assert process.stdout and process.stdout.readline()
    for process in running:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    return readers * TIMES * VIDEOS / max(json.loads(process.communicate()[0]) for process in running)


def opening(path: Path) -> None:
    def walked() -> int:
        with h5py.File(path, "r") as file:
            return sum(len(dataset) for dataset in file["features"].values())

    ratio, ours, theirs = ratios(lambda: FeatureStore(path).ids(), walked)
    row(f"store, opening {MANY:,} videos", ratio, "at least 10 x", "walking the groups",
        f"{ours * 1000:.0f} ms and {theirs * 1000:.0f} ms")  # fmt: skip
    row(f"store, opening {MANY:,} videos, time", ours * 1000, "at most 50 ms", "no reference")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.h5"
        draw = np.random.default_rng(0)
        arrays = ((f"v{i}", draw.standard_normal((ROWS, DIM), np.float32)) for i in range(VIDEOS))
        reading(write_store(path, MADE, arrays))
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        pairs = [(rate(1, path), rate(2, path)) for _ in range(ROUNDS)]
        ratio, two = statistics.median(b / a for a, b in pairs), statistics.median(b for _, b in pairs)
        row("store, two readers", ratio, "at least 1.5 x", "one reader", f"{two:,.0f} videos/s, {cores} cores")
        many = ((f"v{i:05}", np.ones((SHORT, DIM), np.float32)) for i in range(MANY))
        opening(write_store(Path(folder) / "many.h5", MADE, many))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        work(*sys.argv[1:])
    else:
        main()

"""The windows of re-localization made on the fly, 500 numbers a row, against drawing as many normal numbers.

With ACTIVITY_BENCH_DATA the 9,400 windows of the released protocol, else those of the embedded corpus. Prints the rate,
its ratio to the floor (the median of interleaved runs), the peak of memory, and how many images a second.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from timing import row

from activity_bench.data import manifest as manifests
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.simulate import simulate_corpus, simulated

DIM, RUNS = 500, 3


def built(folder: Path) -> tuple[Path, Path]:
    """A re-localization manifest and an image one: real geometry where there is some."""
    data = os.environ.get("ACTIVITY_BENCH_DATA")
    if data is None:
        simulate_corpus(folder / "corpus")
        annotations = folder / "corpus" / "activitynet.json"
        clips = build_dataset("relocalization", [annotations], folder / "clips")
    else:
        annotations, tables = Path(data, "activitynet", "activity_net.v1-3.min.json"), Path(data, "relocalization")
        given = {"frame_counts": tables / "length.json", "class_order": tables / "perm.npy"}
        clips = build_dataset("relocalization", [annotations], folder / "clips", protocol="released", tables=given)
    return clips.folder, build_dataset("activity-ibal", [annotations], folder / "images").folder


def read_windows(manifest: Path) -> tuple[float, int]:
    """Seconds and bytes of reading the window of every sample, in the manifest's order."""
    asked, world = manifests.load(manifest), simulated(manifest, {"dim": DIM})
    windows = [sample.video for split in asked.splits for sample in asked.samples(split)]
    started, count = time.perf_counter(), 0
    for window in windows:
        rows, (start, end) = world.rows(window.id), window.bounds()
        first = min(int(start / world.timing.step), rows - 1)
        count += world.read(window.id, first, max(first + 1, int(end / world.timing.step))).nbytes
    return time.perf_counter() - started, count


def draw(count: int) -> float:
    """Seconds of drawing that many bytes of normal numbers."""
    generator, some = np.random.Generator(np.random.SFC64(0)), np.empty((220, DIM), np.float32)
    started = time.perf_counter()
    for _ in range(count // some.nbytes):
        generator.standard_normal(out=some, dtype=np.float32)
    return time.perf_counter() - started


with tempfile.TemporaryDirectory() as name:
    clips, images = built(Path(name))
    rates, ratios = [], []
    for _ in range(RUNS):
        took, made = read_windows(clips)
        rates.append(made / took / 1e6)
        ratios.append(took / draw(made))
    row("world, windows made, rate", statistics.median(rates), "at least 200 MB/s", f"{made / 1e6:,.0f} MB")
    row("world, windows made", statistics.median(ratios), "less x", "drawing as many normal numbers")
    world = simulated(images, {"dim": 8})
    frames = world.frames()[:2000]
    started = time.perf_counter()
    for frame in frames:
        world.image(*frame)
    took = time.perf_counter() - started
    row("world, images", len(frames) / took, "more images/s", "512 numbers a region")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    row("world, peak of memory", peak, "at most 500 MB", "no reference")

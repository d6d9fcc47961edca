"""Each paper's method on the embedded corpus, from annotations to a leaderboard, at sizes for a laptop: seconds."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

from timing import command, row

GOAL = 180.0
CLASSES = ("--source", "corpus/kinetics.csv", "--target", "thumos14", "--annotations", "corpus/thumos/annotations_test")
IMAGES = ("--annotations", "corpus/activitynet.json")
RUNS = {  # method: benchmark, options of its builder, of the world, of the method
    "cgbm": ("relocalization", IMAGES, ("dim=64",), ()),
    "sail": (
        "activity-ibal", IMAGES, ("dim=64", "region_dim=64", "global_dim=64"),
        ("hidden=64", "feedforward=256", "rows=100", "batch=32", "steps=200"),
    ),
    "actionbytes": (
        "what2when", CLASSES, ("dim=64",),
        ("words=words.npz", "latent=128", "clusters=50", "batch=32", "pairs=4", "steps=300"),
    ),
}  # fmt: skip


def told(*arguments: str) -> None:
    """Run one command of the toolkit here."""
    subprocess.run(command(*arguments), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def options(pairs: tuple[str, ...]) -> list[str]:
    """`a=1` as `--set a=1`."""
    return [word for pair in pairs for word in ("--set", pair)]


def whole(method: str) -> float:
    """Seconds from annotations to a leaderboard."""
    benchmark, annotations, world, own = RUNS[method]
    started = time.perf_counter()
    told("simulate", "corpus", "--out", "corpus")
    told("build-dataset", benchmark, *annotations, "--out", "manifest")
    told("simulate", "features", "--manifest", "manifest", "--out", "features.h5", *options(world))
    if "words=words.npz" in own:
        told("simulate", "words", "--manifest", "manifest", "--out", "words.npz", *options(world))
    told("run-baseline", method, "--manifest", "manifest", "--split", "test", "--features", "features.h5",
         "--out", "run", *options(own))  # fmt: skip
    told("leaderboard", "run", "--csv", "leaderboard.csv")
    return time.perf_counter() - started


for name in RUNS:
    with tempfile.TemporaryDirectory() as folder:
        here = Path.cwd()
        os.chdir(folder)
        try:
            seconds = whole(name)
            row(f"{name}, from annotations to a leaderboard", seconds, f"at most {GOAL:.0f} s", "two cores")
        finally:
            os.chdir(here)

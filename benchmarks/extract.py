"""Extraction against decoding: whole jobs whose backbone costs nothing, beside processes that do nothing but decode.

Goals: at least 0.9 x the frames a second of as many processes that decode; a worker's memory under 120 MB at 720p, and
no more after 200 videos than after 20. A job's rate is that of its later videos: a start of some seconds is nothing to
a night. Workers that load torch and those that leave it to one process are measured apart.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from decode import FRAMES, GOAL_MB, SIZES, clip, rate
from timing import row

from activity_bench.features.decode import Look
from activity_bench.workflow.extract import extract_features

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
ROUNDS = 5
VIDEOS = {(340, 256): 75, (1280, 720): 20}  # a job, for each core
TIMES = {(340, 256): 20, (1280, 720): 6}  # how often a process that only decodes reads the clip
SKIP = 0.4  # of a job's videos, in which the last worker may still be starting
EARLY, MANY = 20, 200  # videos after which memory is looked at


class Nothing:
    """A backbone that looks at nothing."""

    pixels: tuple[int, int]  # width and height
    name, dim, layer, window, weights_sha256 = "nothing", 1, "none", 16, "none"

    def __init__(self, weights: Path | None, random_weights: bool, device: str) -> None:
        self.look = Look(self.pixels)

    def __call__(self, clips: Any) -> Any:
        return clips.new_ones((len(clips), 1))


class Small(Nothing):
    """For the small clip."""

    pixels = SIZES[(340, 256)]


class Large(Nothing):
    """For the large one."""

    pixels = SIZES[(1280, 720)]


class Watch:
    """When each video ended, and the memory of the processes that made them."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.memory: list[float] = []  # MB, the largest worker's, after EARLY videos and after all

    def __call__(self, outcomes: Iterable[Any], total: int, label: str) -> Iterator[Any]:
        for outcome in outcomes:
            assert outcome.failure is None, outcome.failure
            self.ends.append(time.perf_counter())
            if len(self.ends) in (EARLY, total):
                self.memory.append(max(map(peak, workers())))
            yield outcome


def workers() -> list[int]:
    """The processes that are extraction workers of ours."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"features.worker" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


def peak(pid: int) -> float:
    """MB that a process has held at most."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024


def job(path: Path, folder: Path, videos: int, backbone: str, one_network: bool = False) -> tuple[float, list[float]]:
    """Frames a second of an extraction of so many copies of a clip, and the memory of its workers."""
    with tempfile.TemporaryDirectory(dir=folder) as room:
        (source := Path(room, "videos")).mkdir()
        for number in range(videos):
            (source / f"v{number}.mp4").symlink_to(path)
        watch = Watch()
        extract_features(source, f"extract:{backbone}", Path(room, "f.h5"), random_weights=True, own_rate=True,
                         workers=CORES, one_network=one_network, progress=watch)  # fmt: skip
    first = round(SKIP * len(watch.ends))
    return (len(watch.ends) - 1 - first) * FRAMES / (watch.ends[-1] - watch.ends[first]), watch.memory


def main() -> None:
    print(f"{CORES} cores, load {os.getloadavg()[0]:.1f} before it began")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size, backbone in zip(SIZES, ("Small", "Large"), strict=True):
            path, videos = clip(folder, size), VIDEOS[size]
            ratios: dict[bool, list[float]] = {False: [], True: []}
            for _ in range(ROUNDS):
                for one_network in ratios:
                    decoded = rate(["ours"] * CORES, path, SIZES[size], TIMES[size])[0]
                    ratios[one_network].append(job(path, folder, videos * CORES, backbone, one_network)[0] / decoded)
            own, one = (statistics.median(ratios[key]) for key in (False, True))
            for how, ratio in (("", own), (", one network", one)):
                row(f"extraction, {size[0]} x {size[1]} to {SIZES[size][1]} lines{how}", ratio, "at least 0.9 x",
                    "processes that only decode")  # fmt: skip
        for one_network in (True, False):
            early, late = job(path, folder, MANY, backbone, one_network)[1]
            where = "torch elsewhere" if one_network else "with torch"
            row(f"a worker at 720p, {where}, memory after {MANY} videos", late, f"at most {GOAL_MB} MB",
                f"{early:.0f} MB after {EARLY}")  # fmt: skip


if __name__ == "__main__":
    main()

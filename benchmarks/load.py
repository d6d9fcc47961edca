"""What grows and how: time and memory of the large jobs at three sizes each, every job in a process of its own.

`load.py --full` takes the sizes of the goals (4 GB of disk, half an hour); `load.py moments store` some jobs alone.
Growth is the exponent between the smallest and the largest size: 1 is linear. Time is the processor's.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from timing import row

from activity_bench import chance
from activity_bench.data import manifest
from activity_bench.data.features import Attributes, FeatureStore, write_store
from activity_bench.segments import to_seconds
from activity_bench.types import Built, Grid, Ledger, Query, Sample, Target, Window
from activity_bench.workflow.rank import leaderboard
from activity_bench.workflow.score import score
from activity_bench.workflow.verify import verify

STEP = 16 / 30
A_VIDEO = 100  # detections of a video
CLASSES = [f"Activity {n}" for n in range(200)]
ASKED = 1000  # samples of a report


@dataclass(frozen=True)
class Job:
    """`make` leaves in a folder what `do` is timed with; `do` gives back what it has counted."""

    item: str
    make: Callable[[Path, int], None]
    do: Callable[[Path, int], int]
    small: tuple[int, int, int]
    full: tuple[int, int, int]
    goal: str


# ---- what is scored -------------------------------------------------------------------------------------------------


def moments(count: int) -> Iterator[tuple[str, Sample]]:
    for i in range(count):
        key = chance.key(0, str(i), "load")
        first, length = key % 150, 1 + key // 150 % 32
        grid = Grid(STEP, (0, 200), ((first, first + length),), (5, 5 + length))
        start, end = to_seconds(grid.targets[0], STEP)
        query = Query("clip", video=f"video{(i * 7) % count:08}", start=2.666667, end=2.666667 + end - start)
        window, label = Window(f"video{i:08}", 0.0, to_seconds((0, 200), STEP)[1]), CLASSES[key % 200]
        yield (
            "test",
            Sample(f"test/video{i:08}/0-200/0", query, window, (Target(start, end, label),), label, None, grid),
        )


def detections(count: int) -> Iterator[tuple[str, Sample]]:
    for i in range(count):
        key = chance.key(0, str(i), "load")
        starts = [key // 200**n % 90 for n in range(5)]
        targets = tuple(Target(float(s), s + 7.5, CLASSES[(key + n) % 200]) for n, s in enumerate(starts))
        yield "test", Sample(f"test/{i:06}", Query("classes", vocabulary="all"), Window(f"{i:06}", 0.0, 100.0), targets)


def build(folder: Path, samples: Iterator[tuple[str, Sample]], task: str = "moment") -> None:
    words = {"all": CLASSES} if task == "detection" else {}
    built = Built("load", "1", task, samples, Ledger("sample"), vocabularies=words)  # type: ignore[arg-type]
    manifest.write(folder / "manifest", built, {}, (), lambda page: "")


def moment_answers(folder: Path, count: int) -> None:
    build(folder, moments(count))
    with (folder / "answers.jsonl").open("w", encoding="utf-8") as stream:
        for i in range(count):
            start = chance.number(1, str(i), "answer") * 80
            stream.write(
                f'{{"sample":"test/video{i:08}/0-200/0","segments":[[{start},{start + 1 + i % 17},{i % 100}]]}}\n'
            )


def detection_answers(folder: Path, count: int) -> None:
    videos = max(1, count // A_VIDEO)
    build(folder, detections(videos), "detection")
    draw = np.random.Generator(np.random.Philox(0))
    with (folder / "answers.jsonl").open("w", encoding="utf-8") as stream:
        for i in range(videos):
            starts, scores = (
                draw.uniform(0, 90, A_VIDEO).round(2).tolist(),
                draw.uniform(size=A_VIDEO).round(6).tolist(),
            )
            segments = [[start, start + 7.5, score] for start, score in zip(starts, scores, strict=True)]
            labels = [CLASSES[place] for place in draw.integers(0, 200, A_VIDEO)]
            stream.write(json.dumps({"sample": f"test/{i:06}", "segments": segments, "labels": labels}) + "\n")


def scored(folder: Path, count: int) -> int:
    return score(folder / "answers.jsonl", folder / "manifest", "test").asked and count


# ---- the rest -------------------------------------------------------------------------------------------------------


def nothing(folder: Path, count: int) -> None:
    pass


def frozen(folder: Path, count: int) -> int:
    build(folder, moments(count))
    assert not verify(folder / "manifest").faults
    return count


def stored(folder: Path, count: int) -> None:
    made = Attributes("c3d", "none", "none", "none", 30.0, 16, 8, 0, "float32", "fc7", "none", 500)
    write_store(folder / "f.h5", made, ((f"v{i:05}", np.ones((2, 500), np.float32)) for i in range(count)))


def opened(folder: Path, count: int) -> int:
    return len(FeatureStore(folder / "f.h5").ids())


def reported(folder: Path, count: int) -> None:
    """One report, and its like under other names."""
    moment_answers(folder, ASKED)
    score(folder / "answers.jsonl", folder / "manifest", "test", json=folder / "r.json")
    page = json.loads((folder / "r.json").read_text(encoding="utf-8"))
    rows = (folder / "r.rows.npz").read_bytes()
    for i in range(count):
        page["method"]["name"] = f"method {i}"
        page["rows"]["file"] = f"{i}.rows.npz"
        (folder / f"{i}.json").write_text(json.dumps(page), encoding="utf-8")
        (folder / f"{i}.rows.npz").write_bytes(rows)


def ranked(folder: Path, count: int) -> int:
    return len(leaderboard([folder / f"{i}.json" for i in range(count)], folder / "board.csv", published=False).rows)


JOBS = {
    "moments": Job("sample", moment_answers, scored, (50_000, 100_000, 200_000), (100_000, 300_000, 1_000_000),
                   "at most 2048 MiB"),
    "detections": Job("detection", detection_answers, scored, (100_000, 300_000, 1_000_000),
                      (1_000_000, 3_000_000, 10_000_000), "at most 4096 MiB"),
    "build": Job("sample", nothing, frozen, (10_000, 30_000, 100_000), (500_000, 1_500_000, 5_000_000),
                 "at most 2048 MiB"),
    "store": Job("video", stored, opened, (2_000, 6_000, 20_000), (2_000, 6_000, 20_000), "at most 50 ms"),
    "leaderboard": Job("report", reported, ranked, (20, 60, 200), (200, 600, 2_000), "at most 1024 MiB"),
}  # fmt: skip


# ---- measuring ------------------------------------------------------------------------------------------------------


def work(name: str, folder: str, size: str) -> None:
    """One job in this process; what it took as JSON. What the modules take is not counted as its memory."""
    job, started = JOBS[name], time.process_time()
    assert job.do(Path(folder), int(size)) == int(size)
    seconds = time.process_time() - started
    print(json.dumps({"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


def measured(name: str, size: int) -> tuple[float, int]:
    """Seconds of the processor, and the most memory, of one job."""
    with tempfile.TemporaryDirectory() as folder:
        for step in ("make", "do"):
            command = [sys.executable, __file__, f"--{step}", name, folder, str(size)]
            result = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    said = json.loads(result.stdout)
    return said["seconds"], said["peak"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", nargs="*", metavar="job", help=f"some of {', '.join(JOBS)}; all, if none is named")
    parser.add_argument("--full", action="store_true", help="the sizes of the goals")
    chosen = parser.parse_args()
    for name in chosen.jobs or JOBS:
        job = JOBS[name]
        sizes = job.full if chosen.full else job.small
        found = [measured(name, size) for size in sizes]
        for size, (seconds, peak) in zip(sizes, found, strict=True):
            print(f"{name:12}{size:12,} {job.item:10}{seconds:9.3f} s{seconds / size * 1e6:10.1f} us each"
                  f"{peak / 2**20:9,.0f} MiB", flush=True)  # fmt: skip
        (first, _), (last, peak) = found[0], found[-1]
        step, grown = sizes[-1] / sizes[0], last / first
        row(f"{name}: growth", math.log(grown) / math.log(step), "at most 1.15 n^", f"{sizes[0]:,} {job.item}s",
            f"{grown:.1f} times the time for {step:g} times as many")  # fmt: skip
        at_goal = sizes[-1] == job.full[-1] or job.goal.endswith(" ms")
        figure = last * 1000 if job.goal.endswith(" ms") else peak / 2**20
        row(f"{name}: {sizes[-1]:,} {job.item}s", figure, job.goal if at_goal else "less MiB", "no reference",
            f"{last:.2f} s of the processor, {peak / 2**20:,.0f} MiB")  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--do"]:
        work(*sys.argv[2:])
    elif sys.argv[1:2] == ["--make"]:
        JOBS[sys.argv[2]].make(Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main()

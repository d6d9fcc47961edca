"""Decoding: our reading against decord, one process each and the whole machine, and what a process holds in memory.

Goals: alone at least 0.9 x decord with one thread; two processes at least 1.4 x one decord with two threads; under
120 MB at 720p. On ten seconds of a rendered clip at two sizes: 340 x 256 scaled to 112 lines, 1280 x 720 scaled to 224.
ffmpeg's limit is its decoder alone with one thread, no picture scaled or made RGB.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from timing import row

SIZES = {(340, 256): (149, 112), (1280, 720): (398, 224)}
FRAMES, ROUNDS = 250, 5  # ten seconds, as a clip of Kinetics has
TIMES = {(340, 256): 6, (1280, 720): 2}  # how often a process reads its clip
GOAL_MB = 120


def ours(path: Path, width: int, height: int) -> int:
    from activity_bench.features.decode import Look, read

    return sum(1 for _ in read(path, Look((width, height))))


def decord(path: Path, width: int, height: int, threads: int) -> int:
    from decord import VideoReader, cpu

    reader = VideoReader(str(path), ctx=cpu(0), num_threads=threads, width=width, height=height)
    for _ in range(len(reader)):
        reader.next().asnumpy()
    return len(reader)


def ffmpeg(path: Path) -> int:
    import av

    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "NONE"
        return sum(1 for _ in container.decode(video=0))


def work(name: str, path: str, width: str, height: str, times: str) -> None:
    """Read a clip several times; frames, seconds and peak memory as JSON. The first reading is not timed."""

    def once() -> int:
        if name == "ours":
            return ours(Path(path), int(width), int(height))
        if name == "ffmpeg":
            return ffmpeg(Path(path))
        return decord(Path(path), int(width), int(height), int(name.removeprefix("decord")))

    once()
    print(flush=True)
    sys.stdin.readline()  # all start together
    started = time.perf_counter()
    frames = sum(once() for _ in range(int(times)))
    # Not what `resource` says: that begins with the peak of the process that started this one.
    peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
    print(json.dumps({"frames": frames, "seconds": time.perf_counter() - started, "memory": peak}))


def rate(names: Sequence[str], path: Path, size: tuple[int, int], times: int) -> tuple[float, float]:
    """Frames a second of so many processes at once, and the largest one's memory in MB."""
    command = [sys.executable, __file__]
    arguments = [str(path), *map(str, size), str(times)]
    running = [
        subprocess.Popen([*command, name, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in names
    ]
    for process in running:
        assert process.stdout and process.stdout.readline()
    for process in running:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    found = [json.loads(process.communicate()[0]) for process in running]
    return sum(one["frames"] for one in found) / max(one["seconds"] for one in found), max(o["memory"] for o in found)


def clip(folder: Path, size: tuple[int, int]) -> Path:
    """The first frames of a rendered clip, drawn at this size."""
    from activity_bench.simulation.clips import ClipsOptions, encode, plan

    one = plan(ClipsOptions())[0]
    shown = one.ticks[: FRAMES + 1]
    kept = tuple(activity for activity in one.activities if activity.last < len(shown))
    path = folder / f"{size[1]}.mp4"
    path.write_bytes(encode(replace(one, width=size[0], height=size[1], ticks=shown, activities=kept), 0))
    return path


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for size, scaled in SIZES.items():
            path = clip(Path(folder), size)
            alone: list[float] = []
            limit: list[float] = []
            whole: list[float] = []
            rates: list[float] = []
            memory = 0.0
            for _ in range(ROUNDS):
                single, peak = rate(["ours"], path, scaled, TIMES[size])
                alone.append(single / rate(["decord1"], path, scaled, TIMES[size])[0])
                limit.append(single / rate(["ffmpeg"], path, scaled, TIMES[size])[0])
                double, _ = rate(["ours", "ours"], path, scaled, TIMES[size])
                whole.append(double / rate(["decord2"], path, scaled, TIMES[size])[0])
                rates.append(double)
                memory = max(memory, peak)
            name = f"{size[0]} x {size[1]} to {scaled[1]} lines"
            row(f"{name}, one process", statistics.median(alone), "at least 0.9 x", "decord with one thread")
            row(f"{name}, two processes", statistics.median(whole), "at least 1.4 x", "decord with two threads",
                f"{statistics.median(rates):,.0f} frames/s")  # fmt: skip
            row(f"{name}, ffmpeg's limit", statistics.median(limit), "more x", "ffmpeg's decoder alone, one thread")
            row(f"{name}, memory", memory, f"at most {GOAL_MB} MB", "a process")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        work(*sys.argv[1:])
    else:
        main()

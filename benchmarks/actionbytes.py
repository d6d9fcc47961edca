"""A round of ActionBytes: mining against the training that it serves, what it holds in memory, and suppression.

Goals: 17,281 clips of 18 rows in 500 clusters under 2 GB, in less time than a round's training; 100,000 proposals of
one video suppressed in under 1 s.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from timing import row

CLIPS, ROWS, DIM, CLASSES, CLUSTERS = 17_281, 18, 2048, 400, 500
STEPS, SOME, PROPOSALS = 8, 2000, 100_000


class Noise:
    """Features that are made when they are read: a class's direction, a clip's, and noise, none below 0 as of ReLU."""

    dim = DIM

    def __init__(self) -> None:
        self.classes = self._normal(0, (CLASSES, DIM))

    def read(self, video: str, first: int = 0, last: int | None = None) -> Any:
        clip = int(video)
        noise = self._normal(1 + clip, (ROWS + 1, DIM))
        return np.maximum(self.classes[clip % CLASSES] + 0.5 * noise[:1] + 0.5 * noise[1:], 0)[first:last]

    @staticmethod
    def _normal(key: int, shape: tuple[int, int]) -> Any:
        return np.random.Generator(np.random.Philox(key=key)).standard_normal(shape, np.float32)


def clips(count: int) -> list[Any]:
    from activity_bench.training.videos import Video

    return [Video(f"s{n}", str(n), (0, ROWS), (n % CLASSES,)) for n in range(count)]


def mined(count: int) -> None:
    """Mining of so many clips; what it took, as JSON."""
    import resource

    import torch

    from activity_bench.models.actionbytes import ActionBytes, Options
    from activity_bench.training.mining import mine

    torch.manual_seed(0)
    started = time.perf_counter()
    found = mine(ActionBytes(DIM, Options(), CLASSES), clips(count), Noise(), torch.device("cpu"),  # type: ignore[arg-type]
                 clusters=min(CLUSTERS, count), seed=0)  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": time.perf_counter() - started, "memory": peak, "segments": found.count,
                      "threads": torch.get_num_threads()}))  # fmt: skip


def steps(count: int) -> None:
    """The mean time of a step of a round, in the loop itself, as JSON."""
    from dataclasses import replace

    import torch

    from activity_bench.models.actionbytes import ActionBytes, Method, Options
    from activity_bench.training.keeper import Job
    from activity_bench.training.loop import train
    from activity_bench.training.videos import VideoPlan, collate_videos

    noise = np.random.Generator(np.random.Philox(key=1))
    own = [replace(clip, pseudo=tuple({int(k) for k in noise.integers(0, CLUSTERS, 7)})) for clip in clips(count)]
    plan = VideoPlan(own, 0, replace(Method.defaults, steps=STEPS, workers=0), 3)
    device = torch.device("cpu")
    network = ActionBytes(DIM, Options(), CLASSES, 20, CLUSTERS)
    job = Job(network, plan, [], Noise(), 0, device, collate=partial(collate_videos, classes=CLASSES, pseudo=CLUSTERS))  # type: ignore[arg-type]
    print(json.dumps({"seconds": train(job).state.seconds / STEPS}))


def run(*what: str) -> dict[str, Any]:
    """Something of the above in a process of its own, so that its memory is its own."""
    done = subprocess.run([sys.executable, __file__, *what], check=True, stdout=subprocess.PIPE,
                          env={**os.environ, "PYTHONPATH": "."})  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def suppressed(classes: int) -> tuple[float, int]:
    """Seconds for 100,000 proposals of one long video, as many of each class, and how many stay."""
    from activity_bench.training.blocks.proposals import Found, proposals, suppress

    noise, per_class = np.random.Generator(np.random.Philox(key=2)), PROPOSALS // classes
    rows = per_class // 2
    first, last = proposals([np.sort(noise.permutation(rows)[: rows // 2])], [1, 2], rows)
    first, last = first[:per_class], last[:per_class]
    pool = Found(np.tile(first, classes), np.tile(last, classes), np.repeat(np.arange(classes), len(first)),
                 noise.standard_normal(len(first) * classes))  # fmt: skip
    started = time.perf_counter()
    kept = suppress(pool, 0.5)
    return time.perf_counter() - started, len(kept.first)


def main(counts: Sequence[int] = (SOME, CLIPS)) -> None:
    from activity_bench.models.actionbytes import Method

    step = statistics.median(run("steps", str(SOME))["seconds"] for _ in range(3))
    training = step * Method.defaults.steps
    for count in counts:
        found = run("mined", str(count))
        row(f"mining {count:,} clips of {ROWS} rows, the process's memory", found["memory"] / 2**30, "at most 2 GB",
            f"{found['segments']:,} ActionBytes in {min(CLUSTERS, count)} clusters",
            f"{found['seconds']:.1f} s, {found['threads']} threads")  # fmt: skip
    row(f"mining {counts[-1]:,} clips, time", found["seconds"] / training, "at most 1 x", "the training of its round",
        f"{Method.defaults.steps:,} steps of {Method.defaults.batch} clips, {1000 * step:.0f} ms each")  # fmt: skip
    for classes in (1, 20):
        times = [suppressed(classes) for _ in range(5)]
        row(f"suppression of {PROPOSALS:,} proposals, {classes} classes", statistics.median(s for s, _ in times),
            "at most 1 s", f"{times[0][1]:,} stay")  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) > 2:
        {"mined": mined, "steps": steps}[sys.argv[1]](int(sys.argv[2]))
    else:
        main()

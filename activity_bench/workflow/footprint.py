"""What a run will take, before it is made: its first steps and answers are made, timed, and thrown away."""

from __future__ import annotations

import io
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from activity_bench.data import manifest as manifests
from activity_bench.data import predictions as predicted
from activity_bench.types import Sample
from activity_bench.workflow import run as runs

if TYPE_CHECKING:
    from activity_bench.training.watch import Progress

STEPS, ANSWERS = 4, 32  # that are made
NUMBER = 4  # bytes of a weight


@dataclass(frozen=True)
class Cost:
    """Some work of a kind: how often, the seconds of all of it, and the bytes that it leaves."""

    what: str
    count: int
    seconds: float
    disk: int


@dataclass(frozen=True)
class Footprint:
    """Time and disk by kind of work; what was said of memory, the most that this process held, and what is free."""

    costs: Sequence[Cost]
    notes: Sequence[str]
    memory: int  # bytes
    free: int  # bytes of the disk that `out` would lie on


@dataclass
class _Clock:
    """Watches the first steps of a training."""

    notes: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def step(self, progress: Progress) -> None:
        self.times.append(time.perf_counter())

    def end(self) -> None:
        pass

    def each(self) -> float:
        """Seconds a step: the median, since the first warms up, and another may wait for what is between them."""
        return median(later - before for before, later in pairwise(self.times))


def footprint(
    name: str, manifest: Path | str, split: str | None, out: Path | str, *, features: Path | str | None = None,
    seed: int = 0, options: Mapping[str, Any] | None = None, select_on: str = "val", limit: int | None = None,
) -> Footprint:  # fmt: skip
    """Of `run_method`, or without a `split` of `train`. All that they look at before the first step is looked at.

    >>> footprint("cgbm", "manifest", "test", "run", features="features.h5").costs
    """
    parts = manifests.load(Path(manifest)).splits
    asks = split or (select_on if select_on in parts else "train")
    ready = runs.prepare(name, manifest, asks, features, seed, options or {}, select_on, limit)
    train, val = (runs.learnable(ready.asked, part) for part in ("train", select_on))
    clock, costs, validated = _Clock(), [], 0
    if ready.training is None:
        begun = time.perf_counter()
        ready.method.fit(train, val)
        costs.append(Cost("fit", 1, time.perf_counter() - begun, 0))
    else:
        ready.method.check(train, val)
        costs.append(_steps(ready, train, clock, kept=split is None))
        validated = -(-costs[0].count // ready.training.validate_every) * len(val)
    seconds, size = _answer(ready)
    if validated:
        costs.append(Cost(f"answers to {select_on}", validated, validated * seconds, 0))
    if split:
        count = len(ready.samples)
        costs.append(Cost(f"answers to {split}", count, count * seconds, count * size))
    place = next(folder for folder in Path(out).absolute().parents if folder.is_dir())
    return Footprint(costs, clock.notes, _most_memory(), shutil.disk_usage(place).free)


def _steps(ready: runs.Ready, train: Sequence[Sample], clock: _Clock, kept: bool) -> Cost:
    """All steps, as the first few took, which read their features in this process; and the weights that are kept."""
    options, plan = ready.training, ready.method.plan(train)
    assert options is not None
    made = max(2, min(STEPS, plan.options.steps))
    ready.method.training = replace(options, steps=made, epochs=0, workers=0, tensorboard=False)
    begun = time.perf_counter()
    fitted = ready.method.fit(train, (), watch=clock)
    took = time.perf_counter() - begun  # what is not done in steps (mining, for one) is done as often in the whole
    rounds = fitted["steps"] // made  # a method that trains in rounds makes the steps in each, and keeps each
    count, copies = (
        rounds * plan.options.steps,
        5 + (options.ema > 0),
    )  # best, last, to go on from: Adam's two, the mean
    seconds = took + (count - fitted["steps"]) * clock.each()
    return Cost("training steps", count, seconds, kept * rounds * copies * NUMBER * fitted["weights"])


def _answer(ready: runs.Ready) -> tuple[float, int]:
    """Seconds and bytes of one answer, as the first few are."""
    asked = ready.samples[:ANSWERS]
    stream, begun = io.BytesIO(), time.perf_counter()
    questions = runs.shown(asked, ready.method.sees_answers)
    predicted.write(stream, ready.method.predict(questions), {})
    return (time.perf_counter() - begun) / len(asked), -(-stream.tell() // len(asked))


def _most_memory() -> int:
    """The most bytes that this process has held; 0 where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

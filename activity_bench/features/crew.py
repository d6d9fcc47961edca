"""Workers that each have one video at a time, and whoever watches them: what takes too much is killed.

Where a worker runs is no concern of the watcher's: a process of this machine, or an actor of a cluster.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from activity_bench.data.features import Attributes
from activity_bench.errors import InputError, WorkError, printable
from activity_bench.features.hub import Hub
from activity_bench.features.ledger import Failure
from activity_bench.features.process import News, Process, Worker
from activity_bench.features.worker import Task

LOOK = 0.05  # seconds between two looks at the workers
START_LIMIT = 900.0  # seconds in which a worker must be ready: a network's file system may be slow
STARTS = 3  # workers in a row that may die before they are ready
TRIES = 2  # times that a job tries a video whose worker somebody killed: it may be no fault of the video's


@dataclass(frozen=True)
class Limits:
    """What a worker may take."""

    seconds: float = 3600.0  # for one video
    bytes: int = 4 << 30  # of memory that is its own, where the system tells (Linux)


@dataclass(frozen=True)
class Outcome:
    """What came of a video: features, or its failure."""

    video: str
    failure: Failure | None = None


class Crew:
    """So many workers, and the videos that they are at."""

    def __init__(
        self,
        start: Callable[[SimpleQueue[News]], Worker],
        count: int,
        limits: Limits,
        tries: int = TRIES,  # of a video whose worker was killed
        alone: bool = False,  # a second try has no others beside it: where one fault kills several workers, it is told
    ) -> None:
        self._begin, self._count, self._limits, self._tries, self._alone = start, count, limits, tries, alone
        self._news: SimpleQueue[News] = SimpleQueue()
        self._workers: list[Worker] = []
        self._stillborn = 0
        self._attributes: dict[str, Any] | None = None

    def attributes(self) -> Attributes:
        """What the features will be: said by the first worker, when it is ready."""
        self._start()
        while True:
            for _ in self._look():
                raise AssertionError("nobody has a video yet")
            if self._attributes is not None:
                return Attributes(**self._attributes)

    def run(self, videos: Mapping[str, Path]) -> Iterator[Outcome]:
        """Every video once, in the order in which they end; the largest files begin."""
        waiting = deque(sorted(videos, key=lambda video: -_size(videos[video])))
        tries: Counter[str] = Counter()
        while waiting or any(worker.video for worker in self._workers):
            while len(self._workers) < min(self._count, len(waiting) + sum(bool(w.video) for w in self._workers)):
                self._start()
            for worker in self._workers:
                free = worker.is_ready and worker.video is None and not worker.is_lost()
                if waiting and free and self._may_begin(waiting[0], tries):
                    worker.give(waiting[0], videos[waiting.popleft()])
            for outcome in self._look():
                if outcome.failure and outcome.failure.kind == "killed":
                    tries[outcome.video] += 1
                    if tries[outcome.video] < self._tries:
                        waiting.append(outcome.video)
                        continue
                    outcome = replace(outcome, failure=replace(outcome.failure, attempts=self._tries))
                yield outcome

    def close(self) -> None:
        """End all workers now."""
        for worker in self._workers:
            worker.kill()
        self._workers.clear()

    def _may_begin(self, video: str, tries: Mapping[str, int]) -> bool:
        at = [worker.video for worker in self._workers if worker.video]
        return not (self._alone and at and any(tries[other] for other in (video, *at)))

    def _start(self) -> None:
        self._workers.append(self._begin(self._news))

    def _look(self) -> Iterator[Outcome]:
        """What the workers said, then who of them takes too much."""
        wait = LOOK
        while True:
            try:
                worker, news = self._news.get(timeout=wait) if wait else self._news.get_nowait()
            except Empty:
                break
            wait = 0.0
            if worker in self._workers:  # what we killed may still have spoken
                yield from self._heard(worker, news)
        for worker in list(self._workers):
            if not worker.is_ready:
                if worker.seconds() > START_LIMIT and not any(other.is_ready for other in self._workers):
                    yield from self._lost(worker, "timeout", "the worker did not get ready")
            elif worker.video is None and worker.is_lost():
                yield from self._lost(worker, "killed", "")
            elif worker.video is not None and worker.seconds() > self._limits.seconds:
                yield from self._lost(worker, "timeout", f"longer than {self._limits.seconds:g} seconds")
            elif worker.video is not None and worker.memory() > self._limits.bytes:
                yield from self._lost(worker, "memory", f"more than {self._limits.bytes >> 20:,} MB")

    def _heard(self, worker: Worker, news: dict[str, Any] | None) -> Iterator[Outcome]:
        if news is None:
            yield from self._lost(worker, *worker.end())
        elif "error" in news:
            raise (InputError if news["code"] == InputError.exit_code else WorkError)(news["error"])
        elif "ready" in news:
            self._attributes = self._attributes or news["ready"]
            if news["ready"] != self._attributes:
                raise WorkError("the workers do not agree: were the weights replaced while the job runs?")
            worker.is_ready, self._stillborn = True, 0
        else:
            video, seconds = worker.take()
            kind = news.get("kind")
            failure = Failure(video, kind, printable(news["message"]), 1, seconds) if kind else None
            yield Outcome(video, failure)

    def _lost(self, worker: Worker, kind: str, message: str) -> Iterator[Outcome]:
        """A worker is gone, or has to go: its video failed. `run` starts another where there is work."""
        worker.kill()
        self._workers.remove(worker)
        if not worker.is_ready:
            self._stillborn += 1
            if self._stillborn >= STARTS or kind != "killed":
                raise WorkError(f"a worker cannot start: {printable(message)}")
            self._start()
        elif worker.video is not None:
            video, seconds = worker.take()
            yield Outcome(video, Failure(video, kind, printable(message), 1, seconds))


@contextmanager
def local(task: Task, count: int | None, limits: Limits) -> Iterator[Crew]:
    """Processes of this machine; one a core where no `count` is given."""
    hub = Hub(task, limits.seconds / 2) if task.one_network else None
    crew = Crew(hub.start if hub else partial(Process, task), count or _cores(), limits, alone=task.one_network)
    try:
        yield crew
    finally:
        crew.close()
        if hub:
            hub.close()


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # its worker will say what is wrong

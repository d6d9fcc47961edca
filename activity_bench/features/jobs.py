"""Extraction that survives the night: worker processes, each with one video at a time, watched from a parent.

The parent decodes nothing and holds no network. A video may take so many seconds and its worker so many bytes; whoever
takes more is killed, which costs that video one line of the ledger. Features that were written stay written: a job that
is killed goes on where it was, and ends with the bytes that it would have had.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from activity_bench.data.features import Attributes, FeatureStore, PartsWriter, pack, parts_folder
from activity_bench.errors import InputError, WorkError, printable
from activity_bench.features import ledger
from activity_bench.features.ledger import Failure
from activity_bench.features.process import News, Process
from activity_bench.features.worker import Task

LOOK = 0.05  # seconds between two looks at the workers
START_LIMIT = 900.0  # seconds in which a worker must be ready: a network's file system may be slow
STARTS = 3  # workers in a row that may die before they are ready
AGAIN = 2  # times that a job tries a video whose worker somebody killed: it may be no fault of the video's


@dataclass(frozen=True)
class Limits:
    """What a worker may take."""

    seconds: float = 3600.0  # for one video
    bytes: int = 4 << 30  # of memory that is its own, where the system tells (Linux)


@dataclass(frozen=True)
class Outcome:
    """What came of a video: its rows, or its failure."""

    video: str
    rows: int = 0
    failure: Failure | None = None


class Crew:
    """So many workers, and the videos that they are at."""

    def __init__(self, task: Task, count: int, limits: Limits) -> None:
        self._task, self._count, self._limits = task, count, limits
        self._news: SimpleQueue[News] = SimpleQueue()
        self._workers: list[Process] = []
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
                if waiting and worker.is_ready and worker.video is None:
                    worker.give(waiting.popleft(), videos)
            for outcome in self._look():
                if outcome.failure and outcome.failure.kind == "killed":
                    tries[outcome.video] += 1
                    if tries[outcome.video] < AGAIN:
                        waiting.append(outcome.video)
                        continue
                    outcome = replace(outcome, failure=replace(outcome.failure, attempts=AGAIN))
                yield outcome

    def close(self) -> None:
        """End all workers now."""
        for worker in self._workers:
            worker.kill()
        self._workers.clear()

    def _start(self) -> None:
        self._workers.append(Process(self._task, self._news))

    def _look(self) -> Iterator[Outcome]:
        """What the workers said, then who of them takes too much."""
        wait = LOOK
        while True:
            try:
                worker, news = self._news.get(timeout=wait) if wait else self._news.get_nowait()
            except Empty:
                break
            wait = 0.0
            if worker not in self._workers:
                continue  # what we killed may still have spoken
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
                yield Outcome(video, news.get("rows", 0), failure)
        for worker in list(self._workers):
            if not worker.is_ready:
                if worker.seconds() > START_LIMIT:
                    yield from self._lost(worker, "timeout", "the worker did not get ready")
            elif worker.video is not None and worker.seconds() > self._limits.seconds:
                yield from self._lost(worker, "timeout", f"longer than {self._limits.seconds:g} seconds")
            elif worker.video is not None and worker.memory() > self._limits.bytes:
                yield from self._lost(worker, "memory", f"more than {self._limits.bytes >> 20:,} MB")

    def _lost(self, worker: Process, kind: str, message: str) -> Iterator[Outcome]:
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
            yield Outcome(video, 0, Failure(video, kind, printable(message), 1, seconds))


class Job:
    """An extraction: which videos are left to do, doing them, and the one file of them all.

    `file` that exists already is added to; the same job again does only what is left.
    """

    def __init__(self, task: Task, videos: Mapping[str, Path], workers: int, limits: Limits, retry: bool) -> None:
        self._file = Path(task.file)
        self._crew = Crew(task, workers, limits)
        try:
            self._writer = PartsWriter(self._file, self._crew.attributes())
            self._store = self._opened()
            self.done = self._writer.done() | set(self._store.ids() if self._store else ())
        except BaseException:
            self._crew.close()
            raise
        self._all = set(videos)
        self._ledger = ledger.ledger_of(self._file)
        self.failures = {v: f for v, f in ledger.read(self._ledger).items() if v not in self.done}
        self.left = {
            video: path for video, path in videos.items()
            if video not in self.done and (retry or video not in self.failures)
        }  # fmt: skip

    @property
    def discarded(self) -> list[str]:
        """Broken parts that were thrown away, and why."""
        return self._writer.discarded

    def __enter__(self) -> Job:
        return self

    def __exit__(self, *error: object) -> None:
        self._crew.close()

    def run(self) -> Iterator[Outcome]:
        """Do what is left; failures go to the ledger as they happen."""
        for outcome in self._crew.run(self.left):
            if outcome.failure is None:
                self.done.add(outcome.video)
                self.failures.pop(outcome.video, None)
            else:
                outcome = self._note(outcome, outcome.failure)
            yield outcome

    def finish(self) -> None:
        """Pack what there is, and leave in the ledger what failed."""
        if any(parts_folder(self._file).glob("*.h5")):
            if self._store is not None:
                self._unpack(self._store)
            pack(self._file, force=self._store is not None)
        else:
            _remove_empty(parts_folder(self._file))
        ledger.replace(self._ledger, self.failures)

    def _note(self, outcome: Outcome, failure: Failure) -> Outcome:
        before = self.failures.get(outcome.video)
        attempts = failure.attempts + (before.attempts if before else 0)
        failure = replace(failure, attempts=attempts, seconds=round(failure.seconds, 3))
        self.failures[outcome.video] = failure
        ledger.add(self._ledger, failure)
        return replace(outcome, failure=failure)

    def _opened(self) -> FeatureStore | None:
        """The file of an earlier job, which must have made the same."""
        if not self._file.exists():
            return None
        store = FeatureStore(self._file)
        mine, theirs = self._writer.attributes.as_dict(), store.attributes.as_dict()
        for name in mine:
            if mine[name] != theirs[name]:
                raise InputError(
                    "these features were made otherwise", file=self._file, field=name, found=theirs[name],
                    expected=str(mine[name]), hint="Name another file, or use the same options to add to this one.",
                )  # fmt: skip
        if store.images is not None:
            raise InputError("this file holds images, too, and cannot be added to", file=self._file)
        return store

    def _unpack(self, store: FeatureStore) -> None:
        """Parts of what the file holds already, so that all can be packed together. It stays until it is replaced."""
        there = self._writer.done()
        for video in store.ids():
            if video not in there:
                self._writer.write(video, store.read(video), store.attributes_of(video))
        store.close()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # its worker will say what is wrong


def _remove_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()

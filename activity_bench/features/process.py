"""A worker as its watcher sees it: what it said, what it was given and since when; and one that is a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

from activity_bench.features.worker import Task

News = tuple["Worker", dict[str, Any] | None]  # an answer, or None: the worker ended
LAST_WORDS = 10.0  # seconds that a worker has to end after it closed its output
TAIL = 4096  # bytes of a dead worker's talk that are looked at


class Worker(ABC):
    """One who is at one video at a time, and says `News` of it."""

    def __init__(self) -> None:
        self.is_ready = False
        self.video: str | None = None
        self._since = time.monotonic()

    def give(self, video: str, path: Path) -> None:
        """Hand out one video."""
        self.video, self._since = video, time.monotonic()

    def take(self) -> tuple[str, float]:
        """The video that it was given, which is over, and the seconds that it took."""
        assert self.video is not None
        video, self.video = self.video, None
        return video, self.seconds()

    def seconds(self) -> float:
        """Since it started, or was given its video."""
        return time.monotonic() - self._since

    def memory(self) -> int:
        """Bytes that are its own and in memory; 0 where nobody tells."""
        return 0

    def is_lost(self) -> bool:
        """It is of no more use, though it lives."""
        return False

    @abstractmethod
    def end(self) -> tuple[str, str]:
        """Of a worker that ended by itself: of what kind that is, and what is known of it."""

    @abstractmethod
    def kill(self) -> None:
        """End it, wherever it is."""


def program(module: str, talk: IO[bytes], *words: object, handles: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    """A module of this room as a program that dies with us: its answers come by a pipe, its talk goes to a file."""
    paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return subprocess.Popen(  # noqa: S603 - this interpreter, and a module of ours
        [sys.executable, "-P", "-m", f"activity_bench.features.{module}", str(os.getpid()), *map(str, words)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=talk, pass_fds=handles,
        env={**os.environ, **one, "PYTHONPATH": paths},
    )  # fmt: skip


def tell(process: subprocess.Popen[bytes], order: dict[str, Any]) -> None:
    """One line to its input."""
    assert process.stdin is not None
    with suppress(OSError):  # it died: its listener says so
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()


def last_words(talk: IO[bytes]) -> str:
    """The last line of what a program said, "" where it said nothing."""
    talk.seek(max(0, talk.seek(0, os.SEEK_END) - TAIL))
    said = talk.read().decode("utf-8", "replace").strip().splitlines()
    return said[-1] if said else ""


class Process(Worker):
    """One worker process. A program of its own, not a fork: native libraries do not survive one."""

    def __init__(self, task: Task, news: SimpleQueue[News], network: int | None = None) -> None:
        super().__init__()
        self._talk = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - as long as the process
        handles = () if network is None else (network,)
        self._process = program("worker", self._talk, *handles, handles=handles)
        self._tell(asdict(task))
        self._listener = threading.Thread(target=self._listen, args=(news,), daemon=True)
        self._listener.start()

    def give(self, video: str, path: Path) -> None:
        """Hand out one video."""
        self._talk.truncate(0)  # what was said of the video before
        super().give(video, path)
        self._tell({"video": video, "path": str(path)})

    def memory(self) -> int:
        """Bytes that are its own and in memory; 0 where the system does not tell."""
        try:
            words = Path(f"/proc/{self._process.pid}/statm").read_bytes().split()  # all, resident, shared, in pages
            return (int(words[1]) - int(words[2])) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            return 0

    def end(self) -> tuple[str, str]:
        """Of a worker that ended by itself: of what kind that is, and what is known of it."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LAST_WORDS)
        self._process.kill()
        code = self._process.wait()
        if code < 0:
            with suppress(ValueError):
                return "killed", f"the worker was ended by {signal.Signals(-code).name}"
        return "failed", last_words(self._talk) or f"the worker ended with code {code}"

    def kill(self) -> None:
        """End it, wherever it is."""
        self._process.kill()
        self._process.wait()
        self._listener.join(LAST_WORDS)
        with suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        self._talk.close()

    def _tell(self, order: dict[str, Any]) -> None:
        tell(self._process, order)

    def _listen(self, news: SimpleQueue[News]) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                if line.endswith(b"\n"):
                    news.put((self, json.loads(line)))
        news.put((self, None))

"""A worker as its parent sees it: a process, what it said, what it was given and since when."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from activity_bench.features.worker import Task

News = tuple["Process", dict[str, Any] | None]  # an answer, or None: the worker ended
LAST_WORDS = 10.0  # seconds that a worker has to end after it closed its output
TAIL = 4096  # bytes of a dead worker's talk that are looked at


class Process:
    """One worker process. A program of its own, not a fork: native libraries do not survive one."""

    def __init__(self, task: Task, news: SimpleQueue[News]) -> None:
        self.is_ready = False
        self.video: str | None = None
        self._since = time.monotonic()
        self._talk = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - as long as the process
        paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, and a module of ours
            [sys.executable, "-P", "-m", "activity_bench.features.worker", str(os.getpid())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._talk,
            env={**os.environ, **one, "PYTHONPATH": paths},
        )  # fmt: skip
        self._tell(asdict(task))
        self._listener = threading.Thread(target=self._listen, args=(news,), daemon=True)
        self._listener.start()

    def give(self, video: str, videos: Mapping[str, Path]) -> None:
        """Hand out one video."""
        self._talk.truncate(0)  # what was said of the video before
        self.video, self._since = video, time.monotonic()
        self._tell({"video": video, "path": str(videos[video])})

    def take(self) -> tuple[str, float]:
        """The video that it was given, which is over, and the seconds that it took."""
        assert self.video is not None
        video, self.video = self.video, None
        return video, self.seconds()

    def seconds(self) -> float:
        """Since it started, or was given its video."""
        return time.monotonic() - self._since

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
        self._talk.seek(max(0, self._talk.seek(0, os.SEEK_END) - TAIL))
        said = self._talk.read().decode("utf-8", "replace").strip().splitlines()
        return "failed", said[-1] if said else f"the worker ended with code {code}"

    def kill(self) -> None:
        """End it, wherever it is."""
        self._process.kill()
        self._process.wait()
        self._listener.join(LAST_WORDS)
        with suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        self._talk.close()

    def _tell(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it died: its listener says so
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()

    def _listen(self, news: SimpleQueue[News]) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                if line.endswith(b"\n"):
                    news.put((self, json.loads(line)))
        news.put((self, None))

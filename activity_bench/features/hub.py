"""Workers around one process that holds the network; where it dies, its workers do, and the next ones get another."""

from __future__ import annotations

import socket
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import asdict
from multiprocessing import Pipe
from queue import SimpleQueue

from activity_bench.errors import InputError
from activity_bench.features.process import News, Process, last_words, program, tell
from activity_bench.features.worker import Task

AT_ONCE = 0.5  # seconds between a process's end and the news of it


class Network:
    """The process, what it says, and the socket by which it is handed pipes."""

    def __init__(self, task: Task, limit: float) -> None:
        self._limit, self._loss = limit, ""
        self._talk = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - as long as the process
        self._control, theirs = socket.socketpair()
        with theirs:
            handle = theirs.fileno()
            self._process = program("network", self._talk, handle, limit, handles=(handle,))
        tell(self._process, asdict(task))

    def adopt(self, handle: int) -> None:
        """Give it the end of a pipe whose other end a worker has."""
        with suppress(OSError):  # it died just now: the worker finds nobody, and ends
            socket.send_fds(self._control, [b"."], [handle])

    def loss(self, wait: float = 0.0) -> str:
        """Why it ended; "" where it lives."""
        if not self._loss:
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(wait)
                late = f"a batch took longer than {self._limit:g} seconds"  # it ends so without a word
                self._loss = last_words(self._talk) or (late if code == 1 else f"it ended with code {code}")
        return self._loss

    def close(self) -> None:
        """End it."""
        self.loss()
        self._process.kill()
        self._process.wait()
        self._loss = self._loss or "it was ended"
        for stream in (self._process.stdin, self._process.stdout, self._control, self._talk):
            with suppress(OSError):
                stream.close()  # type: ignore[union-attr]


class Hub:
    """Where workers are begun, and the network that they ask."""

    def __init__(self, task: Task, limit: float) -> None:
        if not hasattr(socket, "send_fds"):
            raise InputError("this system cannot hand pipes from process to process", field="--one-network")
        self._task, self._limit = task, limit  # seconds, for a batch
        self._network: Network | None = None

    def start(self, news: SimpleQueue[News]) -> Served:
        """One more worker."""
        if self._network is None or self._network.loss():
            self.close()
            self._network = Network(self._task, self._limit)
        ours, theirs = Pipe()
        with ours, theirs:
            self._network.adopt(ours.fileno())
            return Served(self._task, news, self._network, theirs.fileno())

    def close(self) -> None:
        """End the network."""
        if self._network is not None:
            self._network.close()


class Served(Process):
    """A worker that asks a network."""

    def __init__(self, task: Task, news: SimpleQueue[News], network: Network, pipe: int) -> None:
        self._network = network
        super().__init__(task, news, pipe)

    def is_lost(self) -> bool:
        """It has nobody to ask; while it waits for a video it does not know."""
        return bool(self._network.loss())

    def end(self) -> tuple[str, str]:
        """Its own end, or the network's."""
        kind, message = super().end()
        if kind == "killed" and (loss := self._network.loss(AT_ONCE)):
            message = f"the network's process ended: {loss}"
        return kind, message

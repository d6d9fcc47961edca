"""Extraction by Ray, on as many machines as there are: an actor a worker, on whichever node Ray finds for it.

An actor watches one worker process on its own node, which is the very process that a job on one machine has, with the
same limits. The driver keeps the ledger and packs. An actor that is lost, or its node, is a worker that was killed:
its video is tried again. Whatever names a file must name it on every node.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from activity_bench.errors import BenchError, InputError, WorkError, printable
from activity_bench.features.crew import Crew, Limits
from activity_bench.features.process import News, Process, Worker
from activity_bench.features.worker import Task

ADDRESS = "RAY_ADDRESS"  # of a cluster; Ray's own convention
KNOCK = 20.0  # seconds until a cluster must have opened its door
STORE = 80 << 20  # bytes of memory that a local Ray takes to pass objects: ours are small, and it takes no less
FILES = "file", "weights", "projection"  # options of a task that are paths, or None
NO_LIMITS = Limits(float("inf"), 1 << 62)  # an actor keeps its worker's limits, and knows more of it


class Post:
    """What runs in an actor: a crew of one."""

    def __init__(self, task: Task, limits: Limits) -> None:
        self._crew = Crew(partial(Process, task), 1, limits, tries=1)  # the driver tries again, elsewhere

    def ready(self) -> dict[str, Any]:
        """Start the worker; what its features will be, or why it cannot start."""
        try:
            return {"ready": self._crew.attributes().as_dict()}
        except BenchError as error:
            return {"error": str(error), "code": error.exit_code}

    def extract(self, video: str, path: str) -> dict[str, Any]:
        """What came of a video."""
        try:
            (outcome,) = self._crew.run({video: Path(path)})
        except BenchError as error:
            return {"error": str(error), "code": error.exit_code}
        failure = outcome.failure
        return {"kind": failure.kind, "message": failure.message} if failure else {}


class Remote(Worker):
    """An actor, as its driver sees it."""

    def __init__(self, ray: Any, task: Task, limits: Limits, gpus: float, news: SimpleQueue[News]) -> None:
        super().__init__()
        self._ray, self._news, self._last_words = ray, news, ""
        self._actor = ray.remote(Post).options(num_cpus=1, num_gpus=gpus).remote(task, limits)
        self._ask(self._actor.ready)

    def give(self, video: str, path: Path) -> None:
        """Hand out one video."""
        super().give(video, path)
        self._ask(self._actor.extract, video, str(path.absolute()))

    def end(self) -> tuple[str, str]:
        """It is lost, or its node."""
        return "killed", f"its actor was lost: {self._last_words}"

    def kill(self) -> None:
        """End it; its worker process dies with it."""
        with suppress(Exception):  # whatever Ray thinks of an actor that is gone
            self._ray.kill(self._actor)

    def _ask(self, method: Any, *words: str) -> None:
        method.remote(*words).future().add_done_callback(self._hear)

    def _hear(self, answer: Any) -> None:
        """Called by a thread of Ray's."""
        try:
            self._news.put((self, answer.result()))
        except Exception as error:  # noqa: BLE001 - of many kinds: the actor died, its node did, Ray itself did
            self._last_words = printable(str(error).strip().split("\n")[0])
            self._news.put((self, None))


@contextmanager
def ray_crew(task: Task, count: int | None, limits: Limits) -> Iterator[Crew]:
    """Actors of the cluster that `RAY_ADDRESS` names (`auto`: the one of this machine), else of a Ray of our own.

    With no `count`, as many as the cluster has CPUs.
    """
    with _ray(count) as ray:
        total = ray.cluster_resources()
        count = count or max(1, int(total.get("CPU", 1)))
        gpus = 0.0
        if task.device != "cpu":
            if not (there := total.get("GPU", 0.0)):
                raise InputError("this cluster has no GPU", field="--device", found=task.device, expected="cpu")
            gpus = min(1.0, int(1e4 * there / count) / 1e4)  # workers share what there is
        files: dict[str, Any] = {
            name: value and str(Path(value).absolute()) for name, value in asdict(task).items() if name in FILES
        }
        crew = Crew(partial(Remote, ray, replace(task, **files), limits, gpus), count, NO_LIMITS)
        try:
            yield crew
        finally:
            crew.close()


@contextmanager
def _ray(count: int | None) -> Iterator[Any]:
    """Ray's module, connected. A Ray that was begun here ends here, and leaves nothing behind."""
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"):
        os.environ.setdefault(name, "0")  # it calls nobody; it says nothing of a default of its own to come
    try:
        ray: Any = import_module("ray")
    except ImportError:
        raise InputError("Ray is not installed", field="--engine", found="ray",
                         hint="pip install 'activity-bench[distributed]'") from None  # fmt: skip
    if ray.is_initialized():  # by a notebook, whose it stays
        yield ray
        return
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    place = None if os.name == "nt" else "/tmp"  # noqa: S108 - sockets lie in it, whose names may have 107 letters
    prefix = f"activity-bench-ray-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=place, ignore_cleanup_errors=True) as folder:
        try:
            _connect(ray, count, folder)
            if is_main:
                signal.signal(signal.SIGTERM, handler)  # Ray put its own there
            yield ray
        finally:
            ray.shutdown()
            if is_main:
                signal.signal(signal.SIGTERM, handler)


def _connect(ray: Any, count: int | None, folder: str) -> None:
    """To the cluster that is named; where none is, begin one of this machine alone, and join nobody else's."""
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    address = os.environ.get(ADDRESS, "local")
    if address == "local":
        ray.init("local", num_cpus=count, include_dashboard=False, object_store_memory=STORE, _temp_dir=folder, **quiet)
        return
    try:
        host, _, port = address.removeprefix("ray://").rpartition(":")
        if port.isdigit():  # Ray itself knocks for minutes where nobody is
            socket.create_connection((host.strip("[]"), int(port)), KNOCK).close()
        ray.init(address, **quiet)
    except Exception as error:  # noqa: BLE001 - of many kinds, by what the address looks like
        first = printable(str(error).strip().split("\n")[0])
        raise WorkError(f"cannot reach the Ray cluster {address}: {first}") from None

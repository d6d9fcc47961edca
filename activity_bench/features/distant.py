"""A backbone in another process, as a worker that decodes sees it: it sends clips down a pipe and waits for rows.

First the other side says what the backbone is. Then each question is two messages, the shape of the clips in JSON and
their bytes; the answer is one, the rows in float32.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activity_bench.errors import BenchError, InputError, WorkError
from activity_bench.features.decode import Look

SAID = ("name", "dim", "layer", "window", "weights_sha256")  # what a backbone says of itself, beside its look


class Distant:
    """What stands in for a backbone."""

    name: str
    dim: int
    layer: str
    window: int | None
    weights_sha256: str

    def __init__(self, handle: int) -> None:
        self._pipe = Connection(handle)
        with _or_die():
            said = json.loads(self._pipe.recv_bytes())
        if "error" in said:
            raise (InputError if said["code"] == InputError.exit_code else WorkError)(said["error"])
        vars(self).update({name: said[name] for name in SAID})
        size = said["look"]["size"]
        self.look = Look(**said["look"] | {"size": tuple(size) if isinstance(size, list) else size})

    def __call__(self, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(b, window, H, W, 3), or 2 of flow -> (b, dim)"""
        with _or_die():
            send(self._pipe, clips)
            rows = np.frombuffer(self._pipe.recv_bytes(), np.float32)
        return rows.reshape(len(clips), self.dim)


def send(pipe: Any, clips: NDArray[np.uint8]) -> None:
    """Ask with clips."""
    pipe.send_bytes(json.dumps(clips.shape).encode())
    pipe.send_bytes(np.ascontiguousarray(clips).data.cast("B"))


def receive(pipe: Any) -> NDArray[np.uint8]:
    """The clips of a question."""
    shape = json.loads(pipe.recv_bytes())
    return np.frombuffer(pipe.recv_bytes(), np.uint8).reshape(shape)


def described(backbone: Any) -> bytes:
    """What the other side is told first: of a backbone, or that there is none and why."""
    if isinstance(backbone, BenchError):
        return json.dumps({"error": str(backbone), "code": backbone.exit_code}).encode()
    said = {name: getattr(backbone, name) for name in SAID}
    return json.dumps(said | {"look": asdict(backbone.look)}).encode()


@contextmanager
def _or_die() -> Iterator[None]:
    """Where the other side is gone it is no fault of the video's: end as one who was killed, and it is tried again."""
    try:
        yield
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGKILL)

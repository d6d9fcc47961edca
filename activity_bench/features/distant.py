"""A backbone in another process, as a worker that decodes sees it: it lays out clips, asks, and waits for rows.

First the other side says what the backbone is. Clips lie in memory that both sides see, where they were cut out, and
are never sent: a question is their shape, in JSON, with the handle of the memory where that is new; the answer is the
rows in float32.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from math import prod
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
        self._pipe, self._room, self._is_new = Connection(handle), Room(), False
        with _or_die():
            said = json.loads(self._pipe.recv_bytes())
        if "error" in said:
            raise (InputError if said["code"] == InputError.exit_code else WorkError)(said["error"])
        vars(self).update({name: said[name] for name in SAID})
        size = said["look"]["size"]
        self.look = Look(**said["look"] | {"size": tuple(size) if isinstance(size, list) else size})

    def room(self, *shape: int) -> NDArray[np.uint8]:
        """Where clips of this shape are to be laid out; what was there is gone."""
        if prod(shape) > self._room.size:
            self._room, self._is_new = Room.made(prod(shape)), True
        return self._room.array(shape)

    def __call__(self, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(b, window, H, W, 3), or 2 of flow, from the beginning of a `room` -> (b, dim)"""
        with _or_die():
            ask(self._pipe, clips.shape, self._room if self._is_new else None)
            self._is_new = False
            rows = np.frombuffer(self._pipe.recv_bytes(), np.float32)
        return rows.reshape(len(clips), self.dim)


class Room:
    """Memory that two processes see; nothing of it is left when both are gone."""

    def __init__(self, handle: int | None = None, size: int = 0) -> None:
        self.size, self.handle = size, handle
        self._memory = b"" if handle is None else mmap.mmap(handle, size)

    def __del__(self) -> None:
        if self.handle is not None:
            os.close(self.handle)

    @classmethod
    def made(cls, size: int) -> Room:
        """New memory: taken now, for where it is short a later write would end the process."""
        if hasattr(os, "memfd_create"):
            handle = os.memfd_create("clips")
        else:
            with tempfile.TemporaryFile() as file:
                handle = os.dup(file.fileno())
        try:
            os.truncate(handle, size)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(handle, 0, size)
        except OSError as error:
            os.close(handle)
            raise MemoryError from error
        return cls(handle, size)

    def array(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """The beginning of it."""
        return np.frombuffer(self._memory, np.uint8, prod(shape)).reshape(shape)


def ask(pipe: Any, shape: tuple[int, ...], new: Room | None) -> None:
    """Ask about clips of this shape; `new` is where they are, if not where the ones before were."""
    pipe.send_bytes(json.dumps([shape, new.size if new else 0]).encode())
    if new:
        with socket.socket(fileno=os.dup(pipe.fileno())) as line:
            socket.send_fds(line, [b"."], [new.handle])  # type: ignore[list-item]


def asked(pipe: Any, room: Room) -> tuple[NDArray[np.uint8], Room]:
    """The clips of a question, and the memory that they are in."""
    shape, size = json.loads(pipe.recv_bytes())
    if size:
        with socket.socket(fileno=os.dup(pipe.fileno())) as line:
            handles = socket.recv_fds(line, 1, 1)[1]
        if not handles:  # it was killed between the two messages
            raise EOFError
        room = Room(handles[0], size)
    return room.array(tuple(shape)), room


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

"""One process that holds the network, for many that decode: each batch is of whichever clips are at hand.

All batches have one size, the rest of a short one being zeros: a row depends on its own clip, and a compiled network is
compiled once. Whoever dies takes with it what is its own: of a worker the clips that it waits for, of this process the
workers, whose videos are tried again by another.
"""

from __future__ import annotations

import faulthandler
import os
import socket
import sys
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activity_bench.errors import BenchError
from activity_bench.features.distant import Room, asked, described
from activity_bench.features.worker import Task, backbone_of, rows_of, serving


@dataclass(eq=False)
class Question:
    """Clips of one worker, and their rows as they come."""

    clips: NDArray[np.uint8]  # (b, window, H, W, channels)
    rows: list[NDArray[np.float32]] = field(default_factory=list)  # (dim,) each, in order
    answered: threading.Event = field(default_factory=threading.Event)


def serve(pipe: Any, about: bytes, questions: SimpleQueue[Question]) -> None:
    """Hand the questions of one worker on, and their answers back, until it is gone."""
    try:
        pipe.send_bytes(about)
        room = Room()
        while True:
            clips, room = asked(pipe, room)
            question = Question(clips)
            questions.put(question)
            question.answered.wait()
            pipe.send_bytes(np.stack(question.rows).tobytes())
    except (EOFError, OSError):
        pipe.close()


def batches(questions: SimpleQueue[Question], size: int) -> Iterator[list[tuple[Question, NDArray[np.uint8]]]]:
    """Up to `size` clips of one shape, the oldest first; what comes meanwhile waits for the next batch."""
    held: deque[tuple[Question, NDArray[np.uint8]]] = deque()
    while True:
        if not held:
            held.extend(_each(questions.get()))
        while True:
            try:
                held.extend(_each(questions.get_nowait()))
            except Empty:
                break
        shape = held[0][1].shape
        batch = [item for item in held if item[1].shape == shape][:size]
        taken = {id(clip) for _, clip in batch}
        held = deque(item for item in held if id(item[1]) not in taken)
        yield batch


def together(batch: list[tuple[Question, NDArray[np.uint8]]], size: int) -> NDArray[np.uint8]:
    """The clips of a batch as one array, zeros behind them; where they lie together already, as they lie."""
    first = batch[0][0]
    if len(first.clips) == size and all(question is first for question, _ in batch):
        return first.clips
    clips = np.zeros((size, *batch[0][1].shape), np.uint8)
    for place, (_, clip) in zip(clips, batch, strict=False):
        place[...] = clip
    return clips


def _each(question: Question) -> list[tuple[Question, NDArray[np.uint8]]]:
    return [(question, clip) for clip in question.clips]


def work(backbone: Any, questions: SimpleQueue[Question], size: int, limit: float) -> None:
    """Answer for ever. A batch that takes longer than `limit` seconds ends the process, even in native code."""
    silent = Path(os.devnull).open("w")  # noqa: SIM115 - where the stack goes of what takes too long
    for batch in batches(questions, size):
        clips = together(batch, size)  # (size, window, H, W, channels)
        faulthandler.dump_traceback_later(limit, exit=True, file=silent)
        try:
            rows = rows_of(backbone, clips)  # (size, dim)
        finally:
            faulthandler.cancel_dump_traceback_later()
        for (question, _), row in zip(batch, rows, strict=False):
            question.rows.append(row)
            if len(question.rows) == len(question.clips):
                question.answered.set()


def main(parent: int, control: int, limit: float) -> None:
    """Serve the workers whose pipes come down the socket `control`, until our standard input ends."""
    orders, _ = serving(parent)
    task = Task(**orders.get())
    backbone: Any
    try:
        backbone = backbone_of(task)
    except BenchError as error:
        backbone = error
    about, questions = described(backbone), SimpleQueue[Question]()

    def adopt() -> None:
        with socket.socket(fileno=control) as station:
            while handles := socket.recv_fds(station, 1, 1)[1]:
                threading.Thread(target=serve, args=(Connection(handles[0]), about, questions), daemon=True).start()

    threading.Thread(target=adopt, daemon=True).start()
    work(backbone, questions, task.batch, limit)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))

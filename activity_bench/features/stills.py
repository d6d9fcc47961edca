"""Single pictures, of videos at stated seconds and of image files, decoded in a process that may hang or crash.

The process has one file at a time. It is killed when it takes too long for the next picture, and another is started for
the next file. What it gives is a line of JSON a picture, with the picture's bytes behind it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Timer
from typing import NamedTuple

import numpy as np

from activity_bench.errors import InputError, printable
from activity_bench.features import pyav
from activity_bench.features.decode import SLACK, whole
from activity_bench.features.frames import MOST_PIXELS, Image, Look, Shown, Undecodable
from activity_bench.features.images import read_image
from activity_bench.features.process import LAST_WORDS, last_words, program, tell
from activity_bench.features.worker import serving

LATE = 1.0  # seconds behind a video's end at which its last frame is taken: durations come from other copies of it


class Missing(NamedTuple):
    """Why there is no picture: a kind, of those that a ledger has, and a message."""

    kind: str
    message: str


class Reader:
    """Pictures by way of a process, which has `limit` seconds for each."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._talk = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - as long as the reader
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *error: object) -> None:
        if self._process is not None:
            self._end(self._process)
        self._talk.close()

    def read(self, path: Path, times: Sequence[float] = ()) -> Iterator[Image | Missing]:
        """The pictures of a video at ascending seconds, or the one of an image file; for each that is not, why."""
        self._talk.truncate(0)  # what was said of the file before
        if self._process is None:
            self._process = program("stills", self._talk)
        tell(self._process, {"path": str(path), "times": list(times)})
        found: Image | Missing | None = None
        for _ in times or [0.0]:
            if self._process is not None:
                found = self._next(self._process)
            assert found is not None
            yield found  # of a process that ended, the same for all that are left

    def _next(self, process: subprocess.Popen[bytes]) -> Image | Missing:
        """What the process gives next, or how it ended."""
        assert process.stdout is not None
        is_late = Event()

        def end_it() -> None:
            is_late.set()
            process.kill()

        timer = Timer(self._limit, end_it)
        timer.start()
        try:
            line = process.stdout.readline()
            answer = json.loads(line) if line.endswith(b"\n") else {}
            if "kind" in answer:
                return Missing(**answer)
            image = np.empty(answer.get("shape", (0, 0, 3)), np.uint8)  # (H, W, 3)
            left = memoryview(image.reshape(-1).data)
            while left and (count := process.stdout.readinto(left)):  # type: ignore[attr-defined]
                left = left[count:]
            if image.size and not left:
                return image
        finally:
            timer.cancel()
        code = self._end(process)
        if is_late.is_set():
            return Missing("timeout", f"no picture within {self._limit:g} seconds")
        if code < 0:
            return Missing("killed", f"the process that reads pictures was ended by {signal.Signals(-code).name}")
        return Missing("failed", last_words(self._talk) or f"the process that reads pictures ended with code {code}")

    def _end(self, process: subprocess.Popen[bytes]) -> int:
        """End the process; the code that it ended with, if it did so itself."""
        self._process = None
        assert process.stdin is not None and process.stdout is not None
        with suppress(OSError):
            process.stdin.close()  # it ends when its input does, unless it hangs
        with suppress(subprocess.TimeoutExpired):
            process.wait(LAST_WORDS)
        process.kill()
        process.stdout.close()
        return process.wait()


def frames_at(path: Path, times: Sequence[float]) -> Iterator[Image | Undecodable]:
    """The picture that a video shows at each of some ascending seconds; for one that it has not, the error."""
    left = list(reversed(times))
    held: Shown | None = None
    failure: Undecodable | None = None
    try:
        facts = pyav.stated(path, MOST_PIXELS)
        for frame in whole(pyav.shown(path, Look(), MOST_PIXELS), facts.promised, path):
            while held is not None and left and left[-1] < frame.time - SLACK:
                yield held.picture()
                left.pop()
            if not left:
                return
            held = frame
    except Undecodable as error:  # the frame before it is shown all the same
        failure = error
    end = 0.0 if held is None else held.time + held.lasts
    try:
        while held is not None and left and left[-1] < end + (0.0 if failure else LATE):
            yield held.picture()
            left.pop()
    except Undecodable as error:
        failure = failure or error
    for time in reversed(left):
        yield failure or Undecodable(
            "no frames", path, why=f"none at {time:g} s", found=f"the last ends at {end:.2f} s"
        )


def main(parent: int) -> None:
    """Serve the process `parent` until it closes our standard input, or dies."""
    orders, answers = serving(parent)
    while True:
        order = orders.get()
        for picture in _pictures(Path(order["path"]), order["times"]):
            if isinstance(picture, InputError):
                missing = Missing(getattr(picture, "kind", "unreadable"), printable(str(picture)))
                answers.write(json.dumps(missing._asdict()).encode() + b"\n")
            else:
                answers.write(json.dumps({"shape": picture.shape}).encode() + b"\n")
                answers.write(np.ascontiguousarray(picture).data)
            answers.flush()


def _pictures(path: Path, times: Sequence[float]) -> Iterator[Image | InputError]:
    if times:
        yield from frames_at(path, times)
        return
    try:
        picture: Image | InputError = read_image(path)
    except InputError as error:
        picture = error
    yield picture


if __name__ == "__main__":
    main(int(sys.argv[1]))

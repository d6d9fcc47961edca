"""Look for bytes that a reader does not bear: `python -m tests.fuzz.hunt READER --seconds 60 --engine atheris`.

A reader gives a result, or refuses with InputError or WorkError. Anything else is a find: another exception, more
memory than is stated (RLIMIT_AS), more time than LONGEST, the end of the process. The file that did it stays under
--finds; once mended it belongs to tests/fuzz/finds, where every run of the tests reads it again. The last line of the
output is JSON: the reader, how many files were tried, how many were accepted.

Engines: `atheris` is led by the coverage of activity_bench, and must be installed (pip install atheris); `seeded` draws
changes of valid files (tests/fuzz/mutations.py) with no lead.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import NoReturn

LONGEST = 20  # seconds for a file of up to 1 MiB
SLACK = 1 << 30  # bytes that the engine and what is loaded late may take beside the reader


class Hangs(BaseException):
    """No Exception, which a reader might take for damage of the file."""


def _hangs(number: int, frame: FrameType | None) -> None:
    raise Hangs(f"still at work after {LONGEST} seconds")


class Trial:
    """One reader, given one file after the other."""

    def __init__(self, name: str, folder: Path) -> None:
        from tests.fuzz.readers import READERS  # here, where an engine may watch what it imports

        if name not in READERS:
            sys.exit(f"no such reader: {name}; there is {', '.join(READERS)}")
        self.name, self.reader, self.folder = name, READERS[name], folder
        self.path = folder / self.reader.name
        self.tried = self.accepted = self.finds = 0

    def bears(self, data: bytes) -> bool:
        """Whether the file was accepted; False where it was refused in our own words. The rest is raised."""
        from activity_bench.errors import BenchError

        self.path.write_bytes(data)
        self.tried += 1
        old = signal.signal(signal.SIGALRM, _hangs)
        signal.alarm(LONGEST)
        faulthandler.dump_traceback_later(2 * LONGEST, exit=True)  # a library that no signal reaches
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                self.reader.read(self.path)
            self.accepted += 1
            return True
        except BenchError as error:
            text = str(error)
            assert "\n" not in text and len(text) < 3000, f"not one message: {text[:300]!r}"
            return False
        finally:
            signal.alarm(0)
            faulthandler.cancel_dump_traceback_later()
            signal.signal(signal.SIGALRM, old)
            for entry in self.folder.iterdir():
                if entry != self.path:
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def bound(memory: int) -> None:
    """No more memory for this process than it has, so much and the engine's."""
    taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + memory + SLACK, resource.RLIM_INFINITY))


def seeded(trial: Trial, seconds: float, seed: int, finds: Path) -> None:
    """Changed files until the time is over; of finds at one place the first is kept."""
    from tests.fuzz.mutations import changed

    seeds, known = trial.reader.seeds(), set[str]()
    draw, end = random.Random(seed), time.monotonic() + seconds
    while time.monotonic() < end:
        data = changed(draw.choice(seeds), draw.randrange, seeds)
        try:
            trial.bears(data)
        except (Exception, Hangs) as error:  # noqa: BLE001 - whatever it is, it is a find
            if where(error) not in known:
                keep(data, trial, finds, f"{where(error)}: {str(error)[:200]!r}")
            known.add(where(error))
            trial.finds = len(known)


def where(error: BaseException) -> str:
    """An error by its kind and by the last line of ours that it came through."""
    places, frame = [], error.__traceback__
    while frame:
        code = frame.tb_frame.f_code
        if "activity_bench" in code.co_filename:
            places.append(f"{Path(code.co_filename).name}:{frame.tb_lineno}")
        frame = frame.tb_next
    return f"{type(error).__name__} {places[-1] if places else '-'}"


def keep(data: bytes, trial: Trial, finds: Path, what: str) -> None:
    """The file, and what it did."""
    folder = finds / trial.name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(data).hexdigest()[:12]}-{trial.path.name}"
    path.write_bytes(data)
    print(f"FIND {trial.name}: {what}\n  {path}", file=sys.stderr, flush=True)


def led(trial: Trial, seconds: float, seed: int, finds: Path, corpus: Path, done: Callable[[], NoReturn]) -> NoReturn:
    """Atheris, until the time is over; its first find ends it."""
    import atheris  # type: ignore[import-not-found]

    from tests.fuzz.mutations import TOKENS, changed

    seeds, end = trial.reader.seeds(), time.monotonic() + seconds
    corpus.mkdir()
    for data in seeds:
        (corpus / hashlib.sha256(data).hexdigest()).write_bytes(data)
    words = corpus.with_suffix(".txt")
    quoted = ("".join(f"\\x{byte:02x}" for byte in token) for token in TOKENS if len(token) < 64)
    words.write_text("".join(f'"{token}"\n' for token in quoted), encoding="ascii")

    def mutated(data: bytes, size: int, number: int) -> bytes:
        draw = random.Random(number)
        return changed(data, draw.randrange, seeds)[:size] if draw.random() < 0.5 else atheris.Mutate(data, size)

    def one(data: bytes) -> None:
        if time.monotonic() > end:
            done()
        try:
            trial.bears(data)
        except (Exception, Hangs) as error:  # noqa: BLE001 - whatever it is, it is a find
            keep(data, trial, finds, f"{where(error)}: {str(error)[:200]!r}")
            trial.finds += 1
            done()

    options = [f"-seed={seed + 1}", f"-dict={words}", "-rss_limit_mb=0", "-timeout=0", "-max_len=65536", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one, custom_mutator=mutated)
    atheris.Fuzz()
    raise AssertionError("it does not return")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--engine", choices=["seeded", "atheris"], default="seeded")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--finds", type=Path, default=Path("fuzz-finds"))
    chosen = parser.parse_args()
    place = chosen.finds / chosen.reader / "last"  # what is there when the process is gone has ended it
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    with ExitStack() as held:
        if chosen.engine == "atheris":
            import atheris

            held.enter_context(atheris.instrument_imports(include=["activity_bench"]))
        trial = Trial(chosen.reader, place)
        for data in trial.reader.seeds():  # what is imported late is imported here
            assert trial.bears(data), "a valid file is refused"
    folder = Path(tempfile.mkdtemp())

    def done() -> NoReturn:
        shutil.rmtree(place)
        shutil.rmtree(folder)
        sys.modules["tests.fuzz.binary"].KEPT.cleanup()
        said = {"reader": trial.name, "engine": chosen.engine, "tried": trial.tried, "accepted": trial.accepted}
        print(json.dumps({**said, "finds": trial.finds}), flush=True)
        os._exit(1 if trial.finds else 0)

    bound(trial.reader.memory)
    if chosen.engine == "atheris":
        led(trial, chosen.seconds, chosen.seed, chosen.finds, folder / "corpus", done)
    seeded(trial, chosen.seconds, chosen.seed, chosen.finds)
    done()


if __name__ == "__main__":
    main()

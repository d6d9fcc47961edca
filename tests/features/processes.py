"""Jobs as processes, looked at from outside: what they started, who of them lives, which parts are there."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import h5py

from activity_bench.data.features import parts_folder
from tests.conftest import clean_environment

TINY = "tests.features.tiny:Tiny"
WORKER, NETWORK, ACTOR = "activity_bench.features.worker", "activity_bench.features.network", "ray::Post"


@contextmanager
def started(videos: Path, out: Path, *words: str, **changes: str) -> Iterator[subprocess.Popen[str]]:
    """An extraction as a process of its own, with two workers unless `words` say otherwise; it ends here."""
    given = ["--backbone", TINY, "--random-weights", "--stride", "8", "--workers", "2", *words]
    job = subprocess.Popen(
        [sys.executable, "-m", "activity_bench", "extract-features", "--videos", videos, "--out", out, *given],
        env=clean_environment(OMP_NUM_THREADS="1", **changes), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        encoding="utf-8",
    )  # fmt: skip
    with job:
        try:
            yield job
        finally:
            job.kill()
            for folder in Path("/tmp").glob(
                f"activity-bench-ray-{job.pid}-*"
            ):  # Ray's logs, of a driver that was killed
                shutil.rmtree(folder, ignore_errors=True)


def descendants(pid: int) -> Mapping[int, str]:
    """Every living process that this one started, or that one of those did, with its command line."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        if lives(int(path.parent.name)):
            try:
                parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found, fresh = dict[int, str](), {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh}
        found |= {child: _command(child) for child in fresh}
    return found


def like(pid: int, words: str) -> list[int]:
    """Those of its descendants whose command line has these words."""
    return sorted(child for child, command in descendants(pid).items() if words in command)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for(what: Callable[[], object], seconds: float = 180.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def parts(out: Path) -> dict[str, tuple[int, int]]:
    """The parts under their final names; a part that is made again is another file."""
    found = {}
    for path in parts_folder(out).glob("[!.]*.h5"):
        try:
            about = path.stat()
        except FileNotFoundError:  # packed just now
            continue
        found[path.name] = (about.st_ino, about.st_mtime_ns)
    return found


def check_parts(out: Path) -> None:
    """Every part under a final name is whole."""
    for path in parts_folder(out).glob("[!.]*.h5"):
        with h5py.File(path) as part:
            rows = part["rows"][:]
            assert hashlib.sha256(rows.tobytes()).hexdigest() == part.attrs["sha256"]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def kill(pid: int, number: int) -> None:
    """A signal to a process that may have ended already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return

"""A case: a command as a process of its own, disturbed once at a seeded moment, looked at, and called again."""

from __future__ import annotations

import csv
import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.conftest import clean_environment
from tests.faults.table import ROWS, Row

SIGNALS = {"killed": signal.SIGKILL, "terminated": signal.SIGTERM, "interrupted": signal.SIGINT}
DAMAGES = ("a byte flipped", "cut short", "exchanged", "unreadable")
KINDS = (*SIGNALS, "disk full", "two at once", *DAMAGES)
PATIENCE = 120  # seconds that any call may take
VOLATILE = {"created", "seconds", "waited", "samples_per_second"}  # keys that tell of the day and the machine
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
_libc = ctypes.CDLL(None, use_errno=True)

Snapshot = dict[str, bytes]


@dataclass
class Said:
    """What a call left behind, its outputs aside."""

    code: int
    out: str
    err: str
    seconds: float


@dataclass
class Whole:
    """What an undisturbed call leaves, and an older one whose output is there when the call begins."""

    new: Snapshot
    old: Snapshot
    out: str
    seconds: float
    folder: Path  # with the older output


@dataclass
class Case:
    """What a seed stands for, and what came of it."""

    seed: int
    row: Row
    kind: str
    renewed: bool  # an older output is there
    outcome: str = ""
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, seed: int, rows: list[Row]) -> Case:
        """Every row meets every kind before one is met twice."""
        pairs = len(rows) * len(KINDS)
        step = next(step for step in range(int(pairs * 0.618), pairs) if np.gcd(step, pairs) == 1)
        number, kind = divmod(seed * step % pairs, len(KINDS))
        row, name = rows[number], KINDS[kind]
        if (name in DAMAGES and not row.takes) or (name == "disk full" and not row.makes):
            name = list(SIGNALS)[seed % 3]
        return cls(seed, row, name, row.older is not None and seed // pairs % 2 == 0)


# ---- calls ----------------------------------------------------------------------------------------------------------


def start(words: list[str], folder: Path, limit: int | None = None) -> subprocess.Popen[str]:
    """The command in `folder`, alone in its group, without root's right to read what nobody may read."""

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell that puts us in the background has it ignored
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    folder.joinpath("tmp").mkdir(exist_ok=True)
    env = clean_environment(
        PYTHONDONTWRITEBYTECODE="1", OMP_NUM_THREADS="1", TMPDIR=str(folder / "tmp"), HOME=str(folder / "tmp")
    )
    return subprocess.Popen(
        [sys.executable, "-m", "activity_bench", *words], cwd=folder, env=env, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", start_new_session=True, preexec_fn=prepare,
    )  # fmt: skip


def finish(process: subprocess.Popen[str], began: float) -> Said:
    """Wait for the call and for all that it started."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise AssertionError(f"it hangs: {process.args}") from None
    took = time.monotonic() - began
    end = time.monotonic() + 30
    while members(process.pid):
        assert time.monotonic() < end, f"what it started lives on: {members(process.pid)}"
        time.sleep(0.01)
    return Said(process.returncode, out, err, took)


def members(group: int) -> list[str]:
    """The living processes of a group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().rpartition(")")
        except OSError:
            continue
        state, _, owner = rest.split()[:3]
        if int(owner) == group and state not in "ZX":
            found.append(name)
    return found


def call(words: list[str], folder: Path) -> Said:
    """Start and finish."""
    return finish(start(words, folder), time.monotonic())


# ---- what is there --------------------------------------------------------------------------------------------------


def look(folder: Path, names: list[str] | None = None) -> Snapshot:
    """The files under `folder`, or under these names in it; of tables and JSON, what is not of the day."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    found = {str(path.relative_to(folder)): path for path in files}
    wanted = {name: path for name, path in found.items() if names is None or Path(name).parts[0] in names}
    return {name: _plain(path) for name, path in wanted.items()}


def _plain(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".json":
        with suppress(ValueError):
            return json.dumps(_without(json.loads(data)), sort_keys=True).encode()
    if path.name == "metrics.csv":
        rows = csv.DictReader(data.decode().splitlines())
        return json.dumps([_without(row) for row in rows]).encode()
    return data


def _without(page: Any) -> Any:
    if isinstance(page, dict):
        return {name: _without(value) for name, value in page.items() if name not in VOLATILE}
    return [_without(one) for one in page] if isinstance(page, list) else page


def raw(folder: Path) -> Mapping[str, bytes]:
    """The very bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def drafts(folder: Path) -> list[str]:
    """Hidden names."""
    return [str(path.relative_to(folder)) for path in folder.rglob(".*") if not path.name.startswith(".git")]


def prepare(row: Row, stage: Path, folder: Path) -> Path:
    """A folder with what the row reads."""
    for name in ("in", "out"):
        (folder / name).mkdir(parents=True)
    for name, target in [*((name, f"in/{name}") for name in row.takes),
                         *((name, f"out/{target}") for name, target in row.starts.items())]:  # fmt: skip
        copy = shutil.copytree if (stage / name).is_dir() else shutil.copy
        copy(stage / name, folder / target)
    return folder


class Undisturbed:
    """What each row leaves when nothing happens, made when first asked for."""

    def __init__(self, stage: Path, folder: Path) -> None:
        self.stage, self.folder, self._known = stage, folder, dict[int, Whole]()

    def of(self, row: Row) -> Whole:
        """The undisturbed call of a row."""
        number = ROWS.index(row)
        if number not in self._known:
            self._known[number] = self._made(row, self.folder / str(number))
        return self._known[number]

    def _made(self, row: Row, folder: Path) -> Whole:
        older = prepare(row, self.stage, folder / "older")
        if row.older is not None:
            said = call([*row.words, *row.older], older)
            assert said.code == 0, said.err
        fresh = prepare(row, self.stage, folder / "fresh")
        said = call(row.words, fresh)
        assert said.code == 0, said.err
        return Whole(look(fresh / "out", row.makes), look(older / "out", row.makes), said.out, said.seconds, older)


# ---- disturbances ---------------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[bool]:
    """A disk of `size` bytes at `folder`, with what lay in it; False where none can be mounted."""
    kept = folder.with_name("kept")
    folder.rename(kept)
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = sys.platform == "linux" and subprocess.run(words, capture_output=True, check=False).returncode == 0
    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        yield mounted
    finally:
        if mounted:
            shutil.rmtree(kept)
            shutil.copytree(folder, kept)
            subprocess.run(["umount", str(folder)], check=True)
            shutil.copytree(kept, folder, dirs_exist_ok=True)
        shutil.rmtree(kept)


def strike(process: subprocess.Popen[str], number: int, out: Path, moment: float, writing: bool) -> None:
    """Send a signal after `moment` seconds; those count from the first name in `out` if it is to be caught writing."""
    before, end = set(out.rglob("*")), time.monotonic() + PATIENCE
    while writing and process.poll() is None and set(out.rglob("*")) <= before and time.monotonic() < end:
        time.sleep(0.0005)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)


def harm(kind: str, folder: Path, draw: np.random.Generator) -> Path:
    """Do to one of the inputs what `kind` says; which one."""
    files = [path for path in sorted((folder / "in").rglob("*")) if path.is_file()]
    victim = files[int(draw.integers(len(files)))]
    data = bytearray(victim.read_bytes())
    place = int(draw.integers(len(data))) if data else 0
    if kind == "unreadable":
        victim.chmod(0)
    elif kind == "cut short":
        victim.write_bytes(data[:place])
    elif kind == "exchanged":
        other = files[(files.index(victim) + 1 + int(draw.integers(max(1, len(files) - 1)))) % len(files)]
        held = other.read_bytes() if other != victim else bytes(data[::-1])
        other.write_bytes(data)
        victim.write_bytes(held)
    else:
        data[place : place + 1] = bytes([(data or b"\0")[place] ^ int(draw.integers(1, 256))])
        victim.write_bytes(data)
    return victim

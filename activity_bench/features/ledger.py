"""The ledger of an extraction, `FILE.failures.jsonl`: one line for each video that failed, and why.

Lines are added as videos fail, each in one write, so several jobs may share a ledger. What a kill leaves of a line is
no line: its video is tried again. The last line of a video counts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from activity_bench.data import canonical, disk


@dataclass(frozen=True)
class Failure:
    """A video that gave no features: of what kind the fault was, how often it was tried, and the last try's seconds."""

    video: str
    kind: str
    message: str
    attempts: int
    seconds: float

    def line(self) -> bytes:
        """Canonical JSON, with its newline."""
        return canonical.line(asdict(self))


def ledger_of(file: Path) -> Path:
    """Where the failures of `FILE` stand."""
    return file.with_name(file.name + ".failures.jsonl")


def read(ledger: Path) -> dict[str, Failure]:
    """The failures by video; none where there is no ledger."""
    found: dict[str, Failure] = {}
    if not ledger.exists():
        return found
    decoder = msgspec.json.Decoder(Failure)
    for line in disk.read_bytes(ledger).split(b"\n"):
        try:
            failure = decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue  # blank, or cut short
        found[failure.video] = failure
    return found


def add(ledger: Path, failure: Failure) -> None:
    """Note one failure, durably."""
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with ledger.open("a+b", buffering=0) as stream:
        if size := stream.seek(0, os.SEEK_END):
            stream.seek(size - 1)
        torn = size > 0 and stream.read(1) != b"\n"
        stream.write(b"\n" * torn + failure.line())
        os.fsync(stream.fileno())


def replace(ledger: Path, failures: Mapping[str, Failure]) -> None:
    """Write the ledger anew, by video; none is left where nothing failed."""
    if not failures:
        ledger.unlink(missing_ok=True)
        return
    with disk.atomic(ledger) as stream:
        stream.writelines(failures[video].line() for video in sorted(failures))

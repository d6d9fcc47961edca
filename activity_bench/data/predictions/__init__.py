"""Predictions: our own JSON lines, and the files that other scorers read, as columns beside the truth that they answer.

Plain or gzipped; `-` is standard input. The format is found from the content. Our own format is strict: a stranger, a
duplicate, a segment that is empty, reversed or outside its sample's window is an error with file and line. In foreign
formats a `Foreign` policy says what becomes of those, and each case is counted. The order of lines and of segments
means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from activity_bench.data import lines
from activity_bench.data.disk import open_read
from activity_bench.data.instances import Instances
from activity_bench.data.predictions import activitynet, moment_lines, ours, tables
from activity_bench.data.predictions.faults import Faults
from activity_bench.data.predictions.foreign import Rows, resolve
from activity_bench.data.predictions.ours import Header, write
from activity_bench.data.predictions.source import FORMATS, sniff, whole
from activity_bench.data.truth import Ints, Moments
from activity_bench.errors import InputError, unknown
from activity_bench.segments import Floats
from activity_bench.types import Foreign

__all__ = ["FORMATS", "Answers", "Faults", "Header", "read", "survey", "write"]

HEAD = 1 << 13  # bytes that tell a format


@dataclass(frozen=True)
class Answers:
    """k answered segments as columns, and where they came from."""

    sample: Ints  # (k,) place of the sample in the truth's index; -1: a video that the truth does not know
    start: Floats  # (k,) seconds
    end: Floats  # (k,)
    score: Floats  # (k,)
    label: Ints | None  # (k,) place among the classes of a detection's truth
    header: Header
    file: str
    sha256: str
    format: str
    counts: dict[str, int]  # what the policy for foreign files did, in words


def read(
    path: Path, truth: Moments | Instances, digest: str, foreign: Foreign | None = None, format_: str | None = None
) -> Answers:
    """The answers to `truth`; the first fault of the file is raised. `digest` is that of the manifest that asks."""
    return _read(path, truth, digest, foreign or Foreign(), format_, Faults())


def survey(
    path: Path, truth: Moments | Instances, digest: str, foreign: Foreign | None = None, format_: str | None = None
) -> tuple[Answers | None, Faults]:
    """Every fault of a file, and the answers that have none; no answers where the file cannot be read to its end."""
    faults = Faults(every=True)
    try:
        return _read(path, truth, digest, foreign or Foreign(), format_, faults), faults
    except InputError as error:
        faults.add(error)
        return None, faults


def _read(
    path: Path, truth: Moments | Instances, digest: str, foreign: Foreign, format_: str | None, faults: Faults
) -> Answers:
    if format_ is not None and format_ not in FORMATS:
        raise unknown("format", format_, FORMATS)
    path, hasher = Path(path), sha256()
    with open_read(path) as stream:
        found = format_ or sniff(_head(stream))
        if found in (None, "ours"):
            try:
                (sample, values, label), header = ours.read(path, stream, hasher, truth, digest, faults)
            except InputError as error:
                raise _with_formats(error) if found is None else error from None
            start, end, score = values.T
            classes = label if isinstance(truth, Instances) else None
            return Answers(sample, start, end, score, classes, header, path.name, hasher.hexdigest(), "ours", {})
        rows = _foreign_rows(found, path, stream, hasher, truth, faults)
    done = resolve(path, rows, truth, foreign, faults)
    return Answers(done.sample, done.start, done.end, done.score, done.label, Header(), path.name, hasher.hexdigest(),
                   found, done.counts)  # fmt: skip


def _head(stream: BinaryIO) -> bytes:
    peek = getattr(stream, "peek", None)
    return b"" if peek is None else peek(HEAD)


def _foreign_rows(
    format_: str, path: Path, stream: BinaryIO, hasher: lines.Hasher, truth: Moments | Instances, faults: Faults
) -> Rows:
    if format_ == "qvhighlights":
        return moment_lines.read(path, stream, hasher, truth, faults)
    data = whole(path, stream, hasher)
    if format_ == "activitynet":
        return activitynet.read(path, data, faults)
    return (tables.read_csv if format_ == "csv" else tables.read_thumos)(path, data, truth, faults)


def _with_formats(error: InputError) -> InputError:
    """The error of a file that begins like none of the formats."""
    if error.hint is not None or error.line not in (None, 1):
        return error
    return InputError(error.problem, file=error.file, line=error.line, field=error.field, found=error.found,
                      expected=error.expected, hint=f"Formats: {', '.join(FORMATS)}.")  # fmt: skip

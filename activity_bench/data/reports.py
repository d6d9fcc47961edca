"""Reports (JSON) and their rows (npz), the sample-by-sample record that paired tests need. Floats are never rounded.

Rows are arrays beside the report, `NAME.rows.npz` for `NAME.json`, stored without compression or objects:

- moments: `iou` and `video` (a code for each source video), one a sample in the manifest's order; an array under a
  metric's name has that metric's value of each sample, where it does not follow from the IoU;
- detection: `sample`, `label` (k,) of the detections, class by class, best first; `truth` (T, k), the true segment that
  each hits at each threshold or -1; `counted` (T, k), false where it is excused; `truth_sample`, `truth_label` (m,) of
  the true segments; `samples`, `classes`, how many there are.
"""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tokenize import TokenError
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from activity_bench.data import canonical
from activity_bench.data.disk import atomic, read_bytes
from activity_bench.errors import InputError

FORMAT = 1
STDOUT = Path("-")
RESERVED = frozenset((
    "rank", "method", "benchmark", "version", "split", "manifest", "asked", "answered", "features", "source", "date",
    "runs", "tied", "protocol",
))  # fmt: skip
ENDINGS = ("_low", "_high", "_sd")  # of columns beside a metric's
MAX_BYTES = 1 << 28
MAX_ROWS = 1 << 31  # bytes of the rows of a report

MAX_CLASSES = 1 << 20
ROUNDING = 1e-9  # by which an interval of an older version may pass 0 or 1
UNREADABLE = (
    ValueError, TypeError, ArithmeticError, EOFError, OSError, SyntaxError, TokenError, RuntimeError,
    zipfile.BadZipFile,
)  # fmt: skip

Rows = Mapping[str, NDArray[Any]]


class Asked(msgspec.Struct, frozen=True):
    """The manifest and split that a report is about."""

    name: str
    version: str
    split: str
    digest: str
    task: str = "moment"
    partial: bool = False


class Report(msgspec.Struct, kw_only=True):
    """The scores of one set of predictions on one split."""

    format: int = FORMAT
    manifest: Asked
    predictions: dict[str, str]
    method: dict[str, Any]
    protocol: str
    scorer: dict[str, int | str]
    asked: int
    answered: int
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]] = {}
    by_part: dict[str, Any] = {}
    by_label: dict[str, Any] = {}
    features: str | None = None
    counts: dict[str, int] = {}  # what the protocol did with what a foreign file held
    diagnosis: dict[str, Any] = {}
    warnings: list[str] = []
    rows: dict[str, str] | None = None  # file, sha256
    created: str = ""

    def to_pandas(self) -> Any:
        """The scores as a table: one row a metric, of the whole, of each part and of each class."""
        try:
            from pandas import DataFrame
        except ModuleNotFoundError:
            raise InputError("a table needs pandas, which is not installed", hint="pip install pandas") from None
        rows = [("whole", "", name, value, *self.intervals.get(name, (None, None)), self.asked)
                for name, value in self.metrics.items()]  # fmt: skip
        for kind, groups in (("part", self.by_part), ("class", self.by_label)):
            for word, group in groups.items():
                rows += [(kind, word, name, value, None, None, group["asked"])
                         for name, value in group["metrics"].items()]  # fmt: skip
        return DataFrame(rows, columns=["of", "name", "metric", "score", "low", "high", "asked"])


def now() -> str:
    """The time in UTC; SOURCE_DATE_EPOCH replaces it where bytes must repeat."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        moment = datetime.fromtimestamp(int(epoch), UTC) if epoch.isdecimal() else datetime.now(UTC)
    except (OverflowError, ValueError, OSError):
        raise InputError("not a time", field="SOURCE_DATE_EPOCH", found=epoch, expected="seconds since 1970") from None
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def write_report(path: Path, report: Report, rows: Rows | None = None) -> None:
    """A report and its rows, over older ones or over nothing: another file under that name stays.

    A device or a pipe has no place beside it, and gets the report without rows.
    """
    if path == STDOUT:
        rows = None
    _only_over(path, read_report, "a report")
    if rows is None or (path.exists() and not path.is_file()):
        write_page(path, report)
        return
    beside, data = rows_file(path), _packed(rows)
    _only_over(beside, lambda old: _arrays(read_bytes(old, MAX_ROWS), old), "the rows of a report")
    report = msgspec.structs.replace(report, rows={"file": beside.name, "sha256": sha256(data).hexdigest()})
    with atomic(path) as page:  # a disk that is full is known before older rows are replaced
        page.write(canonical.page(msgspec.to_builtins(report)))
        page.flush()
        with atomic(beside) as stream:
            stream.write(data)


def write_comparison(path: Path, comparison: Any) -> None:
    """What `compare` found, over an older comparison or over nothing."""
    _only_over(path, lambda old: canonical.read_page(read_bytes(old, MAX_BYTES), old, _Comparison), "a comparison")
    write_page(path, comparison)


class _Comparison(msgspec.Struct):
    """By what a comparison is known."""

    baseline: str
    methods: list[Any]


def _only_over(path: Path, read: Callable[[Path], object], what: str) -> None:
    """An error if there is a file under that name that `read` refuses."""
    if path != STDOUT and path.is_file() and path.stat().st_size:
        try:
            read(path)
        except InputError:
            raise InputError(f"refusing to replace a file that is not {what}", file=path,
                             hint="Name another file, or remove this one yourself.") from None  # fmt: skip


def write_page(path: Path, value: Any) -> None:
    """A JSON file that a person may read, whole or not at all; `-` is standard output."""
    if path == STDOUT:
        sys.stdout.write(json.dumps(msgspec.to_builtins(value), sort_keys=True, indent=1, allow_nan=False) + "\n")
        return
    with atomic(path) as stream:
        stream.write(canonical.page(msgspec.to_builtins(value)))


def read_report(path: Path) -> Report:
    """A report that `score` wrote."""
    data = read_bytes(path, MAX_BYTES)
    if not data.strip():
        raise InputError("an empty report", file=path)
    report: Report = canonical.read_page(data, path, Report)
    if report.format != FORMAT:
        raise InputError("a report of another format", file=path, field="format", found=report.format,
                         expected=str(FORMAT), hint="Score again with this version.")  # fmt: skip
    if not report.metrics:
        raise InputError("a report without a score", file=path, field="metrics")
    for name, value in report.metrics.items():
        low, high = report.intervals.get(name, (0.0, 1.0))
        if not 0 <= value <= 1:
            raise InputError("not a score", file=path, field=f"metrics.{name}", found=value, expected="0 to 1")
        if not -ROUNDING <= low <= high <= 1 + ROUNDING:
            raise InputError("not an interval of a score", file=path, field=f"intervals.{name}", found=[low, high],
                             expected="0 <= low <= high <= 1")  # fmt: skip
        if name.partition("_")[0] in RESERVED or name.endswith(ENDINGS) or not name:
            raise InputError("a metric cannot have this name", file=path, field="metrics", found=name)
    if not 0 <= report.answered <= report.asked or not report.asked:
        raise InputError("a report that contradicts itself", file=path, field="answered", found=report.answered,
                         expected=f"0 to {report.asked}, which is asked")  # fmt: skip
    return report


# ---- rows -----------------------------------------------------------------------------------------------------------


def rows_file(report: Path) -> Path:
    """Where the rows of a report stand."""
    return report.with_name(f"{report.name.removesuffix('.json')}.rows.npz")


def _packed(rows: Rows) -> bytes:
    """Rows as the bytes of their file."""
    stream = io.BytesIO()
    packed: dict[str, Any] = {name: _small(rows[name]) for name in sorted(rows)}
    np.savez(stream, **packed)
    return stream.getvalue()


def _small(array: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers take four bytes: codes and places, all below 2^31."""
    array = np.array(array, order="C")
    assert array.dtype.kind in "biuf"  # for of anything else numpy makes a pickle
    return array.astype(np.int32) if array.dtype.kind in "iu" else array


def has_rows(path: Path, report: Report) -> bool:
    """Whether a file of the name that the report says is beside it."""
    try:
        return (path.parent / (report.rows or {}).get("file", "")).is_file()
    except OSError:  # a name that no file can have
        return False


def read_rows(path: Path, report: Report) -> dict[str, NDArray[Any]]:
    """The rows of the report that was read from `path`, whole numbers as int64, proven to be those it was made with."""
    named = (report.rows or {}).get("file", "")
    if not named or Path(named).name != named:
        raise InputError("no rows are beside this report: what each sample scored is not known", file=path,
                         field="rows", hint="Score again with --json.")  # fmt: skip
    place = path.with_name(named)
    try:
        data = read_bytes(place, MAX_ROWS)
    except InputError as error:
        raise InputError(error.problem, file=place, hint="Score again with --json.") from None
    if sha256(data).hexdigest() != (report.rows or {}).get("sha256"):
        raise InputError("these are not the rows that the report was made with", file=place, field="sha256",
                         hint="Score again with --json.")  # fmt: skip
    rows = {name: a.astype(np.int64) if a.dtype.kind in "iu" else a for name, a in _arrays(data, place).items()}
    fault = _fault(rows, report) if set(_needed(report)) <= set(rows) else f"lacks one of {', '.join(_needed(report))}"
    if fault:
        raise InputError(f"rows that no report can have: {fault}", file=place)
    return rows


def _arrays(data: bytes, path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file, as views of what was read: nothing in it can ask for more memory, or run."""
    try:
        arrays = {}
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if any(e.compress_type for e in entries) or sum(e.file_size for e in entries) > len(data):
                raise ValueError("it is compressed")
            for entry in entries:
                raw = archive.read(entry)
                header = io.BytesIO(raw)
                if np.lib.format.read_magic(header) != (1, 0):
                    raise ValueError("another version of npy")
                shape, fortran, kind = np.lib.format.read_array_header_1_0(header)
                if kind.hasobject or kind.kind not in "biuf" or (fortran and len(shape) > 1):
                    raise ValueError(f"{entry.filename} holds {kind}")
                array = np.frombuffer(raw, kind, offset=header.tell()).reshape(shape)
                arrays[entry.filename.removesuffix(".npy")] = array
    except UNREADABLE as error:
        raise InputError(f"not arrays that can be read safely: {error}", file=path, expected="npz") from None
    return arrays


def _needed(report: Report) -> tuple[str, ...]:
    if report.manifest.task == "moment":
        return ("iou", "video")
    return ("sample", "label", "truth", "counted", "truth_sample", "truth_label", "samples", "classes")


def _fault(rows: Rows, report: Report) -> str | None:
    """What is wrong with the shapes and codes of rows, so that no later step meets an impossible one."""
    if report.manifest.task == "moment":
        for name, values in rows.items():
            if values.shape != (report.asked,):
                return f"{name} has shape {values.shape}, and {report.asked} samples were asked"
            if name == "video" and (values.dtype.kind != "i" or not _within(values, 0, report.asked)):
                return "video is no code of a video"
            if name != "video" and not ((values >= 0) & (values < 1 + 1e-9)).all():
                return f"{name} is not all in 0 to 1"
        return None
    samples, classes = rows["samples"], rows["classes"]
    if samples.shape != () or classes.shape != () or samples != report.asked:
        return f"it has {samples} samples, and {report.asked} were asked"
    if classes.dtype.kind != "i" or samples.dtype.kind != "i" or not 0 < classes <= MAX_CLASSES:
        return f"it has {classes} classes"
    k, m = rows["sample"].shape, rows["truth_sample"].shape
    hits = rows["truth"].shape
    if len(k) != 1 or len(m) != 1 or not m[0] or len(hits) != 2 or hits[1:] != k:
        return "sample, truth and truth_sample have shapes that do not fit"
    if rows["counted"].shape != hits or rows["label"].shape != k or rows["truth_label"].shape != m:
        return "counted, label and truth_label have shapes that do not fit"
    ranges = {"sample": (-1, samples), "label": (0, classes), "truth": (-1, m[0]), "truth_sample": (0, samples),
              "truth_label": (0, classes)}  # fmt: skip
    wrong = [name for name, (low, high) in ranges.items()
             if rows[name].dtype.kind != "i" or not _within(rows[name], low, int(high))]  # fmt: skip
    if wrong or rows["counted"].dtype != bool:
        return f"{wrong[0] if wrong else 'counted'} holds what it cannot"
    return None


def _within(values: NDArray[Any], low: int, high: int) -> bool:
    """Whether every code is in [low, high)."""
    return not values.size or bool(values.min() >= low and values.max() < high)

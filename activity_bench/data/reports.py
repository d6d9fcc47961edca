"""Reports (JSON) and the leaderboard (CSV). Floats are never rounded in either."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from activity_bench.data import canonical
from activity_bench.data.disk import atomic, read_bytes
from activity_bench.errors import InputError, printable

FORMAT = 1
RESERVED = frozenset(
    ["rank", "method", "benchmark", "version", "split", "manifest", "asked", "answered", "features", "source", "date"]
)
MAX_BYTES = 1 << 28


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
    warnings: list[str] = []
    created: str = ""


def now() -> str:
    """The time in UTC; SOURCE_DATE_EPOCH replaces it where bytes must repeat."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        moment = datetime.fromtimestamp(int(epoch), UTC) if epoch.isdecimal() else datetime.now(UTC)
    except (OverflowError, ValueError, OSError):
        raise InputError("not a time", field="SOURCE_DATE_EPOCH", found=epoch, expected="seconds since 1970") from None
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def write_report(path: Path, report: Report) -> None:
    """A report, over an older report or over nothing: another file under that name stays."""
    if path.is_file() and path.stat().st_size:
        try:
            read_report(path)
        except InputError:
            raise InputError("refusing to replace a file that is not a report", file=path,
                             hint="Name another file, or remove this one yourself.") from None  # fmt: skip
    write_page(path, report)


def write_page(path: Path, value: Any) -> None:
    """A JSON file that a person may read, whole or not at all."""
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
    for name, value in report.metrics.items():
        if not 0 <= value <= 1:
            raise InputError("not a score", file=path, field=f"metrics.{name}", found=value, expected="0 to 1")
        if name.partition("_")[0] in RESERVED:
            raise InputError("a metric cannot have this name", file=path, field="metrics", found=name)
    if not 0 <= report.answered <= report.asked or not report.asked:
        raise InputError("a report that contradicts itself", file=path, field="answered", found=report.answered,
                         expected=f"0 to {report.asked}, which is asked")  # fmt: skip
    return report


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """A CSV file (RFC 4180, UTF-8), whole or not at all; what is missing is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([cell(name) for name in columns])
    writer.writerows([cell(row.get(name)) for name in columns] for row in rows)
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as stream:
            if not stream.read(len(columns[0]) + 1).startswith(f"{columns[0]},".encode()):
                raise InputError("refusing to replace a file that is not such a table", file=path,
                                 hint="Name another file, or remove this one yourself.")  # fmt: skip
    with atomic(path) as stream:
        stream.write(text.getvalue().encode("utf-8"))


def cell(value: object) -> str | int | float:
    """A value as a cell: control characters are escaped, and a text that a spreadsheet would run gets a quote first."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return value
    text = printable(str(value))  # a bare \r would end the row: csv does not quote it
    return f"'{text}" if text.lstrip()[:1] in tuple("=+-@") else text

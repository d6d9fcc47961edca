"""leaderboard: reports -> one table, the papers' figures beside our own where they answer the same question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from activity_bench import catalog
from activity_bench.data import shipped
from activity_bench.data.reports import Report, read_report, write_csv
from activity_bench.errors import InputError, unknown
from activity_bench.scoring.rank import ranks

Row = dict[str, object]


@dataclass(frozen=True)
class Leaderboard:
    """Rows in order of rank; `rank` is empty where a row cannot be compared."""

    columns: list[str]
    rows: list[Row]
    by: str


def leaderboard(
    reports: Sequence[Path | str], csv: Path | str | None = None, *, by: str | None = None, published: bool = True
) -> Leaderboard:
    """One row a report, ranked among those of one manifest, split, protocol and scorer; written to `csv` if asked.

    >>> leaderboard(["a/report.json", "b/report.json"], "leaderboard.csv").rows[0]["method"]
    """
    if not reports:
        raise InputError("no report to rank", expected="at least one")
    once = {_same(report): report for report in (read_report(_report_file(Path(path))) for path in reports)}
    read = list(once.values())  # a run that is named twice stands once
    metrics = list(dict.fromkeys(metric for report in read for metric in _in_order(report)))
    by = by or metrics[0]
    if by not in metrics:
        raise unknown("metric", by, metrics)
    places = ranks([_group(report) for report in read], [report.metrics.get(by) for report in read])
    rows = [_row(report, place, metrics) for report, place in zip(read, places, strict=True)]
    rows.sort(key=lambda row: (str(row["benchmark"]), str(row["manifest_digest"]), str(row["split"]),
                               row["rank"] is None, row["rank"] or 0, str(row["method"])))  # fmt: skip
    if published:
        rows += _published(read, metrics)
    columns = ["rank", "method", "benchmark", "version", "split", "manifest_digest"]
    columns += [name for metric in metrics for name in (metric, f"{metric}_low", f"{metric}_high")]
    columns += ["asked", "answered", "features", "source", "date"]
    if csv is not None:
        write_csv(Path(csv), columns, rows)
    return Leaderboard(columns, rows, by)


def _same(report: Report) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(report, created=""), order="sorted")


def _in_order(report: Report) -> list[str]:
    """The report's metrics in the order of its protocol, where this version knows it."""
    known: list[str] = []
    if report.protocol in catalog.PROTOCOLS:
        known = catalog.load("protocol", catalog.PROTOCOLS, report.protocol).scores
    return sorted(report.metrics, key=lambda name: (known.index(name) if name in known else len(known), name))


def _report_file(path: Path) -> Path:
    """A run's folder stands for the report in it."""
    return path / "report.json" if path.is_dir() else path


def _group(report: Report) -> tuple[object, ...] | None:
    if report.manifest.partial:
        return None
    return (report.manifest.digest, report.manifest.split, report.protocol, report.scorer.get("rules"))


def _row(report: Report, place: int | None, metrics: Sequence[str]) -> Row:
    row: Row = {
        "rank": place,
        "method": report.method.get("name", report.predictions.get("file")),
        "benchmark": report.manifest.name,
        "version": report.manifest.version,
        "split": report.manifest.split,
        "manifest_digest": report.manifest.digest,
        "asked": report.asked,
        "answered": report.answered,
        "features": report.features,
        "source": "measured",
        "date": report.created[:10],
    }
    for metric in metrics:
        row[metric] = report.metrics.get(metric)
        row[f"{metric}_low"], row[f"{metric}_high"] = report.intervals.get(metric, (None, None))
    return row


def _published(reports: Sequence[Report], metrics: Sequence[str]) -> list[Row]:
    """The papers' rows for the benchmark versions at hand: never ranked, since nobody has their predictions."""
    asked = {(report.manifest.name, report.manifest.version, report.manifest.split) for report in reports}
    rows: dict[tuple[str, ...], Row] = {}
    for figure in shipped.published():
        where = (figure["benchmark"], figure["version"], figure["split"])
        if where in asked and not figure["part"] and figure["metric"] in metrics:
            name = f"{figure['row']} ({figure['paper']} {figure['table']})"
            row = rows.setdefault(
                (name, *where),
                {"method": name, "benchmark": where[0], "version": where[1], "split": where[2], "source": "published"},
            )
            row[figure["metric"]] = float(figure["value"])
            row["date"] = figure["date"]
    return list(rows.values())

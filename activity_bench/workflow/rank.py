"""leaderboard: reports -> one table, the papers' figures beside our own where they answer the same question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import fsum
from pathlib import Path
from statistics import stdev

import msgspec
import numpy as np

from activity_bench.data import board as files
from activity_bench.data import shipped
from activity_bench.data.reports import Report, has_rows, read_report, read_rows
from activity_bench.errors import InputError, unknown
from activity_bench.scoring.compare import holm, sign_flips
from activity_bench.scoring.intervals import Ints, column_means, of_means
from activity_bench.scoring.rank import overlap, ranks
from activity_bench.segments import Floats
from activity_bench.workflow.compare import base, check_scores, in_order, moment_columns, name_of, report_file, rules_of

Row = dict[str, object]
TIED = 0.05  # a p that is no smaller tells nobody apart
NOTE = "=: not told apart from the best of its group"


@dataclass(frozen=True)
class Leaderboard:
    """Rows in order of rank; `rank` is empty where a row cannot be compared."""

    columns: list[str]
    rows: list[Row]
    by: str

    @property
    def metrics(self) -> list[str]:
        """The scores that it has."""
        return [name for name in self.columns if f"{name}_low" in self.columns]


@dataclass
class _Entry:
    """A line of the table: one report, or several runs of one method that differ in their seeds."""

    paths: list[Path]
    runs: list[Report]
    rank: int | None = None
    tied: str | None = None  # with the best of the group: yes, no
    tied_by: str | None = None
    drawn: dict[str, tuple[float, float]] = field(default_factory=dict)  # intervals of the mean over several runs

    @property
    def report(self) -> Report:
        return self.runs[0]

    @property
    def group(self) -> tuple[object, ...] | None:
        """What it may be ranked with; None for a partial manifest."""
        asked = self.report.manifest
        rules = self.report.protocol, self.report.scorer.get("rules")
        return None if asked.partial else (asked.digest, asked.split, self.report.asked, *rules)

    def score(self, metric: str) -> float | None:
        """The mean over the runs, where all have it."""
        found = [run.metrics[metric] for run in self.runs if metric in run.metrics]
        return fsum(found) / len(found) if len(found) == len(self.runs) else None

    def interval(self, metric: str) -> tuple[float | None, float | None]:
        if len(self.runs) == 1:
            return self.report.intervals.get(metric, (None, None))
        return self.drawn.get(metric, (None, None))

    @cached_property
    def samples(self) -> tuple[dict[str, Floats], Ints] | None:
        """Each metric's value of each sample, the mean over the runs, and the samples' videos; None if not at hand."""
        found = [_samples(path, run) for path, run in zip(self.paths, self.runs, strict=True)]
        if not all(found):
            return None
        columns, videos = zip(*[one for one in found if one], strict=True)
        return {name: np.mean([one[name] for one in columns], axis=0) for name in columns[0]}, videos[0]


def leaderboard(
    reports: Sequence[Path | str],
    csv: Path | str | None = None,
    *,
    by: str | None = None,
    published: bool = True,
    runs: bool = False,
    markdown: Path | str | None = None,
    latex: Path | str | None = None,
) -> Leaderboard:
    """One row a report (a method, with `runs`), ranked among those of one manifest, split, protocol and scorer.

    >>> leaderboard(["a/report.json", "b/report.json"], "leaderboard.csv").rows[0]["method"]
    """
    if not reports:
        raise InputError("no report to rank", expected="at least one")
    paths = [report_file(Path(path)) for path in reports]
    once = {_same(report): (path, report) for path, report in ((path, read_report(path)) for path in paths)}
    entries = _entries(list(once.values()), runs)  # a run that is named twice stands once
    metrics = list(dict.fromkeys(metric for _, report in once.values() for metric in in_order(report)))
    by = by or metrics[0]
    if by not in metrics:
        raise unknown("metric", by, metrics)
    for entry, place in zip(entries, ranks([e.group for e in entries], [e.score(by) for e in entries]), strict=True):
        entry.rank = place
        if len(entry.runs) > 1 and entry.samples:
            names = list(entry.samples[0])
            drawn = of_means(np.stack([entry.samples[0][name] for name in names], axis=1), entry.samples[1])
            bounds = np.clip(drawn, 0.0, 1.0)
            entry.drawn = {name: (float(low), float(high)) for name, (low, high) in zip(names, bounds, strict=True)}
    _mark_ties(entries, by)
    rows = [_row(entry, metrics, runs) for entry in entries]
    rows.sort(key=lambda row: (str(row["benchmark"]), str(row["manifest_digest"]), str(row["split"]),
                               str(row["protocol"]), row["rank"] is None, row["rank"] or 0,
                               str(row["method"])))  # fmt: skip
    if published:
        rows += _published([report for _, report in once.values()], metrics)
    columns = ["rank", "method", "benchmark", "version", "split", "manifest_digest", "protocol"]
    ends = ("", "_low", "_high", "_sd") if runs else ("", "_low", "_high")
    columns += [f"{metric}{end}" for metric in metrics for end in ends]
    columns += ["runs"] if runs else []
    columns += ["tied_with_best", "tied_by", "asked", "answered", "features", "source", "date"]
    found = Leaderboard(columns, rows, by)
    if csv is not None:
        files.write_csv(Path(csv), columns, rows)
    for path, write in ((markdown, files.write_markdown), (latex, files.write_latex)):
        if path is not None:
            write(Path(path), *presented(found, found.metrics), NOTE)
    return found


def presented(board: Leaderboard, metrics: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """The table as people read it: scores to four digits, `=` behind the rank of what is not told from the best."""
    several = len({(row["benchmark"], row["version"]) for row in board.rows}) > 1
    rules = len({row["protocol"] for row in board.rows if row["source"] == "measured"}) > 1
    columns = [
        "rank",
        "method",
        *(["benchmark"] if several else []),
        "split",
        *(["protocol"] if rules else []),
        *metrics,
        f"95 % of {board.by}",
        "source",
    ]
    rows = []
    for row in board.rows:
        rank = "" if row.get("rank") is None else str(row["rank"])
        rank += " =" if row.get("tied_with_best") == "yes" and rank != "1" else ""
        low, high = row.get(f"{board.by}_low"), row.get(f"{board.by}_high")
        interval = "" if low is None else f"{_short(low)} - {_short(high)}"
        where = [f"{row['benchmark']} {row['version']}"] if several else []
        by_rules = [str(row["protocol"])] if rules else []
        scores = [_short(row.get(metric), row.get(f"{metric}_sd")) for metric in metrics]
        rows.append(
            [rank, str(row["method"]), *where, str(row["split"]), *by_rules, *scores, interval, str(row["source"])]
        )
    return columns, rows


def _short(value: object, sd: object = None) -> str:
    return ("" if value is None else f"{value:.4f}") + ("" if sd is None else f" ± {sd:.4f}")


def _same(report: Report) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(report, created=""), order="sorted")


def _entries(read: Sequence[tuple[Path, Report]], runs: bool) -> list[_Entry]:
    """A line a report, or a line for all reports whose methods, options and all, are the same but for the seed."""
    entries: dict[object, _Entry] = {}
    for path, report in read:
        key: object = path, id(report)
        if runs and "name" in report.method:
            method = {name: value for name, value in report.method.items() if name != "seed"}
            alike = report.manifest, report.asked, report.protocol, report.scorer.get("rules"), report.features, method
            key = msgspec.json.encode(alike, order="sorted")
        entry = entries.setdefault(key, _Entry([], []))
        entry.paths.append(path)
        entry.runs.append(report)
    return list(entries.values())


def _samples(path: Path, report: Report) -> tuple[dict[str, Floats], Ints] | None:
    """Of a report on moments whose rows are beside it."""
    if report.manifest.task != "moment" or not has_rows(path, report):
        return None
    rows = read_rows(path, report)
    columns = moment_columns(rules_of(report, path), rows, path)
    means = column_means(np.stack(list(columns.values()), axis=1)).tolist()
    check_scores(path, report, dict(zip(columns, means, strict=True)))
    return columns, rows["video"]


def _mark_ties(entries: Sequence[_Entry], by: str) -> None:
    """Say of every ranked entry whether the data tell it from the best of its group."""
    for group in {entry.group for entry in entries if entry.rank is not None}:
        ranked = sorted((e for e in entries if e.group == group and e.rank is not None), key=lambda e: e.rank or 0)
        best, *others = ranked
        best.tied = "yes"
        paired, differences = [], []
        for entry in others:
            if _pair(best, entry, by):
                paired.append(entry)
                differences.append(best.samples[0][by] - entry.samples[0][by])  # type: ignore[index]
            vars(entry).pop("samples", None)  # rows of thousands of reports are not held at once
        if paired and best.samples:
            adjusted = holm(sign_flips(np.stack(differences, axis=1), best.samples[1]).tolist())
            for entry, p in zip(paired, adjusted, strict=True):
                entry.tied, entry.tied_by = "yes" if p >= TIED else "no", "paired"
        for entry in (entry for entry in others if entry.tied is None):
            known = [(*e.interval(by), e.score(by)) for e in (best, entry)]
            if not any(value is None for one in known for value in one):
                entry.tied, entry.tied_by = "yes" if overlap(*known) else "no", "intervals"  # type: ignore[arg-type]


def _pair(best: _Entry, other: _Entry, by: str) -> bool:
    """Whether the rows of both are at hand, and of the same samples."""
    if not best.samples or not other.samples or by not in best.samples[0]:
        return False
    return np.array_equal(best.samples[1], other.samples[1])


def _row(entry: _Entry, metrics: Sequence[str], runs: bool) -> Row:
    report = entry.report
    row: Row = {
        "rank": entry.rank,
        "method": name_of(report),
        "benchmark": report.manifest.name,
        "version": report.manifest.version,
        "split": report.manifest.split,
        "manifest_digest": report.manifest.digest,
        "protocol": report.protocol,
        "tied_with_best": entry.tied,
        "tied_by": entry.tied_by,
        "asked": report.asked,
        "answered": min(run.answered for run in entry.runs),
        "features": report.features,
        "source": "measured",
        "date": max(run.created for run in entry.runs)[:10],
    }
    for metric in metrics:
        row[metric] = entry.score(metric)
        row[f"{metric}_low"], row[f"{metric}_high"] = entry.interval(metric)
        if len(entry.runs) > 1 and row[metric] is not None:
            row[f"{metric}_sd"] = stdev(run.metrics[metric] for run in entry.runs)
    return row | ({"runs": len(entry.runs)} if runs else {})


def _published(reports: Sequence[Report], metrics: Sequence[str]) -> list[Row]:
    """The papers' rows for the benchmark versions at hand: never ranked, since nobody has their predictions.

    A figure stands beside reports of its own evaluation alone; a mean over thresholds, beside the same thresholds.
    """
    asked: dict[tuple[str, ...], set[str]] = {}
    for report in reports:
        names = report.metrics if " tiou=" not in report.protocol else [name for name in report.metrics if "@" in name]
        of = report.manifest
        asked.setdefault((of.name, of.version, of.split, base(report)), set()).update(names)
    rows: dict[tuple[str, ...], Row] = {}
    for figure in shipped.published():
        where = (figure["benchmark"], figure["version"], figure["split"])
        same = any(figure["metric"] in asked.get((*where, rules), ()) for rules in figure["protocol"].split())
        if same and not figure["part"] and figure["metric"] in metrics:
            name = f"{figure['row']} ({figure['paper']} {figure['table']})"
            row = rows.setdefault(
                (name, *where),
                {
                    "method": name,
                    "benchmark": where[0],
                    "version": where[1],
                    "split": where[2],
                    "protocol": figure["protocol"],
                },
            )
            row[figure["metric"]] = float(figure["value"])
            row["source"], row["date"] = figure["status"], figure["date"]
    return list(rows.values())

"""What the cells of a reproduction score, beside what the papers print of them: results.csv and results.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from activity_bench.data import shipped
from activity_bench.data.board import write_csv
from activity_bench.data.disk import atomic
from activity_bench.data.reports import Report
from activity_bench.workflow import describe
from activity_bench.workflow.compare import compare
from activity_bench.workflow.plans import Cell, Place, Plan

SIMULATED, REAL = "simulated", "real"  # a folder holds one of them alone
NOTE = "Features are simulated: these scores say how the methods compare in a made-up world, nothing of real videos."
COLUMNS = ("cell", "manifest", "world", "part", "protocol", "paper", "table", "row", "metric", "published", "score",
           "low", "high", "difference", "sd", "seeds", "source", "features")  # fmt: skip
JOB, CSV, PAGE = "job.json", "results.csv", "results.md"


@dataclass(frozen=True)
class Outcome:
    """A cell's scores on the whole or on a part: the mean over its seeds, and the first seed's interval."""

    cell: Cell
    part: str
    protocol: str
    table: str
    score: Mapping[str, float]
    spread: Mapping[str, float | None]
    interval: Mapping[str, tuple[float, float]]
    published: Mapping[str, float]
    seeds: int
    features: str  # the digest of real ones, the world of simulated ones, nothing where none are read


@dataclass(frozen=True)
class Ordering:
    """What a paper says of two cells, and what came out."""

    worse: str
    better: str
    difference: float
    p: float

    @property
    def verdict(self) -> str:
        """By the paired test of the first seeds, at .05."""
        if self.p >= 0.05:
            return "cannot be told"
        return "holds" if self.difference > 0 else "is the other way round"


@dataclass(frozen=True)
class Reproduction:
    """All cells of a folder that came to their end."""

    plan: Plan
    source: str
    outcomes: list[Outcome]
    orderings: list[Ordering]

    @property
    def note(self) -> str:
        """What the scores say, and what not."""
        return (
            NOTE if self.source == SIMULATED else "Features are yours: results.csv has the digest that each cell read."
        )


def figures_of(plan: Plan, cell: Cell, part: str, protocol: str) -> list[dict[str, str]]:
    """The published figures of a cell on the whole or on a part, its own table's before those that repeat it."""
    version, places = plan.manifests[cell.manifest].version, list(cell.places)
    found = [
        figure for figure in shipped.published()
        if (figure["paper"], figure["table"], figure["row"]) in places and figure["part"] == part
        and version in ("", figure["version"]) and protocol in figure["protocol"].split()
    ]  # fmt: skip
    return sorted(found, key=lambda figure: places.index(Place(figure["paper"], figure["table"], figure["row"])))


def outcomes_of(plan: Plan, cell: Cell, judged: Mapping[str, Sequence[Report]], features: str) -> Iterator[Outcome]:
    """What each protocol says of the whole and of the parts, beside what is published of them."""
    for protocol, reports in judged.items():
        for part in ("", *reports[0].by_part):
            groups = [report.by_part[part]["metrics"] if part else report.metrics for report in reports]
            figures = figures_of(plan, cell, part, protocol)
            scores = {name: [float(group[name]) for group in groups] for name in groups[0]}
            yield Outcome(
                cell, part, protocol, figures[0]["table"] if figures else "" if part else cell.table,
                {name: fmean(values) for name, values in scores.items()},
                {name: stdev(values) if len(values) > 1 else None for name, values in scores.items()},
                {} if part else reports[0].intervals,
                {figure["metric"]: float(figure["value"]) for figure in reversed(figures)},
                len(reports), features,
            )  # fmt: skip


def orderings_of(plan: Plan, cells: set[str], out: Path, seed: int) -> list[Ordering]:
    """Paired tests where both cells answered the same questions; the papers set others beside each other, too."""
    name = f"{plan.judged[0][0]}.json" if plan.judged else "report.json"
    where = {cell.name: out / "cells" / cell.name / f"seed-{seed}" / name for cell in plan.cells}
    found = []
    for worse, better in plan.orderings:
        if {worse, better} <= cells:
            one = compare([where[worse], where[better]], by=plan.by).methods[0].differences[plan.by]
            found.append(Ordering(worse, better, one.difference, one.p))
    return found


def write(found: Reproduction, out: Path) -> None:
    """results.csv, a score a row, and results.md, a page for people."""
    rows: list[dict[str, object]] = []
    for one in found.outcomes:
        for metric, score in one.score.items():
            low, high = one.interval.get(metric, (None, None))
            published = one.published.get(metric)
            rows.append({
                "cell": one.cell.name, "manifest": one.cell.manifest, "world": one.cell.world, "part": one.part,
                "protocol": one.protocol, "paper": one.cell.paper, "table": one.table, "row": one.cell.row,
                "metric": metric, "published": published, "score": score, "low": low, "high": high,
                "difference": None if published is None else score - published, "sd": one.spread[metric],
                "seeds": one.seeds, "source": found.source, "features": one.features,
            })  # fmt: skip
    write_csv(out / CSV, COLUMNS, rows)
    page = [*describe.table(*table(found)), "", found.note]
    if found.orderings:
        page += ["", "What the papers say of them, tested in pairs:", "", *describe.table(*orderings_table(found))]
    if read := sorted({one.features for one in found.outcomes if one.features}):
        page += ["", "Features that were read:", "", *(f"- {describe.escape(one)}" for one in read)]
    with atomic(out / PAGE) as stream:
        stream.write(("\n".join(page) + "\n").encode())


def table(found: Reproduction) -> tuple[list[str], list[list[str]]]:
    """The cells as a table for people: percentages, the papers' beside ours."""
    plan, by = found.plan, found.plan.by
    several = len({(one.part, one.protocol) for one in found.outcomes}) > 1
    names = [metric.removeprefix(f"{by.partition('@')[0]}@") for metric in plan.shown]
    columns = ["cell", *(["of", "protocol"] if several else []), *names, f"95 % of {by}", f"paper's {by}", "difference"]
    rows = []
    for one in found.outcomes:
        low, high = one.interval.get(by, (None, None))
        shown = [f"{100 * one.score[metric]:.1f}" if metric in one.score else "" for metric in plan.shown]
        if (spread := one.spread.get(by)) is not None:
            shown[plan.shown.index(by)] += f" ± {100 * spread:.1f}"
        interval = "" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}"
        paper = ["", ""]
        if by in one.published:
            paper = [f"{100 * one.published[by]:.1f}", f"{100 * (one.score[by] - one.published[by]):+.1f}"]
        kind = [one.part or "all", one.protocol] if several else []
        rows.append([one.cell.name, *kind, *shown, interval, *paper])
    return columns, rows


def orderings_table(found: Reproduction) -> tuple[list[str], list[list[str]]]:
    """What the papers say of two cells each, and what came out."""
    rows = [[f"{o.worse} < {o.better}", f"{100 * o.difference:+.1f}", f"{o.p:.4f}", o.verdict] for o in found.orderings]
    return ["ordering", "difference", "p", "here"], rows

"""reproduce list: every number that the four papers print in a table, and every figure, with what stands behind it.

A number has one status. Data of the papers are measured on real annotations; scores, on the simulated world, on real
annotations where a method reads no features, or on features that somebody gave; the rest is cited by the papers from
elsewhere, is a setting that a method here has, or is a drawing.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import msgspec

from activity_bench.data import shipped
from activity_bench.data.canonical import read_page
from activity_bench.data.disk import read_bytes
from activity_bench.errors import InputError, unknown
from activity_bench.workflow.plans import PLANS, Cell, Place
from activity_bench.workflow.plans.choice import paper_of, papers
from activity_bench.workflow.results import CSV, JOB, REAL

ANNOTATIONS, WORLD, FEATURES, CITED, NEEDS, NOT_RUN, SETTING, CURVE, DRAWING = STATUSES = (
    "measured on real annotations", "measured on the simulated world", "measured on real features", "cited",
    "needs features", "not run there", "a setting", "a curve, no number printed", "an illustration",
)  # fmt: skip
STATED = {"data": ANNOTATIONS, "setting": SETTING, "curve": CURVE, "illustration": DRAWING}
UNREAD = ("full-window", "random", "statistical-prior")  # methods that read no features; a test asks the catalog
MOST = 1 << 24  # bytes of a file of results


class Number(NamedTuple):
    """A number of a paper, or a figure; what is not known of it is None."""

    paper: str
    place: str  # Table 2, Figure 4, Section 4
    row: str
    of: str  # the part or the manifest, where a table has several
    quantity: str
    printed: str
    status: str
    ours: float | str | None = None
    low: float | None = None
    high: float | None = None
    features: str | None = None  # those that ours was measured on
    cell: str | None = None
    command: str | None = None
    needs: str | None = None  # for a score on real videos


class _Job(msgspec.Struct):
    """What is read of a job.json."""

    plan: str
    files: list[str]
    features: dict[str, str] = {}


class _Row(NamedTuple):
    """A row of results.csv."""

    protocol: str
    score: float
    low: float | None
    high: float | None
    source: str
    features: str | None  # None: of a version that did not say


class _Ran(NamedTuple):
    """The scores of a folder: its plan, the targets of real features, rows of results.csv by cell, part and metric."""

    plan: str
    targets: Mapping[str, str]
    annotated: bool
    rows: Mapping[tuple[str, str, str], Sequence[_Row]]


def numbers(paper: str | None = None, out: Path | str | None = None) -> list[Number]:
    """All numbers of a paper, or of all; with the scores of a reproduction's folder.

    >>> numbers("ECCV 2018")[0].command
    """
    wanted = paper_of(paper) if paper else None
    if paper and wanted is None:
        raise unknown("paper", paper, papers())
    ran = _read(Path(out)) if out is not None else None
    found = [_stated(row) for row in shipped.stated()] + [_score(figure, ran) for figure in shipped.published()]
    kept = [one for one in found if wanted in (None, one.paper)]
    return sorted(kept, key=lambda one: (one.paper, "TF".find(one.place[0]), one.place))  # text, tables, figures


def _stated(row: Mapping[str, str]) -> Number:
    """A number that is no score, or a figure; its curve may be a plan's cells."""
    base = Number(row["paper"], row["place"], row["row"], "", row["quantity"], row["value"], STATED[row["status"]])
    if row["status"] == "data":
        return base._replace(ours=row["measured"], command=f"activity-bench {row['command']}")
    if row["status"] == "setting":
        return base._replace(ours=row["value"], command=f"activity-bench {row['command']}")
    for name, plan in PLANS.items():
        if cells := [cell for cell in plan.cells if (row["paper"], row["place"]) in cell.tables]:
            command = f"activity-bench reproduce {name} --table '{row['place']}' --out DIR"
            return base._replace(cell=" ".join(cell.name for cell in cells), command=command,
                                 needs=_needs(name, cells[0]))  # fmt: skip
    return base


def _score(figure: Mapping[str, str], ran: _Ran | None) -> Number:
    """A score of a table: a cell's, or one that the paper took from elsewhere."""
    of = figure["part"] or (figure["version"] if figure["benchmark"] == "what2when" else "")
    base = Number(figure["paper"], figure["table"], figure["row"], of, figure["metric"], figure["value"], CITED)
    place, plan = Place(figure["paper"], figure["table"], figure["row"]), PLANS[figure["benchmark"]]
    cells = [cell for cell in plan.cells if place in cell.places
             and plan.manifests[cell.manifest].version in ("", figure["version"])]  # fmt: skip
    if not cells:
        return base
    command = f"activity-bench reproduce {plan.benchmark} --only {cells[0].name} --out DIR"
    base = base._replace(status=WORLD, cell=cells[0].name, command=command, needs=_needs(plan.benchmark, cells[0]))
    if ran is None or ran.plan != plan.benchmark:
        return base
    for row in ran.rows.get((cells[0].name, figure["part"], figure["metric"]), ()):
        if row.protocol in figure["protocol"].split():
            return base._replace(status=_measured(row, ran), ours=row.score, low=row.low, high=row.high,
                                 features=row.features)  # fmt: skip
    lacks = ran.targets and plan.manifests[cells[0].manifest].group not in ran.targets
    return base._replace(status=NEEDS if lacks else NOT_RUN)


def _measured(row: _Row, ran: _Ran) -> str:
    if row.source == REAL:
        return FEATURES if row.features else ANNOTATIONS
    return ANNOTATIONS if ran.annotated and row.features == "" else WORLD


def _needs(plan: str, cell: Cell) -> str:
    """What a score on real videos asks for: names of `where`, and where they are put."""
    asked = PLANS[plan].manifests[cell.manifest]
    target = f"{asked.group}=" if asked.group else ""
    given = " ".join([f"--annotations {target}FILE", *(f"--{name.replace('_', '-')} FILE" for name in asked.tables)])
    if cell.method in UNREAD:
        return given
    words = " --words FILE" if PLANS[plan].words else ""
    return f"{given} --features {target}FILE{words} ({', '.join(PLANS[plan].features)})"


def _read(out: Path) -> _Ran:
    if not (out / JOB).is_file():
        raise InputError("no reproduction", file=out, expected=f"a folder with {JOB}")
    job = read_page(read_bytes(out / JOB, MOST), out / JOB, _Job)
    rows: dict[tuple[str, str, str], list[_Row]] = {}
    path = out / CSV  # not there before a job's first end
    try:
        text = read_bytes(path, MOST).decode() if path.is_file() else ""
        for row in csv.DictReader(text.splitlines()):
            low, high = (float(row[name]) if row[name] else None for name in ("low", "high"))
            one = _Row(row["protocol"], float(row["score"]), low, high, row["source"], row.get("features"))
            rows.setdefault((row["cell"], row["part"], row["metric"]), []).append(one)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"not what reproduce writes: {error}", file=path, hint="Run reproduce again: it is made anew."
        ) from None
    return _Ran(job.plan, job.features, bool(job.files), rows)


def real(found: Sequence[Number]) -> list[str]:
    """How the scores would be measured on real videos: a line for each plan and its targets."""
    lines = [(one.command.split()[2], one.needs) for one in found if one.command and one.needs]
    return [
        f"reproduce {plan} on real videos: {needs}" for plan, needs in dict.fromkeys(lines) if "--features" in needs
    ]


def rows_of(found: Sequence[Number]) -> tuple[list[str], list[list[str]]]:
    """A line for each row of a table: its numbers as the paper prints them, ours in the same order."""
    columns = ["paper", "place", "row", "of", "printed", "ours", "status", "command"]
    rows = []
    for key, group in groupby(found, key=lambda one: (one.paper, one.place, one.row, one.of)):
        some = list(group)
        ours = " ".join("-" if one.ours is None else _percent(one) for one in some)
        printed = " ".join(_shown(one.printed) if _is_score(one) else one.printed for one in some)
        status = f"{NEEDS}: {some[0].needs}" if some[0].status == NEEDS else some[0].status
        command = (some[0].command or "").removeprefix("activity-bench ").removesuffix(" --out DIR")
        rows.append([*key, printed, ours.strip("- ") and ours, status, command])
    return columns, rows


def _is_score(one: Number) -> bool:
    return "mAP" in one.quantity or "IoU" in one.quantity


def _percent(one: Number) -> str:
    return f"{100 * one.ours:.1f}" if isinstance(one.ours, float) else str(one.ours)


def _shown(value: str) -> str:
    """A share in percent, with the digits that the paper has."""
    return f"{100 * float(value):.{len(value.partition('.')[2]) - 2}f}"

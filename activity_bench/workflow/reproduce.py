"""reproduce: the tables of the papers, run again cell by cell, the papers' figures beside ours.

A cell is a run in a folder of its own, and is not run again once it is there: a killed job goes on where it was. All
features are simulated, and every table says so.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from activity_bench.data import shipped
from activity_bench.data.board import write_csv, write_markdown
from activity_bench.data.canonical import page
from activity_bench.data.disk import atomic, read_bytes, sha256
from activity_bench.data.lock import alone
from activity_bench.data.reports import Report
from activity_bench.errors import InputError, unknown
from activity_bench.simulation.parameters import CALIBRATED
from activity_bench.workflow.compare import compare
from activity_bench.workflow.options import check_seed
from activity_bench.workflow.plans import PLANS, Cell, Plan, Size
from activity_bench.workflow.run import Progress, choose, load_method, silent
from activity_bench.workflow.stage import Stage

if TYPE_CHECKING:
    from activity_bench.training.watch import Watch

NOTE = "Features are simulated: these scores say how the methods compare in a made-up world, nothing of real videos."
COLUMNS = ("cell", "manifest", "world", "part", "protocol", "paper", "table", "row", "metric", "published", "score",
           "low", "high", "sd", "seeds", "source")  # fmt: skip
Said = Callable[[str], None]


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
    """All cells that were run."""

    plan: Plan
    outcomes: list[Outcome]
    orderings: list[Ordering]


def reproduce(
    name: str,
    out: Path | str,
    *,
    size: str = "small",
    annotations: Sequence[Path | str] = (),
    tables: Mapping[str, Path] | None = None,
    words: str | None = None,
    only: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    say: Said = lambda text: None,
    progress: Progress = silent,
    watch: Watch | None = None,
) -> Reproduction:
    """Run the cells of a plan that `out` lacks, and write `results.csv` and `results.md` there.

    `annotations` and `tables` are the builder's; a plan of several targets takes `TARGET=PATH`, and runs the cells of
    those that are given. Without annotations the embedded corpus is used. `words` are vectors of class names, in place
    of simulated ones. `only` names cells; `options` go to every method that is trained (the device, for one).

    >>> reproduce("relocalization", "again", size="tiny", only=["random", "cgbm"]).outcomes[1].score["top1-mAP"]
    """
    if name not in PLANS:
        raise unknown("plan", name, PLANS)
    plan = PLANS[name]
    if size not in plan.sizes:
        raise unknown("size", size, plan.sizes)
    known = [cell.name for cell in plan.cells]
    for wanted in only:
        if wanted not in known:
            raise unknown("cell", wanted, known)
    _check_given(plan, annotations, tables or {}, words)
    groups = grouped(plan, annotations)
    chosen = plan.sizes[size]
    check_seed(seed)
    check_seed(seed + chosen.seeds - 1)
    needed = {cell.trained for cell in plan.cells if cell.name in only}
    cells = [cell for cell in plan.cells if not only or cell.name in {*only, *needed}]
    for cell in cells:
        _options(cell, chosen, options or {})  # wrong ones are named before any work
    noise = CALIBRATED.get(name, CALIBRATED["released" if annotations else "embedded"])
    files = sorted(sha256(path)[0] for path in _files([*chain(*groups.values()), *(tables or {}).values()]))
    out = Path(out)
    job = {
        "plan": name, "size": size, "seed": seed, "seeds": chosen.seeds, "options": dict(options or {}),
        "training": dict(chosen.training), "methods": {key: dict(value) for key, value in chosen.methods.items()},
        "world": {"noise": noise, **chosen.world}, "share": dict(chosen.share), "files": files,
        "words": sorted(sha256(path)[0] for path in _files(map(Path, words.split(",")))) if words else [],
    }  # fmt: skip
    stage = Stage(plan, chosen, out, groups, tables or {}, noise, words, say, progress, watch)
    with _same_job(out, job):
        outcomes = [one for cell in cells for one in _run(stage, cell, seed, options or {})]
        found = Reproduction(plan, outcomes, _orderings(plan, {one.cell.name for one in outcomes}, out, seed))
        _write(found, out)
    return found


def _run(stage: Stage, cell: Cell, seed: int, options: Mapping[str, Any]) -> Iterator[Outcome]:
    """The runs of a cell that are not there yet, and what all of them score."""
    if not stage.has(cell):
        stage.say(f"{cell.name}: not run, no annotations of {stage.plan.manifests[cell.manifest].group}")
        return
    folders = [stage.out / "cells" / cell.name / f"seed-{seed + k}" for k in range(stage.size.seeds)]
    for k, folder in enumerate(folders):
        if not (folder / "report.json").exists():
            stage.say(f"{cell.name}, seed {seed + k}")
            stage.run(cell, folder, seed + k, _options(cell, stage.size, options))
    yield from _outcomes(stage.plan, cell, stage.reports(cell, folders))


def _check_given(plan: Plan, annotations: Sequence[Path | str], tables: Mapping[str, Path], words: str | None) -> None:
    """What goes with what; nothing that is given is left unread."""
    if tables and not annotations:
        raise InputError("tables belong to annotations", field=", ".join(sorted(tables)),
                         expected="--annotations FILE beside them, or neither")  # fmt: skip
    read = {table for asked in plan.manifests.values() for table in asked.tables} | ({"words"} if plan.words else set())
    for name in (*tables, *(("words",) if words else ())):
        if name not in read:
            raise InputError(f"no cell of {plan.benchmark} reads this", field=name,
                             expected=", ".join(sorted(read)) or "none")  # fmt: skip


def grouped(plan: Plan, annotations: Sequence[Path | str]) -> dict[str, list[Path]]:
    """The annotations by target: `TARGET=PATH` where a plan has several."""
    known = sorted({asked.group for asked in plan.manifests.values()})
    if known == [""]:
        return {"": [Path(path) for path in annotations]} if annotations else {}
    groups: dict[str, list[Path]] = {}
    for given in annotations:
        target, equals, path = str(given).partition("=")
        if not equals or not path:
            raise InputError("which target is this?", field="--annotations", found=str(given),
                             expected=f"TARGET=PATH, of {', '.join(known)}")  # fmt: skip
        if target not in known:
            raise unknown("target", target, known, field="--annotations")
        groups.setdefault(target, []).append(Path(path))
    return groups


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    """Files, and those in folders."""
    for path in paths:
        yield from sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]


@contextmanager
def _same_job(out: Path, job: Mapping[str, Any]) -> Iterator[None]:
    """The folder is new, or holds runs of the very same job; no other process works in it while the block runs."""
    path, said = out / "job.json", page(dict(job))
    if not path.is_file():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError("not an empty folder, and no reproduction", file=out, hint="Name another folder.")
        out.mkdir(parents=True, exist_ok=True)
    with alone(out, "reproduction"):
        for draft in sorted(out.rglob(".*.tmp-*")):  # of a job that was killed; at the papers' size one has 10 GB
            shutil.rmtree(draft) if draft.is_dir() else draft.unlink(missing_ok=True)
        if not path.is_file():
            with atomic(path) as stream:
                stream.write(said)
        elif read_bytes(path, 1 << 20) != said:
            raise InputError("this folder holds another reproduction, or the same one at other settings", file=path,
                             hint="Name another folder.")  # fmt: skip
        yield


def _options(cell: Cell, size: Size, given: Mapping[str, Any]) -> dict[str, Any]:
    """The cell's own options; a method that is trained also takes the size's and the user's."""
    method = load_method(cell.method)
    if not hasattr(method, "defaults"):
        return dict(cell.options)
    options = {**size.training, **size.methods.get(cell.method, {}), **given, **cell.options}
    choose(method, options, cell.method)
    if cell.trained:
        return dict(cell.options)
    return options


def _outcomes(plan: Plan, cell: Cell, judged: Mapping[str, Sequence[Report]]) -> Iterator[Outcome]:
    """What each protocol says of the whole and of the parts, beside what is published of them."""
    version = plan.manifests[cell.manifest].version
    for protocol, reports in judged.items():
        for part in ("", *reports[0].by_part):
            groups = [report.by_part[part]["metrics"] if part else report.metrics for report in reports]
            figures = [
                figure for figure in shipped.published()
                if (figure["paper"], figure["row"], figure["part"]) == (cell.paper, cell.row, part)
                and (part or figure["table"] == cell.table)
                and version in ("", figure["version"]) and protocol in figure["protocol"].split()
            ]  # fmt: skip
            scores = {name: [float(group[name]) for group in groups] for name in groups[0]}
            yield Outcome(
                cell, part, protocol, figures[0]["table"] if figures else "" if part else cell.table,
                {name: fmean(values) for name, values in scores.items()},
                {name: stdev(values) if len(values) > 1 else None for name, values in scores.items()},
                {} if part else reports[0].intervals,
                {figure["metric"]: float(figure["value"]) for figure in figures},
                len(reports),
            )  # fmt: skip


def _orderings(plan: Plan, cells: set[str], out: Path, seed: int) -> list[Ordering]:
    """Paired tests where both cells answered the same questions; the papers set others beside each other, too."""
    name = f"{plan.judged[0][0]}.json" if plan.judged else "report.json"
    where = {cell.name: out / "cells" / cell.name / f"seed-{seed}" / name for cell in plan.cells}
    found = []
    for worse, better in plan.orderings:
        if {worse, better} <= cells:
            one = compare([where[worse], where[better]], by=plan.by).methods[0].differences[plan.by]
            found.append(Ordering(worse, better, one.difference, one.p))
    return found


def _write(found: Reproduction, out: Path) -> None:
    rows: list[dict[str, object]] = []
    for one in found.outcomes:
        for metric, score in one.score.items():
            low, high = one.interval.get(metric, (None, None))
            rows.append({
                "cell": one.cell.name, "manifest": one.cell.manifest, "world": one.cell.world, "part": one.part,
                "protocol": one.protocol, "paper": one.cell.paper, "table": one.table, "row": one.cell.row,
                "metric": metric, "published": one.published.get(metric), "score": score, "low": low, "high": high,
                "sd": one.spread[metric], "seeds": one.seeds, "source": "simulated",
            })  # fmt: skip
    write_csv(out / "results.csv", COLUMNS, rows)
    write_markdown(out / "results.md", *table(found), NOTE)


def table(found: Reproduction) -> tuple[list[str], list[list[str]]]:
    """The cells as a table for people: percentages, the papers' beside ours."""
    plan, by = found.plan, found.plan.by
    several = len({(one.part, one.protocol) for one in found.outcomes}) > 1
    names = [metric.removeprefix(f"{by.partition('@')[0]}@") for metric in plan.shown]
    columns = ["cell", *(["of", "protocol"] if several else []), *names, f"95 % of {by}", f"paper's {by}"]
    rows = []
    for one in found.outcomes:
        low, high = one.interval.get(by, (None, None))
        shown = [f"{100 * one.score[metric]:.1f}" if metric in one.score else "" for metric in plan.shown]
        if (spread := one.spread.get(by)) is not None:
            shown[plan.shown.index(by)] += f" ± {100 * spread:.1f}"
        interval = "" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}"
        paper = f"{100 * one.published[by]:.1f}" if by in one.published else ""
        kind = [one.part or "all", one.protocol] if several else []
        rows.append([one.cell.name, *kind, *shown, interval, paper])
    return columns, rows

"""reproduce: the tables of the papers, run again cell by cell, the papers' figures beside ours.

A cell is a run in a folder of its own, and is not run again once it is there: a killed job goes on where it was. All
features are simulated, and every table says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from activity_bench.data import manifest as manifests
from activity_bench.data import shipped
from activity_bench.data.board import write_csv, write_markdown
from activity_bench.data.canonical import page
from activity_bench.data.disk import atomic, read_bytes, sha256
from activity_bench.data.reports import Report, read_report
from activity_bench.errors import InputError, unknown
from activity_bench.simulation.parameters import CALIBRATED
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.compare import compare
from activity_bench.workflow.options import check_seed
from activity_bench.workflow.plans import PLANS, Cell, Plan, Size
from activity_bench.workflow.run import Progress, choose, load_method, run_method, silent
from activity_bench.workflow.simulate import simulate_corpus, simulate_features

NOTE = "Features are simulated: these scores say how the methods compare in a made-up world, nothing of real videos."
COLUMNS = ("cell", "paper", "table", "row", "metric", "published", "score", "low", "high", "sd", "seeds", "source")


@dataclass(frozen=True)
class Outcome:
    """A cell's scores: the mean over its seeds, and the first seed's interval."""

    cell: Cell
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
    annotations: Sequence[Path] = (),
    tables: Mapping[str, Path] | None = None,
    only: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
    progress: Progress = silent,
) -> Reproduction:
    """Run the cells of a plan that `out` lacks, and write `results.csv` and `results.md` there.

    `annotations` and `tables` are the builder's; without them the embedded corpus is used. `only` names cells;
    `options` go to every method that is trained (the device, for one).

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
    if tables and not annotations:
        raise InputError("tables belong to annotations", field=", ".join(sorted(tables)),
                         expected="--annotations FILE beside them, or neither")  # fmt: skip
    chosen = plan.sizes[size]
    check_seed(seed)
    check_seed(seed + chosen.seeds - 1)
    cells = [cell for cell in plan.cells if not only or cell.name in only]
    given = {cell.name: _options(cell, chosen, options or {}) for cell in cells}  # wrong ones are named before any work
    world = {"noise": CALIBRATED["released" if annotations else "embedded"], **chosen.world}
    files = sorted(sha256(Path(file))[0] for file in (*annotations, *(tables or {}).values()))
    out = Path(out)
    _same_job(out, {"plan": name, "size": size, "seed": seed, "seeds": chosen.seeds, "options": dict(options or {}),
                    "training": dict(chosen.training), "world": world, "files": files})  # fmt: skip
    made = {m: _manifest(plan, m, out, annotations, tables or {}, say) for m in {cell.manifest: None for cell in cells}}
    outcomes = []
    for cell in cells:
        asked = made[cell.manifest]
        features = _features(asked, out / f"features-{cell.manifest}.h5", world, say, progress)
        folders = [out / "cells" / cell.name / f"seed-{seed + k}" for k in range(chosen.seeds)]
        for k, folder in enumerate(folders):
            if not (folder / "run.json").exists():
                say(f"{cell.name}, seed {seed + k}")
                run_method(cell.method, asked.folder, "test", folder, features=features, seed=seed + k,
                           options=given[cell.name], progress=progress)  # fmt: skip
        outcomes.append(_outcome(cell, [read_report(folder / "report.json") for folder in folders]))
    found = Reproduction(plan, outcomes, _orderings(plan, {cell.name for cell in cells}, out, seed))
    _write(found, out)
    return found


def _same_job(out: Path, job: Mapping[str, Any]) -> None:
    """The folder is new, or holds runs of the very same job."""
    path, said = out / "job.json", page(dict(job))
    if path.is_file():
        if read_bytes(path, 1 << 20) != said:
            raise InputError("this folder holds another reproduction, or the same one at other settings", file=path,
                             hint="Name another folder.")  # fmt: skip
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError("not an empty folder, and no reproduction", file=out, hint="Name another folder.")
    out.mkdir(parents=True, exist_ok=True)
    with atomic(path) as stream:
        stream.write(said)


def _manifest(
    plan: Plan, name: str, out: Path, annotations: Sequence[Path], tables: Mapping[str, Path],
    say: Callable[[str], None],
) -> manifests.Manifest:  # fmt: skip
    folder = out / f"manifest-{name}"
    if folder.is_dir():
        return manifests.load(folder)
    if not annotations:
        if not (out / "corpus").is_dir():
            simulate_corpus(out / "corpus")
        say(f"{folder.name}: the embedded corpus")
        return build_dataset(plan.benchmark, [out / "corpus" / "activitynet.json"], folder,
                             protocol=plan.embedded[name])  # fmt: skip
    say(f"{folder.name}: {', '.join(path.name for path in annotations)}")
    return build_dataset(plan.benchmark, annotations, folder, protocol=plan.protocols[name], tables=tables)


def _features(
    asked: manifests.Manifest, path: Path, world: Mapping[str, Any], say: Callable[[str], None], progress: Progress
) -> Path:
    if not path.is_file():
        say(f"{path.name}: simulated, {world}")
        simulate_features(asked.folder, path, options=world, progress=progress)
    return path


def _options(cell: Cell, size: Size, given: Mapping[str, Any]) -> dict[str, Any]:
    """The cell's own options; a method that is trained also takes the size's and the user's."""
    method = load_method(cell.method)
    if not hasattr(method, "defaults"):
        return dict(cell.options)
    options = {**size.training, **given, **cell.options}
    choose(method, options, cell.method)
    return options


def _outcome(cell: Cell, reports: Sequence[Report]) -> Outcome:
    scores = {name: [report.metrics[name] for report in reports] for name in reports[0].metrics}
    published = {
        figure["metric"]: float(figure["value"])
        for figure in shipped.published()
        if (figure["paper"], figure["table"], figure["row"], figure["part"]) == (cell.paper, cell.table, cell.row, "")
    }
    return Outcome(
        cell,
        {name: fmean(values) for name, values in scores.items()},
        {name: stdev(values) if len(values) > 1 else None for name, values in scores.items()},
        reports[0].intervals,
        published,
        len(reports),
    )


def _orderings(plan: Plan, cells: set[str], out: Path, seed: int) -> list[Ordering]:
    """Paired tests where both cells answered the same manifest; the papers set others beside each other, too."""
    where = {cell.name: out / "cells" / cell.name / f"seed-{seed}" for cell in plan.cells}
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
                "cell": one.cell.name, "paper": one.cell.paper, "table": one.cell.table, "row": one.cell.row,
                "metric": metric, "published": one.published.get(metric), "score": score, "low": low, "high": high,
                "sd": one.spread[metric], "seeds": one.seeds, "source": "simulated",
            })  # fmt: skip
    write_csv(out / "results.csv", COLUMNS, rows)
    write_markdown(out / "results.md", *table(found), NOTE)


def table(found: Reproduction) -> tuple[list[str], list[list[str]]]:
    """The cells as a table for people: percentages, the papers' beside ours."""
    by = found.plan.by
    metrics = [name for name in found.outcomes[0].score if name.partition("@")[0] == by.partition("@")[0]]
    columns = ["cell", *(metric.removeprefix(f"{by}@") for metric in metrics if metric != by), "mean", "95 %", "paper"]
    rows = []
    for one in found.outcomes:
        low, high = one.interval[by]
        shown = [f"{100 * one.score[metric]:.1f}" for metric in metrics if metric != by]
        mean = f"{100 * one.score[by]:.1f}" + (f" ± {100 * s:.1f}" if (s := one.spread[by]) is not None else "")
        paper = f"{100 * one.published[by]:.1f}" if by in one.published else ""
        rows.append([one.cell.name, *shown, mean, f"{100 * low:.1f} to {100 * high:.1f}", paper])
    return columns, rows

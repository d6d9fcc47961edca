"""reproduce: the tables of the papers, run again cell by cell, the papers' figures beside ours.

A cell is a run in a folder of its own, and is not run again once it is there: a killed job goes on where it was.
Features are simulated, or those that are given: a folder holds one or the other, and every table says which.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activity_bench.data.canonical import page
from activity_bench.data.disk import atomic, read_bytes, sha256
from activity_bench.data.lock import alone
from activity_bench.errors import InputError, unknown
from activity_bench.simulation.parameters import CALIBRATED
from activity_bench.workflow import results
from activity_bench.workflow.options import check_seed
from activity_bench.workflow.plans import PLANS, Cell, Plan, Size
from activity_bench.workflow.plans.choice import chosen, grouped, planned
from activity_bench.workflow.results import JOB, NOTE, Reproduction
from activity_bench.workflow.run import Progress, choose, load_method, silent
from activity_bench.workflow.stage import Stage

if TYPE_CHECKING:
    from activity_bench.training.watch import Watch

__all__ = ["NOTE", "Reproduction", "reproduce"]

Said = Callable[[str], None]


def reproduce(
    name: str,
    out: Path | str,
    *,
    size: str = "small",
    annotations: Sequence[Path | str] = (),
    features: Sequence[Path | str] = (),
    tables: Mapping[str, Path] | None = None,
    words: str | None = None,
    table: str | None = None,
    only: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    say: Said = lambda text: None,
    progress: Progress = silent,
    watch: Watch | None = None,
) -> Reproduction:
    """Run the cells of a plan, or of a paper, that `out` lacks; `results.csv` and `results.md` have all that are there.

    `annotations` and `tables` are the builder's; a plan of several targets takes `TARGET=PATH`, and runs the cells of
    those that are given. Without annotations the embedded corpus is used. `features` are a store, or one a target, in
    place of simulated ones. `words` are vectors of class names, in place of simulated ones. `table` and `only` name
    cells; `options` go to every method that is trained (the device, for one).

    >>> reproduce("relocalization", "again", size="tiny", only=["random", "cgbm"]).outcomes[1].score["top1-mAP"]
    """
    name, paper = planned(name)
    plan = PLANS[name]
    if size not in plan.sizes:
        raise unknown("size", size, plan.sizes)
    cells = chosen(plan, paper, table, only, bool(features))
    _check_given(plan, annotations, features, tables or {}, words)
    groups, given, sized = grouped(plan, annotations), _stores(plan, features), plan.sizes[size]
    check_seed(seed)
    check_seed(seed + sized.seeds - 1)
    for cell in cells:
        _options(cell, sized, options or {})  # wrong ones are named before any work
    noise = CALIBRATED.get(name, CALIBRATED["released" if annotations else "embedded"])
    files = sorted(sha256(path)[0] for path in _files([*chain(*groups.values()), *(tables or {}).values()]))
    out = Path(out)
    stage = Stage(plan, sized, out, groups, given, tables or {}, noise, words, say, progress, watch)
    job = {
        "plan": name, "size": size, "seed": seed, "seeds": sized.seeds, "options": dict(options or {}),
        "training": dict(sized.training), "methods": {key: dict(value) for key, value in sized.methods.items()},
        "world": {} if given else {"noise": noise, **sized.world}, "share": dict(sized.share), "files": files,
        "words": sorted(sha256(path)[0] for path in _files(map(Path, words.split(",")))) if words else [],
    } | ({"features": stage.digests()} if given else {})  # fmt: skip
    with _same_job(out, job):
        for cell in {(cell.manifest, cell.method): cell for cell in cells if given and stage.has(cell)}.values():
            stage.check(cell, _options(cell, sized, options or {}), seed)
        for cell in cells:
            _run(stage, cell, seed, options or {})
        found = _found(stage, seed)
        results.write(found, out)
    return found


def _folders(stage: Stage, cell: Cell, seed: int) -> list[Path]:
    return [stage.out / "cells" / cell.name / f"seed-{seed + k}" for k in range(stage.size.seeds)]


def _run(stage: Stage, cell: Cell, seed: int, options: Mapping[str, Any]) -> None:
    """The runs of a cell that are not there yet."""
    if not stage.has(cell):
        lacks = "annotations" if cell.manifest not in stage.annotated() else "features"
        stage.say(f"{cell.name}: not run, no {lacks} of {stage.plan.manifests[cell.manifest].group}")
        return
    for k, folder in enumerate(_folders(stage, cell, seed)):
        if not (folder / "report.json").exists():
            stage.say(f"{cell.name}, seed {seed + k}")
            stage.run(cell, folder, seed + k, _options(cell, stage.size, options))


def _found(stage: Stage, seed: int) -> Reproduction:
    """What all finished cells of the folder score, whichever call ran them."""
    done = {cell.name: _folders(stage, cell, seed) for cell in stage.plan.cells}
    cells = [c for c in stage.plan.cells if all((folder / "report.json").exists() for folder in done[c.name])]
    digests = stage.digests()
    outcomes = [
        one for cell in cells
        for one in results.outcomes_of(stage.plan, cell, stage.reports(cell, done[cell.name]),
                                       stage.named(cell, digests))
    ]  # fmt: skip
    orderings = results.orderings_of(stage.plan, {cell.name for cell in cells}, stage.out, seed)
    return Reproduction(stage.plan, results.REAL if stage.features else results.SIMULATED, outcomes, orderings)


def _check_given(
    plan: Plan, annotations: Sequence[Path | str], features: Sequence[Path | str], tables: Mapping[str, Path],
    words: str | None,
) -> None:  # fmt: skip
    """What goes with what; nothing that is given is left unread, and nothing simulated stands beside real features."""
    if tables and not annotations:
        raise InputError("tables belong to annotations", field=", ".join(sorted(tables)),
                         expected="--annotations FILE beside them, or neither")  # fmt: skip
    if features and not annotations:
        raise InputError("features belong to annotations", field="--features",
                         expected="--annotations FILE, too", hint="The embedded corpus has no videos.")  # fmt: skip
    if features and plan.words and not words:
        raise InputError("beside real features, simulated vectors of class names would be read", field="--words",
                         expected="a file of word vectors", hint="activity-bench where word-vectors")  # fmt: skip
    read = {table for asked in plan.manifests.values() for table in asked.tables} | ({"words"} if plan.words else set())
    for name in (*tables, *(("words",) if words else ())):
        if name not in read:
            raise InputError(f"no cell of {plan.benchmark} reads this", field=name,
                             expected=", ".join(sorted(read)) or "none")  # fmt: skip


def _stores(plan: Plan, features: Sequence[Path | str]) -> dict[str, Path]:
    """The features by target, one file each."""
    stores = grouped(plan, features, "--features")
    for group, paths in stores.items():
        if len(paths) > 1:
            raise InputError("one store holds all videos", field="--features", found=f"{len(paths)} files",
                             expected=f"one{f' for {group}' if group else ''}")  # fmt: skip
    return {group: paths[0] for group, paths in stores.items()}


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    """Files, and those in folders."""
    for path in paths:
        yield from sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]


@contextmanager
def _same_job(out: Path, job: Mapping[str, Any]) -> Iterator[None]:
    """The folder is new, or holds runs of the very same job; no other process works in it while the block runs."""
    path, said = out / JOB, page(dict(job))
    if not path.is_file():
        if out.exists() and (not out.is_dir() or not all(one.match(".*.tmp-*") for one in out.iterdir())):
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
    own = {**size.methods.get(cell.method, {}), **size.methods.get(cell.manifest, {})}
    options = {**size.training, **own, **given, **cell.options}
    choose(method, options, cell.method)
    if cell.trained:
        return dict(cell.options)
    return options

"""Which cells a call asks for: of a plan or a paper, of one table, by name, of the targets that are given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from activity_bench.errors import InputError, unknown
from activity_bench.workflow.plans import PLANS
from activity_bench.workflow.plans.cells import Cell, Plan


def papers() -> list[str]:
    """The papers that plans have cells of."""
    return sorted({cell.paper for plan in PLANS.values() for cell in plan.cells})


def paper_of(name: str) -> str | None:
    """A paper as people write it (`ECCV 2018`, `eccv2018`), or None."""
    return next((paper for paper in papers() if _plain(paper) == _plain(name)), None)


def planned(name: str) -> tuple[str, str | None]:
    """The plan of that name, or that of a paper, and the paper."""
    if name in PLANS:
        return name, None
    paper = paper_of(name)
    if paper is None:
        raise unknown("plan or paper", name, [*PLANS, *papers()])
    return next(key for key, plan in PLANS.items() if any(cell.paper == paper for cell in plan.cells)), paper


def chosen(plan: Plan, paper: str | None, table: str | None, only: Sequence[str], real: bool) -> list[Cell]:
    """The cells that are asked for, and those whose weights they answer with, in the plan's order."""
    tables = sorted({name for cell in plan.cells for where, name in cell.tables if paper in (None, where) and name})
    if table is not None:
        named = next((name for name in tables if _plain(name) in (_plain(table), _plain(f"Table {table}"))), None)
        if named is None:
            raise unknown("table", table, tables, field="--table")
        table = named
    cells = [cell for cell in plan.cells if any(paper in (None, p) and table in (None, t) for p, t in cell.tables)]
    for wanted in only:
        if wanted not in (known := [cell.name for cell in cells]):
            raise unknown("cell", wanted, known)
    names = set(only) or {cell.name for cell in cells}
    if real:  # such a cell switches a property of the simulated world off
        worldly = {cell.name for cell in plan.cells if cell.world}
        if asked := sorted(worldly & set(only)):
            raise InputError("this cell asks the simulated world, which real features are not", field="--only",
                             found=asked[0])  # fmt: skip
        names -= worldly
    needed = {cell.trained for cell in plan.cells if cell.name in names}
    return [cell for cell in plan.cells if cell.name in names | needed]


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def grouped(plan: Plan, given: Sequence[Path | str], option: str = "--annotations") -> dict[str, list[Path]]:
    """Files by target: `TARGET=PATH` where a plan has several."""
    known = sorted({asked.group for asked in plan.manifests.values()})
    if known == [""]:
        return {"": [Path(path) for path in given]} if given else {}
    groups: dict[str, list[Path]] = {}
    for one in given:
        target, equals, path = str(one).partition("=")
        if not equals or not path:
            raise InputError("which target is this?", field=option, found=str(one),
                             expected=f"TARGET=PATH, of {', '.join(known)}")  # fmt: skip
        if target not in known:
            raise unknown("target", target, known, field=option)
        groups.setdefault(target, []).append(Path(path))
    return groups

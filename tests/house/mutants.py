"""Mutation testing: small wrong edits of scoring, builders and segments, and which of them the quick tests notice.

    python tests/house/mutants.py --count 300 --seed 0 --page docs/mutants.md

A mutant is one edit of the syntax tree: a comparison or its boundary, an operator, a number by one, a negated
condition, a removed statement, swapped arguments. No file is touched: a process that was forked after the large imports
compiles the edited tree in place of the module, and runs the quick tests that pass through the edited lines, the fast
ones first, until one fails; hypothesis draws 20 examples a test. What lives on is printed, with the answer that
`mutants.json` has for it. With ACTIVITY_BENCH_DATA the tests of real files run, too.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "activity_bench"
ANSWERS = Path(__file__).with_name("mutants.json")
TESTS = ("tests/scoring", "tests/builders", "tests/test_segments.py")
GOAL = 0.85
CPU_SECONDS = 120  # of a mutant: what takes longer hangs

COMPARISONS: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}  # fmt: skip
OPERATORS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
NAMES = {"min": "max", "minimum": "maximum", "floor": "ceil", "any": "all", "argmin": "argmax"}
NAMES |= {after: before for before, after in NAMES.items()}
EITHER_WAY = {"min", "max", "minimum", "maximum"}  # two arguments mean the same in any order


@dataclass(frozen=True)
class Mutant:
    """The edit `kind` number `choice` of the node that a walk through the module's tree meets as number `place`."""

    path: str
    place: int
    kind: str
    choice: int
    first: int
    last: int

    def tree(self) -> tuple[ast.Module, str, str]:
        """The edited tree, and the line or lines before and after."""
        tree = ast.parse((ROOT / self.path).read_text(encoding="utf-8"))
        node, parent = list(_walk(tree))[self.place]
        before = _shown(node, parent)
        changed = dict(_edits(node))[self.kind][self.choice]
        for field, value in ast.iter_fields(parent):
            if value is node:
                setattr(parent, field, changed)
            elif isinstance(value, list) and any(one is node for one in value):
                value[:] = [changed if one is node else one for one in value]
        return ast.fix_missing_locations(tree), before, _shown(changed, parent)


def _shown(node: ast.AST, parent: ast.AST) -> str:
    around = ast.expr | ast.comprehension | ast.keyword | ast.arguments | ast.Assign | ast.AnnAssign | ast.Return
    text = ast.unparse(parent if isinstance(parent, around) else node)
    return text.partition("\n")[0] if isinstance(node, ast.If | ast.While) else " ".join(text.split())


def _walk(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Nodes that compute, with their parents: no annotation, decorator, message, docstring or `strict=True`."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "format_spec"):
            continue
        for child in value if isinstance(value, list) else [value]:
            message = isinstance(child, ast.JoinedStr | ast.Raise | ast.ImportFrom)
            check = isinstance(child, ast.keyword) and child.arg == "strict"
            if isinstance(child, ast.AST) and not check:
                yield child, node
                if not message:
                    yield from _walk(child)


def _edits(node: ast.AST) -> Iterator[tuple[str, list[ast.AST]]]:
    """Kinds of edit, and for each the nodes to put in place."""
    match node:
        case ast.Compare(ops=[op, *_]) if type(op) in COMPARISONS:
            yield "comparison", [_with(node, ops=[new(), *node.ops[1:]]) for new in COMPARISONS[type(op)]]
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in OPERATORS:
            yield "arithmetic", [_with(node, op=OPERATORS[type(op)]())]
        case ast.BoolOp(op=op):
            yield "boolean", [_with(node, op=OPERATORS[type(op)]())]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "boolean", [operand]
        case ast.Constant(value=bool(value)):
            yield "boolean", [ast.Constant(not value)]
        case ast.Constant(value=int() | float() as number):
            yield "number", [ast.Constant(number + 1), ast.Constant(number - 1)]
        case ast.Name(id=name) if name in NAMES:
            yield "function", [_with(node, id=NAMES[name])]
        case ast.Attribute(attr=name) if name in NAMES:
            yield "function", [_with(node, attr=NAMES[name])]
        case ast.Call(func=func, args=[first, second, *rest]) if not (
            isinstance(first, ast.Starred | ast.Constant)
            or ast.dump(first) == ast.dump(second)
            or getattr(func, "attr", getattr(func, "id", "")) in EITHER_WAY
        ):
            yield "arguments", [_with(node, args=[second, first, *rest])]
    match node:
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            yield "condition", [_with(node, test=ast.UnaryOp(ast.Not(), test))]
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Break():
            yield "statement", [ast.Pass()]
        case ast.Assign(targets=[ast.Subscript() | ast.Attribute()]):
            yield "statement", [ast.Pass()]


def _with(node: ast.AST, **fields: Any) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def modules() -> list[str]:
    """The files that are mutated."""
    found = [PACKAGE / "segments.py", *(PACKAGE / "scoring").rglob("*.py"), *(PACKAGE / "builders").rglob("*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def mutants(path: str) -> list[Mutant]:
    """Every mutant of a file."""
    tree, found = ast.parse((ROOT / path).read_text(encoding="utf-8")), []
    for place, (node, _) in enumerate(_walk(tree)):
        for kind, choices in _edits(node):
            for choice in range(len(choices)):
                last = node.test.end_lineno if kind == "condition" else node.end_lineno  # type: ignore[attr-defined]
                found.append(Mutant(path, place, kind, choice, node.lineno, last))  # type: ignore[attr-defined]
    return found


# ---- running tests in a fork ----------------------------------------------------------------------------------------


class Edited(importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader):
    """Finds one module, and gives it the edited tree."""

    def __init__(self, path: str, tree: ast.Module) -> None:
        name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        super().__init__(name, str(ROOT / path))
        self.tree = tree

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> Any:
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.tree, self.path, "exec")


class Passed:
    """Which lines of the mutated files each test passes through, and how long it takes.

    What is passed in making a fixture counts for all tests of the file: they may share it.
    """

    def __init__(self) -> None:
        self.files = {str(ROOT / path): path for path in modules()}
        self.now: dict[str, set[int]] = defaultdict(set)
        self.taken: dict[str, float] = {}
        self.passed: dict[str, dict[str, set[int]]] = {}
        self.made: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))  # for a file's fixtures

    def trace(self, frame: FrameType, event: str, _: object) -> Any:
        if event == "call" and frame.f_code.co_filename not in self.files:
            return None
        self.now[self.files[frame.f_code.co_filename]].add(frame.f_lineno)
        return self.trace

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.now, self.started = defaultdict(set), time.process_time()
        sys.settrace(self.trace)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "setup":
            for path, seen in self.now.items():
                self.made[_file(report.nodeid)][path] |= seen

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        sys.settrace(None)
        self.taken[nodeid], self.passed[nodeid] = time.process_time() - self.started, self.now

    def found(self) -> dict[str, Any]:
        """Of each test the seconds, and of each file that it passes through the lines."""
        return {
            name: (self.taken[name], {p: sorted(seen[p] | self.made[_file(name)][p]) for p in self.files.values()})
            for name, seen in self.passed.items()
        }


class Chosen:
    """Only these tests, in this order."""

    def __init__(self, order: list[str]) -> None:
        self.order = {name: place for place, name in enumerate(order)}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.order), key=lambda i: self.order[i.nodeid])


def run(files: list[str], plugin: Any, edited: Edited | None = None, told: Path | None = None) -> int:
    """What pytest returns, in a fork of this process; with `told`, the plugin's findings are written there."""
    child = os.fork()
    if not child:
        code = 99
        try:
            import pytest

            resource.setrlimit(resource.RLIMIT_CPU, (1800 if told else CPU_SECONDS,) * 2)
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1), os.dup2(quiet, 2)
            if edited:
                sys.meta_path.insert(0, edited)
            options = ["-m", "quick", "-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist"]
            code = int(pytest.main([*options, *files], plugins=[plugin]))
            if told:
                told.write_text(json.dumps(plugin.found()), "utf-8")
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def survives(mutant: Mutant, passed: dict[str, Any]) -> bool:
    """Whether no test fails of those that pass through its lines; of all of its room, where it runs in an import."""
    lines, order = set(range(mutant.first, mutant.last + 1)), sorted(passed, key=lambda name: passed[name][0])
    room = mutant.path.split("/")[1].removesuffix(".py")
    through = [name for name in order if lines & set(passed[name][1][mutant.path])]
    chosen = through or [name for name in order if room in _file(name)]
    return run(sorted(set(map(_file, chosen))), Chosen(chosen), Edited(mutant.path, mutant.tree()[0])) == 0


def _file(test: str) -> str:
    return test.partition("::")[0]


def main() -> int:
    """0 where enough mutants die."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="files whose name has this")
    parser.add_argument("--page", type=Path, help="write the figures there")
    asked = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "HYPOTHESIS_PROFILE": "mutants"}
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    import h5py  # noqa: F401
    import hypothesis
    import msgspec  # noqa: F401
    import numpy  # noqa: F401

    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]  # what is found need not be made small
    hypothesis.settings.register_profile(
        "mutants", derandomize=True, max_examples=20, deadline=None, database=None, phases=phases
    )
    pool = [mutant for path in modules() if asked.only in path for mutant in mutants(path)]
    chosen = sorted(
        random.Random(asked.seed).sample(pool, min(asked.count, len(pool))), key=lambda m: (m.path, m.place)
    )
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "passed.json")
        assert run(list(TESTS), Passed(), told=told) == 0, "the tests fail as they are"
        passed = json.loads(told.read_bytes())
    print(f"{len(passed)} tests, {sum(seconds for seconds, _ in passed.values()):.0f} s with their lines followed; "
          f"{len(chosen)} of {len(pool)} mutants", flush=True)  # fmt: skip
    lived = []
    for number, mutant in enumerate(chosen, 1):
        if survives(mutant, passed):
            lived.append(mutant)
            print(f"{number}: {said(mutant)}", flush=True)
        if number % 20 == 0:
            print(f"{number - len(lived)} of {number} killed", flush=True)
    if asked.page:
        asked.page.write_text(page(asked.seed, len(pool), len(passed), chosen, lived), "utf-8")
    return 0 if len(lived) <= (1 - GOAL) * len(chosen) else 1


def said(mutant: Mutant) -> str:
    """The mutant in one line; its answer is found by all but the line's number."""
    _, before, after = mutant.tree()
    return f"{mutant.path}:{mutant.first}: `{before}` became `{after}`"


def page(seed: int, pool: int, tests: int, chosen: list[Mutant], lived: list[Mutant]) -> str:
    """The figures and the survivors, as Markdown."""
    answers: dict[str, str] = json.loads(ANSWERS.read_text(encoding="utf-8"))
    share = 1 - len(lived) / len(chosen)
    lines = [
        "# Mutants", "",
        "Small wrong edits of the files that compute, and how many of them the quick tests notice. Written by",
        f"`python tests/house/mutants.py --count {len(chosen)} --seed {seed} --page docs/mutants.md`.", "",
        f"{len(chosen)} of {pool:,} possible mutants were drawn and met {tests} tests: {len(chosen) - len(lived)} were "
        f"killed, {share:.0%} (goal: {GOAL:.0%}).", "",
        "| file | mutants | killed |", "|---|---|---|",
    ]  # fmt: skip
    for of, name in ((lambda m: m.path, "file"), (lambda m: m.kind, "edit")):
        if name == "edit":
            lines += ["", "| edit | mutants | killed |", "|---|---|---|"]
        total, alive = Counter(map(of, chosen)), Counter(map(of, lived))
        lines += [f"| {key} | {total[key]} | {total[key] - alive[key]} |" for key in sorted(total)]
    lines += ["", "## Survivors", ""]
    for mutant in lived:
        path, _, edit = said(mutant).split(":", 2)
        answer = answers.get(f"{path}:{edit}", "not answered yet")
        lines += [f"- {said(mutant).removeprefix('activity_bench/')}: {answer}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())

"""Rules of the house that no linter has, and proof that the linter's own rules fire where they should."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from activity_bench import catalog

pytestmark = pytest.mark.quick

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "activity_bench"
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
PURE = ("scoring/", "builders/", "baselines/", "chance.py", "segments.py", "types.py", "errors.py", "catalog.py")
LONGEST = 350
RUFF = Path(sys.executable).with_name("ruff")

DISK_NAMES = {"open", "print", "input"}
DISK_METHODS = {
    "read_text", "read_bytes", "write_text", "write_bytes", "open", "tofile", "fromfile", "loadtxt", "genfromtxt",
    "savetxt", "savez", "savez_compressed", "memmap", "mkdir", "unlink", "touch", "rename", "iterdir", "rglob",
}  # fmt: skip
UNSAFE_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
SAFE_LOADS = {"np": ("allow_pickle", False), "numpy": ("allow_pickle", False), "torch": ("weights_only", True)}
SEEDED = {"Generator", "Philox"}  # a keyed counter for a bootstrap; no stream without a key


def impure(source: str) -> list[str]:
    """What in a pure room's source would touch the disk, the terminal or a stream of chance."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name) if name in DISK_NAMES:
                found.append(f"{node.lineno}: {name}")
            case ast.Call(func=ast.Attribute(attr=name)) if name in DISK_METHODS:
                found.append(f"{node.lineno}: .{name}()")
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="np" | "numpy"), attr="random"), attr=name):
                if name not in SEEDED:
                    found.append(f"{node.lineno}: np.random.{name}")
    return found


def unsafe(source: str) -> list[str]:
    """What in any room's source would run code that it was given as data."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found += [f"{node.lineno}: {n.name}" for n in names if n.name.split(".")[0] in UNSAFE_MODULES]
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in UNSAFE_MODULES:
                found.append(f"{node.lineno}: {module}")
            case ast.Call(func=ast.Name(id="eval" | "exec" | "compile" | "__import__" as name)):
                found.append(f"{node.lineno}: {name}")
            case ast.Call(func=ast.Attribute(value=ast.Name(id=library), attr="load"), keywords=keywords):
                if library in SAFE_LOADS and not _says(keywords, *SAFE_LOADS[library]):
                    found.append(f"{node.lineno}: {library}.load without {'='.join(map(str, SAFE_LOADS[library]))}")
                if library == "yaml":
                    found.append(f"{node.lineno}: yaml.load")
    return found


def _says(keywords: list[ast.keyword], name: str, value: bool) -> bool:
    return any(k.arg == name and isinstance(k.value, ast.Constant) and k.value.value is value for k in keywords)


def source(module: str) -> str:
    return (PACKAGE / module).read_text(encoding="utf-8")


def test_the_package_is_where_it_is_looked_for() -> None:
    assert "scoring/__init__.py" in MODULES
    assert all(any(m.startswith(room) for m in MODULES) for room in PURE)


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith(PURE)])
def test_pure_rooms_touch_nothing(module: str) -> None:
    found = impure(source(module))
    if module == "chance.py":  # replays published draws: the one place that may
        found = [fault for fault in found if not fault.endswith("np.random.RandomState")]
    assert found == []


@pytest.mark.parametrize("module", MODULES)
def test_no_room_runs_what_it_reads(module: str) -> None:
    assert unsafe(source(module)) == []


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_short_and_says_what_it_is(module: str) -> None:
    text = source(module)
    assert len(text.splitlines()) <= LONGEST
    assert text.startswith('"""')
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize(
    "line",
    [
        "open('x')", "reader = open", "print(1)", "path.read_text()", "path.open()", "array.tofile('x')",
        "np.savez('x', a=1)", "np.random.seed(1)", "np.random.default_rng()", "numpy.random.rand(3)",
    ],
)  # fmt: skip
def test_the_checker_of_pure_rooms_sees(line: str) -> None:
    assert impure(f"def f():\n    {line}\n")


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "from pickle import loads", "eval('1')", "exec('1')", "np.load(p)", "yaml.load(f)",
        "np.load(p, allow_pickle=True)", "torch.load(p)", "import joblib",
    ],
)  # fmt: skip
def test_the_checker_of_safety_sees(line: str) -> None:
    assert unsafe(line)


def test_the_checkers_let_honest_code_pass() -> None:
    honest = "rng = np.random.Generator(np.random.Philox(key=1))\nmodel.eval()\nnp.load(p, allow_pickle=False)\n"
    assert impure(honest) == []
    assert unsafe(honest) == []


TABLES = {
    name: table for name, table in vars(catalog).items() if name.isupper() and isinstance(table, Mapping) and table
}


@pytest.mark.parametrize(("table", "name"), [(table, name) for table in TABLES for name in TABLES[table]])
def test_every_name_in_the_catalog_is_there(table: str, name: str) -> None:
    assert catalog.load(table, TABLES[table], name) is not None


def test_the_catalog_has_its_tables() -> None:
    assert {"BUILDERS", "METHODS", "METRICS", "PROTOCOLS", "COMMANDS"} <= set(TABLES)


def ruff(path: str, text: str) -> str:
    """The codes that ruff reports for `text` as if it stood at `path`."""
    result = subprocess.run(
        [RUFF, "check", "--no-cache", "--output-format", "concise", "--stdin-filename", path, "-"],
        input=f'"""A sample."""\n\n{text}\n',
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return result.stdout


PURE_FILES = [f"activity_bench/{room}sample.py" if room.endswith("/") else f"activity_bench/{room}" for room in PURE]


@pytest.mark.parametrize("path", PURE_FILES)
def test_ruff_keeps_the_disk_out_of_pure_rooms(path: str) -> None:
    imports = "import io\nimport os\nfrom pathlib import Path\n\nimport numpy as np\n\n"
    text = f"{imports}USED = (io, os, Path, np.load, np.random.default_rng)\nprint(USED, open('x'), np.random.seed(1))"
    said = ruff(path, text)
    for banned in ("`io`", "`os`", "`pathlib.Path`", "`numpy.load`", "`numpy.random.default_rng`"):
        assert f"TID251 {banned} is banned" in said
    for code in ("T201", "PTH123", "NPY002"):
        assert code in said


@pytest.mark.parametrize(
    ("path", "text", "code"),
    [
        ("activity_bench/data/sample.py", "print(1)", "T201"),
        ("activity_bench/workflow/sample.py", "print(1)", "T201"),
        ("activity_bench/simulation/sample.py", "import numpy as np\n\nnp.random.seed(1)", "NPY002"),
        ("activity_bench/data/sample.py", "import pickle\n\npickle.loads(b'')", "S301"),
        ("activity_bench/workflow/sample.py", "try:\n    pass\nexcept Exception:\n    X = 1", "BLE001"),
    ],
)
def test_ruff_rules_fire_in_other_rooms(path: str, text: str, code: str) -> None:
    assert code in ruff(path, text)


def test_ruff_lets_data_meet_the_disk() -> None:
    assert "TID251" not in ruff(
        "activity_bench/data/sample.py", "import os\nfrom pathlib import Path\n\nX = (os, Path)"
    )


@pytest.mark.parametrize("path", sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "tests").rglob("test_*.py")))
def test_every_test_module_names_its_tier(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert any(f"pytest.mark.{tier}" in text for tier in ("quick", "check", "nightly"))


@pytest.mark.parametrize("marks", ["", "@pytest.mark.quick\n@pytest.mark.check\n", "@pytest.mark.real\n"])
def test_a_test_without_exactly_one_tier_is_refused(tmp_path: Path, marks: str) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "test_sample.py").write_text(f"import pytest\n\n\n{marks}def test_offender():\n    pass\n", "utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_sample.py"]
    env = {name: value for name, value in os.environ.items() if name != "ACTIVITY_BENCH_DATA"}
    result = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, encoding="utf-8", check=False)
    assert result.returncode == 2, result.stdout
    assert "test_sample.py::test_offender has" in result.stdout


@pytest.mark.parametrize("module", MODULES)
def test_a_function_is_short(module: str) -> None:
    defs = [node for node in ast.walk(ast.parse(source(module))) if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in defs if (node.end_lineno or 0) - node.lineno >= 65] == []

"""Every import contract is shown to hold, and shown to break: a rule that nothing can break keeps nothing out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.check

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = {
    contract["id"]: contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
}
ROOMS_TO_COME = ("models", "training", "features")  # the contracts must hold for them before they exist

# contract, module (written, or added to where it exists), what it imports
BREAKS = [
    ("floors", "errors.py", "activity_bench.types"),
    ("floors", "types.py", "activity_bench.segments"),
    ("floors", "segments.py", "activity_bench.chance"),
    ("floors", "catalog.py", "activity_bench.chance"),
    ("floors", "chance.py", "activity_bench.data"),
    ("floors", "scoring/new.py", "activity_bench.data"),
    ("floors", "data/new.py", "activity_bench.scoring"),
    ("floors", "data/new.py", "activity_bench.simulation"),
    ("floors", "features/new.py", "activity_bench.training"),
    ("floors", "training/new.py", "activity_bench.models"),
    ("floors", "builders/new.py", "activity_bench.baselines"),
    ("floors", "baselines/new.py", "activity_bench.models"),
    ("floors", "models/new.py", "activity_bench.simulation"),
    ("floors", "simulation/new.py", "activity_bench.builders"),
    ("floors", "workflow/new.py", "activity_bench.cli"),
    ("floors", "utils.py", "math"),  # exhaustive: a room that the plan does not have
    ("floors", "helpers/__init__.py", "math"),
    ("no-torch", "scoring/new.py", "torch"),
    ("no-torch", "data/new.py", "torch"),
    ("no-torch", "simulation/new.py", "av"),
    ("no-torch", "workflow/new.py", "torch"),
    ("no-torch", "baselines/new.py", "torchvision"),
    ("no-torch", "cli/new.py", "decord"),
    ("no-torch", "__init__.py", "torch"),
    ("pure", "scoring/new.py", "activity_bench.data"),
    ("pure", "scoring/new.py", "json"),
    ("pure", "builders/new.py", "pathlib"),
    ("pure", "builders/new.py", "os"),
    ("pure", "chance.py", "time"),
    ("pure", "types.py", "pathlib"),
    ("pure", "segments.py", "h5py"),
    ("vocabulary", "types.py", "numpy"),
    ("vocabulary", "errors.py", "click"),
    ("thin-cli", "workflow/new.py", "click"),
    ("thin-cli", "data/new.py", "click"),
    ("thin-cli", "models/new.py", "click"),
    ("thin-cli", "__init__.py", "click"),
    ("strangers", "baselines/oracle.py", "activity_bench.baselines.random"),
    ("strangers", "models/new.py", "activity_bench.models.other"),
    ("methods-read-through-data", "baselines/new.py", "json"),
    ("methods-read-through-data", "baselines/new.py", "h5py"),
    ("methods-read-through-data", "models/new.py", "csv"),
    ("methods-read-through-data", "models/__init__.py", "h5py"),
    ("cli-says-verbs", "cli/new.py", "activity_bench.data"),
    ("cli-says-verbs", "cli/new.py", "activity_bench.scoring"),
    ("cli-says-verbs", "cli/new.py", "activity_bench.models"),
    ("cli-says-verbs", "cli/__init__.py", "activity_bench.simulation"),
    ("cli-says-verbs", "cli/new.py", "numpy"),
    ("one-chance", "simulation/new.py", "random"),
    ("one-chance", "builders/new.py", "secrets"),
    ("no-developers-tools", "data/new.py", "pandas"),
    ("no-developers-tools", "scoring/new.py", "scipy"),
]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the package with the rooms to come, to be broken at will."""
    package = tmp_path / "activity_bench"
    shutil.copytree(ROOT / "activity_bench", package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room in ROOMS_TO_COME:
        (package / room).mkdir(exist_ok=True)
        (package / room / "__init__.py").touch()
    (package / "models" / "other.py").touch()
    return tmp_path


def lint(house: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """lint-imports on that copy."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache", *options],
        cwd=house,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"COLUMNS": "200"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_the_house_as_it_stands_keeps_every_contract(house: Path) -> None:
    result = lint(house)
    assert result.returncode == 0, result.stdout + result.stderr
    for name in CONTRACTS.values():
        assert f"{name} KEPT" in result.stdout


@pytest.mark.parametrize(("contract", "module", "imported"), BREAKS)
def test_a_forbidden_import_breaks_its_contract(house: Path, contract: str, module: str, imported: str) -> None:
    path = house / "activity_bench" / module
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\nimport {imported}\n")
    result = lint(house, "--contract", contract)
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"{CONTRACTS[contract]} BROKEN" in result.stdout
    assert (
        module.removesuffix(".py").removesuffix("/__init__").replace("/", ".").removesuffix("__init__") in result.stdout
    )


def test_an_import_inside_a_function_counts(house: Path) -> None:
    (house / "activity_bench/workflow/new.py").write_text("def lazily():\n    import torch\n", encoding="utf-8")
    assert f"{CONTRACTS['no-torch']} BROKEN" in lint(house, "--contract", "no-torch").stdout


def test_every_contract_is_tried() -> None:
    assert {contract for contract, _, _ in BREAKS} == set(CONTRACTS)

"""Readers bear any bytes: a result or one located message, in bounded memory and time.

Every run tries some changed files, the same each time, and every file that once was too much (tests/fuzz/finds).
Nightly looks for new ones, FUZZ_SECONDS for each kind of file, which its readers and the engines share; what it finds
stays under fuzz-finds.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults import summary
from tests.fuzz.hunt import Trial
from tests.fuzz.mutations import changed
from tests.fuzz.readers import KIND_OF, KINDS, READERS

ROOT = Path(__file__).resolve().parents[2]
FINDS = Path(__file__).with_name("finds")
SECONDS = float(os.environ.get("FUZZ_SECONDS", "600"))
ENGINES = ["seeded", *(["atheris"] if importlib.util.find_spec("atheris") else [])]


def trial_of(name: str, tmp_path: Path) -> Trial:
    place = tmp_path / "file"
    place.mkdir(exist_ok=True)
    return Trial(name, place)


@pytest.mark.check
@pytest.mark.parametrize("name", READERS)
def test_changed_files(name: str, tmp_path: Path) -> None:
    trial = trial_of(name, tmp_path)
    seeds = trial.reader.seeds()
    assert [trial.bears(data) for data in seeds] == [True] * len(seeds)

    @settings(max_examples=15, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def bears_it(draw: st.DataObject) -> None:
        seed = draw.draw(st.sampled_from(seeds))
        trial.bears(changed(seed, lambda end: draw.draw(st.integers(0, end - 1)), seeds))

    bears_it()


@pytest.mark.check
@pytest.mark.parametrize("find", sorted(FINDS.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name[:12]}")
def test_what_was_found(find: Path, tmp_path: Path) -> None:
    assert find.stat().st_size < 1 << 14
    trial_of(find.parent.name, tmp_path).bears(find.read_bytes())


@pytest.mark.nightly
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", READERS)
def test_the_hunt(name: str, engine: str, request: pytest.FixtureRequest) -> None:
    finds = ROOT / "fuzz-finds" / engine
    seconds = SECONDS / len(KINDS[KIND_OF[name]]) / len(ENGINES)
    command = [sys.executable, "-m", "tests.fuzz.hunt", name, "--seconds", str(seconds), "--engine", engine,
               "--finds", str(finds)]  # fmt: skip
    result = subprocess.run(
        command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=seconds + 600, check=False
    )
    said = json.loads(result.stdout.splitlines()[-1]) if result.stdout.strip() else {}
    found = (KIND_OF[name], engine, round(seconds), said.get("tried", 0), said.get("finds", 1))
    request.node.user_properties.append((summary.HUNT, found))
    assert result.returncode == 0 and said["finds"] == 0, f"see {finds}\n{result.stderr[-3000:]}"
    assert 0 < said["accepted"] < said["tried"]

"""docs/training.md names every option of the engine with its default."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from activity_bench.training.options import BOUNDS, MAY_CHANGE, TrainOptions

PAGE = Path(__file__).resolve().parents[2] / "docs" / "training.md"

pytestmark = pytest.mark.quick


def test_every_option_stands_in_the_table_with_its_default() -> None:
    found = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    defaults = {field.name: field.default for field in fields(TrainOptions)}
    assert found == {name: str(value).lower() for name, value in defaults.items()}


def test_every_number_has_bounds_and_every_option_says_what_it_is() -> None:
    numbers = {field.name for field in fields(TrainOptions) if field.type in ("int", "float")}
    assert {name for name, _, _ in BOUNDS} == numbers
    assert all(field.metadata["help"] for field in fields(TrainOptions))
    assert set(MAY_CHANGE) < {field.name for field in fields(TrainOptions)}

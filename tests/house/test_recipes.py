"""What CONTRIBUTING asks of a benchmark and of a method, asked of each that the catalog names."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from activity_bench import catalog
from activity_bench.data import shipped
from activity_bench.types import Method

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", catalog.BUILDERS)
def test_a_benchmark_is_whole(name: str) -> None:
    builder = catalog.load("benchmark", catalog.BUILDERS, name)
    assert is_dataclass(builder.options_class)
    assert all(field.metadata.get("help") for field in fields(builder.options_class))
    assert builder.protocols
    assert all(alias not in builder.protocols and to in builder.protocols for alias, to in builder.aliases.items())
    assert all(builder.tables.values())
    assert builder.paper["title"]
    page = (ROOT / "docs" / "benchmarks" / f"{name}.md").read_text(encoding="utf-8")
    assert f"activity-bench build-dataset {name}" in page
    assert [row for row in shipped.digests() if row["benchmark"] == name]
    assert (ROOT / "docs" / "index.md").read_text(encoding="utf-8").count(f"benchmarks/{name}.md") == 1


@pytest.mark.parametrize("name", catalog.METHODS)
def test_a_method_is_whole(name: str) -> None:
    method = catalog.load("method", catalog.METHODS, name)
    assert issubclass(method, Method)
    assert method.tasks <= {"moment", "detection"}
    assert method.sees_answers == (name == "oracle")
    method(method.options_class(), 0)  # the published defaults
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "methods").glob("*.md")]
    assert any(f"activity-bench run-baseline {name}" in page for page in pages)

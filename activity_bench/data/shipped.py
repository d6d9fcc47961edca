"""What the package ships: the digests of official manifests, the papers' figures, overlaps of classes."""

from __future__ import annotations

import csv
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent.parent


@cache
def folder() -> Path:
    """`manifests/`: inside the package in a wheel, beside it in a checkout."""
    inside = PACKAGE / "manifests"
    return inside if inside.is_dir() else PACKAGE.parent / "manifests"


def digests() -> list[dict[str, str]]:
    """Rows of digests.csv: benchmark, version, options, sources, samples, digest."""
    return _rows(folder() / "digests.csv")


def published() -> list[dict[str, str]]:
    """Every published figure, one a row: paper, table, row, benchmark, version, split, part, protocol, metric, …"""
    return [row for path in sorted((folder() / "published").glob("*.csv")) for row in _rows(path)]


def stated() -> list[dict[str, str]]:
    """Every other number of the papers' tables, and every figure: paper, place, row, quantity, value, status, …"""
    return _rows(folder() / "stated.csv")


def places() -> list[dict[str, Any]]:
    """What the benchmarks are made from, as where.toml has it: name, title, page, licence, files, …"""
    found: list[dict[str, Any]] = tomllib.loads((folder() / "where.toml").read_text(encoding="utf-8"))["place"]
    return found


def overlap(target: str) -> list[dict[str, str]]:
    """The classes of Kinetics-400 and of a target that name one activity: target_class, source_class, basis, reason."""
    return _rows(folder() / "overlap" / f"kinetics400-{target}.csv")


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))

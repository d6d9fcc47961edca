"""inspect: what a manifest holds, or features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from activity_bench.cli.show import json_flag, out, progress, say, table

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("path", type=FILE)
@click.option("--split", help="Show this split's histograms only, or what of it the features cover.")
@click.option("--diff", type=FILE, help="Say how this other manifest differs instead.")
@click.option("--manifest", type=FILE, help="Features: what they cover of this one.")
@click.option("--fps", type=float, help="Features that do not say it: frames a second.")
@click.option("--window", type=int, help="Features that do not say it: frames that a row is made of.")
@click.option("--stride", type=int, help="Features that do not say it: frames from row to row.")
@click.option("--offset", type=int, help="Features that do not say it: frame at which row 0 begins.  [0]")
@click.option("--key", help="Features: array of an npz or HDF5.")
@click.option("--suffix", default="", help="Features: what follows the id in a file's name.")
@click.option("--transpose", is_flag=True, help="Features: arrays lie as (dim, rows).")
@json_flag
def inspect(path: Path, split: str | None, diff: Path | None, **given: Any) -> None:
    """Counts, means and histograms of a manifest, and whether it is an official one; or every row of features.

    \b
    activity-bench inspect manifest
    activity-bench inspect manifest --diff manifest
    activity-bench inspect features.h5 --manifest manifest
    """
    from activity_bench.errors import InputError
    from activity_bench.workflow.inspect import difference, holds_features

    if holds_features(path) and diff is None:
        _features(path, split, **given)
        return
    for name, value in given.items():
        if value not in (None, "", False):
            raise InputError("this option is for features", file=path, field=f"--{name}", found=str(value))
    if diff is None:
        _manifest(path, split)
        return
    for line in difference(path, diff):
        out(line)


def _manifest(path: Path, split: str | None) -> None:
    from activity_bench.workflow.inspect import inspect as verb

    found = verb(path, split)
    say(f"{found.name} {found.version}, {found.digest}")
    say(found.standing)
    _columns("Counts", found.figures)
    if found.drops:
        unit = f"{found.drops['unit']}s"
        rows = [["seen", found.drops["seen"]], *found.drops["dropped"].items(), ["kept", found.drops["kept"]]]
        table("Ledger", [unit, "count"], [list(row) for row in rows])
    for part, histograms in found.histograms.items():
        for histogram in histograms:
            out("")
            out(f"{histogram.title}: {part}")
            for line in histogram.lines():
                out(f"  {line}")


def _features(
    path: Path, split: str | None, *, manifest: Path | None, fps: float | None, window: int | None, stride: int | None,
    offset: int | None, key: str | None, suffix: str, transpose: bool,
) -> None:  # fmt: skip
    from activity_bench.workflow.stores import timing_of
    from activity_bench.workflow.survey import inspect_features

    found = inspect_features(path, timing=timing_of(fps, window, stride, offset), key=key, suffix=suffix,
                             transposed=transpose, manifest=manifest, split=split, progress=progress)  # fmt: skip
    for title, figures in (("Attributes", found.attributes), ("Features", found.figures), ("Rows", found.numbers)):
        table(title, [title.lower(), "value"], [[name, value] for name, value in figures.items()])
    if found.coverage:
        _columns("Coverage", found.coverage)
    for warning in found.warnings:
        say(f"warning: {warning}")


def _columns(title: str, figures: Any) -> None:
    """A column a split, a row a figure."""
    names = list(dict.fromkeys(name for column in figures.values() for name in column))
    table(title, ["", *figures], [[name, *(column.get(name, "-") for column in figures.values())] for name in names])

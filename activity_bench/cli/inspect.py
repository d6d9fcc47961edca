"""inspect: what a manifest holds."""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench.cli.show import out, say, table


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--split", help="Show this split's histograms only.")
@click.option("--diff", type=click.Path(path_type=Path), help="Say how this other manifest differs instead.")
def inspect(manifest: Path, split: str | None, diff: Path | None) -> None:
    """Counts, means and histograms of a manifest, and whether it is an official one.

    \b
    activity-bench inspect manifest
    activity-bench inspect manifest --diff manifest
    """
    from activity_bench.workflow.inspect import difference
    from activity_bench.workflow.inspect import inspect as verb

    if diff is not None:
        for line in difference(manifest, diff):
            out(line)
        return

    found = verb(manifest, split)
    say(f"{found.name} {found.version}, {found.digest}")
    say(found.standing)
    names = list(dict.fromkeys(name for figures in found.figures.values() for name in figures))
    rows = [[name, *(figures.get(name, "-") for figures in found.figures.values())] for name in names]
    table("Counts", ["", *found.figures], rows)
    if found.drops:
        unit = f"{found.drops['unit']}s"
        rows = [["seen", found.drops["seen"]], *found.drops["dropped"].items(), ["kept", found.drops["kept"]]]
        table("Ledger", [unit, "count"], [list(row) for row in rows])
    for part, histograms in found.histograms.items():
        for histogram in histograms:
            click.echo()
            out(f"{histogram.title}: {part}")
            for line in histogram.lines():
                out(f"  {line}")

"""list: what there is."""

from __future__ import annotations

import click

from activity_bench import catalog
from activity_bench.cli.show import table
from activity_bench.errors import unknown

TABLES = {
    "benchmarks": catalog.BUILDERS,
    "methods": catalog.METHODS,
    "metrics": catalog.METRICS,
    "protocols": catalog.PROTOCOLS,
    "formats": catalog.EXPORTS,
}


@click.command(name="list")
@click.argument("kind", required=False)
def names(kind: str | None) -> None:
    """Benchmarks, methods, metrics, protocols and export formats; KIND for one of these.

    \b
    activity-bench list
    activity-bench list methods
    """
    if kind is not None and kind not in TABLES:
        raise unknown("kind", kind, TABLES)
    rows = [
        [name, shown, _about(shown, name, entries)]
        for shown, entries in TABLES.items()
        if kind in (None, shown)
        for name in sorted(entries)
    ]
    table("Catalog", ["name", "kind", "about"], rows)


def _about(kind: str, name: str, entries: dict[str, str]) -> str:
    found = catalog.load(kind, entries, name)
    if hasattr(found, "definition"):
        return str(found.definition)
    import sys

    return (sys.modules[found.__module__].__doc__ or "").strip().splitlines()[0]

"""list: what there is."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

import click

from activity_bench import catalog
from activity_bench.cli.show import json_flag, table
from activity_bench.errors import InputError, unknown

TABLES = {
    "benchmarks": catalog.BUILDERS,
    "methods": catalog.METHODS,
    "backbones": catalog.BACKBONES,
    "metrics": catalog.METRICS,
    "protocols": catalog.PROTOCOLS,
    "formats": catalog.EXPORTS,
    "layouts": catalog.LAYOUTS,
}
UNREAD = ("methods", "backbones")  # they may need torch, and are listed where there is none


@click.command(name="list")
@click.argument("kind", required=False)
@json_flag
def names(kind: str | None) -> None:
    """Benchmarks, methods, backbones, metrics, protocols, export formats, layouts of features; KIND for one of these.

    \b
    activity-bench list
    activity-bench list methods
    """
    if kind is not None and kind not in TABLES:
        raise unknown("kind", kind, TABLES)
    rows = [
        [name, shown, _written(entries[name]) if shown in UNREAD else _about(shown, name, entries)]
        for shown, entries in TABLES.items()
        if kind in (None, shown)
        for name in sorted(entries)
    ]
    if kind in (None, "methods"):
        rows += [[plugin.name, "methods", _plugin(plugin)] for plugin in catalog.plugins()]
    table("Catalog", ["name", "kind", "about"], rows)


def _about(kind: str, name: str, entries: dict[str, str]) -> str:
    found = catalog.load(kind, entries, name)
    if hasattr(found, "definition"):
        return str(found.definition)
    import sys

    return _first(sys.modules[found.__module__].__doc__)


def _plugin(plugin: catalog.Plugin) -> str:
    """What a method of another package says it is, and whose it is; of one that cannot be had, why."""
    import sys

    try:
        found = plugin.load()
    except InputError as error:
        return str(error)
    return f"{_first(sys.modules[found.__module__].__doc__)} ({plugin.package})"


def _written(entry: str) -> str:
    """What a module says it is, read and not imported."""
    spec = find_spec(entry.partition(":")[0])
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):  # installed without its source
        return ""
    return _first(ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))))


def _first(text: str | None) -> str:
    """The first paragraph, on one line."""
    return " ".join((text or "").partition("\n\n")[0].split())

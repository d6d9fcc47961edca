"""Tables and progress: rich on a terminal, plain when piped."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import click

from activity_bench import catalog
from activity_bench.errors import printable

STDOUT = Path("-")  # of an option that takes a file
LIMIT = 10_000  # characters of a line
AS_JSON = "activity_bench.json"  # in the context of the command that runs


def say(text: str) -> None:
    """Talk: to stderr."""
    click.echo(printable(text, LIMIT), err=True)


def out(text: str) -> None:
    """A line of data: to stdout, which `--json` keeps for objects. Text from files cannot move a terminal's cursor."""
    click.echo(printable(text, LIMIT), err=as_json())


def json_flag(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--json` for a command that prints tables: `table` then writes JSON lines, and the command need do no more."""

    def noted(context: click.Context, parameter: click.Parameter, chosen: bool) -> None:
        context.meta[AS_JSON] = chosen

    text = "Tables as JSON lines, an object a row; floats are not rounded."
    return click.option("--json", is_flag=True, expose_value=False, callback=noted, help=text)(command)


def names_of(names: Mapping[str, object]) -> Callable[..., list[str]]:
    """What a shell offers for an argument: the names of a table; of the methods, those of other packages, too."""

    def found(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
        others = [plugin.name for plugin in catalog.plugins()] if names is catalog.METHODS else []
        return sorted({name for name in (*names, *others) if name.startswith(begun)})

    return found


def as_json() -> bool:
    """Whether the command that runs was asked for JSON lines."""
    context = click.get_current_context(silent=True)
    return bool(context and context.meta.get(AS_JSON))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on stdout: drawn on a terminal, tab-separated values when piped, JSON lines where `--json` asks for them.

    Floats are given as they are: to four digits for a reader, unrounded in JSON.
    """
    if as_json():
        for row in rows:
            _line({"table": title, **dict(zip((column or "name" for column in columns), row, strict=True))})
        return
    title, columns = printable(title), [printable(column) for column in columns]
    cells = [[printable(number(value)) for value in row] for row in rows]
    if not sys.stdout.isatty():
        for line in [list(columns), *cells]:
            click.echo("\t".join(line))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", padding=(0, 1, 0, 0))
    for column, values in zip(columns, list(zip(*cells, strict=True)) or [()] * len(columns), strict=True):
        numeric = all(not value or value[0].isdigit() for value in values)
        drawn.add_column(column.replace("@", "\n@").replace("-mAP", "-\nmAP"), justify="right" if numeric else "left")
    for row in cells:
        drawn.add_row(*(Text(cell) for cell in row))  # Text: markup in a user's names stays text
    Console().print(drawn)


def _line(row: dict[str, Any]) -> None:
    """A JSON object a line, in ASCII: no text from a file can move a terminal's cursor. What is not finite is null."""
    import json  # few commands need it, and every start would pay for it

    known = {key: None if isinstance(value, float) and not isfinite(value) else value for key, value in row.items()}
    click.echo(json.dumps(known, default=str))


def width() -> int | None:
    """How many characters a line of the terminal holds; None where all of a table is written, piped or as JSON."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() and not as_json() else None


def number(value: object) -> str:
    """A score as a table shows it."""
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def progress(items: Iterable[Any], total: int, text: str) -> Iterator[Any]:
    """The items, with a bar on a terminal and one line a minute elsewhere."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track

        yield from track(items, description=printable(text), total=total, console=Console(stderr=True), transient=True)
        return
    started = said = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        if time.monotonic() - said >= 60:
            said = time.monotonic()
            rate = done / (said - started)
            say(f"{text}: {done:,} of {total:,}, {rate:,.3g} a second, {(total - done) / rate / 60:,.0f} minutes left")

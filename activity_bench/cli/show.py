"""Tables and progress: rich on a terminal, plain when piped."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from activity_bench.errors import printable

LIMIT = 10_000  # characters of a line


def say(text: str) -> None:
    """Talk: to stderr."""
    click.echo(printable(text, LIMIT), err=True)


def out(text: str) -> None:
    """A line of data: to stdout. Text from files cannot move a terminal's cursor."""
    click.echo(printable(text, LIMIT))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on stdout: drawn on a terminal, tab-separated values when piped."""
    title, columns = printable(title), [printable(column) for column in columns]
    cells = [[printable("" if value is None else str(value)) for value in row] for row in rows]
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


def width() -> int | None:
    """How many characters a line of the terminal holds; None when piped."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


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

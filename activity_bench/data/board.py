"""A leaderboard as a file: CSV, where no float is rounded, or Markdown and LaTeX, for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from activity_bench.data.disk import atomic
from activity_bench.errors import InputError, printable

MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]<>|#$~"})
LATEX = str.maketrans({c: f"\\{c}" for c in "{}#$%&_"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
})  # fmt: skip


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """A CSV file (RFC 4180, UTF-8), whole or not at all; what is missing is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([cell(name) for name in columns])
    writer.writerows([cell(row.get(name)) for name in columns] for row in rows)
    _write(path, text.getvalue(), f"{columns[0]},")


def write_markdown(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]], note: str) -> None:
    """A pipe table; no text in it is markup."""
    lines = [[str(cell(value)).translate(MARKDOWN) for value in row] for row in [columns, *rows]]
    lines.insert(1, ["---"] * len(columns))
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    _write(path, f"{text}\n{note.translate(MARKDOWN)}\n", f"| {columns[0]} |")


def write_latex(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]], note: str) -> None:
    """A plain tabular that needs no package; no text in it is a command."""
    first, *lines = (" & ".join(str(cell(value)).translate(LATEX) for value in row) for row in [columns, *rows])
    body = "".join(f"{line} \\\\\n" for line in lines)
    head = f"\\begin{{tabular}}{{{'l' * len(columns)}}}\n\\hline\n"
    _write(path, f"{LATEX_HEAD}{note}\n{head}{first} \\\\\n\\hline\n{body}\\hline\n\\end{{tabular}}\n", LATEX_HEAD)


LATEX_HEAD = "% activity-bench leaderboard. "


def _write(path: Path, text: str, start: str) -> None:
    """Over an older table of the kind, or over nothing: another file under that name stays."""
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as stream:
            if not stream.read(len(start)).startswith(start.encode()):
                raise InputError("refusing to replace a file that is not such a table", file=path,
                                 hint="Name another file, or remove this one yourself.")  # fmt: skip
    with atomic(path) as stream:
        stream.write(text.encode("utf-8"))


def cell(value: object) -> str | int | float:
    """A value as a cell: control characters are escaped, and a text that a spreadsheet would run gets a quote first."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return value
    text = printable(str(value))  # a bare \r would end the row: csv does not quote it
    return f"'{text}" if text.lstrip()[:1] in tuple("=+-@") else text

"""leaderboard: reports in one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from activity_bench.cli.show import as_json, json_flag, say, table, width

if TYPE_CHECKING:
    from activity_bench.workflow.rank import Leaderboard

LEAST_WIDTH, SCORE_WIDTH = 62, 7  # characters: of rank, method, split, interval and source; of a score


@click.command()
@click.argument("reports", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--csv", type=click.Path(path_type=Path), help="Write the table here.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write it here for a README.")
@click.option("--latex", type=click.Path(path_type=Path), help="Write it here for a paper: a plain tabular.")
@click.option("--by", help="Metric to rank by. [the report's first]")
@click.option("--runs", is_flag=True, help="One row for all runs that differ in their seeds alone: mean and spread.")
@click.option("--published/--no-published", default=True, show_default=True, help="Show the papers' rows, too.")
@json_flag
def leaderboard(
    reports: tuple[Path, ...], csv: Path | None, markdown: Path | None, latex: Path | None, by: str | None, runs: bool,
    published: bool,
) -> None:  # fmt: skip
    """Rank REPORTS (files, or folders of runs) among those of one manifest, split and protocol.

    \b
    activity-bench leaderboard run-a run-b/report.json --csv leaderboard.csv
    activity-bench leaderboard run-a run-b --runs --markdown board.md --latex board.tex
    """
    from activity_bench.workflow.rank import leaderboard as verb

    show_leaderboard(verb(reports, csv, by=by, published=published, runs=runs, markdown=markdown, latex=latex))
    for path in (csv, markdown, latex):
        if path is not None:
            say(f"written to {path}")


def show_leaderboard(board: Leaderboard, title: str = "Leaderboard") -> None:
    """The table: all of it when piped; on a terminal the scores that fit, those without a threshold first. In JSON it
    has the columns of the CSV."""
    from activity_bench.workflow.rank import NOTE, presented

    if as_json():
        table(title, board.columns, [[row.get(column) for column in board.columns] for row in board.rows])
        return
    metrics, room = board.metrics, width()
    if room is not None:
        fitting = max(1, (room - LEAST_WIDTH) // SCORE_WIDTH)
        best = sorted(metrics, key=lambda name: (name != board.by, "@" in name, metrics.index(name)))[:fitting]
        left_out, metrics = len(metrics) - len(best), [name for name in metrics if name in best]
        title += f" ({left_out} more scores in the CSV)" if left_out else ""
    columns, rows = presented(board, metrics)
    table(title, columns, rows)
    if any(row[0].endswith("=") for row in rows):
        say(NOTE)

"""leaderboard: reports in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from activity_bench.cli.show import number, say, table, width

LEAST_WIDTH, SCORE_WIDTH = 62, 7  # characters: of rank, method, split, interval and source; of a score


@click.command()
@click.argument("reports", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--csv", type=click.Path(path_type=Path), help="Write the table here.")
@click.option("--by", help="Metric to rank by. [the report's first]")
@click.option("--published/--no-published", default=True, show_default=True, help="Show the papers' rows, too.")
def leaderboard(reports: tuple[Path, ...], csv: Path | None, by: str | None, published: bool) -> None:
    """Rank REPORTS (files, or folders of runs) among those of one manifest, split and protocol.

    \b
    activity-bench leaderboard run-a run-b/report.json --csv leaderboard.csv
    """
    from activity_bench.workflow.rank import leaderboard as verb

    show_leaderboard(verb(reports, csv, by=by, published=published))
    if csv is not None:
        say(f"written to {csv}")


def show_leaderboard(board: Any, title: str = "Leaderboard") -> None:
    """The table: all of it when piped; on a terminal the scores that fit, those without a threshold first."""
    metrics = [name for name in board.columns if f"{name}_low" in board.columns]
    room = width()
    if room is not None:
        fitting = max(1, (room - LEAST_WIDTH) // SCORE_WIDTH)
        best = sorted(metrics, key=lambda name: (name != board.by, "@" in name, metrics.index(name)))[:fitting]
        left_out, metrics = len(metrics) - len(best), [name for name in metrics if name in best]
        title += f" ({left_out} more scores in the CSV)" if left_out else ""
    rows = []
    for row in board.rows:
        low, high = row.get(f"{board.by}_low"), row.get(f"{board.by}_high")
        interval = "" if low is None else f"{number(low)} - {number(high)}"
        scores = [number(row.get(metric)) for metric in metrics]
        rows.append([row.get("rank"), row["method"], row["split"], *scores, interval, row["source"]])
    table(title, ["rank", "method", "split", *metrics, f"95 % of {board.by}", "source"], rows)

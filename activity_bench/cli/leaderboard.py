"""leaderboard: reports in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from activity_bench.cli.show import number, say, table


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
    """The table as a terminal shows it: scores with the ranking metric's interval."""
    metrics = [name for name in board.columns if f"{name}_low" in board.columns]
    rows = []
    for row in board.rows:
        low, high = row.get(f"{board.by}_low"), row.get(f"{board.by}_high")
        interval = "" if low is None else f"{number(low)} - {number(high)}"
        scores = [number(row.get(metric)) for metric in metrics]
        rows.append([row.get("rank"), row["method"], row["split"], *scores, interval, row["source"]])
    table(title, ["rank", "method", "split", *metrics, f"95 % of {board.by}", "source"], rows)

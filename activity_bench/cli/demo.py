"""demo: the whole way, offline."""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench.cli.leaderboard import show_leaderboard
from activity_bench.cli.show import progress, say


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo-out"), show_default=True,
              help="Folder for all that is made.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace an earlier demo.")
def demo(out: Path, force: bool) -> None:
    """Go the whole way on the embedded corpus: annotations, manifest, features, baselines, scores, leaderboard.

    \b
    activity-bench demo --out demo-out
    """
    from activity_bench.workflow.demo import demo as verb

    show_leaderboard(verb(out, force=force, say=say, progress=progress), "Leaderboard (simulated corpus)")
    say(f"everything is in {out}: corpus, manifest, features.h5, runs, leaderboard.csv")
    say(f"next: activity-bench inspect {out}/manifest")

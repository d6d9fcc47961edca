"""demo: the whole way, offline."""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench.cli.leaderboard import show_leaderboard
from activity_bench.cli.show import json_flag, progress, say


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo-out"), show_default=True,
              help="Folder for all that is made.")  # fmt: skip
@click.option("--video", is_flag=True, help="From pixels on: rendered videos, decoding, C3D with random weights.")
@click.option("--force", is_flag=True, help="Replace an earlier demo.")
@json_flag
def demo(out: Path, video: bool, force: bool) -> None:
    """Go the whole way on the embedded corpus: annotations, manifest, features, baselines, scores, leaderboard.

    With --video, on rendered videos, in minutes: frames, features, a projection and a small trained method, too.

    \b
    activity-bench demo --out demo-out
    activity-bench demo --video --out FOLDER
    """
    from activity_bench.workflow import demo as verbs

    verb = verbs.demo_video if video else verbs.demo
    show_leaderboard(verb(out, force=force, say=say, progress=progress),
                     f"Leaderboard ({'rendered videos, random weights' if video else 'simulated corpus'})")  # fmt: skip
    if video:
        say(f"WARNING: {verbs.WARNING}")
    say(f"everything is in {out}: " + ", ".join(name for name in verbs.OURS if (out / name).exists()))
    say(f"next: activity-bench inspect {out}/manifest")

"""simulate clips: made-up videos as real files."""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench.cli.show import progress, say


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the videos and annotations.")
@click.option("--videos", type=int, default=36, show_default=True, help="How many; 18 at least.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything in them.")
@click.option("--force", is_flag=True, help="Replace clips that are there.")
def clips(out: Path, videos: int, seed: int, force: bool) -> None:
    """Render short untrimmed videos (h264) of a body in motion, with annotations in the ActivityNet layout.

    \b
    activity-bench simulate clips --out clips --videos 18
    """
    from activity_bench.workflow.clips import MARKER, VIDEOS, simulate_clips

    made = simulate_clips(out, options={"videos": videos, "seed": seed}, force=force, progress=progress)
    say(f"{len(made)} videos, {sum(len(clip.activities) for clip in made)} activities, in {out / VIDEOS}")
    click.echo(str(out / MARKER))

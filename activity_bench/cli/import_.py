"""import: somebody else's files as a manifest."""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench.cli.show import say

FILE = click.Path(path_type=Path)


@click.command(name="import")
@click.argument("path", type=FILE)
@click.option("--from", "from_", required=True, help="Format; `activity-bench list formats` names them.")
@click.option("--out", type=FILE, required=True, help="Folder of the manifest.")
@click.option("--frame-counts", type=FILE, help="JSON: frames and rows of each video (video_reloc).")
@click.option("--classes", type=FILE, help="ActivityNet JSON, or classes.json: names of classes (video_reloc).")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the queries that video_reloc lacks.")
@click.option("--force", is_flag=True, help="Replace a manifest that is there.")
def import_(
    path: Path, from_: str, out: Path, frame_counts: Path | None, classes: Path | None, seed: int, force: bool
) -> None:
    """Read PATH, a file or folder in the format of other tools, and freeze it as a manifest.

    \b
    activity-bench import hub --from hf --out imported
    activity-bench import lists --from video_reloc --out imported
    """
    from activity_bench.workflow.export import import_manifest

    tables = {name: table for name, table in (("frame_counts", frame_counts), ("classes", classes)) if table}
    made = import_manifest(path, from_, out, tables=tables, seed=seed, force=force)
    for split, info in made.splits.items():
        say(f"{split:>6}: {info.samples:,} samples, {info.videos:,} videos, {info.classes:,} classes")
    drops = made.provenance["drops"]
    say(f"{drops['kept']:,} of {drops['seen']:,} {drops['unit']}s kept; the rest is accounted for in DATASHEET.md")
    click.echo(f"{made.digest}  {out}")

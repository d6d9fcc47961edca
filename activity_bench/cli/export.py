"""export: a manifest in somebody else's format."""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench.cli.show import say

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("manifest", type=FILE)
@click.option("--to", required=True, help="Format; `activity-bench list formats` names them.")
@click.option("--out", type=FILE, required=True, help="File or folder to write, as the format has it.")
@click.option("--split", help="Export this split alone.")
@click.option("--taxonomy", type=FILE, help="ActivityNet JSON: numbers of classes, durations of videos.")
@click.option("--frame-counts", type=FILE, help="JSON: frames of each video (opentad, actionformer).")
@click.option("--force", is_flag=True, help="Replace what is there, if it is a file or an earlier export.")
def export(
    manifest: Path, to: str, out: Path, split: str | None, taxonomy: Path | None, frame_counts: Path | None, force: bool
) -> None:
    """Write MANIFEST in the format of other tools; what a format cannot hold is said.

    \b
    activity-bench export manifest --to hf --out hub
    activity-bench export manifest --to qvhighlights --split test --out test.jsonl
    activity-bench export manifest --to croissant --out manifest/croissant.json
    """
    from activity_bench import catalog
    from activity_bench.workflow.export import export_manifest

    tables = {name: path for name, path in (("taxonomy", taxonomy), ("frame_counts", frame_counts)) if path}
    names = export_manifest(manifest, to, out, split=split, tables=tables, force=force)
    say(f"{to} loses {catalog.load('format', catalog.EXPORTS, to).lost}")
    for name in names:
        click.echo(out / name if out.is_dir() else out)

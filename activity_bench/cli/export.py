"""export: a manifest, or features, in somebody else's format."""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench.cli.show import progress, say

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("path", type=FILE)
@click.option("--to", required=True, help="Format; `activity-bench list formats` and `list layouts` name them.")
@click.option("--out", type=FILE, required=True, help="File or folder to write, as the format has it.")
@click.option("--split", help="Export this split alone.")
@click.option("--taxonomy", type=FILE, help="ActivityNet JSON: numbers of classes, durations of videos.")
@click.option("--frame-counts", type=FILE, help="JSON: frames of each video (opentad, actionformer).")
@click.option("--manifest", type=FILE, help="Features: list what this manifest asks and the store lacks.")
@click.option("--force", is_flag=True, help="Replace what is there, if it is a file or an earlier export.")
def export(
    path: Path, to: str, out: Path, split: str | None, taxonomy: Path | None, frame_counts: Path | None,
    manifest: Path | None, force: bool,
) -> None:  # fmt: skip
    """Write PATH, a manifest or a feature store, in the format of other tools; what a format cannot hold is said.

    \b
    activity-bench export manifest --to hf --out hub
    activity-bench export manifest --to qvhighlights --split test --out test.jsonl
    activity-bench export manifest --to croissant --out manifest/croissant.json
    activity-bench export features.h5 --to opentad-features --out npy --manifest manifest
    """
    from activity_bench import catalog
    from activity_bench.errors import InputError
    from activity_bench.workflow.export import export_manifest
    from activity_bench.workflow.stores import export_features

    tables = {name: path for name, path in (("taxonomy", taxonomy), ("frame_counts", frame_counts)) if path}
    if to in catalog.LAYOUTS:
        for name, value in {"split": split, **tables}.items():
            if value is not None:
                raise InputError("this option is for manifests", field=f"--{name.replace('_', '-')}", found=str(value))
        missing = export_features(path, to, out, manifest=manifest, force=force, progress=progress)
        say(f"{to} loses {catalog.load('layout', catalog.LAYOUTS, to).lost}")
        if missing:
            say(f"{len(missing):,} videos of the manifest have no features: {', '.join(missing[:3])}")
        click.echo(out)
        return
    if manifest is not None:
        raise InputError("this option is for features", field="--manifest", found=str(manifest))
    names = export_manifest(path, to, out, split=split, tables=tables, force=force)
    say(f"{to} loses {catalog.load('format', catalog.EXPORTS, to).lost}")
    for name in names:
        click.echo(out / name if out.is_dir() else out)

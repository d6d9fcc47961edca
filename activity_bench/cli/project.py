"""project: features brought down to their principal components."""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench.cli.show import progress, say

FILE = click.Path(path_type=Path)


@click.group()
def project() -> None:
    """Fit principal components on training videos alone, and apply them to features.

    \b
    activity-bench project fit --features features.h5 --manifest manifest --dim 16 --out pca.safetensors
    activity-bench project apply --features FEATURES --projection pca.safetensors --out features-16.h5
    """


@project.command("fit")
@click.option("--features", type=FILE, required=True, help="Features as the backbone made them.")
@click.option("--manifest", type=FILE, required=True, help="Its training videos are read, and no other.")
@click.option("--dim", type=int, default=500, show_default=True, help="How many components are kept.")
@click.option("--out", type=FILE, required=True, help="File of the projection (.safetensors).")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def fit(features: Path, manifest: Path, dim: int, out: Path, force: bool) -> None:
    """Fit a projection to the videos that only the training split of a manifest asks about or asks with.

    \b
    activity-bench project fit --features features.h5 --manifest manifest --dim 16 --out pca.safetensors
    """
    from activity_bench.workflow.project import fit_projection

    made = fit_projection(features, manifest, out, dim, force=force, progress=progress)
    say(
        f"{dim} components keep {made.explained:.2%} of the variance of {made.rows:,} rows, {len(made.videos):,} videos"
    )
    click.echo(str(out))


@project.command("apply")
@click.option(
    "--features", type=FILE, required=True, help="Features of the backbone, weights and layer it was fitted on."
)
@click.option("--projection", type=FILE, required=True, help="What `project fit` wrote.")
@click.option("--manifest", type=FILE, help="Refuse a projection that has seen a video which this holds out.")
@click.option("--out", type=FILE, required=True, help="HDF5 file of the new store.")
@click.option("--force", is_flag=True, help="Replace a store that is there.")
def apply(features: Path, projection: Path, manifest: Path | None, out: Path, force: bool) -> None:
    """Write a store of projected features. Images, and what is noted of each video, are carried over.

    \b
    activity-bench project apply --features FEATURES --projection pca.safetensors --out features-16.h5
    """
    from activity_bench.workflow.project import apply_projection

    store = apply_projection(features, projection, out, manifest=manifest, force=force, progress=progress)
    say(f"{len(store.ids()):,} videos, {store.dim} numbers a row")
    click.echo(f"{store.digest}  {out}")

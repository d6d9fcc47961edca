"""extract-regions: from the images that a benchmark asks with to their regions."""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench.cli.show import progress, say

FILE = click.Path(path_type=Path)


@click.command(name="extract-regions")
@click.option("--features", type=FILE, required=True, help="Store of features, into which the images go.")
@click.option("--manifest", type=FILE, help="Its image queries are asked for: frames of --videos.")
@click.option("--videos", type=FILE, help="Folder of videos, searched in depth.")
@click.option("--images", type=FILE, multiple=True, help="Instead: an image file, or a folder of them. More than once.")
@click.option("--backbone", default="vgg16-regions", show_default=True, help="Or module:attribute, one of your own.")
@click.option("--weights", type=FILE, help="Checkpoint: .pth, .pt or .safetensors.")
@click.option("--random-weights", is_flag=True, help="Weights of a fixed seed, to try a pipeline.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:1.")
@click.option("--limit", type=float, default=600.0, show_default=True, help="Seconds for a file to give a picture.")
@click.option("--retry-failed", is_flag=True, help="Try again what the ledger has.")
def extract_regions(
    features: Path, manifest: Path | None, videos: Path | None, images: tuple[Path, ...], backbone: str,
    weights: Path | None, random_weights: bool, device: str, limit: float, retry_failed: bool,
) -> None:  # fmt: skip
    """Put regions, boxes and the whole of images into a store. A job that was killed goes on where it was.

    \b
    activity-bench extract-regions --features features.h5 --manifest manifest --videos VIDEOS --weights rcnn.pth
    activity-bench extract-regions --features features.h5 --images IMAGES --weights rcnn.pth
    """
    from activity_bench.workflow.regions import extract_regions as verb

    found = verb(
        features, backbone, manifest=manifest, videos=videos, images=images, weights=weights,
        random_weights=random_weights, device=device, limit=limit, retry_failed=retry_failed,
        progress=progress, tell=say,
    )  # fmt: skip
    for note in found.notes:
        say(f"warning: {note}")
    if found.failed:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in found.failed.items())
        say(f"{sum(found.failed.values()):,} failed ({kinds}): {found.ledger}")
    say(f"{found.done:,} of {found.asked:,} images have regions")
    click.echo(str(found.file))

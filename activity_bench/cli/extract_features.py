"""extract-features: from videos to features, in a job that survives the night."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from activity_bench.cli.show import progress, say


@click.command(name="extract-features")
@click.option("--videos", type=click.Path(path_type=Path), required=True, help="Folder of videos, searched in depth.")
@click.option("--backbone", required=True, help="c3d-fc6, i3d-rgb, …; or module:attribute, a backbone of your own.")
@click.option("--weights", type=click.Path(path_type=Path), help="Checkpoint: .pth, .pt or .safetensors.")
@click.option("--random-weights", is_flag=True, help="Weights of a fixed seed, to try a pipeline.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File of features. Added to if it exists.")
@click.option("--decoder", default="auto", show_default=True, help="auto, pyav, decord or torchcodec.")
@click.option("--units", help="Preset: c3d, c3d-nonoverlap, i3d.  [default: the backbone's]")
@click.option("--fps", type=float, help="Frames a second that videos are resampled to.  [default: the preset's]")
@click.option("--window", type=int, help="Frames of a row.")
@click.option("--stride", type=int, help="Frames from row to row.")
@click.option("--own-rate", is_flag=True, help="Each file's own frames; the features state --fps all the same.")
@click.option("--no-crop", is_flag=True, help="The whole picture, squeezed to the size of the backbone's crop.")
@click.option("--dtype", default="float32", show_default=True, help="Numbers on the disk: float32 or float16.")
@click.option("--projection", type=click.Path(path_type=Path), help="Principal components that rows are projected on.")
@click.option("--manifest", type=click.Path(path_type=Path), help="Only the videos that this manifest names.")
@click.option("--workers", type=int, help="Processes.  [default: one a core]")
@click.option("--engine", default="local", show_default=True, help="Who runs them: local, or ray: many machines.")
@click.option("--limit", type=float, default=3600.0, show_default=True, help="Seconds that a video may take.")
@click.option("--memory", type=int, default=4096, show_default=True, help="Megabytes that a worker may take (Linux).")
@click.option("--retry-failed", is_flag=True, help="Try again what the ledger has.")
@click.option(
    "--shard", metavar="I/N", help="The I-th of N parts of the videos; without it, all are packed at the end."
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:1.")
@click.option("--batch", type=int, default=8, show_default=True, help="Units that go through the backbone together.")
@click.option("--bf16", is_flag=True, help="Half the digits, several times the speed on a GPU.")
@click.option("--compile", is_flag=True, help="Compile the backbone first: minutes, worth it on a GPU.")
@click.option(
    "--one-network/--own-networks", default=None,
    help="One process runs the backbone for all that decode, or each its own.  [default: one on a GPU]",
)  # fmt: skip
def extract_features(videos: Path, backbone: str, out: Path, **options: Any) -> None:
    """Make the features of videos. A job that was killed goes on where it was; what fails stands in OUT.failures.jsonl.

    \b
    activity-bench extract-features --videos VIDEOS --backbone c3d-fc6 --weights c3d.pth --out features.h5
    activity-bench extract-features --videos VIDEOS --backbone i3d-rgb --random-weights --out features.h5 --limit 60
    """
    from activity_bench.workflow.extract import extract_features as verb

    found = verb(videos, backbone, out, progress=progress, tell=say, **options)
    for note in found.notes:
        say(f"warning: {note}")
    if found.failed:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in found.failed.items())
        say(f"{sum(found.failed.values()):,} failed ({kinds}): {found.ledger}")
    left = "" if found.packed else "; not packed: the job without --shard does that"
    say(f"{found.done:,} of {found.videos:,} videos have features{left}")
    if found.packed:
        click.echo(str(found.file))

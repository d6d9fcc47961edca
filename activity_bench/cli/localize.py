"""localize: where in a video of one's own the activity of a clip or an image is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from activity_bench.cli.show import as_json, json_flag, progress, say, table

FILE = click.Path(path_type=Path)


@click.command()
@click.option("--model", type=FILE, required=True, help="Folder of a run that `train` made.")
@click.option("--video", type=FILE, required=True, help="The video that is searched.")
@click.option("--clip", type=FILE, help="A video of the activity, and nothing else.")
@click.option("--image", type=FILE, help="A picture of the activity: PNG, JPEG, WebP or BMP.")
@click.option("--weights", type=FILE, help="Of the backbone that made the model's features.")
@click.option("--random-weights", is_flag=True, help="Where the model's features were made without trained ones.")
@click.option("--region-weights", type=FILE, help="With --image: of the backbone that made the regions.")
@click.option("--region-backbone", default="vgg16-regions", show_default=True, help="Or module:attribute, your own.")
@click.option("--backbone", help="module:attribute, where the model's features are of a backbone of your own.")
@click.option("--projection", type=FILE, help="Where the model's features are projected: the file that does it.")
@click.option("--top", type=click.IntRange(1), default=1, show_default=True, help="How many answers.")
@click.option("--rows", type=click.IntRange(2), default=512, show_default=True, help="Rows of a window of the video.")
@click.option("--page", type=FILE, help="Write the answer as a page that stands alone (HTML).")
@click.option("--cut", type=FILE, help="Write the best answer as a video: .mp4, .mov or .mkv.")
@click.option("--cache", type=FILE, help="Folder where features are kept.  [default: in the user's cache]")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:1.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@json_flag
def localize(
    model: Path, video: Path, clip: Path | None, image: Path | None, page: Path | None, cut: Path | None, force: bool,
    cache: Path | None, top: int, rows: int, **has: Any,
) -> None:  # fmt: skip
    """Ask a trained model where in a video the activity of a clip, or of an image, happens.

    The features are made as those of the model's training, with the very weights, and kept for the next question.

    \b
    activity-bench localize --model TRAINED --weights c3d.pth --clip clip.mp4 --video video.mp4 --page answer.html
    activity-bench localize --model TRAINED --random-weights --clip clip.mp4 --video video.mp4 --cut answer.mp4
    """
    from activity_bench.workflow.localize import UNTRAINED, Outputs
    from activity_bench.workflow.localize import localize as verb
    from activity_bench.workflow.recipe import AtHand

    found = verb(
        model, video, clip=clip, image=image, has=AtHand(**has), top=top, rows=rows, cache=cache,
        outputs=Outputs(page, cut, force), progress=progress, tell=say,
    )  # fmt: skip
    marked = "untrained" if found.untrained else "trained"
    columns, more = ["start", "end", "score", "features"], []
    if as_json():
        about = {"video": video, "duration": found.duration, found.kind: found.query, "model": model,
                 "method": found.method, "backbone": found.features.backbone,
                 "weights_sha256": found.features.weights_sha256, "windows": found.windows}  # fmt: skip
        columns, more = [*columns, *about], list(about.values())
    table("Answers", columns, [[a.start, a.end, a.score, marked, *more] for a in found.answers])
    if found.untrained:
        say(f"warning: untrained: {UNTRAINED}; this says that all works, and little of the video")
    if not found.answers:
        say("the model gave no answer")
    for path in (page, cut):
        if path is not None:
            say(f"written to {path}")

"""import: somebody else's files as a manifest, or as a feature store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from activity_bench.cli.show import progress, say

FILE = click.Path(path_type=Path)
SHOWN = 10  # videos that were left out


@click.command(name="import")
@click.argument("path", type=FILE)
@click.option("--from", "from_", required=True, help="Format; `activity-bench list formats` names them. Or: features.")
@click.option("--out", type=FILE, required=True, help="Folder of the manifest, or file of the features.")
@click.option("--frame-counts", type=FILE, help="JSON: frames and rows of each video (video_reloc, features).")
@click.option("--classes", type=FILE, help="ActivityNet JSON, or classes.json: names of classes (video_reloc).")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the queries that video_reloc lacks.")
@click.option("--fps", type=float, help="Features: frames a second that they were made of.")
@click.option("--window", type=int, help="Features: frames that a row is made of.")
@click.option("--stride", type=int, help="Features: frames from row to row.")
@click.option("--offset", type=int, help="Features: frame at which row 0 begins.  [0]")
@click.option("--key", "keys", multiple=True, help="Features: array of an npz or HDF5; several are set side by side.")
@click.option("--suffix", "suffixes", multiple=True, help="Features: what follows the id in a file's name (_rgb).")
@click.option("--join", type=FILE, multiple=True, help="Features: another folder, set side by side with PATH.")
@click.option("--transpose", is_flag=True, help="Features: arrays lie as (dim, rows).")
@click.option("--backbone", help="Features: what made them.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Features: what else is known: layer, "
              "projection, decoder, decoder_version, weights_sha256.")  # fmt: skip
@click.option("--manifest", type=FILE, help="Features: take what this manifest names, if it is long enough.")
@click.option("--durations", type=FILE, help="Features: annotations, or JSON with durations, that rows must fit.")
@click.option("--skip-bad", is_flag=True, help="Features: leave out single videos that are refused.")
@click.option("--force", is_flag=True, help="Replace what is there.")
def import_(path: Path, from_: str, out: Path, seed: int, force: bool, **given: Any) -> None:
    """Read PATH, a file or folder in the format of other tools, and freeze it as a manifest or a feature store.

    Of features, the timing is given once, and then stands in the store. Rows must fit the videos' durations.

    \b
    activity-bench import hub --from hf --out imported
    activity-bench import lists --from video_reloc --out imported
    activity-bench import FOLDER --from features --out imported.h5 --fps 30 --window 16 --stride 16 --manifest manifest
    """
    if from_ == "features":
        _features(path, out, force, **given)
        return
    from activity_bench.errors import InputError
    from activity_bench.workflow.export import import_manifest

    for name, value in given.items():
        if value not in (None, (), False) and name not in ("frame_counts", "classes"):
            raise InputError("this option is for features", field=f"--{name}", expected="--from features")
    tables = {name: given[name] for name in ("frame_counts", "classes") if given[name]}
    made = import_manifest(path, from_, out, tables=tables, seed=seed, force=force)
    for split, info in made.splits.items():
        say(f"{split:>6}: {info.samples:,} samples, {info.videos:,} videos, {info.classes:,} classes")
    drops = made.provenance["drops"]
    say(f"{drops['kept']:,} of {drops['seen']:,} {drops['unit']}s kept; the rest is accounted for in DATASHEET.md")
    click.echo(f"{made.digest}  {out}")


def _features(
    path: Path, out: Path, force: bool, *, fps: float | None, window: int | None, stride: int | None,
    offset: int | None, transpose: bool, backbone: str | None, pairs: tuple[str, ...], classes: Path | None,
    **given: Any,
) -> None:  # fmt: skip
    from activity_bench.errors import InputError
    from activity_bench.workflow.options import settings
    from activity_bench.workflow.stores import import_features, timing_of

    if classes is not None:
        raise InputError("features have no classes", field="--classes", found=str(classes))
    known = settings(pairs) | ({"backbone": backbone} if backbone else {})
    made = import_features(path, out, timing=timing_of(fps, window, stride, offset), transposed=transpose, known=known,
                           force=force, progress=progress, **given)  # fmt: skip
    for reason in list(made.left_out.values())[:SHOWN]:
        say(f"left out: {reason}")
    if len(made.left_out) > SHOWN:
        say(f"{len(made.left_out):,} videos are left out in all")
    if made.missing:
        say(f"{len(made.missing):,} videos of the manifest are not there: {', '.join(made.missing[:3])}")
    if made.unasked:
        say(f"{made.unasked:,} videos are not named by the manifest, and not taken")
    if made.unchecked:
        say(f"of {made.unchecked:,} videos no length is known: whether their rows fit was not checked")
    say(f"{made.videos:,} videos, {made.rows:,} rows of {made.dim}")
    click.echo(f"{made.digest}  {out}")

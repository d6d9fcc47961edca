"""predict: the answers of a trained run to a split."""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench.cli.show import progress, say


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--manifest", type=click.Path(path_type=Path), required=True, help="Folder of the manifest.")
@click.option("--split", required=True, help="Split to answer, test for one.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File of predictions.")
@click.option("--features", type=click.Path(path_type=Path), help="Other features than those of the training.")
@click.option("--weights", type=click.Choice(["best", "last"]), default="best", show_default=True, help="Which ones.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="An option that training did not read.")
@click.option("--attention", type=click.Path(path_type=Path), help="Also write here (HDF5) what the network looked at.")
@click.option("--limit-attention", type=int, metavar="N", help="That of the first N samples alone.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def predict(
    run: Path, manifest: Path, split: str, out: Path, features: Path | None, weights: str, device: str,
    pairs: tuple[str, ...], attention: Path | None, limit_attention: int | None, force: bool,
) -> None:  # fmt: skip
    """Answer a split with the weights of RUN, a folder that `train` made.

    \b
    activity-bench predict trained --manifest manifest --split test --out predictions.jsonl
    activity-bench predict trained --manifest manifest --split test --out shorter.jsonl --set longest=32
    activity-bench predict trained --manifest manifest --split test --out predictions.jsonl --attention maps.h5
    """
    from activity_bench.workflow.options import settings
    from activity_bench.workflow.predict import predict as verb

    found = verb(
        run, manifest, split, out, features=features, weights=weights, device=device, options=settings(pairs),
        attention=attention, limit_attention=limit_attention, force=force, progress=progress,
    )  # fmt: skip
    for note in found.notes:
        say(f"warning: {note}")
    say(f"{found.file}: {found.count:,} samples answered")
    if attention is not None:
        say(f"{attention}: attention to {found.attended:,} samples")

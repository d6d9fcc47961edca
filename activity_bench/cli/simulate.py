"""simulate: made-up annotations, and features for any manifest."""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench.cli.show import progress, say

OUT = click.Path(path_type=Path)


@click.group()
def simulate() -> None:
    """Make annotations and features up: what they are is stated, so that a method can be proved wrong.

    \b
    activity-bench simulate corpus --out corpus
    activity-bench simulate features --manifest manifest --out features.h5
    """


@simulate.command()
@click.option("--out", type=OUT, required=True, help="Folder of the corpus.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything in it.")
@click.option("--videos", type=click.IntRange(96, 100_000), default=600, show_default=True, help="Annotated videos.")
@click.option("--force", is_flag=True, help="Replace a corpus that is there.")
def corpus(out: Path, seed: int, videos: int, force: bool) -> None:
    """Write a made-up corpus: ActivityNet JSON (strict and loose), a Kinetics CSV, THUMOS folders.

    \b
    activity-bench simulate corpus --out corpus
    """
    from activity_bench.workflow.simulate import simulate_corpus

    for name, size in simulate_corpus(out, options={"seed": seed, "videos": videos}, force=force).items():
        click.echo(f"{size}\t{out / name}")


@simulate.command()
@click.option("--manifest", type=OUT, required=True, help="Folder of the manifest.")
@click.option("--out", type=OUT, required=True, help="HDF5 file of the store.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the world.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="A parameter of the world (dim, noise, …).")
@click.option("--force", is_flag=True, help="Replace a store that is there.")
def features(manifest: Path, out: Path, seed: int, pairs: tuple[str, ...], force: bool) -> None:
    """Write simulated features of every video of a manifest.

    \b
    activity-bench simulate features --manifest manifest --out features.h5 --set dim=128 --set noise=8
    """
    from activity_bench.workflow.options import settings
    from activity_bench.workflow.simulate import simulate_features

    options = {"seed": seed, **settings(pairs)}
    store = simulate_features(manifest, out, options=options, force=force, progress=progress)
    say(f"{len(store.ids()):,} videos, {store.dim} numbers a row")
    click.echo(f"{store.digest}  {out}")

"""simulate: made-up annotations, and features, images and names' vectors for any manifest."""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench.cli.clips import clips
from activity_bench.cli.show import as_json, json_flag, progress, say, table

OUT = click.Path(path_type=Path)
PAIRS = click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="A parameter of the world (dim, …).")
SEED = click.option("--seed", type=int, default=0, show_default=True, help="Seed of the world.")


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
@click.option("--words", metavar="FILE", help="Word vectors: classes whose names are near are near.")
@SEED
@PAIRS
@click.option("--force", is_flag=True, help="Replace a store that is there.")
def features(manifest: Path, out: Path, words: str | None, seed: int, pairs: tuple[str, ...], force: bool) -> None:
    """Write simulated features of every video and image query of a manifest.

    \b
    activity-bench simulate features --manifest manifest --out features.h5 --set dim=128 --set noise=8
    """
    from activity_bench.workflow.options import settings
    from activity_bench.workflow.simulate import simulate_features

    options = {"seed": seed, **settings(pairs)}
    store = simulate_features(manifest, out, options=options, words=words, force=force, progress=progress)
    say(f"{len(store.ids()):,} videos, {store.dim} numbers a row")
    click.echo(f"{store.digest}  {out}")


@simulate.command()
@click.option("--manifest", type=OUT, required=True, help="Folder of the manifest.")
@click.option("--out", type=OUT, required=True, help="npz file: `names` and `vectors`.")
@SEED
@PAIRS
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def words(manifest: Path, out: Path, seed: int, pairs: tuple[str, ...], force: bool) -> None:
    """Write vectors of a manifest's class names, alike where the classes are.

    \b
    activity-bench simulate words --manifest manifest --out words.npz
    """
    from activity_bench.workflow.options import settings
    from activity_bench.workflow.simulate import simulate_words

    count = simulate_words(manifest, out, options={"seed": seed, **settings(pairs)}, force=force)
    click.echo(f"{count}\t{out}")


@simulate.command()
@SEED
@PAIRS
@json_flag
def properties(seed: int, pairs: tuple[str, ...]) -> None:
    """Measure what each knob of the world sets, as it stands and at 0, and how far all other properties move.

    \b
    activity-bench simulate properties --set dim=128
    """
    from activity_bench.workflow.options import settings
    from activity_bench.workflow.simulate import simulate_properties

    lines = simulate_properties({"seed": seed, **settings(pairs)})
    columns = ("knob", "property", "stated", "measured", "stated at 0", "measured at 0", "others move by at most")
    table("Properties (simulated world)", columns, [
        (m.knob, m.text, *(value if as_json() else f"{value:.2f}" for value in (
            m.stated, m.found, m.stated_off, m.found_off, m.others)))
        for m in lines
    ])  # fmt: skip


@simulate.command()
@click.argument("method")
@click.option("--manifest", type=OUT, required=True, help="Folder of the manifest.")
@click.option("--metric", required=True, help="The metric that is to meet the aim (top1-mAP, mIoU, …).")
@click.option("--aim", type=float, required=True, help="The published figure, as a share.")
@click.option("--parameter", default="noise", show_default=True, help="The parameter that is moved.")
@click.option("--low", type=float, required=True, help="The least value of the parameter.")
@click.option("--high", type=float, required=True, help="The greatest value of the parameter.")
@click.option("--split", default="test", show_default=True, help="The split that is answered.")
@click.option("--steps", type=click.IntRange(1, 60), default=10, show_default=True, help="How often it is halved.")
@SEED
@PAIRS
@click.option("--method-set", "given", multiple=True, metavar="KEY=VALUE", help="An option of the method.")
@json_flag
def calibrate(
    method: str, manifest: Path, metric: str, aim: float, parameter: str, low: float, high: float, split: str,
    steps: int, seed: int, pairs: tuple[str, ...], given: tuple[str, ...],
) -> None:  # fmt: skip
    """Move one parameter of the world until a method scores one published figure.

    \b
    activity-bench simulate calibrate frame-level --manifest manifest --metric mIoU --aim 0.3 --low 2 --high 9 --steps 1
    """
    from activity_bench.workflow.calibrate import calibrate as verb
    from activity_bench.workflow.options import settings

    found = verb(
        method, manifest, metric=metric, aim=aim, parameter=parameter, low=low, high=high, split=split, steps=steps,
        seed=seed, options=settings(pairs), method_options=settings(given), say=say,
    )  # fmt: skip
    names = list(found.best.metrics)
    table(f"{method} in simulated worlds", [parameter, *names], [
        (each.value if as_json() else f"{each.value:.6g}", *(each.metrics[name] for name in names))
        for each in found.tried
    ])  # fmt: skip
    say(f"{parameter} {found.best.value:.6g}: {metric} {found.best.metrics[metric]:.4f}, aimed at {aim:g}")


simulate.add_command(clips)

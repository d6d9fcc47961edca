"""run-baseline: fit a method, predict, score."""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench.cli.score import show_report
from activity_bench.cli.show import progress, say


@click.command(name="run-baseline")
@click.argument("method")
@click.option("--manifest", type=click.Path(path_type=Path), required=True, help="Folder of the manifest.")
@click.option("--split", required=True, help="Split to answer, test for one.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--features", type=click.Path(path_type=Path), help="Feature store, for a method that needs one.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the method's chance.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="An option of the method.")
@click.option("--select-on", default="val", show_default=True, help="Where a trained method looks for its best "
              "weights. test: said in the report.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a run that is there.")
def run_baseline(
    method: str, manifest: Path, split: str, out: Path, features: Path | None, seed: int, pairs: tuple[str, ...],
    select_on: str, force: bool,
) -> None:  # fmt: skip
    """Run METHOD on a split: predictions.jsonl, report.json and run.json appear in the run's folder.

    A method that is trained is fitted first, in memory; `train` keeps its weights.

    \b
    activity-bench run-baseline statistical-prior --manifest manifest --split test --out run
    activity-bench run-baseline random --manifest manifest --split test --out run --seed 1 --set draw=cuts
    """
    from activity_bench.cli.train import Bar
    from activity_bench.workflow.options import settings
    from activity_bench.workflow.run import run_method

    if select_on == "test":
        say("warning: weights selected on the test split; the report says so")
    run = run_method(
        method, manifest, split, out, features=features, seed=seed, options=settings(pairs), select_on=select_on,
        force=force, progress=progress, watch=Bar(method),
    )  # fmt: skip
    if features is not None and not run.used_features:
        say(f"{method} uses no features: {features} was not read")
    for name, value in run.fitted.items():
        say(f"fitted {name} = {value}")
    show_report(run.report)

"""run-baseline: fit a method, predict, score."""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench import catalog
from activity_bench.cli.score import show_report
from activity_bench.cli.show import json_flag, names_of, progress, say


@click.command(name="run-baseline")
@click.argument("method", shell_complete=names_of(catalog.METHODS))
@click.option("--manifest", type=click.Path(path_type=Path), required=True, help="Folder of the manifest.")
@click.option("--split", required=True, help="Split to answer, test for one.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--features", type=click.Path(path_type=Path), help="Feature store, for a method that needs one.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the method's chance.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="An option of the method.")
@click.option("--select-on", default="val", show_default=True, help="Where a trained method looks for its best "
              "weights. test: said in the report.")  # fmt: skip
@click.option("--limit", type=int, help="Ask the first N questions alone, to see whether all works: the report has no "
              "rank.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Look at everything, make the first steps and answers, and say what all "
              "of it takes.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a run that is there.")
@json_flag
def run_baseline(
    method: str, manifest: Path, split: str, out: Path, features: Path | None, seed: int, pairs: tuple[str, ...],
    select_on: str, limit: int | None, dry_run: bool, force: bool,
) -> None:  # fmt: skip
    """Run METHOD on a split: predictions.jsonl, report.json and run.json appear in the run's folder.

    A method that is trained is fitted first, in memory; `train` keeps its weights.

    \b
    activity-bench run-baseline statistical-prior --manifest manifest --split test --out run
    activity-bench run-baseline random --manifest manifest --split test --out run --seed 1 --set draw=cuts
    activity-bench run-baseline full-window --manifest manifest --split test --out run --limit 20 --dry-run
    """
    from activity_bench.cli.train import Bar, show_footprint
    from activity_bench.workflow.options import settings
    from activity_bench.workflow.run import run_method

    if select_on == "test":
        say("warning: weights selected on the test split; the report says so")
    options = settings(pairs)
    if dry_run:
        show_footprint(method, manifest, split, out, features=features, seed=seed, options=options,
                       select_on=select_on, limit=limit)  # fmt: skip
        return
    run = run_method(
        method, manifest, split, out, features=features, seed=seed, options=options, select_on=select_on,
        limit=limit, force=force, progress=progress, watch=Bar(method),
    )  # fmt: skip
    if features is not None and not run.used_features:
        say(f"{method} uses no features: {features} was not read")
    for name, value in run.fitted.items():
        say(f"fitted {name} = {value}")
    show_report(run.report)

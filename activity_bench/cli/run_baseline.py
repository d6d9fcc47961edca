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
@click.option("--force", is_flag=True, help="Replace a run that is there.")
def run_baseline(
    method: str, manifest: Path, split: str, out: Path, features: Path | None, seed: int, pairs: tuple[str, ...],
    force: bool,
) -> None:  # fmt: skip
    """Run METHOD on a split: predictions.jsonl, report.json and run.json appear in the run's folder.

    \b
    activity-bench run-baseline statistical-prior --manifest manifest --split test --out run
    activity-bench run-baseline random --manifest manifest --split test --out run --seed 1 --set draw=cuts
    """
    from activity_bench.workflow.options import settings
    from activity_bench.workflow.run import run_method

    run = run_method(
        method, manifest, split, out, features=features, seed=seed, options=settings(pairs), force=force,
        progress=progress,
    )  # fmt: skip
    if features is not None and not run.used_features:
        say(f"{method} uses no features: {features} was not read")
    for name, value in run.fitted.items():
        say(f"fitted {name} = {value}")
    if run.report is None:
        say(f"no protocol scores this kind of manifest yet; the answers are in {out / 'predictions.jsonl'}")
    else:
        show_report(run.report)

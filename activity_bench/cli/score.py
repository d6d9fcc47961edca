"""score: predictions against a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from activity_bench.cli.show import number, say, table

if TYPE_CHECKING:
    from activity_bench.workflow.score import Report


@click.command()
@click.argument("predictions", type=click.Path(path_type=Path))
@click.option("--manifest", type=click.Path(path_type=Path), required=True, help="Folder of the manifest.")
@click.option("--split", required=True, help="Split that was answered, test for one.")
@click.option("--json", "json_", type=click.Path(path_type=Path), help="Write the report here.")
@click.option("--protocol", help="Rules to score by; `activity-bench list protocols` names them.")
@click.option("--no-intervals", is_flag=True, help="Leave the 95 % intervals out.")
@click.option("--seed", type=click.IntRange(0, 2**63), default=0, show_default=True, help="Seed of the bootstrap.")
@click.option("--by-label", is_flag=True, help="Show a row a class, too.")
def score(
    predictions: Path, manifest: Path, split: str, json_: Path | None, protocol: str | None, no_intervals: bool,
    seed: int, by_label: bool,
) -> None:  # fmt: skip
    """Score PREDICTIONS (JSON lines, also .gz; - is stdin) against a split of a manifest.

    \b
    activity-bench score run/predictions.jsonl --manifest manifest --split test --json report.json
    """
    from activity_bench.workflow.score import save
    from activity_bench.workflow.score import score as verb

    report = verb(predictions, manifest, split, protocol=protocol, intervals=not no_intervals, seed=seed)
    if json_ is not None:
        save(report, json_)
    show_report(report, by_label)


def show_report(report: Report, by_label: bool = False) -> None:
    """The header that says what was asked, and the scores."""
    asked = report.manifest
    say(f"{asked.name} {asked.version}, {asked.split}, {asked.digest[:19]}…, protocol {report.protocol}: "
        f"{report.answered:,} of {report.asked:,} answered")  # fmt: skip
    for warning in report.warnings:
        say(f"warning: {warning}")
    rows = []
    for name, value in report.metrics.items():
        low, high = report.intervals.get(name, (None, None))
        parts = [number(part["metrics"][name]) for part in report.by_part.values()]
        rows.append([name, number(value), number(low), number(high), *parts])
    table(f"{asked.name}, {asked.split}", ["metric", "score", "low", "high", *report.by_part], rows)
    if by_label:
        names = list(report.metrics)
        rows = [[label, group["asked"], *(number(group["metrics"][name]) for name in names)]
                for label, group in report.by_label.items()]  # fmt: skip
        table("By class", ["class", "asked", *names], rows)

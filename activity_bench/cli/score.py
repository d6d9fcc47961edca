"""score: predictions against a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from activity_bench import catalog
from activity_bench.cli.show import STDOUT, names_of, number, say, table

if TYPE_CHECKING:
    from activity_bench.workflow.score import Report


@click.command()
@click.argument("predictions", type=click.Path(path_type=Path))
@click.option("--manifest", type=click.Path(path_type=Path), required=True, help="Folder of the manifest.")
@click.option("--split", required=True, help="Split that was answered, test for one.")
@click.option("--json", "json_", type=click.Path(path_type=Path), help="Write the report here; - is standard output.")
@click.option(
    "--protocol",
    shell_complete=names_of(catalog.PROTOCOLS),
    help="Rules to score by; `activity-bench list protocols` names them.",
)
@click.option("--ties", type=click.Choice(["stable", "official"]), help="Order of equal scores. [the protocol's]")
@click.option("--tiou", help="Thresholds of detection instead of the protocol's: 0.3,0.5 or 0.3:0.7:0.1.")
@click.option("--format", "format_", help="Format of PREDICTIONS, where the file does not show it.")
@click.option("--intervals/--no-intervals", default=None, help="95 % intervals. [moments: yes; detection: no]")
@click.option("--diagnosis", is_flag=True, help="Scores by kind of target, and kinds of false positives.")
@click.option("--seed", type=click.IntRange(0, 2**63), default=0, show_default=True, help="Seed of the bootstrap.")
@click.option("--by-label", is_flag=True, help="Show a row a class, too.")
def score(
    predictions: Path, manifest: Path, split: str, json_: Path | None, protocol: str | None, ties: str | None,
    tiou: str | None, format_: str | None, intervals: bool | None, diagnosis: bool, seed: int, by_label: bool,
) -> None:  # fmt: skip
    """Score PREDICTIONS against a split of a manifest.

    They are JSON lines, ActivityNet result JSON, moment-retrieval JSON lines, THUMOS evalkit text or CSV; plain or .gz;
    - is standard input.

    \b
    activity-bench score run/predictions.jsonl --manifest manifest --split test --json report.json
    activity-bench score result.json --manifest truth --split val --protocol activitynet --diagnosis
    """
    from activity_bench.workflow.score import score as verb

    report = verb(
        predictions, manifest, split, protocol=protocol, ties=ties, tiou=tiou, format_=format_, intervals=intervals,
        diagnosis=diagnosis, seed=seed, json=json_,
    )  # fmt: skip
    if json_ == STDOUT:
        say_report(report)
        return
    show_report(report, by_label)
    for title, groups in report.diagnosis.items():
        if title.startswith("by_"):
            show_groups(title.replace("_", " ").capitalize(), groups)
    if "false_positives" in report.diagnosis:
        show_groups(f"False positives at IoU {report.diagnosis['at']}", report.diagnosis["false_positives"]["kinds"])


def show_groups(title: str, groups: Mapping[str, Mapping[str, Any]]) -> None:
    """A row a group: what is said of it, its scores spread out."""
    flat = {name: {**group, **group.get("metrics", {})} for name, group in groups.items()}
    columns = list(dict.fromkeys(key for group in flat.values() for key in group if key != "metrics"))
    table(title, ["", *columns], [[name, *(number(group.get(key)) for key in columns)] for name, group in flat.items()])


def show_report(report: Report, by_label: bool = False) -> None:
    """The header that says what was asked, and the scores."""
    say_report(report)
    asked, rows = report.manifest, []
    for name, value in report.metrics.items():
        low, high = report.intervals.get(name, (None, None))
        rows.append([name, value, low, high, *(part["metrics"][name] for part in report.by_part.values())])
    table(f"{asked.name}, {asked.split}", ["metric", "score", "low", "high", *report.by_part], rows)
    if by_label:
        names = list(report.metrics)
        rows = [[label, group["asked"], *(group["metrics"][name] for name in names)]
                for label, group in report.by_label.items()]  # fmt: skip
        table("By class", ["class", "asked", *names], rows)


def say_report(report: Report) -> None:
    """What was asked, by which rules, and what looks wrong: to stderr."""
    asked = report.manifest
    say(f"{asked.name} {asked.version}, {asked.split}, {asked.digest[:19]}…, protocol {report.protocol}: "
        f"{report.answered:,} of {report.asked:,} answered")  # fmt: skip
    for what, count in report.counts.items():
        say(f"{count:,} x {what}")
    for warning in report.warnings:
        say(f"warning: {warning}")

"""compare: methods against a baseline, sample by sample."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from activity_bench.cli.show import STDOUT, number, say, table

if TYPE_CHECKING:
    from activity_bench.workflow.compare import Comparison


@click.command()
@click.argument("reports", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--by", help="Metric that the verdict is about. [the protocol's first]")
@click.option(
    "--json", "json_", type=click.Path(path_type=Path), help="Write the comparison here; - is standard output."
)
@click.option("--seed", type=click.IntRange(0, 2**63), default=0, show_default=True, help="Seed of draws and flips.")
def compare(reports: tuple[Path, ...], by: str | None, json_: Path | None, seed: int) -> None:
    """Compare REPORTS (files, or folders of runs) with the first of them: paired tests, by video.

    \b
    activity-bench compare run-a run-b
    activity-bench compare run-a/report.json run-b/report.json --by mIoU --json comparison.json
    """
    from activity_bench.workflow.compare import compare as verb

    found = verb(reports, by=by, seed=seed, json=json_)
    show_comparison(found, drawn=json_ != STDOUT)
    if json_ not in (None, STDOUT):
        say(f"written to {json_}")


def show_comparison(found: Comparison, drawn: bool = True) -> None:
    """Every metric of every method in a table, unless it is not wanted, and a verdict on the one to rank by."""
    say(f"{found.manifest}, {found.split}, {found.digest[:19]}…, protocol {found.protocol}: {found.asked:,} samples; "
        f"p from {found.test}")  # fmt: skip
    rows = [
        [versus.method, metric, *(number(value) for value in (one.baseline, one.score)), f"{one.difference:+.4f}",
         f"{one.low:+.4f}", f"{one.high:+.4f}", number(one.p), number(versus.holm[metric]), number(one.smallest)]
        for versus in found.methods
        for metric, one in versus.differences.items()
    ]  # fmt: skip
    columns = ["method", "metric", "baseline", "score", "difference", "low", "high", "p", "p (Holm)", "can show"]
    if drawn:
        table(f"Against {found.baseline}", columns, rows)
    for versus in found.methods:
        one, p = versus.differences[found.by], versus.holm[found.by]
        said = "is better than" if one.difference > 0 else "is worse than"
        verdict = f"{said} {found.baseline}" if p < 0.05 else f"cannot be told from {found.baseline} by this set"
        say(f"{versus.method} {verdict}: {found.by} {one.difference:+.4f}, p {number(p)}; "
            f"a difference of {number(one.smallest)} would show in 80 % of such sets")  # fmt: skip

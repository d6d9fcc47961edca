"""reproduce: the papers' tables, listed and run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from activity_bench.cli.show import as_json, json_flag, progress, say, table


class Runs(click.Group):
    """What is no name of a command here is a plan or a paper: it is run."""

    def resolve_command(self, context: click.Context, args: list[str]) -> Any:
        """`reproduce relocalization` is `reproduce run relocalization`."""
        known = args[0] in self.commands
        return super().resolve_command(context, args if known else ["run", *args])


@click.group(cls=Runs, context_settings={"ignore_unknown_options": True})
def reproduce() -> None:
    """Every table of the four papers: what is measured, and runs of ours beside their figures.

    \b
    activity-bench reproduce list
    activity-bench reproduce relocalization --out again --size tiny --only random --only frame-level
    """


@reproduce.command(name="list")
@click.argument("paper", required=False)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of a reproduction, whose scores are shown.")
@json_flag
def list_(paper: str | None, out: Path | None) -> None:
    """Every table and figure of PAPER, or of all four, with what stands behind each number; --json has each number.

    \b
    activity-bench reproduce list eccv2018
    activity-bench reproduce list --json
    """
    from activity_bench.workflow.papers import numbers, real, rows_of

    found = numbers(paper, out)
    if as_json():
        columns = list(found[0]._asdict())
        table("numbers", columns, [list(one) for one in found])
        return
    table("What the papers print", *rows_of(found))
    for line in real(found):
        say(line)
    say("`activity-bench where` says what to get and where to put it")


@reproduce.command()
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the runs; a killed job goes on.")
@click.option("--size", default="small", show_default=True, help="tiny, small or paper.")
@click.option(
    "--annotations",
    multiple=True,
    metavar="[TARGET=]PATH",
    help="A file or folder; with its target, where the plan has several. [the embedded corpus]",
)
@click.option(
    "--features",
    multiple=True,
    metavar="[TARGET=]PATH",
    help="Features of these annotations' videos, in a folder of their own. [simulated ones]",
)
@click.option("--frame-counts", type=click.Path(path_type=Path), help="The released length.json.")
@click.option("--class-order", type=click.Path(path_type=Path), help="The released perm.npy.")
@click.option("--source", type=click.Path(path_type=Path), help="Trimmed clips to train on (Kinetics CSV).")
@click.option("--words", metavar="FILE", help="Word vectors of class names. [simulated ones]")
@click.option("--table", "of_table", metavar="N", help="The cells of this table alone: 2, or 'Figure 5'.")
@click.option("--only", multiple=True, metavar="CELL", help="These cells alone.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="An option of every method that is trained.")
@click.option("--seed", type=int, default=0, show_default=True, help="The first seed.")
@json_flag
def run(
    name: str, out: Path, size: str, annotations: tuple[str, ...], features: tuple[str, ...],
    frame_counts: Path | None, class_order: Path | None, source: Path | None, words: str | None,
    of_table: str | None, only: tuple[str, ...], pairs: tuple[str, ...], seed: int,
) -> None:  # fmt: skip
    """Run the cells of a plan (activity-ibal, relocalization, what2when) or of a paper, on simulated features or your
    own, and set the papers' figures beside them. The word `run` may be left out.

    \b
    activity-bench reproduce run relocalization --out again --size tiny --only random --only frame-level
    activity-bench reproduce eccv2018 --out again --size tiny --table 1 --only random
    """
    from activity_bench.cli.train import Bar
    from activity_bench.workflow.options import settings
    from activity_bench.workflow.reproduce import reproduce as verb
    from activity_bench.workflow.results import orderings_table
    from activity_bench.workflow.results import table as rows_of

    tables = {"frame_counts": frame_counts, "class_order": class_order, "source": source}
    found = verb(
        name, out, size=size, annotations=annotations, features=features,
        tables={k: v for k, v in tables.items() if v is not None}, words=words, table=of_table, only=only,
        options=settings(pairs), seed=seed, say=say, progress=progress, watch=Bar(name),
    )  # fmt: skip
    say(found.note)
    table(f"{found.plan.benchmark}, {found.source} features", *rows_of(found))
    if found.orderings:
        table("What the papers say of them", *orderings_table(found))
    say(f"written to {out / 'results.csv'} and {out / 'results.md'}")

"""reproduce: the papers' tables, run again."""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench.cli.show import number, progress, say, table


@click.command()
@click.argument("plan")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the runs; a killed job goes on.")
@click.option("--size", default="small", show_default=True, help="tiny, small or paper.")
@click.option(
    "--annotations",
    multiple=True,
    metavar="[TARGET=]PATH",
    help="A file or folder; with its target, where the plan has several. [the embedded corpus]",
)
@click.option("--frame-counts", type=click.Path(path_type=Path), help="The released length.json.")
@click.option("--class-order", type=click.Path(path_type=Path), help="The released perm.npy.")
@click.option("--source", type=click.Path(path_type=Path), help="Trimmed clips to train on (Kinetics CSV).")
@click.option("--words", metavar="FILE", help="Word vectors of class names. [simulated ones]")
@click.option("--only", multiple=True, metavar="CELL", help="These cells alone.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="An option of every method that is trained.")
@click.option("--seed", type=int, default=0, show_default=True, help="The first seed.")
def reproduce(
    plan: str, out: Path, size: str, annotations: tuple[str, ...], frame_counts: Path | None,
    class_order: Path | None, source: Path | None, words: str | None, only: tuple[str, ...],
    pairs: tuple[str, ...], seed: int,
) -> None:  # fmt: skip
    """Run the cells of PLAN (activity-ibal, relocalization, what2when) on simulated features, and set the papers'
    figures beside them.

    \b
    activity-bench reproduce relocalization --out again --size tiny --only random --only frame-level
    """
    from activity_bench.cli.train import Bar
    from activity_bench.workflow.options import settings
    from activity_bench.workflow.reproduce import NOTE
    from activity_bench.workflow.reproduce import reproduce as verb
    from activity_bench.workflow.reproduce import table as rows_of

    tables = {"frame_counts": frame_counts, "class_order": class_order, "source": source}
    found = verb(
        plan, out, size=size, annotations=annotations, tables={k: v for k, v in tables.items() if v is not None},
        words=words, only=only, options=settings(pairs), seed=seed, say=say, progress=progress,
        watch=Bar(plan),
    )  # fmt: skip
    say(NOTE)
    table(f"{plan}, simulated", *rows_of(found))
    if found.orderings:
        rows = [[f"{o.worse} < {o.better}", f"{o.difference:+.4f}", number(o.p), o.verdict] for o in found.orderings]
        table("What the papers say of them", ["ordering", "difference", "p", "here"], rows)
    say(f"written to {out / 'results.csv'} and {out / 'results.md'}")

"""report: runs as one page: leaderboard, plots, every sample's timeline."""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench.cli.show import progress, say


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File of the page.")
@click.option("--manifest", type=click.Path(path_type=Path), help="Its folder. [the one with their digest near RUNS]")
@click.option("--by", help="Metric to rank by. [the report's first]")
@click.option(
    "--attention", multiple=True, type=click.Path(path_type=Path), help="Maps that predict --attention wrote."
)
@click.option("--videos", type=click.Path(path_type=Path), help="Folder of videos: film for the worst samples.")
@click.option("--url-template", metavar="URL", help="Where videos are: https://…{video}…{start}. [YouTube, by its ids]")
@click.option("--published/--no-published", default=True, show_default=True, help="Show the papers' rows, too.")
def report(
    runs: tuple[Path, ...], out: Path, manifest: Path | None, by: str | None, attention: tuple[Path, ...],
    videos: Path | None, url_template: str | None, published: bool,
) -> None:  # fmt: skip
    """Show RUNS (folders, or reports beside their predictions) of one split and protocol in one HTML file.

    \b
    activity-bench report run-a run-b --out report.html
    activity-bench report run run-b --manifest manifest --by IoU@0.5 --out report.html
    """
    from activity_bench.workflow.report import report as verb

    made = verb(
        runs, out, manifest=manifest, by=by, attention=attention, videos=videos, url_template=url_template,
        published=published, progress=progress,
    )  # fmt: skip
    for note in made.notes:
        say(f"note: {note}")
    say(f"{made.file}: {made.samples:,} samples, {made.bytes / 1e6:,.1f} MB")

"""pack: one file of the features that are done, though the job did not end."""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench.cli.show import say


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def pack(file: Path) -> None:
    """Make FILE of FILE.parts/, whatever of them is there, and of what FILE holds already.

    The job can be started again afterwards, with the words it was started with: it adds what is missing. The same
    features give the same bytes, however they came.

    \b
    activity-bench pack FEATURES.h5
    """
    from activity_bench.workflow.verify import pack_features

    store = pack_features(file)
    say(f"{len(store.ids()):,} videos, {sum(store.rows(video) for video in store.ids()):,} rows of {store.dim}")
    click.echo(f"{store.digest}  {file}")

"""validate: is this file what it says?"""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench.cli.show import out


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--manifest", type=click.Path(path_type=Path), help="Manifest that predictions answer.")
@click.option("--split", help="Split that predictions answer.")
def validate(path: Path, manifest: Path | None, split: str | None) -> None:
    """Check a manifest folder, a feature store, or predictions against a manifest, without scoring.

    \b
    activity-bench validate manifest
    activity-bench validate features.h5
    activity-bench validate run/predictions.jsonl --manifest manifest --split test
    """
    from activity_bench.workflow.validate import validate as verb

    for line in verb(path, manifest, split):
        out(line)

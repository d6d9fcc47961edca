"""validate: is this file what it says?"""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench.cli.show import out


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--manifest", type=click.Path(path_type=Path), help="Manifest that predictions answer.")
@click.option("--split", help="Split that predictions answer.")
@click.option("--format", "format_", help="Format of the predictions, where the content does not tell: ours, "
              "activitynet, qvhighlights, thumos or csv.")  # fmt: skip
@click.option("--protocol", help="Allow a foreign file what these rules allow it, as `score` does. [nothing]")
def validate(
    path: Path, manifest: Path | None, split: str | None, format_: str | None, protocol: str | None
) -> None:  # fmt: skip
    """Check a manifest folder, a feature store, or predictions against a manifest, without scoring.

    Every fault of predictions is counted by kind, and the first ten are located.

    \b
    activity-bench validate manifest
    activity-bench validate features.h5
    activity-bench validate run/predictions.jsonl --manifest manifest --split test
    activity-bench validate result.json --manifest truth --split val --protocol activitynet
    """
    from activity_bench.workflow.validate import FaultyError
    from activity_bench.workflow.validate import validate as verb

    try:
        lines = verb(path, manifest, split, format_=format_, protocol=protocol)
    except FaultyError as error:
        for line in error.lines():
            out(line)
        raise
    for line in lines:
        out(line)

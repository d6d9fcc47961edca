"""verify: are these files what was written?"""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench.cli.show import out, progress


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
def verify(path: Path) -> None:
    """Compare a feature store, a manifest or a run with the sums that were noted when it was written.

    A line for what is sound, a line for each fault, by name; the exit code is 2 where there is a fault. Predictions are
    `validate`'s.

    \b
    activity-bench verify features.h5
    activity-bench verify manifest
    activity-bench verify run
    """
    from activity_bench.errors import InputError
    from activity_bench.workflow.verify import verify as verb

    found = verb(path, progress=progress)
    for line in found.sound:
        out(line)
    for line in found.faults:
        out(f"fault: {line}")
    if found.faults:
        raise InputError(f"{len(found.faults):,} faults", file=path)

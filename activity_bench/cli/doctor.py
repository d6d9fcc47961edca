"""doctor: what is installed here."""

from __future__ import annotations

import click

from activity_bench.cli.show import table


@click.command()
def doctor() -> None:
    """Versions, and which optional parts are present or how to install them.

    \b
    activity-bench doctor
    """
    from activity_bench.workflow.doctor import doctor as verb

    table("Doctor", ["part", "version", "needed for", "remedy"], [list(row) for row in verb()])

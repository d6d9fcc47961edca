"""doctor: what is installed here, and which commands work with it."""

from __future__ import annotations

import click

from activity_bench.cli.show import json_flag, table


@click.command()
@json_flag
def doctor() -> None:
    """Versions, the machine, and which commands work now or what to install for them. It always ends well.

    \b
    activity-bench doctor
    """
    from activity_bench.workflow.doctor import doctor as verb

    found = verb()
    table("Doctor", ["part", "version", "needed for", "remedy"], [list(row) for row in found.parts])
    table("Machine", ["what", "found", "remedy"], [list(row) for row in found.machine])
    table("Commands", ["command", "works", "needs", "remedy"], [
        [row.command, "yes" if row.works else "no", row.needs, row.remedy] for row in found.commands
    ])  # fmt: skip

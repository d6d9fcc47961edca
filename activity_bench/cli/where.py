"""where: what data to get, from whom, on which terms, and where to put it."""

from __future__ import annotations

from pathlib import Path

import click

from activity_bench.cli.show import as_json, json_flag, say, table


@click.command()
@click.argument("name", required=False)
@click.option(
    "--folder", "folders", multiple=True, type=click.Path(path_type=Path), envvar="ACTIVITY_BENCH_DATA",
    help="Where files are looked for, in depth.  [default: ACTIVITY_BENCH_DATA, or this folder]",
)  # fmt: skip
@json_flag
def where(name: str | None, folders: tuple[Path, ...]) -> None:
    """What each benchmark is made from, and whether it is on this machine. Nothing is downloaded.

    \b
    activity-bench where
    activity-bench where kinetics-400 --folder .
    """
    from activity_bench.workflow.where import where as verb

    folders = folders or (Path(),)
    found = verb(name, folders)
    if as_json():
        columns = ["name", "title", "page", "licence", "put", "note", "file", "state", "path"]
        table("files", columns, [
            [one.name, one.title, one.page, one.licence, one.put, one.note, file.name, file.state, file.path]
            for one in found for file in one.files
        ])  # fmt: skip
        return
    if name is None:
        table("Where", ["name", "what", "here", "from", "terms"], [
            [one.name, one.title, one.here, one.page, one.licence] for one in found
        ])  # fmt: skip
    for one in found if name else ():
        rows = [
            ["get", one.title],
            ["from", one.page],
            ["terms", one.licence],
            ["note", one.note],
            ["give to", one.put],
        ]
        rows += [[file.name, f"{file.state}: {file.path}" if file.path else file.state] for file in one.files]
        table(one.name, ["", "what"], [row for row in rows if row[1]])
    say(f"looked for in {', '.join(map(str, folders))}; nothing is downloaded")

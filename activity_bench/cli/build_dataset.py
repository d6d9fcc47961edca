"""build-dataset: annotations -> a manifest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from activity_bench import catalog
from activity_bench.cli.show import say
from activity_bench.errors import unknown

KINDS: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool}


class Builders(click.Group):
    """One command a builder; its own options come from the builder's Options."""

    def list_commands(self, context: click.Context) -> list[str]:
        """The names of the benchmarks."""
        return sorted(catalog.BUILDERS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The builder's command, made when it is asked for."""
        return _command(name) if name in catalog.BUILDERS else None

    def resolve_command(self, context: click.Context, args: list[str]) -> Any:
        """With a near miss for a name that is none."""
        if args and args[0] not in catalog.BUILDERS and not args[0].startswith("-"):
            raise unknown("benchmark", args[0], catalog.BUILDERS)
        return super().resolve_command(context, args)


@click.group(cls=Builders, name="build-dataset")
def build_dataset() -> None:
    """Build a benchmark's manifest from annotation files.

    \b
    activity-bench build-dataset relocalization --annotations activitynet.json --out manifest
    """


def _command(name: str) -> click.Command:
    builder = catalog.load("benchmark", catalog.BUILDERS, name)
    own = fields(builder.options_class)

    def run(annotations: tuple[Path, ...], out: Path, protocol: str | None, force: bool, **given: Any) -> None:
        from activity_bench.workflow.build import build_dataset as verb

        chosen = {key: value for key, value in given.items() if value is not None}
        made = verb(name, annotations, out, protocol=protocol, options=chosen, force=force)
        for split, info in made.splits.items():
            say(f"{split:>6}: {info.samples:,} samples, {info.videos:,} videos, {info.classes:,} classes")
        drops = made.provenance["drops"]
        say(f"{drops['kept']:,} of {drops['seen']:,} {drops['unit']}s kept; the rest is accounted for in DATASHEET.md")
        click.echo(f"{made.digest}  {out}")

    decorators: list[Callable[..., Any]] = [
        click.option("--annotations", type=click.Path(path_type=Path), multiple=True, required=True,
                     help="Annotation file; may be given several times."),
        click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the manifest."),
        click.option("--protocol", help=f"One of: {', '.join(builder.protocols)}. [{builder.protocols[0]}]"),
        click.option("--force", is_flag=True, help="Replace a manifest that is there."),
        *(
            click.option(f"--{option.name.replace('_', '-')}", option.name, type=KINDS[str(option.type)],
                         help=f"{option.metadata['help'][:1].upper()}{option.metadata['help'][1:]}. [{option.default}]")
            for option in own
        ),
    ]  # fmt: skip
    command: Any = run
    for decorate in reversed(decorators):
        command = decorate(command)
    help_ = f"""Build the {name} manifest ({builder.paper["title"]}).

    \b
    activity-bench build-dataset {name} --annotations activitynet.json --out manifest
    """
    return click.command(name=name, help=help_)(command)

"""build-dataset: annotations -> a manifest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click

from activity_bench import catalog
from activity_bench.cli.show import say
from activity_bench.errors import unknown


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

    def run(
        annotations: tuple[Path, ...], out: Path, protocol: str | None, format_: str | None, available: Path | None,
        limit: int | None, dry_run: bool, force: bool, **given: Any,
    ) -> None:  # fmt: skip
        from activity_bench.workflow.build import build_dataset as verb
        from activity_bench.workflow.build import rehearse
        from activity_bench.workflow.inspect import standing

        said = {key: value for key, value in given.items() if value is not None}
        tables = {key: said.pop(key) for key in builder.tables if key in said}
        more: dict[str, Any] = {"protocol": protocol, "format_": format_, "options": said, "tables": tables}
        more |= {"available": available, "limit": limit}
        made, size = (
            rehearse(name, annotations, **more) if dry_run else (verb(name, annotations, out, force=force, **more), 0)
        )
        _tell(made)
        say(standing(made))
        if dry_run:
            say(f"nothing was written: {out} would hold {size:,} bytes")
        click.echo(f"{made.digest}  {out}")

    path, hints = click.Path(path_type=Path), get_type_hints(builder.options_class)
    protocols = ", ".join([*builder.protocols, *builder.aliases])
    decorators: list[Callable[..., Any]] = [
        click.option("--annotations", type=path, multiple=True, required=True,
                     help="Annotation file or folder; may be given several times."),
        click.option("--format", "format_", help="Format of the annotations, where they do not show it."),
        click.option("--out", type=path, required=True, help="Folder of the manifest."),
        click.option("--protocol", help=f"One of: {protocols}. [{builder.protocols[0]}]"),
        click.option("--available", type=path, help="Videos at hand: a folder, a feature store, or an id a line."),
        click.option("--limit", type=int, help="The first N samples of each split alone: a partial manifest."),
        click.option("--dry-run", is_flag=True, help="Say what would be built, and its bytes."),
        click.option("--force", is_flag=True, help="Replace a manifest that is there."),
        *(click.option(_flag(table), table, type=path, help=_sentence(text)) for table, text in builder.tables.items()),
        *(_option(option, hints[option.name]) for option in fields(builder.options_class)),
    ]  # fmt: skip
    command: Any = run
    for decorate in reversed(decorators):
        command = decorate(command)
    help_ = f"""Build the {name} manifest ({builder.paper["title"]}).

    \b
    activity-bench build-dataset {name} {getattr(builder, "example", "--annotations activitynet.json")} --out manifest
    """
    return click.command(name=name, help=help_)(command)


def _tell(made: Any) -> None:
    """What is in a manifest, and what is not."""
    for split, info in made.splits.items():
        say(f"{split:>6}: {info.samples:,} samples, {info.videos:,} videos, {info.classes:,} classes")
    for split, covered in made.provenance.get("coverage", {}).items():
        say(f"{split:>6}: {covered['have']:,} of {covered['samples']:,} samples can be asked; "
            f"{covered['missing videos']:,} videos are missing")  # fmt: skip
    if made.partial:
        say("partial: its scores are not ranked beside those of the whole manifest")
    drops = made.provenance["drops"]
    say(f"{drops['kept']:,} of {drops['seen']:,} {drops['unit']}s kept; the rest is accounted for in DATASHEET.md")


def _option(option: Field[Any], kind: Any) -> Callable[..., Any]:
    """A builder's option as the command line spells it: a flag, a choice, or a value of its type."""
    default = "" if option.default == "" else f" [{option.default}]"
    text = _sentence(option.metadata["help"]) + default
    if kind is bool:
        return click.option(_flag(option.name), option.name, is_flag=True, default=None, help=text)
    choices = get_args(kind) if get_origin(kind) is Literal else None
    return click.option(_flag(option.name), option.name, type=click.Choice(choices) if choices else kind, help=text)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."

"""train: fit a model into a folder that a killed run goes on from."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from activity_bench import catalog
from activity_bench.cli.show import json_flag, names_of, say, table

if TYPE_CHECKING:
    from activity_bench.workflow.train import Progress

MINUTE = 60.0


@click.command()
@click.argument("model", shell_complete=names_of(catalog.METHODS))
@click.option("--manifest", type=click.Path(path_type=Path), required=True, help="Folder of the manifest.")
@click.option("--features", type=click.Path(path_type=Path), required=True, help="Feature store.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the weights, pairs and dropout.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="An option of the model or of the engine.")
@click.option("--config", type=click.Path(path_type=Path), help="More of them, in a file of key = value (TOML).")
@click.option("--runs", type=int, default=1, show_default=True, help="How many seeds, each in OUT/seed-N.")
@click.option("--device", help="auto, cpu, cuda, cuda:1 or mps: --set device=.")
@click.option("--precision", help="float32 or bf16: --set precision=.")
@click.option("--compile", "compiled", is_flag=True, help="Compile the network: --set compile=true.")
@click.option("--select-on", default="val", show_default=True, help="Where the best weights are looked for. test: said "
              "in every report, since such a score is not comparable.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Look at everything, make the first steps, and say what all "
              "of it takes.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with the run that is in the folder.")
@click.option("--force", is_flag=True, help="Replace a run that is there.")
@json_flag
def train(
    model: str, manifest: Path, features: Path, out: Path, seed: int, pairs: tuple[str, ...], config: Path | None,
    runs: int, device: str | None, precision: str | None, compiled: bool, select_on: str, dry_run: bool, resume: bool,
    force: bool,
) -> None:  # fmt: skip
    """Train MODEL on the training split and keep the weights that are best on val.

    \b
    activity-bench train cgbm --manifest manifest --features features.h5 --out trained-cgbm --set steps=3 --set batch=8
    torchrun --nproc-per-node 4 -m activity_bench train cgbm …     the same run on four GPUs
    """
    import statistics

    from activity_bench.workflow.options import settings
    from activity_bench.workflow.train import configured, train_several
    from activity_bench.workflow.train import train as verb

    flags = {"device": device, "precision": precision, "compile": compiled or None}
    options = configured(config) if config else {}
    options |= settings(pairs) | {name: value for name, value in flags.items() if value is not None}
    more: dict[str, Any] = {"features": features, "seed": seed, "options": options, "select_on": select_on,
                            "resume": resume, "force": force, "watch": Bar(model)}  # fmt: skip
    if dry_run:
        show_footprint(model, manifest, None, out, features=features, seed=seed, options=options, select_on=select_on)
        return
    if select_on == "test":
        say("warning: weights selected on the test split; every report of them says so")
    done = [verb(model, manifest, out, **more)] if runs == 1 else train_several(runs, model, manifest, out, **more)
    if not done[0].writes:
        return  # another process talks
    rows = [[str(t.folder), t.seed, *(t.fitted[key] for key in ("steps", "selected_step", "val_mIoU", "seconds"))]
            for t in done]  # fmt: skip
    table(f"{model}, trained", ["run", "seed", "steps", "selected", "val mIoU", "seconds"], rows)
    found = [t.fitted["val_mIoU"] for t in done if t.fitted["val_mIoU"] is not None]
    if len(found) > 1:
        say(f"val mIoU over {len(found)} seeds: {statistics.mean(found):.4f}, sd {statistics.stdev(found):.4f}")


def show_footprint(name: str, manifest: Path, split: str | None, out: Path, **more: Any) -> None:
    """What a run will take: a row a kind of work."""
    from activity_bench.workflow.footprint import footprint

    found = footprint(name, manifest, split, out, **more)
    for note in found.notes:
        say(note)
    rows = [[cost.what, cost.count, cost.seconds, cost.disk] for cost in found.costs]
    whole = ["all", None, sum(cost.seconds for cost in found.costs), sum(cost.disk for cost in found.costs)]
    table(f"{name}, not run", ["work", "count", "seconds", "bytes"], [*rows, whole])
    held = f"; this process has held {found.memory / 2**20:,.0f} MB at most" if found.memory else ""
    say(f"nothing was written: {found.free / 2**30:,.1f} GB are free where {out} would be{held}")
    if out.exists():
        say(f"warning: {out} exists")


class Bar:
    """How far a training is: a bar on a terminal, one line a minute elsewhere."""

    def __init__(self, model: str) -> None:
        self.model, self.said = model, time.monotonic()
        self.bar: Any = None

    def note(self, text: str) -> None:
        """What is said before the first step."""
        say(text)

    def step(self, progress: Progress) -> None:
        """After each step."""
        if sys.stderr.isatty():
            self._draw(progress)
        elif time.monotonic() - self.said >= MINUTE:
            self.said = time.monotonic()
            say(f"{self.model}: step {progress.step:,} of {progress.steps:,}, {described(progress)}, "
                f"{progress.eta / 60:.0f} min to go")  # fmt: skip

    def _draw(self, progress: Progress) -> None:
        if self.bar is None:
            from rich import progress as rich
            from rich.console import Console

            columns = ("{task.description}", rich.BarColumn(), rich.MofNCompleteColumn(), rich.TimeRemainingColumn())
            self.bar = rich.Progress(*columns, console=Console(stderr=True), transient=True)
            self.task = self.bar.add_task(self.model, total=progress.steps, completed=progress.step - 1)
            self.bar.start()
        self.bar.update(self.task, completed=progress.step, description=f"{self.model}  {described(progress)}")

    def end(self) -> None:
        """Take the bar away, however the training ended."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def described(progress: Progress) -> str:
    """Loss, validation, speed."""
    validation = "" if progress.validation is None else f"val mIoU {progress.validation:.4f}, "
    return f"loss {progress.loss:.4f}, {validation}{progress.rate:,.0f} samples/s"

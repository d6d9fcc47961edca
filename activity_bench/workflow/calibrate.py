"""simulate calibrate: one parameter of the world moved until one method's score is one published figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import isfinite, sqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from activity_bench.data import predictions as predicted
from activity_bench.errors import InputError, unknown
from activity_bench.simulation.parameters import WorldOptions
from activity_bench.workflow import options as option_table
from activity_bench.workflow import run as runs
from activity_bench.workflow.options import check_seed
from activity_bench.workflow.score import score
from activity_bench.workflow.simulate import world_of

Said = Callable[[str], None]


@dataclass(frozen=True)
class Tried:
    """One value of the parameter, and what the method scored in that world."""

    value: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Calibration:
    """What came out: the value nearest to the aim, and all that were tried, in order."""

    parameter: str
    metric: str
    aim: float
    best: Tried
    tried: tuple[Tried, ...]


def calibrate(
    method: str,
    manifest: Path | str,
    *,
    metric: str,
    aim: float,
    parameter: str = "noise",
    low: float,
    high: float,
    split: str = "test",
    steps: int = 10,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    method_options: Mapping[str, Any] | None = None,
    say: Said = lambda text: None,
) -> Calibration:
    """Halve [low, high] `steps` times around the value at which the method's metric is `aim`.

    The score must lie on different sides of the aim at the two ends; it may rise or fall between them. A method that
    learns is fitted anew in every world.

    >>> calibrate("frame-level", "manifest", metric="top1-mAP", aim=0.099, low=1, high=30).best.value
    """
    check_seed(seed)
    _check(aim, parameter, low, high, steps)
    given = {"seed": seed, **(options or {})}
    tried: list[Tried] = []

    def world(value: float) -> WorldOptions:
        return option_table.make(WorldOptions, {**given, parameter: value}, "simulate calibrate")

    world(high)  # both ends are looked at before any work

    def attempt(value: float) -> float:
        metrics = scored(method, manifest, split, world(value), seed, method_options)
        if metric not in metrics:
            raise unknown("metric", metric, metrics)
        tried.append(Tried(value, metrics))
        say(f"{parameter} {value:.6g}: {metric} {metrics[metric]:.4f}")
        return metrics[metric] - aim

    ends = [(low, attempt(low)), (high, attempt(high))]
    if ends[0][1] * ends[1][1] > 0:
        raise InputError("the aim lies outside of what this range gives", field="aim", found=aim,
                         expected=" to ".join(f"{each.metrics[metric]:.4f}" for each in tried))  # fmt: skip
    for _ in range(steps):
        (left, at_left), (right, _) = ends
        middle = sqrt(left * right) if left > 0 else (left + right) / 2
        here = attempt(middle)
        ends = [(middle, here), ends[1]] if at_left * here > 0 else [ends[0], (middle, here)]
    best = min(tried, key=lambda each: abs(each.metrics[metric] - aim))
    return Calibration(parameter, metric, aim, best, tuple(tried))


def _check(aim: float, parameter: str, low: float, high: float, steps: int) -> None:
    if not 0 <= low < high or steps < 1:
        raise InputError("no range to search", field="low, high, steps", found=[low, high, steps],
                         expected="0 <= low < high, at least 1 step")  # fmt: skip
    numbers = [name for name, value in asdict(WorldOptions()).items() if isinstance(value, float)]
    if parameter not in numbers:
        raise unknown("parameter", parameter, numbers)
    if not isfinite(aim):
        raise InputError("not a finite number", field="aim", found=aim)


def scored(
    method: str, manifest: Path | str, split: str, world: WorldOptions, seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> dict[str, float]:  # fmt: skip
    """The metrics of a method on a split, in a world that is made on the fly; fitted first, where it learns."""
    method_class = runs.load_method(method)
    chosen, training = runs.choose(method_class, options or {}, method)
    asked = runs.open_manifest(manifest, method, method_class)
    asked.path(split)  # a wrong split is named before any work
    answering = runs.made(method_class, chosen, seed, world_of(asked, world), training, asked)
    answering.fit(runs.learnable(asked, "train"), runs.learnable(asked, "val"))
    with TemporaryDirectory() as folder:
        path = Path(folder, "predictions.jsonl")
        with path.open("wb") as stream:
            questions = runs.shown(asked.samples(split), method_class.sees_answers)
            predicted.write(stream, answering.predict(questions), {"manifest": {"digest": asked.digest}})
        return dict(score(path, asked.folder, split, intervals=False).metrics)

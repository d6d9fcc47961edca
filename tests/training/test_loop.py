"""The loop: it learns, stops when told, keeps what is best, and goes on to the same bits."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from activity_bench.errors import WorkError
from activity_bench.training.checkpoint import Folder
from activity_bench.training.loop import rate
from activity_bench.training.options import TrainOptions
from activity_bench.training.watch import Progress, Silent
from tests.training import made, toy
from tests.training.conftest import Benchmark

TRAIN, VAL, TEST = (made.samples(split) for split in ("train", "val", "test"))
OPTIONS = TrainOptions(batch=8, steps=120, lr=0.03, validate_every=20, workers=0, bucket=8)


def method(benchmark: Benchmark, kind: type = toy.Method, seed: int = 0, **changes: Any) -> Any:
    return kind(toy.Options(), seed, benchmark.features, replace(OPTIONS, **changes))


def weights(trained: Any) -> Mapping[str, Tensor]:
    found: Mapping[str, Tensor] = trained.trained.state_dict()
    return found


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as stream:
        return list(csv.DictReader(stream))


def mean_iou(trained: Any) -> float:
    total = 0.0
    for sample, answer in zip(TEST, trained.predict(s.question() for s in TEST), strict=True):
        (start, end, _), target = answer.segments[0], sample.targets[0]
        inter = max(0.0, min(end, target.end) - max(start, target.start))
        total += inter / (end - start + target.end - target.start - inter)
    return total / len(TEST)


@pytest.mark.quick
def test_it_learns(benchmark: Benchmark) -> None:
    trained = method(benchmark)
    fitted = trained.fit(TRAIN, VAL)
    assert fitted["val_mIoU"] > 0.8 and fitted["steps"] == 120
    assert mean_iou(trained) > 0.8
    untrained = method(benchmark, steps=0)
    untrained.fit(TRAIN, VAL)
    assert mean_iou(untrained) < 0.5


@pytest.mark.quick
def test_the_seed_is_the_run_and_nothing_else_is(benchmark: Benchmark) -> None:
    runs = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(runs))  # the caller's chance is not ours, nor ours the caller's
        before = torch.get_rng_state()
        trained = method(benchmark, seed=seed, steps=5)
        trained.fit(TRAIN, VAL)
        assert torch.equal(torch.get_rng_state(), before)
        runs.append(weights(trained))
    assert same(runs[0], runs[1]) and not same(runs[0], runs[2])


@pytest.mark.quick
@pytest.mark.parametrize("changes", [{}, {"ema": 0.9}, {"schedule": "drop", "drop_every": 7, "warmup": 3}])
def test_a_run_goes_on_to_the_same_bits(benchmark: Benchmark, tmp_path: Path, changes: dict[str, Any]) -> None:
    whole = method(benchmark, steps=45, **changes)
    whole.fit(TRAIN, VAL, Folder(tmp_path / "whole"))
    for steps in (20, 45):
        part = method(benchmark, steps=steps, **changes)
        part.fit(TRAIN, VAL, Folder(tmp_path / "parts"))
    for name in ("last", "best"):
        file = f"{name}.safetensors"
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "parts" / file).read_bytes()
    assert same(weights(whole), weights(part))
    kept = ("step", "loss", "gradient", "lr", "val_mIoU")
    columns = [[[row[name] for name in kept] for row in rows(tmp_path / folder)] for folder in ("whole", "parts")]
    assert columns[0] == columns[1]


@pytest.mark.quick
def test_the_best_validation_is_kept_and_the_last_is_there_too(benchmark: Benchmark, tmp_path: Path) -> None:
    trained = method(benchmark, steps=100, lr=0.1, validate_every=10)
    fitted = trained.fit(TRAIN, VAL, Folder(tmp_path))
    found = {int(row["step"]): float(row["val_mIoU"]) for row in rows(tmp_path) if row["val_mIoU"]}
    assert sorted(found) == list(range(10, 101, 10))
    assert fitted["val_mIoU"] == max(found.values())
    assert fitted["selected_step"] == min(step for step, value in found.items() if value == max(found.values()))
    again = method(benchmark)
    again.load(tmp_path / "best.safetensors")
    assert same(weights(again), weights(trained))


@pytest.mark.quick
def test_it_stops_when_it_gets_no_better(benchmark: Benchmark, tmp_path: Path) -> None:
    hopeless = {"lr": 1e-12, "steps": 1000, "validate_every": 2, "patience": 3}
    fitted = method(benchmark, **hopeless).fit(TRAIN, VAL, Folder(tmp_path))
    assert (fitted["steps"], fitted["selected_step"]) == (8, 2)
    assert method(benchmark, **hopeless).fit(TRAIN, VAL, Folder(tmp_path))["steps"] == 8  # and stays stopped


@pytest.mark.quick
def test_without_validation_the_last_weights_are_the_best(benchmark: Benchmark, tmp_path: Path) -> None:
    fitted = method(benchmark, steps=30).fit(TRAIN, (), Folder(tmp_path))
    assert (fitted["val_mIoU"], fitted["selected_step"]) == (None, 30)
    assert (tmp_path / "best.safetensors").read_bytes() == (tmp_path / "last.safetensors").read_bytes()


class Breaking(toy.Toy):
    """A network whose loss is not a number in its third training step."""

    count = 0

    def loss(self, outputs: toy.Outputs, batch: Any) -> Tensor:
        Breaking.count += 1
        found = super().loss(outputs, batch)
        return found * torch.nan if Breaking.count == 3 else found


class BreakingMethod(toy.Method):
    """Its method."""

    network = Breaking


@pytest.mark.quick
def test_a_loss_that_is_no_number_stops_it_and_names_the_batch(benchmark: Benchmark, tmp_path: Path) -> None:
    Breaking.count = 0
    broken = method(benchmark, BreakingMethod)
    with pytest.raises(WorkError, match="step 3: a loss or gradient that is not finite"):
        broken.fit(TRAIN, VAL, Folder(tmp_path))
    named = json.loads((tmp_path / "nonfinite.json").read_text())
    ids = [pair.id for pair in broken.plan(TRAIN).batch(2)]
    assert (named["step"], named["ids"], named["loss"]) == (3, ids, "nan")
    good = method(benchmark, steps=2)
    good.fit(TRAIN, (), Folder(tmp_path / "good"))
    assert (tmp_path / "last.safetensors").read_bytes() == (tmp_path / "good" / "last.safetensors").read_bytes()
    assert json.loads((tmp_path / "state.json").read_text())["step"] == 2


@pytest.mark.quick
def test_gradients_are_clipped(benchmark: Benchmark, tmp_path: Path) -> None:
    class Steep(toy.Toy):
        def loss(self, outputs: toy.Outputs, batch: Any) -> Tensor:
            return super().loss(outputs, batch) * 1e4

    class Method(toy.Method):
        network = Steep

    seen: list[float] = []
    step = torch.optim.Adam.step

    class Spy(torch.optim.Adam):
        def step(self, *args: Any, **kwargs: Any) -> Any:
            grads = [p.grad for group in self.param_groups for p in group["params"]]
            seen.append(float(torch.cat([g.reshape(-1) for g in grads]).norm()))
            return step(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "Adam", Spy)
        method(benchmark, Method, steps=10, clip=2.5).fit(TRAIN, ())
    assert len(seen) == 10 and max(seen) == pytest.approx(2.5, rel=1e-3)


@pytest.mark.quick
def test_weights_are_averaged(benchmark: Benchmark, tmp_path: Path) -> None:
    method(benchmark, steps=2, ema=0.75, validate_every=1).fit(TRAIN, (), Folder(tmp_path / "averaged"))
    each = []
    for steps in (1, 2):
        plain = method(benchmark, steps=steps)
        plain.fit(TRAIN, ())
        each.append(weights(plain)["project.weight"])
    averaged = method(benchmark)
    averaged.load(tmp_path / "averaged" / "last.safetensors")
    torch.testing.assert_close(weights(averaged)["project.weight"], 0.75 * each[0] + 0.25 * each[1])


@pytest.mark.quick
def test_bf16_learns_too(benchmark: Benchmark) -> None:
    assert method(benchmark, precision="bf16").fit(TRAIN, VAL)["val_mIoU"] > 0.7


@pytest.mark.check
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the compiler
def test_a_compiled_network_trains_to_the_same(benchmark: Benchmark) -> None:
    class Compiled(toy.Toy):
        def forward(self, batch: Any) -> toy.Outputs:
            compiling.append(torch.compiler.is_compiling())
            return super().forward(batch)

    class Method(toy.Method):
        network = Compiled

    found, compiling = [], []
    for compiled in (False, True):
        trained = Method(toy.Options(dropout=0.0), 0, benchmark.features, replace(OPTIONS, steps=6, compile=compiled))
        trained.fit(TRAIN, ())
        found.append(weights(trained))
    assert any(compiling)
    for name, tensor in found[0].items():
        torch.testing.assert_close(found[1][name], tensor, atol=1e-4, rtol=0)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("changes", "rates"),
    [
        ({}, {0: 1.0, 999: 1.0}),
        ({"warmup": 10}, {0: 0.1, 4: 0.5, 9: 1.0, 10: 1.0}),
        ({"schedule": "drop", "drop_every": 200}, {0: 1.0, 199: 1.0, 200: 0.1, 400: 0.01}),  # AAAI 2020
        ({"schedule": "cosine", "steps": 110, "warmup": 10}, {10: 1.0, 60: 0.5, 110: 0.0}),
    ],
)
def test_rates(changes: dict[str, Any], rates: dict[int, float]) -> None:
    options = TrainOptions(**{"lr": 1.0, **changes})
    assert {step: rate(step, options) for step in rates} == pytest.approx(rates)


@pytest.mark.quick
def test_who_watches_is_told(benchmark: Benchmark) -> None:
    class Watching(Silent):
        def __init__(self) -> None:
            self.notes: list[str] = []
            self.steps: list[Progress] = []
            self.ended = 0

        def note(self, text: str) -> None:
            self.notes.append(text)

        def step(self, progress: Progress) -> None:
            self.steps.append(progress)

        def end(self) -> None:
            self.ended += 1

    watch = Watching()
    fitted = method(benchmark, steps=40).fit(TRAIN, VAL, watch=watch)
    assert [p.step for p in watch.steps] == list(range(1, 41)) and watch.ended == 1
    assert watch.steps[-1].eta == 0 and watch.steps[-1].validation is not None and watch.steps[0].rate > 0
    assert watch.steps[0].loss > watch.steps[-1].loss
    assert f"{fitted['weights']:,} weights" in watch.notes[0] and "MB for a batch" in watch.notes[0]


@pytest.mark.quick
def test_a_sample_alone_has_the_answer_it_has_among_others(benchmark: Benchmark) -> None:
    trained = method(benchmark)
    trained.fit(TRAIN, VAL)
    questions = [sample.question() for sample in TEST]
    together = list(trained.predict(questions))
    assert [answer.sample for answer in together] == [question.id for question in questions]
    for question, answer in zip(questions, together, strict=True):
        (alone,) = trained.predict([question])
        assert alone.segments[0][:2] == answer.segments[0][:2]
        assert alone.segments[0][2] == pytest.approx(answer.segments[0][2], abs=1e-5)
    assert list(trained.predict(reversed(questions)))[::-1] == together


@pytest.mark.quick
def test_an_answer_that_is_none_is_said(benchmark: Benchmark) -> None:
    class Wild(toy.Toy):
        def decode(self, outputs: toy.Outputs, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
            first, last, score = super().decode(outputs, batch)
            return first, last + 1000, score

    class Method(toy.Method):
        network = Wild

    with pytest.raises(WorkError, match="no stretch of its window"):
        method(benchmark, Method, steps=20).fit(TRAIN, VAL)


@pytest.mark.quick
def test_a_method_whose_options_hide_the_engines_is_refused() -> None:
    with pytest.raises(TypeError, match="batch"):

        class Clash(toy.Method):
            options_class = TrainOptions


@pytest.mark.quick
def test_lines_without_targets_teach_a_method_that_wants_none(benchmark: Benchmark) -> None:
    seen: list[Tensor] = []

    class Weak(toy.Toy):
        def loss(self, outputs: toy.Outputs, batch: Any) -> Tensor:
            seen.append(batch.first)
            return (outputs.inside * batch.video_mask).mean() ** 2

    class Method(toy.Method):
        network = Weak

        def needs_targets(self) -> bool:
            return False

    method(benchmark, Method, steps=2).fit(TRAIN, VAL)  # though these lines have targets
    assert len(seen) == 2 and all((first == -1).all() for first in seen)

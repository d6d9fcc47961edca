"""What a training leaves on the disk: whole after a kill at any write, distrusted when it is read."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from activity_bench.errors import InputError
from activity_bench.training import checkpoint
from activity_bench.training.checkpoint import Folder
from tests.training import made, toy
from tests.training.conftest import Benchmark

TRAIN, VAL = made.samples("train"), made.samples("val")


def train(benchmark: Benchmark, folder: Path, hidden: int = 8, **changes: Any) -> Any:
    options = replace(toy.Method.defaults, **{"steps": 12, "validate_every": 4, "lr": 0.03, **changes})
    method = toy.Method(toy.Options(hidden), 0, benchmark.features, options)
    method.fit(TRAIN, VAL, Folder(folder))
    return method


@pytest.mark.check
def test_a_kill_at_any_write_loses_nothing(
    benchmark: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, count = checkpoint._write, 0

    def killing(path: Path, data: bytes) -> None:
        nonlocal count
        count += 1
        if count == at:
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(checkpoint, "_write", killing)
    at = 0
    train(benchmark, tmp_path / "whole")
    writes = count
    assert writes >= 3 * 3 + 1
    for at in range(1, writes + 1):
        count, folder = 0, tmp_path / str(at)
        with pytest.raises(KeyboardInterrupt):
            train(benchmark, folder)
        train(benchmark, folder)
        for name in ("last.safetensors", "best.safetensors", "state-12.safetensors"):
            assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), (at, name)
        assert sorted(path.name for path in folder.iterdir()) == sorted(
            ["best.safetensors", "last.safetensors", "metrics.csv", "state-12.safetensors", "state.json"]
        )


@pytest.mark.quick
def test_what_a_kill_left_half_written_is_cleared(benchmark: Benchmark, tmp_path: Path) -> None:
    train(benchmark, tmp_path, steps=4)
    (tmp_path / ".state.json.tmp-00000000").write_bytes(b"{")
    rows = (tmp_path / "metrics.csv").read_text()
    (tmp_path / "metrics.csv").write_text(rows + "5,0,0.1,0.1,1,1,1,,1\n6,0,0.")
    train(benchmark, tmp_path)
    assert not list(tmp_path.glob(".*"))
    steps = [line.split(",")[0] for line in (tmp_path / "metrics.csv").read_text().splitlines()]
    assert steps == ["step", "4", "8", "10", "12"]


@pytest.mark.quick
def test_weights_are_readable_by_anybody(benchmark: Benchmark, tmp_path: Path) -> None:
    method = train(benchmark, tmp_path)
    found = load_file(tmp_path / "best.safetensors")
    assert {name: tuple(t.shape) for name, t in found.items()} == {
        "project.weight": (8, made.DIM), "project.bias": (8,), "scale": (), "bias": (),
    }  # fmt: skip
    assert all(torch.equal(found[name], t) for name, t in method.trained.state_dict().items())


def loaded(benchmark: Benchmark, path: Path, hidden: int = 8) -> None:
    toy.Method(toy.Options(hidden), 0, benchmark.features).load(path)


@pytest.mark.quick
def test_weights_of_another_model_are_refused(benchmark: Benchmark, tmp_path: Path) -> None:
    train(benchmark, tmp_path)
    best = tmp_path / "best.safetensors"
    with pytest.raises(InputError, match=r"another model.*found \(8, 6\); expected \(16, 6\)"):
        loaded(benchmark, best, hidden=16)
    tensors = load_file(best)
    save_file({**tensors, "more": torch.zeros(1)}, tmp_path / "more.safetensors")
    with pytest.raises(InputError, match=r"more: the weights of another model.*expected none"):
        loaded(benchmark, tmp_path / "more.safetensors")
    del tensors["scale"]
    save_file(tensors, tmp_path / "less.safetensors")
    with pytest.raises(InputError, match=r"scale: the weights of another model"):
        loaded(benchmark, tmp_path / "less.safetensors")


@pytest.mark.quick
def test_a_claim_of_size_takes_no_memory(benchmark: Benchmark, tmp_path: Path) -> None:
    train(benchmark, tmp_path)
    with pytest.raises(InputError, match="another model"):
        loaded(benchmark, tmp_path / "best.safetensors", hidden=10**11)  # 2.4 TB, were the network made first


@pytest.mark.quick
@pytest.mark.parametrize("damage", [b"", b"not weights", b"\x80\x04."])
def test_a_damaged_file_is_refused(benchmark: Benchmark, tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "best.safetensors").write_bytes(damage)
    with pytest.raises(InputError, match="not a whole file of weights"):
        loaded(benchmark, tmp_path / "best.safetensors")
    with pytest.raises(InputError, match="no such file"):
        loaded(benchmark, tmp_path / "last.safetensors")


@pytest.mark.quick
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sha256": "0" * 64}, "its sha256 differs"),
        ({"tensors": "../state-12.safetensors"}, "not a state of a training"),
        ({"tensors": "state-13.safetensors"}, "no such file"),
        ({"format": 2}, "not a state of a training"),
        ({"step": "twelve"}, "step: found text"),
        ({"step": -5}, "no count below 0"),
        ({"stale": -1}, "no count below 0"),
    ],
)
def test_a_state_that_does_not_hold_together_is_refused(
    benchmark: Benchmark, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    train(benchmark, tmp_path)
    state = tmp_path / "state.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | change))
    with pytest.raises(InputError, match=said):
        train(benchmark, tmp_path, steps=20)


@pytest.mark.quick
def test_a_state_of_another_network_is_refused(benchmark: Benchmark, tmp_path: Path) -> None:
    train(benchmark, tmp_path)
    with pytest.raises(InputError, match="another model"):
        train(benchmark, tmp_path, hidden=4)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors: {"adam.x.step": torch.zeros(()), **tensors}, "adam.x.step: the weights of another"),
        (lambda tensors: {"adam.99.step": torch.zeros(()), **tensors}, "adam.99.step: the weights of another"),
        (lambda tensors: tensors | {"adam.0.exp_avg": tensors["adam.0.exp_avg"].flatten()[:1].clone()}, "found .1,."),
        (lambda tensors: {n: t for n, t in tensors.items() if n != "adam.1.exp_avg_sq"}, "adam.1.exp_avg_sq.*'none'"),
        (None, "not a whole file of weights"),
    ],
)
def test_a_states_tensors_are_looked_at_though_their_sum_is_right(
    benchmark: Benchmark, tmp_path: Path, change: Any, said: str
) -> None:
    train(benchmark, tmp_path)
    state = json.loads((tmp_path / "state.json").read_text())
    path = tmp_path / state["tensors"]
    path.write_bytes(save(change(load_file(path))) if change else b"pickled")
    (tmp_path / "state.json").write_text(json.dumps(state | {"sha256": sha256(path.read_bytes()).hexdigest()}))
    with pytest.raises(InputError, match=said):
        train(benchmark, tmp_path, steps=20)


@pytest.mark.quick
def test_rows_of_the_log_that_nobody_wrote_are_dropped(benchmark: Benchmark, tmp_path: Path) -> None:
    train(benchmark, tmp_path)
    log = tmp_path / "metrics.csv"
    before = log.read_bytes()
    log.write_bytes(before + b"abc,1\n\xff\xfe\n\n7")
    train(benchmark, tmp_path, steps=20)
    assert log.read_bytes().startswith(before) and b"abc" not in log.read_bytes()

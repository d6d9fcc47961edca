"""Padding and masks, and reading ahead: workers change nothing, and say what went wrong in a user's words."""

from __future__ import annotations

import os
import signal
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from activity_bench.errors import InputError, WorkError
from activity_bench.training.batches import PairBatch, collate
from activity_bench.training.loader import Loader
from activity_bench.training.options import TrainOptions
from activity_bench.training.pairs import Pair, pair_of
from activity_bench.training.plan import Plan
from tests.training import made
from tests.training.conftest import Benchmark

CPU = torch.device("cpu")


def plan(benchmark: Benchmark, **changes: Any) -> Plan:
    pairs = [pair_of(sample, benchmark.features) for sample in made.samples("train")]
    return Plan(pairs, 0, replace(TrainOptions(batch=8, workers=0, bucket=8), **changes))


def tensors(batch: PairBatch) -> list[torch.Tensor]:
    return [batch.video, batch.video_mask, batch.query, batch.query_mask, batch.first, batch.last]


@pytest.mark.quick
def test_rows_are_padded_and_the_mask_says_so(benchmark: Benchmark) -> None:
    marked = Pair("a", "Diving", "train0", (2, 9), ((4, 6),), "train3", (1, 4))
    pairs = [marked, Pair("b", None, "train1", (0, 3), (), "train4", (0, 1))]
    batch = collate(pairs, benchmark.features)
    assert batch.video.shape == (2, 7, made.DIM) and batch.video.dtype == torch.float32
    np.testing.assert_array_equal(batch.video[0], benchmark.features.read("train0", 2, 9))
    np.testing.assert_array_equal(batch.query[1, :1], benchmark.features.read("train4", 0, 1))
    assert batch.video_mask.tolist() == [[True] * 7, [True] * 3 + [False] * 4]
    assert batch.query_mask.tolist() == [[True] * 3, [True, False, False]]
    assert not batch.video[1, 3:].any() and not batch.query[1, 1:].any()
    assert (batch.first.tolist(), batch.last.tolist()) == ([2, -1], [4, -1])
    assert (batch.ids, batch.labels, len(batch)) == (["a", "b"], ["Diving", None], 2)


@pytest.mark.quick
def test_shapes_are_few_where_they_are_compiled_for(benchmark: Benchmark) -> None:
    pairs = [Pair("a", None, "train0", (2, 9), (), "train3", (1, 4))]
    batch = collate(pairs, benchmark.features, 8)
    assert (batch.video.shape[1], batch.query.shape[1]) == (8, 8)
    assert int(batch.video_mask.sum()) == 7


@pytest.mark.quick
def test_a_batch_moves_whole(benchmark: Benchmark) -> None:
    batch = next(iter(Loader(plan(benchmark), benchmark.features, collate, CPU).batches(0, 1)))[1]
    moved = batch.to("meta")
    assert all(tensor.device.type == "meta" for tensor in tensors(moved))
    assert moved.ids == batch.ids


@pytest.mark.quick
def test_processes_share_a_batch(benchmark: Benchmark) -> None:
    whole = next(iter(Loader(plan(benchmark), benchmark.features, collate, CPU).batches(5, 6)))[1].ids
    shares = [
        next(iter(Loader(plan(benchmark), benchmark.features, collate, CPU, r, 2).batches(5, 6)))[1].ids for r in (0, 1)
    ]
    assert shares == [whole[0::2], whole[1::2]]


@pytest.mark.check
def test_workers_change_nothing(benchmark: Benchmark) -> None:
    benchmark.features.read("train0")  # the parent's handle is open when the workers begin
    alone = list(Loader(plan(benchmark), benchmark.features, collate, CPU).batches(2, 8))
    four = list(Loader(plan(benchmark, workers=4), benchmark.features, collate, CPU).batches(2, 8))
    assert [step for step, _ in four] == [step for step, _ in alone] == list(range(2, 8))
    for (_, a), (_, b) in zip(alone, four, strict=True):
        assert a.ids == b.ids
        assert all(torch.equal(x, y) for x, y in zip(tensors(a), tensors(b), strict=True))


@pytest.mark.quick
def test_no_workers_where_their_sockets_would_have_too_long_a_name(
    benchmark: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would wait for ever: what they read is handed over by a socket in the temporary folder."""
    deep = tmp_path / ("deep" * 20)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    loader = Loader(plan(benchmark, workers=2), benchmark.features, collate, CPU)
    assert loader.workers == 0 and len(list(loader.batches(0, 2))) == 2


class Faulty:
    """Features that fail in the process that reads them."""

    def __init__(self, how: str) -> None:
        self.how = how

    def read(self, video: str, first: int = 0, last: int | None = None) -> Any:
        if self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise InputError("damaged", file="features.h5", field=video)


@pytest.mark.check
@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [("damaged", InputError, r"^features.h5: train\d+: damaged$"), ("killed", WorkError, "died")],
)
def test_what_fails_in_a_worker_is_said_as_if_here(benchmark: Benchmark, how: str, kind: Any, said: str) -> None:
    loader = Loader(plan(benchmark, workers=1), Faulty(how), collate, CPU)  # type: ignore[arg-type]
    with pytest.raises(kind, match=said):
        next(iter(loader.batches(0, 2)))

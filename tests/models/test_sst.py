"""Proposals against their plain twin, their masks, and what they can learn."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from activity_bench.models.sst import SST, Options
from tests.models.networks import (
    alone_and_together,
    differentiable,
    learns_from_labels_alone,
    learns_to_answer,
    runs_in_bf16,
    weights_of,
)
from tests.models.pairs import ODD, Pair, batch_of, drawn
from tests.reference import sst as twin

pytestmark = pytest.mark.quick

DIM = 5


def small(**changes: Any) -> SST:
    torch.manual_seed(0)
    network = SST(DIM, Options(**{"hidden": 4, "lengths": 3, **changes})).double()  # type: ignore[arg-type]
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return network


@pytest.mark.parametrize(("stride", "layers", "over"), [(1, 1, 0.5), (1, 2, 0.8), (2, 1, 0.8), (2, 2, 0.5)])
def test_proposals(stride: int, layers: int, over: float) -> None:
    network, pairs = small(stride=stride, layers=layers, positive=over), drawn(1, ODD, DIM)
    batch = batch_of(pairs, rows=14)
    outputs = network(batch)
    first, last, score = network.decode(outputs, batch)
    grids = [twin.proposals(video.numpy(), weights_of(network), layers, stride) for video, *_ in pairs]
    for i, grid in enumerate(grids):
        answer = (int(first[i]), int(last[i]))
        if not grid:  # one row, and the shortest proposal has two
            assert answer == (0, 1)
            continue
        for (start, end), confidence in grid.items():
            found = outputs.logits[i, end - 1, (end - start) // stride - 1].detach().sigmoid()
            assert float(found) == pytest.approx(confidence, abs=1e-6)
        assert answer == max(grid, key=grid.__getitem__)
        assert float(score[i].detach()) == pytest.approx(max(grid.values()), abs=1e-6)
    found = network.loss(outputs, batch).detach()
    assert float(found) == pytest.approx(twin.loss(grids, [pair[2:] for pair in pairs], over), abs=1e-6)


def test_gradients() -> None:
    assert differentiable(small(), drawn(2, [(6, 2, 1, 3), (4, 3, 0, 2)], DIM))


@pytest.mark.parametrize("stride", [1, 2])
def test_alone_padded_and_in_any_place(stride: int) -> None:
    alone_and_together(SST(DIM, Options(hidden=8, lengths=4, stride=stride)), DIM)


def test_bf16() -> None:
    runs_in_bf16(SST(DIM, Options(hidden=8)), DIM)


def test_the_query_is_not_looked_at() -> None:
    pairs = drawn(1, ODD, DIM)
    other: list[Pair] = [(video, query + 1, first, last) for video, query, first, last in pairs]
    assert torch.equal(*(small()(batch_of(some)).logits for some in (pairs, other)))


def learner(dim: int, **changes: Any) -> SST:
    return SST(dim, Options(hidden=24, lengths=8, **changes))


def test_it_learns_to_answer() -> None:
    """Its loss takes all proposals over 0.5 for equally right, or those over a higher one."""
    learns_to_answer(learner, steps=60, above=0.75)
    learns_to_answer(partial(learner, positive=0.9), steps=60)


def test_it_learns_from_labels_alone() -> None:
    """It does not see which of two activities is asked for, so there is one."""
    learns_from_labels_alone(learner, steps=60, others=False)

"""Proposals for an image against their plain twin, their masks, their reach, and what they can learn."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from activity_bench.models.sst_plus import Options, SSTPlus
from activity_bench.training.blocks.sst import possible, proposal_labels
from tests.models import images
from tests.models.networks import (
    alone_and_together,
    differentiable,
    learns_from_labels_alone,
    learns_to_answer,
    runs_in_bf16,
    weights_of,
)
from tests.reference import sst as twin

pytestmark = pytest.mark.quick

DIMS = (5, 4, 3)


def small(**changes: Any) -> SSTPlus:
    torch.manual_seed(0)
    network = SSTPlus(*DIMS, Options(**{"hidden": 4, "lengths": 3, **changes})).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return network


@pytest.mark.parametrize(("stride", "layers", "over"), [(1, 2, 0.5), (2, 1, 0.7)])
def test_proposals(stride: int, layers: int, over: float) -> None:
    network = small(stride=stride, layers=layers, positive=over)
    questions = images.drawn(1, images.ODD, DIMS)
    batch = images.batch_of(questions, rows=14)
    outputs = network(batch)
    first, last, score = network.decode(outputs, batch)
    w = weights_of(network)
    grids = [
        twin.proposals_for(video.numpy(), image.whole.numpy(), w, layers, stride) for video, image, *_ in questions
    ]
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
    expected = twin.loss(grids, [question[2:] for question in questions], over)
    assert float(network.loss(outputs, batch).detach()) == pytest.approx(expected, abs=1e-6)


def test_gradients() -> None:
    assert differentiable(small(), images.drawn(2, [(6, 2, 1, 3), (4, 3, 0, 2)], DIMS), images)


@pytest.mark.parametrize("stride", [1, 2])
def test_alone_padded_and_in_any_place(stride: int) -> None:
    alone_and_together(SSTPlus(*DIMS, Options(hidden=8, lengths=4, stride=stride)), DIMS, images)


def test_bf16() -> None:
    runs_in_bf16(SSTPlus(*DIMS, Options(hidden=8)), DIMS, images)


def test_it_looks_at_the_image_as_a_whole() -> None:
    batch = images.batch_of(images.drawn(1, images.ODD, DIMS))
    expected = small()(batch).logits
    batch.regions += 1
    assert torch.equal(small()(batch).logits, expected)
    batch.whole += 1
    assert not torch.allclose(small()(batch).logits, expected)


def test_every_target_of_the_data_has_a_good_proposal() -> None:
    """Targets have 8 rows at least, and 157 at most."""
    options, rows, length = Options(), 200, torch.arange(8, 158)  # (150,)
    first = torch.stack([0 * length, 0 * length + 3, rows - length])  # an early proposal would start too soon
    right = proposal_labels(first.flatten(), (first + length).flatten(), rows, options.lengths, options.stride, 0.79)
    right &= possible(torch.ones(1, rows, dtype=torch.bool), options.lengths, options.stride)  # (450, N, K)
    assert right.flatten(1).any(1).all()


def learner(*dims: int) -> SSTPlus:
    return SSTPlus(*dims, Options(hidden=24, lengths=8, stride=1, positive=0.9))


def test_it_learns_to_answer() -> None:
    learns_to_answer(learner, steps=80, kind=images)


def test_it_learns_from_labels_alone() -> None:
    learns_from_labels_alone(learner, steps=80, kind=images)

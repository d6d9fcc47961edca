"""Frame-level prediction against its plain twin, its masks, and what it can learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from activity_bench.models.flp import FLP, Options
from tests.models import images
from tests.models.networks import (
    alone_and_together,
    differentiable,
    learns_from_labels_alone,
    learns_to_answer,
    runs_in_bf16,
    weights_of,
)
from tests.reference import flp as twin

pytestmark = pytest.mark.quick

DIMS = (5, 4, 3)


def small(**changes: Any) -> FLP:
    torch.manual_seed(0)
    network = FLP(*DIMS, Options(**{"hidden": 4, **changes})).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return network


@pytest.mark.parametrize("layers", [1, 3])
def test_the_product_of_all_rows(layers: int) -> None:
    network, questions = small(layers=layers), images.drawn(1, images.ODD, DIMS)
    batch = images.batch_of(questions, rows=14)
    outputs = network(batch)
    first, last, score = network.decode(outputs, batch)
    losses = []
    for i, (video, image, start, end) in enumerate(questions):
        p = twin.chances(video.numpy(), image.whole.numpy(), weights_of(network), layers)
        np.testing.assert_allclose(outputs.logits[i, : len(p)].detach().sigmoid(), p, atol=1e-6)
        expected = twin.best(p)
        assert (int(first[i]), int(last[i])) == expected[:2]
        assert float(score[i].detach()) == pytest.approx(expected[2], abs=1e-6)
        losses.append(-math.log(twin.product(p, start, end)) / len(p))  # cross entropy is the target's own score
    assert float(network.loss(outputs, batch).detach()) == pytest.approx(np.mean(losses), abs=1e-6)


def test_gradients() -> None:
    assert differentiable(small(), images.drawn(2, [(6, 2, 1, 3), (4, 3, 0, 2)], DIMS), images)


def test_alone_padded_and_in_any_place() -> None:
    alone_and_together(FLP(*DIMS, Options(hidden=8)), DIMS, images)


def test_bf16() -> None:
    runs_in_bf16(FLP(*DIMS, Options(hidden=8)), DIMS, images)


def test_it_looks_at_the_image_as_a_whole() -> None:
    batch = images.batch_of(images.drawn(1, images.ODD, DIMS))
    expected = small()(batch).logits
    batch.regions += 1
    assert torch.equal(small()(batch).logits, expected)
    batch.whole += 1
    assert not torch.allclose(small()(batch).logits, expected)


def learner(*dims: int) -> FLP:
    return FLP(*dims, Options(hidden=32))


def test_it_learns_to_answer() -> None:
    learns_to_answer(learner, steps=60, kind=images)


def test_it_learns_from_labels_alone() -> None:
    learns_from_labels_alone(learner, steps=60, kind=images)

"""Towers, proposals and attention against their plain twin, their masks, and what they can learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from activity_bench.errors import InputError
from activity_bench.models.tal_plus import Options, TALPlus
from activity_bench.training.blocks.anchors import anchors, overlap
from tests.models import images
from tests.models.networks import (
    alone_and_together,
    differentiable,
    learns_from_labels_alone,
    learns_to_answer,
    runs_in_bf16,
    weights_of,
)
from tests.reference import tal_plus as twin

pytestmark = pytest.mark.quick

DIMS = (5, 4, 3)
LONG = [*images.ODD, (100, 3, 20, 70)]  # the last has more than 256 anchors
SMALL = {"hidden": 4, "anchors": 3, "shortest": 2.0, "longest": 9.0, "proposals": 4, "bins": 4}


def small(kind: type[TALPlus] = TALPlus, **changes: Any) -> TALPlus:
    torch.manual_seed(0)
    network = kind(*DIMS, Options(**{**SMALL, **changes})).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return network


@pytest.mark.parametrize(
    "changes", [{}, {"anchors": 1, "shortest": 9.0}, {"bins": 3, "positive": 0.8, "proposals": 256}]
)
def test_both_stages(changes: dict[str, Any]) -> None:
    network = small(**changes)
    options, w, questions = network.options, weights_of(network), images.drawn(1, LONG, DIMS)
    batch = images.batch_of(questions, rows=14, query_rows=7)
    outputs = network(batch)
    lengths = network.lengths.tolist()
    first, last, score = network.decode(outputs, batch)
    losses = []
    for i, (video, image, *target) in enumerate(questions):
        n, rows = len(video), twin.projected(video.numpy(), w)
        said = twin.said(rows, w, lengths)
        np.testing.assert_allclose(outputs.said[i, :n].detach(), said, atol=1e-6)
        proposed = twin.proposals(said, lengths, options.proposals)
        assert int(outputs.real[i].sum()) == len(proposed)
        np.testing.assert_allclose(outputs.proposals[i, : len(proposed)], proposed, atol=1e-6)
        spoken = [twin.second(rows, image.regions.numpy(), w, one, options.bins) for one in proposed]
        best = int(np.argmax([one[0] for one in spoken]))
        assert (int(first[i]), int(last[i])) == twin.in_rows(twin.moved(proposed[best], spoken[best][1:], n))
        assert float(score[i].detach()) == pytest.approx(float(twin.sigmoid(spoken[best][0])), abs=1e-6)

        segments = [*proposed, (float(target[0]), float(target[1]))]
        spoken.append(twin.second(rows, image.regions.numpy(), w, segments[-1], options.bins))
        right = [twin.tiou(one, segments[-1]) > options.positive for one in segments]
        by = [twin.offsets(segments[-1], one) for one in segments]
        second = twin.stage_loss(spoken, right, [not one for one in right], by)
        losses.append(twin.first_loss(said, lengths, segments[-1]) + second)
    assert float(network.loss(outputs, batch).detach()) == pytest.approx(np.mean(losses), abs=1e-6)


def test_what_is_suppressed_does_not_count() -> None:
    network, batch = small(), images.batch_of(images.drawn(1, images.ODD[:1], DIMS))
    outputs = network(batch)
    several, losses = outputs.real[0].nonzero().flatten().tolist(), set()
    assert len(several) > 1
    for one in several:
        outputs.real = torch.zeros_like(outputs.real).index_fill(1, torch.tensor(one), True)
        spoken = network.second(outputs.rows, batch, outputs.proposals[:, one : one + 1])[0, 0]
        answer = twin.in_rows(twin.moved(tuple(outputs.proposals[0, one].tolist()), spoken[1:].tolist(), 9))
        found = network.decode(outputs, batch)
        assert [float(x.detach()) for x in found] == pytest.approx([*answer, float(spoken[0].detach().sigmoid())])
        losses.add(float(network.loss(outputs, batch).detach()))
    assert len(losses) == len(several)


class Given(TALPlus):
    """Proposals are taken as given, so a gradient is that of given proposals."""

    def propose(self, said: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        ends = torch.tensor([[[0.3, 2.1], [1.4, 5.2]], [[0.2, 1.7], [1.1, 3.6]]], dtype=said.dtype)
        return ends, torch.tensor([[True, True], [True, False]])


def test_gradients() -> None:
    assert differentiable(small(Given), images.drawn(2, [(6, 2, 1, 3), (4, 3, 0, 2)], DIMS), images)


def test_alone_padded_and_in_any_place() -> None:
    alone_and_together(TALPlus(*DIMS, Options(**{**SMALL, "hidden": 8})), DIMS, images)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch's own, while it compiles
def test_compiled_towers_say_the_same() -> None:
    network, batch = small().float(), images.batch_of(images.drawn(3, images.ODD[:3], DIMS, torch.float32))
    expected = network.loss(network(batch), batch)
    network.compile(backend="aot_eager")
    torch.testing.assert_close(network.loss(network(batch), batch), expected)


def test_bf16() -> None:
    runs_in_bf16(TALPlus(*DIMS, Options(**{**SMALL, "hidden": 8})), DIMS, images)


def test_the_order_of_regions_means_nothing() -> None:
    network, batch = small(), images.batch_of(images.drawn(1, images.ODD, DIMS), query_rows=7)
    expected = network.decode(network(batch), batch)
    turned = torch.arange(batch.regions.shape[1] - 1, -1, -1)
    batch.regions, batch.region_mask = batch.regions[:, turned], batch.region_mask[:, turned]
    for found, wanted in zip(network.decode(network(batch), batch), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-9, rtol=0)


def test_the_image_is_asked_in_the_second_stage() -> None:
    network, batch = small(), images.batch_of(images.drawn(1, images.ODD, DIMS))
    outputs = network(batch)
    said = network.second(outputs.rows, batch, outputs.proposals)
    batch.boxes, batch.whole = batch.boxes + 1, batch.whole + 1
    assert torch.equal(network.second(outputs.rows, batch, outputs.proposals), said)
    batch.regions = batch.regions + 1
    assert torch.equal(network(batch).proposals, outputs.proposals)
    assert not torch.allclose(network.second(outputs.rows, batch, outputs.proposals), said)


def test_every_target_of_the_data_has_a_good_anchor() -> None:
    """Targets have 8 rows at least, and 157 at most; anchors stand everywhere alike, so two places stand for all."""
    lengths = TALPlus(1, 1, 1, Options(hidden=1)).lengths
    assert (float(lengths[0]), float(lengths[-1])) == pytest.approx((6, 160))
    targets = torch.tensor([(20.0, 20.0 + more) for more in range(8, 158)])
    best = overlap(anchors(200, lengths)[:, :, None], targets).amax((0, 1))  # (150,)
    assert float(best.min()) > 0.79


def test_anchors_of_no_length_are_named() -> None:
    with pytest.raises(InputError, match="longest"):
        Options(shortest=9, longest=3)


def learner(*dims: int) -> TALPlus:
    sizes = {"hidden": 32, "anchors": 3, "shortest": 3.0, "longest": 12.0, "proposals": 8, "positive": 0.7}
    return TALPlus(*dims, Options(**sizes))  # type: ignore[arg-type]


def test_it_learns_to_answer() -> None:
    learns_to_answer(learner, steps=150, lr=0.005, kind=images)


def test_it_learns_from_labels_alone() -> None:
    learns_from_labels_alone(learner, steps=100, lr=0.005, kind=images)

"""Self-attention interaction against its plain twin, what its answers must not depend on, and what it can learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.errors import InputError
from activity_bench.models.sail import SAIL, Method, Options, best_pair, relative_positions, two_best
from tests.models import images
from tests.models.images import ODD, batch_of, drawn
from tests.models.networks import (
    alone_and_together,
    differentiable,
    learns_from_labels_alone,
    learns_to_answer,
    runs_in_bf16,
    weights_of,
)
from tests.reference import sail as twin

pytestmark = pytest.mark.quick

DIMS = (5, 6, 3)
SMALL: dict[str, Any] = {"layers": 2, "hidden": 6, "heads": 2, "window": 2, "feedforward": 7}
VARIANTS = [{}, {"rs": False}, {"ml": False}, {"ls": False}, {"ba": False}, {"layers": 1, "ml": False}]


def small(**changes: Any) -> SAIL:
    torch.manual_seed(0)
    network = SAIL(*DIMS, Options(**{**SMALL, **changes})).double()
    with torch.no_grad():
        for parameter in network.parameters():  # no bias stays 0 and no gain 1, so that none is forgotten unseen
            parameter.add_(torch.randn_like(parameter), alpha=0.4)
    return network


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
@pytest.mark.parametrize("decoding", ["joint", "argmax"])
def test_equations(changes: dict[str, Any], decoding: str) -> None:
    network, questions = small(**changes, decoding=decoding), drawn(1, ODD, DIMS)
    batch = batch_of(questions, rows=14, query_rows=7)
    outputs, o, losses = network(batch), network.options, []
    first, last, score = network.decode(outputs, batch)
    for i, (video, image, start, end) in enumerate(questions):
        n, arrays = len(video), (tensor.numpy() for tensor in (video, *image))
        expected = twin.log_p(*arrays, weights_of(network), o.layers, o.heads, o.window if o.ls else n, o.ba)
        for found, log_p in zip((outputs.log_start, outputs.log_end), expected, strict=True):
            np.testing.assert_allclose(found[i, :n].detach(), log_p, atol=1e-9)
            assert found[i, n:].eq(float("-inf")).all()
        losses.append(twin.loss(*expected, start, end))
        assert (int(first[i]), int(last[i])) == twin.answer(*expected, decoding == "joint")[:2]
        assert float(score[i].detach()) == pytest.approx(twin.answer(*expected, decoding == "joint")[2])
    assert float(network.loss(outputs, batch).detach()) == pytest.approx(np.mean(losses))


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_gradients(changes: dict[str, Any]) -> None:
    questions = drawn(2, [(4, 2, 1, 3), (3, 3, 0, 1)], DIMS)
    network = small(**changes)
    if not network.options.rs:  # then where a region lies is not looked at
        batch = batch_of(questions)
        batch.boxes.requires_grad_()
        loss = network.loss(network(batch), batch)
        assert torch.autograd.grad(loss, batch.boxes, allow_unused=True) == (None,)
    assert differentiable(network, questions, images)


def test_alone_padded_and_in_any_place() -> None:
    alone_and_together(SAIL(*DIMS, Options(**SMALL)), DIMS, images)


def test_bf16() -> None:
    runs_in_bf16(SAIL(*DIMS, Options(**SMALL)), DIMS, images)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch's own, while it compiles
def test_compiled_layers_say_the_same() -> None:
    network, batch = small(layers=1).float(), batch_of(drawn(3, ODD[:3], DIMS, torch.float32))
    expected = network(batch).log_start
    network.compile(backend="aot_eager")
    torch.testing.assert_close(network(batch).log_start, expected)


@pytest.mark.parametrize(
    ("switch", "gone"), [("rs", ("position",)), ("ml", ("0.image", "0.fusion", "0.normalise_fusion")), ("ls", ()),
                         ("ba", ("context",))]
)  # fmt: skip
def test_a_part_that_is_switched_off_has_no_weights(switch: str, gone: tuple[str, ...]) -> None:
    there, left = (set(dict(small(**{switch: on}).named_parameters())) for on in (True, False))
    assert left == {name for name in there if not any(part in name for part in gone)}
    assert (left != there) == bool(gone)


def test_dropout_draws_in_training_alone() -> None:
    network, batch = small(dropout=0.5), batch_of(drawn(3, ODD[:3], DIMS))
    seen = [network(batch).log_start for _ in range(2)]
    assert not torch.equal(*seen)
    network.eval()
    torch.testing.assert_close(*(net(batch).log_start for net in (network, small())))


def test_the_papers_hyperparameters_are_the_defaults() -> None:
    o = Options()
    assert (o.rs, o.ml, o.ls, o.ba, o.layers, o.hidden) == (True, True, True, True, 5, 256)
    assert (Method.defaults.lr, Method.defaults.rows, Method.query_kind) == (5e-4, 200, "image")
    network = SAIL(500, 4096, 512, o)
    assert network.regions.position.weight.shape == (256, 4)  # W^r, section 4.2
    assert network.layers[0].fusion.linear.weight.shape == (256, 4 * 256)  # W_f, section 4.3
    assert network.start.context.w.weight.shape == (1, 256)  # w_fw, section 4.4
    assert network.start.context.w1.bias is None  # a_it has no bias, section 4.4


def test_options_that_cannot_be() -> None:
    with pytest.raises(InputError, match="divisor of hidden=256"):
        Options(heads=7)
    with pytest.raises(InputError, match="layers"):
        Options(layers=65)


# ---- the image ------------------------------------------------------------------------------------------------------


def test_where_a_region_lies_from_itself_is_nowhere() -> None:
    boxes = batch_of(drawn(4, ODD, DIMS)).boxes
    assert relative_positions(boxes).diagonal(dim1=1, dim2=2).eq(0).all()


@given(st.integers(0, 99), st.randoms(use_true_random=False))
def test_the_order_of_regions_means_nothing(seed: int, chance: Any) -> None:
    network, (question,) = small(), drawn(seed, [(6, 5, 1, 3)], DIMS)
    order = chance.sample(range(5), 5)
    image = question[1]
    other = image._replace(regions=image.regions[order], boxes=image.boxes[order])
    same(network, question, (question[0], other, 1, 3))


@given(
    st.integers(0, 99),
    *[st.tuples(st.floats(low, high), st.floats(low, high)) for low, high in ((-3, 3), (0.1, 10))],  # type: ignore[arg-type]
)
def test_only_relative_positions_matter(seed: int, shift: tuple[float, float], scale: tuple[float, float]) -> None:
    """An image that is moved, or made larger or smaller in either direction, is asked with the same."""
    network, (question,) = small(), drawn(seed, [(6, 4, 1, 3)], DIMS)
    image = question[1]
    boxes = image.boxes * torch.tensor([*scale, *scale]) + torch.tensor([*shift, 0, 0])
    same(network, question, (question[0], image._replace(boxes=boxes), 1, 3))


def same(network: SAIL, one: images.Question, other: images.Question) -> None:
    batch = batch_of([one, other])
    for log_p in (network(batch).log_start, network(batch).log_end):
        torch.testing.assert_close(log_p[0], log_p[1], atol=1e-9, rtol=1e-9)


def test_where_regions_lie_from_one_another_matters() -> None:
    network, (question,) = small(), drawn(1, [(6, 4, 1, 3)], DIMS)
    boxes = question[1].boxes.flip(0)
    batch = batch_of([question, (question[0], question[1]._replace(boxes=boxes), 1, 3)])
    assert (network(batch).log_start[0] - network(batch).log_start[1]).abs().max() > 1e-3


# ---- decoding -------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(*[st.sampled_from([0.1, 0.2, 0.4])] * 2), min_size=1, max_size=7), st.integers(0, 3))
def test_of_equal_pairs_the_first_and_shortest_answers(rows: list[tuple[float, float]], padding: int) -> None:
    log_p = torch.tensor(rows, dtype=torch.float64).log().T
    padded = torch.nn.functional.pad(log_p, (0, padding), value=float("-inf"))
    for decode, joint in ((best_pair, True), (two_best, False)):
        first, last, score = (float(x) for x in decode(padded[:1], padded[1:]))
        expected = twin.answer(*log_p.numpy(), joint)
        assert (first, last) == expected[:2]
        assert score == pytest.approx(expected[2])
        assert 0 <= first < last <= len(rows)


def test_an_end_before_the_start() -> None:
    """The two best rows are no segment: the row at the start stands for them, the best pair in order is another."""
    log_start, log_end = torch.tensor([[0.1, 0.3, 0.6]]).log(), torch.tensor([[0.5, 0.4, 0.1]]).log()
    first, last, score = two_best(log_start, log_end)
    assert (int(first), int(last)) == (2, 3)
    assert float(score) == pytest.approx(0.6 * 0.5)
    first, last, score = best_pair(log_start, log_end)
    assert (int(first), int(last)) == (1, 2)
    assert float(score) == pytest.approx(0.3 * 0.4)


def test_training_does_not_read_how_answers_are_decoded() -> None:
    """So a trained network may be asked either way."""
    assert Method.at_prediction == {"decoding"}
    batch = batch_of(drawn(1, ODD, DIMS))
    losses = [network.loss(network(batch), batch) for network in (small(), small(decoding="argmax"))]
    assert torch.equal(*losses)


# ---- learning -------------------------------------------------------------------------------------------------------


def learner(*dims: int, **changes: Any) -> SAIL:
    return SAIL(*dims, Options(**{"layers": 2, "hidden": 16, "heads": 2, "window": 4, "feedforward": 32, **changes}))


def test_it_learns_to_answer() -> None:
    learns_to_answer(learner, steps=50, lr=0.01, kind=images)


def test_it_learns_from_labels_alone() -> None:
    learns_from_labels_alone(learner, steps=50, lr=0.01, kind=images)

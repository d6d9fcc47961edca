"""Multiscale and self attention against its plain twin, the sign of its loss, its masks, and what it can learn."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch

from activity_bench.errors import InputError
from activity_bench.models.msa import MSA, Method, Options
from activity_bench.simulation.world import World, WorldOptions
from activity_bench.training.blocks.losses import co_attention, cosine_distance
from activity_bench.types import Instance, Video
from tests.models.networks import (
    alone_and_together,
    differentiable,
    learns_from_labels_alone,
    learns_to_answer,
    runs_in_bf16,
    scored,
    trained,
    weights_of,
)
from tests.models.pairs import ODD, batch_of, drawn, world
from tests.reference import cgbm as positions
from tests.reference import msa as twin

pytestmark = pytest.mark.quick

DIM = 5
VARIANTS = get_args(get_type_hints(Options)["variant"])
SIZES = {"heads": 2, "kernels": 3, "self_heads": 2, "self_size": 3}
PLAIN = {"dropout_before": 0.0, "dropout_after": 0.0}


def small(**changes: Any) -> MSA:
    torch.manual_seed(0)
    network = MSA(DIM, Options(**{"hidden": 4, "longest": 6, **SIZES, **PLAIN, **changes})).double()  # type: ignore[arg-type]
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.7)  # no zero bias, so that none is forgotten unseen
    return network


@pytest.mark.parametrize("variant", VARIANTS)
def test_equations(variant: str) -> None:
    network, pairs = small(variant=variant, supervision="full"), drawn(1, ODD, DIM)
    batch = batch_of(pairs, rows=14, query_rows=7)
    outputs = network(batch, attention=True)
    first, last, _ = network.decode(outputs, batch)
    losses = []
    for i, (video, query, start, end) in enumerate(pairs):
        rows, clip = video.numpy(), query.numpy()
        log_p, heads = twin.log_p(rows, clip, weights_of(network), variant, 2, 3, 2, 3)
        n = len(video)
        np.testing.assert_allclose(outputs.log_p[i, :n].detach(), log_p, atol=1e-6)
        np.testing.assert_allclose(outputs.attention[i, :n].detach(), heads, atol=1e-9)
        co = twin.co_attention(rows, clip, np.exp(log_p), 0.3, None)
        losses.append(positions.loss(log_p, start, end - 1) + co)
        assert (int(first[i]), int(last[i])) == positions.best(log_p, 6)[:2]
    assert float(network.loss(outputs, batch).detach()) == pytest.approx(np.mean(losses), abs=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_weak_loss_and_its_mask(alpha: float) -> None:
    """Unmasked in the first steps, masked by the weak answer from then on; the answer is the longest run."""
    network, pairs = small(alpha=alpha, mask_after=2), drawn(1, ODD[:-1], DIM)  # one row has no background
    batch = batch_of(pairs, rows=14, query_rows=7)
    outputs = network(batch)
    first, last, _ = network.decode(outputs, batch)
    free, masked = [], []
    for i, (video, query, _, _) in enumerate(pairs):
        p = outputs.log_p[i, : len(video)].detach().exp().numpy()
        run = twin.run_above_mean(p[:, 2])
        assert (int(first[i]), int(last[i])) == run
        free.append(twin.co_attention(video.numpy(), query.numpy(), p, alpha, None))
        masked.append(twin.co_attention(video.numpy(), query.numpy(), p, alpha, run))
    found = [float(network.loss(outputs, batch).detach()) for _ in range(4)]
    assert found == pytest.approx([np.mean(free)] * 2 + [np.mean(masked)] * 2, abs=1e-6)
    assert int(network.state_dict()["steps_seen"]) == 4  # so that a run that goes on goes on masked
    network.eval()
    network.loss(outputs, batch)
    assert int(network.steps_seen) == 4


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_gradient_brings_query_and_action_nearer(alpha: float) -> None:
    """Section "Co-Attention Loss": minimising it minimises d(q_a, r_a) and raises the background's distances."""
    chance = torch.Generator().manual_seed(1)
    q, a, b = (torch.randn(6, 8, generator=chance, dtype=torch.float64, requires_grad=True) for _ in range(3))
    co_attention(q, a, b, alpha).backward()
    assert q.grad is not None and a.grad is not None and b.grad is not None
    a_alone = torch.autograd.grad(co_attention(q, a, b.detach(), 1.0), a)[0]  # no term joins action and background
    assert (cosine_distance(q, a - 0.01 * a_alone) < cosine_distance(q, a)).all()
    moved = (b - 0.01 * b.grad).detach()
    far, farther = (alpha * cosine_distance(q, x) + (1 - alpha) * cosine_distance(a, x) for x in (b, moved))
    assert (farther > far).all()


@pytest.mark.parametrize("options", [{"variant": v} for v in VARIANTS] + [{"supervision": "full"}])
def test_gradients(options: dict[str, str]) -> None:
    assert differentiable(small(**options), drawn(2, [(6, 2, 1, 3), (4, 3, 0, 1)], DIM))


@pytest.mark.parametrize("supervision", ["weak", "full"])
def test_alone_padded_and_in_any_place(supervision: Any) -> None:
    alone_and_together(MSA(DIM, Options(supervision=supervision, hidden=8, **SIZES)), DIM)  # type: ignore[arg-type]


def test_bf16() -> None:
    runs_in_bf16(MSA(DIM, Options(hidden=8, **SIZES)), DIM)  # type: ignore[arg-type]


def test_the_papers_hyperparameters_are_the_defaults() -> None:
    assert Options() == Options("weak", "complete", True, 0.3, 100, 128, 3, 8, 32, 2, 32, 10.0, 64, 0.4, 0.2)
    attention = MSA(500, Options()).multiscale
    table = [(c.kernel_size[0], c.dilation[0], c.out_channels) for c in attention.of_query]
    assert table == [(1, 1, 256), (3, 1, 256), (3, 2, 256), (3, 3, 256), (3, 4, 256)]  # Table 1: 8 heads of 32 each
    base = MSA(500, Options(variant="base")).multiscale.of_reference
    assert [(c.kernel_size[0], c.dilation[0]) for c in base] == [(3, 1)] * 5
    assert not Method(Options(), 0).needs_targets() and Method(Options(supervision="full"), 0).needs_targets()


@pytest.mark.parametrize("wrong", [{"co_attention": False}, {"kernel": 2}, {"alpha": 1.5}, {"hidden": 0}])
def test_options_that_cannot_be_are_named(wrong: Any) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Options(**wrong)


def learner(dim: int, **changes: Any) -> MSA:
    sizes = {"hidden": 16, "heads": 2, "kernels": 8, "self_heads": 1, "self_size": 8}
    return MSA(dim, Options(**{"supervision": "full", **sizes, **PLAIN, **changes}))  # type: ignore[arg-type]


def test_it_learns_to_answer() -> None:
    learns_to_answer(learner, steps=60)


def test_it_learns_from_labels_alone() -> None:
    """By cross entropy: the co-attention loss has something to teach without them."""
    learns_from_labels_alone(lambda dim: learner(dim, co_attention=False), steps=60)


def test_it_learns_without_a_target() -> None:
    """The co-attention loss alone finds what the query and a part of the reference share, where features are alike."""
    torch.manual_seed(0)
    seen, new = world(2, 192, appearance=0.0), world(3, 96, appearance=0.0)
    network = learner(len(seen[0][0][0]), supervision="weak")
    before = float(scored(network, new).mean())
    blind = [(video, query, -1, -1) for video, query, _, _ in seen]
    after = float(scored(trained(network, blind, 80, 0.01), new).mean())
    assert after > 0.5 > 0.3 > before


@pytest.mark.parametrize(("world", "is_the_truth_better"), [
    ({}, False),
    ({"appearance": 0, "scenes": 0, "distractors": 0}, False),
    ({"noise": 1.4, "appearance": 0}, True),
])  # fmt: skip
def test_where_two_single_rows_please_the_loss_more_than_the_truth(
    world: dict[str, Any], is_the_truth_better: bool
) -> None:
    """docs/methods/msa.md: the first row as action and the last as background, for which no query need be read."""
    places = [(f"{k}{n}", f"class {k}", 10 + 5 * ((k + n) % 6)) for k in range(16) for n in range(2)]
    videos = [Video(name, 60.0, "train", (Instance(at, at + 15.0, label),)) for name, label, at in places]
    made = World(WorldOptions(**({"dim": 128} | world)), {}, videos)
    losses = []
    for (name, _, at), (other, _, asked) in zip(places, [places[i ^ 1] for i in range(len(places))], strict=True):
        rows, first, last = torch.from_numpy(made.read(name)), at * 15 // 8, (at + 15) * 15 // 8
        query = torch.from_numpy(made.read(other, asked * 15 // 8, (asked + 15) * 15 // 8)).mean(0)  # (D,)
        outside = torch.cat((rows[:first], rows[last:])).mean(0)
        found = ((rows[first:last].mean(0), outside), (rows[0], rows[-1]))
        losses.append([float(co_attention(query[None], a[None], b[None], 0.3)) for a, b in found])
    truth, two_rows = np.mean(losses, axis=0)
    assert (truth < two_rows - 0.02) if is_the_truth_better else (two_rows < truth - 0.02), (truth, two_rows)

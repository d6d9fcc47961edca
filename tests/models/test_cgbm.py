"""Cross gated bilinear matching against its plain twin, its masks, and what it can learn."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch

from activity_bench.models.cgbm import CGBM, Options
from tests.models.networks import (
    alone_and_together,
    differentiable,
    learns_from_labels_alone,
    learns_to_answer,
    runs_in_bf16,
    weights_of,
)
from tests.models.pairs import ODD, batch_of, drawn
from tests.reference import cgbm as twin

pytestmark = pytest.mark.quick

DIM = 5
VARIANTS = get_args(get_type_hints(Options)["variant"])


def small(variant: str = "complete", **changes: Any) -> CGBM:
    torch.manual_seed(0)
    sizes = {"hidden": 4, "rank": 3, "longest": 6, "dropout_video": 0.0, "dropout_match": 0.0, **changes}
    network = CGBM(DIM, Options(variant=variant, **sizes)).double()  # type: ignore[arg-type]
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.7)  # no zero bias, so that none is forgotten unseen
    return network


@pytest.mark.parametrize("variant", VARIANTS)
def test_equations(variant: str) -> None:
    network, pairs = small(variant), drawn(1, ODD, DIM)
    batch = batch_of(pairs, rows=14, query_rows=7)
    outputs = network(batch, attention=True)
    gated, bilinear = variant in ("gating", "complete"), variant in ("bilinear", "complete")
    losses = []
    first, last, score = network.decode(outputs, batch)
    for i, (video, query, start, end) in enumerate(pairs):
        log_p, attention = twin.log_p(video.numpy(), query.numpy(), weights_of(network), 3, gated, bilinear)
        n, m = len(video), len(query)
        np.testing.assert_allclose(outputs.log_p[i, :n].detach(), log_p, atol=1e-6)
        np.testing.assert_allclose(outputs.attention[i, :, :n, :m].detach(), attention, atol=1e-9)
        losses.append(twin.loss(log_p, start, end - 1))
        assert (int(first[i]), int(last[i])) == twin.best(log_p, 6)[:2]
        assert float(score[i].detach()) == pytest.approx(twin.best(log_p, 6)[2], rel=1e-6)
    assert float(network.loss(outputs, batch).detach()) == pytest.approx(np.mean(losses), abs=1e-6)


def test_attention_is_kept_on_request_alone() -> None:
    batch = batch_of(drawn(1, ODD, DIM))
    assert small()(batch).attention is None
    shares = small()(batch, attention=True).attention.sum(-1)[batch.video_mask[:, None].expand(-1, 2, -1)]
    torch.testing.assert_close(shares, torch.ones_like(shares))


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients(variant: str) -> None:
    assert differentiable(small(variant), drawn(2, [(4, 2, 1, 3), (3, 3, 0, 1)], DIM))


def test_alone_padded_and_in_any_place() -> None:
    alone_and_together(CGBM(DIM, Options(hidden=8)), DIM)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch's own, while it compiles
def test_a_compiled_step_says_the_same() -> None:
    network, batch = small().float(), batch_of(drawn(3, ODD[:3], DIM, torch.float32))
    expected = network(batch).log_p
    network.compile(backend="aot_eager")
    torch.testing.assert_close(network(batch).log_p, expected)


def test_bf16() -> None:
    runs_in_bf16(CGBM(DIM, Options(hidden=8)), DIM)


def test_the_papers_hyperparameters_are_the_defaults() -> None:
    network = CGBM(500, Options())
    assert Options() == Options("complete", 128, 8, 10.0, 64, 0.4, 0.2)
    factors = sum(p.numel() for p in network.match.factors.parameters())
    assert factors == 8 * 128 * (128 + 1)  # section 3.2: k x l x (l + 1)
    forget = slice(128, 256)
    assert network.video.bias_ih_l0[forget].eq(1).all() and network.match.aggregate.bias[:, forget].eq(1).all()


PLAIN = {"hidden": 16, "dropout_video": 0.0, "dropout_match": 0.0}


def test_it_learns_to_answer() -> None:
    learns_to_answer(lambda dim: CGBM(dim, Options(**PLAIN)), steps=60)


def test_it_learns_from_labels_alone() -> None:
    learns_from_labels_alone(lambda dim: CGBM(dim, Options(**PLAIN)), steps=60)

"""Local and additive attention: the same numbers by pieces as at once, and rows that see what they should."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from activity_bench.training.blocks import additive, local_attention
from activity_bench.training.blocks.additive import Aggregation, additive_scores
from activity_bench.training.blocks.local_attention import MultiHead
from tests.models.networks import weights_of
from tests.reference import sail as twin

pytestmark = pytest.mark.quick

counts = st.lists(st.integers(1, 40), min_size=1, max_size=3)


def rows(lengths: list[int], size: int, seed: int = 0, more: int = 2) -> tuple[Tensor, Tensor]:
    """Noise, also where it is padding, and its mask."""
    chance = torch.Generator().manual_seed(seed)
    mask = torch.arange(max(lengths) + more) < torch.tensor(lengths)[:, None]
    return torch.randn(*mask.shape, size, generator=chance, dtype=torch.float64), mask


# ---- near by --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direct", [0, 200], ids=["by blocks", "at once"])
@given(lengths=counts, window=st.integers(1, 12), block=st.sampled_from([1, 3, 8]))
def test_rows_see_the_rows_near_by(direct: int, lengths: list[int], window: int, block: int) -> None:
    torch.manual_seed(0)
    attention = MultiHead(6, 2).double()
    x, mask = rows(lengths, 6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_attention, "DIRECT", direct)
        patch.setattr(local_attention, "BLOCK", block)
        found = attention(x, x, mask, window)
    assert found.isfinite().all()  # padding, too, so that its gradients are
    weights = {f"a.{name}": value for name, value in weights_of(attention).items()}
    for i, n in enumerate(lengths):
        expected = twin.multi_head(x[i, :n].numpy(), x[i, :n].numpy(), weights, "a", 2, window)
        np.testing.assert_allclose(found[i, :n].detach(), expected, atol=1e-12)


def test_a_window_of_all_rows_is_none() -> None:
    torch.manual_seed(0)
    attention = MultiHead(6, 2).double()
    x, mask = rows([9, 4], 6, more=0)
    torch.testing.assert_close(attention(x, x, mask, 8)[mask], attention(x, x, mask)[mask])


def test_long_rows_are_cut_and_no_gradient_is_lost() -> None:
    """More rows than are ever taken at once, by the sizes that are used, with padding in the last block."""
    q, k, v = (rows([430, 420], 4, seed)[0][:, None].requires_grad_() for seed in range(3))
    mask = rows([430, 420], 4)[1]
    at_once, by_blocks = (both(q, k, v, mask, direct) for direct in (10_000, 200))
    for whole, cut in zip(at_once, by_blocks, strict=True):
        torch.testing.assert_close(whole, cut, atol=1e-12, rtol=1e-9)


def both(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, direct: int) -> list[Tensor]:
    """What rows see, and the gradients by all three."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_attention, "DIRECT", direct)
        seen = local_attention.local_attention(q, k, v, mask, 8)
    real = seen.masked_fill(~mask[:, None, :, None], 0)
    return [real, *torch.autograd.grad(real.square().sum(), (q, k, v))]


# ---- from here on, up to here ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [True, False])
@given(lengths=counts)
def test_context(ahead: bool, lengths: list[int]) -> None:
    torch.manual_seed(0)
    context = Aggregation(5, ahead).double()
    h, mask = rows(lengths, 5)
    found = context(h, mask)
    assert found.isfinite().all()
    weights = {f"a.{name}": value for name, value in weights_of(context).items()}
    for i, n in enumerate(lengths):
        real = h[i, :n].numpy()
        expected = twin.aggregation(real, weights, "a", lambda row, n=n: range(row, n) if ahead else range(row + 1))
        np.testing.assert_allclose(found[i, :n].detach(), expected, atol=1e-12)
        alone = n - 1 if ahead else 0
        torch.testing.assert_close(found[i, alone], h[i, alone])  # nothing after the last row, nothing before the first


@pytest.mark.parametrize("ahead", [True, False])
@pytest.mark.parametrize("room", [1, 200, 2000, 10**6], ids=["a row", "some rows", "some samples", "all"])
def test_scores_by_pieces_are_those_at_once(ahead: bool, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(additive, "CACHED", room)
    x, y, w = inputs(4, 11, 5)
    found = additive_scores(x, y, w, ahead)
    scores = torch.tanh(x[:, :, None] + y[:, None]) @ w
    asked = torch.ones(11, 11, dtype=torch.bool)
    asked = asked.triu() if ahead else asked.tril()
    assert found[:, ~asked].eq(float("-inf")).all()
    torch.testing.assert_close(found[:, asked], scores[:, asked])
    some = torch.randn_like(scores)
    ours, plain = (
        torch.autograd.grad((table[:, asked] * some[:, asked]).sum(), (x, y, w)) for table in (found, scores)
    )
    torch.testing.assert_close(ours, plain)


@pytest.mark.parametrize("ahead", [True, False])
def test_gradients_of_scores(ahead: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(additive, "CACHED", 40)
    assert torch.autograd.gradcheck(lambda *some: additive_scores(*some, ahead).softmax(-1), inputs(2, 5, 3))


def test_scores_stay_exact_in_half_precision() -> None:
    x, y, w = (tensor.detach().float() for tensor in inputs(2, 6, 4))
    with torch.autocast("cpu", torch.bfloat16):
        found = additive_scores(x, y, w, True)
    assert torch.equal(found, additive_scores(x, y, w, True))


def inputs(batch: int, n: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    shapes = ((batch, n, size), (batch, n, size), (size,))
    x, y, w = (torch.randn(shape, dtype=torch.float64).requires_grad_() for shape in shapes)
    return x, y, w

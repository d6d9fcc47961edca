"""What every network is asked: the same answer alone and in a batch, true gradients, and to learn what is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from activity_bench.training.batches import PairBatch
from tests.models.pairs import ODD, Pair, batch_of, drawn, ious, world

CLOSE = 1e-5


def weights_of(network: nn.Module) -> dict[str, Any]:
    """Every parameter as a float64 array."""
    return {name: value.detach().double().numpy() for name, value in network.named_parameters()}


def alone_and_together(network: Any, dim: int) -> None:
    """A sample has one answer: alone, padded further, and in every place of a batch."""
    network.eval()
    pairs = drawn(4, ODD, dim, torch.float32)
    with torch.inference_mode():
        answers = [_answers(network, batch_of([pair])) for pair in pairs]
        for order, more in ((range(len(pairs)), 0), (range(len(pairs))[::-1], 20)):
            together = _answers(network, batch_of([pairs[i] for i in order], rows=more, query_rows=more))
            for place, i in enumerate(order):
                for found, expected in zip(together, answers[i], strict=True):
                    torch.testing.assert_close(found[place], expected[0], atol=CLOSE, rtol=CLOSE)


def _answers(network: Any, batch: PairBatch) -> Sequence[Tensor]:
    return tuple(network.decode(network(batch), batch))


def differentiable(network: Any, pairs: Sequence[Pair]) -> bool:
    """Gradients of the loss by the features and by every parameter, against finite differences; none is left out."""
    batch = batch_of(pairs)
    _Loss(network)(batch).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())

    def loss(video: Tensor, query: Tensor, *values: Tensor) -> Tensor:
        filled = replace(batch, video=video, query=query)
        output = torch.func.functional_call(_Loss(network), dict(zip(names, values, strict=True)), (filled,))
        assert isinstance(output, Tensor)
        return output

    named = dict(_Loss(network).named_parameters())
    names = list(named)
    inputs = (batch.video, batch.query, *(value.detach() for value in named.values()))
    return torch.autograd.gradcheck(loss, [value.clone().requires_grad_() for value in inputs], fast_mode=True)


class _Loss(nn.Module):
    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: PairBatch) -> Tensor:
        torch.manual_seed(0)  # of what is drawn in a loss
        loss = self.network.loss(self.network(batch), batch)
        assert isinstance(loss, Tensor)
        return loss


def runs_in_bf16(network: Any, dim: int) -> None:
    """Half precision in the forward pass gives about the same loss, and finite gradients."""
    batch = batch_of(drawn(5, ODD, dim, torch.float32))
    network.eval()
    torch.manual_seed(0)
    expected = network.loss(network(batch), batch)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        found = network.loss(network(batch), batch)
    torch.testing.assert_close(found.float(), expected, rtol=0.1, atol=0.02)
    found.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


def trained(network: Any, pairs: Sequence[Pair], steps: int, lr: float = 0.01, size: int = 32) -> Any:
    """A bare loop of Adam."""
    chance = torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(network.parameters(), lr)
    network.train()
    for _ in range(steps):
        chosen = torch.randperm(len(pairs), generator=chance)[:size].tolist()
        batch = batch_of([pairs[i] for i in chosen])
        optimiser.zero_grad()
        network.loss(network(batch), batch).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
    return network


def scored(network: Any, pairs: Sequence[Pair]) -> Tensor:
    """The IoU of every answer. (B,)"""
    network.eval()
    batch = batch_of(pairs)
    with torch.inference_mode():
        first, last, _ = network.decode(network(batch), batch)
    return ious(first, last, batch)


def learns_to_answer(make: Callable[[int], Any], steps: int, lr: float = 0.02, above: float = 0.9) -> None:
    """Eight pairs seen often enough are answered right, most of them."""
    torch.manual_seed(0)
    pairs = world(1, 8)
    found = scored(trained(make(pairs[0][0].shape[1]), pairs, steps, lr), pairs)
    assert int((found > above).sum()) >= 6, found


def learns_from_labels_alone(make: Callable[[int], Any], steps: int, lr: float = 0.02, others: bool = True) -> None:
    """New pairs are answered well after training on true targets, and as by chance after training on those of other
    pairs: nothing but the labels can teach."""
    seen, new = world(2, 192, others), world(3, 96, others)
    scores = []
    for pairs in (seen, shuffled(seen)):
        torch.manual_seed(0)
        scores.append(float(scored(trained(make(seen[0][0].shape[1]), pairs, steps, lr), new).mean()))
    true, false = scores
    assert true > 0.7, scores
    assert false < 0.45, scores  # one of the two activities at the best, or one place for all


def shuffled(pairs: Sequence[Pair]) -> list[Pair]:
    """Each pair with the target of another, where it fits; else with its first rows."""
    targets = [pair[2:] for pair in pairs]
    moved = zip(pairs, targets[7:] + targets[:7], strict=True)
    return [(v, q, a, b) if b <= len(v) else (v, q, 0, b - a) for (v, q, _, _), (a, b) in moved]

"""What every network is asked: the same answer alone and in a batch, true gradients, and to learn what is there.

`kind` is the module that makes the questions: `pairs`, asked by clip, or `images`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from tests.models import pairs as clips

CLOSE = 1e-5


def weights_of(network: nn.Module) -> dict[str, Any]:
    """Every parameter as a float64 array."""
    return {name: value.detach().double().numpy() for name, value in network.named_parameters()}


def alone_and_together(network: Any, dim: Any, kind: ModuleType = clips) -> None:
    """A sample has one answer: alone, padded further, and in every place of a batch."""
    network.eval()
    pairs = kind.drawn(4, kind.ODD, dim, torch.float32)
    with torch.inference_mode():
        answers = [_answers(network, kind.batch_of([pair])) for pair in pairs]
        for order, more in ((range(len(pairs)), 0), (range(len(pairs))[::-1], 20)):
            together = _answers(network, kind.batch_of([pairs[i] for i in order], rows=more, query_rows=more))
            for place, i in enumerate(order):
                for found, expected in zip(together, answers[i], strict=True):
                    torch.testing.assert_close(found[place], expected[0], atol=CLOSE, rtol=CLOSE)


def _answers(network: Any, batch: Any) -> Sequence[Tensor]:
    return tuple(network.decode(network(batch), batch))


def differentiable(network: Any, pairs: Sequence[Any], kind: ModuleType = clips) -> bool:
    """Gradients of the loss by the features and by every parameter, against finite differences; none is left out."""
    batch = kind.batch_of(pairs)
    _Loss(network)(batch).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())

    def loss(*values: Tensor) -> Tensor:
        filled = replace(batch, **dict(zip(kind.INPUTS, values, strict=False)))
        weights = dict(zip(named, values[len(kind.INPUTS) :], strict=True))
        output = torch.func.functional_call(_Loss(network), weights, (filled,))
        assert isinstance(output, Tensor)
        return output

    named = dict(_Loss(network).named_parameters())
    inputs = (*(getattr(batch, name) for name in kind.INPUTS), *(value.detach() for value in named.values()))
    return torch.autograd.gradcheck(loss, [value.clone().requires_grad_() for value in inputs], fast_mode=True)


class _Loss(nn.Module):
    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Any) -> Tensor:
        torch.manual_seed(0)  # of what is drawn in a loss
        loss = self.network.loss(self.network(batch), batch)
        assert isinstance(loss, Tensor)
        return loss


def runs_in_bf16(network: Any, dim: Any, kind: ModuleType = clips) -> None:
    """Half precision in the forward pass gives about the same loss, and finite gradients."""
    batch = kind.batch_of(kind.drawn(5, kind.ODD, dim, torch.float32))
    network.eval()
    torch.manual_seed(0)
    expected = network.loss(network(batch), batch)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        found = network.loss(network(batch), batch)
    torch.testing.assert_close(found.float(), expected, rtol=0.1, atol=0.02)
    found.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


def trained(
    network: Any, pairs: Sequence[Any], steps: int, lr: float = 0.01, size: int = 32, kind: ModuleType = clips
) -> Any:
    """A bare loop of Adam."""
    chance = torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(network.parameters(), lr)
    network.train()
    for _ in range(steps):
        chosen = torch.randperm(len(pairs), generator=chance)[:size].tolist()
        batch = kind.batch_of([pairs[i] for i in chosen])
        optimiser.zero_grad()
        network.loss(network(batch), batch).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
    return network


def scored(network: Any, pairs: Sequence[Any], kind: ModuleType = clips) -> Tensor:
    """The IoU of every answer. (B,)"""
    network.eval()
    batch = kind.batch_of(pairs)
    with torch.inference_mode():
        first, last, _ = network.decode(network(batch), batch)
    return clips.ious(first, last, batch)


def learns_to_answer(
    make: Callable[..., Any], steps: int, lr: float = 0.02, above: float = 0.9, kind: ModuleType = clips
) -> None:
    """Eight pairs seen often enough are answered right, most of them."""
    torch.manual_seed(0)
    pairs = kind.world(1, 8)
    found = scored(trained(make(*kind.dims(pairs[0])), pairs, steps, lr, kind=kind), pairs, kind)
    assert int((found > above).sum()) >= 6, found


def learns_from_labels_alone(
    make: Callable[..., Any], steps: int, lr: float = 0.02, others: bool = True, kind: ModuleType = clips
) -> None:
    """New pairs are answered well after training on true targets, and as by chance after training on those of other
    pairs: nothing but the labels can teach."""
    seen, new = kind.world(2, 192, others), kind.world(3, 96, others)
    scores = []
    for pairs in (seen, shuffled(seen)):
        torch.manual_seed(0)
        network = trained(make(*kind.dims(seen[0])), pairs, steps, lr, kind=kind)
        scores.append(float(scored(network, new, kind).mean()))
    true, false = scores
    assert true > 0.7, scores
    assert false < 0.45, scores  # one of the two activities at the best, or one place for all


def shuffled(pairs: Sequence[Any]) -> list[Any]:
    """Each pair with the target of another, where it fits; else with its first rows."""
    targets = [pair[2:] for pair in pairs]
    moved = zip(pairs, targets[7:] + targets[:7], strict=True)
    return [(v, q, a, b) if b <= len(v) else (v, q, 0, b - a) for (v, q, _, _), (a, b) in moved]

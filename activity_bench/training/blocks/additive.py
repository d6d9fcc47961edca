"""Additive attention of every row on the rows after it, or before it, in memory no larger than its scores (B, N, N).

The scores w tanh(W1 h_i + W2 h_t) of all pairs of rows pass through a tensor (B, N, N, d), 2.6 GB at 64 x 200 rows of
256 numbers, which would be kept for the backward pass. Here it is made a few rows at a time, small enough for the
processor's cache, thrown away, and made again for the backward pass; pairs that are not asked for are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

CACHED, ON_A_GPU = 2**18, 2**26  # numbers of (b, i, t, d) at once: 1 MiB, 256 MiB
STEPS = 8  # of rows at least, so that about half of the pairs can be left out


class _Scores(torch.autograd.Function):
    """w tanh(x_i + y_t), for t >= i, or for t <= i; minus infinity elsewhere."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, w: Tensor, ahead: bool) -> Tensor:
        ctx.save_for_backward(x, y, w)
        ctx.ahead = ahead
        scores = x.new_empty(len(x), x.shape[1], x.shape[1])  # (B, N, N)
        for at, i, t in _pieces(x, ahead):
            scores[at, i, t] = _tanh_of_sums(x[at, i], y[at, t]) @ w
        asked = torch.ones(scores.shape[1:], dtype=torch.bool, device=x.device)
        return scores.masked_fill_(~(asked.triu() if ahead else asked.tril()), float("-inf"))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, y, w = ctx.saved_tensors
        grad = grad.triu() if ctx.ahead else grad.tril()  # (B, N, N)
        grad_x, grad_y, grad_w = (torch.zeros_like(tensor) for tensor in (x, y, w))
        for at, i, t in _pieces(x, ctx.ahead):
            tanh, part = _tanh_of_sums(x[at, i], y[at, t]), grad[at, i, t]  # (b, i, t, d), (b, i, t)
            grad_w += part.reshape(-1) @ tanh.flatten(0, 2)
            curved = tanh.square_().mul_(part[..., None])  # tanh' is 1 - tanh²; w and the sums of 1 wait till the end
            grad_x[at, i] -= curved.sum(2)
            grad_y[at, t] -= curved.sum(1)
        grad_x += grad.sum(2)[..., None]
        grad_y += grad.sum(1)[..., None]
        return grad_x * w, grad_y * w, grad_w, None


def _tanh_of_sums(x: Tensor, y: Tensor) -> Tensor:
    """(b, i, d), (b, t, d) -> (b, i, t, d)"""
    return (x[:, :, None] + y[:, None]).tanh_()


def _pieces(x: Tensor, ahead: bool) -> Iterator[tuple[slice, slice, slice]]:
    """Samples, rows i and rows t, piece by piece: all pairs that are asked for, and few that are not. (B, N, d)"""
    batch, n, size = x.shape
    room = max(1, (CACHED if x.device.type == "cpu" else ON_A_GPU) // (n * size))  # rows i of one sample, or of several
    step = min(room, -(-n // STEPS))
    samples = max(1, room // step)
    for b in range(0, batch, samples):
        for i in range(0, n, step):
            yield slice(b, b + samples), slice(i, i + step), slice(i, n) if ahead else slice(0, i + step)


def additive_scores(x: Tensor, y: Tensor, w: Tensor, ahead: bool) -> Tensor:
    """w tanh(x_i + y_t) of the pairs t >= i (`ahead`) or t <= i, else minus infinity. (B, N, d), (B, N, d), (d,) ->
    (B, N, N); in float32 at least, also where the forward pass is in half precision."""
    exact = torch.promote_types(x.dtype, torch.float32)
    with torch.autocast(x.device.type, enabled=False):
        scores: Tensor = _Scores.apply(x.to(exact), y.to(exact), w.to(exact), ahead)  # type: ignore[no-untyped-call]
    return scores


class Aggregation(nn.Module):
    """Each row's context: the rows from it on, or up to it, itself among them, under additive attention
    (IJCAI 2019, section 4.4)."""

    def __init__(self, dim: int, ahead: bool) -> None:
        super().__init__()
        self.ahead = ahead
        self.w1 = nn.Linear(dim, dim, bias=False)
        self.w2 = nn.Linear(dim, dim, bias=False)
        self.w = nn.Linear(dim, 1, bias=False)

    def forward(self, h: Tensor, mask: Tensor) -> Tensor:
        """(B, N, d), (B, N) -> (B, N, d)"""
        scores = additive_scores(self.w1(h), self.w2(h), self.w.weight[0], self.ahead)  # (B, N, N), a_it
        itself = torch.eye(h.shape[1], dtype=torch.bool, device=h.device)  # so that padding, too, sees something
        alpha = scores.masked_fill(~(mask[:, None] | itself), float("-inf")).softmax(-1)  # (B, N, N)
        return alpha.to(h.dtype) @ h

"""Attention: which rows of one sequence matter to a row of another."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def closed(mask: Tensor) -> Tensor:
    """What is added to scores before a softmax: 0 where a row is real, minus infinity where it is not."""
    return torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, float("-inf"))


def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent; compiled, by the logistic function, since the compiler's own takes four times as long on
    a CPU."""
    return 2 * torch.sigmoid(2 * x) - 1 if torch.compiler.is_compiling() else torch.tanh(x)


class SelfAttention(nn.Module):
    """Scaled dot-product attention of a sequence on itself, several heads side by side (AAAI 2020, Eqs. 1 to 3)."""

    def __init__(self, dim: int, heads: int, size: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(dim, 3 * heads * size, bias=False)  # W^Q, W^K, W^V of every head

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, N, D), (B, N) -> (B, N, heads * size)"""
        batch, rows, _ = x.shape
        q, k, v = self.project(x).view(batch, rows, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, heads, N, size)
        seen = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])  # Eq. 3
        return seen.transpose(1, 2).reshape(batch, rows, -1)  # Eq. 1

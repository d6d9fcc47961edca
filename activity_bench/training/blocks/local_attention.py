"""Multi-head attention, on any rows or on the rows near by (IJCAI 2019, sections 3 and 4.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

DIRECT = 200  # rows up to which one masked table of all pairs is no slower
BLOCK = 32  # beyond, rows that share what they see; twice the window where that is more


class MultiHead(nn.Module):
    """MultiHead(Q, K, V) with K = V: heads of `dim / heads` numbers side by side, and a projection of what they saw."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim, bias=False)  # W^q of every head
        self.key_value = nn.Linear(dim, 2 * dim, bias=False)  # W^k and W^v of every head
        self.out = nn.Linear(dim, dim, bias=False)  # W^o

    def forward(self, x: Tensor, seen: Tensor, mask: Tensor, window: int | None = None) -> Tensor:
        """Rows ask (B, N, d), of what is seen (B, M, d) where it is real (B, M); with a window, M = N, and a row sees
        the rows at most that far from it. -> (B, N, d)"""
        q = self.query(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, N, size)
        k, v = self.key_value(seen).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, heads, M, size)
        if window is None:
            found = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None])
        else:
            found = local_attention(q, k, v, mask, window)
        projected: Tensor = self.out(found.transpose(1, 2).flatten(2))
        return projected


def local_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, window: int) -> Tensor:
    """DotAtten of row i on rows i - w to i + w. (B, heads, N, size) each, (B, N) -> (B, heads, N, size)

    Long sequences are cut into blocks of rows, which share the rows that any of them sees; no table is larger than
    N (block + 2 w). Rows of padding see themselves, so that nothing is divided by nothing.
    """
    n = q.shape[2]
    block = max(BLOCK, 2 * window)
    if n <= max(DIRECT, block + 2 * window):
        rows = torch.arange(n, device=q.device)
        near = (rows[:, None] - rows).abs() <= window  # (N, N)
        itself = torch.eye(n, dtype=torch.bool, device=q.device)
        open_ = (near & mask[:, None] | itself)[:, None]  # (B, 1, N, N)
        return nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=open_)
    return _banded(q, k, v, mask, window, block)


def _banded(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, window: int, block: int) -> Tensor:
    """The same, by blocks."""
    batch, heads, n, size = q.shape
    wide, after = block + 2 * window, -n % block + window  # rows that a block sees; padding behind the last
    blocks = -(-n // block)

    def cut(x: Tensor) -> Tensor:  # (B, heads, N, size) -> (B blocks, heads, wide, size)
        padded = nn.functional.pad(x, (0, 0, window, after))
        return padded.unfold(2, wide, block).permute(0, 2, 1, 4, 3).flatten(0, 1)

    rows, seen = torch.arange(block, device=q.device), torch.arange(wide, device=q.device) - window
    real = nn.functional.pad(mask, (window, after)).unfold(1, wide, block)[:, :, None]  # (B, blocks, 1, wide)
    away = seen - rows[:, None]  # (block, wide): from a row to what it may see
    open_ = ((away.abs() <= window) & real | (away == 0)).flatten(0, 1)[:, None]  # (B blocks, 1, block, wide)
    asked = nn.functional.pad(q, (0, 0, 0, -n % block)).view(batch, heads, blocks, block, size)
    asked = asked.transpose(1, 2).flatten(0, 1)  # (B blocks, heads, block, size)
    found = nn.functional.scaled_dot_product_attention(asked, cut(k), cut(v), attn_mask=open_)
    return found.view(batch, blocks, heads, block, size).transpose(1, 2).flatten(2, 3)[:, :, :n]

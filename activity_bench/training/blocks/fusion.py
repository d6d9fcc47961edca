"""Two vectors as one: what each says, where they agree, and where they differ."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Fusion(nn.Module):
    """tanh(W_f [a; b; a * b; a - b] + b_f): IJCAI 2019, section 4.3, after Mou et al., 2016."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(4 * size, size)  # W_f and b_f

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """(…, d) twice -> (…, d)"""
        return torch.tanh(self.linear(torch.cat((a, b, a * b, a - b), dim=-1)))

"""Recurrence over padded rows: a sample's answer must not depend on the rows that pad it.

Padding stands at the end, so a network that reads forwards meets it last, and its real rows need no mask. What reads
backwards is given the real rows in reverse, padding still last.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def reverse(x: Tensor, mask: Tensor) -> Tensor:
    """The real rows last to first, the padding where it was; its own inverse. (B, N, D), (B, N) -> (B, N, D)"""
    rows = torch.arange(x.shape[1], device=x.device)  # (N,)
    count = mask.sum(1, keepdim=True)  # (B, 1)
    order = torch.where(mask, count - 1 - rows, rows)  # (B, N)
    return x.gather(1, order[:, :, None].expand_as(x))


def last_row(x: Tensor, mask: Tensor) -> Tensor:
    """The last real row of each sample. (B, N, D), (B, N) -> (B, D)"""
    last = (mask.sum(1) - 1).clamp(min=0)  # (B,)
    return x[torch.arange(len(x), device=x.device), last]


def lstm_gates(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The state that an LSTM's summed gates lead to, in torch's order of gates. (…, 4 l), (…, l) -> h, c: (…, l)"""
    i, f, g, o = gates.chunk(4, dim=-1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


class BiLSTM(nn.Module):
    """Two LSTMs, one of which reads backwards; their states side by side."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.forwards = nn.LSTM(dim, hidden, batch_first=True)
        self.backwards = nn.LSTM(dim, hidden, batch_first=True)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, N, D), (B, N) -> (B, N, 2 l)"""
        ahead: Tensor = self.forwards(x)[0]  # (B, N, l)
        back: Tensor = self.backwards(reverse(x, mask))[0]  # (B, N, l), last row first
        return torch.cat((ahead, reverse(back, mask)), dim=-1)


class TwoWayLSTMCell(nn.Module):
    """One step of two LSTMs with weights of their own, computed together: direction 0 and direction 1."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(2, dim + hidden, 4 * hidden))  # of the input, then of the state
        self.bias = nn.Parameter(torch.empty(2, 4 * hidden))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 2, D), (B, 2, l), (B, 2, l) -> h, c: (B, 2, l)"""
        seen = torch.cat((x, h), dim=-1).transpose(0, 1)  # (2, B, D + l)
        gates = torch.bmm(seen, self.weight).transpose(0, 1) + self.bias  # (B, 2, 4 l)
        return lstm_gates(gates, c)


@torch.no_grad()
def start_as_tensorflow(network: nn.Module) -> None:
    """TensorFlow 1's defaults, for methods whose released code is written in it: Glorot-uniform weights, zero biases,
    and forget gates that start open (bias 1)."""
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if "bias" in name:
                nn.init.zeros_(parameter)
            else:  # leading dimensions count matrices, as in `TwoWayLSTMCell`
                fan = parameter.shape[-1] + parameter.shape[-2]
                nn.init.uniform_(parameter, -((6 / fan) ** 0.5), (6 / fan) ** 0.5)
        if isinstance(module, nn.LSTM | TwoWayLSTMCell):
            bias = module.bias_ih_l0 if isinstance(module, nn.LSTM) else module.bias
            assert isinstance(bias, Tensor)
            bias.chunk(4, dim=-1)[1].fill_(1.0)

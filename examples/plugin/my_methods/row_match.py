"""A small network: how alike the clip and each row of the video are, and the stretch that this speaks for."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from activity_bench.training.batches import PairBatch
from activity_bench.training.blocks.decoding import most_likely_run
from activity_bench.training.method import TrainedMethod
from activity_bench.training.options import TrainOptions


@dataclass(frozen=True)
class Options:
    """The network's own; those of the engine (batch, steps, lr, …) are in `defaults`, below."""

    hidden: int = field(default=64, metadata={"help": "numbers that a row is projected to"})


class RowMatch(nn.Module):
    """Made as network(dim, options); the engine calls forward, loss and decode."""

    def __init__(self, dim: int, options: Options) -> None:
        super().__init__()
        self.project = nn.Linear(dim, options.hidden)
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, batch: PairBatch) -> Tensor:
        """A logit for each row: is it a part of the target? (B, N)"""
        usual = mean(batch.video, batch.video_mask)  # (B, D): what the whole video looks like says nothing
        clip = self.project(mean(batch.query, batch.query_mask) - usual)  # (B, H)
        rows = self.project(batch.video - usual[:, None])  # (B, N, H)
        return torch.einsum("bnh,bh->bn", rows, clip) + self.bias

    def loss(self, logits: Tensor, batch: PairBatch) -> Tensor:
        """Binary cross-entropy over the real rows, the mean over the batch. ()"""
        row = torch.arange(logits.shape[1], device=logits.device)  # (N,)
        inside = (row >= batch.first[:, None]) & (row < batch.last[:, None])  # (B, N)
        each = nn.functional.binary_cross_entropy_with_logits(logits, inside.to(logits.dtype), reduction="none")
        return ((each * batch.video_mask).sum(1) / batch.video_mask.sum(1)).mean()

    def decode(self, logits: Tensor, batch: PairBatch) -> tuple[Tensor, Tensor, Tensor]:
        """First row, last row and score of the answer: (B,) each."""
        return most_likely_run(logits, batch.video_mask)


def mean(rows: Tensor, mask: Tensor) -> Tensor:
    """Over the real rows. (B, N, D), (B, N) -> (B, D)"""
    return (rows * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


class Method(TrainedMethod):
    """What the entry point names."""

    network = RowMatch
    options_class = Options
    defaults = TrainOptions(batch=64, steps=300)

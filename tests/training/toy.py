"""A network small enough to watch: each row of the video against the mean of the clip, then the best stretch."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from activity_bench.training.batches import PairBatch
from activity_bench.training.method import TrainedMethod
from activity_bench.training.options import TrainOptions


@dataclass(frozen=True)
class Options:
    """The toy's own options."""

    hidden: int = field(default=8, metadata={"help": "numbers a row is projected to"})
    dropout: float = field(default=0.2, metadata={"help": "of the projected rows"})


@dataclass
class Outputs:
    inside: Tensor  # (B, N) how much a row belongs to the target; the mask's rows alone count


class Toy(nn.Module):
    """Similarity of projected rows to the projected clip."""

    def __init__(self, dim: int, options: Options) -> None:
        super().__init__()
        self.project = nn.Linear(dim, options.hidden)
        self.dropout = nn.Dropout(options.dropout)
        self.scale = nn.Parameter(torch.ones(()))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, batch: PairBatch) -> Outputs:
        real = batch.query_mask.unsqueeze(2)  # (B, M, 1)
        clip = (self.project(batch.query) * real).sum(1) / real.sum(1)  # (B, H)
        rows = self.dropout(self.project(batch.video))  # (B, N, H)
        return Outputs(self.scale * (rows * clip.unsqueeze(1)).sum(2) + self.bias)

    def loss(self, outputs: Outputs, batch: PairBatch) -> Tensor:
        place = torch.arange(batch.video.shape[1], device=batch.first.device)  # (N,)
        true = (place >= batch.first[:, None]) & (place < batch.last[:, None])  # (B, N)
        each = nn.functional.binary_cross_entropy_with_logits(outputs.inside.float(), true.float(), reduction="none")
        return ((each * batch.video_mask).sum(1) / batch.video_mask.sum(1)).mean()

    def decode(self, outputs: Outputs, batch: PairBatch) -> tuple[Tensor, Tensor, Tensor]:
        inside = outputs.inside.masked_fill(~batch.video_mask, 0.0)
        total = nn.functional.pad(inside.cumsum(1), (1, 0))  # (B, N + 1)
        gain = total[:, None, :] - total[:, :, None]  # (B, first, last): the sum of the rows between
        n = total.shape[1]
        later = torch.ones(n, n, dtype=torch.bool, device=gain.device).triu(1)
        real = nn.functional.pad(batch.video_mask, (1, 0), value=True)[:, None, :]  # last rows that are real
        gain = gain.masked_fill(~(later & real), -1e9)
        score, place = gain.reshape(len(gain), -1).max(1)
        return place // n, place % n, score


class Method(TrainedMethod):
    """As a model file ends."""

    network = Toy
    options_class = Options
    defaults = TrainOptions(batch=8, steps=60, validate_every=20, workers=0, bucket=8)

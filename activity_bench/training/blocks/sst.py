"""Proposals in one pass: Buch et al., *SST: Single-Stream Temporal Action Proposals*, CVPR 2017, section 3.

A recurrent network reads the video once. At every row it gives K confidences, for the K segments that end with this
row and have 1, 2, … K times `stride` rows. Grids of proposals are (B, N, K): by ending row and by length.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, distributed, nn

from activity_bench.training.batches import ImageBatch, PairBatch
from activity_bench.training.blocks.ranges import SHARE, SIZE, check


@dataclass(frozen=True)
class ProposalOptions:
    """Sizes of a proposal network."""

    hidden: int = field(default=128, metadata={"help": "the size of a GRU's state"})
    layers: int = field(default=2, metadata={"help": "GRU layers"})
    lengths: int = field(default=32, metadata={"help": "K, proposals that end at each row"})
    stride: int = field(default=1, metadata={"help": "rows by which a proposal is longer than the one before it"})
    dropout: float = field(default=0.0, metadata={"help": "between GRU layers"})
    positive: float = field(default=0.5, metadata={"help": "the tIoU over which a proposal is right"})

    def __post_init__(self) -> None:
        check(self, hidden=SIZE, layers=(1, 64), lengths=SIZE, stride=SIZE, dropout=SHARE,
              positive=(0, 0.99))  # fmt: skip


@dataclass
class Proposed:
    """What is said of each proposal."""

    logits: Tensor  # (B, N, K): by ending row and length


class ProposalNetwork(nn.Module):
    """A sequence encoder, and the loss and the answer of proposals; how they come from its states is the method's."""

    def __init__(self, dim: int, options: ProposalOptions) -> None:
        super().__init__()
        self.options = options
        self.encode = SequenceEncoder(dim, options.hidden, options.layers, options.dropout)

    def loss(self, outputs: Proposed, batch: PairBatch | ImageBatch) -> Tensor:
        """The weighted multi-label loss. ()"""
        lengths, stride, rows = self.options.lengths, self.options.stride, batch.video.shape[1]
        labels = proposal_labels(batch.first, batch.last, rows, lengths, stride, self.options.positive)  # (B, N, K)
        return multi_label_loss(outputs.logits, labels, possible(batch.video_mask, lengths, stride))

    def decode(self, outputs: Proposed, batch: PairBatch | ImageBatch) -> tuple[Tensor, Tensor, Tensor]:
        """The most confident proposal: first, last, score, (B,) each."""
        return best_proposal(outputs.logits, batch.video_mask, self.options.stride)


class SequenceEncoder(nn.Module):
    """The GRU layers; what comes after them (a linear layer, or a fusion with a query) belongs to the method."""

    def __init__(self, dim: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.gru = nn.GRU(dim, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)

    def forward(self, video: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, h). It reads forwards, so rows of padding come too late to matter."""
        states: Tensor = self.gru(video)[0]
        return states


def places(rows: int, lengths: int, stride: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """First and last row of every proposal, half-open; some start before the video. -> (N, K), (N, 1)"""
    last = torch.arange(1, rows + 1, device=device)[:, None]  # (N, 1)
    return last - stride * torch.arange(1, lengths + 1, device=device), last


def possible(mask: Tensor, lengths: int, stride: int) -> Tensor:
    """Which proposals lie within the real rows. (B, N) -> (B, N, K)"""
    first, _ = places(mask.shape[1], lengths, stride, mask.device)
    return mask[:, :, None] & (first >= 0)


def proposal_labels(first: Tensor, last: Tensor, rows: int, lengths: int, stride: int, positive: float) -> Tensor:
    """Which proposals are right: those whose tIoU with the target is over `positive`. (B,), (B,) -> (B, N, K)"""
    start, end = places(rows, lengths, stride, first.device)
    first, last = first[:, None, None], last[:, None, None]  # (B, 1, 1)
    shared = (torch.minimum(end, last) - torch.maximum(start, first)).clamp(min=0)  # (B, N, K)
    union = (end - start) + (last - first) - shared
    return shared > positive * union


def multi_label_loss(logits: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """Weighted cross entropy of every proposal: for each length the right ones weigh as much as the wrong ones in all.

    The shares are the batch's, in all processes that share it, smoothed by one right and one wrong proposal more; SST
    takes those of its training set.
    The mean over a sample's proposals, then over samples. (B, N, K) each -> ()
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    counts = torch.stack(((labels & valid).sum((0, 1)), valid.sum((0, 1))))  # (2, K)
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(counts)
    right = (counts[0] + 1) / (counts[1] + 2)  # (K,)
    each = (1 - right) * labels * nn.functional.logsigmoid(logits) + right * ~labels * nn.functional.logsigmoid(-logits)
    return -((each * valid).sum((1, 2)) / valid.sum((1, 2)).clamp(min=1)).mean()


def best_proposal(logits: Tensor, mask: Tensor, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    """The most confident proposal; of equal ones the first to end, then the shortest. Where the window is shorter than
    every proposal, the whole window. (B, N, K), (B, N) -> first, last, score: (B,)"""
    lengths = logits.shape[2]
    allowed = possible(mask, lengths, stride)
    value, cell = logits.masked_fill(~allowed, float("-inf")).flatten(1).max(1)  # (B,)
    last = cell // lengths + 1
    first = last - stride * (cell % lengths + 1)
    none = ~allowed.flatten(1).any(1)
    return torch.where(none, 0, first), torch.where(none, mask.sum(1), last), value.sigmoid()

"""SST as a baseline of re-localization: ECCV 2018, section 5.1, "Action Proposal Baseline".

A GRU reads the reference and proposes, at every row, segments of many lengths that end there; the most confident
proposal answers. The query is not looked at: what it scores is what can be had from knowing what an activity looks
like.

What the paper leaves open, and what was chosen:

- Lengths: 1 to 32 rows, since no target of the data is longer than 512 frames (`lengths`, `stride`).
- Two GRU layers, as SST's released code; their size is l = 128, as of all other networks of the paper. No dropout.
- A proposal is right where its tIoU is over 0.5, as in SST (`positive`); those that would start before the window do
  not count.
- Weights of the loss are the shares in the batch, not in the training set (`blocks/sst.py`).
- Steps, batch, clipping and the cropped windows are those of the paper's own model.

Table 1, top-1 mAP at .5 .6 .7 .8 .9 and mean: 33.2 24.7 17.2 7.8 2.7 17.1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from activity_bench.training.batches import PairBatch
from activity_bench.training.blocks.ranges import SHARE, SIZE, check
from activity_bench.training.blocks.sst import (
    SequenceEncoder,
    best_proposal,
    multi_label_loss,
    possible,
    proposal_labels,
)
from activity_bench.training.method import TrainedMethod
from activity_bench.training.options import TrainOptions


@dataclass(frozen=True)
class Options:
    """Sizes of the proposal network."""

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
class Outputs:
    """What is said of each proposal."""

    logits: Tensor  # (B, N, K): by ending row and length


class SST(nn.Module):
    """Sequence encoder and proposals."""

    def __init__(self, dim: int, options: Options) -> None:
        super().__init__()
        self.options = options
        self.encode = SequenceEncoder(dim, options.hidden, options.layers, options.dropout)
        self.propose = nn.Linear(options.hidden, options.lengths)

    def forward(self, batch: PairBatch) -> Outputs:
        """One pass over the reference."""
        return Outputs(self.propose(self.encode(batch.video)))  # (B, N, h) -> (B, N, K)

    def loss(self, outputs: Outputs, batch: PairBatch) -> Tensor:
        """The weighted multi-label loss. ()"""
        lengths, stride, rows = self.options.lengths, self.options.stride, batch.video.shape[1]
        labels = proposal_labels(batch.first, batch.last, rows, lengths, stride, self.options.positive)  # (B, N, K)
        return multi_label_loss(outputs.logits, labels, possible(batch.video_mask, lengths, stride))

    def decode(self, outputs: Outputs, batch: PairBatch) -> tuple[Tensor, Tensor, Tensor]:
        """The most confident proposal: first, last, score, (B,) each."""
        return best_proposal(outputs.logits, batch.video_mask, self.options.stride)


class Method(TrainedMethod):
    """`sst` in the catalog."""

    network = SST
    options_class = Options
    defaults = TrainOptions(batch=128, steps=1000, epochs=17, lr=1e-3, clip=5.0, bucket=30, augment=0.9)

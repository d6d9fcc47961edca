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

from torch import nn

from activity_bench.training.batches import PairBatch
from activity_bench.training.blocks.sst import ProposalNetwork, Proposed
from activity_bench.training.blocks.sst import ProposalOptions as Options
from activity_bench.training.method import TrainedMethod
from activity_bench.training.options import TrainOptions


class SST(ProposalNetwork):
    """Sequence encoder and proposals."""

    def __init__(self, dim: int, options: Options) -> None:
        super().__init__(dim, options)
        self.propose = nn.Linear(options.hidden, options.lengths)

    def forward(self, batch: PairBatch) -> Proposed:
        """One pass over the reference."""
        return Proposed(self.propose(self.encode(batch.video)))  # (B, N, h) -> (B, N, K)


class Method(TrainedMethod):
    """`sst` in the catalog."""

    network = SST
    options_class = Options
    defaults = TrainOptions(batch=128, steps=1000, epochs=17, lr=1e-3, clip=5.0, bucket=30, augment=0.9)

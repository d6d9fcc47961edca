"""SST asked by an image: IJCAI 2019 (Zhang et al.), section 6.2, "SST+", after Buch et al., CVPR 2017.

A GRU reads the video; a fusion layer on top of it brings in the image as a whole. From what they say together, segments
of many lengths that end at each row get a confidence; the most confident proposal answers.

What the paper leaves open, and what was chosen:

- The fusion is the paper's own (section 4.3): tanh(W [h; f; h * f; h - f] + b), f a projection of the global feature.
- 32 lengths, 5 rows apart: up to 160 rows of at most 200, since the longest target of the data has 157. The best
  proposal for a target has tIoU .978 in the mean and .80 at the least (all 7,329 windows at 30 frames a second; rows of
  8 frames), so none is below any threshold of the table.
- Two GRU layers, as SST's released code, of 256 (the paper's size of attention). No dropout.
- A proposal is right where its tIoU is over 0.5, as in SST (`positive`).
- Adam at 0.0005 and at most 200 rows, as for the paper's own model; 64 questions a step.

Tables 2 and 3, mIoU and IoU at .3 .5 .7 in %: all 40.63 59.92 32.17 14.50; difficult 32.37 48.06 26.79 11.26.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn

from activity_bench.training.batches import ImageBatch
from activity_bench.training.blocks.fusion import Fusion
from activity_bench.training.blocks.sst import ProposalNetwork, ProposalOptions, Proposed
from activity_bench.training.method import TrainedMethod
from activity_bench.training.options import TrainOptions


@dataclass(frozen=True)
class Options(ProposalOptions):
    """Sizes of the proposal network: longer proposals than SST's."""

    hidden: int = field(default=256, metadata={"help": "the size of a GRU's state, and of the fusion"})
    stride: int = field(default=5, metadata={"help": "rows by which a proposal is longer than the one before it"})


class SSTPlus(ProposalNetwork):
    """Sequence encoder, fusion with the image, proposals."""

    def __init__(self, dim: int, region_dim: int, global_dim: int, options: Options) -> None:
        super().__init__(dim, options)
        self.of_image = nn.Linear(global_dim, options.hidden)
        self.fuse = Fusion(options.hidden)
        self.propose = nn.Linear(options.hidden, options.lengths)

    def forward(self, batch: ImageBatch) -> Proposed:
        """One pass over the video."""
        states = self.encode(batch.video)  # (B, N, h)
        image = self.of_image(batch.whole)[:, None].expand_as(states)  # (B, N, h)
        return Proposed(self.propose(self.fuse(states, image)))  # (B, N, K)


class Method(TrainedMethod):
    """`sst-plus` in the catalog."""

    network = SSTPlus
    query_kind = "image"
    options_class = Options
    defaults = TrainOptions(batch=64, steps=2400, epochs=17, rows=200, lr=5e-4, redraw=False, augment=0.0)

"""Frame by frame: Zhang et al., *Localizing Unseen Activities in Video via Image Query*, IJCAI 2019, 6.2, "FLP".

A multilayer perceptron says of each row, from the row and the image as a whole, how likely it is to lie in the target.
A segment's score is the product of p over its rows and of 1 - p over all others; the best of all segments answers.

What the paper leaves open, and what was chosen:

- Two hidden layers of 256 (its size of attention), ReLU; the first adds a projection of the row and one of the image.
- The loss is the cross entropy of every row, all rows alike. This is the negative logarithm of the target's score, over
  the number of rows.
- The score that is returned is the product's geometric mean over the rows: the product of 200 rows is no float32.
- Adam at 0.0005 and at most 200 rows, as for the paper's own model; 64 questions a step.

Tables 2 and 3, mIoU and IoU at .3 .5 .7 in %: all 23.73 29.81 19.49 12.37; difficult 17.89 22.30 14.85 9.42.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from activity_bench.training.batches import ImageBatch
from activity_bench.training.blocks.decoding import most_likely_run
from activity_bench.training.blocks.ranges import SIZE, check
from activity_bench.training.method import TrainedMethod
from activity_bench.training.options import TrainOptions


@dataclass(frozen=True)
class Options:
    """Sizes of the perceptron."""

    hidden: int = field(default=256, metadata={"help": "the size of a hidden layer"})
    layers: int = field(default=2, metadata={"help": "hidden layers"})

    def __post_init__(self) -> None:
        check(self, hidden=SIZE, layers=(1, 64))


@dataclass
class Outputs:
    """What is said of each row."""

    logits: Tensor  # (B, N), of p


class FLP(nn.Module):
    """p_i = MLP(v_i, f^g)."""

    def __init__(self, dim: int, region_dim: int, global_dim: int, options: Options) -> None:
        super().__init__()
        size = options.hidden
        self.of_row = nn.Linear(dim, size)  # of [v_i; f^g] one layer, in two parts
        self.of_image = nn.Linear(global_dim, size, bias=False)
        self.deeper = nn.ModuleList(nn.Linear(size, size) for _ in range(options.layers - 1))
        self.judge = nn.Linear(size, 1)

    def forward(self, batch: ImageBatch) -> Outputs:
        """Every row by itself."""
        x = self.of_row(batch.video) + self.of_image(batch.whole)[:, None]  # (B, N, h)
        for layer in self.deeper:
            x = layer(x.relu())  # (B, N, h)
        return Outputs(self.judge(x.relu()).squeeze(-1))  # (B, N)

    def loss(self, outputs: Outputs, batch: ImageBatch) -> Tensor:
        """Cross entropy, the mean over a sample's rows, then over samples. ()"""
        rows, mask = torch.arange(batch.video.shape[1], device=batch.video.device), batch.video_mask
        inside = (batch.first[:, None] <= rows) & (rows < batch.last[:, None])  # (B, N)
        log_p = nn.functional.logsigmoid(torch.where(inside, outputs.logits, -outputs.logits))  # (B, N)
        return -((log_p * mask).sum(1) / mask.sum(1)).mean()

    def decode(self, outputs: Outputs, batch: ImageBatch) -> tuple[Tensor, Tensor, Tensor]:
        """The segment with the greatest product: first, last, score, (B,) each."""
        return most_likely_run(outputs.logits, batch.video_mask)


class Method(TrainedMethod):
    """`flp` in the catalog."""

    network = FLP
    query_kind = "image"
    options_class = Options
    defaults = TrainOptions(batch=64, steps=2400, epochs=17, rows=200, lr=5e-4, redraw=False, augment=0.0)

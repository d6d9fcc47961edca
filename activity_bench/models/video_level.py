"""Segments as single vectors: ECCV 2018, section 5.1, "Video-level Baseline".

An LSTM reads a segment; its last state, L2-normalised, stands for it. The triplet loss brings the query (the anchor)
nearer to a segment that overlaps the target than to one that does not. The answer is the segment most like the query,
of all there are.

What the paper leaves open, and what was chosen:

- The margin is 0.2 and distances are squared, as in the work it cites (FaceNet).
- Positive (tIoU over 0.8, `positive`) and negative (under 0.2, `negative`) are drawn anew in every step, every such
  segment equally likely, among the segments that the search may answer with. They come from the generator that draws
  dropout's masks, which the engine seeds for every step. A sample without a negative (a target that fills a short
  window) teaches nothing.
- The search has the paper's limit of 1,024 frames (64 rows); the size of the state is l = 128.
- Steps, batch, clipping and the cropped windows are those of the paper's own model.

Table 1, top-1 mAP at .5 .6 .7 .8 .9 and mean: 24.3 17.4 12.0 5.9 2.2 12.4.

The paper encodes a reference once for every segment. Here all starts are read together: at step d every start reads
the row d after it, so the states after step d stand for all segments of d + 1 rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from activity_bench.training.batches import PairBatch
from activity_bench.training.blocks.decoding import best_cell, fits
from activity_bench.training.blocks.losses import triplet
from activity_bench.training.blocks.ranges import SIZE, check
from activity_bench.training.blocks.recurrent import last_row, lstm_gates
from activity_bench.training.method import TrainedMethod
from activity_bench.training.options import TrainOptions


@dataclass(frozen=True)
class Options:
    """Sizes and the margin."""

    hidden: int = field(default=128, metadata={"help": "the size of the LSTM's state, and of a segment's vector"})
    margin: float = field(default=0.2, metadata={"help": "by how much a positive shall be nearer than a negative"})
    longest: int = field(default=64, metadata={"help": "rows of the longest segment searched; 64 are 1,024 frames"})
    positive: float = field(default=0.8, metadata={"help": "the tIoU over which a segment may be drawn as right"})
    negative: float = field(default=0.2, metadata={"help": "the tIoU under which a segment may be drawn as wrong"})

    def __post_init__(self) -> None:
        check(self, hidden=SIZE, longest=SIZE, margin=(0, 4), positive=(0, 0.99), negative=(0.01, 1))


@dataclass
class Outputs:
    """What is known before segments are compared."""

    query: Tensor  # (B, l), of length 1


class VideoLevel(nn.Module):
    """One LSTM for queries and segments."""

    def __init__(self, dim: int, options: Options) -> None:
        super().__init__()
        self.options = options
        self.lstm = nn.LSTM(dim, options.hidden, batch_first=True)

    def embed(self, rows: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D), (B, T) -> (B, l), of length 1"""
        return nn.functional.normalize(last_row(self.lstm(rows)[0], mask), dim=-1)

    def forward(self, batch: PairBatch) -> Outputs:
        """The query's vector; segments are read where they are known, in `loss` and `decode`."""
        return Outputs(self.embed(batch.query, batch.query_mask))

    def draw(self, batch: PairBatch) -> tuple[Tensor, Tensor, Tensor]:
        """A positive and a negative segment for each sample, and which samples have both. (2, B) twice, (B,)"""
        overlap = overlaps(batch, self.options.longest)  # (B, N, L)
        real = fits(batch.video_mask, self.options.longest)  # (B, N, L)
        kinds = overlap > self.options.positive, overlap < self.options.negative
        wanted = torch.stack(kinds) & real  # (2, B, N, L)
        lots = torch.rand(wanted.shape, device=wanted.device).masked_fill(~wanted, -1.0)
        first, last, lot = best_cell(lots.flatten(0, 1))  # (2 B,) each
        both = (lot.view(2, -1) >= 0).all(0)  # (B,)
        return first.view(2, -1), last.view(2, -1), both

    def loss(self, outputs: Outputs, batch: PairBatch) -> Tensor:
        """The triplet loss with drawn segments. ()"""
        first, last, both = self.draw(batch)
        steps = torch.arange(min(self.options.longest, batch.video.shape[1]), device=first.device)  # (T,)
        rows = (first[..., None] + steps).clamp(max=batch.video.shape[1] - 1)  # (2, B, T)
        of = torch.arange(len(batch.video), device=first.device)[:, None]  # (B, 1)
        segments = batch.video[of, rows].flatten(0, 1)  # (2 B, T, D)
        mask = (steps < (last - first)[..., None]).flatten(0, 1)  # (2 B, T)
        positive, negative = self.embed(segments, mask).view(2, len(both), -1)  # (B, l) each
        return (triplet(outputs.query, positive, negative, self.options.margin) * both).mean()

    def decode(self, outputs: Outputs, batch: PairBatch) -> tuple[Tensor, Tensor, Tensor]:
        """The segment nearest to the query, and their cosine: (B,) each."""
        with torch.no_grad():
            table = self._search(outputs.query, batch.video)  # (B, N, L)
        return best_cell(table.masked_fill(~fits(batch.video_mask, self.options.longest), float("-inf")))

    def _search(self, query: Tensor, video: Tensor) -> Tensor:
        """The cosine of the query and every segment, by start and length. (B, l), (B, N, D) -> (B, N, L)"""
        of_row, of_state, bias, more_bias = self.lstm.parameters()  # (4 l, D), (4 l, l), (4 l,) twice
        rows = video.shape[1]
        seen = nn.functional.linear(video, of_row, bias + more_bias)  # (B, N, 4 l)
        h = c = seen.new_zeros(*video.shape[:2], self.options.hidden)  # (B, N, l): of every start
        table = seen.new_zeros(*video.shape[:2], min(self.options.longest, rows))  # (B, N, L)
        for more in range(table.shape[2]):  # the recurrence forces this loop; starts too late to go on fall out
            starts = rows - more
            gates = seen[:, more:] + nn.functional.linear(h[:, :starts], of_state)  # (B, starts, 4 l)
            h, c = lstm_gates(gates, c[:, :starts])  # (B, starts, l) each
            table[:, :starts, more] = torch.einsum("bnl,bl->bn", nn.functional.normalize(h, dim=-1), query)
        return table


def overlaps(batch: PairBatch, longest: int) -> Tensor:
    """The tIoU of the target and every segment, by start and length. (B, N, L)"""
    rows, device = batch.video.shape[1], batch.video.device
    start = torch.arange(rows, device=device)[:, None]  # (N, 1)
    end = start + torch.arange(1, min(longest, rows) + 1, device=device)  # (N, L)
    first, last = batch.first[:, None, None], batch.last[:, None, None]  # (B, 1, 1)
    shared = (torch.minimum(end, last) - torch.maximum(start, first)).clamp(min=0)  # (B, N, L)
    return shared / ((end - start) + (last - first) - shared)


class Method(TrainedMethod):
    """`video-level` in the catalog."""

    network = VideoLevel
    options_class = Options
    defaults = TrainOptions(batch=128, steps=1000, epochs=17, lr=1e-3, clip=5.0, bucket=30, augment=0.9)

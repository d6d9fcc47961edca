"""Cross gated bilinear matching: Feng, Ma, Liu, Zhang and Luo, *Video Re-localization*, ECCV 2018, section 3.

Both videos are read by one LSTM. At each row of the reference the query is weighted by attention, both are gated by
one another and matched bilinearly; two LSTMs aggregate the matches, and their states steer the attention of the next
row. A last LSTM says of each row whether it starts, ends, is inside or outside of the target.

What the paper leaves open, and what was chosen:

- Both directions share attention, gates and factors, and have an LSTM each; the backward one attends with its own
  state, so its matches are its own (the paper's Eq. 7 speaks of the forward one alone). As released.
- Dropout: 0.4 after the first LSTM, 0.2 after matching. Gradients clipped at norm 5; 1,000 steps of 128 pairs, batches
  alike in length to 30 rows. As released.
- First weights: TensorFlow's defaults of that time (Glorot-uniform, zero biases, forget gates at 1), as released.
- The loss of a batch is the mean of its samples' (Eq. 11); the released code takes the mean of all its rows.
- Eq. 12 is taken to the letter. The released code leaves the ending row out of the geometric mean.
- A row stands for 16 frames, so 1,024 frames are 64 rows.

Table 1 and Table 2, top-1 mAP at .5 .6 .7 .8 .9 and mean: base 40.8 32.4 22.8 15.9 6.4 23.7; + cross gating 40.5 33.5
25.1 16.2 6.1 24.3; + bilinear 42.3 34.9 25.7 15.4 6.5 25.0; complete 43.5 35.1 27.3 16.2 6.5 25.7.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from activity_bench.training.batches import PairBatch
from activity_bench.training.blocks.attention import closed, tanh
from activity_bench.training.blocks.decoding import best_segment
from activity_bench.training.blocks.losses import position_labels, weighted_cross_entropy
from activity_bench.training.blocks.ranges import SHARE, SIZE, check
from activity_bench.training.blocks.recurrent import TwoWayLSTMCell, reverse, start_as_tensorflow
from activity_bench.training.method import TrainedMethod
from activity_bench.training.options import TrainOptions


@dataclass(frozen=True)
class Options:
    """The paper's hyperparameters (section 5.2)."""

    variant: Literal["base", "gating", "bilinear", "complete"] = field(
        default="complete", metadata={"help": "Table 2: cross gating, bilinear matching, both or neither"}
    )
    hidden: int = field(default=128, metadata={"help": "l, the size of every hidden state"})
    rank: int = field(default=8, metadata={"help": "k, the rank of the factorised bilinear form"})
    boundary_weight: float = field(default=10.0, metadata={"help": "c_w, what a starting or ending row counts"})
    longest: int = field(default=64, metadata={"help": "rows of the longest answer; 64 are 1,024 frames"})
    dropout_video: float = field(default=0.4, metadata={"help": "after the LSTM that reads the videos"})
    dropout_match: float = field(default=0.2, metadata={"help": "after the LSTMs that aggregate the matches"})

    def __post_init__(self) -> None:
        check(self, hidden=SIZE, rank=SIZE, longest=SIZE, boundary_weight=(0, 1e6), dropout_video=SHARE,
              dropout_match=SHARE)  # fmt: skip


@dataclass
class Outputs:
    """What is said of each row of the reference."""

    log_p: Tensor  # (B, N, 4), log of Eq. 8
    attention: Tensor | None  # (B, 2, N, M) forward and backward weights of Eq. 2, on request (Figure 5)


class MatchStep(nn.Module):
    """Eqs. 2 to 7 at one row, for the forward and the backward direction at once: the 2 in the shapes.

    `before` computes all that does not wait for the previous match, for every row together.
    """

    def __init__(self, options: Options) -> None:
        super().__init__()
        size = options.hidden
        self.gated = options.variant in ("gating", "complete")
        self.bilinear = options.variant in ("bilinear", "complete")
        self.w_query = nn.Linear(size, size, bias=False)  # W^q
        self.w_reference = nn.Linear(size, size)  # W^r and b^m
        self.w_match = nn.Linear(size, size, bias=False)  # W^m
        self.w = nn.Linear(size, 1)  # w and b
        if self.gated:
            self.gate_reference = nn.Linear(size, size)  # W_r^g and b_r^g
            self.gate_query = nn.Linear(size, size)  # W_q^g and b_q^g
        if self.bilinear:
            self.factors = nn.Linear(size, size * options.rank)  # F_1 … F_l and b^f
        self.aggregate = TwoWayLSTMCell(size if self.bilinear else 2 * size, size)

    def before(self, query: Tensor, reference: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """(B, M, l), (N, B, 2, l) -> W^q h^q (B, 1, M, l), W^r h^r + b^m (N, B, 2, l), g^r (N, B, 2, l)"""
        gate = self.gate_reference(reference).sigmoid() if self.gated else None
        return self.w_query(query)[:, None], self.w_reference(reference), gate

    def forward(
        self, query: Tensor, query_open: Tensor, wq: Tensor, row: Tensor, wr: Tensor, gate: Tensor | None,
        state: tuple[Tensor, Tensor],
    ) -> tuple[tuple[Tensor, Tensor], Tensor]:  # fmt: skip
        """One row: h^q (B, M, l), 0 or -inf (B, 1, M), W^q h^q (B, 1, M, l), then h^r, W^r h^r and g^r of the row and
        the match's state h and c, all (B, 2, l) -> the next state, and the attention (B, 2, M)."""
        h, c = state
        e = tanh(wq + (wr + self.w_match(h))[:, :, None])  # (B, 2, M, l), Eq. 2
        alpha = (self.w(e).squeeze(-1) + query_open).softmax(-1)  # (B, 2, M), Eq. 2
        seen = torch.bmm(alpha, query)  # (B, 2, l), the attention weighted query of Eq. 2
        if gate is not None:  # Eq. 3: each is gated by what the other was before
            seen, row = seen * gate, row * self.gate_query(seen).sigmoid()  # (B, 2, l) each
        if self.bilinear:  # Eq. 5
            q, r = self.factors(torch.stack((seen, row))).unflatten(-1, (-1, row.shape[-1]))  # (B, 2, k, l) each
            t = (q * r).sum(-2)  # (B, 2, l)
        else:
            t = torch.cat((seen, row), dim=-1)  # (B, 2, 2 l)
        return self.aggregate(t, h, c), alpha  # Eq. 7


class CGBM(nn.Module):
    """Aggregation, matching, localisation (Figure 2)."""

    def __init__(self, dim: int, options: Options) -> None:
        super().__init__()
        size = options.hidden
        self.options = options
        self.video = nn.LSTM(dim, size, batch_first=True)  # shared by query and reference
        self.after_video = nn.Dropout(options.dropout_video)
        self.match = MatchStep(options)
        self.after_match = nn.Dropout(options.dropout_match)
        self.localise = nn.LSTM(2 * size, size, batch_first=True)
        self.classify = nn.Linear(size, 4)  # W^l and b^l
        start_as_tensorflow(self)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile one step of matching: the loop over rows is long, and its length is another in every batch."""
        self.match.compile(*args, **kwargs)

    def forward(self, batch: PairBatch, attention: bool = False) -> Outputs:
        """Eqs. 1 to 8; `attention` keeps the maps of Eq. 2."""
        query = self.after_video(self.video(batch.query)[0])  # (B, M, l), Eq. 1
        reference = self.after_video(self.video(batch.video)[0])  # (B, N, l), Eq. 1
        matched, maps = self._match(query, batch.query_mask, reference, batch.video_mask, attention)  # (B, N, 2 l)
        located = self.localise(self.after_match(matched))[0]  # (B, N, l), Eq. 8
        return Outputs(self.classify(located).log_softmax(-1), maps)

    def _match(
        self, query: Tensor, query_mask: Tensor, reference: Tensor, mask: Tensor, keep: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Both directions over all rows. The recurrence forces the one loop. (B, N, 2 l), (B, 2, N, M)"""
        rows = torch.stack((reference, reverse(reference, mask)), dim=2).transpose(0, 1)  # (N, B, 2, l)
        wq, wr, gate = self.match.before(query, rows)
        query_open = closed(query_mask)[:, None]  # (B, 1, M)
        gates = gate.unbind(0) if gate is not None else (None,) * len(rows)
        h = c = reference.new_zeros(len(query), 2, self.options.hidden)  # (B, 2, l)
        states, maps = [], []
        for row, wr_row, gate_row in zip(rows.unbind(0), wr.unbind(0), gates, strict=True):
            (h, c), alpha = self.match(query, query_open, wq, row, wr_row, gate_row, (h, c))
            states.append(h)
            maps += [alpha] if keep else []
        ahead, back = torch.stack(states, dim=1).unbind(2)  # (B, N, l) each
        matched = torch.cat((ahead, reverse(back, mask)), dim=-1)  # (B, N, 2 l), h^m
        if not keep:
            return matched, None
        forward, backward = torch.stack(maps, dim=1).unbind(2)  # (B, N, M) each
        return matched, torch.stack((forward, reverse(backward, mask)), dim=1)

    def loss(self, outputs: Outputs, batch: PairBatch) -> Tensor:
        """Eq. 11, the mean over the batch. ()"""
        labels = position_labels(batch.first, batch.last, batch.video_mask)  # (B, N, 4)
        return weighted_cross_entropy(outputs.log_p, labels, batch.video_mask, self.options.boundary_weight)

    def decode(self, outputs: Outputs, batch: PairBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Eq. 12: first, last, score, (B,) each."""
        return best_segment(outputs.log_p, batch.video_mask, self.options.longest)


class Method(TrainedMethod):
    """`cgbm` in the catalog."""

    network = CGBM
    options_class = Options
    at_prediction = frozenset({"longest"})
    defaults = TrainOptions(batch=128, steps=1000, epochs=17, lr=1e-3, clip=5.0, bucket=30, augment=0.9)

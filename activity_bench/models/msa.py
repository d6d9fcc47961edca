"""Multiscale and self attention: *Weakly-Supervised Video Re-Localization with Multiscale Attention Model*, AAAI 2020.

Convolutions project both videos. Forty heads, each with a receptive field of its own, ask which rows of the reference
the query's rows look at; self-attention adds what the reference says of itself; two LSTM layers then say of each row
whether it starts, ends, is inside or outside of the target. Without targets the co-attention loss teaches: the rows
called action shall be like the query, the rows called background unlike both.

What the paper leaves open, and what was chosen:

- Eq. 16 with cos as a *distance* would drive query and action apart when minimised. It is taken with -log in front, as
  in co-segmentation (Hsu, Lin and Chuang, 2018), so that its gradient lowers the distance, which is the stated aim.
- Eqs. 13 to 15 average the *extracted* features (R^df), not what the network makes of them.
- Eq. 7: one convolution each for query and reference, of kernel 3 (`kernel`), then layer normalisation.
- Rows of Eq. 9's output have h dk = 64 numbers (the text of Eq. 10 says 2 dh; Eq. 3 makes it h dk).
- The BiLSTM has 128 per direction; weight matrices of self-attention have no bias; the heads' convolutions have one.
- The masks of the weak loss come from the weak answer (the longest run of p3 above its mean), as constants, from the
  101st step on. With full supervision both losses are summed, and no mask is used (the paper has masks for weak alone).
- Steps are not stated: 1,000, as in the work that it follows, with clipping at 5; the rate falls by 10 every 200 steps.
  No window is cropped in training (`augment`): the paper names no such step, and the crop would read targets.
- Eq. 14 leaves the sums of p3 and p4 free, and so they are here: where rows are noisy and a video keeps its look, two
  single rows have a lower loss than the target, and weak training finds such (docs/methods/msa.md has figures).

Weak, top-1 mAP at .5 .6 .7 .8 .9 and mean (Table 2): base 34.4 25.1 17.0 9.8 3.6 18.0; + multiscale 34.7 26.1 20.0 11.2
3.7 19.2; + selfatt 35.0 28.5 21.0 10.2 3.6 19.7; full model 36.5 30.6 21.2 11.4 3.8 20.7. Table 3, alpha 1 .7 .5 .3 0:
means 18.4 19.7 20.1 20.7 19.0. Full supervision (Table 4): cross entropy alone 45.3 37.6 27.7 17.0 8.3 27.2; with the
co-attention loss 46.5 37.8 29.7 18.0 8.7 28.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from activity_bench.errors import InputError
from activity_bench.training.batches import PairBatch
from activity_bench.training.blocks.attention import SelfAttention, closed
from activity_bench.training.blocks.decoding import best_segment, longest_run
from activity_bench.training.blocks.losses import co_attention, mean_of, position_labels, weighted_cross_entropy
from activity_bench.training.blocks.ranges import SHARE, SIZE, check
from activity_bench.training.blocks.recurrent import BiLSTM
from activity_bench.training.method import TrainedMethod
from activity_bench.training.options import TrainOptions

SCALES = ((1, 1), (3, 1), (3, 2), (3, 3), (3, 4))  # Table 1: kernel and dilation rate of each group of heads
ONE_SCALE = ((3, 1),) * len(SCALES)  # of the base model


@dataclass(frozen=True)
class Options:
    """The paper's hyperparameters ("Implementation Details" and Table 1)."""

    supervision: Literal["weak", "full"] = field(
        default="weak", metadata={"help": "learn from pairs alone, or from targets, too"}
    )
    variant: Literal["base", "multiscale", "selfatt", "complete"] = field(
        default="complete", metadata={"help": "Table 2: several scales, self-attention, both or neither"}
    )
    co_attention: bool = field(default=True, metadata={"help": "Table 4: false for cross entropy alone"})
    alpha: float = field(default=0.3, metadata={"help": "Eq. 18: weight of query against background (Table 3)"})
    mask_after: int = field(default=100, metadata={"help": "weak: steps before the loss looks at one run of rows"})
    hidden: int = field(default=128, metadata={"help": "dh and dl, the size of every hidden state"})
    kernel: int = field(default=3, metadata={"help": "rows that Eq. 7 sees at once; odd"})
    heads: int = field(default=8, metadata={"help": "multiscale: heads of each of the five scales (Table 1)"})
    kernels: int = field(default=32, metadata={"help": "multiscale: the size of a head (Table 1)"})
    self_heads: int = field(default=2, metadata={"help": "self-attention: heads"})
    self_size: int = field(default=32, metadata={"help": "self-attention: dk, the size of a head"})
    boundary_weight: float = field(default=10.0, metadata={"help": "Eq. 19: what a starting or ending row counts"})
    longest: int = field(default=64, metadata={"help": "full: rows of the longest answer; 64 are 1,024 frames"})
    dropout_before: float = field(default=0.4, metadata={"help": "before the BiLSTM"})
    dropout_after: float = field(default=0.2, metadata={"help": "after the BiLSTM"})

    def __post_init__(self) -> None:
        sizes = dict.fromkeys(("hidden", "kernel", "heads", "kernels", "self_heads", "self_size", "longest"), SIZE)
        check(self, **sizes, alpha=SHARE, dropout_before=SHARE, dropout_after=SHARE, boundary_weight=(0, 1e6),
              mask_after=(0, 1e9))  # fmt: skip
        if self.kernel % 2 == 0:
            raise InputError("an even kernel has no middle row", field="kernel", found=self.kernel, expected="odd")
        if self.supervision == "weak" and not self.co_attention:
            raise InputError("weak supervision has no loss but the co-attention loss", field="co_attention",
                             found=False, expected="true, or supervision=full")  # fmt: skip


@dataclass
class Outputs:
    """What is said of each row of the reference."""

    log_p: Tensor  # (B, N, 4), log of Eq. 11
    attention: Tensor | None  # (B, N, 40) the heads' scores of Eq. 5, on request (Figure 4)


class Projection(nn.Module):
    """Eq. 7: a convolution and layer normalisation; rows of padding are 0 again after it."""

    def __init__(self, dim: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.convolve = nn.Conv1d(dim, hidden, kernel, padding=kernel // 2)
        self.normalise = nn.LayerNorm(hidden)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, N, D), (B, N) -> (B, N, dh)"""
        seen: Tensor = self.convolve(x.transpose(1, 2)).transpose(1, 2)  # (B, N, dh)
        normal: Tensor = self.normalise(seen)  # (B, N, dh)
        return normal * mask[:, :, None]


class MultiscaleAttention(nn.Module):
    """Eqs. 4 to 6: for each head, how much a row of the reference is looked at by the rows of the query."""

    def __init__(self, hidden: int, scales: tuple[tuple[int, int], ...], heads: int, size: int) -> None:
        super().__init__()
        self.heads = heads

        def convolutions() -> nn.ModuleList:  # the heads of one scale are one convolution, side by side
            return nn.ModuleList(
                nn.Conv1d(hidden, heads * size, kernel, dilation=rate, padding=rate * (kernel // 2))
                for kernel, rate in scales
            )

        self.of_reference, self.of_query = convolutions(), convolutions()  # f^conv1 and f^conv2, Eq. 6

    def forward(self, reference: Tensor, reference_mask: Tensor, query: Tensor, query_mask: Tensor) -> Tensor:
        """(B, N, dh), (B, N), (B, M, dh), (B, M) -> (B, N, scales * heads)"""
        rows_open = closed(reference_mask)[:, None, :, None]  # (B, 1, N, 1)
        share = query_mask.to(query) / query_mask.sum(1, keepdim=True)  # (B, M): the mean over real rows of the query
        scores = []
        for conv_r, conv_q in zip(self.of_reference, self.of_query, strict=True):
            r = conv_r(reference.transpose(1, 2)).unflatten(1, (self.heads, -1))  # (B, heads, dk, N), Eq. 6
            q = conv_q(query.transpose(1, 2)).unflatten(1, (self.heads, -1))  # (B, heads, dk, M), Eq. 6
            table = r.transpose(2, 3) @ q * r.shape[2] ** -0.5 + rows_open  # (B, heads, N, M), Eq. 4
            looked_at = table.softmax(2)  # each row of the query shares itself out among the rows of the reference
            scores.append(torch.einsum("bhnm,bm->bnh", looked_at, share))  # (B, N, heads), Eq. 4
        return torch.cat(scores, dim=-1)  # Eq. 5


class MSA(nn.Module):
    """Projection, attention, localisation (Figure 2)."""

    def __init__(self, dim: int, options: Options) -> None:
        super().__init__()
        o = self.options = options
        scales = SCALES if o.variant in ("multiscale", "complete") else ONE_SCALE
        self.project_query = Projection(dim, o.hidden, o.kernel)
        self.project_reference = Projection(dim, o.hidden, o.kernel)
        self.multiscale = MultiscaleAttention(o.hidden, scales, o.heads, o.kernels)
        with_self = o.variant in ("selfatt", "complete")
        self.self_attention = SelfAttention(o.hidden, o.self_heads, o.self_size) if with_self else None
        seen = len(scales) * o.heads + with_self * o.self_heads * o.self_size
        self.before, self.after = nn.Dropout(o.dropout_before), nn.Dropout(o.dropout_after)
        self.bilstm = BiLSTM(seen, o.hidden)
        self.localise = nn.LSTM(2 * o.hidden, o.hidden, batch_first=True)
        self.classify = nn.Linear(o.hidden, 4)  # W^l and b^l
        self.register_buffer("steps_seen", torch.zeros((), dtype=torch.int64))  # kept with the weights
        self.steps_seen: Tensor

    def forward(self, batch: PairBatch, attention: bool = False) -> Outputs:
        """Eqs. 7 to 12; `attention` keeps the heads' scores."""
        query = self.project_query(batch.query, batch.query_mask)  # (B, M, dh), Eq. 7
        reference = self.project_reference(batch.video, batch.video_mask)  # (B, N, dh), Eq. 7
        heads = self.multiscale(reference, batch.video_mask, query, batch.query_mask)  # (B, N, 40), Eq. 8
        seen = heads
        if self.self_attention is not None:
            own = self.self_attention(reference, batch.video_mask)  # (B, N, h dk), Eq. 9
            seen = torch.cat((heads, own), dim=-1)  # (B, N, 40 + h dk)
        matched = self.bilstm(self.before(seen), batch.video_mask)  # (B, N, 2 dh), Eq. 10
        located = self.localise(self.after(matched))[0]  # (B, N, dl), Eq. 12
        return Outputs(self.classify(located).log_softmax(-1), heads if attention else None)  # Eq. 11

    def loss(self, outputs: Outputs, batch: PairBatch) -> Tensor:
        """Eq. 16 where supervision is weak; Eq. 19, and Eq. 16 with it, where it is full. ()"""
        loss = outputs.log_p.new_zeros(())
        if self.options.supervision == "full":
            labels = position_labels(batch.first, batch.last, batch.video_mask)  # (B, N, 4)
            weight = self.options.boundary_weight
            loss = loss + weighted_cross_entropy(outputs.log_p, labels, batch.video_mask, weight)  # Eq. 19
        if self.options.co_attention:
            loss = loss + self._co_attention(outputs.log_p.exp(), batch)
        if self.training:
            self.steps_seen += 1
        return loss

    def _co_attention(self, p: Tensor, batch: PairBatch) -> Tensor:
        """Eqs. 13 to 18 from the probabilities (B, N, 4). ()"""
        real = batch.video_mask
        action, background = p[..., 2] * real, p[..., 3] * real  # (B, N) each
        if self.options.supervision == "weak":
            first, last, _ = longest_run(p[..., 2].detach(), real)  # (B,) each
            rows = torch.arange(real.shape[1], device=real.device)  # (N,)
            inside = (first[:, None] <= rows) & (rows < last[:, None])  # (B, N)
            masked = self.steps_seen >= self.options.mask_after  # (): a tensor, so that nothing waits for it
            action = action * (inside | ~masked)
            background = background * (~inside | ~masked)
        q_a = mean_of(batch.query, batch.query_mask.to(p))  # (B, D), Eq. 13
        r_a, r_b = mean_of(batch.video, action), mean_of(batch.video, background)  # (B, D) each, Eqs. 14 and 15
        return co_attention(q_a, r_a, r_b, self.options.alpha)

    def decode(self, outputs: Outputs, batch: PairBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Eq. 20, or without targets the longest run of p3 above its mean: first, last, score, (B,) each."""
        if self.options.supervision == "weak":
            return longest_run(outputs.log_p[..., 2].exp(), batch.video_mask)
        return best_segment(outputs.log_p, batch.video_mask, self.options.longest)


class Method(TrainedMethod):
    """`msa` in the catalog."""

    network = MSA
    options_class = Options
    defaults = TrainOptions(
        batch=128, steps=1000, epochs=17, lr=1e-3, schedule="drop", drop_every=200, clip=5.0, augment=0.0
    )

    def needs_targets(self) -> bool:
        """Weak supervision never sees one."""
        return bool(self.options.supervision == "full")

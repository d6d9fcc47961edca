"""Self-attention interaction localizer: Zhang, Zhao, Lin, Song and Cai, *Localizing Unseen Activities in Video via
Image Query*, IJCAI 2019, section 4.

The regions of the image look at one another, with their relative positions. Each layer of the encoder lets a row of the
video look at the rows near by, then at the regions, and fuses what it saw. The localizer gathers for every row what
comes from it on, which says whether it starts the target, and what came up to it, which says whether it ends it.

What the paper leaves open, and what was chosen:

- Rows (500 numbers) and regions (4,096) are projected to d = 256, "the projection dimension of various kinds of
  attention", before anything else, so d_f = d_r = d. The region self-attention has no projection of its own, as its
  equation has none: on 4,096 raw numbers its softmax would see every region but itself at about 0.
- Window w = 8 rows, 8 heads of 32, 1,024 numbers in the feed-forward sublayer (four times d, as in Vaswani et al.),
  matrices of attention without bias, no dropout: none of these is named.
- The context of row i counts row i itself in both directions: "before the index i" would leave the first row nothing.
- w/o BA reads both boundaries off the rows themselves; w/o ML leaves out the second sublayer with its fusion.
- The paper's two arg-maxes may give an end before the start, which is no segment. The plain option takes the greatest
  p^s p^e with start <= end instead; wherever the arg-maxes are in order, that is their answer. `decoding=argmax` is the
  paper's letter: a reversed pair then answers the one row at its start, which is nearly as good as nothing.
- Batches of 64, 2,400 steps but at most 17 passes, gradients clipped at 5: the paper gives the rate, 0.0005, alone.

Tables 2 to 4, mIoU and IoU at .3 .5 .7 in %: all 49.66 73.98 48.25 24.37; difficult 45.71 68.23 45.17 21.84; w/o RS
46.63 70.35 43.36 20.43; w/o ML 48.40 73.29 44.07 21.24; w/o LS 47.35 71.17 45.71 22.29; w/o BA 48.04 72.00 45.76 23.60.
Figure 4: of 1 to 7 layers 5 are best.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from activity_bench.errors import InputError
from activity_bench.training.batches import ImageBatch
from activity_bench.training.blocks.additive import Aggregation
from activity_bench.training.blocks.attention import closed, tanh
from activity_bench.training.blocks.fusion import Fusion
from activity_bench.training.blocks.local_attention import MultiHead
from activity_bench.training.blocks.ranges import SHARE, SIZE, check
from activity_bench.training.method import TrainedMethod
from activity_bench.training.options import TrainOptions


@dataclass(frozen=True)
class Options:
    """The paper's hyperparameters (section 6.1), its ablations (Table 4), and what it does not give."""

    rs: bool = field(default=True, metadata={"help": "Table 4: region self-attention"})
    ml: bool = field(default=True, metadata={"help": "Table 4: every layer looks at the image; false: the last alone"})
    ls: bool = field(default=True, metadata={"help": "Table 4: local self-attention; false: rows see all rows"})
    ba: bool = field(default=True, metadata={"help": "Table 4: bi-directional aggregation"})
    layers: int = field(default=5, metadata={"help": "N, layers of the encoder (Figure 4)"})
    hidden: int = field(default=256, metadata={"help": "d, the projection dimension of all attention"})
    heads: int = field(default=8, metadata={"help": "H, of d / H numbers each"})
    window: int = field(default=8, metadata={"help": "w, rows that a row sees on either side"})
    feedforward: int = field(default=1024, metadata={"help": "numbers between the two maps of the last sublayer"})
    dropout: float = field(default=0.0, metadata={"help": "of what each sublayer adds"})
    decoding: Literal["joint", "argmax"] = field(
        default="joint", metadata={"help": "the likeliest pair in order, or the likeliest start and the likeliest end"}
    )

    def __post_init__(self) -> None:
        check(self, layers=(1, 64), hidden=SIZE, heads=SIZE, window=SIZE, feedforward=SIZE, dropout=SHARE)
        if self.hidden % self.heads:
            raise InputError("the heads do not share d evenly", field="heads", found=self.heads,
                             expected=f"a divisor of hidden={self.hidden}")  # fmt: skip


@dataclass
class Outputs:
    """What is said of each row of the video."""

    log_start: Tensor  # (B, N) log p^s, minus infinity where padded
    log_end: Tensor  # (B, N) log p^e


def relative_positions(boxes: Tensor) -> Tensor:
    """p^r_ij = ((x_i - x_j) / w_j, (y_i - y_j) / h_j, log(w_i / w_j), log(h_i / h_j)). (B, M, 4) -> (B, M, M, 4)"""
    here, there = boxes[:, :, None], boxes[:, None]  # (B, M, 1, 4) of i, (B, 1, M, 4) of j
    moved = (here[..., :2] - there[..., :2]) / there[..., 2:]  # (B, M, M, 2)
    size = boxes[..., 2:].log()  # (B, M, 2)
    return torch.cat((moved, size[:, :, None] - size[:, None]), dim=-1)


class RegionEncoder(nn.Module):
    """Section 4.2: regions in the light of one another and of the whole image."""

    def __init__(self, region_dim: int, global_dim: int, options: Options) -> None:
        super().__init__()
        size = options.hidden
        self.project = nn.Linear(region_dim, size)
        self.position = nn.Linear(4, size, bias=False) if options.rs else None  # W^r
        self.whole = nn.Linear(global_dim, size, bias=False)  # W_g
        self.normalise = nn.LayerNorm(size)

    def forward(self, batch: ImageBatch) -> Tensor:
        """H^r, (B, M, d)"""
        r = self.project(batch.regions)  # (B, M, d)
        near = self._self_attention(r, batch, self.position.weight) if self.position is not None else 0
        normal: Tensor = self.normalise(near + r + self.whole(batch.whole)[:, None])  # (B, M, d)
        return normal

    @staticmethod
    def _self_attention(r: Tensor, batch: ImageBatch, w: Tensor) -> Tensor:
        """h~^r = Softmax(r_i (R + P~_i) / sqrt(d)) (R + P~_i), with W^r (d, 4). (B, M, d)

        P~_i = W^r p_ij of all pairs is (B, M, M, d) and never made: r_i W^r p_ij = (W^r' r_i) p_ij, and the weighted
        sum of W^r p_ij is W^r of the weighted sum.
        """
        p = relative_positions(batch.boxes)  # (B, M, M, 4)
        by_position = ((r @ w)[:, :, None] * p).sum(-1)  # (B, M, M)
        scores = (r @ r.transpose(1, 2) + by_position) * r.shape[2] ** -0.5  # (B, M, M)
        alpha = (scores + closed(batch.region_mask)[:, None]).softmax(-1)  # (B, M, M)
        found: Tensor = alpha @ r + (alpha[..., None] * p).sum(2) @ w.T  # (B, M, d)
        return found


class Layer(nn.Module):
    """Section 4.3: rows near by, regions, feed-forward; `image` says whether there is the second sublayer."""

    def __init__(self, options: Options, image: bool) -> None:
        super().__init__()
        o, size = options, options.hidden
        self.window = o.window if o.ls else None
        self.rows, self.normalise_rows = MultiHead(size, o.heads), nn.LayerNorm(size)
        self.image = MultiHead(size, o.heads) if image else None
        if image:
            self.fusion, self.normalise_fusion = Fusion(size), nn.LayerNorm(size)
        self.widen, self.narrow = nn.Linear(size, o.feedforward), nn.Linear(o.feedforward, size)  # W^1_13, W^2_13
        self.normalise = nn.LayerNorm(size)
        self.dropout = nn.Dropout(o.dropout)

    def forward(self, f: Tensor, mask: Tensor, regions: Tensor, region_mask: Tensor) -> Tensor:
        """Rows (B, N, d) with their mask, regions (B, M, d) with theirs -> (B, N, d)"""
        f = self.normalise_rows(f + self.dropout(self.rows(f, f, mask, self.window)))  # F^k1
        if self.image is not None:
            seen = self.image(f, regions, region_mask)  # F~^k1
            f = self.normalise_fusion(self.dropout(self.fusion(f, seen)))  # F^k2
        out: Tensor = self.normalise(f + self.dropout(self.narrow(self.widen(f).relu())))  # F^k3
        return out


class Boundary(nn.Module):
    """Section 4.4: log p^s, or log p^e."""

    def __init__(self, options: Options, ahead: bool) -> None:
        super().__init__()
        size = options.hidden
        self.context = Aggregation(size, ahead) if options.ba else None
        self.w_inner = nn.Linear(size, size)  # W_s and b_s
        self.w = nn.Linear(size, 1, bias=False)  # w_s

    def forward(self, h: Tensor, mask: Tensor) -> Tensor:
        """(B, N, d), (B, N) -> (B, N)"""
        if self.context is not None:
            h = self.context(h, mask)  # H^fw, or H^bw
        logits: Tensor = self.w(tanh(self.w_inner(h))).squeeze(-1)  # (B, N)
        return (logits + closed(mask)).log_softmax(-1)


class SAIL(nn.Module):
    """Regions, encoder, localizer (Figure 2)."""

    def __init__(self, dim: int, region_dim: int, global_dim: int, options: Options) -> None:
        super().__init__()
        o = self.options = options
        self.regions = RegionEncoder(region_dim, global_dim, o)
        self.project = nn.Linear(dim, o.hidden)
        self.layers = nn.ModuleList(Layer(o, image=o.ml or k == o.layers - 1) for k in range(o.layers))
        self.start, self.end = Boundary(o, ahead=True), Boundary(o, ahead=False)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile the layers, which are alike; the localizer keeps to its own pieces."""
        for layer in self.layers:
            layer.compile(*args, **kwargs)

    def forward(self, batch: ImageBatch) -> Outputs:
        """Sections 4.2 to 4.4."""
        regions, mask = self.regions(batch), batch.video_mask  # (B, M, d)
        f = self.project(batch.video)  # (B, N, d)
        f = f + time_encoding(f.shape[1], f.shape[2], f)
        for layer in self.layers:
            f = layer(f, mask, regions, batch.region_mask)  # (B, N, d)
        return Outputs(self.start(f, mask), self.end(f, mask))

    def loss(self, outputs: Outputs, batch: ImageBatch) -> Tensor:
        """-(log p^s of the true start + log p^e of the true end), the mean over the batch. ()"""
        start = outputs.log_start.gather(1, batch.first[:, None])  # (B, 1)
        end = outputs.log_end.gather(1, batch.last[:, None] - 1)  # (B, 1), the last row of the target
        return -(start + end).mean()

    def decode(self, outputs: Outputs, batch: ImageBatch) -> tuple[Tensor, Tensor, Tensor]:
        """First, last, score: (B,) each."""
        decode = best_pair if self.options.decoding == "joint" else two_best
        return decode(outputs.log_start, outputs.log_end)


def time_encoding(rows: int, size: int, like: Tensor) -> Tensor:
    """The sines and cosines of Vaswani et al., 2017, section 3.5. -> (N, d)"""
    number = torch.arange(size, device=like.device)  # (d,)
    rate = 10_000.0 ** (-(number // 2 * 2).double() / size)
    angle = torch.arange(rows, device=like.device)[:, None] * rate  # (N, d)
    return torch.where(number % 2 == 0, angle.sin(), angle.cos()).to(like.dtype)


def two_best(log_start: Tensor, log_end: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The likeliest start and the likeliest end, each the first of equal ones; where the end comes before the start,
    the one row at the start. (B, N), (B, N) -> (B,)"""
    (start, s), (end, e) = log_start.max(1), log_end.max(1)  # (B,) each
    return s, torch.maximum(s, e) + 1, (start + end).exp()


def best_pair(log_start: Tensor, log_end: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The greatest p^s p^e with s <= e; of equal pairs the first to start, then the shortest. (B, N), (B, N) -> (B,)"""
    after, at = log_end.flip(1).cummax(1)  # the best end from a row on
    best, s = (log_start + after.flip(1)).max(1)  # (B,)
    e = log_end.shape[1] - 1 - at.flip(1).gather(1, s[:, None]).squeeze(1)  # (B,)
    return s, e + 1, best.exp()


class Method(TrainedMethod):
    """`sail` in the catalog."""

    network = SAIL
    query_kind = "image"
    options_class = Options
    at_prediction = frozenset({"decoding"})
    defaults = TrainOptions(batch=64, steps=2400, epochs=17, rows=200, lr=5e-4, redraw=False, augment=0.0)

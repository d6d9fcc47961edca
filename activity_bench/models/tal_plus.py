"""TAL-Net asked by an image: IJCAI 2019 (Zhang et al.), section 6.2, "TAL+", after Chao et al., *Rethinking the Faster
R-CNN Architecture for Temporal Action Localization*, CVPR 2018.

Towers of dilated convolutions, one for each length of anchor, say which anchors hold an activity and where to move
them. What non-maximum suppression leaves of them are the proposals. In the second stage each is read with what is
around it, attends to the regions of the image, and is scored and moved once more; the best one answers. The first stage
does not look at the image: the attention is "for each proposal".

As in TAL-Net: a tower has max pooling and two convolutions of width 3 and dilation s/3 and 2s/3, which see an anchor of
s rows and what is around it (s/6 and s/3, doubled for context). Anchors are right from tIoU 0.7 on, or as the best ones
of their target, and wrong below 0.3; proposals are right over 0.5. Smooth L1 on the offsets of the middle and of the
length's logarithm, where right. Proposals are read with half their length more on both sides, by SoI pooling.

What the papers leave open, and what was chosen:

- 8 lengths of anchor, 6 to 160 rows, in equal ratios: the best anchor of a target has tIoU .79 at the least (all 7,329
  windows at 30 frames a second; rows of 8 frames). They may stand over the window's ends; proposals are cut to it.
- One projection of the rows, by a linear layer and ReLU, feeds towers and pooling; all sizes are 128. Two streams of
  features (TAL-Net's late fusion) do not exist here.
- No sampling of anchors and proposals: the right ones weigh as much as the wrong ones in all. The target is a proposal
  too while it learns, as in Faster R-CNN. Losses of both stages, and of score and offset, are added up as they are.
- Non-maximum suppression at tIoU 0.7 leaves at most 32 of the 256 best anchors. Proposals are taken as given: no
  gradient flows through their ends.
- Pooling in 8 parts, so that the ends of a proposal are ends of parts.
- Scaled dot-product attention of the proposal over the regions' features (not their boxes), one head; then the fusion
  of section 4.3: tanh(W [z; a; z * a; z - a] + b).
- Adam at 0.0005 and at most 200 rows, as for the paper's own model; 64 questions a step.

Tables 2 and 3, mIoU and IoU at .3 .5 .7 in %: all 41.93 64.55 36.50 17.86; difficult 35.20 56.44 32.05 13.39.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from activity_bench.errors import InputError
from activity_bench.training.batches import ImageBatch
from activity_bench.training.blocks.anchors import anchors, apart, moved, offsets, overlap, pooled
from activity_bench.training.blocks.attention import closed
from activity_bench.training.blocks.fusion import Fusion
from activity_bench.training.blocks.ranges import SIZE, check
from activity_bench.training.method import TrainedMethod
from activity_bench.training.options import TrainOptions

RIGHT, WRONG = 0.7, 0.3  # tIoU above and below which an anchor is right and wrong
CANDIDATES, OVERLAP = 256, 0.7  # anchors that non-maximum suppression is given, and the tIoU that it leaves
TIE = 1e-6  # of tIoU


@dataclass(frozen=True)
class Options:
    """Sizes, anchors and proposals."""

    hidden: int = field(default=128, metadata={"help": "the size of every layer"})
    anchors: int = field(default=8, metadata={"help": "K, anchors around each row, a tower each"})
    shortest: float = field(default=6.0, metadata={"help": "rows of the shortest anchor"})
    longest: float = field(default=160.0, metadata={"help": "rows of the longest anchor"})
    proposals: int = field(default=32, metadata={"help": "P, segments of a window that are compared with the image"})
    bins: int = field(default=8, metadata={"help": "parts in which a proposal is read"})
    positive: float = field(default=0.5, metadata={"help": "the tIoU over which a proposal is right"})

    def __post_init__(self) -> None:
        check(self, hidden=SIZE, anchors=(1, 64), shortest=SIZE, longest=SIZE, proposals=(1, CANDIDATES),
              bins=(1, 64), positive=(0, 0.99))  # fmt: skip
        if self.longest < self.shortest:
            raise InputError("the longest anchor is shorter than the shortest", field="longest", found=self.longest,
                             expected=f"{self.shortest:g} at least")  # fmt: skip


@dataclass
class Outputs:
    """What is said of each anchor, what is proposed, and what the second stage reads."""

    said: Tensor  # (B, N, K, 3): logit of the score, offsets of middle and length
    proposals: Tensor  # (B, P, 2)
    real: Tensor  # (B, P) bool: there may be fewer
    rows: Tensor  # (B, N, h)


class Tower(nn.Module):
    """What is said of the anchors of one length: Figure 4 of TAL-Net, with the doubled dilation of its section 4.2."""

    def __init__(self, size: int, length: float) -> None:
        super().__init__()
        rate = max(1, round(length / 3))
        self.smooth = nn.MaxPool1d(2 * (rate // 2) + 1, stride=1, padding=rate // 2)
        self.near = nn.Conv1d(size, size, 3, padding=rate, dilation=rate)
        self.far = nn.Conv1d(size, size, 3, padding=2 * rate, dilation=2 * rate)
        self.say = nn.Conv1d(size, 3, 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, h, N), 0 where padded and nowhere less, (B, 1, N) -> (B, 3, N)"""
        x = self.smooth(x) * mask  # (B, h, N); what pads is 0 before every convolution, as what lies outside
        x = self.near(x).relu() * mask
        said: Tensor = self.say(self.far(x).relu())
        return said


class TALPlus(nn.Module):
    """Anchors, proposals, attention to the image."""

    lengths: Tensor

    def __init__(self, dim: int, region_dim: int, global_dim: int, options: Options) -> None:
        super().__init__()
        size, count = options.hidden, options.anchors
        self.options = options
        ratio = (options.longest / options.shortest) ** (1 / max(count - 1, 1))
        lengths = [options.shortest * ratio**k for k in range(count)]
        self.register_buffer("lengths", torch.tensor(lengths), persistent=False)  # (K,)
        self.project = nn.Linear(dim, size)
        self.towers = nn.ModuleList(Tower(size, length) for length in lengths)
        self.read = nn.Linear(options.bins * size, size)
        self.query = nn.Linear(size, size)
        self.key = nn.Linear(region_dim, size, bias=False)  # a bias would be the same for all regions
        self.value = nn.Linear(region_dim, size)
        self.fuse = Fusion(size)
        self.judge = nn.Linear(size, 3)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile the towers, most of the work: how often suppression goes round is known only when it is done."""
        for tower in self.towers:
            tower.compile(*args, **kwargs)

    def forward(self, batch: ImageBatch) -> Outputs:
        """The first stage; proposals are judged where they are known, in `loss` and `decode`."""
        mask = batch.video_mask
        rows = self.project(batch.video).relu() * mask[..., None]  # (B, N, h)
        x = rows.transpose(1, 2)  # (B, h, N)
        said = torch.stack([tower(x, mask[:, None]) for tower in self.towers], dim=-1)  # (B, 3, N, K)
        said = said.permute(0, 2, 3, 1)  # (B, N, K, 3)
        return Outputs(said, *self.propose(said.detach(), mask), rows)

    def propose(self, said: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The best moved anchors that are apart, best first. (B, N, K, 3), (B, N) -> (B, P, 2), (B, P)"""
        said = said.to(self.lengths.dtype)
        places = anchors(mask.shape[1], self.lengths)  # (N, K, 2)
        found = moved(places, said[..., 1:], mask.sum(1)[:, None, None]).flatten(1, 2)  # (B, N K, 2)
        score = said[..., 0].masked_fill(~mask[..., None], float("-inf")).flatten(1)  # (B, N K)
        order = score.argsort(dim=1, descending=True, stable=True)[:, :CANDIDATES]  # (B, P'); padding comes last
        found = found.take_along_dim(order[..., None], 1)  # (B, P', 2)
        keep = apart(found, score.gather(1, order).isfinite(), OVERLAP)  # (B, P')
        order = (~keep).byte().argsort(dim=1, stable=True)[:, : self.options.proposals]  # (B, P)
        return found.take_along_dim(order[..., None], 1), keep.gather(1, order)

    def second(self, rows: Tensor, batch: ImageBatch, segments: Tensor) -> Tensor:
        """The score of each segment for this image, and its offsets. (B, N, h), (B, P, 2) -> (B, P, 3)"""
        more = (segments[..., 1:] - segments[..., :1]) / 2  # (B, P, 1)
        wider = torch.cat((segments[..., :1] - more, segments[..., 1:] + more), dim=-1)  # (B, P, 2)
        parts = pooled(rows, batch.video_mask.sum(1), wider, self.options.bins)  # (B, P, bins, h)
        z = self.read(parts.flatten(2)).relu()  # (B, P, h)
        e = self.query(z) @ self.key(batch.regions).transpose(1, 2) / z.shape[-1] ** 0.5  # (B, P, M)
        alpha = (e + closed(batch.region_mask)[:, None]).softmax(-1)  # (B, P, M)
        said: Tensor = self.judge(self.fuse(z, alpha @ self.value(batch.regions)))  # (B, P, 3)
        return said

    def loss(self, outputs: Outputs, batch: ImageBatch) -> Tensor:
        """Both stages, the mean over samples. ()"""
        target = torch.stack((batch.first, batch.last), dim=-1).to(self.lengths.dtype)[:, None]  # (B, 1, 2)
        places = anchors(batch.video.shape[1], self.lengths).flatten(0, 1)  # (N K, 2)
        there = batch.video_mask.repeat_interleave(len(self.lengths), dim=1)  # (B, N K)
        shared = overlap(places, target)  # (B, N K); the best stands in the target, not in padding
        right = there & ((shared >= RIGHT) | (shared > shared.amax(1, keepdim=True) - TIE))
        first = judged(outputs.said.flatten(1, 2), right, there & ~right & (shared < WRONG), offsets(target, places))

        segments = torch.cat((outputs.proposals, target), dim=1)  # (B, P + 1, 2)
        real = nn.functional.pad(outputs.real, (0, 1), value=True)  # (B, P + 1)
        right = real & (overlap(segments, target) > self.options.positive)
        said = self.second(outputs.rows, batch, segments)
        return (first + judged(said, right, real & ~right, offsets(target, segments))).mean()

    def decode(self, outputs: Outputs, batch: ImageBatch) -> tuple[Tensor, Tensor, Tensor]:
        """The best proposal, moved, in the nearest whole rows, as targets are: first, last, score, (B,) each."""
        said = self.second(outputs.rows, batch, outputs.proposals).to(self.lengths.dtype)  # (B, P, 3)
        score, best = said[..., 0].masked_fill(~outputs.real, float("-inf")).max(1, keepdim=True)  # (B, 1)
        found = moved(outputs.proposals, said[..., 1:], batch.video_mask.sum(1)[:, None])  # (B, P, 2)
        rows = (found.take_along_dim(best[..., None], 1)[:, 0] + 0.5).floor().long()  # (B, 2); what has a row keeps one
        return rows[:, 0], rows[:, 1], score[:, 0].sigmoid()


def judged(said: Tensor, right: Tensor, wrong: Tensor, by: Tensor) -> Tensor:
    """Cross entropy in which right and wrong weigh the same in all, and smooth L1 of the offsets of those that are
    right. (B, P, 3), (B, P), (B, P), (B, P, 2) -> (B,)"""
    said = said.to(by.dtype)
    score, shares = said[..., 0], [kind / kind.sum(1, keepdim=True).clamp(min=1) for kind in (right, wrong)]  # (B, P)
    entropy = shares[0] * nn.functional.softplus(-score) + shares[1] * nn.functional.softplus(score)  # (B, P)
    far = nn.functional.smooth_l1_loss(said[..., 1:], by, reduction="none").sum(-1)  # (B, P)
    return (entropy / 2 + shares[0] * far).sum(1)


class Method(TrainedMethod):
    """`tal-plus` in the catalog."""

    network = TALPlus
    query_kind = "image"
    options_class = Options
    defaults = TrainOptions(batch=64, steps=2400, epochs=17, rows=200, lr=5e-4, redraw=False, augment=0.0)

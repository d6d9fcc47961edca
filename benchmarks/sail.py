"""SAIL against its equations as they are written: time (medians of ratios) and peak memory of a training step.

Memory is that of fresh processes, over what they held before the step, at a quarter of the paper's batch: the direct
formulas want 10 GB for the localizer alone at 64.
"""

from __future__ import annotations

import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from models import compare, step
from timing import row
from torch import Tensor, nn

from activity_bench.models import sail
from activity_bench.training.batches import ImageBatch
from activity_bench.training.blocks.additive import Aggregation
from activity_bench.training.blocks.fusion import Fusion
from activity_bench.training.blocks.local_attention import MultiHead, local_attention

ROWS, REGIONS, SIZE = 200, 36, 256


def questions(size: int) -> ImageBatch:
    """Noise of the size of the paper's data."""
    chance = torch.Generator().manual_seed(0)
    whole, real = torch.ones(size, ROWS, dtype=torch.bool), torch.ones(size, REGIONS, dtype=torch.bool)
    last = torch.randint(ROWS // 2, ROWS, (size,), generator=chance)
    boxes = torch.rand(size, REGIONS, 4, generator=chance) * 0.5 + 0.1
    return ImageBatch(
        [str(i) for i in range(size)], torch.randn(size, ROWS, 500, generator=chance), whole,
        torch.randn(size, REGIONS, 4096, generator=chance).relu(), boxes, real,
        torch.randn(size, 512, generator=chance), last - 10, last, [None] * size,
    )  # fmt: skip


def plain_regions(r: Tensor, batch: ImageBatch, w: Tensor) -> Tensor:
    moved = r[:, None] + sail.relative_positions(batch.boxes) @ w.T  # (B, M, M, d): R + P~_i
    scores = (r[:, :, None] * moved).sum(-1) * r.shape[2] ** -0.5
    alpha = scores.masked_fill(~batch.region_mask[:, None], float("-inf")).softmax(-1)
    return (alpha[..., None] * moved).sum(2)


def plain_heads(self: MultiHead, x: Tensor, seen: Tensor, mask: Tensor, window: int | None = None) -> Tensor:
    q, k, v = (
        part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        for part in (self.query(x), *self.key_value(seen).chunk(2, dim=-1))
    )
    return self.out(masked_table(q, k, v, mask, window).transpose(1, 2).flatten(2))


def masked_table(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, window: int | None) -> Tensor:
    """Softmax of one table of all pairs, those far away closed."""
    scores, open_ = q @ k.transpose(2, 3) * q.shape[3] ** -0.5, mask[:, None, None]
    if window is not None:
        rows = torch.arange(q.shape[2])
        open_ = open_ & ((rows[:, None] - rows).abs() <= window)
    return scores.masked_fill(~open_, float("-inf")).softmax(-1) @ v


def plain_fusion(self: Fusion, a: Tensor, b: Tensor) -> Tensor:
    return torch.tanh(self.linear(torch.cat((a, b, a * b, a - b), dim=-1)))


def plain_context(self: Aggregation, h: Tensor, mask: Tensor) -> Tensor:
    scores = self.w(torch.tanh(self.w1(h)[:, :, None] + self.w2(h)[:, None])).squeeze(-1)  # (B, N, N)
    rows = torch.arange(h.shape[1])
    asked = rows >= rows[:, None] if self.ahead else rows <= rows[:, None]
    return scores.masked_fill(~(asked & mask[:, None]), float("-inf")).softmax(-1) @ h


PLAIN: dict[type, Callable[..., Any]] = {MultiHead: plain_heads, Fusion: plain_fusion, Aggregation: plain_context}


def made(plain: bool, layers: int = 5) -> sail.SAIL:
    torch.manual_seed(0)
    network = sail.SAIL(500, 4096, 512, sail.Options(layers=layers))
    for module in network.modules() if plain else ():
        if type(module) in PLAIN:
            module.forward = types.MethodType(PLAIN[type(module)], module)
    if plain:
        network.regions._self_attention = plain_regions
    return network


class Localizer(nn.Module):
    """What is done with rows that the encoder made: section 4.4 alone."""

    def __init__(self, network: sail.SAIL) -> None:
        super().__init__()
        self.start, self.end, self.loss = network.start, network.end, network.loss

    def forward(self, batch: ImageBatch) -> sail.Outputs:
        h = batch.video[..., :SIZE].clone().requires_grad_()
        return sail.Outputs(self.start(h, batch.video_mask), self.end(h, batch.video_mask))


PARTS: dict[str, Callable[[sail.SAIL], Any]] = {"the localizer": Localizer, "the whole": lambda network: network}


def peak(part: str, plain: bool, size: int) -> int:
    """Bytes that a step takes at its peak, over what was there before it. Linux."""
    batch, network = questions(size), PARTS[part](made(plain))
    step(network, questions(1))()  # what is loaded once, and the gradients
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = _held("VmRSS")
    step(network, batch)()
    return _held("VmHWM") - before


def _held(what: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) * 1024


def memory(part: str, goal: str, size: int = 16) -> None:
    def fresh(plain: bool) -> int:
        asked = [sys.executable, __file__, "peak", part, "plain" if plain else "ours", str(size)]
        given_back = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}  # what is freed is given back at once
        return int(subprocess.run(asked, check=True, capture_output=True, text=True, env=given_back).stdout)

    ours, plain = fresh(False), fresh(True)
    row(f"sail, {part}, peak memory of a step at {size} x {ROWS} rows", ours / plain, goal, "the equations as written",
        f"{ours / 2**20:.0f} MiB and {plain / 2**20:.0f} MiB")  # fmt: skip


def times(size: int = 16) -> None:
    batch = questions(size)
    ours, plain = made(False), made(True)
    losses = [float(network.loss(network(batch), batch).detach()) for network in (ours, plain)]
    assert abs(losses[0] - losses[1]) < 1e-4, losses
    for part, of in PARTS.items():
        name = f"sail, {part}, a step of {size} x {ROWS} rows"
        compare(name, step(of(ours), batch), step(of(plain), batch), "at least 1 x")


def local(n: int, size: int = 4, heads: int = 8, window: int = 8) -> None:
    """Forward and backward, against the masked table as it is written, and as torch does it at once."""
    mask = torch.ones(size, n, dtype=torch.bool)
    q, k, v = torch.randn(3, size, heads, n, SIZE // heads).requires_grad_().unbind(0)
    rows = torch.arange(n)
    near = (rows[:, None] - rows).abs() <= window

    def fused(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, window: int) -> Tensor:
        return nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=near & mask[:, None, None])

    def run(attend: Callable[..., Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(attend(q, k, v, mask, window).square().sum(), (q, k, v))

    goal = "at least 8 x" if n >= 1000 else "at least 1 x"
    compare(f"local attention, {n} rows, w = {window}", run(local_attention), run(masked_table), goal)
    compare(f"local attention, {n} rows, torch's", run(local_attention), run(fused), "at least 1 x", "torch's own")


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["peak"]:
        print(peak(sys.argv[2], sys.argv[3] == "plain", int(sys.argv[4])))
    else:
        for n in (200, 300, 1000):
            local(n)
        memory("the localizer", "at most 0.15 x")
        memory("the whole", "at most 0.35 x")
        times()

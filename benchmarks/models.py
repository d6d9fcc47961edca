"""Networks against the plain way to write them: whole steps (forward, loss, backward) and decoding, medians of ratios.

Where there is a GPU, the steps of every network too: eager, compiled and in bf16.
"""

from __future__ import annotations

import statistics
import time
import types
from collections.abc import Callable
from typing import Any

import torch
from timing import row
from torch import Tensor

from activity_bench.models import cgbm, msa, sst, video_level
from activity_bench.training.batches import PairBatch
from activity_bench.training.blocks.decoding import best_segment
from activity_bench.training.blocks.recurrent import lstm_gates, reverse


def pairs(size: int, rows: int, query_rows: int, dim: int = 500) -> PairBatch:
    """Noise of the size of the paper's data."""
    chance = torch.Generator().manual_seed(0)
    last = torch.randint(rows // 2, rows, (size,), generator=chance)
    return PairBatch(
        [str(i) for i in range(size)],
        torch.randn(size, rows, dim, generator=chance),
        torch.ones(size, rows, dtype=torch.bool),
        torch.randn(size, query_rows, dim, generator=chance),
        torch.ones(size, query_rows, dtype=torch.bool),
        last - 10,
        last,
        [None] * size,
    )


def step(network: Any, batch: PairBatch) -> Callable[[], object]:
    """One step of training, less the optimiser."""

    def run() -> None:
        network.zero_grad()
        network.loss(network(batch), batch).backward()

    return run


def seconds(run: Callable[[], object]) -> float:
    """Seconds of the processor, one thread: those of the clock depend on who else is at work."""
    started = time.process_time()
    run()
    return time.process_time() - started


def compare(
    name: str, ours: Callable[[], object], plain: Callable[[], object], goal: str, against: str = "", runs: int = 3
) -> None:
    """Timed in turn, A B A B …, so that the ratio holds while the machine's speed drifts."""
    ours(), plain()
    times = [(seconds(plain), seconds(ours)) for _ in range(runs)]
    slow, fast = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(a / b for a, b in times)
    row(name, ratio, goal, against or "the formulas as written", f"{fast * 1e3:.0f} ms and {slow * 1e3:.0f} ms")


def plain_match(
    self: cgbm.CGBM, query: Tensor, query_mask: Tensor, reference: Tensor, mask: Tensor, keep: bool
) -> tuple[Tensor, None]:
    """Eqs. 2 to 7 as they are written: one direction after the other, everything anew at every row."""
    m, size = self.match, reference.shape[-1]
    both = []
    for direction in range(2):
        rows = reverse(reference, mask) if direction else reference
        h = c = rows.new_zeros(len(rows), size)
        states = []
        for i in range(rows.shape[1]):
            row = rows[:, i]
            e = torch.tanh(m.w_query(query) + (m.w_reference(row) + m.w_match(h))[:, None])
            alpha = m.w(e).squeeze(-1).masked_fill(~query_mask, float("-inf")).softmax(-1)
            seen = (alpha[..., None] * query).sum(1)
            gate_r, gate_q = m.gate_reference(row).sigmoid(), m.gate_query(seen).sigmoid()
            q, r = (m.factors(x).unflatten(-1, (-1, size)) for x in (seen * gate_r, row * gate_q))
            seen_now = torch.cat(((q * r).sum(1), h), dim=-1)
            h, c = lstm_gates(seen_now @ m.aggregate.weight[direction] + m.aggregate.bias[direction], c)
            states.append(h)
        found = torch.stack(states, dim=1)
        both.append(reverse(found, mask) if direction else found)
    return torch.cat(both, dim=-1), None


def plain_decode(log_p: Tensor, mask: Tensor, longest: int) -> list[tuple[int, int, float]]:
    """Eq. 12, a pair of rows after another; the sum over the inside of a segment goes on from the one before it."""
    answers = []
    for rows, real in zip(log_p.double().numpy(), mask.sum(1).tolist(), strict=True):
        best = (0, 0, float("-inf"))
        for s in range(real):
            inside = 0.0
            for e in range(s, min(real, s + longest)):
                inside += rows[e, 2]
                score = rows[s, 0] + rows[e, 1] + inside / (e - s + 1)
                if score > best[2]:
                    best = (s, e + 1, score)
        answers.append(best)
    return answers


def recurrence() -> None:
    torch.manual_seed(0)
    batch = pairs(64, 200, 32)
    options = cgbm.Options(dropout_video=0.0, dropout_match=0.0)
    ours, plain, compiled = (cgbm.CGBM(500, options) for _ in range(3))
    for other in (plain, compiled):
        other.load_state_dict(ours.state_dict())
    plain._match = types.MethodType(plain_match, plain)  # type: ignore[method-assign]
    compiled.compile()
    losses = [float(n.loss(n(batch), batch).detach()) for n in (ours, plain, compiled)]
    assert max(losses) - min(losses) < 1e-4, losses
    read = [torch.randn(64, rows, 128) for rows in (32, 200)]  # what the first LSTM makes of both videos

    def matching(network: cgbm.CGBM) -> Callable[[], object]:
        def run() -> None:
            query, reference = (rows.detach().requires_grad_() for rows in read)
            network._match(query, batch.query_mask, reference, batch.video_mask, False)[0].sum().backward()

        return run

    for how, network, goal in (("", ours, "at least 1.4 x"), (", compiled", compiled, "at least 1.9 x")):
        compare(f"cgbm, Eqs. 2 to 7, 64 x 200 rows, query 32{how}", matching(network), matching(plain), goal)
        compare(f"cgbm, the whole step{how}", step(network, batch), step(plain, batch), "at least 1.4 x")


def decoding() -> None:
    log_p = torch.randn(64, 200, 4, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    mask = torch.ones(64, 200, dtype=torch.bool)
    first, last, _ = best_segment(log_p, mask, 64)
    assert [(a, b) for a, b, _ in plain_decode(log_p, mask, 64)] == list(
        zip(first.tolist(), last.tolist(), strict=True)
    )
    compare(
        "cgbm, Eq. 12, 64 x 200 rows",
        lambda: best_segment(log_p, mask, 64),
        lambda: plain_decode(log_p, mask, 64),
        "at least 20 x",
    )


def search() -> None:
    """All starts at once against a reference read anew from every start."""
    torch.manual_seed(0)
    network, batch = video_level.VideoLevel(500, video_level.Options()), pairs(8, 200, 32)

    def plain() -> list[tuple[int, int]]:
        query, found = network(batch).query, []
        for asked, rows in zip(query, batch.video, strict=True):
            cosines = [network.lstm(rows[None, s : s + 64])[0][0] for s in range(len(rows))]  # (lengths, l) each
            best = [torch.nn.functional.normalize(h, dim=-1) @ asked for h in cosines]
            start = max(range(len(rows)), key=lambda s: float(best[s].max()))
            found.append((start, start + 1 + int(best[start].argmax())))
        return found

    with torch.inference_mode():
        first, last, _ = network.decode(network(batch), batch)
        assert plain() == list(zip(first.tolist(), last.tolist(), strict=True))
        ours = lambda: network.decode(network(batch), batch)  # noqa: E731
        compare("video-level search, 8 x 200 rows", ours, plain, "at least 1 x")


NETWORKS: dict[str, Callable[[], Any]] = {
    "cgbm": lambda: cgbm.CGBM(500, cgbm.Options()),
    "msa": lambda: msa.MSA(500, msa.Options(supervision="full")),
    "video-level": lambda: video_level.VideoLevel(500, video_level.Options()),
    "sst": lambda: sst.SST(500, sst.Options()),
}


def on_a_gpu(runs: int = 5) -> None:
    """Wall time of a step of 128 pairs: as written, compiled, compiled in half precision."""
    batch = pairs(128, 200, 32).to("cuda")
    for name, make in NETWORKS.items():
        times = []
        for compiled, half in ((False, False), (True, False), (True, True)):
            network = make().cuda()
            if compiled:
                network.compile()

            def run(network: Any = network, half: bool = half) -> float:
                torch.cuda.synchronize()
                started = time.perf_counter()
                network.zero_grad()
                with torch.autocast("cuda", torch.bfloat16, enabled=half):
                    loss = network.loss(network(batch), batch)
                loss.backward()
                torch.cuda.synchronize()
                return (time.perf_counter() - started) * 1e3

            run(), run()
            times.append(statistics.median(run() for _ in range(runs)))
        memory = torch.cuda.max_memory_allocated() / 2**20
        for how, took in (("compiled", times[1]), ("bf16", times[2])):
            row(f"{name} on a GPU, a step of 128 pairs, {how}", times[0] / took, "more x", "eager",
                f"{took:.1f} ms and {times[0]:.1f} ms, {memory:.0f} MiB at most")  # fmt: skip
        torch.cuda.reset_peak_memory_stats()


if __name__ == "__main__":
    if torch.cuda.is_available():
        on_a_gpu()
    torch.set_num_threads(1)
    decoding()
    search()
    recurrence()

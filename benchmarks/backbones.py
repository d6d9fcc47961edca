"""Networks for clips: clips a second of C3D and I3D, in bf16 and compiled, against float32 as written; random weights.

A batch is of clips from several videos, as extraction with one network makes them. The share of the peak is of what a
large product of matrices reaches on the same device in the same numbers. On a processor there is one thread, as a
worker has, whose own time is taken, and small batches; `python benchmarks/backbones.py cpu` asks for it by name.
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from timing import row
from torch.utils.flop_counter import FlopCounterMode

from activity_bench.features.backbones import Backbone, load

NAMES = {"c3d-fc7": 112, "i3d-rgb": 224}  # side of a picture
FRAMES = 16
VARIANTS = {"float32": (False, False), "compiled": (False, True), "bf16": (True, False), "bf16, compiled": (True, True)}
BATCHES = {"cpu": (1, 2), "cuda": (8, 64)}  # clips: of one short video, and of several
ROUNDS = {"cpu": 3, "cuda": 20}
SIDE = {"cpu": 2048, "cuda": 8192}  # of the matrices


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall time until the device is done; of a processor, the time that it worked for us."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    started = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - started


def peak(device: torch.device, kind: torch.dtype) -> float:
    """Operations a second of a product of two matrices."""
    side = SIDE[device.type]
    a, b = (torch.ones(side, side, dtype=kind, device=device) for _ in range(2))
    seconds(lambda: a @ b, device)  # the first takes longer
    return 2 * side**3 / min(seconds(lambda: a @ b, device) for _ in range(ROUNDS[device.type]))


def operations(backbone: Backbone, clips: torch.Tensor) -> int:
    """Multiplications and additions of a batch."""
    with FlopCounterMode(display=False) as counter:
        backbone(clips)
    return int(counter.get_total_flops())


def measure(name: str, batch: int, device: torch.device, peaks: dict[bool, float]) -> None:
    """A line for each way to run a backbone, timed in turn."""
    clips = torch.randint(0, 256, (batch, FRAMES, NAMES[name], NAMES[name], 3), dtype=torch.uint8)
    backbones, first = {}, {}
    for variant, (bf16, compiled) in VARIANTS.items():
        backbones[variant] = load(name, random_weights=True, device=str(device), bf16=bf16)
        if compiled:
            backbones[variant].network.compile()
        first[variant] = seconds(lambda variant=variant: backbones[variant](clips), device)  # type: ignore[misc]
    needed = operations(backbones["float32"], clips)
    times: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for _ in range(ROUNDS[device.type]):
        for variant, backbone in backbones.items():
            times[variant].append(seconds(lambda backbone=backbone: backbone(clips), device))  # type: ignore[misc]
    for variant, (bf16, _) in VARIANTS.items():
        gain = statistics.median(a / b for a, b in zip(times["float32"], times[variant], strict=True))
        took = statistics.median(times[variant])
        row(f"{name}, {batch} clips, {device.type}, {variant}", gain, "more x", "float32 as written",
            f"{batch / took:,.2f} clips/s, {needed / took / peaks[bf16]:.0%} of the peak; {first[variant]:.1f} s "
            "for the first")  # fmt: skip


def main(device: torch.device) -> None:
    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = True  # as convolutions have it, so that the peak is theirs
    cpu = next(
        (line.partition(":")[2].strip() for line in lines() if line.startswith("model name")), platform.machine()
    )
    what = torch.cuda.get_device_name(device) if device.type == "cuda" else f"one thread of {cpu}"
    peaks = {False: peak(device, torch.float32), True: peak(device, torch.bfloat16)}
    print(f"torch {torch.__version__}, {what}; a product of matrices: {peaks[False] / 1e12:.2f} TFLOPS in float32, "
          f"{peaks[True] / 1e12:.2f} in bf16")  # fmt: skip
    for name in NAMES:
        for batch in BATCHES[device.type]:
            measure(name, batch, device, peaks)


def lines() -> list[str]:
    """What Linux says of its processors."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    main(torch.device(sys.argv[1] if len(sys.argv) > 1 else "cuda" if torch.cuda.is_available() else "cpu"))

"""Where a training runs: `torchrun` starts processes, each takes its share of every batch, the first one writes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn

from activity_bench.errors import BenchError, InputError, WorkError, unknown
from activity_bench.training.options import TrainOptions


@dataclass(frozen=True)
class Processes:
    """Which process this is, of how many."""

    rank: int = 0
    count: int = 1
    local: int = 0  # on its machine: the number of its GPU

    @classmethod
    def of_environment(cls) -> Processes:
        """As torchrun tells; one process where nobody says anything."""
        plain = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
        return cls(*(int(os.environ.get(name, value)) for name, value in plain.items()))

    @property
    def writes(self) -> bool:
        """Whether this is the one process that writes and talks."""
        return self.rank == 0

    def first(self, work: Callable[[], None], device: torch.device) -> None:
        """The first process does something before all go on; where it refuses, so do the others, and it says why."""
        fault: BenchError | None = None
        try:
            if self.writes:
                work()
        except BenchError as error:
            fault = error
        if self.sums([float(fault is not None)], device)[0]:
            raise fault or WorkError("the first process refuses, and says why")

    def sums(self, values: Sequence[float], device: torch.device) -> list[float]:
        """Each number summed over the processes."""
        if self.count == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=device)
        distributed.all_reduce(total)
        return [float(value) for value in total]

    def average_gradients(self, network: nn.Module) -> None:
        """The mean gradient of all processes, in one message: networks here have few weights, some without gradient."""
        if self.count == 1:
            return
        weights = [weight for weight in network.parameters() if weight.requires_grad]
        flat = torch.cat([(torch.zeros_like(w) if w.grad is None else w.grad).reshape(-1) for w in weights])
        distributed.all_reduce(flat)
        sizes = [weight.numel() for weight in weights]
        for weight, mean in zip(weights, torch.split(flat / self.count, sizes), strict=True):
            weight.grad = mean.view_as(weight)


@contextmanager
def joined(processes: Processes, device: torch.device) -> Iterator[None]:
    """The processes joined to a group, while the block runs."""
    if processes.count == 1 or distributed.is_initialized():
        yield
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


@contextmanager
def said_plainly(options: TrainOptions) -> Iterator[None]:
    """What torch says of too little memory, or of a compiler that fails, in a user's words."""
    try:
        yield
    except RuntimeError as error:
        said = str(error).strip().partition("\n")[0]
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in said:
            hint = "A smaller batch, or a smaller network, takes less."
            raise WorkError(f"out of memory: {said}", field="batch", found=options.batch, hint=hint) from error
        if isinstance(error, distributed.DistError) or "Connection closed by peer" in said:
            raise WorkError("another process of this training ended, and says why") from error
        if options.compile and type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise WorkError(f"the compiler failed: {said}", field="compile", hint="Leave --compile out.") from error
        raise


def device_of(name: str, processes: Processes) -> torch.device:
    """The device by its name; `auto` is this process's GPU, or the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not number.isdecimal()):
        raise unknown("device", name, ["auto", "cpu", "cuda", "cuda:0", "mps"], field="device")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}[kind]
    if kind == "cuda" and not number:
        number = str(processes.local)
    if not there or (kind == "cuda" and int(number) >= torch.cuda.device_count()):
        raise InputError("no such device here", field="device", found=name, expected="auto or cpu")
    device = torch.device(f"{kind}:{number}" if kind == "cuda" else kind)
    if kind == "cuda":
        torch.cuda.set_device(device)
    return device

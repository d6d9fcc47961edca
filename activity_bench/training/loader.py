"""Batches read ahead: each worker opens the features for itself, and the number of workers changes nothing."""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from activity_bench.data.features import Provider
from activity_bench.errors import BenchError, WorkError
from activity_bench.training.batches import Batch
from activity_bench.training.plan import Collate, Steps

AHEAD = 2  # batches that each worker holds ready
LONGEST = (
    70  # bytes of the temporary folder's path: workers hand batches over by sockets in it, whose names may have 107
)


class _Batches(Dataset[Batch | BenchError]):
    """Step -> this process's share of its batch. What a worker gets of the features is closed: it opens them itself."""

    def __init__(self, plan: Steps, features: Provider, collate: Collate, rank: int, count: int) -> None:
        self.plan, self.features, self.collate, self.rank, self.count = plan, features, collate, rank, count
        self.multiple = plan.options.bucket if plan.options.compile else 1

    def __getitem__(self, step: int) -> Batch | BenchError:
        try:
            return self._batch(step)
        except BenchError as error:
            return error  # a DataLoader would make a traceback of it

    def _batch(self, step: int) -> Batch:
        return self.collate(self.plan.batch(step)[self.rank :: self.count], self.features, self.multiple)


class Loader:
    """The batches of the steps [first, last), on the device; `waited` counts the seconds that the loop stood still."""

    def __init__(
        self, plan: Steps, features: Provider, collate: Collate, device: torch.device, rank: int = 0, count: int = 1
    ) -> None:
        self.steps, self.device, self.waited = _Batches(plan, features, collate, rank, count), device, 0.0
        is_short = len(os.fsencode(tempfile.gettempdir())) <= LONGEST
        self.workers = plan.options.workers if is_short else 0

    def batches(self, first: int, last: int) -> Iterator[tuple[int, Batch]]:
        """(step, batch), in order."""
        if first >= last:
            return
        ahead: dict[str, Any] = {"prefetch_factor": AHEAD} if self.workers else {}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This DataLoader will create")  # more workers than cores: it may be meant
            source = iter(DataLoader(
                self.steps, batch_size=None, sampler=range(first, last), num_workers=self.workers,
                pin_memory=self.device.type == "cuda", **ahead,
            ))  # fmt: skip
        for step in range(first, last):
            started = time.perf_counter()
            try:
                batch = next(source)
            except RuntimeError as error:
                if "DataLoader worker" not in str(error):
                    raise
                hint = "Out of (shared) memory? --set workers=0 reads in this process."
                raise WorkError("a process that reads features died", field="workers", hint=hint) from error
            if isinstance(batch, BenchError):
                raise batch
            batch = batch.to(self.device)
            self.waited += time.perf_counter() - started
            yield step, batch

"""What a trained network looked at: its attention over the rows of a window, sample by sample.

A network has it to give where its `forward` takes `attention=True` and its outputs then hold `attention`: (B, K, N, M),
K maps of window rows against query rows (`cgbm`, ECCV 2018, Figure 5), or (B, N, H), what H heads make of each window
row (`msa`, AAAI 2020, Figure 4), which is taken for one map of rows against heads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from inspect import signature
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from activity_bench.training.batches import collate
from activity_bench.training.method import TrainedMethod
from activity_bench.training.pairs import Pair, pair_of, seconds_of
from activity_bench.types import Sample

Map = NDArray[np.float16]  # (K, N, M)
SOME = 16  # samples of a batch: maps of long windows are large


def has_attention(method: TrainedMethod) -> bool:
    """Whether the method's network can say what it looked at."""
    return "attention" in signature(getattr(method.network, "forward", method.network)).parameters


class Maps:
    """The maps of some samples: what they are and how large, known before the work, then the maps in order."""

    def __init__(self, method: TrainedMethod, samples: Sequence[Sample]) -> None:
        assert method.trained is not None
        self._method, self._network, self._samples = method, method.trained.eval(), samples
        self._pairs = [pair_of(sample, method.provider, method.training.rows) for sample in samples]
        first = self._attention(self._pairs[:1])  # its form is that of all
        self._of_rows = first.dim() == 4
        self._heads = first.shape[-1]
        self.columns = "rows of the query" if self._of_rows else "heads"
        self.names = ("forward", "backward") if first.shape[1:-2] == (2,) else ("attention",)

    @property
    def shapes(self) -> list[tuple[int, int, int]]:
        """Maps, rows and columns of each sample."""
        return [(len(self.names), pair.rows, self._columns(pair)) for pair in self._pairs]

    @property
    def seconds(self) -> list[tuple[float, float]]:
        """Where the rows of each sample begin and end."""
        timing = self._method.provider.timing
        return [seconds_of(s, pair, 0, pair.rows, timing) for s, pair in zip(self._samples, self._pairs, strict=True)]

    def __iter__(self) -> Iterator[Map]:
        for place in range(0, len(self._pairs), SOME):
            some = self._pairs[place : place + SOME]
            found = self._attention(some)
            found = found if self._of_rows else found[:, None]  # (B, K, N, M)
            for pair, maps in zip(some, found, strict=True):
                yield maps[:, : pair.rows, : self._columns(pair)].half().cpu().numpy()  # without padding

    def _columns(self, pair: Pair) -> int:
        return pair.query[1] - pair.query[0] if self._of_rows and isinstance(pair.query, tuple) else self._heads

    def _attention(self, pairs: Sequence[Pair]) -> Tensor:
        device = next(self._network.parameters()).device
        batch: Any = collate(pairs, self._method.provider).to(device)
        with torch.inference_mode():
            attention: Tensor = self._network(batch, attention=True).attention
        return attention

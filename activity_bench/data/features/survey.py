"""What the numbers of features are like: their norms, and the rows that no backbone makes of a picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 22  # numbers that are looked at together: 16 MB
NOT_FINITE, ZERO, CONSTANT, REPEATED = "not finite", "zero", "of one number", "like the row before"


@dataclass
class Survey:
    """Sums over rows; a row is counted under one kind of oddity, the first that it has."""

    rows: int = 0
    measured: int = 0  # rows whose norm counts: finite ones
    total: float = 0.0
    least: float = np.inf
    most: float = 0.0
    odd: dict[str, int] = field(default_factory=lambda: dict.fromkeys((NOT_FINITE, ZERO, CONSTANT, REPEATED), 0))
    first: dict[str, str] = field(default_factory=dict)  # kind -> the first such row

    def add(self, features: Any, video: str) -> None:
        """Look at every row of a video."""
        rows, step = features.rows(video), max(1, BLOCK // features.dim)
        last = np.full(features.dim, np.nan, np.float32)  # equal to nothing
        for begin in range(0, rows, step):
            block = features.raw(video, begin, min(rows, begin + step))
            self._add(block, last, video, begin)
            last = block[-1]

    @property
    def mean(self) -> float:
        """The mean norm of a row."""
        return self.total / self.measured if self.measured else float("nan")

    def _add(self, block: NDArray[np.float32], before: NDArray[np.float32], video: str, begin: int) -> None:
        finite = np.isfinite(block).all(axis=1)  # (rows,)
        with np.errstate(invalid="ignore", over="ignore"):
            norms = np.sqrt(np.einsum("ij,ij->i", block, block, dtype=np.float64))[finite]
        kinds = {
            NOT_FINITE: ~finite,
            ZERO: ~block.any(axis=1),
            CONSTANT: (block == block[:, :1]).all(axis=1) & (block.shape[1] > 1),
            REPEATED: (block == np.vstack([before[None], block[:-1]])).all(axis=1),
        }
        counted = np.zeros(len(block), bool)
        for kind, rows in kinds.items():
            rows = rows & ~counted
            counted |= rows
            if rows.any():
                self.odd[kind] += int(rows.sum())
                self.first.setdefault(kind, f"{video}, row {begin + int(rows.argmax())}")
        self.rows += len(block)
        self.measured += len(norms)
        if len(norms):
            self.total += float(norms.sum())
            self.least, self.most = min(self.least, float(norms.min())), max(self.most, float(norms.max()))

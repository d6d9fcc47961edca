"""Slow noise: a first-order autoregression along rows, without a loop over rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]

NEGLIGIBLE = 1e-9  # an old innovation with less weight than this is left out: float32 holds 6e-8


def autoregression(innovations: Rows, memory: float) -> Rows:
    """b[0] = e[0], b[t] = memory * b[t-1] + sqrt(1 - memory^2) * e[t]: unit variance, correlation memory^lag.

    Each pass doubles the reach: with the sum over the last `n` innovations in hand, adding `memory^n` times the sum
    that ended `n` rows ago gives the sum over the last `2n`. That is exact but for rounding once `n` covers the rows;
    passes end earlier where `memory^n` is negligible. Row `t` depends on rows up to `t` alone, through the same
    operations whatever the number of rows. (rows, dim) -> (rows, dim)
    """
    total = innovations.astype(np.float32)
    total[1:] *= np.float32(np.sqrt(1 - memory * memory))
    reach, weight = 1, memory
    while reach < len(total) and weight > NEGLIGIBLE:
        total[reach:] += np.float32(weight) * total[:-reach]
        reach, weight = 2 * reach, weight * weight
    return total

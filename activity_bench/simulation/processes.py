"""Draws that belong to a name, and the slow noise of neighbouring rows."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from activity_bench import chance

Rows = NDArray[np.float32]


def generator(seed: int, item: str, purpose: str) -> np.random.Generator:
    """A stream that belongs to this item and purpose; its first draws do not depend on how many follow."""
    return np.random.Generator(np.random.SFC64(chance.key(seed, item, f"world {purpose}")))


def normals(seed: int, item: str, purpose: str, rows: int, dim: int) -> Rows:
    """Unit normal draws of an item and a purpose: (rows, dim)."""
    return generator(seed, item, purpose).standard_normal((rows, dim), np.float32)


def slow_noise(draws: Rows, slow: float, memory: float) -> Rows:
    """Noise of unit variance, correlation `slow * memory^lag` from lag 1 on. Uses its draws up.

    White noise plus a first-order autoregression is an ARMA(1, 1) process, which needs one draw a number and not two:
    n[t] = m n[t-1] + c (e[t] - h e[t-1]), with c and h such that the autocovariance is as stated. n[0] is made of
    e[0] and the draw before it, so that the process is stationary from its first row on.
    (rows + 1, dim) -> (rows, dim); row `t` depends on draws up to `t + 1` alone, by the same operations.
    """
    if slow == 0 or memory == 0:
        return draws[1:]
    gain, lead = innovations(slow, memory)
    noise = draws[:-1] * np.float32(-gain * lead)
    noise[0] = np.float32(sqrt(1 - gain * gain)) * draws[0]
    draws *= np.float32(gain)
    noise += draws[1:]
    scaled, factor = np.empty(draws.shape[1], np.float32), np.float32(memory)
    for last, row in pairwise(noise):  # two vector operations a row: faster than any scan
        np.multiply(last, factor, out=scaled)
        np.add(row, scaled, out=row)
    return noise


def innovations(slow: float, memory: float) -> tuple[float, float]:
    """c and h of the process: c^2 (1 + h^2) = 1 + m^2 - 2 s m^2 and c^2 h = m (1 - s)."""
    power, product = 1 + memory**2 - 2 * slow * memory**2, memory * (1 - slow)
    gain_squared = (power + sqrt(max(power**2 - 4 * product**2, 0.0))) / 2
    return sqrt(gain_squared), product / gain_squared


def overlapped(noise: Rows, windows: int, slow: float, memory: float) -> Rows:
    """What rows see whose windows span `windows` strides each: their mean, scaled to unit variance.

    Neighbours then share all but one of the pieces. (rows + windows - 1, dim) -> (rows, dim)
    """
    if windows == 1:
        return noise
    rows = len(noise) - windows + 1
    total = noise[:rows].copy()
    for piece in range(1, windows):
        total += noise[piece : piece + rows]
    variance = windows + 2 * sum((windows - lag) * slow * memory**lag for lag in range(1, windows))
    total *= np.float32(1 / sqrt(variance))
    return total

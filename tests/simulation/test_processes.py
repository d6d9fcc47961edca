"""Slow noise is the process that it is said to be, and overlapping windows share it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.simulation.processes import innovations, overlapped, slow_noise
from activity_bench.simulation.properties import correlation

pytestmark = pytest.mark.quick


@given(st.floats(0, 1), st.floats(0, 0.999))
def test_the_process_has_the_stated_covariance(slow: float, memory: float) -> None:
    """Solved for: c^2 (1 + h^2) and c^2 h; checked: the sum of weights of the moving average that it is."""
    gain, lead = innovations(slow, memory)
    weights = gain * np.concatenate([[1.0], (memory - lead) * memory ** np.arange(20_000)])
    assert 0 <= lead <= 1 and 0 < gain <= 1 + 1e-12
    assert np.dot(weights, weights) == pytest.approx(1, abs=1e-6)
    for lag in (1, 2, 7):
        assert np.dot(weights[:-lag], weights[lag:]) == pytest.approx(slow * memory**lag, abs=1e-6)


@given(st.integers(1, 300), st.floats(0.001, 1), st.floats(0.001, 0.999), st.integers(0, 2**32))
def test_slow_noise_is_the_plain_recursion(rows: int, slow: float, memory: float, seed: int) -> None:
    draws = np.random.default_rng(seed).standard_normal((rows + 1, 2)).astype(np.float32)
    gain, lead = innovations(slow, memory)
    e = draws.astype(np.float64)
    plain = np.empty((rows, 2))
    plain[0] = gain * e[1] + np.sqrt(max(1 - gain * gain, 0)) * e[0]
    for t in range(1, rows):
        plain[t] = memory * plain[t - 1] + gain * (e[t + 1] - lead * e[t])
    np.testing.assert_allclose(slow_noise(draws, slow, memory), plain, atol=2e-4)


@pytest.mark.parametrize("windows", [1, 2, 4])
def test_neighbours_whose_windows_overlap_share_noise(windows: int) -> None:
    slow, memory = 0.5, 0.9
    draws = np.random.default_rng(0).standard_normal((4001, 200)).astype(np.float32)
    noise = overlapped(slow_noise(draws, slow, memory), windows, slow, memory)
    pieces = np.array([[slow * memory ** abs(i - j) if i != j else 1.0 for j in range(40)] for i in range(40)])
    expected = [pieces[:windows, lag : lag + windows].sum() / pieces[:windows, :windows].sum() for lag in (0, 1, 2, 6)]
    assert noise.var() == pytest.approx(1, abs=0.05)
    found = [correlation(noise[: len(noise) - lag], noise[lag:]) for lag in (0, 1, 2, 6)]
    np.testing.assert_allclose(found, expected, atol=0.03)


@given(st.integers(2, 300), st.integers(1, 299))
def test_slow_noise_does_not_look_ahead(rows: int, fewer: int) -> None:
    draws = np.random.default_rng(0).standard_normal((rows + 1, 3)).astype(np.float32)
    part = slow_noise(draws[: min(fewer, rows) + 1].copy(), 0.5, 0.9)
    assert (slow_noise(draws, 0.5, 0.9)[: len(part)] == part).all()

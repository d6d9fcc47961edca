"""Optical flow of pictures that move by a known number of pixels."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from activity_bench.errors import InputError
from activity_bench.features.flow import as_bytes, flows

pytestmark = pytest.mark.check

MOVES = [(3, 0), (0, -2), (-2, 1)]  # pixels to the right and down


def moved(right: int, down: int) -> np.ndarray:
    """48 x 64 out of a smooth texture, moved."""
    y, x = np.mgrid[0:48, 0:64] + np.array([[[20 - down]], [[20 - right]]])
    waves = [np.sin(0.23 * x + 0.11 * y), np.cos(0.31 * y - 0.07 * x), np.sin(0.17 * (x + y) + 1)]
    grey = 128 + 40 * np.sum(waves, axis=0)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_a_known_displacement() -> None:
    """From frame to frame, to a fifth of a pixel in the mean; as many flows as frames, the last one twice."""
    pytest.importorskip("cv2", reason="OpenCV's contrib build is an extra")
    places = np.concatenate([[[0, 0]], np.cumsum(MOVES, axis=0)])
    found = list(flows(moved(*place) for place in places))
    assert [flow.shape for flow in found] == [(48, 64, 2)] * 4
    for flow, move in zip(found, [*MOVES, MOVES[-1]], strict=True):
        pixels = (flow[8:-8, 8:-8].astype(float) - 128) / 6.375
        assert np.abs(pixels.mean((0, 1)) - move).max() < 0.2
    assert np.unique(*flows([moved(0, 0)])).tolist() == [128]
    assert list(flows([])) == []


def test_bytes_of_flow() -> None:
    assert as_bytes(np.array([-90.0, -20, -1, 0, 1, 20, 90])).tolist() == [0, 0, 122, 128, 134, 255, 255]


def test_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match=r"activity-bench\[flow\]"):
        list(flows([moved(0, 0)]))

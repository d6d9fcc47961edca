"""Overlap, suppression and pooling of boxes against loops over boxes and cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from activity_bench.features import boxes
from tests.reference import backbones as twin

pytestmark = pytest.mark.quick


def drawn(seed: int, count: int, high: float = 120.0) -> Tensor:
    """Boxes of all sizes, some of them a single pixel, some on halves of a cell. (count, 4)"""
    chance = np.random.default_rng(seed)
    corners = np.sort(chance.uniform(0, high, (count, 2, 2)), axis=1).reshape(count, 4)
    corners[::5] = np.floor(corners[::5] / 8) * 8  # whole and half cells of 16 pixels
    corners[::7, 2:] = corners[::7, :2]
    return torch.tensor(corners)


def test_overlap_by_hand() -> None:
    a = torch.tensor([[0.0, 0.0, 9.0, 9.0]])  # 100 pixels
    b = torch.tensor([[5.0, 0.0, 14.0, 9.0], [10.0, 0.0, 19.0, 9.0], [0.0, 0.0, 9.0, 4.0]])
    torch.testing.assert_close(boxes.overlap(a, b), torch.tensor([[50 / 150, 0.0, 0.5]]))


@given(seed=st.integers(0, 10**6), count=st.integers(0, 40), threshold=st.sampled_from([0.1, 0.5, 0.7]))
def test_suppression_is_the_greedy_one(seed: int, count: int, threshold: float) -> None:
    found = drawn(seed, count, high=30.0)
    scores = torch.tensor(np.random.default_rng(seed).integers(0, 6, count) / 4.0)  # many are equal
    kept = boxes.suppress(found, scores, threshold, most=12)
    assert kept.tolist() == twin.suppress(found.tolist(), scores.tolist(), threshold, 12)


@pytest.mark.parametrize("block", [1, 7, 300])
@pytest.mark.parametrize("most", [20, 300])
def test_suppression_block_by_block(block: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found, scores = drawn(1, 300), torch.tensor(np.random.default_rng(1).random(300))
    monkeypatch.setattr(boxes, "BLOCK", block)
    kept = boxes.suppress(found, scores, 0.3, most).tolist()
    assert kept == twin.suppress(found.tolist(), scores.tolist(), 0.3, most)
    assert 20 <= len(kept) < 300


@pytest.mark.parametrize("kind", ["pool", "align"])
@pytest.mark.parametrize(("height", "width"), [(9, 6), (3, 13), (1, 1)])
def test_what_is_in_a_box(kind: str, height: int, width: int) -> None:
    maps = torch.tensor(np.random.default_rng(2).normal(size=(3, height, width)))
    found = drawn(3, boxes.BOXES + 9)
    pooled = getattr(boxes, kind)(maps, found, 7, 1 / 16)  # boxes reach beyond the maps, too
    assert pooled.shape == (len(found), 3, 7, 7)
    for box, values in zip(found.tolist(), pooled.numpy(), strict=True):
        expected = getattr(twin, f"roi_{kind}")(maps.numpy(), box, 7, 1 / 16)
        np.testing.assert_allclose(values, expected, atol=1e-12)


@pytest.mark.parametrize("kind", ["pool", "align"])
def test_no_box_is_no_feature(kind: str) -> None:
    assert getattr(boxes, kind)(torch.ones(3, 4, 5), torch.empty(0, 4), 7, 1 / 16).shape == (0, 3, 7, 7)


def test_parts_of_a_box_by_hand() -> None:
    maps = torch.arange(12.0).reshape(1, 3, 4)
    pooled = boxes.pool(maps, torch.tensor([[0.0, 0.0, 2.0, 2.0]]), 2, 1.0)  # 3 x 3 cells in 2 x 2 parts: they share
    assert pooled[0, 0].tolist() == [[5.0, 6.0], [9.0, 10.0]]
    aligned = boxes.align(maps, torch.tensor([[0.0, 0.0, 2.0, 2.0]]), 2, 1.0)  # one sample a part, at .5 and 1.5
    assert aligned[0, 0].tolist() == [[2.5, 3.5], [6.5, 7.5]]

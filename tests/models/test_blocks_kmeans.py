"""k-means against a plain twin: Lloyd's rounds, empty clusters, one answer a seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from activity_bench import chance
from activity_bench.training.blocks.kmeans import k_means
from tests.reference import actionbytes as twin

pytestmark = pytest.mark.quick


def points(seed: int, count: int, groups: int = 4) -> torch.Tensor:
    noise = np.random.Generator(np.random.Philox(key=seed))
    middles = 6 * noise.standard_normal((groups, 3))
    return torch.from_numpy(middles[noise.integers(0, groups, count)] + noise.standard_normal((count, 3))).float()


@pytest.mark.parametrize(
    ("seed", "count", "groups"), [(1, 60, 4), (2, 30, 7), (3, 9, 9), (4, 40, 1), (5, 30, 9), (6, 40, 25), (7, 60, 12)]
)
def test_k_means_is_lloyds(seed: int, count: int, groups: int) -> None:
    own = (points(seed, count) / 2).round() if seed > 4 else points(seed, count)  # alike places: empty clusters
    keys = chance.keys(seed, map(str, range(count)), "first centres")
    first = own[torch.from_numpy(keys.argsort(kind="stable")[:groups])].numpy().astype(np.float64)
    centres, label, loss = twin.k_means(own.numpy().astype(np.float64), first, 20)
    found = k_means(own, groups, seed)
    assert found.label.tolist() == label
    np.testing.assert_allclose(found.centres, centres, atol=1e-4)
    assert found.loss == pytest.approx(loss, abs=1e-4)


def test_an_empty_cluster_takes_the_farthest_point() -> None:
    """Points that are all alike but two: whatever is drawn first, three clusters find all three places."""
    own = torch.zeros(40, 3)
    own[7], own[8] = torch.tensor([5.0, 0, 0]), torch.tensor([0.0, 9, 0])
    for seed in range(5):
        found = k_means(own, 3, seed)
        assert found.loss == 0 and len(set(found.label.tolist())) == 3
        assert len({int(found.label[n]) for n in (0, 7, 8)}) == 3


def test_a_seed_has_one_answer() -> None:
    own = points(5, 200, 8).half()
    once, again, other = k_means(own, 12, 1), k_means(own, 12, 1), k_means(own, 12, 2)
    assert torch.equal(once.label, again.label) and torch.equal(once.centres, again.centres)
    assert not torch.equal(once.centres, other.centres)

"""k-means, as Lloyd has it, from points that the seed draws; it ends when no point moves, or after 20 rounds.

A cluster that no point is nearest to takes the point that is farthest from its own centre, one such cluster after the
other. Points may be kept in half precision; sums are double, and made on the CPU in one order, so that a seed has one
answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from activity_bench import chance

ROUNDS = 20  # as in the work that ActionBytes follows (Caron et al., *Deep Clustering*, ECCV 2018)
CHUNK = 8192  # points at a time


@dataclass(frozen=True)
class Clusters:
    """Centres, where each point belongs, and how far it is on average."""

    centres: Tensor  # (K, l) float32
    label: Tensor  # (n,)
    loss: float  # the mean of squared distances


def k_means(points: Tensor, count: int, seed: int, device: torch.device | str = "cpu") -> Clusters:
    """Groups of points; the same for the same seed. (n, l) -> `count` centres"""
    keys = chance.keys(seed, map(str, range(len(points))), "first centres")
    drawn = torch.from_numpy(keys.argsort(kind="stable")[:count])
    centres = points[drawn].to(device, torch.float32)  # (K, l)
    label, distance, sums = _assigned(points, centres)
    for _ in range(ROUNDS):
        centres, before = _moved(points, label, distance, sums).to(device), label
        label, distance, sums = _assigned(points, centres)
        if torch.equal(label, before):
            break
    total = sum(
        (x.float() - centres.cpu()[own]).square().sum(dtype=torch.float64)
        for x, own in zip(torch.split(points, CHUNK), torch.split(label, CHUNK), strict=True)
    )
    return Clusters(centres, label, float(total) / len(points))


def _assigned(points: Tensor, centres: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The nearest centre of each point, the first of equal ones; about how far it is; the sum of each centre's points.
    (n,), (n,), (K, l) double"""
    sizes = centres.square().sum(1)  # (K,)
    sums = torch.zeros(centres.shape, dtype=torch.float64)
    labels, distances = [], []
    for some in torch.split(points, CHUNK):
        x = some.float()  # (chunk, l)
        there = x.to(centres.device)
        least, label = torch.addmm(sizes, there, centres.T, alpha=-2).min(1)  # less |x|^2, which is one for all centres
        labels.append(label.cpu())
        distances.append((least + there.square().sum(1)).cpu())
        sums += torch.zeros(centres.shape).index_add_(0, labels[-1], x)  # on the CPU, where a sum has one order
    return torch.cat(labels), torch.cat(distances), sums


def _moved(points: Tensor, label: Tensor, distance: Tensor, sums: Tensor) -> Tensor:
    """The mean of each cluster's points; an empty one takes the farthest point that no other has taken. (K, l)"""
    sizes = label.bincount(minlength=len(sums))  # (K,)
    centres = (sums / sizes.clamp(min=1)[:, None]).float()
    (empty,) = (sizes == 0).nonzero(as_tuple=True)
    farthest = distance.sort(descending=True, stable=True).indices[: len(empty)]
    centres[empty] = points[farthest].float()
    return centres

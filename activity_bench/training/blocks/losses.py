"""Losses that networks share. Each is the mean over the batch of a value that a sample has alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPSILON = 1e-8  # of a sum that may be zero


def mean_of(x: Tensor, weight: Tensor) -> Tensor:
    """The mean of rows under weights that need not sum to one. (B, N, D), (B, N) -> (B, D)"""
    share = weight / weight.sum(1, keepdim=True).clamp(min=EPSILON)  # (B, N)
    return (share[:, :, None] * x).sum(1)  # no matrix product: in half precision, too, a mean stays exact


def position_labels(first: Tensor, last: Tensor, mask: Tensor) -> Tensor:
    """Start, end, inside, outside: the label of each row (ECCV 2018, section 3.4). (B,), (B,), (B, N) -> (B, N, 4)

    A starting row is half start, half inside; the row of a target that has only one is a third of each.
    """
    rows = torch.arange(mask.shape[1], device=mask.device)  # (N,)
    first, last = first[:, None], last[:, None]  # (B, 1), half-open: the ending row is last - 1
    inside = (first <= rows) & (rows < last)
    labels = torch.stack((rows == first, rows == last - 1, inside, ~inside), dim=-1).float()  # (B, N, 4)
    return labels / labels.sum(-1, keepdim=True)


def weighted_cross_entropy(log_p: Tensor, labels: Tensor, mask: Tensor, weight: float) -> Tensor:
    """Cross entropy in which rows that start or end a target count `weight` times (ECCV 2018, Eqs. 9 to 11;
    AAAI 2020, Eq. 19). (B, N, 4), (B, N, 4), (B, N) -> ()"""
    boundary = labels[..., :2].sum(-1) > 0  # (B, N)
    w = 1 + (weight - 1) * boundary  # Eq. 10
    entropy = -(labels * log_p).sum(-1)  # (B, N)
    per_sample = (w * entropy * mask).sum(1) / mask.sum(1)  # (B,), Eq. 11
    return per_sample.mean()


def triplet(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """How far a positive fails to be nearer than a negative by a margin, in squared distance (FaceNet, Eq. 3).
    (B, D) each -> (B,)"""
    near = (anchor - positive).square().sum(-1)
    far = (anchor - negative).square().sum(-1)
    return nn.functional.relu(near - far + margin)


def cosine_distance(a: Tensor, b: Tensor) -> Tensor:
    """One minus the cosine. (B, D), (B, D) -> (B,)"""
    return 1 - nn.functional.cosine_similarity(a, b, dim=-1, eps=EPSILON)


def co_attention(query: Tensor, action: Tensor, background: Tensor, alpha: float) -> Tensor:
    """Query and action near, background far from both (AAAI 2020, Eqs. 16 to 18, with -log in front). (B, D) -> ()"""
    near = cosine_distance(query, action)  # (B,), Eq. 17
    far = alpha * cosine_distance(query, background) + (1 - alpha) * cosine_distance(action, background)  # Eq. 18
    return nn.functional.softplus(near - far).mean()  # -log of exp(-near) / (exp(-near) + exp(-far)), Eq. 16

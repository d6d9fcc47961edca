"""Learning where from what alone: Paul, Roy and Roy-Chowdhury, *W-TALC*, ECCV 2018, sections 3.3 and 3.4.

A class-activation sequence says of every row how much of a class it shows. The k greatest values of a class are its
score for the video, and videos of one class shall look alike where it is active, and unlike where it is not.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

PART = 8  # one row in so many counts
MARGIN = 0.5  # delta: how much nearer two videos' activity shall be than one's activity and the other's rest
EPSILON = 1e-8


def k_max(activations: Tensor, mask: Tensor) -> Tensor:
    """The mean of a class's k greatest activations, k an eighth of the rows, rounded up (as released; the paper rounds
    down). (B, N, C), (B, N) -> (B, C)"""
    k = -(-mask.sum(1) // PART)  # (B,)
    most = int(k.max())
    best = activations.masked_fill(~mask[:, :, None], float("-inf")).topk(most, dim=1).values  # (B, most, C)
    counts = torch.arange(most, device=mask.device) < k[:, None]  # (B, most)
    return best.masked_fill(~counts[:, :, None], 0.0).sum(1) / k[:, None]


def k_max_loss(activations: Tensor, mask: Tensor, classes: Tensor) -> Tensor:
    """Cross entropy of the videos' scores and their classes, which share one whole (W-TALC, Eqs. 3 to 5).
    (B, N, C), (B, N), (B, C) -> ()"""
    log_p = k_max(activations.to(torch.promote_types(activations.dtype, torch.float32)), mask).log_softmax(1)
    share = classes / classes.sum(1, keepdim=True)  # (B, C): every video has a class
    return -(share * log_p).sum(1).mean()


def co_activity_loss(latent: Tensor, activations: Tensor, mask: Tensor, classes: Tensor) -> Tensor:
    """Two videos of a class: alike where it is active, and neither like the rest of the other (W-TALC, Eqs. 6 to 9).
    The mean over couples of the batch's videos and classes that both have, as released; 0 where no two share any.
    (B, N, l), (B, N, C), (B, N), (B, C) -> ()

    Only the P couples of a video and a class that it has are ever looked at; Q is the most classes that a video has.
    """
    video, label = classes.nonzero(as_tuple=True)  # (P,) each
    same = (label[:, None] == label) & (video[:, None] != video)  # (P, P): two videos, one class
    real = mask[video]  # (P, N)
    with torch.autocast(latent.device.type, enabled=False):  # a margin of cosines is no place for half precision
        kind = torch.promote_types(latent.dtype, torch.float32)
        rows, values = latent.to(kind), activations.to(kind)[video, :, label]  # (B, N, l), (P, N)
        active = values.masked_fill(~real, float("-inf")).softmax(1)  # (P, N), Eq. 6
        rest = (1 - active).masked_fill(~real, 0.0) / (real.sum(1, keepdim=True) - 1).clamp(min=1)  # (P, N), Eq. 7
        counts = video.bincount(minlength=len(mask))  # (B,)
        place = torch.arange(len(video), device=mask.device) - (counts.cumsum(0) - counts)[video]  # (P,), below Q
        tables = (
            weights.new_zeros(len(mask), int(counts.max()), mask.shape[1]).index_put((video, place), weights)
            for weights in (active, rest)
        )  # (B, Q, N) each: a video's rows are read once for all its classes
        high, low = (nn.functional.normalize((t @ rows)[video, place], dim=1, eps=EPSILON) for t in tables)  # (P, l)
        near, far = 1 - high @ high.T, 1 - high @ low.T  # (P, P): far[i, j] is i's activity from j's rest
        hinge = nn.functional.relu(near - far + MARGIN)  # both of Eq. 9's terms: one at [i, j], the other at [j, i]
    return (hinge * same).sum() / same.sum().clamp(min=1)

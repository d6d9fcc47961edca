"""From what a network says of rows to one segment of whole rows, half-open. No loop over samples or segments.

A *table* is (B, N, L): what is said of the segment that starts at row n and has l + 1 rows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

Segments = tuple[Tensor, Tensor, Tensor]  # first, last, score: (B,) each


def fits(mask: Tensor, longest: int) -> Tensor:
    """Which cells of a table are segments of real rows. (B, N) -> (B, N, L)"""
    n, device = mask.shape[1], mask.device
    ends = torch.arange(n, device=device)[:, None] + torch.arange(min(longest, n), device=device)  # (N, L): last row
    return ends < mask.sum(1)[:, None, None]


def ahead(x: Tensor, longest: int) -> Tensor:
    """At [b, n, l] the value of row n + l; 0 past the end. A view. (B, N) -> (B, N, L)"""
    longest = min(longest, x.shape[1])
    return nn.functional.pad(x, (0, longest - 1)).unfold(1, longest, 1)


def best_cell(table: Tensor) -> Segments:
    """The segment with the greatest value; of equal ones the first to start, then the shortest. (B, N, L) -> (B,)"""
    value, cell = table.flatten(1).max(1)
    first, length = cell // table.shape[2], cell % table.shape[2] + 1
    return first, first + length, value


def best_segment(log_p: Tensor, mask: Tensor, longest: int) -> Segments:
    """The greatest joint probability p1[s] p2[e] (p3[s] … p3[e])^(1 / (e - s + 1)), ECCV 2018, Eq. 12, and AAAI 2020,
    Eq. 20. (B, N, 4), (B, N) -> (B,)

    In logarithms: the product of 300 probabilities is below the least float32. Sums over a segment are differences of
    one running sum, in double precision, since they must be exact to the last of many rows.
    """
    start, end, inside = log_p[..., :3].double().unbind(-1)  # (B, N) each
    total = inside.cumsum(1)  # (B, N)
    before = total - inside
    length = torch.arange(1, min(longest, mask.shape[1]) + 1, device=mask.device)  # (L,)
    table = start[:, :, None] + ahead(end, longest) + (ahead(total, longest) - before[:, :, None]) / length
    first, last, score = best_cell(table.masked_fill(~fits(mask, longest), float("-inf")))
    return first, last, score.exp().float()


def longest_run(p: Tensor, mask: Tensor) -> Segments:
    """The longest run of rows whose value is above the sample's mean (AAAI 2020, weak inference); of equal ones the
    first. Where no row is above the mean, all are alike, and the whole window answers. (B, N), (B, N) -> (B,)"""
    n = mask.sum(1)  # (B,)
    mean = (p * mask).sum(1) / n  # (B,)
    above = (p > mean[:, None]) & mask  # (B, N)
    rows = torch.arange(p.shape[1], device=p.device).expand_as(above)  # (B, N)
    gap = torch.where(above, -1, rows).cummax(1).values  # (B, N): the last row at or before this that is not above
    length, end = (rows - gap).max(1)  # (B,): rows in the run that ends here
    none = length == 0
    last = torch.where(none, n, end + 1)
    first = torch.where(none, 0, last - length)
    inside = (rows >= first[:, None]) & (rows < last[:, None])
    return first, last, (p * inside).sum(1) / (last - first)


def most_likely_run(logits: Tensor, mask: Tensor) -> Segments:
    """The segment with the greatest product of p within and 1 - p without, over all rows (IJCAI 2019, section 6.2,
    FLP); of equal ones the first to end, then the shortest. The score is the product's geometric mean over the rows.
    (B, N), (B, N) -> (B,)

    Its logarithm is the sum of all log(1 - p), which is one for all segments, and of the logits within: the greatest
    difference of their running sum and the least that it was before. The product itself is 0 in float32 from some
    hundred rows on.
    """
    logits = logits.double()  # (B, N)
    total = logits.cumsum(1)  # (B, N), with row n; padding comes last
    least, start = nn.functional.pad(total[:, :-1], (1, 0)).cummin(1)  # (B, N): the least before row n or sooner
    value, end = (total - least).masked_fill(~mask, float("-inf")).max(1)  # (B,)
    outside = nn.functional.logsigmoid(-logits).masked_fill(~mask, 0.0).sum(1)  # (B,), all log(1 - p)
    first = start.gather(1, end[:, None]).squeeze(1)
    return first, end + 1, ((outside + value) / mask.sum(1)).exp().float()

"""Ranking: only among scores that answer the same question by the same rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence


def ranks(groups: Sequence[Hashable | None], scores: Sequence[float | None]) -> list[int | None]:
    """The rank of each score inside its group, best first, equal scores sharing the better rank.

    A group of None (a partial manifest, a published figure) or a missing score has no rank.
    """
    members: dict[Hashable, list[float]] = defaultdict(list)
    for group, score in zip(groups, scores, strict=True):
        if group is not None and score is not None:
            members[group].append(score)
    return [
        None if group is None or score is None else 1 + sum(other > score for other in members[group])
        for group, score in zip(groups, scores, strict=True)
    ]

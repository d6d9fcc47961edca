"""Ranking: only among scores that answer the same question by the same rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from math import hypot


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


def overlap(better: tuple[float, float, float], other: tuple[float, float, float]) -> bool:
    """Whether the interval of the difference of two scores holds 0, each as (low, high, score), as if independent.

    The margins that face each other add up as squares (Zou and Donner 2008). Scores of the same samples mostly rise and
    fall together, so this calls more of them tied than a paired test does.
    """
    return better[2] - other[2] <= hypot(better[2] - better[0], other[1] - other[2])

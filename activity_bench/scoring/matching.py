"""Who is matched with whom, for all groups at once: pairs inside groups, and greedy matching as parallel rounds.

Greedy matching lets proposers choose one after another: each takes what it likes best of what is still free. That is
deferred acceptance (Gale and Shapley 1962) where every acceptor prefers the proposers in one and the same order: it has
one stable outcome, and it does not matter who proposes when. So all proposers ask at once, each acceptor keeps the
first of them in that order, those turned away ask their next choice, and a few rounds give exactly what the sequence
gives. Groups do not meet, so one call does every video and class.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from activity_bench.segments import Floats

Ints = NDArray[np.int64]
PAIRS = 1 << 20  # pairs that are looked at together: what bounds the memory


def pairs(group: Ints, other: Ints, at_once: int = PAIRS) -> Iterator[tuple[Ints, Ints]]:
    """Every (i, j) with group[i] == other[j], in order of i, then j, in pieces of about `at_once`. (k,), (m,)"""
    if not len(group) or not len(other):
        return
    order = np.argsort(other, kind="stable")
    names, first, number = np.unique(other[order], return_index=True, return_counts=True)
    place = np.minimum(np.searchsorted(names, group), len(names) - 1)
    members = np.flatnonzero(names[place] == group)
    first, number = first[place[members]], number[place[members]]
    total = np.cumsum(number)
    begin = 0
    while begin < len(members):
        before = total[begin] - number[begin]
        end = max(begin + 1, int(np.searchsorted(total, before + at_once, side="right")))
        piece = slice(begin, end)
        offset = np.repeat(first[piece] - (total[piece] - number[piece] - before), number[piece])
        yield np.repeat(members[piece], number[piece]), order[np.arange(len(offset)) + offset]
        begin = end


def greedy(proposer: Ints, acceptor: Ints, acceptors: int) -> tuple[Ints, Ints]:
    """The couples when proposers choose in order, each its first free acceptor. (p,), (p,) -> (couples,), (couples,)

    The pairs stand in order of proposer and, of one proposer, of its preference.
    """
    if not len(proposer):
        return proposer, acceptor
    first = np.flatnonzero(np.concatenate([[True], proposer[1:] != proposer[:-1]]))
    last = np.append(first[1:], len(proposer))
    choice = first.copy()  # the pair that each proposer asks for
    held = np.full(acceptors, len(first), np.int64)  # whom each acceptor holds; all would be better than nobody
    asking = np.arange(len(first))
    while len(asking):
        asked = acceptor[choice[asking]]
        before = held[asked]
        held[asked[::-1]] = np.minimum(before, asking)[::-1]  # of several, the last one written is the first in order
        after = held[asked]
        displaced = before[(before != after) & (before < len(first))]
        turned = np.sort(np.concatenate([asking[after != asking], displaced]))
        turned = turned[np.flatnonzero(np.diff(turned, prepend=-1))]  # each once
        choice[turned] += 1
        asking = turned[choice[turned] < last[turned]]
    taken = np.flatnonzero(held < len(first))
    return proposer[first[held[taken]]], taken


def repeats(group: Ints, start: Floats, end: Floats, tolerance: float) -> list[int]:
    """Segments at most `tolerance` from an earlier one of their group that stays, at both ends."""
    order = np.lexsort((end, start, group))
    near: list[tuple[int, int]] = []
    for step in range(1, len(order)):
        a, b = order[:-step], order[step:]
        close = (group[a] == group[b]) & (start[b] - start[a] <= tolerance)
        if not close.any():
            break  # starts are in order: nobody further away is nearer
        both = np.flatnonzero(close & (np.abs(end[b] - end[a]) <= tolerance))
        near += [(max(pair), min(pair)) for pair in zip(a[both].tolist(), b[both].tolist(), strict=True)]
    gone: set[int] = set()
    for later, earlier in sorted(near):  # by the later one: what it is compared with is decided
        if earlier not in gone:
            gone.add(later)
    return sorted(gone)

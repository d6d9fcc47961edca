"""Ranks: inside a group, best first, ties sharing the better rank."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.scoring.rank import ranks

pytestmark = pytest.mark.quick


def test_a_small_table() -> None:
    groups = ["a", "a", "b", "a", None, "a"]
    assert ranks(groups, [0.5, 0.9, 0.1, 0.5, 1.0, None]) == [2, 1, 1, 2, None, None]
    assert ranks([], []) == []


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([0.1, 0.2, 0.3])), max_size=12))
def test_as_the_competition_ranking_of_sorted_scores(rows: list[tuple[str, float]]) -> None:
    found = ranks(*zip(*rows, strict=True)) if rows else []
    for (group, score), rank in zip(rows, found, strict=True):
        ordered = sorted((s for g, s in rows if g == group), reverse=True)
        assert rank == ordered.index(score) + 1

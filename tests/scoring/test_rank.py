"""Ranks: inside a group, best first, ties sharing the better rank."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.scoring.rank import overlap, ranks

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


@pytest.mark.parametrize(
    ("better", "other", "tied"),
    [
        # .115 between them; facing margins of .1 and .065 are .119 together. The other two margins are no matter.
        ((0.60, 0.99, 0.70), (0.10, 0.65, 0.585), True),
        ((0.60, 0.70, 0.70), (0.58, 0.65, 0.585), True),
        # .15 between them, margins of .1 and .07: .122.
        ((0.60, 0.99, 0.70), (0.10, 0.62, 0.55), False),
        ((0.60, 0.71, 0.70), (0.54, 0.62, 0.55), False),
    ],
)
def test_margins_that_face_each_other_add_up_as_squares(
    better: tuple[float, float, float], other: tuple[float, float, float], tied: bool
) -> None:
    assert overlap(better, other) is tied

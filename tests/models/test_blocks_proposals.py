"""Two thresholds, proposals and suppression against plain twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from activity_bench.training.blocks.proposals import Found, averages, localised, peaks, proposals, suppress
from tests.reference import actionbytes as twin

pytestmark = pytest.mark.quick

SCORES = st.integers(1, 30).flatmap(
    lambda rows: st.integers(1, 4).flatmap(
        lambda count: arrays(np.float64, (rows, count), elements=st.integers(-8, 8).map(lambda n: n / 2))
    )
)
BOUNDS = st.lists(st.integers(1, 29), max_size=12, unique=True).map(sorted)


def as_found(listed: list[twin.Scored]) -> Found:
    columns = np.array(listed, np.float64).reshape(-1, 4)
    return Found(*(columns[:, n].astype(np.int64) for n in range(3)), columns[:, 3])


def as_list(found: Found) -> list[twin.Scored]:
    return list(zip(*(column.tolist() for column in found.columns), strict=True))


def agree(found: list[twin.Scored], expected: list[twin.Scored]) -> None:
    assert [each[:3] for each in found] == [each[:3] for each in expected]
    np.testing.assert_allclose([each[3] for each in found], [each[3] for each in expected], atol=1e-12)


@given(SCORES)
def test_two_thresholds(activations: np.ndarray) -> None:
    found = localised(activations, None, 0.5)
    agree(sorted(as_list(found), key=lambda e: (e[2], e[0])), twin.two_stage(activations))
    assert (np.diff(found.score) <= 0).all()


@given(
    st.lists(BOUNDS, min_size=1, max_size=3), st.sets(st.integers(1, 5), min_size=1).map(sorted), st.integers(30, 35)
)
def test_proposals_stay_in_the_video(bounds: list[list[int]], merge: list[int], rows: int) -> None:
    first, last = proposals([np.array(own, np.int64) for own in bounds], merge, rows)
    assert list(zip(first.tolist(), last.tolist(), strict=True)) == twin.proposals(bounds, merge, rows)
    assert ((first >= 0) & (first < last) & (last <= rows)).all()


def test_jitter_stops_at_the_ends() -> None:
    first, last = proposals([np.array([0, 5])], [1], 5)
    assert list(zip(first.tolist(), last.tolist(), strict=True)) == [(0, 5)]
    first, last = proposals([np.array([1, 4])], [1, 2], 9)
    assert list(zip(first.tolist(), last.tolist(), strict=True)) == [(0, 4), (0, 5), (1, 4), (1, 5)]


@settings(max_examples=60)
@given(SCORES, BOUNDS, st.sampled_from([0.1, 0.3, 0.5, 0.7, 1.0]))
def test_proposals_among_the_answers(activations: np.ndarray, bounds: list[int], overlap: float) -> None:
    rows = len(activations)
    bounds = [b for b in bounds if b < rows]
    pool = proposals([np.array(bounds, np.int64)], [1, 2], rows)
    listed = list(zip(pool[0].tolist(), pool[1].tolist(), strict=True))
    for first, last in listed:
        np.testing.assert_array_equal(peaks(activations, *pool)[listed.index((first, last))],
                                      activations[first:last].max(axis=0))  # fmt: skip
    means = averages(activations, *pool)
    expected = [activations[first:last].mean(axis=0) for first, last in listed]
    np.testing.assert_allclose(means, np.array(expected).reshape(means.shape), atol=1e-12)
    found, wanted = as_list(localised(activations, pool, overlap)), twin.localised(activations, listed, overlap)
    if len({round(each[3], 9) for each in wanted}) == len(wanted):  # equal sums may differ by their rounding
        agree(found, wanted)


SEGMENTS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 30), st.integers(0, 3), st.integers(0, 9)), max_size=60
).map(lambda rows: [(a, a + length, c, s / 2) for a, length, c, s in rows])


@given(SEGMENTS, st.sampled_from([0.01, 0.2, 1 / 3, 0.5, 0.75, 1.0]))
def test_suppression_is_the_greedy_one(listed: list[twin.Scored], overlap: float) -> None:
    agree(as_list(suppress(as_found(listed), overlap)), twin.suppress(listed, overlap))

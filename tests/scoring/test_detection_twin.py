"""Detection scores against a plain-Python reading of each protocol's rules, on 2,040 small cases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activity_bench.scoring.detection import (
    DetectionProtocol,
    Detections,
    Truths,
    average_precision,
    evaluate,
    rank,
)
from activity_bench.scoring.protocols import ACTIONFORMER, PROTOCOLS, THUMOS_EVALKIT, WTALC
from tests.reference import detection as reference
from tests.reference.detection import Case

pytestmark = pytest.mark.check

ROWS = {rules.name: rules for rules in PROTOCOLS}
VIDEOS, CLASSES = 3, 3
EDGES = st.tuples(st.integers(0, 12), st.integers(0, 7)).map(lambda pair: (float(pair[0]), float(sum(pair))))
NUDGES = st.sampled_from([(0.0, 0.0)] * 4 + [(0.0004, -0.0003), (0.0007, 0.0), (0.0, 0.002)])
VIDEO = st.integers(0, VIDEOS - 1)
TRUE = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), EDGES), min_size=1, max_size=6)
IGNORED = st.lists(st.tuples(VIDEO, EDGES), max_size=2)
FOUND = st.lists(
    st.tuples(st.integers(-1, VIDEOS - 1), st.integers(0, CLASSES - 1), EDGES, st.integers(0, 4)), max_size=10
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Few videos and classes on whole seconds, so that ratios and scores tie, truths repeat, and some are empty."""
    truths = []
    for video, label, (a, b) in draw(TRUE):
        truths.append((video, label, a, b))
        if draw(st.booleans()):
            first, last = draw(NUDGES)
            truths.append((video, label, a + first, max(a + first, b + last)))
    ignore = [(video, a, b + 1) for video, (a, b) in draw(IGNORED)]
    found = [(video, label, a, b + 1, score / 4) for video, label, (a, b), score in draw(FOUND)]
    return Case(truths, ignore, found)


def arrays(case: Case, videos: int = VIDEOS) -> tuple[Truths, Detections]:
    """The case as the package takes it."""

    def columns(rows: Sequence[Sequence[float]], whole: int, width: int) -> list[np.ndarray]:
        table = np.array(rows, np.float64).reshape(len(rows), width).T
        return [column.astype(np.int64) if place < whole else column for place, column in enumerate(table)]

    truths = Truths(videos, CLASSES, *columns(case.truths, 2, 4), *columns(case.ignore, 1, 3))
    return truths, Detections(*columns(case.detections, 2, 5))


def scored(case: Case, rules: DetectionProtocol, videos: int = VIDEOS) -> dict[str, float]:
    return evaluate(rank(*arrays(case, videos), rules), rules)


@pytest.mark.parametrize("name", ROWS)
@settings(max_examples=340)
@given(case=cases())
def test_every_score_is_that_of_the_written_rules(name: str, case: Case) -> None:
    rules, table = ROWS[name], reference.PROTOCOLS[name](case)
    ranked = rank(*arrays(case), rules)
    if not table:
        with pytest.raises(ValueError, match="no ground truth"):
            evaluate(ranked, rules)
        return
    found = average_precision(ranked, rules)
    expected = np.full(found.shape, np.nan)
    for label, column in table.items():
        expected[:, label] = [float(value) for value in column]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    maps = [float(value) for value in reference.scores(case, name)]
    assert list(evaluate(ranked, rules).values()) == pytest.approx([np.mean(maps), *maps], abs=1e-12)


def test_every_row_has_its_twin() -> None:
    assert set(reference.PROTOCOLS) == set(ROWS)
    assert {rules.matching for rules in PROTOCOLS} == {"best", "first", "truth"}
    assert (ACTIONFORMER.shortest_truth, THUMOS_EVALKIT.strict, WTALC.absent) == (1e-3, True, "all zero")

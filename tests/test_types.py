"""Values compare and hash by what they hold, and what a method is shown it may spoil: the sample stays."""

from __future__ import annotations

from copy import deepcopy

import pytest

from activity_bench.types import Grid, Query, Sample, Segment, Target, Window

pytestmark = pytest.mark.quick


def sample() -> Sample:
    return Sample(
        "test/v/0-20/0",
        Query("clip", "w", start=1.0, end=2.0),
        Window("v", 0.0, 20.0),
        (Target(3.0, 4.0, "a"),),
        label="a",
        grid=Grid(0.5, (0, 40), ((6, 8),), (2, 4)),
        ignore=(Segment(5.0, 6.0),),
    )


def test_values_are_what_they_hold() -> None:
    assert sample() == sample()
    assert len({sample(), sample(), sample().question()}) == 2


def test_a_method_that_spoils_its_question_spoils_no_sample() -> None:
    asked = sample()
    before, question = deepcopy(asked), asked.question()
    for part, name, value in (
        (question, "id", "other"),
        (question.query, "video", "other"),
        (question.video, "end", 5.0),
        (question.grid, "video", (0, 10)),
    ):
        setattr(part, name, value)
    assert asked == before

"""What happens in the videos of a manifest, read off its samples."""

from __future__ import annotations

import pytest

from activity_bench.errors import InputError
from activity_bench.simulation.content import contents
from activity_bench.types import Instance, Query, Sample, Target, Window

pytestmark = pytest.mark.quick


def clip(
    sample_id: str, video: str, end: float, target: tuple[float, float], query: tuple[str, float, float]
) -> Sample:
    return Sample(sample_id, Query("clip", *query[:1], start=query[1], end=query[2]), Window(video, 0, end),
                  (Target(*target),), label="Tap dancing")  # fmt: skip


def test_targets_and_query_segments_each_once() -> None:
    samples = [
        clip("1", "a", 30.0, (5, 9), ("b", 2, 6)),
        clip("2", "b", 8.0, (2, 6), ("a", 5, 9)),
        clip("3", "a", 50.0, (35, 40), ("c", 70, 75.5)),
    ]
    found = contents(samples)
    assert list(found) == ["a", "b", "c"]
    assert found["a"].duration == 50.0
    assert found["a"].instances == (Instance(5, 9, "Tap dancing"), Instance(35, 40, "Tap dancing"))
    assert (found["b"].duration, found["c"].duration) == (8.0, 75.5)
    assert found["c"].instances == (Instance(70, 75.5, "Tap dancing"),)
    assert contents(reversed(samples)) == found


def test_detection_has_labels_on_its_targets_and_may_lack_an_end() -> None:
    targets = (Target(1, 4, "Diving"), Target(2, 9, "Archery"))
    found = contents([Sample("1", Query("classes", vocabulary="all"), Window("v", 0, None), targets)])
    assert found["v"].duration == 9
    assert found["v"].instances == (Instance(1, 4, "Diving"), Instance(2, 9, "Archery"))


def test_an_image_query_adds_a_moment_and_no_activity() -> None:
    query = Query("image", "other", time=12.5, label="Archery")
    found = contents([Sample("1", query, Window("v", 0, 20), (Target(1, 4),), label="Diving")])
    assert found["other"].instances == () and found["other"].duration == 12.5
    assert found["v"].instances == (Instance(1, 4, "Diving"),)


def test_a_target_without_a_class_is_an_error() -> None:
    with pytest.raises(InputError, match="without a class"):
        contents([Sample("s7", Query("classes", vocabulary="all"), Window("v", 0, 9), (Target(1, 4),))])

"""What happens in the videos of a manifest, read off its samples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.errors import InputError
from activity_bench.simulation.content import TAIL, contents
from activity_bench.types import Instance, Query, Sample, Target, Window

pytestmark = pytest.mark.quick

CLASSES = Query("classes", vocabulary="all")


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
    found = contents(samples).videos
    assert list(found) == ["a", "b", "c"]
    assert found["a"].duration == 50.0
    assert found["a"].instances == (Instance(5, 9, "Tap dancing"), Instance(35, 40, "Tap dancing"))
    assert (found["b"].duration, found["c"].duration) == (8.0, 75.5)
    assert found["c"].instances == (Instance(70, 75.5, "Tap dancing"),)
    assert contents(reversed(samples)) == contents(samples)


def test_detection_has_labels_on_its_targets_and_a_video_without_an_end_goes_on() -> None:
    targets = (Target(1, 4, "Diving"), Target(2, 9, "Archery"))
    found = contents([Sample("1", CLASSES, Window("v", 0, None), targets)])
    duration = found.videos["v"].duration
    assert duration is not None and 9 + TAIL[0] <= duration <= 9 + TAIL[1]
    assert found.videos["v"].instances == (Instance(1, 4, "Diving"), Instance(2, 9, "Archery"))
    assert found.trimmed == frozenset()


def test_an_image_query_is_a_frame_with_its_activity() -> None:
    query = Query("image", "other", time=12.5, label="Archery")
    found = contents([Sample("1", query, Window("v", 0, 20), (Target(1, 4),), label="Diving")])
    assert found.videos["other"].instances == () and found.videos["other"].duration == 12.5
    assert found.videos["v"].instances == (Instance(1, 4, "Diving"),)
    assert found.frames == {("other", 12.5): "Archery"}


def test_a_trimmed_clip_is_known_by_its_line() -> None:
    line = Sample("1", CLASSES, Window("k", 20, 30), (Target(20, 30, "Diving"),), label="Diving")
    whole = Sample("2", CLASSES, Window("v", 0, 30), (Target(20, 30, "Diving"),))
    found = contents([line, whole])
    assert found.trimmed == {"k"}
    assert found.videos["k"].instances == (Instance(20, 30, "Diving"),)
    assert contents([line, clip("3", "a", 30, (5, 9), ("k", 20, 30))]).trimmed == frozenset()


@given(
    st.floats(5, 400),
    st.lists(st.sampled_from(["Diving", "Archery", "Tap dancing"]), min_size=1, unique=True),
    st.integers(0, 99),
)
def test_weak_lines_show_what_they_name(end: float, labels: list[str], seed: int) -> None:
    weak = Sample("1", CLASSES, Window("v", 0, end), (), labels=tuple(labels))
    found = contents([weak], seed).videos["v"]
    assert found.duration == end
    assert {instance.label for instance in found.instances} == set(labels)
    assert all(0 <= instance.start < instance.end <= end for instance in found.instances)
    assert 0.2 <= sum(instance.end - instance.start for instance in found.instances) / end <= 0.7
    assert contents([weak], seed).videos["v"] == found


def test_a_weak_line_of_a_moment_benchmark_and_of_a_video_without_an_end() -> None:
    query = Query("clip", "q", start=2, end=6)
    reference = contents([Sample("1", query, Window("v", 0, 60), (), label="Diving")]).videos
    assert {instance.label for instance in reference["v"].instances} == {"Diving"}
    assert reference["q"].instances == (Instance(2, 6, "Diving"),)
    endless = contents([Sample("1", CLASSES, Window("v", 0, None), (), labels=("Diving",))]).videos["v"]
    assert endless.duration is not None and endless.duration >= 20 and endless.instances


def test_what_is_known_of_a_class_is_not_made_up() -> None:
    weak = Sample("1", CLASSES, Window("v", 0, 60), (), labels=("Tap dancing",))
    found = contents([weak, clip("2", "a", 30.0, (5, 9), ("v", 2, 6))]).videos["v"]
    assert found.instances == (Instance(2, 6, "Tap dancing"),)


def test_a_target_without_a_class_is_an_error() -> None:
    with pytest.raises(InputError, match="without a class"):
        contents([Sample("s7", CLASSES, Window("v", 0, 9), (Target(1, 4),))])

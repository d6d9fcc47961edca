"""The ActivityIBAL builder against its rules in plain Python, on corpora of ties, bounds and touching instances."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from activity_bench.builders.activity_ibal import ActivityIBAL, Options
from activity_bench.errors import InputError
from activity_bench.types import Corpus, Instance, Video
from tests.reference import activity_ibal as plain

pytestmark = pytest.mark.quick

TREE = {"a": ("x", "r"), "b": ("x", "r"), "c": ("y", "r"), "d": ("y", "r"), "e": ("z", "q", "r"), "f": ("r",),
        "g": ("alone",), "h": ()}  # fmt: skip
BOUNDS = [8.5, 50.0, 39.0, 9.0, 20.0, 0.0, -1.0]  # of lengths: the least, the most, 0.78 of 50 s


def corpus_by(seed: int, count: int) -> list[Video]:
    rng = Random(seed)
    videos = [Video(f"one-{label}", 60.0, "training", (Instance(5.0, 25.0, label),)) for label in TREE]
    for place in range(count):
        duration = rng.choice([None, 0.0, 20.0, 50.0, 100.0, 100.0, 100.0, rng.uniform(10, 200)])
        label, instances = rng.choice("abcdefgh"), []
        start = rng.choice([0.0, 0.5, -2.0, 10.0])
        for _ in range(rng.choice([0, 1, 1, 2, 3, 4])):
            length = rng.choice([*BOUNDS, rng.uniform(0, 60)])
            own = label if rng.random() < 0.93 else rng.choice("abcdefgh")
            instances.append(Instance(start, start + length, own))
            start += rng.choice([0.0, length, length, length + 7.25, length - 1, rng.uniform(0, 40)])
        videos.append(Video(f"v{place}", duration, "training", tuple(rng.sample(instances, len(instances)))))
    return videos


@settings(max_examples=30)
@example(corpus_by(0, 30), "split", {"simple": 1, "difficult": 4, "seed": 7}, False)  # several classes ask one
@given(
    st.builds(corpus_by, st.integers(0, 10**6), st.integers(30, 60)),
    st.sampled_from(["split", "all"]),
    st.sampled_from([{}, {"simple": 0}, {"difficult": 0}, {"simple": 1, "difficult": 4, "seed": 7}, {"val_classes": 3},
                     {"max_target": 39.0, "max_coverage": 0.5}]),
    st.booleans(),
)  # fmt: skip
def test_as_the_rules_say(videos: list[Video], difficult_from: Any, more: dict[str, Any], framed: bool) -> None:
    options = Options(**{"val_classes": 2, "test_classes": 2, "difficult_from": difficult_from, **more})
    frames = {video.id: [0.0, 9.5, 10.0, 21.0000004, 30.5] for video in videos[::2]} if framed else {}
    tables = {"query_frames": frames} if framed else {}
    built = ActivityIBAL.build([Corpus("made up", tuple(videos), TREE, ())], options, tables=tables)
    expected, drops, notes = plain.build(videos, TREE, options, frames)
    assert list(built.samples) == expected
    ledger = built.ledger.as_dict()
    assert ledger["dropped"] == drops
    assert ledger["notes"] == notes
    assert ledger["mended"].get("clamped to its video", 0) == sum(
        max(i.start, 0.0) < min(i.end, video.duration) and (i.start < 0 or i.end > video.duration)
        for video in videos if video.duration for i in video.instances
    )  # fmt: skip


def test_the_defaults_are_those_that_are_written_down() -> None:
    assert Options() == Options(0, 8.5, 50.0, 0.78, 3, 2, "split", 0, 0)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"min_target": -0.1}, "min_target"), ({"min_target": 1e6 + 1, "max_target": 2e6}, "min_target"),
        ({"max_target": 8.4}, "max_target"), ({"max_target": 1e6 + 1}, "max_target"),
        ({"max_coverage": -0.01}, "max_coverage"), ({"max_coverage": 1.01}, "max_coverage"),
        ({"simple": -1}, "simple"), ({"simple": 101}, "simple"), ({"difficult": -1}, "difficult"),
        ({"difficult": 101}, "difficult"), ({"val_classes": -1}, "val_classes"), ({"test_classes": -1}, "test_classes"),
        ({"simple": 0, "difficult": 0}, "simple, difficult"),
    ],
)  # fmt: skip
def test_an_option_beyond_its_range_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        Options(**change)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "change",
    [{"min_target": 0.0}, {"max_target": 8.5}, {"max_target": 1e6}, {"max_coverage": 0.0}, {"max_coverage": 1.0},
     {"simple": 0}, {"difficult": 0}, {"simple": 100, "difficult": 100}, {"simple": 1, "difficult": 1}],
)  # fmt: skip
def test_the_ends_of_a_range_are_in_it(change: dict[str, Any]) -> None:
    assert Options(**change)


def test_what_the_manifest_is_called_and_a_frame_of_a_strange_video() -> None:
    corpus = Corpus("made up", tuple(corpus_by(1, 40)), TREE, ())
    names = [ActivityIBAL.build([corpus], Options(difficult_from=where)).version for where in ("split", "all")]
    assert names == ["default.1", "default-difficult-from-all.1"]
    built = ActivityIBAL.build([corpus], Options(), tables={"query_frames": {"v-1": [1.0]}})
    with pytest.raises(InputError, match="unknown video; found 'v-1'"):
        list(built.samples)

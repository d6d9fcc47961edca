"""What the builders of detection say of what they left out, mended and found odd, word by word, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from activity_bench.builders.detection.what2when import Options, What2When
from activity_bench.types import Built, Corpus, Instance, Sample, Video

pytestmark = pytest.mark.quick

OVERLAP = "zero-shot: source classes left out, with the target class that each is"


def build(
    videos: list[Video], source: list[Video] | None = None, protocol: str = "trimmed", **more: Any
) -> tuple[list[Sample], Built]:
    tables = {name: more.pop(name) for name in ("durations", "shipped_overlap") if name in more}
    if source is not None:
        tables["source"] = Corpus("clips", tuple(source), {}, (), {"a line mended": 2})
    corpus = Corpus("made up", tuple(videos), {"Tango": ("Dance",)}, (), {"a line mended": 1})
    built = What2When.build([corpus], Options(**{"target": "thumos14", **more}), protocol, tables)
    return [sample for _, sample in built.samples], built


def video(name: str, subset: str, *instances: Instance, **more: Any) -> Video:
    return Video(name, more.pop("duration", 50.0), subset, instances, **more)


def test_the_ledger_of_weak_training() -> None:
    samples, built = build(
        [
            video("t", "testing", Instance(-1, 3, "Tango"), Instance(5, 5, "Tango"), Instance(60, 61, "Tango"),
                  Instance(40, 51, "Tango"), Instance(-4, 0, "Tango")),
            video("u", "testing", Instance(1, 2, "Waltz"), duration=0.0),
            video("v", "validation", Instance(1, 2, "Waltz"), Instance(3, 2, "Tango")),
            video("w", "validation"),
            video("x", "training", Instance(1, 2, "Waltz")),
            video("video_test_0001292", "testing", ignore=(Instance(1, 2, "Ambiguous"), Instance(55, 60, "Ambiguous"))),
        ],
        protocol="weak", subset="212",
    )  # fmt: skip
    assert built.version == "thumos14@2-weak.1"
    assert built.evaluation["test"]["name"] == "thumos14/test@2"
    assert [(s.id, s.labels, [(t.start, t.end, t.label) for t in s.targets]) for s in samples] == [
        ("train/v/0-50000/0", ("Tango", "Waltz"), []),
        ("test/t/0-50000/0", None, [(0, 3, "Tango"), (40, 50, "Tango")]),
        ("test/u/0-end/0", None, [(1, 2, "Waltz")]),
    ]
    assert built.ledger.as_dict() == {
        "unit": "instance", "seen": 9, "kept": 5,
        "dropped": {"empty or reversed": 2, "in a subset that is not used": 1, "past the end of its video": 1},
        "mended": {"a duration of 0 or less, taken as unknown": 1, "a line mended": 1, "clamped to its video": 2},
        "notes": {"a training video without a label, left out": ["w"],
                  "not the number of videos that the subset's name says": ["thumos14@212: 2 videos"]},
    }  # fmt: skip


def test_the_ledger_of_zero_shot_training() -> None:
    source = [
        video("c", "validation", Instance(0, 9, "tango dancing"), duration=None),
        video("d", "validation", Instance(0, 9, "welding"), Instance(9, 9, "welding"), duration=None),
        video("t", "validation", Instance(0, 9, "welding"), duration=None),
    ]
    judged = [("Tango", "tango dancing", "judged", "one dance")]
    samples, built = build([video("t", "testing", Instance(1, 3, "Tango"), Instance(1, 3, "Waltz"))], source,
                           zero_shot=True, shipped_overlap=judged, durations={"t": 0.0000001})  # fmt: skip
    assert built.version == "thumos14@1-zero-shot.1"
    assert built.tree == {"Tango": ("Dance",)}
    assert [(s.id, s.video.end, s.label) for s in samples] == [
        ("train/d/0-9000/0", 9.0, "welding"), ("test/t/0-end/0", None, None),
    ]  # fmt: skip
    assert built.ledger.as_dict() == {
        "unit": "instance", "seen": 6, "kept": 3,
        "dropped": {"a clip of a video that is tested": 1, "empty or reversed": 1,
                    "zero-shot: a class of the target": 1},
        "mended": {"a duration of 0 or less, taken as unknown": 1, "a line mended": 3},
        "notes": {
            OVERLAP: ["tango dancing = Tango (judged: one dance)"],
            "a clip of a video that is tested": ["t"],
            "not the number of videos that the subset's name says": ["thumos14@213: 1 videos"],
            "the same bounds under several classes, all kept": ["Tango + Waltz: 1"],
            "zero-shot: counts": [
                "1 classes of the source left out (the paper: 18), for 1 of 2 classes of the target"
            ],
        },
    }  # fmt: skip


@pytest.mark.parametrize(("target", "subset", "paper"), [("multithumos", "testing", 18),
                                                         ("activitynet1.2", "validation", 72)])  # fmt: skip
def test_the_papers_number_of_classes_stands_beside_ours(target: str, subset: str, paper: int) -> None:
    _, built = build([video("t", subset, Instance(1, 3, "Tango"))], [], target=target, zero_shot=True)
    (said,) = built.ledger.as_dict()["notes"]["zero-shot: counts"]
    assert f"(the paper: {paper})" in said


def test_two_clips_of_one_window_have_numbers() -> None:
    clips = [video("c", "validation", Instance(1, 2, "welding"), Instance(1, 2, "cooking"), Instance(3, 4, "welding"))]
    samples, _ = build([video("t", "testing", Instance(1, 3, "Tango"))], clips)
    assert [(s.id, s.label) for s in samples[:3]] == [
        ("train/c/1000-2000/0", "cooking"), ("train/c/1000-2000/1", "welding"), ("train/c/3000-4000/0", "welding"),
    ]  # fmt: skip

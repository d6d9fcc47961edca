"""The truth of a detection split as columns: equal to the samples read one by one, and every fault located."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from activity_bench.data.instances import Instances, read_instances
from activity_bench.data.manifest import load
from activity_bench.errors import InputError
from activity_bench.types import Query, Sample, Segment, Target, Window
from activity_bench.workflow.build import build_dataset
from tests import tiny

pytestmark = pytest.mark.quick


def video(name: str, end: float | None, *targets: tuple[float, float, str], **more: Any) -> Sample:
    window = Window(name, 0.0, end)
    return Sample(f"test/{name}/0", Query("classes", vocabulary="target"), window,
                  tuple(Target(*target) for target in targets), **more)  # fmt: skip


VIDEOS = (
    video("a", 60.0, (1.0, 5.0, "Diving"), (2.0, 9.5, "Billiards"), part="simple"),
    video("b", None, ignore=(Segment(3.0, 4.0), Segment(90.0, 95.0))),
    video("v_c", 30.0, (0.0, 30.0, "Diving"), part="difficult", ignore=(Segment(1.0, 2.0),)),
)
WORDS = ["Billiards", "Diving", "Shotput"]  # nobody does the last one
CHANGES: dict[str, Any] = {"task": "detection", "vocabularies": {"target": WORDS}}


def read(folder: Path, videos: tuple[Sample, ...] = VIDEOS, **changes: Any) -> Instances:
    return read_instances(tiny.write(folder, train=(), test=videos, **{**CHANGES, **changes}), "test")


def test_the_columns_are_the_samples(tmp_path: Path) -> None:
    truth = read(tmp_path / "m")
    assert truth.ids == [sample.id for sample in VIDEOS]
    assert truth.videos == ["a", "b", "v_c"]
    assert truth.labels == WORDS
    assert truth.window_end.tolist() == [60.0, np.inf, 30.0]
    targets = [(place, target) for place, sample in enumerate(VIDEOS) for target in sample.targets]
    assert truth.target_sample.tolist() == [place for place, _ in targets]
    assert [truth.labels[code] for code in truth.target_label] == [target.label for _, target in targets]
    assert truth.target_start.tolist() == [target.start for _, target in targets]
    assert truth.target_end.tolist() == [target.end for _, target in targets]
    ignored = [(place, stretch) for place, sample in enumerate(VIDEOS) for stretch in sample.ignore or ()]
    assert truth.ignore_sample.tolist() == [place for place, _ in ignored]
    assert truth.ignore_start.tolist() == [stretch.start for _, stretch in ignored]
    assert truth.ignore_end.tolist() == [stretch.end for _, stretch in ignored]
    assert [truth.part.words[code] if code >= 0 else None for code in truth.part.codes] == ["simple", None, "difficult"]
    assert truth.index["test/v_c/0"] == truth.by_video["v_c"] == 2


def test_without_a_vocabulary_the_classes_are_those_of_the_targets(tmp_path: Path) -> None:
    assert read(tmp_path / "m", vocabularies={}).labels == ["Billiards", "Diving"]


def test_a_video_with_several_samples_is_marked(tmp_path: Path) -> None:
    again = Sample("test/a/1", VIDEOS[0].query, Window("a", 60.0, 70.0), ())
    assert read(tmp_path / "m", (*VIDEOS, again)).by_video["a"] == -2


@pytest.mark.parametrize(
    ("videos", "changes", "said"),
    [
        (VIDEOS[1:2], {}, r"test\.jsonl: targets: a split without a single target.*0 in 1 samples.*test 0"),
        (VIDEOS, {"vocabularies": {"target": ["Billiards", "Divings"]}}, r"targets of test/a/0: .*Did you mean 'Divin"),
    ],
)
def test_a_truth_that_cannot_be_scored(
    tmp_path: Path, videos: tuple[Sample, ...], changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        read(tmp_path / "m", videos, **changes)


ROW: dict[str, Any] = {
    "id": "test/a/0", "query": {"kind": "classes", "vocabulary": "target"},
    "video": {"id": "a", "start": 0, "end": 9}, "targets": [{"start": 1, "end": 2, "label": "Diving"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"targets": [{"start": 2, "end": 1, "label": "Diving"}]}, "targets"),
        ({"targets": [{"start": 2, "end": 10, "label": "Diving"}]}, "inside the video's window"),
        ({"targets": [{"start": 2, "end": 2, "label": "Diving"}]}, "start < end"),
        ({"video": {"id": "a", "start": 9, "end": 9}}, "0 <= start < end"),
        ({"ignore": [{"start": 4, "end": 4}]}, "segment"),
        ({"ignore": [{"start": -1, "end": 4}]}, "segment"),
        ({"ignore": "all"}, "ignore: found text; expected a list"),
        ({"query": None}, "query"),
        ({"targets": [{"start": 1, "end": 2}]}, "targets: a target without a class"),
        ({"targets": [{"start": 1, "end": 2, "label": 3}]}, r"targets.*label"),
    ],
)
def test_a_faulty_line_is_located(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    folder = tiny.by_hand(tmp_path / "m", [ROW, {**ROW, "id": "test/b/0", **changes}], **CHANGES)
    with pytest.raises(InputError, match=said) as caught:
        read_instances(load(folder), "test")
    assert "test.jsonl:2: " in str(caught.value)


def test_no_two_samples_share_an_id(tmp_path: Path) -> None:
    folder = tiny.by_hand(tmp_path / "m", [ROW, ROW], **CHANGES)
    with pytest.raises(InputError, match="two samples share an id"):
        read_instances(load(folder), "test")


def test_a_changed_file_is_what_is_said(tmp_path: Path) -> None:
    made = tiny.write(tmp_path / "m", train=(), test=VIDEOS, **CHANGES)
    path = made.path("test")
    path.write_bytes(path.read_bytes().replace(b'"start":2.0', b'"start":9.9'))
    with pytest.raises(InputError, match="this file was changed"):
        read_instances(made, "test")


@pytest.mark.real
def test_the_real_truths_have_the_published_counts(real_data: Path, tmp_path: Path) -> None:
    made = build_dataset("detection", [real_data / "thumos14"], tmp_path / "m", options={"subset": "testing"})
    truth = read_instances(made, "test")
    assert (len(truth.ids), len(truth.labels), len(truth.target_start)) == (213, 20, 3358)
    made = build_dataset("detection", [real_data / "activitynet" / "activity_net.v1-2.min.json"], tmp_path / "a")
    truth = read_instances(made, "val")
    dropped = made.provenance["drops"]["seen"] - made.provenance["drops"]["kept"]
    assert (len(truth.ids), len(truth.labels)) == (2383, 100)
    assert 3582 - dropped <= len(truth.target_start) <= 3582

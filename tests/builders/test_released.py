"""The released re-localization protocol gives the released files, exactly; the weak one hides every boundary it may."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from activity_bench.data.manifest import Manifest
from activity_bench.errors import InputError
from activity_bench.simulation.corpus import files
from activity_bench.types import Sample
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.run import run_method

pytestmark = pytest.mark.quick

MAX_WINDOW = 300


def released(real_data: Path, out: Path, **more: Any) -> Manifest:
    tables = {
        "frame_counts": real_data / "relocalization" / "length.json",
        "class_order": real_data / "relocalization" / "perm.npy",
    }
    return build_dataset(
        "relocalization",
        [real_data / "activitynet" / "activity_net.v1-3.min.json"],
        out,
        protocol=more.pop("protocol", "released"),
        tables={**tables, **more},
    )


def rows(sample: Sample) -> tuple[str, int, int]:
    assert sample.grid is not None
    return (sample.video.id, *sample.grid.targets[0])


@pytest.mark.real
def test_every_released_sample(real_data: Path, tmp_path: Path) -> None:
    plain = released(real_data, tmp_path / "plain")
    ordered = released(real_data, tmp_path / "ordered", crop_order=real_data / "relocalization")
    assert {split: info.samples for split, info in plain.splits.items()} == {"train": 7593, "val": 829, "test": 978}
    assert {split: info.videos for split, info in plain.splits.items()} == {"train": 3791, "val": 444, "test": 494}
    taxonomy = json.loads((real_data / "activitynet" / "activity_net.v1-3.min.json").read_bytes())["taxonomy"]
    node = {entry["nodeName"]: entry["nodeId"] for entry in taxonomy}
    for split in ("train", "val"):
        theirs = {
            (row["id"], *(row["location"][0] + edge for edge in row["groundtruth"])): row
            for row in json.loads((real_data / "relocalization" / f"{split}.json").read_bytes())
        }
        for made, cropped_too in ((plain, False), (ordered, True)):
            ours = {rows(sample): sample for sample in made.samples(split)}
            assert ours.keys() == theirs.keys()
            for name, sample in ours.items():
                assert sample.grid is not None
                assert node[sample.label or ""] == theirs[name]["label"]
                low, high = theirs[name]["location"]
                if high - low < MAX_WINDOW or cropped_too:
                    assert sample.grid.video == (low, high)


@pytest.mark.real
def test_pairs_of_the_released_samples(real_data: Path, tmp_path: Path) -> None:
    made = released(real_data, tmp_path / "m")
    notes = made.provenance["drops"]["notes"]["no query fits the window: the shortest of its class was taken"]
    assert len(notes) == 7  # of the training samples, as was measured on the released files
    for split in made.splits:
        samples = made.samples(split)
        targets = {(s.label, s.video.id, s.grid.targets[0]) for s in samples if s.grid}
        for sample in samples:
            assert sample.grid is not None
            assert sample.grid.query is not None
            assert (sample.label, sample.query.video, sample.grid.query) in targets
            assert sample.query.video != sample.video.id
            fits = sample.grid.query[1] - sample.grid.query[0] <= sample.grid.video[1] - sample.grid.video[0]
            assert fits or split == "train"
    lines = (tmp_path / "m" / "test.jsonl").read_bytes().splitlines()
    # pinned on the build that the test above was seen to pass on: a change of any byte is a new version
    assert [hashlib.sha256(lines[i]).hexdigest()[:16] for i in (0, 9, -1)] == PINNED


@pytest.mark.real
def test_the_two_rows_that_need_no_features(real_data: Path, tmp_path: Path) -> None:
    """AAAI 2020: the prior's two numbers; ECCV 2018, Table 1: chance, whose expected values were computed exactly."""
    released(real_data, tmp_path / "m", crop_order=real_data / "relocalization")
    prior = run_method("statistical-prior", tmp_path / "m", "test", tmp_path / "prior")
    assert round(prior.fitted["start"], 4) == 0.3267
    assert round(prior.fitted["end"], 4) == 0.6510
    row = [round(100 * prior.report.metrics[f"top1-mAP@0.{t}"], 1) for t in (5, 6, 7, 8, 9)]
    assert row == [27.3, 16.8, 8.0, 2.0, 0.8]
    assert round(100 * prior.report.metrics["top1-mAP"], 1) == 11.0
    random = run_method("random", tmp_path / "m", "test", tmp_path / "random").report
    for threshold, expected in zip((5, 6, 7, 8, 9), (16.1, 10.6, 6.0, 2.6, 0.9), strict=True):
        low, high = random.intervals[f"top1-mAP@0.{threshold}"]
        assert low <= expected / 100 <= high


@pytest.mark.real
def test_weak_on_the_released_geometry(real_data: Path, tmp_path: Path) -> None:
    made = released(real_data, tmp_path / "weak", protocol="weak")
    whole = released(real_data, tmp_path / "whole")
    assert made.splits["test"].sha256 == whole.splits["test"].sha256
    train = made.samples("train")
    assert 1500 < len(train) < 2300  # half of the 3,791 videos
    length = json.loads((real_data / "relocalization" / "length.json").read_bytes())
    assert all(s.grid is not None and s.grid.video == (0, length[s.video.id]["n_feat"]) for s in train)
    assert not {s.video.id for s in train} & {s.query.video for s in train}


def test_weak_training_lines_have_no_boundary(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(files()["activitynet.json"])
    made = build_dataset("relocalization", [tmp_path / "a.json"], tmp_path / "m", protocol="weak")
    train = made.samples("train")
    assert train
    assert all(s.targets == () and s.grid is not None and s.grid.targets == () for s in train)
    assert all(s.video.start == 0 for s in train)
    assert len({(s.video.id, s.label) for s in train}) == len(train)
    assert not {s.video.id for s in train} & {s.query.video for s in train}
    assert all(s.targets for s in made.samples("test"))
    drops = made.provenance["drops"]
    assert drops["kept"] == sum(split.samples for split in made.splits.values())


def test_released_wants_its_tables(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(files()["activitynet.json"])
    with pytest.raises(InputError, match="frame_counts, class_order: the released protocol needs its tables"):
        build_dataset("relocalization", [tmp_path / "a.json"], tmp_path / "m", protocol="activitynet-vrl")
    (tmp_path / "counts.json").write_text('{"v": {"n_frames": 0, "n_feat": 1}}')
    with pytest.raises(InputError, match=r"counts\.json: v: no frame"):
        build_dataset(
            "relocalization", [tmp_path / "a.json"], tmp_path / "m", protocol="released",
            tables={"frame_counts": tmp_path / "counts.json"},
        )  # fmt: skip


PINNED = ["1b5226fc52baf76d", "6d12b881c9e237bd", "b10b00637996beef"]

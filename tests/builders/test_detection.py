"""The plain detection builder: any annotations as a truth, its refusals, and the counts on the real files."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.builders.detection import SPLIT_OF, Detection, Options
from activity_bench.data.manifest import Manifest
from activity_bench.data.samples import as_line
from activity_bench.errors import InputError
from activity_bench.simulation.corpus import files
from activity_bench.types import Built, Corpus, Instance, Sample, Video
from activity_bench.workflow.build import build_dataset

pytestmark = pytest.mark.quick


def build(videos: Sequence[Video], **options: Any) -> tuple[list[tuple[str, Sample]], Built]:
    built = Detection.build([Corpus("made up", tuple(videos), {}, ())], Options(**options))
    return list(built.samples), built


TIMES = st.one_of(st.sampled_from([0.0, 1.0, 2.5, 30.0]), st.floats(-5, 60))
INSTANCES = st.lists(st.builds(Instance, TIMES, TIMES, st.sampled_from(["a", "b", "c"])), max_size=4)
VIDEOS = st.lists(
    st.tuples(st.one_of(st.none(), st.floats(-1, 40)), st.sampled_from(list(SPLIT_OF)), INSTANCES, INSTANCES),
    min_size=1, max_size=8,
)  # fmt: skip


@given(VIDEOS, st.sampled_from(["", "training", "val", "testing"]))
def test_what_holds_of_every_manifest(rows: list[Any], subset: str) -> None:
    videos = [Video(f"v{i}", d, s, tuple(found), tuple(ignore)) for i, (d, s, found, ignore) in enumerate(rows)]
    asked = [
        s for s in SPLIT_OF if subset in ("", s, SPLIT_OF[s]) and any(v.instances for v in videos if v.subset == s)
    ]
    if not asked:
        with pytest.raises(InputError, match=r"0 instances\. The annotations have (none|training|validation|testing)"):
            build(videos, subset=subset)
        return
    samples, built = build(videos, subset=subset)
    ledger = built.ledger
    assert ledger.seen == sum(len(video.instances) for video in videos)
    assert ledger.kept + sum(ledger.dropped.values()) == ledger.seen
    assert ledger.kept == sum(len(sample.targets) for _, sample in samples)
    there = {(SPLIT_OF[v.subset], v.id) for v in videos if v.subset in asked}
    assert {(split, sample.video.id) for split, sample in samples} == there
    assert len(samples) == len(there)
    assert built.splits == tuple(SPLIT_OF[s] for s in asked)
    assert built.vocabularies == {"target": sorted({i.label for v in videos for i in v.instances})}
    for _, sample in samples:
        end = float("inf") if sample.video.end is None else sample.video.end
        assert end > 0
        assert all(0 <= t.start < t.end <= end for t in sample.targets)
        assert all(0 <= s.start < s.end <= end for s in sample.ignore or ())
    again, _ = build(videos[::-1], subset=subset)
    assert [as_line(sample) for _, sample in again] == [as_line(sample) for _, sample in samples]


def test_a_subset_without_instances_says_where_there_are_some() -> None:
    videos = [Video("a", 9.0, "training", (Instance(0, 1, "x"),)), Video("b", 9.0, "testing", ())]
    with pytest.raises(InputError, match=r"the subset 'validation' has 0 instances\. The annotations have training 1"):
        build(videos, subset="val")
    with pytest.raises(InputError, match=r"unknown subset; found 'valdation'\. Did you mean 'validation'"):
        build(videos, subset="valdation")
    _, built = build(videos)
    assert built.ledger.as_dict()["notes"] == {"a subset without any instance gives no split": ["testing: 1 videos"]}


def test_videos_without_an_instance_stay() -> None:
    """What a detector finds in them is wrong, and must count."""
    samples, _ = build([Video("a", 9.0, "testing", (Instance(0, 1, "x"),)), Video("b", 8.5, "testing", ())])
    assert [(sample.id, len(sample.targets)) for _, sample in samples] == [
        ("test/a/0-9000/0", 1),
        ("test/b/0-8500/0", 0),
    ]


def test_the_embedded_corpus(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(files()["activitynet.json"])
    made = build_dataset("detection", [tmp_path / "a.json"], tmp_path / "m")
    again = build_dataset("detection", [tmp_path / "a.json"], tmp_path / "n")
    assert made.digest == again.digest
    assert list(made.splits) == ["train", "val"]
    assert made.task == "detection"
    ids = "".join(f"{sample.video.id}\n" for sample in made.samples("val"))
    said = made.provenance["evaluation"]["val"]
    assert said["sha256"] == hashlib.sha256(ids.encode()).hexdigest()
    assert said["name"] == f"activitynet/val@{made.splits['val'].samples}"


def pinned(made: Manifest, split: str, expected: tuple[str, str, str]) -> None:
    lines = made.path(split).read_bytes().splitlines(keepends=True)
    assert tuple(hashlib.sha256(lines[i]).hexdigest()[:16] for i in (0, 9, -1)) == expected


@pytest.mark.real
def test_the_real_activitynet(real_data: Path, tmp_path: Path) -> None:
    path = real_data / "activitynet" / "activity_net.v1-3.min.json"
    made = build_dataset("detection", [path], tmp_path / "m")
    assert {split: info.samples for split, info in made.splits.items()} == {"train": 10_024, "val": 4_926}
    assert len(made.vocabularies["target"]) == 200
    drops = made.provenance["drops"]
    assert (drops["seen"], drops["dropped"]) == (23_064, {"empty or reversed": 12})
    assert drops["mended"] == {"clamped to its video": 226}
    database = json.loads(path.read_bytes())["database"]
    expected = Counter(
        (name, row["label"]) for name, video in database.items() for row in video["annotations"]
        if row["segment"][0] < row["segment"][1]
    )  # fmt: skip
    found = [sample for split in made.splits for sample in made.samples(split)]
    assert Counter((sample.video.id, str(t.label)) for sample in found for t in sample.targets) == expected
    # pinned on a build whose instances the lines above had confirmed: a change of any byte is a new version
    pinned(made, "train", ("a265ae7b45172091", "c98b849f59dd880e", "303aa5fad1664af5"))
    pinned(made, "val", ("e2bde203a33486a0", "fd07556ae8826d9f", "8967a998fa9e7542"))
    with pytest.raises(InputError, match=r"'testing' has 0 instances\. The annotations have training 15,410"):
        build_dataset("detection", [path], tmp_path / "n", options={"subset": "testing"})


@pytest.mark.real
def test_the_real_thumos(real_data: Path, tmp_path: Path) -> None:
    made = build_dataset("detection", [real_data / "thumos14"], tmp_path / "m")
    found = {split: sum(len(sample.targets) for sample in made.samples(split)) for split in made.splits}
    assert found == {"val": 3_007, "test": 3_358}
    ignored = {split: sum(len(sample.ignore or ()) for sample in made.samples(split)) for split in made.splits}
    assert ignored == {"val": 89, "test": 99}

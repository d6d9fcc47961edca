"""The ActivityIBAL builder: what must hold of whatever it builds, and the counts on the real annotations."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.builders.activity_ibal import ActivityIBAL, Options
from activity_bench.data.samples import as_line
from activity_bench.errors import InputError
from activity_bench.simulation.corpus import files
from activity_bench.types import Built, Corpus, Instance, Sample, Video
from activity_bench.workflow.build import build_dataset

pytestmark = pytest.mark.quick

TREE = {"a": ("x", "r"), "b": ("x", "r"), "c": ("y", "r"), "d": ("y", "r"), "e": ("y", "r"), "f": ("r",)}
SIZES = {"val_classes": 2, "test_classes": 2}


def build(videos: Sequence[Video], tables: dict[str, Any] | None = None, **options: Any) -> tuple[list[Sample], Built]:
    corpus = Corpus("made up", tuple(videos), TREE, ())
    built = ActivityIBAL.build([corpus], Options(**{**SIZES, **options}), tables=tables)
    return [sample for _, sample in built.samples], built


def corpus_by(seed: int, count: int) -> list[Video]:
    rng = Random(seed)
    videos = []
    for place in range(count):
        duration = rng.choice([None, 20.0, 60.0, rng.uniform(10, 200)])
        label, instances = rng.choice("abcdef"), []
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            start = rng.uniform(-1, 100)
            own = label if rng.random() < 0.9 else rng.choice("abcdef")
            instances.append(Instance(start, start + rng.choice([0.0, -1.0, 9.0, 20.0, 60.0, 10.0]), own))
        videos.append(Video(f"v{place}", duration, "training", tuple(instances)))
    return videos


def usable(videos: Sequence[Video]) -> bool:
    """Whether enough classes are left to split: the builder says so itself."""
    try:
        build(videos)
    except InputError as error:
        return error.field != "val_classes, test_classes"
    return True


CORPORA = st.builds(corpus_by, st.integers(0, 10**6), st.integers(40, 60)).filter(usable)


@given(CORPORA, st.sampled_from(["split", "all"]))
def test_what_must_hold_of_every_manifest(videos: list[Video], difficult_from: str) -> None:
    samples, built = build(videos, difficult_from=difficult_from)
    ledger = built.ledger.as_dict()
    assert ledger["kept"] + sum(ledger["dropped"].values()) == ledger["seen"] == sum(len(v.instances) for v in videos)
    assert ledger["kept"] == len({(s.video.id, s.label, s.targets[0].start) for s in samples})
    assert len({s.id for s in samples}) == len(samples)
    split_of, split_of_video = {}, {}
    for sample in samples:
        split = sample.id.split("/")[0]
        assert split_of.setdefault(sample.label, split) == split
        assert split_of_video.setdefault(sample.video.id, split) == split
        (target,) = sample.targets
        assert sample.video.start <= target.start < target.end <= (sample.video.end or 0)
        length, window = target.end - target.start, (sample.video.end or 0) - sample.video.start
        assert 8.5 - 1e-5 <= length <= 50 + 1e-5
        assert length <= 0.78 * window + 1e-5
        assert sample.query.video != sample.video.id
        assert (sample.query.label == sample.label) == (sample.part == "simple")
    by_id = {video.id: video for video in videos}
    for sample in samples:
        query = sample.query
        own = [i for i in by_id[query.video or ""].instances if i.label == query.label]
        assert any(max(i.start, 0) - 1e-6 <= (query.time or 0) <= i.end + 1e-6 for i in own)
        if difficult_from == "split" and query.video in split_of_video:
            assert split_of_video[query.video] == sample.id.split("/")[0]


def roomy(count: int = 72) -> list[Video]:
    """Twelve videos of each class, so that every sample can be asked in full."""
    return [Video(f"v{i}", 60.0, "training", (Instance(10.0 + i % 7, 30.0, "abcdef"[i % 6]),)) for i in range(count)]


def test_three_simple_and_two_difficult_from_the_nearest_class() -> None:
    samples, built = build(roomy(), difficult_from="all")
    by_video = defaultdict(list)
    for sample in samples:
        by_video[sample.video.id].append(sample)
    assert len(by_video) == built.ledger.kept == 72
    for group in by_video.values():
        assert Counter(s.part for s in group) == {"simple": 3, "difficult": 2}
        assert len({s.query.video for s in group if s.part == "simple"}) == 3
        assert [s.id.rsplit("/", 1)[1] for s in group] == ["0", "1", "2", "3", "4"]
        for sample in group:
            if sample.part == "difficult":
                siblings = {"a": "b", "b": "a", "c": "de", "d": "ce", "e": "cd", "f": "abcde"}[sample.label or ""]
                assert (sample.query.label or "") in siblings
                assert sample.query.distance == (2 if sample.label != "f" else 3)


def test_one_more_video_changes_only_the_samples_that_ask_with_it() -> None:
    before = {s.id: as_line(s) for s in build(roomy())[0]}
    after = {s.id: s for s in build([*roomy(), Video("new", 60.0, "training", (Instance(5.0, 25.0, "a"),))])[0]}
    changed = [s for name, s in after.items() if name in before and as_line(s) != before[name]]
    partners = {s.query.video for s in changed}
    assert before.keys() <= after.keys()
    assert changed
    assert all(s.label in "abf" for s in changed)  # its own class, its sibling, and the one that is near to all
    # a new first partner moves the later ones of the same sample down by one place
    moved = {s.id.rsplit("/", 1)[0] for s in changed if s.query.video == "new"}
    assert "new" in partners
    assert all(s.id.rsplit("/", 1)[0] in moved for s in changed)


def test_chosen_frames_and_a_given_split() -> None:
    split = {"train": ["a", "b", "c"], "val": ["d"], "test": ["e", "f"]}
    frames = {f"v{i}": [1.0, 21.5] for i in range(72)}
    samples, _ = build(roomy(), {"class_split": split, "query_frames": frames})
    assert {s.query.time for s in samples} == {21.5}
    assert {(s.id.split("/")[0], s.label) for s in samples} == {(k, c) for k, names in split.items() for c in names}
    with pytest.raises(InputError, match="a class in no split; found 'f'"):
        build(roomy(), {"class_split": {**split, "test": ["e"]}})
    with pytest.raises(InputError, match=r"unknown class; found 'ee'"):
        build(roomy(), {"class_split": {**split, "test": ["ee", "f"]}})


def test_a_question_does_not_tell_what_it_shows() -> None:
    question = build(roomy())[0][0].question()
    assert (question.query.label, question.query.distance, question.label, question.targets) == (None, None, None, ())
    assert question.query.time is not None


@pytest.mark.parametrize("change", [{"min_target": -1}, {"max_coverage": 1.5}, {"simple": 0, "difficult": 0}])
def test_an_option_out_of_range(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Options(**change)


def test_the_embedded_corpus(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(files()["activitynet.json"])
    made = build_dataset("activity-ibal", [tmp_path / "a.json"], tmp_path / "m")
    assert {split: info.classes for split, info in made.splits.items()} == {"train": 38, "val": 5, "test": 5}
    again = build_dataset("activity-ibal", [tmp_path / "a.json"], tmp_path / "n")
    for file in ("manifest.json", "train.jsonl", "val.jsonl", "test.jsonl", "DATASHEET.md"):
        assert (tmp_path / "m" / file).read_bytes() == (tmp_path / "n" / file).read_bytes()
    assert made.digest == again.digest


@pytest.mark.real
def test_the_real_annotations(real_data: Path, tmp_path: Path) -> None:
    """The counts and means that the default limits were calibrated to (IJCAI 2019, Table 1)."""
    made = build_dataset("activity-ibal", [real_data / "activitynet" / "activity_net.v1-3.min.json"], tmp_path / "m")
    kept = made.provenance["drops"]["kept"]
    assert abs(kept - 7333) <= 0.01 * 7333
    assert abs(sum(split.samples for split in made.splits.values()) - 36685) <= 0.02 * 36685
    assert {split: info.classes for split, info in made.splits.items()} == {"train": 160, "val": 20, "test": 20}
    samples = {split: made.samples(split) for split in made.splits}
    every = [sample for group in samples.values() for sample in group]
    window = sum((s.video.end or 0) - s.video.start for s in every) / len(every)
    target = sum(s.targets[0].end - s.targets[0].start for s in every) / len(every)
    assert abs(window - 63.84) <= 0.02 * 63.84
    assert abs(target - 22.54) <= 0.02 * 22.54
    videos = {split: {v for s in group for v in (s.video.id, s.query.video)} for split, group in samples.items()}
    assert not videos["train"] & videos["val"]
    assert not videos["train"] & videos["test"]
    assert not videos["val"] & videos["test"]
    asked = Counter((s.video.id, s.label, s.targets[0].start) for s in every)
    assert set(asked.values()) == {5}
    # pinned on the build that these counts were seen on: a change of any byte is a new version of the benchmark
    lines = (tmp_path / "m" / "test.jsonl").read_bytes().splitlines()
    assert len(lines) == 3485
    pinned = [hashlib.sha256(lines[i]).hexdigest()[:16] for i in (0, 9, -1)]
    assert pinned == PINNED


PINNED = ["fdbedf563e8f5ce9", "92308cf5508634c0", "b93e57731df8e6af"]

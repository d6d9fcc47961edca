"""The What2When builder: what must hold of whatever it builds, its refusals, and the counts on the real annotations."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.builders.detection.overlap import by_rule
from activity_bench.builders.detection.what2when import FALSE, SUBSETS, Options, What2When
from activity_bench.data import annotations, shipped
from activity_bench.data.manifest import Manifest
from activity_bench.data.samples import as_line
from activity_bench.errors import InputError
from activity_bench.simulation.corpus import files
from activity_bench.types import Built, Corpus, Instance, Sample, Video
from activity_bench.workflow.build import build_dataset

pytestmark = pytest.mark.quick

LABELS = ["HighJump", "PoleVault", "Tango", "Yodelling"]
CLIPS = ["high jump", "pole vault", "jumping high", "tango dancing", "welding"]
JUDGED = ("Tango", "tango dancing", "judged", "the same dance")


def build(
    videos: Sequence[Video], source: Sequence[Video] | None = None, protocol: str = "trimmed",
    tables: dict[str, Any] | None = None, **options: Any,
) -> tuple[list[tuple[str, Sample]], Built]:  # fmt: skip
    tables = dict(tables or {})
    if source is not None:
        tables["source"] = Corpus("clips", tuple(source), {}, ())
    chosen = Options(**{"target": "thumos14", **options})
    built = What2When.build([Corpus("made up", tuple(videos), {}, ())], chosen, protocol, tables)
    return list(built.samples), built


def untrimmed_by(seed: int, count: int) -> list[Video]:
    """Videos of all three subsets whose instances repeat, share bounds, are empty, reversed, or run past both ends."""
    rng = Random(seed)
    videos = [Video("video_test_0001292", None, "testing", (), (Instance(1.0, 2.0, "Ambiguous"),))]
    for place in range(count):
        instances: list[Instance] = []
        for _ in range(rng.randrange(4)):
            start = rng.choice([rng.uniform(-3, 60), 0.0, 12.5])
            end = start + rng.choice([0.0, -1.0, 1e-8, rng.uniform(0, 30)])
            labels = rng.sample(LABELS, rng.choice([1, 1, 2]))
            instances += [Instance(start, end, label) for label in labels]
        ignore = tuple(Instance(s, s + 2.0, "Ambiguous") for s in rng.sample([0.0, 5.0, 70.0], rng.randrange(3)))
        subset = rng.choice(["testing", "testing", "validation", "training"])
        videos.append(Video(f"u{place}", rng.choice([None, 0.0, 50.0, 1e-9, 61.7]), subset, tuple(instances), ignore))
    return [*videos, Video("u-val", 40.123457, "validation", (Instance(3.21, 9.87, "Tango"),))]


def clips_by(seed: int, count: int) -> list[Video]:
    """Clips, some of a tested video, some of one video, some with the same bounds under two classes."""
    rng = Random(seed)
    videos = []
    for place in range(count):
        starts = [rng.choice([0.0, 5.0, 5.0004, -4.0, -20.0]) for _ in range(rng.choice([1, 1, 3]))]
        clips = {Instance(start, start + rng.choice([10.0, 10.0, 0.0]), rng.choice(CLIPS)) for start in starts}
        videos.append(Video(rng.choice([f"c{place}", f"c{place}", f"u{place}"]), None, "validation", tuple(clips)))
    return videos


SEEDS = st.integers(0, 10**6)


@given(SEEDS, st.integers(0, 25), st.booleans(), st.booleans())
def test_what_holds_of_trimmed_training(seed: int, count: int, zero_shot: bool, timed: bool) -> None:
    target, source = untrimmed_by(seed, count), clips_by(seed + 1, count)
    durations = {video.id: 44.4 for video in target[: count // 2]} if timed and count > 1 else {}
    tables: dict[str, Any] = {"shipped_overlap": [JUDGED, ("Nobody's", "welding", "judged", "-")]}
    if durations:
        tables["durations"] = durations
    samples, built = build(target, source, zero_shot=zero_shot, tables=tables)
    check(samples, built, [*target, *source])

    train = [sample for split, sample in samples if split == "train"]
    tested = {video.id for video in target if video.subset == "testing"}
    assert tested.isdisjoint(sample.video.id for sample in train)
    assert all([(t.start, t.end, t.label) for t in s.targets] == [(s.video.start, s.video.end, s.label)] for s in train)
    assert {sample.label for sample in train} <= set(built.vocabularies["source"])
    shared = set(built.vocabularies["target"])
    names = {"high jump": "HighJump", "jumping high": "HighJump", "pole vault": "PoleVault", "tango dancing": "Tango"}
    banned = {clip for clip, label in names.items() if label in shared} if zero_shot else set()
    there = {clip.label for video in source for clip in video.instances}
    assert built.vocabularies["source"] == sorted(there - banned)
    if not zero_shot:
        clips = [clip for v in source if v.id not in tested for clip in v.instances if max(clip.start, 0) < clip.end]
        assert len(train) == len(clips)


@given(SEEDS, st.integers(0, 25))
def test_what_holds_of_weak_training(seed: int, count: int) -> None:
    target = untrimmed_by(seed, count)
    samples, built = build(target, protocol="weak")
    check(samples, built, target)
    trained = {v.id: v for v in target if v.subset == "validation" and v.instances}
    train = [sample for split, sample in samples if split == "train"]
    assert {s.video.id: set(s.labels or ()) for s in train} == {
        name: {instance.label for instance in video.instances} for name, video in trained.items()
    }
    text = b"".join(map(as_line, train))
    for sample in train:  # all that a line has of times is its window
        row = json.loads(as_line(sample))
        assert row.keys() == {"id", "labels", "query", "targets", "video"}
        assert row["targets"] == []
        assert row["video"]["start"] == 0
        assert row["video"]["end"] in (None, 50.0, 61.7, 40.123457)
    assert b"3.21" not in text
    assert b"9.87" not in text
    assert set(built.vocabularies) == {"target"}


def check(samples: list[tuple[str, Sample]], built: Built, videos: Sequence[Video]) -> None:
    """What holds of every manifest of this benchmark."""
    ledger = built.ledger
    assert ledger.seen == sum(len(video.instances) for video in videos)
    assert ledger.kept + sum(ledger.dropped.values()) == ledger.seen
    labelled = {sample.video.id for split, sample in samples if split == "train" and sample.labels is not None}
    kept_labels = sum(len(video.instances) for video in videos if video.id in labelled)
    assert ledger.kept == sum(len(sample.targets) for _, sample in samples) + kept_labels
    ids = [sample.id for _, sample in samples]
    assert len(set(ids)) == len(ids)
    assert all(sample.id.startswith(f"{split}/{sample.video.id}/") for split, sample in samples)
    test = [sample for split, sample in samples if split == "test"]
    assert [s.video.id for s in test] == sorted(v.id for v in videos if v.subset == "testing")
    for _, sample in samples:
        end = float("inf") if sample.video.end is None else sample.video.end
        assert 0 <= sample.video.start < end
        assert all(sample.video.start <= t.start < t.end <= end for t in sample.targets)
        assert all(0 <= s.start < s.end <= end for s in sample.ignore or ())
        assert sample.query.vocabulary is not None
        assert sample.classes() <= set(built.vocabularies[sample.query.vocabulary])
    ids_hash = hashlib.sha256("".join(f"{s.video.id}\n" for s in test).encode()).hexdigest()
    said = {"name": f"thumos14/test@{len(test)}", "videos": len(test), "sha256": ids_hash}
    assert built.evaluation == {"test": said}


def test_instances_of_two_classes_with_the_same_bounds_are_both_kept() -> None:
    both = (Instance(1, 2, "CliffDiving"), Instance(1, 2, "Diving"), Instance(1, 2, "Diving"), Instance(3, 4, "Diving"))
    samples, built = build([Video("u", None, "testing", both)], [])
    ((_, sample),) = samples
    labels = [target.label for target in sample.targets]
    assert labels == ["CliffDiving", "Diving", "Diving", "Diving"]
    notes = built.ledger.as_dict()["notes"]
    assert notes["the same bounds under several classes, all kept"] == ["CliffDiving + Diving: 1"]
    assert notes["an instance that repeats another, kept as the official scorers keep it"] == ["1"]
    assert sample.id == "test/u/0-end/0"


def test_the_order_of_the_files_means_nothing() -> None:
    target, source = untrimmed_by(3, 25), clips_by(4, 25)
    plain, _ = build(target, source, zero_shot=True)
    turned, _ = build(target[::-1], source[::-1], zero_shot=True)
    assert [(s, as_line(line)) for s, line in plain] == [(s, as_line(line)) for s, line in turned]


@pytest.mark.parametrize("subset", ["213", "212", "211", "210"])
def test_subsets_have_names_and_hashes(subset: str) -> None:
    videos = [Video(name, None, "testing", (Instance(0, 1, "Diving"),)) for name in sorted({"u", "v", *THE_THREE})]
    _, built = build(videos, [], subset=subset)
    left = [video.id for video in videos if video.id not in SUBSETS["thumos14"][subset]]
    assert len(left) == 5 - (213 - int(subset))
    assert built.version == f"thumos14@{len(left)}.1"
    assert built.ledger.as_dict()["notes"]["not the number of videos that the subset's name says"] == [
        f"thumos14@{subset}: {len(left)} videos"
    ]


THE_THREE = {"video_test_0001292", *FALSE}
TESTED = [Video("u", None, "testing", (Instance(0, 1, "HighJump"),))]
CLIP = [Video("c", None, "validation", (Instance(0, 10, "high jump"),))]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"target": "thumos41"}, "unknown target; found 'thumos41'. Did you mean 'thumos14'?"),
        ({"target": ""}, "no target; expected one of thumos14, multithumos, activitynet1.2"),
        ({"subset": "214"}, "unknown evaluation subset of thumos14; found '214'"),
        ({"target": "activitynet1.2", "subset": "212"}, "unknown evaluation subset of activitynet1.2; found '212'"),
        ({"source": None}, "no trimmed clips to train on; expected --source FILE, or --protocol weak"),
        ({"protocol": "weak"}, "source: weak training reads the target's own videos alone"),
        ({"protocol": "weak", "source": None, "zero_shot": True}, "zero_shot: weak training reads"),
        ({"protocol": "weak", "source": None}, "no video of the subset validation, which is the train split"),
        ({"target": "activitynet1.2"}, "no video of the subset validation, which is the test split.*testing 1"),
        ({"tables": {"overlap": []}}, "overlap: an overlap is for zero-shot alone"),
        ({"zero_shot": True, "tables": {"overlap": [("High jump", "high jump", "", "")]}},
         "overlap, pair 1: unknown class of the target; found 'High jump'. Did you mean 'HighJump'?"),
        ({"zero_shot": True, "tables": {"overlap": [("HighJump", "hihg jump", "", "")]}},
         "overlap, pair 1: unknown class of the source; found 'hihg jump'. Did you mean 'high jump'?"),
        ({"tables": {"durations": {"w": 1.0}}}, "not one test video in the file of durations; found 'w'"),
        ({"only": [Video("video_test_0001292", None, "testing", ())], "subset": "212"}, "no test video is left"),
    ],
)  # fmt: skip
def test_what_is_refused(call: dict[str, Any], said: str) -> None:
    call = {"source": CLIP, **call}
    with pytest.raises(InputError, match=said):
        build(call.pop("only", TESTED), **call)


def test_a_video_that_the_durations_lack_keeps_an_unknown_end() -> None:
    """The one real file lacks the video that has ambiguous stretches alone."""
    videos = [*TESTED, Video("v", None, "testing", (Instance(3, 9, "HighJump"), Instance(8, 9, "HighJump"),
                                                       Instance(7.5, 9, "HighJump")))]  # fmt: skip
    samples, built = build(videos, [], tables={"durations": {"v": 7.5}})
    assert [sample.video.end for _, sample in samples] == [None, 7.5]
    assert [(t.start, t.end) for t in samples[1][1].targets] == [(3, 7.5)]
    assert built.ledger.as_dict()["notes"]["a video that the file of durations lacks"] == ["u"]
    assert built.ledger.dropped == {"past the end of its video": 2}
    assert built.ledger.mended == {"clamped to its video": 1}


def test_a_table_of_ones_own_takes_the_place_of_rule_and_judgement() -> None:
    clips = [*CLIP, Video("d", None, "validation", (Instance(0, 10, "welding"),))]
    tables = {"overlap": [("HighJump", "welding", "judged", "because")], "shipped_overlap": [JUDGED]}
    _, built = build(TESTED, clips, zero_shot=True, tables=tables)
    assert built.vocabularies["source"] == ["high jump"]
    assert built.version == "thumos14@1-zero-shot-own-overlap.1"


@pytest.mark.parametrize(
    ("target", "source", "alike"),
    [
        ("CleanAndJerk", "clean and jerk", True), ("Shotput", "shot put", True), ("Dances", "dancing", True),
        ("ThrowDiscus", "throwing discus", True), ("Belly dance", "belly dancing", True), ("Squat", "squat", True),
        ("Mowing the lawn", "mowing lawn", True), ("Wrapping presents", "wrapping present", True),
        ("Springboard diving", "diving cliff", False), ("Spinning", "spinning poi", False), ("Run", "riding", False),
        ("Tango", "tango dancing", False), ("Playing guitarra", "playing guitar", False),
        ("Shaving", "shaving legs", False),
        ("String", "str", False), ("Ballet", "ball", False), ("the", "of", False),
    ],
)  # fmt: skip
def test_the_rule_on_names(target: str, source: str, alike: bool) -> None:
    assert bool(by_rule([target], [source])) == alike


# ---- the embedded corpus, by the command ----------------------------------------------------------------------------


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for name, data in files().items():
        path = tmp_path / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "corpus"


def test_the_embedded_corpus_by_the_command(corpus: Path, invoke: Callable[..., Any], tmp_path: Path) -> None:
    call = ["build-dataset", "what2when", "--source", corpus / "kinetics.csv", "--target", "thumos14", "--annotations"]
    for out, more in (("a", []), ("b", []), ("zero", ["--zero-shot"])):
        invoke(*call, corpus / "thumos" / "annotations_test", "--out", tmp_path / out, *more)
    for file in ("manifest.json", "train.jsonl", "test.jsonl", "DATASHEET.md"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    page = json.loads((tmp_path / "zero" / "manifest.json").read_bytes())
    whole = json.loads((tmp_path / "a" / "manifest.json").read_bytes())
    left_out = set(whole["vocabularies"]["source"]) - set(page["vocabularies"]["source"])
    assert left_out == {"archery", "javelin throw", "pole vault"}
    assert "kinetics400-thumos14.csv" in {source["file"] for source in page["provenance"]["sources"]}
    assert "kinetics.csv" in {source["file"] for source in page["provenance"]["sources"]}
    sheet = (tmp_path / "zero" / "DATASHEET.md").read_text(encoding="utf-8")
    assert "pole vault = PoleVault (rule: the same words)" in sheet
    assert "(the paper: 18)" in sheet


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("target,source_class,basis,reason\n", "no column target_class.*Is it 'target'"),
        ("target_class,source_class,basis,reason\nArchery,,rule,x\n", "overlap.csv:2: a pair that lacks a class"),
        ("target_class,source_class,basis,reason\nArchry,archery,rule,x\n", "found 'Archry'. Did you mean 'Archery'"),
        ('target_class,source_class,basis,reason\n"Arch', "not CSV"),
    ],
)
def test_a_bad_overlap_file(corpus: Path, invoke: Callable[..., Any], tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "overlap.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        build_dataset(
            "what2when", [corpus / "thumos" / "annotations_test"], tmp_path / "out",
            options={"target": "thumos14", "zero_shot": True},
            tables={"source": corpus / "kinetics.csv", "overlap": tmp_path / "overlap.csv"},
        )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "no duration in it"), ('{"a": {"duration": 0}}', r"a\.duration: not a duration"),
        ('{"a": {"duration": -3}}', r"a\.duration"),
        ('{"a": {}}', "duration"), ('{"a": 3}', "found"), ("[", "found a list"),
    ],
)  # fmt: skip
def test_a_bad_file_of_durations(corpus: Path, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "d.json").write_text(text)
    with pytest.raises(InputError, match=said):
        build_dataset(
            "what2when", [corpus / "thumos" / "annotations_test"], tmp_path / "out", options={"target": "thumos14"},
            tables={"source": corpus / "kinetics.csv", "durations": tmp_path / "d.json"},
        )  # fmt: skip


# ---- the real annotations -------------------------------------------------------------------------------------------

FILES = {
    "thumos14": "thumos14/annotations_test", "multithumos": "multithumos/multithumos.json",
    "activitynet1.2": "activitynet/activity_net.v1-2.min.json",
}  # fmt: skip
TARGETS = list(FILES)


def real(data: Path, out: Path, target: str, protocol: str = "trimmed", **more: Any) -> Manifest:
    tables = {"source": data / "kinetics" / "kinetics-400_val.csv"} if protocol == "trimmed" else {}
    tables |= {name: more.pop(name) for name in ("durations", "overlap") if name in more}
    place = "thumos14" if (target, protocol) == ("thumos14", "weak") else FILES[target]
    options = {"target": target, **more}
    return build_dataset("what2when", [data / place], out, protocol=protocol, options=options, tables=tables)


def instances_of(data: Path, target: str) -> Counter[tuple[str, str]]:
    """(video, class) of every instance that is tested, counted by the shortest way through the official files."""
    if target == "thumos14":
        paths = [p for p in (data / "thumos14" / "annotations_test").glob("*_test.txt") if "Ambiguous" not in p.name]
        assert len(paths) == 20
        return Counter((line.split()[0], p.name.split("_")[0]) for p in paths for line in p.read_text().splitlines())
    if target == "multithumos":
        videos = json.loads((data / FILES[target]).read_bytes())
        names = [clip.label for v in annotations.read([data / FILES[target]])[0].videos for clip in v.instances]
        rows = [(n, r) for n, video in videos.items() for r in video["actions"]]
        label = {row[0]: name for (_, row), name in zip(rows, names, strict=True)}
        return Counter(
            (name, label[row[0]])
            for name, row in rows
            if videos[name]["subset"] == "testing" and row[1] < row[2] and row[1] < videos[name]["duration"]
        )
    videos = json.loads((data / FILES[target]).read_bytes())["database"]
    return Counter(
        (name, row["label"])
        for name, video in videos.items()
        for row in video["annotations"]
        if video["subset"] == "validation" and row["segment"][0] < row["segment"][1]
    )


# (splits' samples, classes of source and target, instances tested). ActivityNet's validation has 3,582, three of them
# of no length; MultiTHUMOS's test subset 20,208, four of them empty or reversed and 52 past the end of their video.
COUNTS = {
    "thumos14": ({"train": 19_906, "test": 213}, (400, 20), 3_358),
    "multithumos": ({"train": 19_906, "test": 213}, (400, 65), 20_208 - 4 - 52),
    "activitynet1.2": ({"train": 19_906 - 14, "test": 2_383}, (400, 100), 3_582 - 3),
}
# sha256 of the first, tenth and last line, pinned on a build whose counts and instances the test below had confirmed: a
# change of any byte is a new version.
LINES = {
    "thumos14": {"train": ("66c8553c9ca9e240", "17e4d2a2ca0a03e1", "545894d080f3acd0"),
                 "test": ("f447fb8ddfdc498b", "4a971aa359c380ea", "67b00976791dbb95")},
    "multithumos": {"train": ("66c8553c9ca9e240", "17e4d2a2ca0a03e1", "545894d080f3acd0"),
                    "test": ("da441da51906a689", "db8529c0520bc048", "abe7086421261b19")},
    "activitynet1.2": {"train": ("66c8553c9ca9e240", "17e4d2a2ca0a03e1", "545894d080f3acd0"),
                       "test": ("ef480b1ab943574c", "d3940f2c04e06529", "6a1128a715a234d7")},
    "thumos14 weak": {"train": ("00d017a4a4cb8bed", "2a5517d1e7787c81", "1223cd7b04ac70e8")},
    "activitynet1.2 weak": {"train": ("310b6933af237997", "29e80f40ef8152f3", "5d80409ae0362733")},
}  # fmt: skip


def pinned(made: Manifest, name: str) -> None:
    for split, expected in LINES[name].items():
        lines = made.path(split).read_bytes().splitlines(keepends=True)
        assert tuple(hashlib.sha256(lines[i]).hexdigest()[:16] for i in (0, 9, -1)) == expected


@pytest.mark.real
@pytest.mark.parametrize("target", TARGETS)
def test_the_real_files(real_data: Path, tmp_path: Path, target: str) -> None:
    made = real(real_data, tmp_path / "m", target)
    splits, (source, classes), instances = COUNTS[target]
    assert {split: info.samples for split, info in made.splits.items()} == splits
    assert (len(made.vocabularies["source"]), len(made.vocabularies["target"])) == (source, classes)
    assert {split: info.classes for split, info in made.splits.items()} == {"train": source, "test": classes}
    test = made.samples("test")
    assert sum(len(sample.targets) for sample in test) == instances
    assert Counter((s.video.id, str(t.label)) for s in test for t in s.targets) == instances_of(real_data, target)
    assert made.version == f"{target}@{splits['test']}.1"
    train = made.samples("train")
    with (real_data / "kinetics" / "kinetics-400_val.csv").open(newline="") as stream:
        rows = {(r["youtube_id"], float(r["time_start"]), float(r["time_end"]), r["label"])
                for r in csv.DictReader(stream)}  # fmt: skip
    tested = {sample.video.id for sample in test}
    assert {(s.video.id, s.video.start, s.video.end, s.label) for s in train} == {r for r in rows if r[0] not in tested}
    drops = made.provenance["drops"]
    assert drops["kept"] + sum(drops["dropped"].values()) == drops["seen"]
    pinned(made, target)


@pytest.mark.real
def test_the_real_thumos_subsets(real_data: Path, tmp_path: Path) -> None:
    """Without one or both of the falsely annotated videos, and with durations, as other projects count."""
    hashes = set()
    for subset, instances in (("213", 3_358), ("212", 3_358), ("211", 3_311), ("210", 3_311)):
        made = real(real_data, tmp_path / subset, "thumos14", subset=subset)
        test = made.samples("test")
        assert len(test) == int(subset)
        assert sum(len(sample.targets) for sample in test) == instances
        assert made.version == f"thumos14@{subset}.1"
        hashes.add(made.provenance["evaluation"]["test"]["sha256"])
    assert len(hashes) == 4
    timed = real(real_data, tmp_path / "timed", "thumos14", durations=real_data / "thumos14" / "video_info.json")
    assert timed.provenance["drops"]["dropped"] == {"past the end of its video": 26}
    assert [s.video.id for s in timed.samples("test") if s.video.end is None] == ["video_test_0001292"]
    alone = next(sample for sample in timed.samples("test") if sample.video.id == "video_test_0001292")
    assert alone.targets == ()
    assert len(alone.ignore or ()) == 3


# classes of the source that go (the paper: 18, 18, 72), classes of the target that are met, pairs by the rule
ZERO_SHOT = {"thumos14": (20, 19, 10), "multithumos": (42, 52, 14), "activitynet1.2": (80, 77, 51)}


@pytest.mark.real
@pytest.mark.parametrize("target", TARGETS)
def test_real_zero_shot(real_data: Path, tmp_path: Path, target: str) -> None:
    made = real(real_data, tmp_path / "m", target, zero_shot=True)
    sources = annotations.read([real_data / "kinetics" / "kinetics-400_val.csv"])[0].labels
    with (shipped.folder() / "overlap" / f"kinetics400-{target}.csv").open(newline="", encoding="utf-8") as stream:
        rows = [tuple(row.values()) for row in csv.DictReader(stream)]
    assert {row[0] for row in rows} <= set(made.vocabularies["target"])
    assert {row[1] for row in rows} <= set(sources)
    assert len({row[:2] for row in rows}) == len(rows)
    assert rows == sorted(rows)
    assert [row for row in rows if row[2] == "rule"] == by_rule(made.vocabularies["target"], sources)
    assert {row[2] for row in rows} == {"rule", "judged"}
    assert all(len(row[3].split()) >= 3 for row in rows)
    left_out, met, ruled = ZERO_SHOT[target]
    assert len({row[1] for row in rows}) == left_out == 400 - len(made.vocabularies["source"])
    assert len({row[0] for row in rows}) == met
    assert sum(row[2] == "rule" for row in rows) == ruled
    labels = {sample.label for sample in made.samples("train")}
    assert labels == set(made.vocabularies["source"]) == set(sources) - {row[1] for row in rows}
    notes = made.provenance["drops"]["notes"]["zero-shot: source classes left out, with the target class that each is"]
    assert notes == sorted(f"{row[1]} = {row[0]} ({row[2]}: {row[3]})" for row in rows)


@pytest.mark.real
def test_real_multithumos_the_papers_way(real_data: Path, tmp_path: Path) -> None:
    """The paper leaves out the same classes for MultiTHUMOS as for THUMOS14."""
    table = shipped.folder() / "overlap" / "kinetics400-thumos14.csv"
    made = real(real_data, tmp_path / "m", "multithumos", zero_shot=True, overlap=table)
    assert len(made.vocabularies["source"]) == 380
    assert made.version == "multithumos@213-zero-shot-own-overlap.1"


@pytest.mark.real
@pytest.mark.parametrize(("target", "videos"), [("thumos14", 200), ("multithumos", 200), ("activitynet1.2", 4_819)])
def test_real_weak_training(real_data: Path, tmp_path: Path, target: str, videos: int) -> None:
    made = real(real_data, tmp_path / "m", target, "weak")
    train = made.samples("train")
    assert len(train) == videos
    assert set().union(*(sample.labels or () for sample in train)) == set(made.vocabularies["target"])
    assert all(sample.targets == () and sample.ignore is None and sample.label is None for sample in train)
    assert {sample.video.id for sample in train}.isdisjoint(sample.video.id for sample in made.samples("test"))
    if f"{target} weak" in LINES:
        pinned(made, f"{target} weak")

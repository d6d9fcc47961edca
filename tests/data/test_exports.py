"""Every format written and read back: what comes back is the same manifest, or the loss that the format states."""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activity_bench import catalog
from activity_bench.data import exports, manifest
from activity_bench.data.exports import card, columns
from activity_bench.data.manifest import Manifest
from activity_bench.errors import InputError
from activity_bench.segments import to_seconds
from activity_bench.simulation.corpus import files
from activity_bench.types import Grid, Query, Sample, Segment, Target, Window
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.export import export_manifest, import_manifest
from activity_bench.workflow.run import run_method
from tests import tiny

pytestmark = pytest.mark.quick

LOSSLESS = ("croissant", "hf", "qvhighlights")
BUILT = ("relocalization", "weak", "activity-ibal", "detection", "what2when")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for name, content in files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def built(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A manifest of each benchmark, which no test changes."""
    folder = tmp_path_factory.mktemp("built")
    found = {name: folder / name for name in BUILT}
    official = [corpus / "activitynet.json"]
    build_dataset("relocalization", official, found["relocalization"])
    build_dataset("relocalization", official, found["weak"], protocol="weak")
    build_dataset("activity-ibal", official, found["activity-ibal"])
    build_dataset("detection", official, found["detection"])
    build_dataset("what2when", [corpus / "thumos"], found["what2when"], options={"target": "thumos14"},
                  tables={"source": corpus / "kinetics.csv"})  # fmt: skip
    return found


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def page(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


# ---- what comes back is the same ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUILT)
@pytest.mark.parametrize("format_", LOSSLESS)
def test_nothing_of_the_samples_is_lost(format_: str, name: str, built: Mapping[str, Path], tmp_path: Path) -> None:
    before = manifest.load(built[name])
    if before.task not in catalog.load("format", catalog.EXPORTS, format_).tasks:
        with pytest.raises(InputError, match="does not hold detection manifests"):
            export_manifest(before.folder, format_, tmp_path / "out")
        return
    out = tmp_path / "out"
    if format_ == "croissant":
        out = before.folder / "croissant.json"
    export_manifest(before.folder, format_, out, force=True)
    after = import_manifest(out, format_, tmp_path / "back")
    assert after.digest == before.digest
    assert (after.name, after.task, after.vocabularies) == (before.name, before.task, before.vocabularies)
    assert after.version == "imported.1"
    if format_ != "croissant":
        assert after.tree == before.tree
        assert after.provenance.get("evaluation") == before.provenance.get("evaluation")
    drops = after.provenance["drops"]
    assert drops["kept"] == drops["seen"] == sum(split.samples for split in before.splits.values())


def test_one_split_alone(built: Mapping[str, Path], tmp_path: Path) -> None:
    before = manifest.load(built["activity-ibal"])
    for format_ in ("hf", "qvhighlights"):
        out = tmp_path / ("val.jsonl" if format_ == "qvhighlights" else "hub")
        export_manifest(before.folder, format_, out, split="val")
        after = import_manifest(out, format_, tmp_path / f"back {format_}")
        assert list(after.splits) == ["val"]
        assert after.splits["val"].sha256 == before.splits["val"].sha256


def test_the_lists_come_back_with_the_queries_that_the_builder_draws(built: Mapping[str, Path], tmp_path: Path) -> None:
    before = manifest.load(built["relocalization"])
    export_manifest(before.folder, "video_reloc", tmp_path / "lists")
    again = import_manifest(tmp_path / "lists", "video_reloc", tmp_path / "again")
    assert again.digest == before.digest
    other = import_manifest(tmp_path / "lists", "video_reloc", tmp_path / "other", seed=1)
    assert other.digest != before.digest
    for mine, theirs in zip(before.samples("test"), other.samples("test"), strict=True):
        assert (mine.id, mine.video, mine.targets, mine.grid and mine.grid.video) == (
            theirs.id, theirs.video, theirs.targets, theirs.grid and theirs.grid.video,
        )  # fmt: skip


def test_a_list_without_seconds_says_that_it_guesses(built: Mapping[str, Path], tmp_path: Path) -> None:
    export_manifest(built["relocalization"], "video_reloc", tmp_path / "lists")
    (tmp_path / "lists" / "steps.json").unlink()
    (tmp_path / "lists" / "export.json").unlink()
    made = import_manifest(tmp_path / "lists", "video_reloc", tmp_path / "out")
    assert made.name == "relocalization"
    (guessed,) = made.provenance["drops"]["mended"].values()
    assert guessed == sum(split.samples for split in made.splits.values())


def test_a_detection_goes_through_the_reader_of_annotations(built: Mapping[str, Path], tmp_path: Path) -> None:
    before = manifest.load(built["detection"])
    export_manifest(before.folder, "activitynet", tmp_path / "truth.json")
    after = build_dataset("detection", [tmp_path / "truth.json"], tmp_path / "again")
    for split in before.splits:
        mine = {sample.video.id: sample for sample in before.samples(split)}
        theirs = {sample.video.id: sample for sample in after.samples(split)}
        assert mine.keys() == theirs.keys()
        for video, sample in mine.items():
            assert set(theirs[video].targets) == set(sample.targets)
            assert theirs[video].video == sample.video
    assert {label: path for label, path in before.tree.items() if label in after.tree} == after.tree


def test_the_same_bytes_every_time(built: Mapping[str, Path], tmp_path: Path) -> None:
    for name in catalog.EXPORTS:
        source = built["relocalization"]
        for place in ("a", "b"):
            export_manifest(source, name, tmp_path / place / name, split="test")
    found = [sorted(path for path in (tmp_path / place).rglob("*") if path.is_file()) for place in ("a", "b")]
    assert len(found[0]) == len(found[1]) > len(catalog.EXPORTS)
    for one, other in zip(*found, strict=True):
        assert one.read_bytes() == other.read_bytes(), one


def test_a_partial_manifest_stays_partial(corpus: Path, tmp_path: Path) -> None:
    whole = build_dataset("relocalization", [corpus / "activitynet.json"], tmp_path / "whole")
    ids = sorted({video for s in whole.samples("test") for video in (s.video.id, s.query.video or "")})
    (tmp_path / "have.txt").write_text("\n".join(ids) + "\n", encoding="utf-8")
    part = build_dataset("relocalization", [corpus / "activitynet.json"], tmp_path / "part",
                         available=tmp_path / "have.txt")  # fmt: skip
    assert part.partial
    for name in ("hf", "qvhighlights"):
        export_manifest(part.folder, name, tmp_path / name)
        assert import_manifest(tmp_path / name, name, tmp_path / f"{name} back").partial
    assert "**Partial**" in (tmp_path / "hf" / "README.md").read_text(encoding="utf-8")


# ---- what each format holds -----------------------------------------------------------------------------------------


def test_moment_retrieval_lines(built: Mapping[str, Path], tmp_path: Path) -> None:
    asked = manifest.load(built["activity-ibal"])
    export_manifest(asked.folder, "qvhighlights", tmp_path / "test.jsonl", split="test")
    samples = asked.samples("test")
    assert any(sample.video.start > 0 for sample in samples)
    for sample, line in zip(samples, lines(tmp_path / "test.jsonl"), strict=True):
        assert (line["qid"], line["vid"], line["query_time"]) == (sample.id, sample.video.id, sample.query.time)
        assert line["window"] == [sample.video.start, sample.video.end]
        assert line["duration"] == sample.video.end  # times stay absolute: the window's start is not taken off
        assert line["relevant_windows"] == [[target.start, target.end] for target in sample.targets]
        covered = {
            clip for a, b in line["relevant_windows"] for clip in range(10_000) if a < 2 * clip + 2 and 2 * clip < b
        }
        assert set(line["relevant_clip_ids"]) == covered
        assert line["saliency_scores"] == [[4, 4, 4]] * len(covered)


@pytest.mark.parametrize("name", ["relocalization", "activity-ibal", "detection", "what2when"])
def test_activitynet_json_is_strict(name: str, built: Mapping[str, Path], tmp_path: Path) -> None:
    asked = manifest.load(built[name])
    export_manifest(asked.folder, "activitynet", tmp_path / "truth.json")
    found = page(tmp_path / "truth.json")
    assert set(found) == {"version", "taxonomy", "database"}
    targets = {
        (sample.video.id, t.start, t.end, t.label)
        for split in asked.splits for sample in asked.samples(split) for t in sample.targets
    }  # fmt: skip
    written = [
        (video, *annotation["segment"], annotation["label"])
        for video, entry in found["database"].items()
        for annotation in entry["annotations"]
    ]
    assert set(written) == targets
    assert len(written) == len(targets)
    assert {entry["subset"] for entry in found["database"].values()} <= {"training", "validation", "testing"}
    numbers = {node["nodeId"]: node for node in found["taxonomy"]}
    assert len(numbers) == len(found["taxonomy"])
    for node in found["taxonomy"]:
        assert node["parentId"] is None or numbers[node["parentId"]]["nodeName"] == node["parentName"]
    assert {label for *_, label in written} <= {node["nodeName"] for node in found["taxonomy"]}


def test_trainers_of_detectors(built: Mapping[str, Path], corpus: Path, tmp_path: Path) -> None:
    counts = {video: {"n_frames": 25 * 100, "n_feat": 156} for video in page(corpus / "activitynet.json")["database"]}
    (tmp_path / "length.json").write_text(json.dumps(counts), encoding="utf-8")
    tables = {"frame_counts": tmp_path / "length.json", "taxonomy": corpus / "activitynet.json"}
    official = page(corpus / "activitynet.json")["database"]
    for name in ("opentad", "actionformer"):
        export_manifest(built["relocalization"], name, tmp_path / name, tables=tables)
        classes = (tmp_path / name / "category_idx.txt").read_text(encoding="utf-8").splitlines()
        assert classes == sorted(set(classes))
        for video, entry in page(tmp_path / name / "annotations.json")["database"].items():
            assert entry["duration"] == official[video]["duration"]  # not where the window ends
            assert entry["frame"] == 2500
            for annotation in entry["annotations"]:
                assert annotation["label"] in classes
                if name == "actionformer":
                    assert classes[annotation["label_id"]] == annotation["label"]
                    assert entry["fps"] == 2500 / entry["duration"]


def test_trainers_of_detectors_want_durations(built: Mapping[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a video without a duration"):
        export_manifest(built["what2when"], "opentad", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_numbers_of_classes_come_from_the_tree_where_it_is_given(
    built: Mapping[str, Path], corpus: Path, tmp_path: Path
) -> None:
    tree = {node["nodeName"]: node["nodeId"] for node in page(corpus / "activitynet.json")["taxonomy"]}
    export_manifest(built["relocalization"], "video_reloc", tmp_path / "out",
                    tables={"taxonomy": corpus / "activitynet.json"})  # fmt: skip
    samples = manifest.load(built["relocalization"]).samples("val")
    for sample, row in zip(samples, page(tmp_path / "out" / "val.json"), strict=True):
        assert row["label"] == tree[sample.label]
        assert sample.grid is not None
        assert row["location"] == list(sample.grid.video)
        assert [sample.grid.video[0] + rows for rows in row["groundtruth"]] == list(sample.grid.targets[0])
    export_manifest(built["relocalization"], "video_reloc", tmp_path / "plain")
    numbers = page(tmp_path / "plain" / "classes.json")
    assert sorted(numbers, key=numbers.__getitem__) == sorted(numbers)
    assert sorted(numbers.values()) == list(range(len(numbers)))


def test_a_video_of_two_splits_has_no_subset(tmp_path: Path) -> None:
    both = [tiny.on_rows(f"{split}/v/0-10/0", (0, 10), (2, 5)) for split in ("train", "test")]
    twice = [Sample(**{**vars_of(sample), "video": Window("v", *to_seconds((0, 10), tiny.STEP))}) for sample in both]
    tiny.write(tmp_path / "m", twice[:1], twice[1:])
    with pytest.raises(InputError, match="a video in two splits"):
        export_manifest(tmp_path / "m", "activitynet", tmp_path / "out.json")
    assert export_manifest(tmp_path / "m", "activitynet", tmp_path / "out.json", split="test") == ["out.json"]


def vars_of(sample: Sample) -> dict[str, Any]:
    return {name: getattr(sample, name) for name in Sample.__dataclass_fields__}


# ---- Croissant and the card -----------------------------------------------------------------------------------------


def test_croissant_states_hash_and_size(built: Mapping[str, Path], tmp_path: Path) -> None:
    asked = manifest.load(built["what2when"])
    export_manifest(asked.folder, "croissant", tmp_path / "croissant.json")
    found = page(tmp_path / "croissant.json")
    assert found["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    for split, file in zip(asked.splits.values(), found["distribution"], strict=True):
        assert (file["contentUrl"], file["sha256"]) == (split.file, split.sha256)
        assert file["contentSize"] == f"{(asked.folder / split.file).stat().st_size} B"


@pytest.mark.parametrize("name", BUILT)
def test_croissant_is_valid_and_its_records_load(name: str, built: Mapping[str, Path], tmp_path: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant", reason="no dependency: it is slow to install")
    asked = manifest.load(built[name])
    export_manifest(asked.folder, "croissant", asked.folder / "croissant.json", force=True)
    export_manifest(asked.folder, "hf", tmp_path / "hub")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in (asked.folder / "croissant.json", tmp_path / "hub" / "croissant.json"):
            opened = mlcroissant.Dataset(jsonld=str(path))
            assert opened.metadata.ctx.issues.errors == set()
            for split in asked.splits:
                records = list(opened.records(split))
                assert [record[f"{split}/id"].decode() for record in records] == [s.id for s in asked.samples(split)]
                starts = [start for record in records for start in record[f"{split}/target_start"] or []]
                # pandas, which reads the lines for it, is wrong in the last digit of some floats
                assert starts == pytest.approx([t.start for s in asked.samples(split) for t in s.targets])


@given(st.text(max_size=60))
def test_text_in_markdown_says_just_that_text(text: str) -> None:
    escaped = exports.plain(text)
    assert "\n" not in escaped
    assert re.sub(r"\\(.)", r"\1", escaped) == "".join(c if c.isprintable() else " " for c in text)
    assert not re.search(r"(?<!\\)[<>\[\]!`|*_#&:]", re.sub(r"\\.", "", escaped))


def test_a_hostile_name_stays_text_in_the_card(tmp_path: Path) -> None:
    hostile = 'x"\n---\nconfigs: []\n# <script>alert(1)</script> ![a](http://x.invalid) | `c`'
    made = tiny.write(tmp_path / "m", name=hostile, test=tiny.TEST[:3])
    export = exports.Export(made, tuple(made.splits))
    text = card.card(export, {split: f"data/{split}.parquet" for split in made.splits})
    _, header, body = text.split("---\n", 2)
    assert len(re.findall(r"^---$", text, re.MULTILINE)) == 2
    assert json.loads(header.splitlines()[0].removeprefix("pretty_name: ")) == f"{hostile} test.1"
    assert not re.search(r"(?<!\\)<", body)
    assert "![a]" not in body
    assert body.count("\n# ") == 1


# ---- hypothesis: any sample -----------------------------------------------------------------------------------------

WORDS = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters="/\\=+@"), min_size=1, max_size=8
)
WORDS = WORDS.filter(lambda word: word.isprintable() and word.strip() == word and word not in {".", ".."})
TIMES = st.integers(0, 10**9).map(lambda n: n / 10**6)


@st.composite
def samples(draw: st.DrawFn) -> list[Sample]:
    """Moments with image and clip queries, on a grid and off it."""
    found = []
    for number in range(draw(st.integers(1, 4))):
        label = draw(st.none() | WORDS)
        video = draw(WORDS)
        if draw(st.booleans()):
            step = draw(st.sampled_from([0.5, 16 / 30, 0.64]))
            low, *inner, high = sorted(draw(st.lists(st.integers(0, 500), min_size=4, max_size=4, unique=True)))
            grid = Grid(step, (low, high), ((inner[0], inner[1]),), draw(st.none() | st.just((0, 4))))
            window = Window(video, round(low * step, 6), round(high * step, 6))
            targets = (Target(round(inner[0] * step, 6), round(inner[1] * step, 6), label),)
        else:
            grid = None
            start, *inner, end = sorted(draw(st.lists(TIMES, min_size=6, max_size=6, unique=True)))
            window = Window(video, start, end)
            targets = (Target(inner[0], inner[1], draw(st.none() | WORDS)), Target(inner[2], inner[3], label))
            targets = targets[: draw(st.integers(0, 2))]
        if draw(st.booleans()):
            query = Query("image", video=draw(WORDS), time=draw(TIMES), label=draw(st.none() | WORDS),
                          distance=draw(st.none() | st.integers(0, 9)))  # fmt: skip
        else:
            first, last = sorted(draw(st.lists(TIMES, min_size=2, max_size=2, unique=True)))
            query = Query("clip", video=draw(WORDS), start=first, end=last)
        part = draw(st.none() | st.sampled_from(["simple", "difficult"]))
        found.append(Sample(f"test/{number}", query, window, targets, label, part, grid))
    return found


@given(samples(), st.none() | st.lists(WORDS, max_size=3), st.none() | st.just((Segment(0.0, 1.5),)))
def test_a_row_holds_all_of_a_sample(made: list[Sample], labels: list[str] | None, ignore: Any) -> None:
    for sample in made:
        more = Sample(**{**vars_of(sample), "labels": None if labels is None else tuple(labels), "ignore": ignore})
        assert columns.sample_of(columns.flat(more), Path("x.parquet"), 1) == more
        assert set(columns.flat(more)) == {name for name, _, _ in columns.COLUMNS}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=samples())
@pytest.mark.parametrize("format_", LOSSLESS)
def test_any_moments_come_back(format_: str, made: list[Sample], tmp_path: Path) -> None:
    before = tiny.write(tmp_path / "m", (), made, force=True)
    out = before.folder / "croissant.json" if format_ == "croissant" else tmp_path / f"out {format_}"
    export_manifest(before.folder, format_, out, force=True)
    assert import_manifest(out, format_, tmp_path / "back", force=True).digest == before.digest


# ---- what is refused ------------------------------------------------------------------------------------------------


def test_nothing_is_replaced_unasked(built: Mapping[str, Path], tmp_path: Path) -> None:
    source = built["relocalization"]
    for name in ("hf", "video_reloc"):
        theirs = tmp_path / name
        theirs.mkdir()
        (theirs / "mine.txt").write_text("mine", encoding="utf-8")
        with pytest.raises(InputError, match="the folder exists"):
            export_manifest(source, name, theirs)
        with pytest.raises(InputError, match="not ours"):
            export_manifest(source, name, theirs, force=True)
        assert [path.name for path in theirs.iterdir()] == ["mine.txt"]
    theirs = tmp_path / "truth.json"
    theirs.write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="the file exists"):
        export_manifest(source, "activitynet", theirs)
    assert theirs.read_text(encoding="utf-8") == "mine"
    export_manifest(source, "activitynet", theirs, force=True)
    with pytest.raises(InputError, match="this is a folder"):
        export_manifest(source, "activitynet", tmp_path, force=True)


def test_a_file_a_split_wants_a_folder_or_a_split(built: Mapping[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--split NAME"):
        export_manifest(built["relocalization"], "qvhighlights", tmp_path / "all.jsonl")
    with pytest.raises(InputError, match="Did you mean 'test'"):
        export_manifest(built["relocalization"], "qvhighlights", tmp_path / "all.jsonl", split="tets")
    with pytest.raises(InputError, match="unknown format"):
        export_manifest(built["relocalization"], "parquet", tmp_path / "all")
    with pytest.raises(InputError, match="takes no such table"):
        export_manifest(built["relocalization"], "hf", tmp_path / "all", tables={"taxonomy": tmp_path})


def test_without_pyarrow_one_line_says_how_to_get_it(
    built: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'activity-bench\[export\]'"):
        export_manifest(built["relocalization"], "hf", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_formats_that_hold_no_question_name_the_command_that_reads_them(tmp_path: Path) -> None:
    for name in ("activitynet", "opentad", "actionformer"):
        with pytest.raises(InputError, match="build-dataset detection"):
            import_manifest(tmp_path, name, tmp_path / "out")


MOMENT = {"qid": "test/a", "vid": "a", "duration": 9.0, "relevant_windows": [[1, 2]], "query_video": "b",
          "query_window": [0, 3]}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"query_video": None}, r"test.jsonl:2: query_video: half a query; found \['query_window'\]"),
        ({"query_window": None}, r"test.jsonl:2: query_video: half a query"),
        ({"query_kind": "image"}, r"test.jsonl:2: query_video: half a query"),
        ({"query_video": None, "query_window": None, "query": " "}, r"test.jsonl:2: query: a query without words"),
        ({"query_video": None, "query_window": None, "query": "x" * 10_001}, r"test.jsonl:2: query: a query without"),
        ({"query_video": None, "query_window": None, "query_kind": "clip"}, r"test.jsonl:2: query_video: half a query"),
        ({"relevant_windows": [[2, 1]]}, "start < end"),
        ({"relevant_windows": [[1, 20]]}, "inside the video's window"),
        ({"relevant_windows": "no"}, r"test.jsonl:2: relevant_windows"),
        ({"qid": "test/first"}, "two samples share an id"),
        ({"qid": "a\nb"}, "not a sample's id"),
        ({"vid": "../../etc/passwd"}, "an unsafe video id"),
        ({"query_video": "a/b"}, "an unsafe video id"),
        ({"label": "a\x1b[2J"}, "not a class name"),
        ({"labels": ["a", "b"]}, r"test.jsonl:2: labels: not one class a window"),
        ({"window": [-1, 5]}, "0 <= start < end"),
    ],
)
def test_a_bad_line_is_named(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    rows = [{**MOMENT, "qid": "test/first"}, {**MOMENT, **change}]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        import_manifest(tmp_path / "test.jsonl", "qvhighlights", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["test.jsonl"]


RELEASED = {"id": "v", "label": 0, "location": [2, 20], "groundtruth": [1, 5]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": 7}, r"test.json: \[1\].label: no class has this number; found 7"),
        ({"location": [5, 5]}, r"\[1\].location"),
        ({"location": [0, 99]}, r"\[1\].location: .*expected rows in order, from 0 to 50"),
        ({"location": [-1, 9]}, r"\[1\].location"),
        ({"groundtruth": [3, 19]}, r"\[1\].groundtruth: .*from 0 to 18"),
        ({"groundtruth": [3, 3]}, r"\[1\].groundtruth"),
        ({"id": "../v"}, "an unsafe video id"),
        ({"label": "Diving"}, "a whole number"),
        ({"label": 1}, r"\[1\].label: a class in two splits; found 'Rafting'"),
    ],
)
def test_a_bad_list_is_named(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "classes.json").write_text('{"Diving": 0, "Rafting": 1}', encoding="utf-8")
    (lists / "train.json").write_text(json.dumps([{**RELEASED, "label": 1}]), encoding="utf-8")
    (lists / "test.json").write_text(json.dumps([RELEASED, {**RELEASED, "id": "w", **change}]), encoding="utf-8")
    (tmp_path / "length.json").write_text(
        json.dumps({video: {"n_frames": 800, "n_feat": 50} for video in "vw"}), encoding="utf-8"
    )
    with pytest.raises(InputError, match=said):
        import_manifest(lists, "video_reloc", tmp_path / "out", tables={"frame_counts": tmp_path / "length.json"})
    assert not (tmp_path / "out").exists()


def test_lists_without_names_of_classes_ask_for_them(tmp_path: Path) -> None:
    (tmp_path / "test.json").write_text(json.dumps([RELEASED]), encoding="utf-8")
    with pytest.raises(InputError, match="--classes FILE"):
        import_manifest(tmp_path, "video_reloc", tmp_path / "out")


def test_a_file_that_is_not_the_stated_one_is_refused(built: Mapping[str, Path], tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    beside.mkdir()
    export_manifest(built["relocalization"], "croissant", beside / "croissant.json", split="test")
    with pytest.raises(InputError, match="no such file"):
        import_manifest(beside, "croissant", tmp_path / "out")
    (beside / "test.jsonl").write_bytes((built["relocalization"] / "test.jsonl").read_bytes().replace(b"a", b"b"))
    with pytest.raises(InputError, match="its sha256 is not the stated one"):
        import_manifest(beside, "croissant", tmp_path / "out")
    stolen = (beside / "croissant.json").read_text(encoding="utf-8").replace('"contentUrl": "', '"contentUrl": "../')
    (beside / "croissant.json").write_text(stolen, encoding="utf-8")
    with pytest.raises(InputError, match="not the name of a file beside this one"):
        import_manifest(beside, "croissant", tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all"])
def test_a_bad_parquet_file_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "test.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"test.parquet: not a parquet file that can be read"):
        import_manifest(tmp_path, "hf", tmp_path / "out")


def test_parquet_of_others_is_named() -> None:
    with pytest.raises(InputError, match=r"x.parquet:3: video.start"):
        columns.sample_of({"id": "a", "video": "b", "start": "soon", "query_kind": "image"}, Path("x.parquet"), 3)


def test_a_name_that_is_markup_does_not_come_in(built: Mapping[str, Path], tmp_path: Path) -> None:
    export_manifest(built["relocalization"], "qvhighlights", tmp_path / "lines")
    marker = tmp_path / "lines" / "export.json"
    marker.write_text(marker.read_text(encoding="utf-8").replace("relocalization", "<b>"), encoding="utf-8")
    with pytest.raises(InputError, match="not a benchmark's name"):
        import_manifest(tmp_path / "lines", "qvhighlights", tmp_path / "out")


# ---- real files -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def released(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """The released re-localization, built from the real annotations."""
    folder = real_data / "relocalization"
    tables = {"frame_counts": folder / "length.json", "class_order": folder / "perm.npy", "crop_order": folder}
    out = tmp_path_factory.mktemp("released") / "manifest"
    return build_dataset("relocalization", [real_data / "activitynet" / "activity_net.v1-3.min.json"], out,
                         protocol="released", tables=tables)  # fmt: skip


def as_set(path: Path) -> set[str]:
    rows = [json.dumps(row, sort_keys=True) for row in page(path)]
    assert len(set(rows)) == len(rows)
    return set(rows)


@pytest.mark.real
def test_the_export_is_the_released_lists(released: Manifest, real_data: Path, tmp_path: Path) -> None:
    tables = {"taxonomy": real_data / "activitynet" / "activity_net.v1-3.min.json"}
    export_manifest(released.folder, "video_reloc", tmp_path / "lists", tables=tables)
    for split, count in (("train", 7593), ("val", 829)):
        mine = as_set(tmp_path / "lists" / f"{split}.json")
        assert len(mine) == count
        assert mine == as_set(real_data / "relocalization" / f"{split}.json")
    assert len(page(tmp_path / "lists" / "test.json")) == 978
    assert import_manifest(tmp_path / "lists", "video_reloc", tmp_path / "back").digest == released.digest


@pytest.mark.real
def test_the_released_lists_are_the_built_manifest(released: Manifest, real_data: Path, tmp_path: Path) -> None:
    tables = {
        "frame_counts": real_data / "relocalization" / "length.json",
        "classes": real_data / "activitynet" / "activity_net.v1-3.min.json",
    }
    made = import_manifest(real_data / "relocalization", "video_reloc", tmp_path / "out", tables=tables)
    for split in ("train", "val"):
        assert made.splits[split].sha256 == released.splits[split].sha256


@pytest.mark.real
def test_the_real_highlights_ask_in_words(real_data: Path, tmp_path: Path) -> None:
    file = real_data / "predictions" / "lighthouse_qvhighlights_val_release.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    made = import_manifest(file, "qvhighlights", tmp_path / "m")
    samples = made.samples("val")
    assert (len(samples), sum(len(sample.targets) for sample in samples)) == (1550, 2803)
    for row, sample in zip(rows, samples, strict=True):
        assert (sample.id, sample.query, sample.video.id) == (
            str(row["qid"]),
            Query("text", text=row["query"]),
            row["vid"],
        )
        assert [[target.start, target.end] for target in sample.targets] == row["relevant_windows"]
        assert sample.video.end == row["duration"]


def test_queries_in_words_come_back(tmp_path: Path) -> None:
    row = {"qid": 7, "query": "Wer springt?\n é", "vid": "a", "duration": 9.0, "relevant_windows": [[1, 2], [3, 4]]}
    (tmp_path / "highlight_val_release.jsonl").write_text(json.dumps(row), encoding="utf-8")
    made = import_manifest(tmp_path / "highlight_val_release.jsonl", "qvhighlights", tmp_path / "m")
    (sample,) = made.samples("val")
    assert (sample.id, sample.question().query.text) == ("7", row["query"])
    for format_ in LOSSLESS:
        out = tmp_path / format_ if format_ != "croissant" else made.folder / "croissant.json"
        export_manifest(made.folder, format_, out)
        source = made.folder if format_ == "croissant" else out
        assert import_manifest(source, format_, tmp_path / f"{format_} back").digest == made.digest
    (line,) = (tmp_path / "qvhighlights" / "val.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["query"] == row["query"]


def test_words_are_answered_by_who_needs_no_query(tmp_path: Path) -> None:
    rows = [{"qid": i, "query": "somebody dives", "vid": f"v{i}", "duration": 9.0 + i, "relevant_windows": [[1, 2 + i]]}
            for i in range(3)]  # fmt: skip
    for split in ("train", "test"):
        text = "".join(json.dumps({**row, "qid": f"{split} {row['qid']}"}) + "\n" for row in rows)
        (tmp_path / "lines").mkdir(exist_ok=True)
        (tmp_path / "lines" / f"{split}.jsonl").write_text(text, encoding="utf-8")
    made = import_manifest(tmp_path / "lines", "qvhighlights", tmp_path / "m")
    for method in ("random", "full-window", "statistical-prior", "oracle"):
        assert run_method(method, made.folder, "test", tmp_path / method).report.answered == 3
    asks_clips = catalog.load("method", catalog.METHODS, "frame-level")
    with pytest.raises(InputError, match=r"query.kind of test 0: frame-level asks with clips alone; found 'text'"):
        list(asks_clips(asks_clips.options_class(), 0, None).predict(made.samples("test")))


# ---- commands -------------------------------------------------------------------------------------------------------


def test_the_commands_say_what_is_lost(invoke: Callable[..., Any], built: Mapping[str, Path], tmp_path: Path) -> None:
    done = invoke("export", built["relocalization"], "--to", "video_reloc", "--out", tmp_path / "lists")
    assert "loses the queries" in done.err
    assert str(tmp_path / "lists" / "train.json") in done.out.splitlines()
    done = invoke("import", tmp_path / "lists", "--from", "video_reloc", "--out", tmp_path / "back")
    assert manifest.load(built["relocalization"]).digest in done.out
    assert "Did you mean 'video_reloc'" in invoke("export", built["relocalization"], "--to", "video-reloc", "--out",
                                                  tmp_path / "x", code=2).err  # fmt: skip
    listed = invoke("list", "formats").out
    assert all(f"{name}\tformats\t" in listed for name in catalog.EXPORTS)

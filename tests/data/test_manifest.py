"""A manifest on disk: the same samples come back, and nothing can be changed without an error that names the file."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activity_bench.data import canonical, manifest
from activity_bench.data.samples import as_line
from activity_bench.data.truth import read_moments
from activity_bench.errors import InputError, WorkError
from activity_bench.segments import to_seconds
from activity_bench.types import Grid, Query, Sample, Segment, Target, Window
from tests import tiny

pytestmark = pytest.mark.quick

WORD = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
TIME = st.integers(0, 10**11).map(lambda micros: micros / 1e6)


@st.composite
def sound_samples(draw: st.DrawFn) -> Sample:
    marks = sorted(draw(st.lists(TIME, min_size=4, max_size=4, unique=True)))
    label, kind = draw(st.none() | WORD), draw(st.sampled_from(["image", "clip", "classes"]))
    query = {
        "image": Query("image", video="q", time=draw(TIME), label=label),
        "clip": Query("clip", video="q", start=marks[0], end=marks[2]),
        "classes": Query("classes", vocabulary="all"),
    }[kind]
    window, target = (marks[0], draw(st.sampled_from([None, marks[3]]))), (marks[1], marks[2])
    grid = None
    if draw(st.booleans()):
        grid = Grid(draw(st.floats(0.01, 10)), (0, 9), ((3, 4),), draw(st.none() | st.just((1, 2))))
        window, target = to_seconds((0, 9), grid.step), to_seconds((3, 4), grid.step)
    return Sample(
        id=draw(WORD),
        query=query,
        video=Window(draw(WORD), *window),
        targets=(Target(*target, label),),
        label=label,
        part=draw(st.none() | WORD),
        grid=grid,
        ignore=draw(st.none() | st.just((Segment(marks[1], marks[3]),))),
    )


@settings(max_examples=200)
@given(st.lists(sound_samples(), min_size=1, max_size=5, unique_by=lambda sample: sample.id))
def test_what_is_written_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, samples: list[Sample]) -> None:
    folder = tmp_path_factory.mktemp("m") / "manifest"
    made = tiny.write(folder, train=(), test=samples)
    assert manifest.load(folder).samples("test") == samples == made.samples("test")


@settings(max_examples=200)
@given(sound_samples())
def test_a_line_has_the_bytes_of_the_standard_library(sample: Sample) -> None:
    line = as_line(sample).decode()
    if not any(0 < number < 1e-4 for number in numbers(json.loads(line))):
        assert line == json.dumps(json.loads(line), sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n"


def numbers(value: Any) -> Iterator[float]:
    """Every number in a JSON value."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from numbers(part)
    elif isinstance(value, float | int):
        yield value


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63))
def test_numbers_are_spelt_as_the_standard_library_spells_them(number: float) -> None:
    """To 1e16 and down to 1e-4; beyond that both spellings are read back as the same number."""
    text = canonical.line(number).decode().strip()
    assert json.loads(text) == number
    if number == 0 or 1e-4 <= abs(number) < 1e16:
        assert text == json.dumps(number)


def test_a_line_as_the_format_states_it(tmp_path: Path) -> None:
    tiny.write(tmp_path / "m")
    lines = (tmp_path / "m" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines[0] == (
        '{"grid":{"query":[0,3],"step":0.5333333333333333,"targets":[[0,4]],"video":[0,10]},"id":"test/v2/0-10/0",'
        '"label":"Diving","part":"simple",'
        '"query":{"end":1.6,"kind":"clip","start":0.0,"video":"query of test/v2/0-10/0"},'
        '"targets":[{"end":2.133333,"label":"Diving","start":0.0}],'
        '"video":{"end":5.333333,"id":"video of test/v2/0-10/0","start":0.0}}'
    )
    assert lines[3] == (
        '{"id":"test/é/0-/0","label":"Café","query":{"kind":"image","time":1.5,"video":"query of test/é/0-/0"},'
        '"targets":[{"end":2.0,"start":1.0}],"video":{"end":null,"id":"video of test/é/0-/0","start":0.0}}'
    )


def test_the_digest_by_hand(tmp_path: Path) -> None:
    made = tiny.write(tmp_path / "m")
    hashes = {s: hashlib.sha256((tmp_path / "m" / f"{s}.jsonl").read_bytes()).hexdigest() for s in ("test", "train")}
    text = f"test {hashes['test']}\ntrain {hashes['train']}\n"
    assert made.digest == "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    assert {name: split.sha256 for name, split in made.splits.items()} == hashes


def test_the_digest_is_of_the_samples_alone(tmp_path: Path) -> None:
    one, other = tiny.write(tmp_path / "a"), tiny.write(tmp_path / "b", tree={"Diving": ("Sport",)}, version="test.2")
    assert one.digest == other.digest
    assert one.digest != tiny.write(tmp_path / "c", test=tiny.TEST[:-1]).digest


def test_what_a_manifest_states(tmp_path: Path) -> None:
    made = tiny.write(tmp_path / "m", tree={"Diving": ("Water", "Sport")}, vocabularies={"all": ["a", "b"]})
    page = json.loads((tmp_path / "m" / "manifest.json").read_bytes())
    assert page["format"] == 1
    assert (made.name, made.version, made.task) == ("relocalization", "test.1", "moment")
    assert (made.splits["test"].samples, made.splits["test"].videos, made.splits["test"].classes) == (4, 4, 3)
    assert page["provenance"]["sources"] == [
        {"file": "annotations.json", "bytes": 12, "sha256": "ab" * 32, "licence": None}
    ]
    assert made.tree == {"Diving": ["Water", "Sport"]}
    assert made.vocabularies == {"all": ["a", "b"]}


def test_splits_come_in_the_order_of_work(tmp_path: Path) -> None:
    names = ("zebra", "test", "alpha", "val", "train")
    samples = [(name, replace(tiny.TEST[0], id=name)) for name in names]
    made = manifest.write(tmp_path / "m", tiny.built(samples, splits=names), {}, (), lambda page: "")
    assert list(made.splits) == ["train", "val", "test", "alpha", "zebra"]


def test_a_split_without_samples_is_left_out(tmp_path: Path) -> None:
    made = tiny.write(tmp_path / "m")  # a builder has three splits, these samples two
    assert list(made.splits) == ["train", "test"]
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [
        "DATASHEET.md", "manifest.json", "test.jsonl", "train.jsonl",
    ]  # fmt: skip


# ---- nothing changes unseen -----------------------------------------------------------------------------------------


def read_all(folder: Path) -> None:
    opened = manifest.load(folder)
    for split in opened.splits:
        opened.samples(split)


def fault_of(folder: Path) -> str | None:
    """The name of the file that an error names; None where there is no error."""
    try:
        read_all(folder)
    except InputError as error:
        return Path(str(error.file)).name
    return None


@pytest.mark.parametrize("name", ["manifest.json", "train.jsonl", "test.jsonl"])
def test_every_flipped_byte_is_an_error_that_names_the_file(tmp_path: Path, name: str) -> None:
    tiny.write(tmp_path / "m", test=tiny.TEST[-1:], tree={"Diving": ("Sport",)})
    path = tmp_path / "m" / name
    sound = path.read_bytes()
    for place in range(len(sound)):
        for flip in (0x01, 0x20, 0x80):
            path.write_bytes(sound[:place] + bytes([sound[place] ^ flip]) + sound[place + 1 :])
            assert fault_of(tmp_path / "m") == name, (place, flip, sound[max(0, place - 20) : place + 20])
    path.write_bytes(sound)
    read_all(tmp_path / "m")


@pytest.mark.parametrize("name", ["manifest.json", "train.jsonl", "test.jsonl"])
def test_every_cut_is_an_error_that_names_the_file(tmp_path: Path, name: str) -> None:
    tiny.write(tmp_path / "m")
    path = tmp_path / "m" / name
    sound = path.read_bytes()
    for length in [*range(0, len(sound), 17), len(sound) - 1]:
        path.write_bytes(sound[:length])
        with pytest.raises(InputError, match=name.replace(".", r"\.")):
            read_all(tmp_path / "m")


def test_the_scorer_sees_a_changed_split_too(tmp_path: Path) -> None:
    made = tiny.write(tmp_path / "m")
    path = tmp_path / "m" / "test.jsonl"
    path.write_bytes(path.read_bytes().replace(b"[0,4]", b"[0,5]"))
    with pytest.raises(InputError, match=r"test\.jsonl: .*sha256 differs"):
        read_moments(made, "test")
    made.samples("train")  # the other split is as it was


def test_what_json_allows_and_we_did_not_write_is_a_change(tmp_path: Path) -> None:
    """A space, another order of keys: the values are the same, the bytes are not."""
    tiny.write(tmp_path / "m")
    path = tmp_path / "m" / "manifest.json"
    page = json.loads(path.read_bytes())
    for text in (json.dumps(page), json.dumps(page, sort_keys=True, ensure_ascii=False, indent=1) + "\n\n"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=r"manifest\.json: .*seal differs"):
            manifest.load(tmp_path / "m")


# ---- manifests made by other hands ----------------------------------------------------------------------------------


def row(**changes: Any) -> dict[str, Any]:
    plain = {
        "id": "a", "query": {"kind": "image", "video": "q", "time": 1.0}, "targets": [{"start": 2.0, "end": 3.5}],
        "video": {"id": "v", "start": 0, "end": 10},
    }  # fmt: skip
    return {**plain, **changes}


def test_a_manifest_made_by_hand_is_taken(tmp_path: Path) -> None:
    opened = manifest.load(tiny.by_hand(tmp_path / "m", [row()]))
    assert opened.samples("test")[0].targets == (Target(2.0, 3.5),)
    assert manifest.load(tmp_path / "m" / "manifest.json").digest == opened.digest


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"video": {"id": "v", "start": 5, "end": 5}}, "video"),
        ({"video": {"id": "v", "start": -1, "end": 5}}, "video"),
        ({"video": {"id": "v", "start": 0, "end": 3}}, "targets"),
        ({"targets": [{"start": 3.0, "end": 3.0}]}, "targets"),
        ({"targets": [{"start": 3.0, "end": 2.0}]}, "targets"),
        ({"query": {"kind": "clip", "video": "q", "start": 1}}, r"query\.end"),
        ({"query": {"kind": "sound"}}, r"query\.kind"),
        ({"query": {"kind": "image", "video": "q", "time": "soon"}}, r"query\.time: found text; expected a number"),
        ({"grid": {"step": 1.0, "video": [0, 10], "targets": []}}, r"grid\.targets"),
        ({"grid": {"step": 0.0, "video": [0, 10], "targets": [[2, 3]]}}, r"grid\.step"),
        ({"grid": {"step": 1.0, "video": [0, 10], "targets": [[3, 3]]}}, r"grid\.targets"),
        ({"grid": {"step": 1.0, "video": [0, 10], "targets": [[3, 11]]}}, r"grid\.targets"),
        ({"ignore": [{"start": 4, "end": 1}]}, r"ignore"),
        ({"id": 7}, "id: found a whole number; expected text"),
    ],
)
def test_a_faulty_sample_is_located(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    folder = tiny.by_hand(tmp_path / "m", [row(), row(id="b", **changes) if "id" not in changes else row(**changes)])
    with pytest.raises(InputError, match=rf"test\.jsonl.*{said}"):
        manifest.load(folder).samples("test")


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_a_number_that_is_none_is_no_number(tmp_path: Path, number: bytes) -> None:
    text = json.dumps(row()).encode().replace(b"3.5", number) + b"\n"
    with pytest.raises(InputError, match=r"test\.jsonl:1"):
        manifest.load(tiny.by_hand(tmp_path / "m", text)).samples("test")


def test_two_samples_with_one_id(tmp_path: Path) -> None:
    opened = manifest.load(tiny.by_hand(tmp_path / "m", [row(), row()]))
    with pytest.raises(InputError, match=r"test\.jsonl: id: two samples share an id; found 'a'"):
        opened.samples("test")
    with pytest.raises(InputError, match="share an id"):
        read_moments(opened, "test").index  # noqa: B018


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"targets": []}, "targets"),
        ({"targets": [{"start": 3.0, "end": 3.0}]}, "targets"),
        ({"video": {"id": "v", "start": 5, "end": 5}}, "video"),
        ({"grid": {"step": 0.0, "video": [0, 10], "targets": [[2, 3]]}}, r"grid\.step"),
        ({"grid": {"step": 1.0, "video": [0, 10], "targets": [[3, 3]]}}, r"grid\.targets"),
    ],
)
def test_what_cannot_be_scored(tmp_path: Path, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=rf"test\.jsonl:2: {field}"):
        read_moments(manifest.load(tiny.by_hand(tmp_path / "m", [row(), row(id="b", **changes)])), "test")


@pytest.mark.parametrize("version", [0, 2, "1", None, 1.5])
def test_another_format_is_said_to_be_one(tmp_path: Path, version: object) -> None:
    with pytest.raises(InputError, match=r"manifest\.json: format: a manifest of another format.*expected 1"):
        manifest.load(tiny.by_hand(tmp_path / "m", [row()], format=version))


@pytest.mark.parametrize(
    "name",
    ["../test.jsonl", "/etc/passwd", "a/b.jsonl", "..", "", "test.jsonl\n", "test.txt", "a\\b.jsonl", "\0.jsonl"],
)
def test_a_split_is_a_plain_name_in_the_folder(tmp_path: Path, name: str) -> None:
    folder = tiny.by_hand(tmp_path / "m", [row()])
    page = json.loads((folder / "manifest.json").read_text())
    page["splits"]["test"]["file"] = name
    (folder / "manifest.json").write_text(json.dumps(page))
    with pytest.raises(InputError, match=r"splits\.test\.file"):
        manifest.load(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "an empty manifest"), (b" \n", "an empty manifest"), (b"{", "not valid JSON"), (b"[]", "a list"),
        (b"\xff\xfe{}", "UTF-8|not valid JSON"), (b'{"format": 1}', "name"), (b"[" * 100_000, "manifest.json"),
        (b'{"format": 1, "name": "\xff"}', "manifest.json"), (b"null", "manifest.json"),
    ],
)  # fmt: skip
def test_what_is_no_manifest(tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / "manifest.json").write_bytes(text)
    with pytest.raises(InputError, match=said) as caught:
        manifest.load(tmp_path)
    assert "manifest.json" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"digest": "sha256:00"}, "digest"), ({"splits": {}}, "samples|digest"), ({"task": "poetry"}, "task"),
        ({"nmae": "x"}, "nmae"), ({"name": 3}, "name"),
    ],
)  # fmt: skip
def test_a_manifest_that_contradicts_itself(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=rf"manifest\.json.*({said})"):
        manifest.load(tiny.by_hand(tmp_path / "m", [row()], **changes))


def test_a_wrong_count_is_seen(tmp_path: Path) -> None:
    folder = tiny.by_hand(tmp_path / "m", [row()])
    page = json.loads((folder / "manifest.json").read_text())
    page["splits"]["test"]["samples"] = 2
    (folder / "manifest.json").write_text(json.dumps(page))
    with pytest.raises(InputError, match=r"test\.jsonl: wrong count of samples; found 1; expected 2"):
        manifest.load(folder).samples("test")


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        manifest.load(tmp_path / "nowhere")
    tiny.write(tmp_path / "m")
    (tmp_path / "m" / "test.jsonl").unlink()
    with pytest.raises(InputError, match=r"test\.jsonl"):
        manifest.load(tmp_path / "m").samples("test")
    with pytest.raises(InputError, match="Did you mean 'test'"):
        manifest.load(tmp_path / "m").samples("tset")


# ---- all or nothing -------------------------------------------------------------------------------------------------


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    tiny.write(tmp_path / "m")
    before = {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir()}
    with pytest.raises(InputError, match="--force"):
        tiny.write(tmp_path / "m", test=tiny.TEST[:1])
    assert {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir()} == before
    made = tiny.write(tmp_path / "m", train=(), test=tiny.TEST[:1], force=True)
    assert made.splits.keys() == {"test"}
    assert not (tmp_path / "m" / "train.jsonl").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_force_deletes_manifests_only(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(InputError, match="not ours"):
        tiny.write(tmp_path / "thesis", force=True)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="this is a file"):
        tiny.write(tmp_path / "file", force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "thesis"]


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt(), InputError("no"), OSError(28, "full")])
def test_a_builder_that_fails_midway_leaves_nothing(tmp_path: Path, error: BaseException, force: bool) -> None:
    if force:
        digest = tiny.write(tmp_path / "m").digest

    def samples() -> Iterator[tuple[str, Sample]]:
        yield "test", tiny.TEST[0]
        raise error

    with pytest.raises(WorkError if isinstance(error, OSError) else type(error)):
        manifest.write(tmp_path / "m", tiny.built(samples()), {}, (), lambda page: "", force=force)
    assert [path.name for path in tmp_path.iterdir()] == (["m"] if force else [])
    if force:
        assert manifest.load(tmp_path / "m").digest == digest


def test_no_sample_at_all_is_an_error_and_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sample"):
        tiny.write(tmp_path / "m", train=(), test=())
    assert not list(tmp_path.iterdir())


def test_a_builder_may_not_repeat_an_id(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="twice"):
        tiny.write(tmp_path / "m", test=tiny.TEST + tiny.TEST[:1])
    assert not list(tmp_path.iterdir())


def test_a_number_that_json_lacks_is_not_written() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        canonical.page({"x": math.nan})

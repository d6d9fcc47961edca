"""validate: every fault of a file of predictions is counted by kind, the first ten are located, and doubts are said."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from activity_bench.data import predictions
from activity_bench.data.truth import read_moments
from activity_bench.errors import InputError
from activity_bench.workflow.validate import FaultyError, validate
from tests import tiny
from tests.data import detections
from tests.data.detections import PLAIN, ROWS, Row, as_csv, ours, results

pytestmark = pytest.mark.quick

IDS = [sample.id for sample in tiny.TEST]  # windows of 5.3, 13.3 - 2.7, 60 and endless seconds
GOOD = {"sample": IDS[2], "segments": [[1, 2, 0.5]]}


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("moments") / "m").folder


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return detections.detection(tmp_path_factory.mktemp("videos") / "m").folder


FAULTY = [
    {"method": {"name": "mine"}},
    {"sample": IDS[0], "segments": [[2, 1, 1], [0, 1, 1], [3, 3, 1], [1, 99, 1]]},
    '{"sample": ',
    {"sample": "test/v2/0-10/1", "segments": []},
    {"sample": IDS[0], "segments": []},
    {"sample": IDS[1], "segmnts": []},
    {"sample": IDS[1], "segments": [["3", 4, 1]]},
    GOOD,
]


def test_every_fault_is_counted(tmp_path: Path, moments: Path) -> None:
    path = tiny.answers(tmp_path / "p.jsonl", FAULTY)
    with pytest.raises(FaultyError, match=r"p\.jsonl: 8 faults") as caught:
        validate(path, moments, "test")
    assert caught.value.kinds == {
        "a reversed or empty segment": 2,
        "a segment outside its sample's window": 1,
        "not valid JSON: Input data was truncated": 1,
        "unknown sample": 1,
        "a sample answered twice": 1,
        "a line without segments": 1,
        "found text; expected a number": 1,
    }
    where = [re.sub(r"^.*p\.jsonl:", "", str(error)).split(": ")[0:2] for error in caught.value.first]
    lines = [int(line) for line, _ in where]
    assert lines == sorted(lines) == [2, 2, 2, 3, 4, 5, 6, 7]
    assert {field for line, field in where if line == "2"} == {"segments[0]", "segments[2]", "segments[3]"}


def test_the_command_lists_them(tmp_path: Path, invoke: Callable[..., Any], moments: Path) -> None:
    path = tiny.answers(tmp_path / "p.jsonl", FAULTY)
    told = invoke("validate", path, "--manifest", moments, "--split", "test", code=2)
    assert told.err == f"error: {path}: 8 faults\n"
    assert told.out.splitlines()[0] == "2 x a reversed or empty segment"
    assert sum(line.startswith(f"{path}:") for line in told.out.splitlines()) == 8


def test_ten_are_located_and_all_are_counted(tmp_path: Path, invoke: Callable[..., Any], videos: Path) -> None:
    rows: list[Row] = [("a", 5.0, 1.0, 1.0, "Diving")] * 30_000 + [("zz", 1.0, 2.0, 1.0, "Divng")] * 20
    (tmp_path / "p.csv").write_text(as_csv(rows))
    told = invoke("validate", tmp_path / "p.csv", "--manifest", videos, "--split", "test", code=2)
    kinds = ["30,000 x a reversed or empty segment", "1 x unknown video"]
    assert told.out.splitlines()[:2] == kinds
    assert len(told.out.splitlines()) == 2 + 10
    (tmp_path / "p.json").write_text(json.dumps({"results": results(rows)}))
    told = invoke("validate", tmp_path / "p.json", "--manifest", videos, "--split", "test", code=2)
    assert told.out.splitlines()[:2] == kinds


def test_score_stops_where_validate_goes_on(tmp_path: Path, invoke: Callable[..., Any], moments: Path) -> None:
    path = tiny.answers(tmp_path / "p.jsonl", FAULTY)
    told = invoke("score", path, "--manifest", moments, "--split", "test", "--json", tmp_path / "j", code=2)
    assert re.match(rf"error: {re.escape(str(path))}:[2-7]: ", told.err)
    assert not (tmp_path / "j").exists()


def test_what_is_sound_is_what_score_takes(tmp_path: Path, moments: Path) -> None:
    """The answers that a check leaves are those of the file without its faulty lines."""
    truth = read_moments(tiny.manifest.load(moments), "test")
    found, faults = predictions.survey(tiny.answers(tmp_path / "p", FAULTY), truth, "")
    alone = predictions.read(tiny.answers(tmp_path / "q", [tiny.answer(IDS[0], [0, 1, 1]), GOOD]), truth, "")
    assert found is not None
    for name in ("sample", "start", "end", "score"):
        assert getattr(found, name).tolist() == getattr(alone, name).tolist()
    assert found.header.method == {"name": "mine"}
    assert faults.segments == 5


@pytest.mark.parametrize(("many", "one"), [(FAULTY, 2), (["x", "y"], 1), ([{"sample": 3}, {}], 1)])
def test_the_first_fault_is_the_one_that_stops(tmp_path: Path, moments: Path, many: list[Any], one: int) -> None:
    path = tiny.answers(tmp_path / "p", many)
    with pytest.raises(FaultyError) as every:
        validate(path, moments, "test")
    with pytest.raises(InputError) as first:
        predictions.read(path, read_moments(tiny.manifest.load(moments), "test"), "")
    assert any(str(error).partition(". Formats")[0] in str(first.value) for error in every.value.first)
    assert every.value.first[0].line == one


# ---- doubts ---------------------------------------------------------------------------------------------------------


def doubts(tmp_path: Path, folder: Path, text: str) -> str:
    (tmp_path / "p").write_text(text)
    try:
        return "\n".join(validate(tmp_path / "p", folder, "test"))
    except FaultyError as error:
        return "\n".join(error.lines())


def test_times_in_frames(tmp_path: Path, videos: Path) -> None:
    frames: list[Row] = [(v, 1000 * start, 1000 * end, score, label) for v, start, end, score, label in ROWS]
    said = doubts(tmp_path, videos, as_csv(frames))
    assert "warning: 3 of 3 segments end past their windows, and every time is a whole number: times are in sec" in said
    assert "past their windows: times" in doubts(
        tmp_path, videos, as_csv([(v, s, e + 90.5, *r) for v, s, e, *r in ROWS])
    )
    assert "past their windows" not in doubts(tmp_path, videos, as_csv(ROWS))


def test_the_same_everywhere(tmp_path: Path, videos: Path) -> None:
    same: list[Row] = [("a", start, start + 1, 0.5, "Diving") for start in (1.0, 3.0, 5.0)]
    assert "warning: every segment has the same score" in doubts(tmp_path, videos, as_csv(same))
    assert "same score" not in doubts(tmp_path, videos, as_csv(ROWS))
    samples = [tiny.in_seconds(f"test/{i}", (0.0, 50.0 + i), (1.0, 2.0)) for i in range(5)]
    folder = tiny.write(tmp_path / "m", train=(), test=samples).folder
    lines = "".join(json.dumps(tiny.answer(f"test/{i}", [1, 9, 0.1 * i], [1, 9, 0.2])) + "\n" for i in range(5))
    said = doubts(tmp_path, folder, lines)
    assert "warning: every segment is [1.0, 9.0], whatever its video" in said
    assert "warning: every sample has 2 segments: the file may have been cut at that number" in said
    lines = "".join(json.dumps(tiny.answer(f"test/{i}", [i, 9, 0.1 * i])) + "\n" for i in range(5))
    assert "warning" not in doubts(tmp_path, folder, lines)


def test_what_is_not_answered(tmp_path: Path, moments: Path) -> None:
    said = doubts(tmp_path, moments, json.dumps(GOOD))
    assert said.splitlines() == ["p: 1 of 4 samples answered", "warning: 3 of 4 samples have no answer and count as 0"]
    assert doubts(tmp_path, moments, "").splitlines()[0] == "p: 0 of 4 samples answered"


# ---- formats and attacks --------------------------------------------------------------------------------------------


def test_the_format_is_seen_or_told(tmp_path: Path, invoke: Callable[..., Any], videos: Path) -> None:
    asked = ["--manifest", videos, "--split", "test"]
    (tmp_path / "p").write_text(json.dumps(PLAIN))
    assert "2 of 3 samples answered" in invoke("validate", tmp_path / "p", *asked, "--format", "activitynet").out
    told = invoke("validate", tmp_path / "p", *asked, "--format", "ours", code=2)
    assert "neither an answer nor a header" in told.err
    told = invoke("validate", tmp_path / "p", *asked, "--format", "cvs", code=2)
    assert "unknown format; found 'cvs'. Did you mean 'csv'" in told.err


ATTACKS: dict[str, tuple[bytes, str]] = {
    "deep nesting": (b'{"results": ' + b'{"a":' * 100_000, "error: .*p: "),
    "deep lists": (b'{"results": {"a": ' + b"[" * 200_000, "error: .*p: "),
    "a number of 5,000 digits": (json.dumps({"results": PLAIN}).encode().replace(b"2.5", b"9" * 5000), "error: .*p: "),
    "1e400": (json.dumps({"results": PLAIN}).encode().replace(b"2.5", b"1e400"), r"a\[0\]\.segment: .* not a finite"),
    "NaN": (json.dumps({"results": PLAIN}).encode().replace(b"2.5", b"NaN"), r"a\[0\]\.segment: .* not a finite"),
    "binary": (bytes(range(256)) * 4, "not valid JSON|UTF-8"),
    "UTF-16": (json.dumps(PLAIN).encode("utf-16"), "UTF-16 text; expected UTF-8"),
    "Latin-1": (json.dumps(PLAIN).replace("Diving", "Caf\xe9").encode("latin-1"), "not UTF-8|not valid JSON"),
    "an id with a newline": (json.dumps({"results": {"a\nerror: b": PLAIN["a"]}}).encode(), r"a\\nerror: b: unknown"),
    "an escape": (json.dumps({"results": {"\x1b[2J": PLAIN["a"]}}).encode(), r"results\.\\x1b\[2J: unknown video"),
    "a formula": (as_csv(ROWS).replace("LongJump", "=cmd()").encode(), r"label: unknown class; found '=cmd\(\)'"),
    "a flood": (json.dumps({"results": {"x" * 100_000: PLAIN["a"]}}).encode(), "unknown video"),
    "a field of a megabyte": (as_csv(ROWS).replace("LongJump", "x" * (1 << 20)).encode(), "not CSV: field larger"),
}


@pytest.mark.parametrize("command", ["validate", "score"])
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack(tmp_path: Path, invoke: Callable[..., Any], videos: Path, name: str, command: str) -> None:
    data, said = ATTACKS[name]
    (tmp_path / "p").write_bytes(data)
    told = invoke(command, tmp_path / "p", "--manifest", videos, "--split", "test", code=2)
    assert re.search(said, told.err + told.out), told.err[-500:]
    assert all(line.isprintable() and len(line) < 1500 for line in (told.err + told.out).splitlines())


@pytest.mark.parametrize("name", ["page", "lines"])
def test_a_gzip_file_that_is_cut_or_a_bomb(tmp_path: Path, invoke: Callable[..., Any], videos: Path, name: str) -> None:
    text = {"page": json.dumps({"results": PLAIN}), "lines": ours(ROWS)}[name].encode()
    asked = ["--manifest", videos, "--split", "test"]
    (tmp_path / "p.gz").write_bytes(gzip.compress(text)[:-9])
    assert "not a whole gzip file" in invoke("validate", tmp_path / "p.gz", *asked, code=2).err
    block = gzip.compress((b" " * 65_535 + b"\n") * 256, 9)
    (tmp_path / "p.gz").write_bytes(gzip.compress(text.strip() + b"\n") + block * 20)  # 336 MB in 0.3
    assert "expands beyond belief" in invoke("validate", tmp_path / "p.gz", *asked, code=2).err


def test_a_protocol_says_what_a_foreign_file_may_hold(tmp_path: Path, videos: Path, invoke: Callable[..., Any]) -> None:
    page = results([*ROWS, ("stranger", 0.0, 1.0, 0.5, "Diving"), ("a", 2.0, 2.0, 0.5, "Diving")])
    (tmp_path / "p.json").write_text(json.dumps({"results": page}))
    call = ["validate", tmp_path / "p.json", "--manifest", videos, "--split", "test"]
    assert "unknown video" in invoke(*call, code=2).out
    told = invoke(*call, "--protocol", "activitynet").out
    assert "a video that the truth does not know: counted as wrong: 1" in told
    assert "a reversed or empty segment: kept: 1" in told
    assert "dropped: 1" in invoke(*call, "--protocol", "wtalc").out
    assert "Did you mean 'activitynet'" in invoke(*call, "--protocol", "activtynet", code=2).err
    assert "scores moment manifests" in invoke(*call, "--protocol", "moments", code=2).err
    assert "--protocol" in invoke("validate", videos, "--protocol", "activitynet", code=2).err

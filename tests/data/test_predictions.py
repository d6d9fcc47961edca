"""Predictions: every shape that is allowed, and every fault located by file, line and field."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.data import lines, predictions
from activity_bench.data.manifest import Manifest
from activity_bench.data.predictions import Answers
from activity_bench.data.truth import Moments, read_moments
from activity_bench.errors import InputError
from activity_bench.types import Prediction
from tests import tiny

pytestmark = pytest.mark.quick

IDS = [sample.id for sample in tiny.TEST]
GOOD = [tiny.answer(IDS[0], [0, 2, 0.9]), tiny.answer(IDS[1], [3, 4, 1], [2.7, 13.3, -2e5]), tiny.answer(IDS[2])]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return tiny.write(tmp_path_factory.mktemp("manifest") / "m")


@pytest.fixture(scope="module")
def truth(made: Manifest) -> Moments:
    return read_moments(made, "test")


@pytest.fixture(scope="module")
def read(made: Manifest, truth: Moments) -> Callable[[Path], Answers]:
    return lambda path: predictions.read(path, truth, made.digest)


def rows_of(answers: Answers) -> list[tuple[Any, ...]]:
    columns = (answers.sample, answers.start, answers.end, answers.score)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


EXPECTED = [(0, 0.0, 2.0, 0.9), (1, 2.7, 13.3, -2e5), (1, 3.0, 4.0, 1.0)]


@pytest.mark.parametrize("block", [1, 40, 1 << 20])
@pytest.mark.parametrize(
    "rows",
    [
        GOOD,
        GOOD[::-1],
        [{"method": {"name": "x"}}, *GOOD],
        [{"manifest": {"name": "m"}}, *GOOD],
        ["", "  ", {"method": {}}, "", *GOOD, "\r", ""],
        [{**row, "labels": ["a"], "note": {"anything": [1, {}]}} for row in GOOD],
        [json.dumps(row, indent=None, separators=(" , ", " : ")) + "  \r" for row in GOOD],
    ],
)
def test_what_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], Answers], rows: list[Any], block: int
) -> None:
    monkeypatch.setattr(lines, "BLOCK", block)
    if block == 1 and rows[0] == "":
        return  # a header stands in the first block; a megabyte of blank lines before it is nobody's file
    assert rows_of(read(tiny.answers(tmp_path / "p.jsonl", rows))) == EXPECTED


def test_a_last_line_without_its_end(tmp_path: Path, read: Callable[[Path], Answers]) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes("\n".join(json.dumps(row) for row in GOOD).encode())
    assert rows_of(read(path)) == EXPECTED


@pytest.mark.parametrize("text", [b"", b"\n", b'{"method": {"name": "nobody"}}\n'])
def test_no_answer_is_an_answer(tmp_path: Path, read: Callable[[Path], Answers], text: bytes) -> None:
    (tmp_path / "p.jsonl").write_bytes(text)
    answers = read(tmp_path / "p.jsonl")
    assert rows_of(answers) == []
    assert answers.sha256 == hashlib.sha256(text).hexdigest()


def test_gzip(tmp_path: Path, read: Callable[[Path], Answers]) -> None:
    text = tiny.answers(tmp_path / "p.jsonl", GOOD).read_bytes()
    (tmp_path / "p.jsonl.gz").write_bytes(gzip.compress(text[:50]) + gzip.compress(text[50:]))  # as `cat a.gz b.gz`
    answers = read(tmp_path / "p.jsonl.gz")
    assert rows_of(answers) == EXPECTED
    assert answers.file == "p.jsonl.gz"


def test_standard_input(cli: Callable[..., Any], made: Manifest) -> None:
    text = "".join(json.dumps(row) + "\n" for row in GOOD)
    told = cli("score", "-", "--manifest", made.folder, "--split", "test", input=text)
    assert "2 of 4 answered" in told.stderr
    told = cli("score", "-", "--manifest", made.folder, "--split", "test", input=text + "{\n", code=2)
    assert told.stderr.startswith("error: -:4: not valid JSON")


@given(st.lists(st.tuples(st.floats(0, 4.9), st.floats(0.1, 0.4), st.floats(-1e9, 1e9)), max_size=4))
def test_what_is_written_is_what_is_read(truth: Moments, tmp_path_factory: Any, segments: list[Any]) -> None:
    path = tmp_path_factory.mktemp("p") / "p.jsonl"
    given_ = tuple((start, start + length, score) for start, length, score in segments)
    stream = io.BytesIO()
    assert predictions.write(stream, [Prediction(IDS[0], given_)], {"method": {"name": "é"}}) == 1
    path.write_bytes(stream.getvalue())
    answers = predictions.read(path, truth, "")
    assert rows_of(answers) == sorted((0, *segment) for segment in given_)
    assert answers.header.method == {"name": "é"}


def test_a_microsecond_past_the_window_is_rounding(tmp_path: Path, read: Callable[[Path], Answers]) -> None:
    read(tiny.answers(tmp_path / "p.jsonl", [tiny.answer(IDS[1], [2.666666, 13.333334, 1])]))
    with pytest.raises(InputError, match="outside"):
        read(tiny.answers(tmp_path / "p.jsonl", [tiny.answer(IDS[1], [2.66666, 13.3, 1])]))


def test_a_window_without_an_end_has_room(tmp_path: Path, read: Callable[[Path], Answers]) -> None:
    assert len(read(tiny.answers(tmp_path / "p.jsonl", [tiny.answer(IDS[3], [0, 1e6, 1])])).start) == 1


def line(segments: str, sample: str = IDS[0]) -> str:
    return f'{{"sample": "{sample}", "segments": {segments}}}'


FAULTS = {
    "nan": (line("[[0, NaN, 1]]"), "", "not valid JSON"),
    "infinity": (line("[[0, Infinity, 1]]"), "", "not valid JSON"),
    "minus infinity": (line("[[-Infinity, 1, 1]]"), "", "not valid JSON"),
    "nan score": (line("[[0, 1, NaN]]"), "", "not valid JSON"),
    "too large": (line("[[0, 1e999, 1]]"), r"segments\[", "out of range"),
    "reversed": (line("[[0, 1, 1], [2, 1, 1]]"), r"segments\[1\]", "reversed or empty"),
    "empty": (line("[[1, 1, 1]]"), r"segments\[0\]", "reversed or empty"),
    "negative": (line("[[-1, 1, 1]]"), r"segments\[0\]", "outside its sample's window"),
    "past the end": (line("[[1, 2, 1], [1, 6, 1]]"), r"segments\[1\]", r"outside .*\[0\.0, 5\.333333\]"),
    "unknown": (line("[]", "test/v9/0-10/0"), "sample", r"Did you mean 'test/v\d/0-10/0'"),
    "unknown, unlike any": (line("[]", "x"), "sample", "unknown sample; found 'x'"),
    "no sample": ('{"segments": []}', "sample", "a line without"),
    "no segments": (f'{{"sample": "{IDS[0]}"}}', "segments", "a line without"),
    "misspelt segments": (f'{{"sample": "{IDS[0]}", "segmnts": []}}', "segments", "a line without"),
    "null segments": (line("null"), "segments", "a line without"),
    "text for a number": (line('[["0", 1, 1]]'), "segments", "text.*number"),
    "a flag for a number": (line("[[true, 1, 1]]"), "segments", "number"),
    "number for a sample": ('{"sample": 3, "segments": []}', "sample", "whole number.*text"),
    "no score": (line("[[0, 1]]"), "segments", "3"),
    "four numbers": (line("[[0, 1, 1, 1]]"), "segments", "3"),
    "flat segments": (line("[0, 1, 1]"), "segments", "list"),
    "a list": ("[1, 2]", "", "list.*object"),
    "not JSON": ("start,end", "", "not valid JSON"),
    "cut": ('{"sample": "tes', "", "not valid JSON"),
    "two on a line": (line("[]") + line("[]", IDS[1]), "", "not valid JSON"),
    "one on two lines": (line("[]").replace(", ", ",\n"), "", "not valid JSON"),
    "not UTF-8": (b'{"sample": "\xff", "segments": []}', "", "UTF-8|not valid JSON"),
    "a null byte": (b"\0", "", "not valid JSON"),
    "nested": ('{"sample": ' + "[" * 100_000 + "]" * 100_000 + "}", "sample", ""),
    "nested, in what is ignored": (line("[]")[:-1] + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}", "", ""),
    "a second header": ('{"method": {"name": "x"}}', "sample", "a line without"),
}


@pytest.mark.parametrize("block", [1, 60, 1 << 20])
@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_has_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], Answers], name: str, block: int
) -> None:
    monkeypatch.setattr(lines, "BLOCK", block)
    fault, field, said = FAULTS[name]
    rows = [{"method": {"name": "x"}}, "", GOOD[1], GOOD[2], fault]
    with pytest.raises(InputError, match=f"(?i){said}") as caught:
        read(tiny.answers(tmp_path / "p.jsonl", rows))
    text = str(caught.value)
    assert text.startswith(f"{tmp_path}/p.jsonl:5: "), text
    assert len(text.splitlines()) == 1
    if field:
        assert re.match(rf".*p\.jsonl:5: {field}", text), text


@pytest.mark.parametrize("block", [1, 150, 1 << 20])
@pytest.mark.parametrize("between", [0, 1, 2])
def test_an_answer_may_stand_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], Answers], between: int, block: int
) -> None:
    monkeypatch.setattr(lines, "BLOCK", block)
    rows = ["", GOOD[0], *GOOD[1 : 1 + between], "", GOOD[0]]
    with pytest.raises(InputError, match=rf"p\.jsonl:{len(rows)}: sample: a sample answered twice"):
        read(tiny.answers(tmp_path / "p.jsonl", rows))


def test_an_unanswered_line_counts_as_one_too(tmp_path: Path, read: Callable[[Path], Answers]) -> None:
    with pytest.raises(InputError, match=r":2: sample: a sample answered twice"):
        read(tiny.answers(tmp_path / "p.jsonl", [GOOD[2], GOOD[2]]))


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"manifest": {"digest": "sha256:0000"}}, r"p\.jsonl:1: manifest\.digest: .*another manifest"),
        ({"manifest": "m"}, r"p\.jsonl:1: manifest: found text; expected an object"),
        ({"method": []}, r"p\.jsonl:1: method: found a list; expected an object"),
        ({"smaple": IDS[0], "segments": []}, r"p\.jsonl:1: smaple: neither an answer nor a header"),
        ({}, r"p\.jsonl:1: neither an answer nor a header"),
        (b'{"\xe9": 1}', r"p\.jsonl:1: not UTF-8"),
        (b'{"method": {"name": "\xe9"}}', r"p\.jsonl:1: not UTF-8"),
        (b'{"method": {"name": ' + b"[" * 90_000 + b"]" * 90_000 + b"}}", r"p\.jsonl:1: "),
    ],
)
def test_a_faulty_header(tmp_path: Path, read: Callable[[Path], Answers], header: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(tiny.answers(tmp_path / "p.jsonl", [header, *GOOD]))


def test_predictions_for_this_manifest(tmp_path: Path, made: Manifest, read: Callable[[Path], Answers]) -> None:
    header = {"manifest": {"digest": made.digest}, "method": {"name": "x"}}
    assert read(tiny.answers(tmp_path / "p.jsonl", [header, *GOOD])).header.method == {"name": "x"}


def test_a_gzip_file_that_is_none_or_not_whole(tmp_path: Path, read: Callable[[Path], Answers]) -> None:
    path = tmp_path / "p.jsonl.gz"
    whole = gzip.compress(tiny.answers(tmp_path / "p.jsonl", GOOD).read_bytes())
    for text in (b"plain", whole[: len(whole) // 2], whole[:-4], whole[:20] + b"\0" + whole[21:]):
        path.write_bytes(text)
        with pytest.raises(InputError, match=r"p\.jsonl\.gz.*(gzip|JSON)"):
            read(path)


def test_a_gzip_file_that_would_fill_the_memory(tmp_path: Path, read: Callable[[Path], Answers]) -> None:
    path = tmp_path / "p.jsonl.gz"
    path.write_bytes(gzip.compress((b" " * 65_535 + b"\n") * 256, 9) * 20)  # 336 MB in 0.3
    with pytest.raises(InputError, match=r"p\.jsonl\.gz: this gzip file expands beyond belief"):
        read(path)


@pytest.mark.parametrize("name", ["nowhere.jsonl", "p.jsnol", "\0", "x" * 300])
def test_no_such_file(tmp_path: Path, read: Callable[[Path], Answers], name: str) -> None:
    tiny.answers(tmp_path / "p.jsonl", GOOD)
    with pytest.raises(InputError, match=r"Did you mean .*p\.jsonl" if name == "p.jsnol" else "no such|name"):
        read(tmp_path / name)
    with pytest.raises(InputError, match="folder"):
        read(tmp_path)


def test_many_lines_are_located_too(tmp_path: Path) -> None:
    """A file of several real blocks, and its last line wrong."""
    samples = [tiny.in_seconds(f"test/v{i}/0-9/0", (0.0, 9.0), (1.0, 2.0)) for i in range(30_000)]
    made = tiny.write(tmp_path / "m", train=(), test=samples)
    truth = read_moments(made, "test")
    rows = [f'{{"sample":"{sample.id}","segments":[[1.25,2.75,0.5]]}}' for sample in samples]
    good = predictions.read(tiny.answers(tmp_path / "p.jsonl", rows[::-1]), truth, made.digest)
    assert np.array_equal(good.sample, np.arange(30_000)[::-1])
    rows[-1] = rows[-1].replace("2.75", "9.75")
    assert sum(map(len, rows)) > lines.BLOCK
    with pytest.raises(InputError, match=r"p\.jsonl:30000: segments\[0\]: .*outside"):
        predictions.read(tiny.answers(tmp_path / "p.jsonl", rows), truth, made.digest)

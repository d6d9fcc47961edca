"""Reports and their rows come back as they were written; a leaderboard's CSV runs nothing in a spreadsheet."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import resource
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.data.board import cell, write_csv
from activity_bench.data.reports import Asked, Report, now, read_report, read_rows, write_page, write_report
from activity_bench.errors import InputError, WorkError

pytestmark = pytest.mark.quick


def report(**changes: Any) -> Report:
    plain: dict[str, Any] = {
        "manifest": Asked("m", "1", "test", "sha256:00"), "predictions": {"file": "p.jsonl", "sha256": "00"},
        "method": {"name": "x"}, "protocol": "moments", "scorer": {"rules": 1}, "asked": 3, "answered": 2,
        "metrics": {"mIoU": 0.1 + 0.2}, "intervals": {"mIoU": (1 / 3, 2 / 3)},
    }  # fmt: skip
    return Report(**{**plain, **changes})


def test_a_report_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    write_page(tmp_path / "r.json", report())
    assert read_report(tmp_path / "r.json") == report()
    assert json.loads((tmp_path / "r.json").read_bytes())["metrics"]["mIoU"] == 0.30000000000000004


def test_a_report_of_the_first_version_still_loads(tmp_path: Path) -> None:
    """The keys that `docs/formats.md` promises, and no others."""
    first = {
        "format": 1, "manifest": {"name": "m", "version": "1", "split": "test", "digest": "sha256:00"},
        "predictions": {"file": "p", "sha256": "0"}, "method": {}, "protocol": "moments", "scorer": {"rules": 1},
        "asked": 1, "answered": 0, "metrics": {"mIoU": 0},
    }  # fmt: skip
    (tmp_path / "r.json").write_text(json.dumps(first))
    assert read_report(tmp_path / "r.json").intervals == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "another format"), ({"asked": 0, "answered": 0}, "contradicts"),
        ({"answered": 4}, "contradicts"),
        ({"answered": -1}, "contradicts"), ({"metrics": {"mIoU": "high"}}, r"metrics.*text"), ({"asked": "3"}, "asked"),
        ({"manifest": None}, "manifest"), ({"metrics": {}}, "without a score"),
        ({"metrics": {"mIoU": 0.5, "mIoU_low": 0.5}}, "cannot have this name"),
        ({"metrics": {"protocol": 0.5}}, "cannot have this name"), ({"metrics": {"": 0.5}}, "cannot have this name"),
        ({"intervals": {"mIoU": [0.5, 0.4]}}, r"intervals\.mIoU"), ({"intervals": {"mIoU": [0, 2]}}, "not an interval"),
    ],
)  # fmt: skip
def test_a_report_that_is_none(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    write_page(tmp_path / "r.json", report())
    page = json.loads((tmp_path / "r.json").read_bytes()) | change
    (tmp_path / "r.json").write_text(json.dumps(page))
    with pytest.raises(InputError, match=rf"r\.json: .*{said}"):
        read_report(tmp_path / "r.json")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b'{"metrics": {"mIoU": NaN}}'])
def test_what_is_no_report(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "r.json").write_bytes(text)
    with pytest.raises(InputError, match=r"r\.json"):
        read_report(tmp_path / "r.json")


def test_the_date_of_a_build_that_must_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert now() == "1970-01-02T00:00:00Z"
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert now() == "1970-01-02T00:00:00Z"


@given(st.text(max_size=8), st.text(st.sampled_from(" \t\r\n\v\f\0  =+-@|a"), max_size=4))
def test_no_text_is_a_formula(text: str, before: str) -> None:
    """A spreadsheet trims, then looks at the first character (OWASP, CSV injection)."""
    found = str(cell(before + text))
    assert found.lstrip()[:1] not in ("=", "+", "-", "@")
    assert found.isprintable()
    if (before + text).isprintable():
        assert found in (before + text, "'" + before + text)


@pytest.mark.parametrize(("value", "found"), [(None, ""), (-1.5, -1.5), (3, 3), (0.1 + 0.2, 0.1 + 0.2), ("a", "a")])
def test_cells(value: object, found: object) -> None:
    assert cell(value) == found


def test_a_csv_file_has_every_row(tmp_path: Path) -> None:
    rows = [
        {"a": 'quo"te', "b": 0.1 + 0.2},
        {"a": "line\nbreak, comma", "c": "lost"},
        {"b": None, "a": "é"},
        {"a": "a\r=1"},
    ]
    write_csv(tmp_path / "t.csv", ["a", "b"], rows)
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as stream:
        found = list(csv.reader(stream))
    assert found == [
        ["a", "b"],
        ['quo"te', "0.30000000000000004"],
        ["line\\nbreak, comma", ""],
        ["é", ""],
        ["a\\r=1", ""],
    ]


# ---- rows -----------------------------------------------------------------------------------------------------------

MOMENT = {"iou": np.array([0.0, 1 / 3, 1.0]), "video": np.array([0, 1, 1])}
DETECTION = {
    "sample": np.array([0, 2, -1, 1]), "label": np.array([0, 0, 0, 1]), "truth": np.array([[0, -1, -1, 1]] * 2),
    "counted": np.ones((2, 4), bool), "truth_sample": np.array([0, 1]), "truth_label": np.array([0, 1]),
    "samples": np.array(3), "classes": np.array(2),
}  # fmt: skip


def detections() -> Report:
    return report(manifest=Asked("m", "1", "test", "sha256:00", "detection"))


@pytest.mark.parametrize(("made", "rows"), [(report(), MOMENT), (detections(), DETECTION)])
def test_rows_come_back_to_the_last_bit(tmp_path: Path, made: Report, rows: dict[str, Any]) -> None:
    write_report(tmp_path / "r.json", made, rows)
    read = read_report(tmp_path / "r.json")
    assert read.rows is not None and read.rows["file"] == "r.rows.npz"
    found = read_rows(tmp_path / "r.json", read)
    assert sorted(found) == sorted(rows)
    for name, values in rows.items():
        assert np.array_equal(found[name], values) and found[name].dtype == values.dtype
    with np.load(tmp_path / "r.rows.npz", allow_pickle=False) as plain:  # anybody can read it
        assert sorted(plain) == sorted(rows)
    first = (tmp_path / "r.rows.npz").read_bytes()
    turned = {name: np.asfortranarray(values) if values.ndim else values for name, values in reversed(rows.items())}
    write_report(tmp_path / "r.json", made, turned)
    assert (tmp_path / "r.rows.npz").read_bytes() == first


def test_a_report_without_rows_says_how_to_get_them(tmp_path: Path) -> None:
    write_report(tmp_path / "r.json", report())
    assert list(tmp_path.iterdir()) == [tmp_path / "r.json"]
    with pytest.raises(InputError, match="Score again with --json"):
        read_rows(tmp_path / "r.json", read_report(tmp_path / "r.json"))


def test_rows_of_another_hand_stay(tmp_path: Path) -> None:
    (tmp_path / "r.rows.npz").write_bytes(b"mine")
    with pytest.raises(InputError, match="refusing to replace"):
        write_report(tmp_path / "r.json", report(), MOMENT)
    assert [path.name for path in tmp_path.iterdir()] == ["r.rows.npz"]


def harmful(kind: str) -> bytes:
    """An npz file that asks for what it may not have."""
    stream = io.BytesIO()
    if kind == "objects":
        np.savez(stream, iou=np.array([{}, {}, {}], object), video=MOMENT["video"])
    elif kind == "compressed":
        np.savez_compressed(stream, iou=np.zeros(3), video=MOMENT["video"])
    elif kind == "text":
        np.savez(stream, iou=np.array(["a", "b", "c"]), video=MOMENT["video"])
    elif kind == "huge":
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (1 << 50,)})
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("iou.npy", head.getvalue() + bytes(24))
    elif kind == "no npy":
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("iou.npy", "text")
    else:
        stream.write(b"PK\x03\x04 but no zip")
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["objects", "compressed", "text", "huge", "no npy", "no zip"])
def test_no_array_runs_or_takes_memory(tmp_path: Path, kind: str) -> None:
    data = harmful(kind)
    (tmp_path / "r.rows.npz").write_bytes(data)
    named = report(rows={"file": "r.rows.npz", "sha256": hashlib.sha256(data).hexdigest()})
    write_page(tmp_path / "r.json", named)
    with pytest.raises(InputError, match=r"r\.rows\.npz: not arrays that can be read safely"):
        read_rows(tmp_path / "r.json", read_report(tmp_path / "r.json"))


@pytest.mark.parametrize("name", ["", "../r.rows.npz", "/etc/passwd", "."])
def test_rows_are_beside_the_report_and_nowhere_else(tmp_path: Path, name: str) -> None:
    write_page(tmp_path / "r.json", report(rows={"file": name, "sha256": "00"}))
    with pytest.raises(InputError, match=r"r\.json|this is a folder"):
        read_rows(tmp_path / "r.json", read_report(tmp_path / "r.json"))


WRONG: list[tuple[Report, dict[str, Any], str]] = [
    (report(), {"iou": MOMENT["iou"]}, "lacks one of iou, video"),
    (report(), {**MOMENT, "iou": np.zeros(4)}, "iou has shape"),
    (report(), {**MOMENT, "iou": np.array([0, np.nan, 1])}, "iou is not all in 0 to 1"),
    (report(), {**MOMENT, "video": np.array([0, 1, -1])}, "no code of a video"),
    (report(), {**MOMENT, "video": np.zeros(3)}, "no code of a video"),
    (report(), {**MOMENT, "mAP@0.5": np.full(3, 1.5)}, "mAP@0.5 is not all in 0 to 1"),
    (detections(), {**DETECTION, "samples": np.array(4)}, "4 samples, and 3 were asked"),
    (detections(), {**DETECTION, "truth": np.zeros((2, 3), int)}, "shapes that do not fit"),
    (detections(), {**DETECTION, "counted": np.ones((1, 4), bool)}, "shapes that do not fit"),
    (detections(), {**DETECTION, "counted": np.ones((2, 4))}, "counted holds"),
    (detections(), {**DETECTION, "sample": np.array([0, 3, 0, 0])}, "sample holds"),
    (detections(), {**DETECTION, "label": np.array([0, 0, 2, 0])}, "label holds"),
    (detections(), {**DETECTION, "truth": np.full((2, 4), 2)}, "truth holds"),
    (detections(), {**DETECTION, "truth_label": np.array([0, -1])}, "truth_label holds"),
]


@pytest.mark.parametrize(("made", "rows", "said"), WRONG)
def test_rows_that_no_report_has(tmp_path: Path, made: Report, rows: dict[str, Any], said: str) -> None:
    write_report(tmp_path / "r.json", made, rows)
    with pytest.raises(InputError, match=said):
        read_rows(tmp_path / "r.json", read_report(tmp_path / "r.json"))


def test_a_header_that_is_no_header(tmp_path: Path) -> None:
    """What NumPy makes of an array's header may fail in more ways than one."""
    text = b"\x93NUMPY\x01\x00v\x00" + (b"(" * 110).ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "r.rows.npz", "w") as archive:
        archive.writestr("iou.npy", text)
    sha = hashlib.sha256((tmp_path / "r.rows.npz").read_bytes()).hexdigest()
    with pytest.raises(InputError, match="not arrays that can be read safely"):
        read_rows(tmp_path / "r.json", report(rows={"file": "r.rows.npz", "sha256": sha}))


@pytest.mark.parametrize("classes", [np.array(np.nan), np.array(2.0), np.array(1 << 40), np.array(0)])
def test_a_number_of_classes_that_is_none(tmp_path: Path, classes: Any) -> None:
    none = np.zeros(0, np.int64)
    rows = {
        "sample": none, "label": none, "truth": np.zeros((1, 0), np.int64), "counted": np.zeros((1, 0), bool),
        "truth_sample": np.array([0]), "truth_label": np.array([0]), "samples": np.array(3), "classes": classes,
    }  # fmt: skip
    stream = io.BytesIO()
    np.savez(stream, **rows)
    (tmp_path / "r.rows.npz").write_bytes(stream.getvalue())
    said = {"file": "r.rows.npz", "sha256": hashlib.sha256(stream.getvalue()).hexdigest()}
    of = report(manifest=Asked("m", "1", "test", "sha256:00", "detection"), rows=said)
    with pytest.raises(InputError, match="classes"):
        read_rows(tmp_path / "r.json", of)


def test_no_rows_are_replaced_by_those_of_a_report_that_cannot_be_written(tmp_path: Path) -> None:
    write_report(tmp_path / "r.json", report(), MOMENT)
    before = (tmp_path / "r.json").read_bytes(), (tmp_path / "r.rows.npz").read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    huge = report(warnings=["x" * 50_000])
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
    try:
        with pytest.raises(WorkError, match=r"r\.json: cannot write"):
            write_report(tmp_path / "r.json", huge, {**MOMENT, "iou": np.zeros(3)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert ((tmp_path / "r.json").read_bytes(), (tmp_path / "r.rows.npz").read_bytes()) == before
    assert len(list(tmp_path.iterdir())) == 2

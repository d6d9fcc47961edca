"""Files of other scorers that are faulty: each fault is located, and none is read as something else; moment lines."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest

from activity_bench.data import predictions
from activity_bench.data.instances import Instances, read_instances
from activity_bench.data.predictions import source
from activity_bench.data.predictions.tables import TWENTY
from activity_bench.data.truth import Moments, read_moments
from activity_bench.errors import InputError
from activity_bench.types import Foreign
from tests import tiny
from tests.data import detections
from tests.data.detections import (
    LABELS,
    PLAIN,
    ROWS,
    as_csv,
    ours,
    results,
    rows_of,
    sample,
    thumos,
)

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Instances:
    return read_instances(detections.detection(tmp_path_factory.mktemp("d") / "m"), "test")


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> Moments:
    return read_moments(detections.moment(tmp_path_factory.mktemp("q") / "m"), "test")


# ---- faults ---------------------------------------------------------------------------------------------------------


def page(**changes: Any) -> str:
    """Two detections, the second of them changed; a change to None takes the field away."""
    found = {**results(ROWS)["a"][1], **changes}
    faulty = {name: value for name, value in found.items() if value is not None}
    return json.dumps({"results": {"a": [PLAIN["a"][0], faulty]}})


ONE = json.dumps(PLAIN["a"][0])
A1 = r"p: results\.a\[1\]"
HEADER = "video,start,end,score,label\n"
FAULTS = {
    "score NaN": (page(score=math.nan), A1 + r"\.score: a score that is missing or not a finite number; found nan"),
    "score infinite": (page(score=math.inf), A1 + r"\.score: a score .*found inf"),
    "score NaN as text": (page(score="nan"), A1 + r"\.score: a score .*found nan"),
    "score of 400 digits": (page(score="X").replace('"X"', "1e400"), A1 + r"\.score: a score .*found inf"),
    "no score": (page(score=None), A1 + r"\.score: a score that is missing"),
    "score a word": (page(score="high"), A1 + r"\.score: found text; expected a number"),
    "time NaN": (page(segment=[math.nan, 2]), A1 + r"\.segment: a time that is not a finite number"),
    "time infinite": (page(segment=[1, "inf"]), A1 + r"\.segment: a time"),
    "one time": (page(segment=[1]), A1 + r"\.segment: .*length 2"),
    "no segment": (page(segment=None), A1 + r": .*segment"),
    "a flag": (page(segment=[True, 2]), A1 + r"\.segment\[0\]: found"),
    "reversed": (page(segment=[2, 1]), A1 + r"\.segment: a reversed or empty segment; found \[2\.0, 1\.0\]"),
    "empty": (page(segment=[2, 2]), A1 + r"\.segment: a reversed or empty"),
    "outside": (page(segment=[2, 60.1]), A1 + r"\.segment: a segment outside .*inside \[0\.0, 60\.0\] seconds"),
    "in frames": (page(segment=[50, 900]), A1 + r"\.segment: a segment outside"),
    "no label": (page(label=None), A1 + r"\.label: a detection without a class"),
    "label a number": (page(label=3), A1 + r"\.label: found a whole number; expected text or null"),
    "label unknown": (page(label="Divng"), A1 + r"\.label: unknown class; found 'Divng'. Did you mean 'Diving'"),
    "label a formula": (page(label="=cmd()"), A1 + r"\.label: unknown class; found '=cmd\(\)'"),
    "label in another case": (page(label="diving"), A1 + r"\.label: unknown class; .*Did you mean 'Diving'"),
    "video unknown": (json.dumps({"results": {"aa": PLAIN["a"]}}), r"p: results\.aa: unknown video; found 'aa'"),
    "video with a newline": (json.dumps({"results": {"a\nb": PLAIN["a"]}}), r"p: results\.a\\nb: unknown video"),
    "video twice": (page().replace('{"a"', '{"a": [], "c": [], "a"').replace('"a": []', '"a": [' + ONE + "]"),
                    "p: a: a key that stands twice in one object"),
    "score twice": (page().replace('"score"', '"score": 1, "score"', 1), "p: score: a key that stands twice"),
    "label twice": (page().replace('"label"', '"label": "X", "label"', 1), "p: label: a key that stands twice"),
    "results twice": (page()[:-1] + ', "results": {}}', "p: results: a key that stands twice"),
    "two names of one video": (json.dumps({"results": {"bb": PLAIN["v_bb"], "v_bb": PLAIN["v_bb"]}}),
                               r"results\.v_bb: a video under two names; found \['bb', 'v_bb'\]"),
    "the truth itself": (json.dumps({"results": {"a": {"annotations": []}}}), r"p: results\.a: found an object"),
    "results a list": ('{"results": []}', r"p: results: found a list; expected an object"),
    "detections flat": ('{"results": {"a": [[1, 2, 0.5]]}}', r"p: results\.a\[0\]: found a list; expected an object"),
    "cut": (page()[:-9], "p: not valid JSON"),
    "two pages": (page() + page(), "p: not valid JSON"),
    "nested": ('{"results": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}}", "p: "),
    "not UTF-8": (page(label="X").encode().replace(b"X", b"\xe9"), "p:1: not UTF-8 text"),
    "csv, a word": (HEADER + "a,1,2,.5,Diving\na,1,two,.5,Diving\n", r"p:3: end: not a number; found 'two'"),
    "csv, underscore": (HEADER + "a,1,2_0,.5,Diving\n", r"p:2: end: not a number; found '2_0'"),
    "csv, NaN": (HEADER + "a,1,2,nan,Diving\n", r"p:2: score: a score .*found nan"),
    "csv, 1e400": (HEADER + "a,1,1e400,1,Diving\n", r"p:2: start: a time .*inf"),
    "csv, short": (HEADER + "a,1,2,.5\n", r"p:2: another number of fields than the header's; found 4; expected 5"),
    "csv, unknown class": (HEADER + 'a,1,2,.5,"Div,ing"\n', r"p:2: label: unknown class; found 'Div,ing'"),
    "csv, unknown video": (HEADER + "zzz,1,2,.5,Diving\n", r"p:2: video: unknown video; found 'zzz'"),
    "csv, unknown sample": ("sample,start,end,score,label\na,1,2,.5,Diving\n", "p:2: sample: unknown sample.* 'a'"),
    "csv, no label": ("video,start,end,score,lable\na,1,2,3,x\n", r"p:1: no column label; .*Is it 'lable'"),
    "csv, no score": ("video,start,end,label,sscore\na,1,2,3,x\n", r"p:1: no column score; .*Is it 'sscore'"),
    "csv, no video": ("vdieo,start,end,label,score\na,1,2,3,x\n", "p:1: no column video or .* or sample.*'vdieo'"),
    "csv, twice": ("video,start,start,end,score,label\na,1,1,2,3,x\n", "p:1: start: two columns for one thing"),
    "csv, both names": ("video,start,t-start,end,score,label\na,1,1,2,3,x\n", "p:1: start: two columns"),
    "csv, no end of a quote": (HEADER + 'a,1,2,.5,"Diving\n', "p:2: not CSV"),
    "csv, Latin-1": ((HEADER + "a,1,2,.5,Diving\n").encode() + b"a,1,2,.5,Caf\xe9\n", "p:3: not UTF-8"),
    "thumos, four fields": (thumos(ROWS) + "a 1 2 21\n", "p:4: not a line of the THUMOS evaluation kit; .*'a 1 2 21'"),
    "thumos, a word": (thumos(ROWS) + "a 1 2 Diving .5\n", r"p:4: class: not a number; found 'Diving'"),
    "thumos, class 0": (thumos(ROWS, TWENTY) + "a 1 2 0 .5\n", "p: class: not a number of a class; found '0'; .*to 20"),
    "thumos, class 102": (thumos(ROWS) + "a 1 2 102 .5\n", "p: class: not a number of a class; found '102'; .*to 101"),
    "thumos, half a class": (thumos(ROWS) + "a 1 2 21.5 .5\n", "p: class: not a number of a class; found '21.5'"),
    "thumos, another class": (thumos(ROWS) + "a 1 2 5 .5\n", r"p:4: class: unknown class; found 'class 5 of UCF101'"),
    "thumos, either list": ("a 1 2 7 .5\na 1 2 12 .5\n", r"p: class: numbers of classes that the list of .*\[7, 12\]"),
    "thumos, NaN": (thumos(ROWS) + "a 1 2 21 nan\n", r"p:4: score: a score .*found nan"),
    "ours, no labels": ('{"sample": "test/a/0", "segments": [[1,2,3]]}', "p:1: labels: a line without labels"),
    "ours, misspelt labels": ('{"sample": "test/a/0", "segments": [[1,2,3]], "label": []}',
                              r"p:1: labels: .*Is it 'label'"),
    "ours, too few labels": ('{"sample": "test/a/0", "segments": [[1,2,3]], "labels": []}',
                             "p:1: labels: not one class a segment; found 0; expected 1"),
    "ours, unknown label": (ours(ROWS).replace("LongJ", "longj"), r"p:1: labels\[1\]: unknown class; .*'LongJump'"),
    "ours, number for a label": ('{"sample": "test/a/0", "segments": [[1,2,3]], "labels": [7]}', r"p:1: labels.*text"),
    "ours, sample twice in a line": ('{"sample": "test/a/0", "sample": "test/c/0", "segments": [], "labels": []}',
                                     "p:1: sample: a key that stands twice"),
    "ours, segments twice": (ours(ROWS) + '{"sample": "test/c/0", "segments": [], "segments": [], "labels": []}',
                             "p:3: segments: a key that stands twice"),
    "ours, labels twice": (ours(ROWS) + '{"sample": "test/c/0", "segments": [], "labels": ["Diving"], "labels": []}',
                           "p:3: labels: a key that stands twice"),
    "none of all": ("hello, world\n", "p:1: not valid JSON.*Formats: ours, activitynet, qvhighlights, thumos, csv"),
    "moment lines": ('{"qid": 1, "pred_relevant_windows": []}', "p: moment-retrieval lines have no classes"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_located(tmp_path: Path, truth: Instances, name: str) -> None:
    text, said = FAULTS[name]
    (tmp_path / "p").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=said) as caught:
        predictions.read(tmp_path / "p", truth, "")
    assert str(caught.value).isprintable()
    answers, faults = predictions.survey(tmp_path / "p", truth, "")
    assert faults.kinds.total() >= 1
    assert answers is None or len(answers.sample) < 10


@pytest.mark.parametrize("policy", ["unknown_video", "unknown_label", "outside", "empty"])
def test_no_policy_lets_a_number_pass_that_is_none(tmp_path: Path, truth: Instances, policy: str) -> None:
    for name in ("score NaN", "score infinite", "no score", "time NaN", "no label", "video twice"):
        text, said = FAULTS[name]
        (tmp_path / "p").write_text(str(text))
        with pytest.raises(InputError, match=said):
            predictions.read(tmp_path / "p", truth, "", Foreign(**{policy: "drop"}))


def test_a_video_of_several_samples_is_not_guessed(tmp_path: Path) -> None:
    truth = read_instances(detections.detection(tmp_path / "m", sample("a"), sample("a", 1)), "test")
    (tmp_path / "p").write_text(json.dumps(results(ROWS[:1])))
    with pytest.raises(InputError, match=r"p: a: a video with several samples: .*Name the samples"):
        predictions.read(tmp_path / "p", truth, "", Foreign("drop", "drop", "drop", "drop"))
    (tmp_path / "p").write_text("sample,start,end,score,label\ntest/a/1,1,2,.5,Diving\n")
    assert rows_of(predictions.read(tmp_path / "p", truth, "")) == [(1, 1, 2, 0.5, 3)]


def test_numbers_of_twenty_classes_are_not_numbers_of_others(tmp_path: Path) -> None:
    made = detections.detection(tmp_path / "m", labels=[*LABELS, "Walk"])
    (tmp_path / "p").write_text(thumos(ROWS[:1]))
    with pytest.raises(InputError, match="numbers for 20 classes, and the truth has others; found 'Walk'"):
        predictions.read(tmp_path / "p", read_instances(made, "test"), "")


def test_a_format_that_there_is_not(tmp_path: Path, truth: Instances) -> None:
    with pytest.raises(InputError, match=r"unknown format; found 'activitnet'. Did you mean 'activitynet'"):
        predictions.read(tmp_path / "p", truth, "", format_="activitnet")


def test_a_page_that_is_too_large_is_not_held(tmp_path: Path, truth: Instances, monkeypatch: Any) -> None:
    monkeypatch.setattr(source, "LIMIT", 1 << 20)
    monkeypatch.setattr(source, "BLOCK", 1 << 16)
    for text in (b'{"results": ', b"video,start,end,score,label\n", b"a 1 2 21 0.5\n"):
        with (tmp_path / "p").open("wb") as stream:
            stream.write(text)
            stream.truncate(2 << 30)  # takes no room on the disk
        with pytest.raises(InputError, match="p: too large to be read at once"):
            predictions.read(tmp_path / "p", truth, "")
        (tmp_path / "p.gz").write_bytes(gzip.compress(text + b" " * (2 << 20)))
        with pytest.raises(InputError, match=r"p\.gz: too large to be read at once"):
            predictions.read(tmp_path / "p.gz", truth, "")


@pytest.mark.parametrize("start", [b'{"sample": "', b'{"qid": "', b'{"sample": "x", "segments": [', b"\0"])
def test_a_line_that_is_too_long_is_not_held(tmp_path: Path, moments: Moments, start: bytes) -> None:
    with (tmp_path / "p").open("wb") as stream:
        stream.write(start)
        stream.truncate(2 << 30)
    with pytest.raises(InputError, match="p:1: a line that is too long"):
        predictions.read(tmp_path / "p", moments, "")


# ---- moments --------------------------------------------------------------------------------------------------------

QUERY = {
    "qid": 2579,
    "query": "somebody dives",
    "vid": "video of 2579",
    "pred_relevant_windows": [[1, 2, 0.9], [0, 60, 0]],
}
OTHER = {"qid": "q b", "pred_relevant_windows": [[5, "30.0", 1e-3]], "pred_saliency_scores": [0.5]}


def test_moment_lines(tmp_path: Path, moments: Moments) -> None:
    tiny.answers(tmp_path / "p", [OTHER, "", {**QUERY, "vid": "v_video of 2579"}])
    answers = predictions.read(tmp_path / "p", moments, "")
    assert answers.format == "qvhighlights"
    assert answers.label is None
    assert answers.sample.tolist() == [1, 0, 0]
    assert answers.end.tolist() == [30.0, 2.0, 60.0]
    assert answers.score.tolist() == [1e-3, 0.9, 0.0]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({**QUERY, "qid": 3}, r"p:2: qid: unknown sample; found '3'"),
        ({**QUERY, "vid": "another"}, r"p:2: vid: another video than the query's; .*expected 'video of 2579'"),
        ({**QUERY, "pred_relevant_windows": [[1, 2, 3], [1, 61, 3]]}, r"p:2: pred_relevant_windows\[1\]: .* outside"),
        ({**QUERY, "pred_relevant_windows": [[1, 2]]}, r"p:2: pred_relevant_windows\["),
        ({**QUERY, "pred_relevant_windows": [[1, 2, "nan"]]}, r"p:2: pred_relevant_windows\[0\]: a score"),
        ({**QUERY, "pred_relevant_windows": None}, r"p:2: pred_relevant_windows: found null"),
        ({"qid": 2579, "vid": "video of 2579"}, r"p:2: .*pred_relevant_windows"),
        (OTHER, r"p:2: qid: a query answered twice; found 'q b'"),
        ('{"qid": 2579, "qid": 1, "pred_relevant_windows": []}', "p:2: qid: a key that stands twice"),
        ('{"qid": 2579, "pred_relevant_windows": [[NaN, 2, 1]]}', "p:2: not valid JSON: .*no such number; found 'NaN'"),
    ],
)  # fmt: skip
def test_a_moment_line_that_is_none(tmp_path: Path, moments: Moments, row: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        predictions.read(tiny.answers(tmp_path / "p", [OTHER, row]), moments, "")
    answers, faults = predictions.survey(tmp_path / "p", moments, "")
    assert faults.kinds.total() == 1
    assert answers is not None
    assert 1 in answers.sample


def test_moments_do_not_look_at_classes(tmp_path: Path, moments: Moments) -> None:
    (tmp_path / "p").write_text(as_csv([("video of 2579", 1, 2, 0.5, "Divng"), ("x", 1, 2, 0.5, "Diving")]))
    answers = predictions.read(tmp_path / "p", moments, "", Foreign("count"))
    assert answers.sample.tolist() == [0]
    assert answers.counts == {"a class, of which moments have none: not looked at": 1,
                              "a video that the truth does not know: dropped": 1}  # fmt: skip

"""Files of other scorers: every shape that peers write says the same, each policy against a plain twin, real files."""

from __future__ import annotations

import gzip
import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.data import predictions
from activity_bench.data.instances import Instances, read_instances
from activity_bench.data.predictions import FORMATS
from activity_bench.data.predictions.tables import TWENTY
from activity_bench.data.truth import read_moments
from activity_bench.errors import InputError
from activity_bench.types import Foreign
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.export import import_manifest
from tests import tiny
from tests.data import detections
from tests.data.detections import (
    ENDS,
    EXPECTED,
    LABELS,
    PLAIN,
    ROWS,
    Row,
    as_csv,
    ours,
    renamed,
    results,
    rows_of,
    thumos,
)

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Instances:
    return read_instances(detections.detection(tmp_path_factory.mktemp("d") / "m"), "test")


TEXTS = {video: [{**item, "segment": [str(x) for x in item["segment"]], "score": str(item["score"])} for item in items]
         for video, items in PLAIN.items()}  # fmt: skip
SCORES = {video: [{"label": item["label"], "segment": item["segment"], "scores": item["score"]} for item in items]
          for video, items in PLAIN.items()}  # fmt: skip
SHAPES = {
    "strict": ("activitynet", json.dumps({"version": "1.3", "results": PLAIN, "external_data": {"used": False}})),
    "results alone": ("activitynet", json.dumps({"results": PLAIN})),
    "external data first": ("activitynet", json.dumps({"external_data": {"details": 'a "segment"'}, "results": PLAIN})),
    "other keys": ("activitynet", json.dumps({"version": "1", "source": "x", "results": PLAIN})),
    "more in a detection": ("activitynet", json.dumps({"results": results(ROWS, segment_id=3, note="label")})),
    "without a name": ("activitynet", json.dumps(PLAIN)),
    "many lines": ("activitynet", json.dumps(PLAIN, indent=2)),
    "many lines, named": ("activitynet", "\n\n" + json.dumps({"results": PLAIN}, indent=1)),
    "escaped": ("activitynet", json.dumps({"results": PLAIN}).replace("Diving", "Div\\u0069ng")),
    "database": ("activitynet", json.dumps({"database": SCORES})),
    "numbers as text": ("activitynet", json.dumps({"results": TEXTS})),
    "ids without v_": ("activitynet", json.dumps({"results": results(renamed(ROWS, v_bb="bb"))})),
    "ids with v_": ("activitynet", json.dumps({"results": results(renamed(ROWS, a="v_a"))})),
    "ids of samples": ("activitynet", json.dumps(results(renamed(ROWS, a="test/a/0")))),
    "a video without detections": ("activitynet", json.dumps({"results": {**PLAIN, "c": []}})),
    "a long first key": ("activitynet", json.dumps({"version": "x" * 20_000, "results": PLAIN})),
    "ours": ("ours", ours(ROWS)),
    "ours, backwards": ("ours", "".join(ours(ROWS).splitlines(keepends=True)[::-1])),
    "ours with a header": ("ours", '{"method": {"name": "labels"}}\n' + ours(ROWS)),
    "csv": ("csv", as_csv(ROWS)),
    "csv, the devkit's names": ("csv", as_csv(ROWS, "video-id,t-start,t-end,score,label").replace("\n", "\r\n")),
    "csv, quoted": ("csv", as_csv(ROWS).replace("Diving", '"Diving"').replace("v_bb", '"v_bb"')),
    "csv, samples, other order": ("csv", "note,Label, score ,END,start,sample\n" + "".join(
        f"x,{label},{score},{end},{start},test/{v}/0\n" for v, start, end, score, label in ROWS)),
    "thumos, 101 classes": ("thumos", thumos(ROWS)),
    "thumos, 20 classes": ("thumos", thumos(ROWS, TWENTY)),
    "thumos, tabs and blank lines": ("thumos", "\n" + thumos(ROWS).replace(" ", "\t\t").replace("\n", " \r\n\n")),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("how", ["plain", "told", "mark", "gz"])
def test_every_shape_says_the_same(tmp_path: Path, truth: Instances, name: str, how: str) -> None:
    format_, text = SHAPES[name]
    path = tmp_path / ("p.txt.gz" if how == "gz" else "p.txt")  # the name tells nothing of the format
    data = (b"\xef\xbb\xbf" if how == "mark" else b"") + text.encode()
    path.write_bytes(gzip.compress(data) if how == "gz" else data)
    answers = predictions.read(path, truth, "", format_=format_ if how == "told" else None)
    assert rows_of(answers) == EXPECTED
    assert (answers.format, answers.file, answers.counts) == (format_, path.name, {})


@pytest.mark.parametrize("format_", FORMATS)
def test_standard_input_in_every_format(cli: Callable[..., Any], tmp_path: Path, format_: str) -> None:
    if format_ == "qvhighlights":
        made = tiny.write(tmp_path / "m", train=(), test=[tiny.in_seconds("7", (0.0, 60.0), (1.0, 2.0))])
        text, asked = json.dumps({"qid": 7, "pred_relevant_windows": [[1, 2, 0.5]]}), 1
    else:
        made = detections.detection(tmp_path / "m")
        text, asked = next(text for name, text in SHAPES.values() if name == format_), 3
    told = cli("validate", "-", "--manifest", made.folder, "--split", "test", input=text)
    assert told.stdout.startswith(f"-: {min(asked, 2)} of {asked} samples answered")


# ---- policies -------------------------------------------------------------------------------------------------------

POLICIES = st.builds(
    Foreign, st.sampled_from(["drop", "count"]), st.sampled_from(["drop"]), st.sampled_from(["drop", "clip", "keep"]),
    st.sampled_from(["drop", "keep"]),
)  # fmt: skip
TIMES = st.sampled_from([-2.0, -1e-6, 0.0, 1.0, 29.9, 30.0, 30.000001, 60.0, 61.0, 1e6])
DIRTY = st.tuples(
    st.sampled_from(["a", "bb", "c", "x"]), TIMES, TIMES, st.floats(-9, 9), st.sampled_from([*LABELS, "?"])
)


def plain(rows: list[Row], policy: Foreign) -> tuple[list[tuple[Any, ...]], Counter[str]]:
    """The twin: a row at a time, as the documentation says it."""
    found, counts = [], Counter[str]()
    for video, start, end, score, label in rows:
        place = {"a": 0, "bb": 1, "c": 2}.get(video, -1)
        if place < 0:
            counts[f"video {policy.unknown_video}"] += 1
            if policy.unknown_video == "drop":
                continue
        if label not in LABELS:
            counts["label"] += 1
            continue
        if start >= end:
            counts[f"empty {policy.empty}"] += 1
            if policy.empty == "drop":
                continue
        last = math.inf if place in (-1, 2) else list(ENDS.values())[place] or 0
        first = -math.inf if place < 0 else 0.0
        if start < first - 2e-6 or end > last + 2e-6:
            counts[f"outside {policy.outside}"] += 1
            if policy.outside == "drop":
                continue
        if policy.outside == "clip":
            start, end = min(max(start, first), last), min(max(end, first), last)
        found.append((place, start, end, score, LABELS.index(label)))
    return sorted(found), counts


@given(st.lists(DIRTY, max_size=12), POLICIES)
def test_each_policy_against_the_twin(
    truth: Instances, tmp_path_factory: Any, rows: list[Row], policy: Foreign
) -> None:
    path = tmp_path_factory.mktemp("p") / "p"
    path.write_text(as_csv(rows))
    if rows and all(row[0] == "x" for row in rows):  # no policy takes a file that answers nobody
        with pytest.raises(InputError, match="unknown video; found 'x'"):
            predictions.read(path, truth, "", policy)
        return
    answers = predictions.read(path, truth, "", policy)
    expected, counts = plain(rows, policy)
    assert rows_of(answers) == expected
    assert sorted(answers.counts.values()) == sorted(counts.values())


def test_what_the_policy_did_is_said(tmp_path: Path, truth: Instances) -> None:
    rows: list[Row] = [
        ("x", 0, 1, 1, "Diving"),
        ("a", 0, 99, 1, "Diving"),
        ("a", 5, 5, 1, "Diving"),
        ("a", 1, 2, 1, "?"),
    ]
    (tmp_path / "p").write_text(json.dumps({"results": results(rows)}))
    answers = predictions.read(tmp_path / "p", truth, "", Foreign("count", "drop", "clip", "keep"))
    assert answers.counts == {
        "a video that the truth does not know: counted as wrong": 1,
        "a class that the truth does not know: dropped": 1,
        "a segment outside its sample's window: clipped": 1,
        "a reversed or empty segment: kept": 1,
    }
    assert rows_of(answers) == [(-1, 0, 1, 1, 3), (0, 0, 60, 1, 3), (0, 5, 5, 1, 3)]


def test_our_own_format_knows_no_policy(tmp_path: Path, truth: Instances) -> None:
    (tmp_path / "p").write_text(ours([("a", 1.0, 99.0, 1.0, "Diving")]))
    with pytest.raises(InputError, match="outside its sample's window"):
        predictions.read(tmp_path / "p", truth, "", Foreign("count", "drop", "clip", "keep"))


# ---- real files -----------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_the_real_detections_of_autoloc(real_data: Path, tmp_path: Path) -> None:
    made = build_dataset("detection", [real_data / "activitynet" / "activity_net.v1-2.min.json"], tmp_path / "m")
    truth = read_instances(made, "val")
    file = real_data / "predictions" / "autoloc_activitynet12_val_detections.json"
    with pytest.raises(InputError, match=r"results\.TDZsE3ytrainQ: unknown video"):
        predictions.read(file, truth, made.digest)
    answers = predictions.read(file, truth, made.digest, Foreign("count", "refuse", "keep", "refuse"))
    held = json.loads(file.read_text())["results"]
    detections = [item for items in held.values() for item in items]
    assert len(answers.sample) == len(detections) == 13_295
    assert answers.start.tolist() == [item["segment"][0] for item in detections]
    assert [truth.labels[code] for code in answers.label] == [item["label"] for item in detections]
    ends = dict(zip(truth.videos, truth.window_end.tolist(), strict=True))
    past = sum(item["segment"][1] > ends.get(video, math.inf) + 2e-6 for video, items in held.items() for item in items)
    assert answers.counts == {"a segment outside its sample's window: kept": past,
                              "a video that the truth does not know: counted as wrong": 2}  # fmt: skip
    _, faults = predictions.survey(file, truth, made.digest)
    assert faults.kinds == {"unknown video": 1, "a segment outside its sample's window": past}


@pytest.mark.real
@pytest.mark.parametrize(("least", "count"), [(1, 10_285), (3, 14_350), (5, 24_244)])
def test_the_real_detections_of_scnn(real_data: Path, tmp_path: Path, least: int, count: int) -> None:
    made = build_dataset("detection", [real_data / "thumos14"], tmp_path / "m", options={"subset": "testing"})
    truth = read_instances(made, "test")
    file = real_data / "predictions" / f"scnn_c3dv10_thumos14_test_iou0.{least}.txt"
    names = (real_data / "predictions" / "thumos14_detclasslist.txt").read_text().splitlines()
    listed = dict(line.split() for line in names if line)
    answers = predictions.read(file, truth, made.digest)
    rows = [line.split() for line in file.read_text().splitlines()]
    assert len(answers.sample) == len(rows) == count
    assert [truth.labels[code] for code in answers.label] == [listed[row[3]] for row in rows]
    assert [truth.videos[place] for place in answers.sample] == [row[0] for row in rows]


@pytest.mark.real
def test_the_real_windows_of_lighthouse(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "predictions"
    made = import_manifest(folder / "lighthouse_qvhighlights_val_release.jsonl", "qvhighlights", tmp_path / "m")
    truth = read_moments(made, "val")
    file = folder / "lighthouse_qvhighlights_sample_val_preds.jsonl"
    answers = predictions.read(file, truth, made.digest, Foreign(outside="keep"))
    windows = [window for line in file.read_text().splitlines() for window in json.loads(line)["pred_relevant_windows"]]
    assert np.array_equal(np.column_stack([answers.start, answers.end, answers.score]), np.array(windows))
    assert len(set(answers.sample.tolist())) == len(truth.ids) == 1550
    assert answers.counts == {"a segment outside its sample's window: kept": 2}


@pytest.mark.real
def test_the_real_results_of_mmaction2_and_the_devkit(real_data: Path, tmp_path: Path) -> None:
    made = build_dataset("detection", [real_data / "activitynet" / "activity_net.v1-3.min.json"], tmp_path / "m")
    truth = read_instances(made, "val")
    policy = Foreign("refuse", "refuse", "keep", "keep")
    devkit = predictions.read(real_data / "predictions" / "anet_sample_detection_prediction.json", truth, "", policy)
    assert len(devkit.sample) == 7654
    assert devkit.counts["a reversed or empty segment: kept"] == 3
    small = real_data / "predictions" / "mmaction2_eval_localization_result.json"
    with small.open() as stream:
        count = sum(map(len, json.load(stream)["results"].values()))
    assert len(predictions.read(small, truth, "", policy).sample) == count > 0


GOOD = '{"label": "Diving", "score": 1, "segment": [1, 2]}'
UNSOUND = {
    "text of another kind": ("UTF-16 text", json.dumps({"results": PLAIN}).encode("utf-16")),
    "half a character as an id": ("surrogate", f'{{"results": {{"a": [{GOOD}], "\\ud800": [{GOOD}]}}}}'.encode()),
    "no number as the version": ("NaN", f'{{"version": NaN, "results": {{"a": [{GOOD}]}}}}'.encode()),
    "results twice": ("results: a key", b'{"results": {"a": []}, "results": {"a": []}}'),
    "a video twice, once without detections": ("a: a key", f'{{"results": {{"a": [], "a": [{GOOD}]}}}}'.encode()),
    "a key spelt twice": ("score: a key", b'{"results": {"a": [%s]}}' % GOOD.encode().replace(
        b'"score"', b'"score": 2, "sc\\u006fre"')),
    "results and database": ("two dictionaries", f'{{"results": {{}}, "database": {{"a": [{GOOD}]}}}}'.encode()),
}  # fmt: skip


@pytest.mark.parametrize("shape", UNSOUND)
def test_a_page_is_read_as_a_whole_or_not_at_all(shape: str, truth: Instances, tmp_path: Path) -> None:
    """What a lenient reader would pass over in silence."""
    said, text = UNSOUND[shape]
    (tmp_path / "p").write_bytes(text)
    with pytest.raises(InputError, match=said):
        predictions.read(tmp_path / "p", truth, "", Foreign(unknown_video="count"), "activitynet")

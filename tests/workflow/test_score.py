"""Scores through the public door: foreign files with published scores, choices of a protocol, diagnosis, the scorer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import activity_bench as ab
from activity_bench.data.reports import read_report, read_rows
from activity_bench.errors import InputError
from activity_bench.types import Prediction, Query, Sample, Segment, Target, Window
from activity_bench.workflow.export import import_manifest
from activity_bench.workflow.score import Scorer, score
from tests import tiny

CLASSES = ("Diving", "Rafting")


def video(name: str, *targets: tuple[float, float, str], end: float | None = 100.0, **more: Any) -> Sample:
    return Sample(
        id=f"test/{name}/0-100000/0",
        query=Query("classes", vocabulary="target"),
        video=Window(name, 0.0, end),
        targets=tuple(Target(*target) for target in targets),
        **more,
    )


TEST = (
    video("a", (10.0, 20.0, "Diving"), (30.0, 40.0, "Diving"), (60.0, 61.0, "Rafting")),
    video("b", (0.0, 90.0, "Rafting"), ignore=(Segment(91.0, 100.0),)),
    video("c"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tiny.write(tmp_path / "m", train=(), test=TEST, task="detection", vocabularies={"target": CLASSES},
                      splits=("test",))  # fmt: skip
    return made.folder


def answers(path: Path, **by_video: list[tuple[float, float, float, str]]) -> Path:
    """A file of our own detections."""
    rows = [
        tiny.answer(f"test/{name}/0-100000/0", *(row[:3] for row in rows), labels=[row[3] for row in rows])
        for name, rows in by_video.items()
    ]
    return tiny.answers(path, rows)


A = [(10, 20, 0.9, "Diving"), (11, 20, 0.8, "Diving"), (30, 34, 0.7, "Diving"), (60, 61, 0.6, "Diving")]
B = [(50, 100, 0.95, "Diving"), (0, 90, 0.5, "Rafting")]


# ---- detection ------------------------------------------------------------------------------------------------------


@pytest.mark.quick
def test_a_worked_example(folder: Path, tmp_path: Path) -> None:
    """Diving: b's 50 to 100 is wrong, then 10 to 20 right, then three wrong ones: 1/2 of 1/2. Rafting: 1/2."""
    report = score(answers(tmp_path / "p.jsonl", a=A, b=B), folder, "test", protocol="activitynet")
    assert report.metrics["mAP@0.5"] == pytest.approx((1 / 2 * 1 / 2 + 1 / 2) / 2, abs=1e-15)
    assert report.metrics["mAP"] == report.metrics["mAP@0.5"] == report.metrics["mAP@0.95"]
    assert report.by_label["Rafting"] == {"asked": 2, "metrics": dict.fromkeys(report.metrics, 0.5)}
    assert (report.asked, report.answered, report.intervals) == (3, 2, {})
    assert any("every threshold" in warning for warning in report.warnings)


@pytest.mark.quick
def test_kinds_of_false_positives(folder: Path, tmp_path: Path) -> None:
    found = score(answers(tmp_path / "p.jsonl", a=A, b=B), folder, "test", diagnosis=True).diagnosis
    kinds = found["false_positives"]["kinds"]
    assert {name: kind["detections"] for name, kind in kinds.items()} == {
        "double detection": 1, "wrong label": 1, "localisation": 1, "confusion": 1, "background": 0,
    }  # fmt: skip
    assert (found["false_positives"]["looked at"], found["false_positives"]["right"]) == (6, 2)
    assert kinds["confusion"]["mAP gained without"] == pytest.approx((1 / 2 - 1 / 4) / 2, abs=1e-15)  # b's 50 to 100
    assert kinds["double detection"]["mAP gained without"] == 0
    assert {name: kind["found"] for name, kind in found["by_length"].items()} == {
        "to 2.5 s": 0.0, "5 to 10 s": 0.5, "over 80 s": 1.0,
    }  # fmt: skip
    assert found["by_coverage"]["over 0.8"]["targets"] == 1


@pytest.mark.quick
def test_the_truth_scores_one_under_every_protocol(folder: Path, tmp_path: Path) -> None:
    rows = {s.video.id: [(t.start, t.end, 0.9 - i / 10, t.label) for i, t in enumerate(s.targets)] for s in TEST}
    path = answers(tmp_path / "p.jsonl", **rows)
    for name in ("activitynet", "opentad", "actionformer", "thumos-evalkit", "autoloc"):
        assert set(score(path, folder, "test", protocol=name, diagnosis=True).metrics.values()) == {1.0}, name
    empty = tiny.answers(tmp_path / "e.jsonl", [])
    assert set(score(empty, folder, "test", diagnosis=True, intervals=True).metrics.values()) == {0.0}


@pytest.mark.quick
def test_choices_of_a_protocol_are_named_in_the_report(folder: Path, tmp_path: Path) -> None:
    path = answers(tmp_path / "p.jsonl", a=A, b=B)
    report = score(path, folder, "test", protocol="wtalc", ties="official", tiou="0.3:0.5:0.1")
    assert report.protocol == "wtalc ties=official tiou=0.3,0.4,0.5"
    assert list(report.metrics) == ["mAP", "mAP@0.3", "mAP@0.4", "mAP@0.5"]
    assert score(path, folder, "test", tiou="0.7,0.5").metrics.keys() == {"mAP", "mAP@0.5", "mAP@0.7"}
    assert score(path, folder, "test", protocol="wtalc", tiou="0.1:0.5:0.1").protocol == "wtalc"
    names = {score(path, folder, "test", tiou=tiou).protocol for tiou in ("0.5,0.7", "0.70,.5", "0.5:0.7:0.2")}
    assert names == {"activitynet tiou=0.5,0.7"}  # one set of thresholds has one name, so that it is ranked as one


@pytest.mark.quick
@pytest.mark.parametrize(
    "tiou", ["", "x", "0", "1.5", "0.5,0.5", "0.1:0.9", "0.3:0.7:0.15", "0.5:0.1:0.1", "0:1:1e-9", "nan", "1e400:1:1"]
)
def test_thresholds_that_are_none(folder: Path, tmp_path: Path, tiou: str) -> None:
    with pytest.raises(InputError, match="--tiou"):
        score(answers(tmp_path / "p.jsonl", a=A), folder, "test", tiou=tiou)


@pytest.mark.quick
def test_a_protocol_of_the_other_task(folder: Path, tmp_path: Path) -> None:
    path = answers(tmp_path / "p.jsonl", a=A)
    with pytest.raises(InputError, match="protocol ibal scores moment manifests"):
        score(path, folder, "test", protocol="ibal")
    with pytest.raises(InputError, match="activitynet"):
        score(path, folder, "test", protocol="activtynet")
    with pytest.raises(InputError, match="--ties"):
        score(path, folder, "test", ties="file")
    moments = tiny.write(tmp_path / "moments").folder
    with pytest.raises(InputError, match="--tiou"):
        score(tiny.answers(tmp_path / "e.jsonl", []), moments, "test", tiou="0.5")


@pytest.mark.quick
def test_a_protocol_that_drops_every_target_scores_nothing(tmp_path: Path) -> None:
    short = video("a", (1.0, 1.0005, "Diving"))
    made = tiny.write(tmp_path / "m", train=(), test=(short,), task="detection", splits=("test",),
                      vocabularies={"target": CLASSES})  # fmt: skip
    path = answers(tmp_path / "p.jsonl", a=A)
    with pytest.raises(InputError, match="no target is left that actionformer counts"):
        score(path, made.folder, "test", protocol="actionformer")
    assert score(path, made.folder, "test").metrics["mAP"] == 0.0


@pytest.mark.quick
def test_intervals_of_detection_hold_the_score(folder: Path, tmp_path: Path) -> None:
    report = score(answers(tmp_path / "p.jsonl", a=A, b=B), folder, "test", intervals=True, seed=3)
    assert report.intervals.keys() == report.metrics.keys()
    assert all(low <= report.metrics[name] <= high for name, (low, high) in report.intervals.items())


@pytest.mark.quick
def test_rows_are_beside_the_report(folder: Path, tmp_path: Path) -> None:
    score(answers(tmp_path / "p.jsonl", a=A, b=B), folder, "test", json=tmp_path / "r.json")
    rows = read_rows(tmp_path / "r.json", read_report(tmp_path / "r.json"))
    assert (rows["samples"], rows["classes"], rows["truth"].shape) == (3, 2, (10, 6))
    assert rows["label"].tolist() == [0, 0, 0, 0, 0, 1]
    assert rows["sample"].tolist() == [1, 0, 0, 0, 0, 1]


# ---- the scorer -----------------------------------------------------------------------------------------------------


@pytest.mark.quick
def test_the_scorer_gives_what_a_file_gives(folder: Path, tmp_path: Path) -> None:
    whole = score(answers(tmp_path / "p.jsonl", a=A, b=B), folder, "test", diagnosis=True)
    scorer = ab.Scorer(folder, "test")
    for name, rows in (("b", B), ("a", A)):
        scorer.update([Prediction(f"test/{name}/0-100000/0", tuple(r[:3] for r in rows), tuple(r[3] for r in rows))])
    found = scorer.compute(diagnosis=True)
    assert (found.metrics, found.by_label, found.diagnosis) == (whole.metrics, whole.by_label, whole.diagnosis)
    with pytest.raises(InputError, match="answered twice"):
        scorer.update([Prediction("test/a/0-100000/0", (), ())])
    scorer.reset()
    assert set(scorer.compute().metrics.values()) == {0.0}


@pytest.mark.quick
def test_the_scorer_takes_numbers_of_numpy_and_names_what_is_none(tmp_path: Path, folder: Path) -> None:
    moments = tiny.write(tmp_path / "moments").folder
    scorer = Scorer(moments, "test")
    one = np.array([10.0, 20.0, 0.5])
    scorer.update([Prediction(tiny.TEST[2].id, ((np.float32(10), np.int64(20), one[2]),))])
    assert scorer.compute().metrics["mIoU"] == pytest.approx(1 / 4)
    sample = tiny.TEST[1].id
    wrong: list[tuple[Any, str]] = [
        (Prediction(sample, ((3.0, float("nan"), 1.0),)), r"answers:2: segments: not an answer.*finite"),
        (Prediction(sample, ((3.0, 4.0),)), "answers:2: segments"),  # type: ignore[arg-type]
        (Prediction(sample, ((3.0, 10**400, 1.0),)), "answers:2: segments"),
        (Prediction(5, ()), "answers:2: sample"),  # type: ignore[arg-type]
        (Prediction("\ud800", ()), "answers:2: sample"),
        ({"sample": sample, "segments": []}, "found 'dict'; expected a Prediction"),
    ]
    for answer, said in wrong:
        with pytest.raises(InputError, match=said):
            scorer.update([answer])
    labelled = Scorer(folder, "test")
    labelled.update([Prediction("test/a/0-100000/0", (tuple(one),), (np.str_("Diving"),))])  # type: ignore[arg-type]
    assert labelled.compute().metrics["mAP@0.5"] == 0.25


@pytest.mark.quick
def test_no_answer_needs_no_labels(folder: Path, tmp_path: Path) -> None:
    path = tiny.answers(tmp_path / "p.jsonl", [
        tiny.answer("test/a/0-100000/0"),
        tiny.answer("test/b/0-100000/0", *(r[:3] for r in B), labels=[r[3] for r in B]),
        tiny.answer("test/c/0-100000/0", labels=None),
    ])  # fmt: skip
    report = score(path, folder, "test")
    assert (report.answered, report.metrics) == (1, score(answers(tmp_path / "b.jsonl", b=B), folder, "test").metrics)
    scorer = Scorer(folder, "test")
    scorer.update([Prediction("test/a/0-100000/0", ())])
    assert scorer.compute().answered == 0
    with pytest.raises(InputError, match="a line without labels"):
        scorer.update([Prediction("test/b/0-100000/0", ((1.0, 2.0, 0.5),))])
    with pytest.raises(InputError, match="not one class a segment"):
        scorer.update([Prediction("test/c/0-100000/0", (), ("Diving",))])


@pytest.mark.quick
def test_numbers_too_large_to_add_are_no_error(folder: Path, tmp_path: Path) -> None:
    """A window without an end holds 1e308 seconds; nothing overflows into a warning or a nan."""
    made = tiny.write(tmp_path / "endless", train=(), test=(video("d", (1.0, 2.0, "Diving"), end=None),),
                      task="detection", vocabularies={"target": CLASSES}, splits=("test",))  # fmt: skip
    path = answers(tmp_path / "p.jsonl", d=[(1, 1.7e308, 1e308, "Diving"), (1, 2, -1.7e308, "Diving")])
    for protocol in ("activitynet", "wtalc"):
        report = score(path, made.folder, "test", protocol=protocol, diagnosis=True, intervals=True)
        assert report.metrics["mAP@0.5"] in (0.0, 0.5)
    moments = tiny.write(tmp_path / "moments").folder
    path = tiny.answers(tmp_path / "q.jsonl", [tiny.answer(tiny.TEST[3].id, (1, 1.7e308, 1e308), (1, 2, -1.7e308))])
    assert all(0 <= low <= high <= 1 for low, high in score(path, moments, "test").intervals.values())


@pytest.mark.quick
def test_the_scorer_refuses_what_a_file_may_not_hold(tmp_path: Path) -> None:
    scorer = Scorer(tiny.write(tmp_path / "m").folder, "test")
    for bad, word in (
        (Prediction("test/nobody/0-10/0", ()), "unknown sample"),
        (Prediction(tiny.TEST[0].id, ((3.0, 1.0, 0.5),)), "reversed"),
        (Prediction(tiny.TEST[1].id, ((0.0, 1e6, 0.5),)), "outside"),
    ):
        with pytest.raises(InputError, match=word):
            scorer.update([bad])
    scorer.update([Prediction(tiny.TEST[2].id, ((10.0, 20.0, 0.5),))])
    assert scorer.compute(intervals=True).metrics["mIoU"] == pytest.approx(1 / 4)


# ---- moments --------------------------------------------------------------------------------------------------------


@pytest.mark.quick
def test_moments_by_kind_of_target(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "m").folder
    truth = [tiny.answer(s.id, *((t.start, t.end, 1.0) for t in s.targets)) for s in tiny.TEST[:2]]
    found = score(tiny.answers(tmp_path / "p.jsonl", truth), folder, "test", diagnosis=True).diagnosis
    assert {name: kind["asked"] for name, kind in found["by_length"].items()} == {
        "to 2.5 s": 2, "5 to 10 s": 1, "10 to 20 s": 1,
    }  # fmt: skip
    assert found["by_position"]["first third"]["metrics"]["mIoU"] == 1.0
    assert sum(kind["asked"] for kind in found["by_coverage"].values()) == 3  # one window has no end


@pytest.mark.quick
def test_protocols_of_moments_agree_where_they_overlap(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "m").folder
    path = tiny.answers(tmp_path / "p.jsonl", [tiny.answer(tiny.TEST[2].id, (9, 20, 0.5), (30, 50, 0.4))])
    whole, released, ibal, ranked = (
        score(path, folder, "test", protocol=name) for name in ("moments", "released", "ibal", "qvhighlights")
    )
    assert released.metrics == {name: value for name, value in whole.metrics.items() if name in released.metrics}
    assert ibal.metrics == {name: value for name, value in whole.metrics.items() if name in ibal.metrics}
    assert (ranked.metrics["R1@0.5"], ranked.metrics["mAP@0.5"], ranked.metrics["mAP@0.95"]) == (1 / 4, 1 / 4, 1 / 16)


# ---- published scores -----------------------------------------------------------------------------------------------


@pytest.mark.check
@pytest.mark.real
def test_autoloc_on_activitynet(real_data: Path, tmp_path: Path) -> None:
    files = {
        part: real_data / "predictions" / f"autoloc_activitynet12_val_{part}.json"
        for part in ("groundtruth", "detections")
    }
    ab.build_dataset("detection", files["groundtruth"], tmp_path / "m")
    for name in ("autoloc", "activitynet"):
        report = score(files["detections"], tmp_path / "m", "val", protocol=name)
        assert [round(value, 4) for value in report.metrics.values()] == [
            0.1604, 0.2733, 0.2494, 0.2251, 0.1990, 0.1747, 0.1514, 0.1297, 0.1002, 0.0683, 0.0327,
        ]  # fmt: skip
        assert report.predictions["format"] == "activitynet"


@pytest.mark.check
@pytest.mark.real
def test_scnn_on_thumos(real_data: Path, tmp_path: Path) -> None:
    ab.build_dataset("detection", real_data / "thumos14" / "annotations_test", tmp_path / "m")
    for t, published in ((0.1, 0.4772), (0.3, 0.3628), (0.5, 0.1897)):
        file = real_data / "predictions" / f"scnn_c3dv10_thumos14_test_iou{t}.txt"
        report = score(file, tmp_path / "m", "test", protocol="thumos-evalkit", tiou=str(t))
        assert report.metrics[f"mAP@{t}"] == pytest.approx(published, abs=1e-4)


@pytest.mark.check
@pytest.mark.real
def test_qvhighlights_has_its_official_metrics(real_data: Path, tmp_path: Path) -> None:
    """Every printed digit of the official metrics file, over all and by length."""
    predictions = real_data / "predictions"
    official = json.loads((predictions / "lighthouse_qvhighlights_sample_val_preds_metrics_raw.json").read_text())
    made = import_manifest(predictions / "lighthouse_qvhighlights_val_release.jsonl", "qvhighlights", tmp_path / "m")
    file = predictions / "lighthouse_qvhighlights_sample_val_preds.jsonl"
    report = score(file, tmp_path / "m", next(iter(made.splits)), protocol="qvhighlights", diagnosis=True)
    groups = {"full": report.metrics} | {k: group["metrics"] for k, group in report.diagnosis["by_length"].items()}
    assert groups.keys() == {"full", "short", "middle", "long"}
    for name, metrics in groups.items():
        printed = {f"mAP@{t}": value for t, value in official[name]["MR-mAP"].items()}
        printed["mAP"] = printed.pop("mAP@average")
        printed |= {f"R1@{t}": value for t, value in official[name]["MR-R1"].items()}
        assert {key: float(f"{100 * value:.2f}") for key, value in metrics.items()} == printed


@pytest.mark.quick
def test_a_report_is_a_table(folder: Path, tmp_path: Path) -> None:
    frame = score(answers(tmp_path / "p.jsonl", a=A, b=B), folder, "test", intervals=True).to_pandas()
    whole = frame[frame["of"] == "whole"].set_index("metric")
    assert list(whole.index) == ["mAP", *(f"mAP@{t}" for t in np.arange(50, 100, 5) / 100)]
    assert whole.loc["mAP@0.5", "score"] == pytest.approx(0.375)
    assert (whole["low"] <= whole["score"]).all() and set(whole["asked"]) == {3}
    classes = frame[(frame["of"] == "class") & (frame["metric"] == "mAP")]
    assert dict(zip(classes["name"], classes["score"], strict=True)) == {"Diving": 0.25, "Rafting": 0.5}

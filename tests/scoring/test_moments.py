"""Scores of moments against the papers' words in plain Python, worked examples, and what may not matter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activity_bench import catalog
from activity_bench.scoring import moments
from activity_bench.scoring.moments import MOMENTS, answer_iou, best_answers, by_group, evaluate, intervals
from activity_bench.segments import to_seconds
from activity_bench.workflow.score import score
from tests import tiny
from tests.reference import moments as reference
from tests.reference.moments import Question

pytestmark = pytest.mark.quick

GOLDEN = Path(__file__).parents[1] / "golden" / "moments"
STEPS = (16 / 30, 16 * 231.56 / 6941, 0.5)
Segments = Sequence[tuple[float, float, float]]


def ious_of(questions: Sequence[Question], answers: Sequence[Segments]) -> np.ndarray:
    """The package's IoU of each question: what the scorer does between reading and adding up."""
    flat = [(place, *segment) for place, segments in enumerate(answers) for segment in segments]
    sample, start, end, value = (np.array(column) for column in zip(*flat, strict=True)) if flat else np.zeros((4, 0))
    best = best_answers(sample.astype(np.int64), start, end, value, len(questions))
    step = np.array([np.nan if q.step is None else q.step for q in questions])
    targets = [(place, *target) for place, q in enumerate(questions) for target in q.targets]
    place, first, last = (np.array(column) for column in zip(*targets, strict=True))
    return answer_iou(best, step, place, first.astype(float), last.astype(float))


ROWS = st.tuples(st.integers(0, 14), st.integers(1, 10)).map(lambda pair: (pair[0], pair[0] + pair[1]))
SCORES = st.sampled_from([0.0, 0.5, 0.5, 1.0, -2.0])  # ties on purpose


@st.composite
def questions(draw: st.DrawFn) -> tuple[Question, Segments]:
    """A question on few rows, so that exact ratios and ties of every kind are common; or the same in seconds."""
    step, base = draw(st.sampled_from([None, *STEPS])), draw(st.sampled_from([0, 977]))
    targets = [(base + a, base + b) for a, b in draw(st.lists(ROWS, min_size=1, max_size=3))]
    rows = [(base + a, base + b) for a, b in draw(st.lists(ROWS, max_size=4))]
    seconds = [to_seconds(pair, step) if step else (float(pair[0]), float(pair[1])) for pair in rows]
    if draw(st.booleans()):  # an answer that is on no row
        seconds = [(a + draw(st.floats(0, 0.2)), b + draw(st.floats(0, 0.9))) for a, b in seconds]
    return Question(targets, step), [(*pair, draw(SCORES)) for pair in seconds]


@settings(max_examples=600)
@given(st.lists(questions(), min_size=1, max_size=12))
def test_every_score_is_that_of_the_papers_words(cases: list[tuple[Question, Segments]]) -> None:
    asked, answers = zip(*cases, strict=True)
    ious = ious_of(asked, answers)
    for value, question, segments in zip(ious, asked, answers, strict=True):
        assert value == pytest.approx(float(reference.best_iou(question, segments)), abs=1e-12)
    found, expected = evaluate(ious), reference.scores(asked, answers)
    assert found.keys() == expected.keys()
    assert found["mIoU"] == pytest.approx(float(expected["mIoU"]), abs=1e-12)
    if all(
        abs(row - round(row)) < 1e-6  # elsewhere the last bit decides at a threshold
        for question, segments in cases
        for segment in segments
        for row in (segment[0] / (question.step or 1), segment[1] / (question.step or 1))
    ):
        assert {k: found[k] for k in found if "@" in k} == {k: float(v) for k, v in expected.items() if "@" in k}
        assert found["top1-mAP"] == pytest.approx(float(expected["top1-mAP"]), abs=1e-15)


WHOLE = st.lists(st.tuples(ROWS, SCORES), max_size=14)


@settings(max_examples=400)
@given(st.lists(st.tuples(st.lists(ROWS, min_size=1, max_size=3, unique=True), WHOLE), min_size=1, max_size=6))
def test_rankings_are_those_of_moment_retrieval(cases: list[tuple[list[tuple[int, int]], list[Any]]]) -> None:
    """Whole numbers and two thresholds that they meet exactly: .5 and .75 are reached, not passed."""
    asked = [Question(targets) for targets, _ in cases]
    answers = [[(float(a), float(b), score) for (a, b), score in found] for _, found in cases]
    flat = [(place, *segment) for place, segments in enumerate(answers) for segment in segments]
    columns = [np.array(column) for column in zip(*flat, strict=True)] if flat else list(np.zeros((4, 0)))
    columns[0] = columns[0].astype(np.int64)
    targets = [(place, *target) for place, q in enumerate(asked) for target in q.targets]
    place, start, end = (np.array(column) for column in zip(*targets, strict=True))
    step = np.full(len(asked), np.nan)
    best = best_answers(*columns, len(asked), "official")
    ious = answer_iou(best, step, place, start.astype(float), end.astype(float))
    assert ious.tolist() == pytest.approx([float(reference.first(q, a)) for q, a in zip(asked, answers, strict=True)])
    found = moments.average_precision(tuple(columns), step, place, start.astype(float), end.astype(float), "official")
    for t, at in (("0.5", 0), ("0.75", 5)):
        expected = [float(reference.ranking(q, a, t)) for q, a in zip(asked, answers, strict=True)]
        assert found[:, at].tolist() == pytest.approx(expected, abs=1e-12)


@settings(max_examples=100)
@given(st.lists(questions(), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_order_is_nothing_to_the_last_bit(cases: list[tuple[Question, Segments]], rng) -> None:
    asked, answers = zip(*cases, strict=True)
    expected = evaluate(ious_of(asked, answers)), intervals(ious_of(asked, answers))
    shuffled = [(question, rng.sample(segments, len(segments))) for question, segments in cases]
    rng.shuffle(shuffled)
    asked, answers = zip(*shuffled, strict=True)
    assert (evaluate(ious_of(asked, answers)), intervals(ious_of(asked, answers))) == expected


# ---- worked by hand, through files ----------------------------------------------------------------------------------


def test_the_golden_example(tmp_path: Path) -> None:
    folder = tiny.by_hand(tmp_path / "m", (GOLDEN / "test.jsonl").read_bytes())
    report = score(GOLDEN / "predictions.jsonl", folder, "test")
    expected = json.loads((GOLDEN / "scores.json").read_text())
    assert (report.asked, report.answered) == (expected["asked"], expected["answered"])
    for name, share in expected["scores"].items():
        assert report.metrics.pop(name) == pytest.approx(float(Fraction(share)), abs=1e-12), name
    assert not report.metrics
    assert report.by_label["A"]["asked"] == 5
    # b c d e are ties at their threshold; on the grid none may count
    assert report.by_label["A"]["metrics"]["top1-mAP@0.5"] == 4 / 5
    assert report.by_label["A"]["metrics"]["top1-mAP@0.7"] == 3 / 5


def test_a_reversed_file_scores_the_same_to_the_last_bit(tmp_path: Path) -> None:
    folder = tiny.by_hand(tmp_path / "m", (GOLDEN / "test.jsonl").read_bytes())
    lines = (GOLDEN / "predictions.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "p.jsonl").write_bytes(b"".join(reversed(lines)))
    one, other = (score(path, folder, "test") for path in (GOLDEN / "predictions.jsonl", tmp_path / "p.jsonl"))
    assert (one.metrics, one.intervals, one.by_label) == (other.metrics, other.intervals, other.by_label)


def test_the_truth_scores_one_and_silence_zero(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "m").folder
    truth = [tiny.answer(s.id, *((t.start, t.end, 1.0) for t in s.targets)) for s in tiny.TEST]
    report = score(tiny.answers(tmp_path / "p.jsonl", truth), folder, "test")
    assert set(report.metrics.values()) == {1.0}
    assert set(report.by_part) == {"simple", "difficult"}
    assert all(set(group["metrics"].values()) == {1.0} for group in (report.by_part | report.by_label).values())
    (tmp_path / "empty.jsonl").write_bytes(b"")
    nothing = score(tmp_path / "empty.jsonl", folder, "test")
    assert (nothing.asked, nothing.answered) == (4, 0)
    assert set(nothing.metrics.values()) == {0.0}
    assert nothing.intervals["IoU@0.5"] == (0.0, pytest.approx(1 - 0.025 ** (1 / 4), abs=1e-12))
    assert nothing.warnings == ["4 of 4 samples have no answer and count as 0"]


def test_no_intervals(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "m").folder
    path = tiny.answers(tmp_path / "p.jsonl", [tiny.answer(tiny.TEST[0].id, [0, 2, 1])])
    assert score(path, folder, "test", intervals=False).intervals == {}
    assert score(path, folder, "test").intervals.keys() == score(path, folder, "test").metrics.keys()


# ---- answers --------------------------------------------------------------------------------------------------------


def test_equal_scores_go_to_the_first_to_start_then_to_end() -> None:
    sample = np.array([0, 0, 0, 1, 1])
    start, end, value = (np.array(c, float) for c in ([3, 1, 1, 5, 6], [9, 9, 4, 6, 8], [1, 1, 1, 0.2, 0.3]))
    best = best_answers(sample, start, end, value, 3)
    assert best[0].tolist()[:2] == [1, 6]
    assert best[1].tolist()[:2] == [4, 8]
    assert np.isnan(best[0][2])
    assert np.isnan(best[1][2])


def test_no_answer_at_all() -> None:
    nothing = np.zeros(0)
    best = best_answers(nothing.astype(np.int64), nothing, nothing, nothing, 2)
    assert answer_iou(best, np.array([np.nan, 0.5]), np.arange(2), np.zeros(2), np.ones(2)).tolist() == [0, 0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.data())
def test_groups_add_up_to_the_whole(ious: list[float], data: st.DataObject) -> None:
    values = np.array(ious)
    codes = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=len(ious), max_size=len(ious))))
    used = sorted(set(codes[codes >= 0].tolist()))
    codes = np.array([used.index(code) if code >= 0 else -1 for code in codes])
    groups = by_group(values, codes, [f"word {code}" for code in used])
    for place, code in enumerate(used):
        members = values[codes == place]
        assert groups[f"word {code}"] == {"asked": len(members), "metrics": evaluate(members)}


def test_each_metric_states_its_rule() -> None:
    for metric in MOMENTS.metrics:
        assert ("no tie" in metric.definition) == (not metric.thresholds)
        assert not metric.thresholds or ("IoU > " in metric.definition and "strictly" in metric.definition)
        for t in metric.thresholds:
            assert metric.scores(np.array([t]))[f"{metric.name}@{t}"] == 0
            assert metric.columns(np.array([t]))[f"{metric.name}@{t}"].tolist() == [0]
            assert metric.scores(np.array([np.nextafter(t, 1)]))[f"{metric.name}@{t}"] == 1
    assert MOMENTS.scores == [
        "mIoU", "IoU@0.3", "IoU@0.5", "IoU@0.7",
        *(f"top1-mAP@{t}" for t in (0.5, 0.6, 0.7, 0.8, 0.9)), "top1-mAP",
    ]  # fmt: skip
    assert moments.VERSION == 1


def test_no_interval_passes_nought_or_one() -> None:
    """Few small values in many samples: their draws reach 0, and what is rounded goes a bit beyond."""
    values = np.zeros(300)
    for share in np.linspace(0.01, 0.99, 50):
        values[0] = share
        for ious in (values, 1 - values):
            assert all(0 <= low <= high <= 1 for low, high in intervals(ious).values())


PAGE = Path(__file__).parents[2] / "docs" / "protocols.md"


def cells(rules: moments.MomentProtocol) -> list[str]:
    """A row of the page's table."""

    def at(metric: moments.Metric) -> str:
        first, *_, last = metric.thresholds or (0, 0)
        few = ", ".join(f"{t:g}" for t in metric.thresholds)
        shown = few if len(metric.thresholds) < 6 else f"{first:g} to {last:g} by {metric.thresholds[1] - first:.2g}"
        return f"`{metric.name}`" + (f" at {shown}" if metric.thresholds else "")

    foreign = rules.foreign
    return [
        f"`{rules.name}`",
        ", ".join(at(metric) for metric in rules.metrics),
        ", ".join({"IoU > t" if metric.strict else "IoU >= t" for metric in rules.metrics if metric.thresholds}),
        "the earlier" if rules.ties == "stable" else "the first in the file",
        ", ".join(f"{name} to {high:g} s" for name, (_, high) in rules.lengths.items()) or "none",
        f"{foreign.unknown_video}, {foreign.outside}, {foreign.empty}",
    ]


def test_the_page_shows_every_protocol_as_it_is() -> None:
    flat = " ".join(PAGE.read_text(encoding="utf-8").split())
    for name in catalog.PROTOCOLS:
        rules = catalog.load("protocol", catalog.PROTOCOLS, name)
        assert f"- `{name}`: {rules.definition}. {rules.differences}" in flat
        if rules.task == "moment":
            assert "| " + " | ".join(cells(rules)) + " |" in flat


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_scores_are_the_means_of_their_columns(ious: list[float]) -> None:
    values = np.array(ious)
    for metric in MOMENTS.metrics:
        columns = metric.columns(values)
        assert columns.keys() == metric.scores(values).keys()
        for name, value in metric.scores(values).items():
            assert value == pytest.approx(columns[name].mean(), abs=1e-12)

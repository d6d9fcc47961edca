"""localize: windows that cover a video, answers merged, features made as the model's were, activities found."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.data import manifest as manifests
from activity_bench.data.features import Attributes, Timing, open_features
from activity_bench.errors import InputError
from activity_bench.features import projection
from activity_bench.features.cut import cut
from activity_bench.features.units import Units
from activity_bench.segments import iou
from activity_bench.simulation.clips import CLASSES, ClipsOptions, encode, plan
from activity_bench.training.pairs import pair_of
from activity_bench.types import Prediction
from activity_bench.workflow.extract import extract_features
from activity_bench.workflow.localize import Answer, localize, merged, questions, windows
from activity_bench.workflow.recipe import AtHand, recipe_of
from activity_bench.workflow.train import train
from tests import tiny
from tests.workflow import asked

TAUGHT, HELD_OUT = 18, 10  # videos: learnt from; those between are asked with, the last are searched
HAS = AtHand(random_weights=True, backbone=asked.MOVING)


# ---- windows and answers --------------------------------------------------------------------------------------------


@pytest.mark.quick
@given(rows=st.integers(1, 5000), size=st.integers(2, 700))
def test_windows_cover_a_video_and_overlap_by_half(rows: int, size: int) -> None:
    found = windows(rows, size)
    assert found[0][0] == 0 and found[-1][1] == rows
    assert {last - first for first, last in found} == {min(rows, size)}
    assert all(after[0] - before[0] <= size // 2 for before, after in pairwise(found))
    assert len(found) <= math.ceil(rows / (size // 2))
    for length in {1, size - size // 2}:  # whatever is no longer than half a window lies within one
        starts = range(0, rows - length + 1, 97)
        assert all(any(first <= at and at + length <= last for first, last in found) for at in starts)


class Rows:
    """Features of which only the timing and the lengths are asked."""

    def __init__(self, timing: Timing, video: int, query: int) -> None:
        self.timing, self._rows = timing, {"video": video, "query": query}

    def rows(self, video: str) -> int:
        return self._rows[video]


@pytest.mark.quick
@given(
    fps=st.sampled_from([1.0, 2.0, 15.0, 24.0, 25.0, 30000 / 1001, 59.94]), window=st.integers(1, 64),
    stride=st.integers(1, 64), rows=st.integers(1, 3000), query=st.integers(1, 90), size=st.integers(2, 700),
)  # fmt: skip
def test_a_question_is_of_the_rows_of_its_window(
    fps: float, window: int, stride: int, rows: int, query: int, size: int
) -> None:
    features: Any = Rows(Timing(fps, window, stride), rows, query)
    duration = ((rows - 1) * stride + window) / fps
    for sample, own in zip(questions(features, "clip", duration, size), windows(rows, size), strict=True):
        pair = pair_of(sample, features)
        assert (pair.window, pair.query) == (own, (0, query))


@st.composite
def predicted(draw: Callable[..., Any]) -> list[Prediction]:
    segment = st.tuples(st.integers(0, 50), st.integers(1, 30), st.sampled_from([0.1, 0.2, 0.5, 0.9]))
    several = st.lists(st.lists(segment, max_size=4), max_size=5)
    return [
        Prediction(str(place), tuple((float(s), float(s + length), score) for s, length, score in some))
        for place, some in enumerate(draw(several))
    ]


@pytest.mark.quick
@given(predictions=predicted(), top=st.integers(1, 6))
def test_answers_are_the_best_that_are_not_one_another(predictions: list[Prediction], top: int) -> None:
    every = [Answer(*segment) for prediction in predictions for segment in prediction.segments]
    found = merged(predictions, top)
    assert found == merged(predictions[::-1], top)  # in whichever window it was
    assert set(found) <= set(every) and len(found) <= top
    if every:
        assert found[0].score == max(answer.score for answer in every)
    over = [[float(iou(a.start, a.end, b.start, b.end)) for b in found] for a in every]
    assert all(over[every.index(a)][j] < 0.5 for i, a in enumerate(found) for j in range(len(found)) if i != j)
    if len(found) < top:  # all others were given up for a better one
        for answer, row in zip(every, over, strict=True):
            assert any(value >= 0.5 and kept.score >= answer.score for value, kept in zip(row, found, strict=True))


# ---- how the features were made -------------------------------------------------------------------------------------


def run_of(folder: Path, **changes: Any) -> Path:
    """A run.json as far as features go."""
    folder.mkdir()
    stated = Attributes(**{**asked.ATTRIBUTES.as_dict(), **changes}).as_dict()
    (folder / "run.json").write_text(json.dumps({"features": {"file": "f.h5", **stated}}))
    return folder


SHA = "ab" * 32


@pytest.mark.quick
@pytest.mark.parametrize(
    ("changes", "has", "said"),
    [
        ({"backbone": "simulated", "weights_sha256": SHA}, {}, "trained on features of the simulated world"),
        ({"backbone": "unknown"}, {}, "nobody knows how the features"),
        ({"offset": 8}, {}, "nobody knows how the features"),
        ({}, {}, "found 'moving'; expected --backbone module:attribute"),
        ({"backbone": "c3d-fc6"}, {"backbone": "i3d-rgb"}, "--backbone: the model was trained .* expected c3d-fc6"),
        ({"backbone": "c3d-fc6"}, {}, "c3d-fc6, layer movement. were made without trained weights.*--random-weights"),
        ({"backbone": "c3d-fc6"}, {"weights": Path("w.pth")}, "made without trained weights; found 'w.pth'"),
        ({"backbone": "c3d-fc6", "weights_sha256": SHA}, {}, f"needs the weights .* c3d-fc6, layer .*sha256 {SHA}"),
        ({"backbone": "c3d-fc6", "weights_sha256": SHA}, {"random_weights": True}, f"real weights .*sha256 {SHA}"),
        ({"projection": "pca 3 sha256:1"}, {"random_weights": True, "backbone": "m:a"}, "projected; found 'pca 3"),
        ({}, {"random_weights": True, "backbone": "m:a", "projection": Path("p")}, "not projected; found 'p'"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_named(
    changes: dict[str, Any], has: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said):
        recipe_of(run_of(tmp_path / "run", **changes), AtHand(**has))


@pytest.mark.quick
def test_other_weights_are_refused_and_the_own_ones_taken(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"weights")
    has = AtHand(weights=tmp_path / "w.pth")
    own = hashlib.sha256(b"weights").hexdigest()
    with pytest.raises(InputError, match=rf"w\.pth: --weights: other weights .*found '{own}'; expected {SHA}"):
        recipe_of(run_of(tmp_path / "other", backbone="c3d-fc6", weights_sha256=SHA), has)
    stated = {"backbone": "c3d-fc6", "weights_sha256": own, "decoder": "pyav, frames of the file"}
    task = recipe_of(run_of(tmp_path / "own", **stated), has).task
    assert (task.backbone, task.decoder, task.own_rate) == ("c3d-fc6", "pyav", True)
    assert (task.fps, task.window, task.stride) == (25.0, 8, 4)


# ---- a model that knows the activities ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rendered videos, and a model that was trained on the first of them, with their principal components."""
    folder = tmp_path_factory.mktemp("rendered")
    clips = plan(ClipsOptions(videos=TAUGHT + len(CLASSES) + HELD_OUT))
    for part, some in (("taught", clips[:TAUGHT]), ("held-out", clips[TAUGHT:])):
        (folder / part).mkdir()
        for clip in some:
            (folder / part / f"{clip.id}.mp4").write_bytes(encode(clip, 0))
    store = folder / "features.h5"
    extract_features(folder / "taught", asked.MOVING, store, random_weights=True, workers=1, **asked.TIMING)
    tiny.write(folder / "manifest", tuple(asked.samples(clips[:TAUGHT])), ())
    options = {"steps": 120, "batch": 16, "hidden": 24, "longest": 26, "lr": 3e-3, "workers": 0, "device": "cpu"}
    train("cgbm", folder / "manifest", folder / "run", features=store, options=options)
    return folder


def question(world: Path, number: int) -> tuple[Any, Path, Path]:
    """A held-out video and a clip of its activity, cut out of another one that the model has not seen."""
    clips = plan(ClipsOptions(videos=TAUGHT + len(CLASSES) + HELD_OUT))
    clip = clips[-HELD_OUT + number]
    label = clip.activities[0].label
    other, activity = next((c, a) for c in clips[TAUGHT:-HELD_OUT] for a in c.activities if a.label == label)
    path = world / f"asked with {number}.mp4"
    cut(world / "held-out" / f"{other.id}.mp4", *asked.span(other, activity), path)
    return clip, world / "held-out" / f"{clip.id}.mp4", path


@pytest.mark.check
def test_rendered_activities_are_found(world: Path) -> None:
    """In most of ten videos asked at once; in windows of 6 seconds in half of them, for some windows lack the activity,
    and are answered all the same."""
    found: dict[int, list[float]] = {512: [], 40: []}
    for number in range(HELD_OUT):
        clip, video, query = question(world, number)
        spans = [asked.span(clip, a) for a in clip.activities if a.label == clip.activities[0].label]
        for rows, values in found.items():
            said = localize(world / "run", video, clip=query, has=HAS, cache=world / "cache", rows=rows)
            best = said.answers[0]
            values.append(max(float(iou(best.start, best.end, *span)) for span in spans))
            assert said.duration == pytest.approx(clip.seconds(-1), abs=1 / 25)
            assert said.windows == len(windows(Units(25.0, 8, 4).rows_for(round(said.duration * 25)), rows))
    at_once, windowed = (sum(value > 0.5 for value in values) for values in found.values())
    assert at_once >= 8 and windowed >= 5, found


# ---- other features -------------------------------------------------------------------------------------------------


@pytest.mark.check
def test_features_are_projected_as_the_models_were(tmp_path: Path) -> None:
    video = asked.long(tmp_path / "video.mp4", 30)
    raw = asked.untaught(tmp_path / "raw", fps=1.0).parent
    learnt = open_features(raw / "features.h5"), manifests.load(raw / "manifest")
    made = [projection.fit(*learnt, dim) for dim in (3, 2)]
    for name, one in zip("ab", made, strict=True):
        projection.write(one, tmp_path / name)
    run = asked.untaught(tmp_path / "small", projection=made[0].name, dim=3, fps=1.0)
    own, other = (replace(HAS, projection=tmp_path / name) for name in "ab")
    found = localize(run, video, clip=video, has=own, cache=tmp_path / "cache")
    assert (found.features.dim, found.features.projection, found.windows) == (3, made[0].name, 1)
    for has, said in ((HAS, "--projection FILE, the very one"), (other, "another projection than that")):
        with pytest.raises(InputError, match=said):
            localize(run, video, clip=video, has=has, cache=tmp_path / "cache")


@pytest.mark.check
def test_each_files_own_frames_are_in_its_own_seconds(tmp_path: Path) -> None:
    """Features that state 30 frames a second, of the frames of a file that has 1."""
    run = asked.untaught(tmp_path / "own", decoder="pyav, frames of the file", fps=30.0)
    video = asked.long(tmp_path / "video.mp4", 100)
    found = localize(run, video, clip=video, has=HAS, cache=tmp_path / "cache", rows=10, top=5)
    assert (found.duration, found.features.fps, found.windows) == (100.0, 1.0, 4)  # (100 - 8) / 4 + 1 = 24 rows
    assert 12 < max(answer.end for answer in found.answers) <= 100

"""Features of cut clips: told from those of whole videos for all clips at once, and read at the clips' places."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from activity_bench.data.features import Attributes, FeatureStore, write_store
from activity_bench.errors import InputError
from activity_bench.training import preflight
from activity_bench.training.clips import CutClips, notes, placed
from activity_bench.training.videos import video_of
from activity_bench.training.watch import Silent
from activity_bench.types import Query, Sample, Target, Window
from tests.training.trimmed import made_stage, method

pytestmark = pytest.mark.quick

STEP = 16 / 30
TEN = 18  # whole rows of ten seconds


def store(path: Path, rows: Mapping[str, int], **changes: Any) -> FeatureStore:
    """Features of which every row says where it stands."""
    plain: dict[str, Any] = {
        "backbone": "made", "weights_sha256": "none", "decoder": "none", "decoder_version": "none", "fps": 30.0,
        "window": 16, "stride": 16, "offset": 0, "dtype": "float32", "layer": "none", "projection": "none", "dim": 2,
    }  # fmt: skip
    arrays = ((name, np.arange(2 * count, dtype=np.float32).reshape(count, 2)) for name, count in rows.items())
    write_store(path, Attributes(**{**plain, **changes}), arrays)
    return FeatureStore(path)


def clip(video: str, start: float, length: float = 10.0, label: str = "abseiling") -> Sample:
    return Sample(
        f"train/{video}/{start}/{label}", Query("classes", vocabulary="source"), Window(video, start, start + length),
        (Target(start, start + length, label),), label,
    )  # fmt: skip


def whole(video: str) -> Sample:
    return Sample(f"test/{video}", Query("classes", vocabulary="target"), Window(video, 0.0, None), ())


CLIPS = [clip("a", 186.0), clip("b", 0.0), clip("c", 2.0), clip("d", 6724.0)]


def test_cut_clips_are_read_at_their_places(tmp_path: Path) -> None:
    features = store(tmp_path / "f.h5", {"a": 18, "b": 19, "c": 18, "d": 16, "t": 40})
    lines = [*CLIPS, whole("t")]
    cut = placed(lines, features)
    assert isinstance(cut, CutClips)
    assert notes(cut) == "4 clips are cut: row 0 of their features is where the clip begins"
    assert (cut.dim, cut.timing, cut.digest, cut.images) == (2, features.timing, features.digest, None)
    assert cut.ids() == features.ids() and cut.rows("t") == 40
    for line in CLIPS:
        video = video_of(line, cut, {"abseiling": 0})
        first = int(line.video.start / STEP)
        assert video.window[0] == first and video.window[1] - first in (16, 18, 19)
        np.testing.assert_array_equal(cut.read(video.video, *video.window), features.read(video.video, 0, 19))
        np.testing.assert_array_equal(cut.read(video.video, first + 3, first + 5), features.read(video.video, 3, 5))
    np.testing.assert_array_equal(cut.read("t", 3, 7), features.read("t", 3, 7))
    preflight.check(lines, cut, "classes")
    again = placed(lines, cut)  # asked twice
    assert isinstance(again, CutClips) and again.features is features
    assert placed([whole("t")], cut) is features


def test_whole_videos_stay_as_they_are(tmp_path: Path) -> None:
    """One that ends with its clip, and fits either way, follows the others."""
    rows = {"a": 500, "b": 18, "c": 18, "d": 12_700}
    features = store(tmp_path / "f.h5", rows)
    assert placed(CLIPS, features) is features
    near = store(tmp_path / "near.h5", {"b": 300, "c": 26})
    assert placed([clip("b", 0.0), clip("c", 3.0)], near) is near
    assert placed([], features) is features and placed([whole("a")], features) is features


def test_clips_that_begin_with_their_videos(tmp_path: Path) -> None:
    """Nothing tells but that no clip's end is there."""
    features = store(tmp_path / "f.h5", {"b": 18, "c": 18, "e": 17})
    assert isinstance(placed([clip("b", 0.0), clip("c", 2.0)], features), CutClips)
    assert placed([clip("b", 0.0)], features) is features
    more = store(tmp_path / "more.h5", {"c": 18, "e": 23})
    assert placed([clip("c", 2.0), clip("e", 2.0)], more) is more


def test_a_store_of_both_is_refused(tmp_path: Path) -> None:
    features = store(tmp_path / "f.h5", {"a": 18, "b": 18, "c": 90, "d": 16})
    with pytest.raises(InputError, match=r"--features: the features of some clips .*found '2 cut, a with 18 rows; 1 w"):
        placed(CLIPS, features)


def test_what_is_no_cut_clip(tmp_path: Path) -> None:
    """Wrong strides are no cut clips; a video that is asked as a whole, too, is none."""
    for name, rows in (("short", {"a": 9, "b": 9}), ("long", {"a": 36, "b": 36})):
        features = store(tmp_path / f"{name}.h5", rows)
        assert placed(CLIPS[:2], features) is features
        with pytest.raises(InputError, match="a: these features end long before the video"):
            preflight.check(CLIPS[:2], features, "classes")
    features = store(tmp_path / "f.h5", {"a": 18, "e": 18, "f": 18, "g": 3, "h": 40})
    assert placed([clip("a", 186.0), whole("a")], features) is features
    several = [clip("a", 186.0), clip("e", 86.0), clip("f", 50.0)]
    found = placed([*several, clip("g", 70.0)], features)
    assert isinstance(found, CutClips) and notes(found).endswith("begins; 1 of them end long before the clip")
    preflight.check([*several, clip("g", 70.0)], found, "classes")
    with pytest.raises(InputError, match="h: more rows than the cut clip can have; found '40 rows'; expected about 18"):
        placed([*several, clip("h", 970.0)], features)
    with pytest.raises(InputError, match=r"a: several clips of this video, .*expected features named a_000186_000196"):
        placed([*several, clip("a", 386.0)], features)
    assert isinstance(placed([*several, clip("a", 186.0, label="zumba")], features), CutClips)


def test_features_named_as_the_files_of_cut_clips(tmp_path: Path) -> None:
    features = store(tmp_path / "f.h5", {"a_000186_000196": 18, "a_000000_000010": 18, "a_000190_000200": 17, "t": 9})
    lines = [clip("a", 186.0), clip("a", 0.0), clip("a", 190.0), whole("t")]
    cut = placed(lines, features)
    assert isinstance(cut, CutClips) and cut.ids() == ["a", "t"]
    preflight.check(lines, cut, "classes")
    for line in lines[:3]:
        name = f"a_{line.video.start:06.0f}_{line.video.end:06.0f}"
        video = video_of(line, cut, {"abseiling": 0})
        np.testing.assert_array_equal(cut.read("a", *video.window), features.read(name))
    with pytest.raises(InputError, match=r"a: the features lack this clip of a video .*found \[60.0, 70.0\]"):
        placed([*lines, clip("a", 60.0)], features)
    with pytest.raises(InputError, match="lack 1 of the 3 videos that are asked; found 'b'"):
        preflight.check([*lines, clip("b", 60.0)], placed([*lines, clip("b", 60.0)], features), "classes")


def test_other_timings(tmp_path: Path) -> None:
    """Windows of 64 frames every 8, from the second frame on."""
    features = store(tmp_path / "f.h5", {"a": 30}, window=64, stride=8, offset=1)
    cut = placed([clip("a", 186.0)], features)
    assert isinstance(cut, CutClips)
    video = video_of(clip("a", 186.0), cut, {"abseiling": 0})
    np.testing.assert_array_equal(cut.read("a", *video.window), features.read("a"))


def test_cut_clips_teach_what_whole_videos_teach(tmp_path: Path) -> None:
    """To the bit, where the rows are the same; said before the first step; whole videos are answered as before."""
    stage = made_stage(tmp_path)
    train, whole = stage.trimmed.samples("train")[:60], FeatureStore(stage.features)
    windows = {line.video.id: video_of(line, whole, {str(line.label): 0}).window for line in train}
    tested = {line.video.id: (0, whole.rows(line.video.id)) for line in stage.trimmed.samples("test")[:6]}
    arrays = ((video, whole.read(video, *rows)) for video, rows in {**windows, **tested}.items())
    write_store(tmp_path / "cut.h5", whole.attributes, arrays)
    said: list[str] = []

    class Notes(Silent):
        def note(self, text: str) -> None:
            said.append(text)

    fitted = [method(stage), method(stage)]
    fitted[1].provider = FeatureStore(tmp_path / "cut.h5")
    for each in fitted:
        each.fit(train, [], watch=Notes())
    assert [text for text in said if "cut" in text] == [
        "60 clips are cut: row 0 of their features is where the clip begins"
    ]
    first, second = (each.trained.state_dict() for each in fitted if each.trained is not None)
    assert all(torch.equal(first[name], second[name]) for name in first)
    questions = [line.question() for line in stage.trimmed.samples("test")[:6]]
    answers = [list(each.predict(questions)) for each in fitted]
    assert answers[0] == answers[1]


@pytest.mark.real
def test_every_40th_clip_of_the_real_list(real_data: Path, tmp_path: Path) -> None:
    """At 25 frames a second; whole videos end anywhere after their clips, or a little before."""
    listed = list(csv.DictReader((real_data / "kinetics/kinetics-400_val.csv").read_text().splitlines()))[::40]
    lines = [clip(row["youtube_id"], float(row["time_start"])) for row in listed]
    cut = store(tmp_path / "cut.h5", {line.video.id: 15 for line in lines}, fps=25.0)
    assert notes(placed(lines, cut)).startswith("498 clips are cut: row 0")
    ends = {line.video.id: int((line.video.end or 0) * 25 / 16) + n % 60 - 3 for n, line in enumerate(lines)}
    whole = store(tmp_path / "whole.h5", ends, fps=25.0)
    assert placed(lines, whole) is whole

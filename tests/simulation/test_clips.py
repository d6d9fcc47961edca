"""Rendered clips: real files that decode to what was planned, motions that differ by measure, annotations."""

from __future__ import annotations

import builtins
import hashlib
import json
from collections import Counter, defaultdict
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from click.testing import CliRunner

from activity_bench.cli.clips import clips as command
from activity_bench.data.annotations import activitynet
from activity_bench.errors import InputError
from activity_bench.simulation.clips import CLASSES, LEAST, ODD_ONE, TREE, VARIABLE, Clip, ClipsOptions, encode, plan
from activity_bench.simulation.clips_drawing import frames
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.clips import simulate_clips

pytestmark = pytest.mark.check


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Clip]]:
    folder = tmp_path_factory.mktemp("clips") / "clips"
    return folder, simulate_clips(folder, options={"videos": 27})


def decoded(path: Path) -> tuple[list[Fraction], list[np.ndarray], Fraction]:
    """When each frame is shown, its pixels, and how long the video lasts."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        shown, pixels = [], []
        for frame in container.decode(stream):
            shown.append(frame.pts * stream.time_base)
            pixels.append(frame.to_ndarray(format="rgb24"))
        return shown, pixels, stream.duration * stream.time_base


def test_every_file_decodes_to_the_planned_frames(made: tuple[Path, list[Clip]]) -> None:
    folder, clips = made
    assert sorted(path.stem for path in (folder / "videos").iterdir()) == sorted(clip.id for clip in clips)
    for clip in clips:
        shown, pixels, duration = decoded(folder / "videos" / f"{clip.id}.mp4")
        assert shown == [tick * clip.tick for tick in clip.ticks[:-1]], clip.id
        assert duration == clip.ticks[-1] * clip.tick
        assert {array.shape for array in pixels} == {(clip.height, clip.width, 3)}


def test_the_pixels_are_those_that_were_drawn(made: tuple[Path, list[Clip]]) -> None:
    """Encoding loses little: 3 % of the range in the mean of any frame."""
    folder, clips = made
    for clip in clips[:: len(clips) // 3]:
        _, pixels, _ = decoded(folder / "videos" / f"{clip.id}.mp4")
        drawn = list(frames(clip, 0))
        assert len(drawn) == len(pixels)
        errors = [np.abs(a.astype(int) - b).mean() for a, b in zip(drawn, pixels, strict=True)]
        assert max(errors) < 0.03 * 255


def test_sizes_and_rates_differ(made: tuple[Path, list[Clip]]) -> None:
    _, clips = made
    assert len({(clip.width, clip.height) for clip in clips}) >= 5
    assert len({clip.rate for clip in clips}) >= 5
    assert [clip.rate is None for clip in clips].index(True) == VARIABLE
    assert len(set(np.diff(clips[VARIABLE].ticks))) == 4
    assert (clips[ODD_ONE].width % 2, clips[ODD_ONE].height % 2) == (1, 1)
    assert {len(clip.activities) for clip in clips} == {1, 2, 3}
    assert any(len({activity.label for activity in clip.activities}) > 1 for clip in clips)


def test_the_annotations_are_exact_in_frames(made: tuple[Path, list[Clip]]) -> None:
    folder, clips = made
    corpus = activitynet.read(folder / "clips.json")
    assert corpus.mended == {}
    assert {label: path[0] for label, path in corpus.tree.items() if label in CLASSES} == {
        label: group for group, labels in TREE.items() for label in labels
    }
    raw = json.loads((folder / "clips.json").read_text())["database"]
    for clip, video in zip(clips, corpus.videos, strict=True):
        assert (video.id, video.duration) == (clip.id, float(clip.ticks[-1] * clip.tick))
        edges = [0, *(edge for a in clip.activities for edge in (a.first, a.last)), len(clip.ticks) - 1]
        assert edges == sorted(set(edges)), "background before, between and after"
        for activity, instance, entry in zip(
            clip.activities, video.instances, raw[clip.id]["annotations"], strict=True
        ):
            assert (instance.start, instance.end) == (clip.seconds(activity.first), clip.seconds(activity.last))
            assert (instance.label, entry["frames"]) == (activity.label, [activity.first, activity.last])


def motion(pixels: list[np.ndarray], first: int, last: int) -> np.ndarray:
    """Where in the picture something fast happens during [first, last): an 8 x 8 map of large changes, of length 1."""
    grey = np.stack([array.mean(axis=2) for array in pixels[first:last]])
    moving = (np.abs(np.diff(grey, axis=0)) > 24).mean(axis=0)
    rows, columns = (np.array_split(np.arange(size), 8) for size in moving.shape)
    found = np.array([[moving[np.ix_(r, c)].mean() for c in columns] for r in rows]).ravel()
    return found / np.linalg.norm(found)


def test_classes_differ_in_how_they_move(made: tuple[Path, list[Clip]]) -> None:
    """The class of an activity whose map is nearest, of all in other videos, is its own far more often than by chance.

    By chance one in nine is. And what moves in an activity is several times what moves in the background.
    """
    folder, clips = made
    found: list[tuple[str, str, np.ndarray]] = []
    lively = []
    for clip in clips:
        _, pixels, _ = decoded(folder / "videos" / f"{clip.id}.mp4")
        found += [(clip.id, a.label, motion(pixels, a.first, a.last)) for a in clip.activities]
        changes = np.array([np.abs(b.astype(int) - a).mean() for a, b in pairwise(pixels)])
        active = np.zeros(len(changes), bool)
        for activity in clip.activities:
            active[activity.first : activity.last - 1] = True
        lively.append(changes[active].mean() / changes[~active].mean())
    right = 0
    for name, label, one in found:
        others = [(float(one @ other), other_label) for video, other_label, other in found if video != name]
        right += max(others)[1] == label
    assert right / len(found) > 4 / len(CLASSES)
    assert np.median(lively) > 1.3


def test_the_same_again_and_one_video_more(made: tuple[Path, list[Clip]], tmp_path: Path) -> None:
    """Pixels are pinned by the options, bytes by the encoder too; a further video changes no other."""
    _, clips = made
    assert plan(ClipsOptions(videos=28))[:27] == clips
    assert plan(ClipsOptions(seed=1, videos=27)) != clips
    assert encode(clips[VARIABLE], 0) == encode(clips[VARIABLE], 0)
    one, again, other = (pixels_of(plan(ClipsOptions())[ODD_ONE], seed) for seed in (0, 0, 1))
    assert one == again != other


def pixels_of(clip: Clip, seed: int) -> str:
    digest = hashlib.sha256()
    for picture in frames(clip, seed):
        digest.update(picture.tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize(
    ("name", "options"),
    [("relocalization", {}), ("activity-ibal", {"min_target": 1.5, "max_target": 8.0}), ("detection", {})],
)
def test_the_annotations_build(name: str, options: Any, made: tuple[Path, list[Clip]], tmp_path: Path) -> None:
    folder, clips = made
    built = build_dataset(name, [folder / "clips.json"], tmp_path / "m", options=options)
    samples = [sample for split in built.splits for sample in built.samples(split)]
    asked = Counter(sample.video.id for sample in samples)
    assert set(asked) <= {clip.id for clip in clips}
    assert len(asked) >= len(clips) * 3 // 4


def test_classes_take_turns() -> None:
    """Each class has two videos at least, in training and in validation, however few there are."""
    subsets = defaultdict(set)
    for clip in plan(ClipsOptions(videos=LEAST)):
        subsets[clip.activities[0].label].add(clip.subset)
    assert subsets == {label: {"training", "validation"} for label in CLASSES}
    with pytest.raises(InputError, match="videos"):
        ClipsOptions(videos=LEAST - 1)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of someone else's is left alone; without PyAV it is said how to install it, and nothing is left."""
    said = CliRunner().invoke(command, ["--out", str(tmp_path / "c"), "--videos", "18"])
    assert (said.exit_code, said.stdout) == (0, f"{tmp_path / 'c' / 'clips.json'}\n")
    with pytest.raises(InputError, match="exists"):
        simulate_clips(tmp_path / "c", options={"videos": 18})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").touch()
    with pytest.raises(InputError, match="not ours"):
        simulate_clips(tmp_path / "other", options={"videos": 18}, force=True)
    real = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name == "av":
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'activity-bench\[video\]'"):
        simulate_clips(tmp_path / "none", options={"videos": 18})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "other"]

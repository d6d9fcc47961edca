"""demo --video: from rendered videos to a leaderboard, through the real decoder and, at night, through the real C3D."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from activity_bench.data import manifest
from activity_bench.data.features import open_features
from activity_bench.errors import InputError
from activity_bench.features import projection
from activity_bench.workflow.demo import COMPONENTS, FPS, LEARNT, METHODS, VIDEO_ONLY, WARNING, demo, demo_video

TINY = "tests.features.tiny:Tiny"  # six numbers a row


def checked(out: Path, videos: int, dim: int, components: int, said: list[str]) -> None:
    """What the demo left: features of every video on the grid of the manifest, projected, and a row a method."""
    asked = manifest.load(out / "manifest")
    raw, kept = open_features(out / "c3d.h5"), open_features(out / "features.h5")
    assert len(raw.ids()) == len(list((out / "clips" / "videos").iterdir())) == videos
    assert list(raw.ids()) == list(kept.ids())
    assert (raw.dim, kept.dim, raw.timing, kept.attributes.weights_sha256) == (dim, components, kept.timing, "none")
    for split in asked.splits:
        for sample in asked.samples(split):
            assert sample.grid is not None
            assert sample.grid.step == raw.timing.step == 16 / FPS
            assert sample.grid.video[1] <= raw.rows(sample.video.id) + 1
    fitted = projection.read(out / "projection.safetensors")
    assert fitted.account.manifest == asked.digest
    assert fitted.account.videos
    assert not {sample.video.id for sample in asked.samples("test")} & set(fitted.account.videos)
    assert kept.attributes.projection == fitted.name
    with (out / "leaderboard.csv").open(newline="", encoding="utf-8") as stream:
        assert {row["method"] for row in csv.DictReader(stream)} == {*METHODS, *LEARNT}
    assert sum(WARNING in line for line in said) == 1


@pytest.mark.check
def test_from_pixels_to_a_leaderboard(tmp_path: Path) -> None:
    out, said = tmp_path / "out", list[str]()
    board = demo_video(out, backbone=TINY, videos=18, say=said.append)
    checked(out, 18, 6, 6, said)
    assert next(row for row in board.rows if row["method"] == "oracle")["rank"] == 1
    with pytest.raises(InputError, match="the folder exists"):
        demo_video(out, backbone=TINY, videos=18)
    demo(out, force=True)  # either replaces the other, and nothing of the first is left
    assert not any((out / name).exists() for name in VIDEO_ONLY)


@pytest.mark.check
def test_a_demo_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such backbone"):
        demo_video(tmp_path / "out", backbone="tests.features.tiny:NOT_A_BACKBONE", videos=18)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.nightly
def test_with_the_real_network(tmp_path: Path) -> None:
    out, said = tmp_path / "out", list[str]()
    demo_video(out, say=said.append)
    checked(out, 36, 4096, COMPONENTS, said)

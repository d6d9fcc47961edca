"""extract-features as a user calls it: exit codes, what is said, and every wrong option named before any work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from activity_bench.data.features import open_features
from activity_bench.data.lock import alone
from activity_bench.features.decode import Look, read
from activity_bench.simulation.clips import ClipsOptions, encode, plan
from activity_bench.workflow.build import build_dataset
from tests.conftest import Invoked
from tests.features.videos import greys

TINY = ["--backbone", "tests.features.tiny:Tiny", "--random-weights", "--workers", "1", "--stride", "16"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three rendered clips, one under the name that ActivityNet's files have, and one file that is none."""
    folder = tmp_path_factory.mktemp("clips") / "videos"
    folder.mkdir()
    for clip, name in zip(plan(ClipsOptions())[:3], ("one", "v_two", "three"), strict=True):
        (folder / f"{name}.mp4").write_bytes(encode(clip, 0))
    (folder / "broken.mp4").write_bytes(b"\0" * 100)
    return folder


@pytest.mark.check
def test_features_of_a_folder(videos: Path, tmp_path: Path, invoke: Callable[..., Invoked]) -> None:
    out = tmp_path / "features.h5"
    said = invoke("extract-features", "--videos", videos, "--out", out, *TINY, "--dtype", "float16", code=0)
    assert said.out == f"{out}\n"
    assert "3 of 4 videos have features" in said.err
    assert f"1 failed (1 not a video): {out}.failures.jsonl" in said.err
    assert "broken.mp4: not a video: " in said.err
    store = open_features(out)
    assert store.ids() == ["one", "three", "v_two"]
    assert (store.timing.fps, store.timing.stride, store.attributes.dtype) == (25.0, 16, "float16")
    line = json.loads(Path(f"{out}.failures.jsonl").read_text())
    assert line.keys() == {"video", "kind", "message", "attempts", "seconds"}
    before = out.read_bytes()
    invoke("extract-features", "--videos", videos, "--out", out, *TINY, "--dtype", "float16", code=0)
    assert out.read_bytes() == before


@pytest.mark.check
def test_whole_pictures(videos: Path, tmp_path: Path, invoke: Callable[..., Invoked]) -> None:
    """Squeezed to the crop's size; what is made so is not added to what is not."""
    only = tmp_path / "videos"
    only.mkdir()
    (only / "one.mp4").write_bytes((videos / "one.mp4").read_bytes())
    given = ["--videos", only, "--out", tmp_path / "f.h5", *TINY, "--own-rate"]
    invoke("extract-features", *given, "--no-crop", code=0)
    store = open_features(tmp_path / "f.h5")
    assert store.attributes.decoder == "pyav, frames of the file, whole pictures"
    first = [frame.image for frame in read(only / "one.mp4", Look((24, 24)))][:16]
    np.testing.assert_allclose(store.read("one")[0, :3], np.mean(first, (0, 1, 2)), rtol=1e-4)
    assert "made otherwise" in invoke("extract-features", *given, code=2).err


@pytest.mark.check
def test_a_backbone_of_the_house(tmp_path: Path, invoke: Callable[..., Invoked]) -> None:
    (tmp_path / "videos").mkdir()
    greys(tmp_path / "videos" / "grey.mp4", "mp4", "mpeg4", count=10)  # 25 a second: 20 at 50 a second
    given = ["--videos", tmp_path / "videos", "--backbone", "c3d-fc6", "--random-weights", "--fps", "50"]
    invoke("extract-features", *given, "--workers", "1", "--out", tmp_path / "f.h5", code=0)
    store = open_features(tmp_path / "f.h5")
    assert store.read("grey").shape == (2, 4096)  # frames 0 to 15, and 8 to 19 with the last one repeated
    found = store.attributes
    assert (found.backbone, found.layer, found.window, found.stride, found.fps) == ("c3d-fc6", "fc6", 16, 8, 50.0)


@pytest.mark.check
def test_the_videos_of_a_manifest(videos: Path, tmp_path: Path, invoke: Callable[..., Invoked]) -> None:
    found = [{"label": "Diving", "segment": [0.5, 1.0]}]
    database = {
        name: {"subset": "validation", "duration": 4.0, "annotations": found} for name in ("two", "three", "elsewhere")
    }
    (tmp_path / "truth.json").write_text(json.dumps({"database": database}))
    build_dataset("detection", [tmp_path / "truth.json"], tmp_path / "manifest")
    out, named = tmp_path / "features.h5", ["--manifest", tmp_path / "manifest"]
    said = invoke("extract-features", "--videos", videos, "--out", out, *TINY, *named, code=0)
    assert open_features(out).ids() == ["three", "two"]
    assert "1 of 3 videos of the manifest are not in" in said.err


@pytest.mark.check
def test_nothing_succeeding_is_exit_1_each_time(tmp_path: Path, invoke: Callable[..., Invoked]) -> None:
    out = tmp_path / "f.h5"
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"")
    for attempts in (1, 2):
        said = invoke(
            "extract-features", "--videos", tmp_path / "videos", "--out", out, *TINY, "--retry-failed", code=1
        )
        assert "no video gave features" in said.err
        line = json.loads(Path(f"{out}.failures.jsonl").read_text())
        assert (line["kind"], line["attempts"]) == ("empty", attempts)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.h5.failures.jsonl", "videos"]


WRONG: list[tuple[list[Any], str]] = [
    (["--decoder", "pyva"], "--decoder: unknown decoder; found 'pyva'. Did you mean 'pyav'?"),
    (["--units", "c3"], "--units: unknown units; found 'c3'. Did you mean 'c3d'?"),
    (["--dtype", "float64"], "--dtype: unknown dtype"),
    (["--engine", "rya"], "--engine: unknown engine; found 'rya'. Did you mean 'ray'?"),
    (["--engine", "ray", "--one-network"], "--one-network: workers of one machine share a network"),
    (["--projection", "nowhere"], "nowhere: no such file"),
    (["--fps", "0"], "--fps: not a number above 0; found 0"),
    (["--fps", "nan"], "--fps: not a number above 0; found nan"),
    (["--window", "-1"], "--window: not a number above 0"),
    (["--stride", "0"], "--stride: not a number above 0"),
    (["--workers", "0"], "--workers: not a number above 0"),
    (["--batch", "0"], "--batch: not a number above 0"),
    (["--limit", "inf"], "--limit: not a number above 0"),
    (["--memory", "0"], "--memory: not a number above 0"),
    (["--shard", "3/2"], "--shard: not a shard; found '3/2'"),
    (["--shard", "0/2"], "--shard: not a shard"),
    (["--weights", "w.pth"], "--weights: features want weights"),
    (["--manifest", "nowhere"], "nowhere"),
]


@pytest.mark.quick
@pytest.mark.parametrize(("words", "message"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_a_wrong_option_is_named(words: list[Any], message: str, videos: Path, tmp_path: Path, invoke: Any) -> None:
    said = invoke("extract-features", "--videos", videos, "--out", tmp_path / "f.h5", *TINY, *words, code=2)
    assert message in said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.quick
def test_weights_are_asked_for(videos: Path, tmp_path: Path, invoke: Callable[..., Invoked]) -> None:
    asked = ["extract-features", "--videos", videos, "--out", tmp_path / "f.h5", "--backbone", "c3d-fc6"]
    assert "--random-weights" in invoke(*asked, code=2).err
    assert "no such file" in invoke(*asked, "--weights", tmp_path / "c3d.pth", code=2).err


@pytest.mark.quick
def test_wrong_folders_are_named(videos: Path, tmp_path: Path, invoke: Callable[..., Invoked]) -> None:
    for folder, message in ((tmp_path / "none", "no such folder"), (tmp_path, "no videos in this folder")):
        said = invoke("extract-features", "--videos", folder, "--out", tmp_path / "f.h5", *TINY, code=2)
        assert message in said.err
    said = invoke("extract-features", "--videos", videos, "--out", tmp_path, *TINY, code=2)
    assert "this is a folder" in said.err


@pytest.mark.quick
def test_one_job_a_file(videos: Path, tmp_path: Path, invoke: Callable[..., Invoked]) -> None:
    (tmp_path / "f.h5.parts").mkdir()
    with alone(tmp_path / "f.h5.parts", "extraction"):
        said = invoke("extract-features", "--videos", videos, "--out", tmp_path / "f.h5", *TINY, code=2)
    assert "another extraction runs here" in said.err


@pytest.mark.check
@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("c3d-fc8", "unknown backbone; found 'c3d-fc8'. Did you mean"),
        ("tests.features.tinny:Tiny", "no such backbone: No module named 'tests.features.tinny'"),
        ("tests.features.tiny:NOT_A_BACKBONE", "no such backbone"),
        ("vgg16-regions", "reads single images"),
    ],
)
def test_a_wrong_backbone_is_named(backbone: str, message: str, videos: Path, tmp_path: Path, invoke: Any) -> None:
    given = ["--out", tmp_path / "f.h5", "--backbone", backbone, "--random-weights"]
    assert message in invoke("extract-features", "--videos", videos, *given, code=2).err
    assert list(tmp_path.iterdir()) == []

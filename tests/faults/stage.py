"""The small things that every command is tried on, made once: annotations, manifests, features, runs, videos."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from activity_bench.cli import main
from activity_bench.simulation.clips import ClipsOptions, encode, plan
from activity_bench.simulation.corpus import files
from activity_bench.types import Query
from tests import tiny
from tests.workflow import asked

SMALL = ["--set", "dim=8"]
MODEL = ["--set", "steps=2", "--set", "batch=4", "--set", "hidden=4", "--set", "validate_every=1", "--set", "workers=0",
         "--device", "cpu"]  # fmt: skip
VIDEOS = 3
EXTRACT = ["--videos", "in/videos", "--backbone", asked.MOVING, "--random-weights", "--fps", "25", "--window", "8",
           "--stride", "4", "--workers", "1"]  # fmt: skip


def _do(*words: str) -> None:
    assert main(list(words)) == 0, words


def build(folder: Path) -> Path:
    """Fill `folder`; each name in it is an input that a row of the table may ask for."""
    at = lambda name: str(folder / name)  # noqa: E731
    (folder / "activitynet.json").write_bytes(files()["activitynet.json"])
    _do("build-dataset", "relocalization", "--annotations", at("activitynet.json"), "--out", at("manifest"),
        "--limit", "12")  # fmt: skip
    _do("simulate", "features", "--manifest", at("manifest"), "--out", at("features.h5"), *SMALL)
    for name in ("random", "full-window"):
        _do("run-baseline", name, "--manifest", at("manifest"), "--split", "test", "--out", at(name))
    _do("export", at("manifest"), "--to", "hf", "--out", at("hub"))
    _do("project", "fit", "--features", at("features.h5"), "--manifest", at("manifest"), "--dim", "2",
        "--out", at("pca.safetensors"))  # fmt: skip
    given = ["--manifest", at("manifest"), "--features", at("features.h5")]
    _do("train", "cgbm", *given, "--out", at("trained"), *MODEL)
    _films(folder)
    return folder


def _films(folder: Path) -> None:
    """Videos, parts of a store that is to be packed, and a model that was trained on such features."""
    (folder / "videos").mkdir()
    clips = plan(ClipsOptions(videos=18))[:VIDEOS]
    for clip in clips:
        (folder / "videos" / f"{clip.id}.mp4").write_bytes(encode(clip, 0))
    shutil.copy(folder / "videos" / f"{clips[0].id}.mp4", folder / "video.mp4")
    shutil.copy(folder / "videos" / f"{clips[1].id}.mp4", folder / "clip.mp4")
    words = [word.replace("in/videos", str(folder / "videos")) for word in EXTRACT]
    _do("extract-features", *words, "--shard", "1/1", "--out", str(folder / "parts.h5"))
    frames = [replace(tiny.in_seconds(clip.id, (0.0, 1.0), (0.2, 0.6), label="x"),
                      query=Query("image", video=clip.id, time=0.5, label="x")) for clip in clips]  # fmt: skip
    tiny.write(folder / "frames", frames[:1], frames[1:])
    asked.untaught(folder / "untaught")

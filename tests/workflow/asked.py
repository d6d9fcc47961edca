"""Models that know rendered activities, and long videos: what the tests of localize ask, and whom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from activity_bench.data.features import Attributes, write_store
from activity_bench.data.features.images import Image, add_images
from activity_bench.simulation.clips import Activity, Clip
from activity_bench.types import Query, Sample, Target, Window
from activity_bench.workflow.train import train
from tests import tiny

MOVING, WIDE = "tests.workflow.moving:Moving", "tests.workflow.moving:Wide"
TIMING = {"fps": 25.0, "window": 8, "stride": 4}
ATTRIBUTES = Attributes(
    backbone="moving", weights_sha256="none", decoder="pyav", decoder_version="17", fps=25.0, window=8, stride=4,
    offset=0, dtype="float32", layer="movement", projection="none", dim=51,
)  # fmt: skip
SMALL = {"hidden": 8, "steps": 1, "batch": 2, "workers": 0, "device": "cpu"}


def span(clip: Clip, activity: Activity) -> tuple[float, float]:
    """When an activity happens."""
    return round(clip.seconds(activity.first), 6), round(clip.seconds(activity.last), 6)


def samples(clips: Sequence[Clip]) -> Iterator[Sample]:
    """Each activity, asked with one of the same class in another video, in the part of its video that has no other."""
    for clip in clips:
        for place, activity in enumerate(clip.activities):
            others = [(c, a) for c in clips if c is not clip for a in c.activities if a.label == activity.label]
            other, asked = others[7 * place % len(others)]
            start = span(clip, clip.activities[place - 1])[1] if place else 0.0
            last = place + 1 == len(clip.activities)
            end = round(clip.seconds(-1), 6) if last else span(clip, clip.activities[place + 1])[0]
            first, until = span(other, asked)
            yield Sample(
                f"train/{clip.id}/{place}", Query("clip", video=other.id, start=first, end=until),
                Window(clip.id, start, end), (Target(*span(clip, activity), activity.label),), label=activity.label,
            )  # fmt: skip


def untaught(
    folder: Path, method: str = "cgbm", images: bool = False, sizes: tuple[int, int] = (3, 3), **changes: Any
) -> Path:
    """A run of one step on drawn features that state what `changes` say of their making."""
    attributes = Attributes(**{**ATTRIBUTES.as_dict(), **changes})
    rows = np.random.Generator(np.random.Philox(1)).standard_normal((40, max(attributes.dim, *sizes)), np.float32)
    folder.mkdir()
    write_store(folder / "features.h5", attributes, [(name, rows[:, : attributes.dim]) for name in "ab"])
    if images:
        drawn = Image(rows[:2, : sizes[0]], np.full((2, 4), 0.5, np.float32), rows[2, : sizes[1]])
        add_images(folder / "features.h5", [(("b", 1.0), drawn)])
    step = attributes.stride / attributes.fps
    query = Query("image", video="b", time=1.0) if images else Query("clip", video="b", start=0.0, end=4 * step)
    target = (Target(2 * step, 9 * step, "x"),)
    lines = [Sample(f"train/{name}", query, Window(name, 0.0, 20 * step), target, label="x") for name in "ab"]
    tiny.write(folder / "manifest", lines, ())
    own = {key: value for key, value in SMALL.items() if method in ("cgbm", "sail") or key != "hidden"}
    train(method, folder / "manifest", folder / "run", features=folder / "features.h5", options=own)
    return folder / "run"


def long(path: Path, seconds: int) -> Path:
    """One frame a second of 64 x 48, grey, each a little brighter than the last."""
    with av.open(str(path), "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=Fraction(1), options={"preset": "ultrafast", "bf": "0", "g": "60"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for second in range(seconds):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), second % 200, np.uint8), format="rgb24")
            frame.pts = second
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path

"""Made-up videos as real files: what happens in each is planned here, drawn by `clips_drawing`, encoded as h264.

A video is untrimmed: one to three activities of a simple body, before a background that moves, seen by a camera that
drifts. Sizes and frame rates differ; one video has a variable frame rate, one an odd width and height. An activity
starts with the first tick of a frame and ends with the first of another, so its times are exact in frames.

The plan and the pixels depend on the options alone. The encoded bytes are equal for one version of the encoder.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any

from activity_bench import chance
from activity_bench.errors import InputError
from activity_bench.simulation.clips_drawing import MOTIONS, frames
from activity_bench.simulation.videos import made_up_id

VERSION = "SIMULATED CLIPS 1"
HINT = "pip install 'activity-bench[video]'"
TREE = {
    "Exercise": ("Jumping", "Squatting", "Star jumping"),
    "Ball play": ("Throwing a ball", "Bouncing a ball"),
    "Signalling": ("Waving", "Bowing"),
    "Getting about": ("Turning cartwheels", "Running to and fro"),
}
CLASSES = tuple(label for labels in TREE.values() for label in labels)
FORMATS = (  # width, height, frames a second
    (160, 120, Fraction(25)), (176, 144, Fraction(30)), (160, 120, Fraction(30000, 1001)),
    (128, 96, Fraction(15)), (192, 108, Fraction(24)), (120, 160, Fraction(20)),
)  # fmt: skip
ODD = (161, 121, Fraction(25))  # subsampled colour needs even sizes, so this one has all of it
TICK = Fraction(1, 60)  # of the variable frame rate; a frame lasts one to four
VARIABLE, ODD_ONE = 1, 2  # the places of those two videos
LEAST, MOST = 2 * len(CLASSES), 10_000


@dataclass(frozen=True)
class ClipsOptions:
    """What the videos depend on."""

    seed: int = field(default=0, metadata={"help": "of everything that is drawn"})
    videos: int = field(default=36, metadata={"help": "how many; classes take turns"})

    def __post_init__(self) -> None:
        if not LEAST <= self.videos <= MOST:
            raise InputError("out of range", field="videos", found=self.videos, expected=f"{LEAST} to {MOST}")


@dataclass(frozen=True)
class Activity:
    """Frames [first, last) of a video, and what the body does in them."""

    label: str
    first: int
    last: int


@dataclass(frozen=True)
class Clip:
    """One video: frame `i` is shown from `ticks[i]` to `ticks[i + 1]`."""

    id: str
    subset: str
    width: int
    height: int
    tick: Fraction  # seconds
    ticks: tuple[int, ...]
    activities: tuple[Activity, ...]
    rate: Fraction | None  # frames a second; None where it varies

    def seconds(self, frame: int) -> float:
        """When a frame is first shown; of the number of frames, when the video ends."""
        return float(self.ticks[frame] * self.tick)


def plan(options: ClipsOptions) -> list[Clip]:
    """What happens in each video; one more video changes no other."""
    return [_clip(options.seed, number) for number in range(options.videos)]


def annotation_file(clips: Sequence[Clip]) -> bytes:
    """The ActivityNet layout, and beside its fields the frames of each video and activity."""
    database = {}
    for clip in clips:
        database[clip.id] = {
            "duration": clip.seconds(-1),
            "subset": clip.subset,
            "resolution": f"{clip.width}x{clip.height}",
            "url": f"https://video.invalid/watch?v={clip.id}",  # .invalid never resolves: it is nobody's video
            "annotations": [
                {
                    "segment": [clip.seconds(a.first), clip.seconds(a.last)],
                    "label": a.label,
                    "frames": [a.first, a.last],
                }
                for a in clip.activities
            ],
            "frames": len(clip.ticks) - 1,
            "frame_rate": "variable" if clip.rate is None else str(clip.rate),
        }
    page = {"version": VERSION, "taxonomy": list(_nodes()), "database": database}
    return json.dumps(page, separators=(",", ":"), allow_nan=False).encode()


def encode(clip: Clip, seed: int) -> bytes:
    """The video as an mp4 file: h264, one thread and no frame out of order, so that times and bytes are exact."""
    try:
        import av
    except ImportError:
        raise InputError("rendering clips needs PyAV", field="av", hint=HINT) from None
    lasts = {start: end - start for start, end in pairwise(clip.ticks)}
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(
            "libx264", rate=clip.rate or 1 / (2 * TICK),
            options={"preset": "veryfast", "crf": "20", "bf": "0", "g": "50", "threads": "1"},
        )  # fmt: skip
        stream.width, stream.height = clip.width, clip.height
        stream.pix_fmt = "yuv444p" if clip.width % 2 else "yuv420p"
        stream.time_base = stream.codec_context.time_base = clip.tick
        for tick, pixels in zip(clip.ticks, frames(clip, seed), strict=False):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = tick, clip.tick
            _write(container, stream.encode(frame), lasts)
        _write(container, stream.encode(None), lasts)
    return file.getvalue()


def _write(container: Any, packets: Iterable[Any], lasts: Mapping[int, int]) -> None:
    for packet in packets:
        packet.duration = lasts[packet.pts]  # the encoder forgets that of the last one
        container.mux(packet)


# ---- what happens ---------------------------------------------------------------------------------------------------


def _clip(seed: int, number: int) -> Clip:
    """Activities with background before, between and after; of the last of several, one in four is of another class."""
    name = made_up_id(seed, f"clip {number}")
    turn, place = divmod(number, len(CLASSES))
    labels = [CLASSES[place]] * chance.integer(seed, name, "activities", 1, 4)
    if len(labels) > 1 and chance.integer(seed, name, "another", 0, 4) == 0:
        labels[-1] = CLASSES[(place + chance.integer(seed, name, "which", 1, len(CLASSES))) % len(CLASSES)]
    spans, clock = [], 0.0  # seconds
    for i, label in enumerate(labels):
        start = clock + 0.8 + 1.4 * chance.number(seed, name, f"before {i}")
        clock = start + 1.8 + 2.2 * chance.number(seed, name, f"length {i}")
        spans.append((label, start, clock))
    duration = clock + 0.8 + 1.4 * chance.number(seed, name, "after")
    width, height, rate = ODD if number == ODD_ONE else FORMATS[number % len(FORMATS)]
    if number == VARIABLE:
        tick, ticks = TICK, _uneven(seed, name, duration)
    else:
        tick = Fraction(1, rate.numerator)
        ticks = tuple(range(0, round(duration * rate) * rate.denominator + 1, rate.denominator))
    shown = [float(at * tick) for at in ticks]
    activities = tuple(Activity(label, _nearest(shown, start), _nearest(shown, end)) for label, start, end in spans)
    subset = "validation" if turn % 3 == 1 else "training"
    return Clip(name, subset, width, height, tick, ticks, activities, None if number == VARIABLE else rate)


def _nearest(shown: Sequence[float], second: float) -> int:
    return min(range(len(shown)), key=lambda frame: abs(shown[frame] - second))


def _uneven(seed: int, name: str, duration: float) -> tuple[int, ...]:
    """Frames of one to four ticks each."""
    lengths = [chance.integer(seed, name, f"ticks {i}", 1, 5) for i in range(round(duration / float(2.5 * TICK)))]
    return tuple(accumulate(lengths, initial=0))


def _nodes() -> Iterator[dict[str, object]]:
    """The class tree as the official file has it."""
    parents: dict[str, str | None] = {"Root": None} | dict.fromkeys(TREE, "Root")
    parents |= {label: group for group, labels in TREE.items() for label in labels}
    ids: dict[str | None, int | None] = {name: number for number, name in enumerate(parents)} | {None: None}
    for name, parent in parents.items():
        yield {"nodeId": ids[name], "nodeName": name, "parentId": ids[parent], "parentName": parent}


assert set(CLASSES) == set(MOTIONS)

"""The made-up untrimmed videos: their geometry, roughly ActivityNet's, and a counted amount of its dirt.

Only sums, products and quotients of doubles are used, which every machine rounds alike, so the times are the same
everywhere to the last bit. They are not rounded: real annotations are long fractions too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from activity_bench import chance
from activity_bench.errors import InputError
from activity_bench.simulation.classes import paths, siblings
from activity_bench.types import Instance, Video

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
LEAST_VIDEOS = 2 * len(paths())  # two of each class, so that each has a pair
MOST_VIDEOS = 100_000  # ids have 48 bits: among so many no two meet

DURATION = ((0.0, 20.0), (0.5, 113.0), (0.9, 197.0), (1.0, 232.0))  # quantile -> seconds; between them linear
LENGTH = ((0.0, 2.5), (0.25, 6.0), (0.5, 10.0), (0.8, 16.5), (1.0, 40.0))
COUNT = (  # videos up to so many seconds -> the chance of at most 1, 2, 3, 4 instances: a longer one shows more
    (60.0, (0.70, 0.95, 1.00, 1.00)),
    (120.0, (0.30, 0.60, 0.85, 1.00)),
    (240.0, (0.10, 0.30, 0.60, 1.00)),
)
MOST_COVERED = 0.75  # of a video by its instances; they are shortened to it
STARTS_AT_ONCE = 0.08  # share of videos whose first instance starts with the video


@dataclass(frozen=True)
class Dirt:
    """How much of each kind of dirt the untrimmed videos hold, exactly; no video has two kinds."""

    zero_length: int = 4  # instances with end = start
    tiny: int = 6  # other instances of at most 10 ms
    past_end: int = 8  # instances that end after their video, by less than 0.85 s
    duplicates: int = 5  # instances that repeat another one of their video exactly
    overlap_same: int = 5  # videos in which two different instances of one class overlap
    overlap_other: int = 3  # videos in which instances of different classes overlap
    several_labels: int = 6  # videos with several classes, those with overlaps among them


DIRT = Dirt()


def annotated(seed: int, count: int) -> list[Video]:
    """`count` videos with one to four instances each, dirt included, in an order of chance.

    Classes take turns, so each has `count / 48` videos or one more; of three videos of a class one is validation.
    """
    if not LEAST_VIDEOS <= count <= MOST_VIDEOS:
        raise InputError("out of range", field="videos", found=count, expected=f"{LEAST_VIDEOS} to {MOST_VIDEOS}")
    leaves = list(paths())
    clean = {}
    for i in range(count):
        video_id = made_up_id(seed, f"annotated {i}")
        subset = "validation" if i // len(leaves) % 3 == 2 else "training"
        if i // len(leaves) == 1 and count < 3 * len(leaves):
            subset = "validation"  # a small corpus has a validation set too
        clean[video_id] = _video(seed, video_id, subset, leaves[i % len(leaves)])
    dirty = _soil(seed, clean)
    return [dirty[video_id] for video_id in chance.shuffled(seed, dirty, "order in the file")]


def unannotated(seed: int, count: int) -> list[Video]:
    """Testing videos, whose annotations are withheld, as in the real file."""
    ids = [made_up_id(seed, f"testing {i}") for i in range(count)]
    return [Video(video_id, _duration(seed, video_id), "testing", ()) for video_id in ids]


def made_up_id(seed: int, item: str) -> str:
    """Eleven characters as real ids have; the first three say that it is none."""
    bits = chance.key(seed, item, "video id")
    return "sim" + "".join(ALPHABET[bits >> 6 * place & 63] for place in range(8))


def along(knots: tuple[tuple[float, float], ...], u: float) -> float:
    """The value at quantile `u` of a distribution that is linear between its knots."""
    for (u0, x0), (u1, x1) in pairwise(knots):
        if u <= u1:
            return x0 + (x1 - x0) * ((u - u0) / (u1 - u0))
    raise ValueError(f"no quantile: {u}")


def _duration(seed: int, video_id: str) -> float:
    return round(along(DURATION, chance.number(seed, video_id, "duration")), 2)


def _video(seed: int, video_id: str, subset: str, label: str) -> Video:
    """A clean video: instances of one class with background before, between and after."""
    duration = _duration(seed, video_id)
    at_most = next(shares for limit, shares in COUNT if duration <= limit)
    u = chance.number(seed, video_id, "count")
    count = 1 + sum(u >= share for share in at_most)
    lengths = [along(LENGTH, chance.number(seed, video_id, f"length {i}")) for i in range(count)]
    shorten = min(1.0, MOST_COVERED * duration / sum(lengths))
    lengths = [length * shorten for length in lengths]
    gaps = [0.25 + chance.number(seed, video_id, f"gap {i}") for i in range(count + 1)]
    if chance.number(seed, video_id, "starts at once") < STARTS_AT_ONCE:
        gaps[0] = 0.0
    second = (duration - sum(lengths)) / sum(gaps)  # seconds that a unit of gap is worth
    instances, clock = [], 0.0
    for gap, length in zip(gaps, lengths, strict=False):
        start = clock + gap * second
        clock = start + length
        instances.append(Instance(start, clock, label))
    return Video(video_id, duration, subset, tuple(instances))


# ---- dirt -----------------------------------------------------------------------------------------------------------

Soiled = Callable[[Video, float], Video]  # a clean video and a number in [0, 1) -> the dirty one


def _soil(seed: int, videos: dict[str, Video]) -> dict[str, Video]:
    """The videos with their dirt: each kind takes the first clean videos, in an order of chance, that can carry it."""
    mere_labels = DIRT.several_labels - DIRT.overlap_other
    kinds: list[tuple[int, int, int, Soiled]] = [  # how many videos, of fewest to most instances, and what is done
        (mere_labels, 2, 4, lambda v, u: _last(v, label=_sibling(v, u))),
        (DIRT.past_end, 1, 4, lambda v, u: _past_end(v, 0.02 + 0.8 * u)),
        (DIRT.zero_length, 1, 3, lambda v, u: _add(v, _in_tail(v), _in_tail(v))),
        (DIRT.tiny, 1, 3, lambda v, u: _add(v, _in_tail(v), _in_tail(v) + 0.002 + 0.007 * u)),
        (DIRT.duplicates, 1, 3, lambda v, u: replace(v, instances=(*v.instances, v.instances[0]))),
        (DIRT.overlap_same, 1, 3, lambda v, u: _add(v, *_over_last(v))),
        (DIRT.overlap_other, 1, 3, lambda v, u: _add(v, *_over_last(v), _sibling(v, u))),
    ]
    free = chance.shuffled(seed, videos, "dirt")
    dirty = dict(videos)
    for count, fewest, most, soiled in kinds:
        chosen = [video_id for video_id in free if fewest <= len(videos[video_id].instances) <= most][:count]
        if len(chosen) < count:
            raise InputError("too few videos for the dirt", field="videos", found=len(videos), expected="more videos")
        for video_id in chosen:
            dirty[video_id] = soiled(videos[video_id], chance.number(seed, video_id, "dirt"))
            free.remove(video_id)
    return dirty


def _sibling(video: Video, u: float) -> str:
    others = siblings(video.instances[-1].label)
    return others[int(u * len(others))]


def _over_last(video: Video) -> tuple[float, float]:
    """From the middle of the last instance into the background after it, as long as that one at most."""
    last = video.instances[-1]
    half = (last.end - last.start) / 2
    return last.start + half, min(last.end + half, _in_tail(video))


def _in_tail(video: Video) -> float:
    """The middle of the background after the last instance."""
    assert video.duration is not None
    return (video.instances[-1].end + video.duration) / 2


def _add(video: Video, start: float, end: float, label: str | None = None) -> Video:
    return replace(video, instances=(*video.instances, Instance(start, end, label or video.instances[-1].label)))


def _last(video: Video, **changes: Any) -> Video:
    *others, last = video.instances
    changed = Instance(**{"start": last.start, "end": last.end, "label": last.label, **changes})
    return replace(video, instances=(*others, changed))


def _past_end(video: Video, excess: float) -> Video:
    """The last instance moves to the end of the video and past it."""
    assert video.duration is not None
    last = video.instances[-1]
    end = video.duration + excess
    return _last(video, start=end - (last.end - last.start), end=end)

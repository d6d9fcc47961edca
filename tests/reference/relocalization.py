"""The general re-localization protocol a second time: its six rules in plain Python, sets of rows, no arrays.

Written from the rules as `activity_bench.builders.relocalization` states them in words, not from its code. Chance is
the package's own (it is tested by itself): which items are hashed is part of the rules, since the bytes must repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import numpy as np

from activity_bench import chance
from activity_bench.builders.relocalization import Options
from activity_bench.types import Grid, Query, Sample, Target, Video, Window

ON_A_BOUNDARY = Fraction(1, 10_000)  # of a row


@dataclass(frozen=True)
class Asked:
    video: str
    label: str
    target: tuple[int, int]
    window: tuple[int, int]

    @property
    def name(self) -> str:
        return f"{self.video}\0{self.target[0]}-{self.target[1]}"


def build(videos: Sequence[Video], options: Options) -> list[tuple[str, Sample]]:
    """Every sample with its split, in the order of the files. ValueError where the classes do not suffice."""
    asked = [one for video in videos for one in of_video(video, options)]
    labels = sorted({one.label for one in asked})
    labels = [label for label in labels if len({one.video for one in asked if one.label == label}) > 1]  # rule 6
    split_of = classes(labels, options)
    found = []
    for one in asked:
        if one.label in split_of:
            query = partner(one, [other for other in asked if other.label == one.label], options.seed)
            found.append((split_of[one.label], one, query))
    found.sort(key=lambda row: (("train", "val", "test").index(row[0]), row[1].video, row[1].target, row[1].label))
    samples = []
    for place, (split, one, query) in enumerate(found):
        before = sum((s, o.video, o.window) == (split, one.video, one.window) for s, o, _ in found[:place])
        samples.append((split, sample(split, one, query, before, options.step)))
    return samples


def of_video(video: Video, options: Options) -> list[Asked]:
    if not video.duration or video.duration < 0:
        return []
    times = [(max(i.start, 0), min(i.end, video.duration), i.label) for i in video.instances]  # rule 1
    times = [time for time in times if time[0] < time[1]]
    for a in times:
        for b in times:
            if a[2] != b[2] and max(a[0], b[0]) < min(a[1], b[1]):
                return []
    step = Fraction(options.step)
    rows = max(1, floor(Fraction(video.duration) / step + ON_A_BOUNDARY))
    found = []
    for label in sorted({time[2] for time in times}):
        targets: list[set[int]] = []
        for start, end, _ in (time for time in times if time[2] == label):  # rule 2
            first = floor(Fraction(start) / step + ON_A_BOUNDARY)
            last = max(first + 1, ceil(Fraction(end) / step - ON_A_BOUNDARY))
            covered = {row for row in range(first, last) if row < rows}
            for other in [target for target in targets if target & covered]:
                targets.remove(other)
                covered |= other
            if covered:
                targets.append(covered)
        for target in targets:
            if len(target) > options.max_target:  # rule 3
                continue
            low = max((max(o) + 1 for o in targets if max(o) < min(target)), default=0)  # rule 4
            high = min((min(o) for o in targets if min(o) > max(target)), default=rows)
            stretch = (min(target), max(target) + 1)
            found.append(Asked(video.id, label, stretch, crop(video.id, label, stretch, (low, high), options)))
    return found


def crop(video: str, label: str, target: tuple[int, int], window: tuple[int, int], options: Options) -> tuple[int, int]:
    size = options.max_window
    if window[1] - window[0] <= size:
        return window
    places = [p for p in range(window[0], window[1] - size + 1) if p <= target[0] and target[1] <= p + size]
    item = f"{video}\0{label}\0{target[0]}-{target[1]}"
    first = places[chance.integer(options.seed, item, "relocalization crop", 0, len(places))]
    return first, first + size


def classes(labels: Sequence[str], options: Options) -> dict[str, str]:  # rule 5
    order = sorted(labels, key=lambda label: (chance.key(options.seed, label, "relocalization class split"), label))
    test = options.test_classes or max(1, round(len(order) / 10))
    val = options.val_classes or max(1, round(len(order) / 10))
    if order and len(order) <= test + val:
        raise ValueError("too few classes")
    names = ["test"] * test + ["val"] * val + ["train"] * len(order)
    return dict(zip(order, names, strict=False))


def partner(one: Asked, members: Sequence[Asked], seed: int) -> Asked:  # rule 6
    others = [other for other in members if other.video != one.video]
    room = one.window[1] - one.window[0]
    fitting = [other for other in others if length(other) <= room]
    if not fitting:
        return min(others, key=lambda other: (length(other), other.name))
    own = mix(chance.key(seed, one.name, "relocalization asker"))
    # the hash's last bit is spent on "allowed"
    return max(fitting, key=lambda other: mix(own ^ chance.key(seed, other.name, "relocalization query")) | 1)


def length(one: Asked) -> int:
    return one.target[1] - one.target[0]


def mix(number: int) -> int:
    return int(chance.mix(np.array([number], np.uint64))[0])


def sample(split: str, one: Asked, query: Asked, number: int, step: float) -> Sample:
    def seconds(rows: tuple[int, int]) -> tuple[float, float]:
        return round(rows[0] * step, 6), round(rows[1] * step, 6)

    asked = dict(zip(("start", "end"), seconds(query.target), strict=True))
    return Sample(
        id=f"{split}/{one.video}/{one.window[0]}-{one.window[1]}/{number}",
        query=Query("clip", video=query.video, **asked),
        video=Window(one.video, *seconds(one.window)),
        targets=(Target(*seconds(one.target), one.label),),
        label=one.label,
        grid=Grid(step, one.window, (one.target,), query.target),
    )

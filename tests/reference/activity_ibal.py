"""The ActivityIBAL protocol a second time: its four rules in plain Python, one sample after another, no arrays.

Written from the rules as `activity_bench.builders.activity_ibal` states them in words, not from its code. Chance is the
package's own (it is tested by itself): which items are hashed is part of the rules, since the bytes must repeat.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from activity_bench import chance
from activity_bench.builders.activity_ibal import Options
from activity_bench.types import Query, Sample, Target, Video, Window

NAME = "activity-ibal"


@dataclass(frozen=True)
class Merged:
    """One instance after rule 1."""

    video: str
    label: str
    start: float
    end: float
    window: tuple[float, float]


def build(
    videos: Sequence[Video], tree: Mapping[str, tuple[str, ...]], options: Options, frames: Mapping[str, Any]
) -> tuple[list[tuple[str, Sample]], Counter[str], dict[str, list[str]]]:
    """Every sample with its split in the order of the files, what was dropped and why, and the notes."""
    drops: Counter[str] = Counter()
    notes: dict[str, list[str]] = {}
    merged = [one for video in videos for one in of_video(video, drops)]
    split_of = classes(sorted({one.label for one in merged}), options)
    crossing = {
        a.video for a in merged for b in merged if a.video == b.video and split_of[a.label] != split_of[b.label]
    }
    drops["its video has classes of two splits"] = sum(one.video in crossing for one in merged)
    merged = [one for one in merged if one.video not in crossing]
    asked, distances, times = [], Counter[int](), Counter[bool]()
    fewer: Counter[tuple[str, str]] = Counter()
    for one in merged:
        if reason := unfit(one, options):
            drops[reason] += 1
            continue
        least, similar = nearest(one.label, {other.label for other in merged}, tree, split_of, options)
        queries: list[tuple[str, Query]] = []
        for part, labels, count, distance in (
            ("simple", [one.label], options.simple, None),
            ("difficult", similar, options.difficult, least),
        ):
            drawn = draw(one, part, [other for other in merged if other.label in labels], count, options.seed)
            fewer[part, f"{count} {part} queries: too few videos to draw from|{labels}"] += len(drawn) < count
            for group in drawn:
                time, chosen = moment(one, group, frames, options.seed)
                times[chosen] += 1
                queries.append((part, Query("image", group[0].video, time, label=group[0].label, distance=distance)))
                if distance is not None:
                    distances[distance] += 1
        if queries:
            asked.append((split_of[one.label], one, queries))
        else:
            drops["no image can ask for it"] += 1
    for (_, key), short in fewer.items():
        if short:
            title, labels = key.split("|")
            notes.setdefault(f"fewer than {title}", []).append(f"{labels}: {short}")
    if distances:
        notes["difficult queries by tree distance"] = [f"{d}: {count}" for d, count in distances.items()]
    if frames:
        notes["query times"] = [f"{times[True]} from query_frames, {times[False]} in the middle"]
    asked.sort(key=lambda row: (("train", "val", "test").index(row[0]), row[1].video, row[1].start, row[1].label))
    samples: list[tuple[str, Sample]] = []
    for split, one, queries in asked:
        name = f"{split}/{one.video}/{round(1000 * one.window[0])}-{round(1000 * one.window[1])}"
        for part, query in queries:
            before = sum(sample.id.rpartition("/")[0] == name for _, sample in samples)
            target = Target(round(one.start, 6), round(one.end, 6), one.label)
            window = Window(one.video, round(one.window[0], 6), round(one.window[1], 6))
            samples.append((split, Sample(f"{name}/{before}", query, window, (target,), one.label, part)))
    return samples, +drops, {title: sorted(items) for title, items in sorted(notes.items())}


def of_video(video: Video, drops: Counter[str]) -> list[Merged]:  # rule 1
    if video.duration is None or video.duration <= 0:
        drops["its video has no duration"] += len(video.instances)
        return []
    found = []
    for label in sorted({instance.label for instance in video.instances}):
        spans: list[tuple[float, float]] = []
        for instance in video.instances:
            start, end = max(instance.start, 0.0), min(instance.end, video.duration)
            if instance.label != label:
                continue
            if end <= start:
                drops["empty, reversed or past the end of its video"] += 1
                continue
            for span in [span for span in spans if start <= span[1] and span[0] <= end]:
                spans.remove(span)
                drops["merged into another instance of its class"] += 1
                start, end = min(start, span[0]), max(end, span[1])
            spans.append((start, end))
        for start, end in sorted(spans):
            before = max((other for _, other in spans if other < start), default=0.0)
            after = min((other for other, _ in spans if other > end), default=video.duration)
            found.append(Merged(video.id, label, start, end, (before, after)))
    return found


def unfit(one: Merged, options: Options) -> str:  # rule 2
    if one.end - one.start < options.min_target:
        return f"shorter than {options.min_target:g} s"
    if one.end - one.start > options.max_target:
        return f"longer than {options.max_target:g} s"
    if one.end - one.start > options.max_coverage * (one.window[1] - one.window[0]):
        return f"fills more than {options.max_coverage:g} of its window"
    return ""


def classes(labels: Sequence[str], options: Options) -> dict[str, str]:  # rule 3
    order = sorted(labels, key=lambda label: (chance.key(options.seed, label, f"{NAME} class split"), label))
    tenth = max(1, round(len(order) / 10))
    test, val = options.test_classes or tenth, options.val_classes or tenth
    names = ["test"] * test + ["val"] * val + ["train"] * len(order)
    return dict(zip(order, names, strict=False))


def nearest(
    label: str, labels: set[str], tree: Mapping[str, tuple[str, ...]], split_of: Mapping[str, str], options: Options
) -> tuple[int, list[str]]:
    """The other classes of the split, or of all, that are fewest edges away, and how many those are."""
    far = {}
    for other in sorted(labels - {label}):
        if options.difficult_from == "all" or split_of[other] == split_of[label]:
            ours, theirs = [label, *tree[label]], [other, *tree[other]]
            joints = [ours.index(node) + theirs.index(node) for node in ours if node in theirs]
            far[other] = min(joints, default=len(ours) + len(theirs))  # no joint: over a root of both roots
    least = min(far.values(), default=0)
    return least, [other for other in far if far[other] == least]


def draw(one: Merged, part: str, members: Sequence[Merged], count: int, seed: int) -> list[list[Merged]]:  # rule 4
    """The candidates that meet this asker first: all instances of one class in one other video."""
    groups: dict[tuple[str, str], list[Merged]] = {}
    for member in members:
        if member.video != one.video:
            groups.setdefault((member.label, member.video), []).append(member)
    own = mix(chance.key(seed, f"{one.video}\0{one.start!r}", f"{NAME} {part} asker"))
    # the hash's last bit is spent on "allowed"
    rank = {key: mix(own ^ chance.key(seed, "\0".join(key), f"{NAME} image")) | 1 for key in groups}
    return [groups[key] for key in sorted(groups, key=lambda key: -rank[key])[:count]]


def moment(one: Merged, group: Sequence[Merged], frames: Mapping[str, Any], seed: int) -> tuple[float, bool]:
    """The time of a candidate's image, and whether it was chosen by hand."""
    number = 0
    if len(group) > 1:
        item = f"{one.video}\0{one.start!r}\0{group[0].video}"
        number = chance.integer(seed, item, f"{NAME} instance", 0, len(group))
    shown = group[number]
    for time in frames.get(shown.video, ()):
        if shown.start <= time < shown.end:
            return round(time, 6), True
    return round((shown.start + shown.end) / 2, 6), False


def mix(number: int) -> int:
    return int(chance.mix(np.array([number], np.uint64))[0])

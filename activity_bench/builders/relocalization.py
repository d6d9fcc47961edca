"""Video re-localization (ECCV 2018, section 4): find in one video the activity that a clip of another video shows.

The general protocol, which needs annotations alone:

1. Instances are clamped to their video; what is then empty is dropped. Two overlapping instances of different classes
   drop the whole video (the paper's first filter).
2. Times become rows of `step` seconds, the fewest that cover the instance. Instances of one class that overlap, or that
   share a row, become one (the paper merges overlapping ones; what shares a row cannot be told apart on the grid).
3. A target longer than `max_target` rows is dropped (32 units of 16 frames: the paper's 512 frames).
4. The window reaches back to the end of the previous instance of the same class and on to the start of the next one, so
   that it holds exactly one; instances of other classes stay inside as background. A window over `max_window` rows is
   cropped to that at a place of chance that keeps the target.
5. Classes are drawn into val and test by hash; the paper has 160 / 20 / 20 of 200, so the default is a tenth each.
6. Every sample is the video of exactly one line. Its query is the target of another sample of its class, from another
   source video, no longer in rows than the window, by rendezvous hashing. A sample without one takes the shortest
   target of its class from another video, and the ledger names it; a class with a single video has no pairs and is
   dropped.

Left open by the paper: the frame rate (it counts units of 16 frames; annotations have no frames, so `step` is 16 frames
at 30 per second), which pairs (drawn once and frozen here), the class split (by seed here).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from activity_bench import chance
from activity_bench.errors import InputError
from activity_bench.segments import merge, rows_in, to_rows, to_seconds
from activity_bench.types import Built, Corpus, Grid, Instance, Ledger, Query, Sample, Target, Video, Window

SPLITS = ("train", "val", "test")
NO_QUERY = "no query fits the window: the shortest of its class was taken"


@dataclass(frozen=True)
class Options:
    """Named choices; the defaults are the paper's where it states one."""

    seed: int = field(default=0, metadata={"help": "of the class split, the crops and the pairs"})
    step: float = field(default=16 / 30, metadata={"help": "seconds a feature row; 16 frames at 30 per second"})
    max_target: int = field(default=32, metadata={"help": "longest target, in rows (the paper: 512 frames)"})
    max_window: int = field(default=300, metadata={"help": "longest window, in rows; longer ones are cropped"})
    val_classes: int = field(default=0, metadata={"help": "classes of val; 0 is a tenth (the paper: 20 of 200)"})
    test_classes: int = field(default=0, metadata={"help": "classes of test; 0 is a tenth (the paper: 20 of 200)"})

    def __post_init__(self) -> None:
        for name, least in (("step", 0.01), ("max_target", 1), ("max_window", 1), ("val_classes", 0)):
            if not least <= getattr(self, name) < 1e9:
                raise InputError("out of range", field=name, found=getattr(self, name), expected=f"at least {least}")
        if self.test_classes < 0:
            raise InputError("out of range", field="test_classes", found=self.test_classes, expected="at least 0")
        if self.max_window < self.max_target:
            raise InputError("a window must hold the longest target", field="max_window", found=self.max_window,
                             expected=f"at least {self.max_target}, which is max_target")  # fmt: skip


@dataclass(frozen=True)
class Place:
    """One target in its window, before it has a query: rows of its video."""

    video: Video
    label: str
    target: tuple[int, int]
    window: tuple[int, int]


class Relocalization:
    """The builder, as the catalog names it."""

    options_class = Options
    protocols = ("general",)
    paper: Mapping[str, Any] = {
        "title": "Video re-localization, ECCV 2018, section 4",
        "samples": "9,530 (9,400 in the released files)",
        "classes": "160 / 20 / 20",
    }

    @staticmethod
    def build(corpora: Sequence[Corpus], options: Options, protocol: str = "general") -> Built:
        """A manifest's samples from one corpus, or from several read as one."""
        videos = sorted((video for corpus in corpora for video in corpus.videos), key=lambda video: video.id)
        ledger = Ledger("instance", sum((Counter(corpus.mended) for corpus in corpora), Counter()))
        return Built(
            name="relocalization",
            version=f"{protocol}.1",
            task="moment",
            samples=_samples(videos, options, ledger),
            ledger=ledger,
            tree={label: path for corpus in corpora for label, path in sorted(corpus.tree.items())},
        )


def _samples(videos: Sequence[Video], options: Options, ledger: Ledger) -> Iterator[tuple[str, Sample]]:
    places = [place for video in videos for place in _places(video, options, ledger)]
    by_class: dict[str, list[Place]] = defaultdict(list)
    for place in places:
        by_class[place.label].append(place)
    for label, members in list(by_class.items()):
        if len({place.video.id for place in members}) < 2:
            ledger.drop("the only video of its class: no query can be asked", len(members))
            del by_class[label]
    split_of = class_split(by_class, options)
    asked = [
        (SPLITS.index(split_of[label]), place.video.id, place.target, place, query)
        for label, members in by_class.items()
        for place, query in _ask(members, options, ledger)
    ]
    numbers: Counter[tuple[str, str, tuple[int, int]]] = Counter()  # samples so far in one window of one video
    for split_number, video, _, place, query in sorted(asked, key=lambda row: (*row[:3], row[3].label)):
        split = SPLITS[split_number]
        yield split, _sample(split, place, query, numbers[split, video, place.window], options.step)
        numbers[split, video, place.window] += 1


def class_split(labels: Mapping[str, object], options: Options) -> dict[str, str]:
    """Class -> split. A class's place in the order of chance does not depend on the other classes."""
    order = chance.shuffled(options.seed, labels, "relocalization class split")
    tenth = max(1, round(len(order) / 10))
    test, val = options.test_classes or tenth, options.val_classes or tenth
    if order and test + val >= len(order):
        raise InputError(
            "too few classes", field="val_classes, test_classes", found=f"{len(order)} classes with pairs",
            expected=f"more than the {val} + {test} of val and test",
        )  # fmt: skip
    return {label: "test" if i < test else "val" if i < test + val else "train" for i, label in enumerate(order)}


def _places(video: Video, options: Options, ledger: Ledger) -> list[Place]:
    """The video's targets with their windows; what is left out goes to the ledger."""
    ledger.seen += len(video.instances)
    if not video.instances:
        return []
    if video.duration is None or video.duration <= 0:
        ledger.drop("its video has no duration", len(video.instances))
        return []
    instances = _clean(video, video.duration, ledger)
    if _classes_overlap(instances):
        ledger.drop("its video has overlapping instances of different classes", len(instances))
        return []
    rows = rows_in(video.duration, options.step)
    return [
        place
        for label in sorted({instance.label for instance in instances})
        for place in _windows(video, label, [i for i in instances if i.label == label], rows, options, ledger)
    ]


def _clean(video: Video, duration: float, ledger: Ledger) -> list[Instance]:
    clean = []
    for instance in sorted(video.instances, key=lambda i: (i.start, i.end, i.label)):
        start, end = max(instance.start, 0.0), min(instance.end, duration)
        if not start < end:
            ledger.drop("empty, reversed or past the end of its video")
            continue
        if (start, end) != (instance.start, instance.end):
            ledger.mended["clamped to its video"] += 1
        clean.append(Instance(start, end, instance.label))
    return clean


def _classes_overlap(instances: Sequence[Instance]) -> bool:
    reach: dict[str, float] = {}  # the furthest end of each class so far; instances come in order of start
    for instance in instances:
        if any(end > instance.start for label, end in reach.items() if label != instance.label):
            return True
        reach[instance.label] = max(instance.end, reach.get(instance.label, 0.0))
    return False


def _windows(
    video: Video, label: str, instances: Sequence[Instance], rows: int, options: Options, ledger: Ledger
) -> list[Place]:
    """The targets of one class in one video, merged, limited, each in a window that holds no other of its class."""
    in_rows = [to_rows(i.start, i.end, options.step, rows) for i in instances]
    within = [(first, last) for first, last in in_rows if first < last]
    ledger.drop("past the last whole row of its video", len(in_rows) - len(within))
    targets = [(int(first), int(last)) for first, last in merge(within)]
    ledger.drop("merged into another instance of its class", len(within) - len(targets))

    places = []
    edges = [(0, 0), *targets, (rows, rows)]
    for (previous, target), (_, following) in zip(pairwise(edges), pairwise(edges[1:]), strict=False):
        if target[1] - target[0] > options.max_target:
            ledger.drop(f"longer than {options.max_target} rows")
            continue
        window = (previous[1], following[0])
        if window[1] - window[0] > options.max_window:
            ledger.mended["window cropped"] += 1
            window = _crop(video.id, label, target, window, options)
        places.append(Place(video, label, target, window))
    return places


def _crop(
    video: str, label: str, target: tuple[int, int], window: tuple[int, int], options: Options
) -> tuple[int, int]:
    """A window of `max_window` rows at a place of chance that keeps the target and stays in the wider window."""
    low = max(target[1] - options.max_window, window[0])
    high = min(target[0], window[1] - options.max_window)
    item = f"{video}\0{label}\0{target[0]}-{target[1]}"
    first = chance.integer(options.seed, item, "relocalization crop", low, high + 1)
    return first, first + options.max_window


def _ask(members: Sequence[Place], options: Options, ledger: Ledger) -> Iterator[tuple[Place, Place]]:
    """Each of a class's places with its query: another place's target, from another source video."""
    names = [f"{p.video.id}\0{p.target[0]}-{p.target[1]}" for p in members]
    sources = np.unique([p.video.id for p in members], return_inverse=True)[1]
    length = np.array([p.target[1] - p.target[0] for p in members])
    room = np.array([p.window[1] - p.window[0] for p in members])
    askers = chance.keys(options.seed, names, "relocalization asker")
    candidates = chance.keys(options.seed, names, "relocalization query")
    chunk = max(1, 4_000_000 // len(members))  # askers at a time: bounded memory for a class of any size
    for first in range(0, len(members), chunk):
        some = slice(first, first + chunk)
        elsewhere = sources[some, None] != sources[None, :]  # (askers, candidates)
        met = chance.rendezvous(askers[some], candidates, elsewhere & (length[None, :] <= room[some, None]))
        for place, others, chosen in zip(members[some], elsewhere, met.tolist(), strict=True):
            if chosen < 0:
                chosen = min(np.flatnonzero(others).tolist(), key=lambda i: (length[i], names[i]))
                ledger.note(NO_QUERY, f"{place.video.id} {place.target[0]}-{place.target[1]} {place.label}")
            yield place, members[chosen]


def _sample(split: str, place: Place, query: Place, number: int, step: float) -> Sample:
    start, end = to_seconds(place.target, step)
    query_start, query_end = to_seconds(query.target, step)
    return Sample(
        id=f"{split}/{place.video.id}/{place.window[0]}-{place.window[1]}/{number}",
        label=place.label,
        query=Query("clip", video=query.video.id, start=query_start, end=query_end),
        targets=(Target(start, end, place.label),),
        video=Window(place.video.id, *to_seconds(place.window, step)),
        grid=Grid(step, place.window, (place.target,), query.target),
    )

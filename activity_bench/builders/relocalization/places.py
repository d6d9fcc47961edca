"""Where the targets of a video lie on its grid, and the window of each: the general geometry and the released one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from activity_bench import chance
from activity_bench.errors import InputError
from activity_bench.segments import Floats, merge, rows_in, to_rows
from activity_bench.types import Instance, Ledger, Video, value

Rows = tuple[int, int]
UNIT = 16  # frames a row in the released geometry
OVERLAP = "its video has overlapping instances of different classes"


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
        ranges = (("step", 0.01, 60), ("max_target", 1, 10**6), ("max_window", 1, 10**6),
                  ("val_classes", 0, 10**6), ("test_classes", 0, 10**6))  # fmt: skip
        for name, least, most in ranges:
            if not least <= getattr(self, name) <= most:
                raise InputError("out of range", field=name, found=getattr(self, name), expected=f"{least} to {most}")
        if self.max_window < self.max_target:
            raise InputError("a window must hold the longest target", field="max_window", found=self.max_window,
                             expected=f"at least {self.max_target}, which is max_target")  # fmt: skip


@value
class Place:
    """One target in its window, before it has a query: rows of its video, `step` seconds each, `rows` in all."""

    video: str
    label: str
    target: Rows
    window: Rows
    step: float
    rows: int = 0  # 0 where nobody asks


# ---- general: annotations alone -------------------------------------------------------------------------------------


def general(video: Video, options: Options, ledger: Ledger) -> list[Place]:
    """The targets of a video with their windows; what is left out goes to the ledger."""
    ledger.seen += len(video.instances)
    if not video.instances:
        return []
    if video.duration is None or video.duration <= 0:
        ledger.drop("its video has no duration", len(video.instances))
        return []
    instances = _clean(video, video.duration, ledger)
    if _classes_overlap(instances):
        ledger.drop(OVERLAP, len(instances))
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
        place = Place(video.id, label, target, (previous[1], following[0]), options.step, rows)
        if following[0] - previous[1] > options.max_window:
            ledger.mended["window cropped"] += 1
            place = replace(place, window=crop(place, options))
        places.append(place)
    return places


def crop(place: Place, options: Options) -> Rows:
    """A window of `max_window` rows at a place of chance that keeps the target and stays in the wider window."""
    target, window = place.target, place.window
    low = max(target[1] - options.max_window, window[0])
    high = min(target[0], window[1] - options.max_window)
    item = f"{place.video}\0{place.label}\0{target[0]}-{target[1]}"
    first = chance.integer(options.seed, item, "relocalization crop", low, high + 1)
    return first, first + options.max_window


# ---- released: the rules that give the released files, exactly -------------------------------------------------------


def released(
    videos: Iterable[Video], counts: Mapping[str, tuple[int, int]], options: Options, ledger: Ledger
) -> list[Place]:
    """The targets of all videos with their windows, as the released files have them; long windows are not cropped yet.

    `counts` has frames and feature rows of each video. Touching instances count as overlapping, an instance of no
    length has its row, and a window holds the row in which its neighbour ends or starts.
    """
    usable = [(video, merged) for video in videos if (merged := _usable(video, counts, ledger))]
    found = [instance for _, merged in usable for instance in merged]
    of_video = np.repeat(np.arange(len(usable)), np.array([len(merged) for _, merged in usable], np.int64))
    duration = np.array([video.duration for video, _ in usable])[of_video]  # (instances,), as all that follows
    frames = np.array([counts[video.id][0] for video, _ in usable], np.float64)[of_video]
    rows = np.array([counts[video.id][1] for video, _ in usable], np.float64)[of_video]
    start = np.array([instance.start for instance in found])
    end = np.array([instance.end for instance in found])
    with np.errstate(over="ignore"):  # of frames in next to no time: past the last row
        first = np.maximum(np.floor(frames * start / duration / UNIT), 0)
        end_row = np.floor(frames * end / duration / UNIT)
    last = np.minimum(rows, end_row + 1)

    numbers: dict[str, int] = {}  # of the classes
    class_ = np.array([numbers.setdefault(instance.label, len(numbers)) for instance in found], np.int64)
    low, high = _up_to_the_next(of_video * len(numbers) + class_, first, end_row, rows)

    is_within, is_short = first < last, last - first <= options.max_target
    ledger.drop("past the last row of its video", int((~is_within).sum()))
    ledger.drop(f"longer than {options.max_target} rows", int((~is_short).sum()))
    kept = np.flatnonzero(is_within & is_short)
    clamped = int((start[kept] < 0).sum())
    ledger.mended.update({"clamped to its video": clamped} if clamped else {})
    table = np.stack([of_video, rows, first, last, low, high], axis=1)[kept].astype(np.int64).tolist()
    steps = (UNIT * duration / frames)[kept].tolist()
    return [
        Place(usable[number][0].id, found[i].label, (first, last), (low, high), step, rows)
        for i, (number, rows, first, last, low, high), step in zip(kept.tolist(), table, steps, strict=True)
    ]


def _up_to_the_next(class_: NDArray[np.int64], first: Floats, end_row: Floats, rows: Floats) -> tuple[Floats, Floats]:
    """The window of each instance: from the row in which the one before of its class ends to the start of the next.

    `class_` counts the classes of every video apart. All arguments and results are (instances,).
    """
    order = np.argsort(class_, kind="stable")  # those of a class stay in order of start
    alike = class_[order[:-1]] == class_[order[1:]]
    one, following = order[:-1][alike], order[1:][alike]
    low, high = np.zeros_like(rows), rows.copy()
    low[following] = np.maximum(end_row[one], 0)
    high[one] = np.minimum(rows[one], first[following] + 1)
    return low, high


def _usable(video: Video, counts: Mapping[str, tuple[int, int]], ledger: Ledger) -> Sequence[Instance]:
    """The merged instances of a video, in order of start; none where they cannot be placed or classes overlap."""
    instances = video.instances
    if not instances:
        return ()
    ledger.seen += len(instances)
    if video.id not in counts or not video.duration:
        ledger.drop("its video has no frame count or no duration", len(instances))
        return ()
    merged = instances if len(instances) == 1 else _merged(instances)
    if merged is None:
        ledger.drop(OVERLAP, len(instances))
        return ()
    if len(merged) < len(instances):
        ledger.drop("merged into another instance of its class", len(instances) - len(merged))
    return merged


def _merged(instances: Sequence[Instance]) -> Sequence[Instance] | None:
    """In order of start, overlapping or touching ones of a class merged; None if classes overlap."""
    merged: list[Instance] = []
    for instance in sorted(instances, key=attrgetter("start")):
        if merged and instance.start <= merged[-1].end:
            if instance.label != merged[-1].label:
                return None
            merged[-1] = Instance(merged[-1].start, max(merged[-1].end, instance.end), instance.label)
        else:
            merged.append(instance)
    return merged

"""What happens in the videos of a manifest: read off its samples, for a world that has to show it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from activity_bench import chance
from activity_bench.errors import InputError
from activity_bench.simulation.videos import DURATION, along
from activity_bench.types import Instance, Query, Sample, Video

SUBSET = "simulated"
TAIL = (5.0, 60.0)  # seconds that a video goes on after the last thing that is known of it, where its end is not
LEAST_SLOT = 15.0  # seconds a made-up activity has to itself
SHARES = (0.2, 0.7)  # of its slot that it fills

Frame = tuple[str, float]  # a video and a second


@dataclass(frozen=True)
class Content:
    """What is to be shown."""

    videos: dict[str, Video]
    frames: dict[Frame, str] = field(default_factory=dict)  # image queries, and the activity that each shows
    trimmed: frozenset[str] = frozenset()  # videos of which only a trimmed clip is used
    steps: dict[str, float] = field(default_factory=dict)  # seconds a row, of the videos that lie on a grid

    @classmethod
    def of(cls, videos: Iterable[Video]) -> Content:
        """Untrimmed videos alone."""
        return cls({video.id: video for video in videos})


def contents(samples: Iterable[Sample], seed: int = 0) -> Content:
    """Each video that the samples (of all splits) mention: how long it is seen to be, and the activities in it.

    Activities are targets and the segments of clip queries, each once. A video lasts to the largest time that any
    sample names in it; where one says that its end is not known, it goes on for a while. A class that a video is said
    to have, and of which no segment is known (weak training), is put at places of chance. An image query names a frame
    and the activity on it. A sample on a grid says how long a row of its video is: 16 frames of the video's own rate.
    """
    notes = _Notes()
    for sample in samples:
        notes.take(sample)
    return Content(
        {video: notes.video(video, seed) for video in sorted(notes.lasts)},
        dict(sorted(notes.frames.items())),
        frozenset(notes.trimmed - notes.untrimmed),
        notes.query_steps | notes.steps,
    )


class _Notes:
    """What the samples said so far."""

    def __init__(self) -> None:
        self.lasts: dict[str, float] = defaultdict(float)
        self.found: dict[str, set[tuple[float, float, str]]] = defaultdict(set)
        self.named: dict[str, set[str]] = defaultdict(set)
        self.frames: dict[Frame, str] = {}
        self.endless: set[str] = set()
        self.steps: dict[str, float] = {}
        self.query_steps: dict[str, float] = {}  # good to a microsecond: from the query's end
        self.trimmed: set[str] = set()
        self.untrimmed: set[str] = set()

    def take(self, sample: Sample) -> None:
        window, query = sample.video, sample.query
        self.lasts[window.id] = max(self.lasts[window.id], window.end or 0.0)
        if sample.grid is not None:
            self.steps[window.id] = sample.grid.step
        if window.end is None:
            self.endless.add(window.id)
        for target in sample.targets:
            self._segment(sample, window.id, target.start, target.end, target.label or sample.label)
        if not sample.targets:
            self.named[window.id] |= sample.classes()
        # only a trimmed training line has a query of classes and one class of its own
        (self.trimmed if query.kind == "classes" and sample.label is not None else self.untrimmed).add(window.id)
        if query.video is not None:
            self._query(sample, query, query.video)

    def _query(self, sample: Sample, query: Query, video: str) -> None:
        self.untrimmed.add(video)
        self.lasts[video] = max(self.lasts[video], query.time or 0.0)
        label = query.label or sample.label
        if query.time is not None and label is not None:
            self.frames[video, query.time] = label
        if query.start is not None and query.end is not None:
            self._segment(sample, video, query.start, query.end, label)
            if sample.grid is not None and sample.grid.query is not None:
                self.query_steps[video] = query.end / sample.grid.query[1]

    def _segment(self, sample: Sample, video: str, start: float, end: float, label: str | None) -> None:
        if label is None:
            raise InputError("an activity without a class cannot be simulated", field="label", found=sample.id)
        self.lasts[video] = max(self.lasts[video], end)
        self.found[video].add((start, end, label))

    def video(self, video: str, seed: int) -> Video:
        """All that was said of a video, and what has to be made up."""
        found, last = self.found[video], self.lasts[video]
        missing = sorted(self.named[video] - {label for *_, label in found})
        if video in self.endless:
            least, most = TAIL
            last += least + (most - least) * chance.number(seed, video, "world tail")
            if missing:
                last = max(last, along(DURATION, chance.number(seed, video, "world duration")))
        placed = [*sorted(found), *_made_up(video, last, missing, seed)]
        return Video(video, last, SUBSET, tuple(Instance(*instance) for instance in placed))


def _made_up(video: str, last: float, labels: list[str], seed: int) -> list[tuple[float, float, str]]:
    """One to four instances of each class, in slots of equal length, classes in turn."""
    if not labels:
        return []
    count = len(labels) * max(1, min(4, int(last / LEAST_SLOT / len(labels))))
    slot, made = last / count, []
    for place in range(count):
        share, where = (chance.number(seed, video, f"world {what} {place}") for what in ("share", "where"))
        length = slot * (SHARES[0] + (SHARES[1] - SHARES[0]) * share)
        start = slot * place + where * (slot - length)
        made.append((start, start + length, labels[place % len(labels)]))
    return made

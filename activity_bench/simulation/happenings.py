"""When what is to be seen in a video: its activities with their tempo, and distractors that nobody annotated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import NDArray

from activity_bench.segments import merge
from activity_bench.simulation.concepts import PHASES, Concepts, Path
from activity_bench.simulation.processes import generator
from activity_bench.types import Instance, Video

SLOT = 20.0  # seconds; each slot has at most one distractor, so what comes later changes nothing before
LENGTHS = (3.0, 12.0)  # seconds of a distractor


@dataclass(frozen=True)
class Event:
    """An activity that is to be seen: the edges of its three phases, in seconds."""

    edges: tuple[float, ...]  # four
    path: Path
    label: str | None  # of a distractor: none

    @property
    def start(self) -> float:
        """When it begins."""
        return self.edges[0]

    @property
    def end(self) -> float:
        """When it is over."""
        return self.edges[-1]


def activities(instances: Iterable[Instance]) -> list[Instance]:
    """What is to be seen of some annotations: of one class, what overlaps is one activity. In order of time."""
    by_label: dict[str, list[tuple[float, float]]] = {}
    for instance in instances:
        by_label.setdefault(instance.label, []).append((instance.start, instance.end))
    return [Instance(*found) for found in sorted((*s, label) for label, ss in by_label.items() for s in merge(ss))]


def events(video: Video, concepts: Concepts, trimmed: bool) -> list[Event]:
    """All that is to be seen in a video; nothing unannotated in one of which a trimmed clip is used."""
    known = activities(video.instances)
    shown = [_event(concepts, video.id, seen.start, seen.end, concepts.path(seen.label), seen.label) for seen in known]
    return shown if trimmed else [*shown, *_distractors(video, known, concepts)]


def _event(concepts: Concepts, video: str, start: float, end: float, path: Path, label: str | None) -> Event:
    """Progress is time to a power: a class's phases last longer or shorter from instance to instance."""
    drawn = generator(concepts.options.seed, f"{video}\0{start!r}", "tempo").standard_normal()
    power = exp(concepts.options.tempo * drawn)
    inner = [start + (end - start) * (i / len(PHASES)) ** power for i in range(1, len(PHASES))]
    return Event((start, *inner, end), path, label)


def _distractors(video: Video, known: list[Instance], concepts: Concepts) -> Iterator[Event]:
    """At a rate a minute, in slots; none overlaps an activity, and none is a sibling of the video's classes."""
    options, lasts = concepts.options, video.duration or 0.0
    slots = int(np.ceil(lasts / SLOT))
    if not options.distractors or not slots:
        return
    draws = generator(options.seed, video.id, "distractors").random((slots, 3))  # there or not, length, place
    kin = frozenset(concepts.path(seen.label)[:-1] for seen in known)
    for slot in np.flatnonzero(draws[:, 0] < options.distractors * SLOT / 60):
        length = LENGTHS[0] + (LENGTHS[1] - LENGTHS[0]) * draws[slot, 1]
        start = float(SLOT * slot + draws[slot, 2] * (SLOT - length))
        if start < lasts and all(start + length <= seen.start or seen.end <= start for seen in known):
            path = concepts.other(f"{video.id}\0{slot}", "distractor", kin)
            yield _event(concepts, video.id, start, float(start + length), path, None)


def coverage(event: Event, starts: NDArray[np.float64], window: float) -> tuple[int, NDArray[np.float64]]:
    """The first row that sees an event, and what share of each row's window lies in each phase: (rows, 3)."""
    first, last = np.searchsorted(starts, [event.start - window, event.end])
    edges, left = np.array(event.edges), starts[first:last, None]  # (rows, 1)
    seen = np.minimum(left + window, edges[1:]) - np.maximum(left, edges[:-1])
    return int(first), np.maximum(seen, 0) / window

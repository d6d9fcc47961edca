"""What happens in the videos of a manifest: read off its samples, for a world that has to show it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from activity_bench.errors import InputError
from activity_bench.types import Instance, Sample, Video

SUBSET = "simulated"


def contents(samples: Iterable[Sample]) -> dict[str, Video]:
    """Each video that the samples (of all splits) mention: how long it is seen to be, and the activities in it.

    Activities are targets and the segments of clip queries, each once. A video lasts to the largest time that any
    sample names in it. An image query names a moment, not an activity: it adds no instance.
    """
    lasts: dict[str, float] = defaultdict(float)
    found: dict[str, set[tuple[float, float, str]]] = defaultdict(set)
    for sample in samples:
        window, query = sample.video, sample.query
        lasts[window.id] = max(lasts[window.id], window.end or 0.0)
        for target in sample.targets:
            _note(found, lasts, sample, window.id, target.start, target.end, target.label or sample.label)
        if query.video is not None:
            lasts[query.video] = max(lasts[query.video], query.time or 0.0)
            if query.start is not None and query.end is not None:
                _note(found, lasts, sample, query.video, query.start, query.end, query.label or sample.label)
    return {
        video: Video(video, last, SUBSET, tuple(Instance(*instance) for instance in sorted(found[video])))
        for video, last in sorted(lasts.items())
    }


def _note(
    found: dict[str, set[tuple[float, float, str]]], lasts: dict[str, float], sample: Sample,
    video: str, start: float, end: float, label: str | None,
) -> None:  # fmt: skip
    if label is None:
        raise InputError("an activity without a class cannot be simulated", field="label", found=sample.id)
    lasts[video] = max(lasts[video], end)
    found[video].add((start, end, label))

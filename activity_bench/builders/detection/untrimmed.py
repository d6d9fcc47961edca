"""An untrimmed video as one line: its whole length, every instance in it, and where no answer counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from activity_bench.segments import quantise
from activity_bench.types import Instance, Ledger, Query, Sample, Segment, Target, Video, Window


def question(split: str, video: Video, durations: Mapping[str, float], ledger: Ledger) -> Sample:
    """The video's line; its instances are seen here, and kept or dropped."""
    ledger.seen += len(video.instances)
    window = whole(video, durations, ledger)
    targets = []
    for instance in video.instances:
        bounds = inside(instance, window.end, ledger)
        if bounds is not None:
            targets.append(Target(bounds.start, bounds.end, instance.label))
    around = Ledger("stretch")
    ignore = [bounds for stretch in video.ignore if (bounds := inside(stretch, window.end, around)) is not None]
    for reason, count in around.dropped.items():
        ledger.mended[f"an ambiguous stretch that is {reason}"] += count
    return Sample(
        id=f"{name(split, window)}/0",
        query=Query("classes", vocabulary="target"),
        video=window,
        targets=tuple(targets),  # as the file has them: in some evaluators truths choose in this order
        ignore=tuple(sorted(ignore, key=lambda bounds: (bounds.start, bounds.end))) or None,
    )


def whole(video: Video, durations: Mapping[str, float], ledger: Ledger) -> Window:
    """The video from 0 to its end, which is None where nobody states it."""
    duration = durations.get(video.id, video.duration)
    if durations and video.id not in durations:
        ledger.note("a video that the file of durations lacks", video.id)
    if duration is not None and quantise(duration) <= 0:
        ledger.mended["a duration of 0 or less, taken as unknown"] += 1
        duration = None
    return Window(video.id, 0.0, None if duration is None else quantise(duration))


def inside(instance: Instance, end: float | None, ledger: Ledger) -> Segment | None:
    """The bounds of an instance in its video, or None and a line in the ledger."""
    first, last = quantise(instance.start), quantise(instance.end)
    if not first < last or last <= 0:
        ledger.drop("empty or reversed")
        return None
    if end is not None and first >= end:
        ledger.drop("past the end of its video")
        return None
    if first >= 0 and (end is None or last <= end):
        return Segment(first, last)
    ledger.mended["clamped to its video"] += 1
    return Segment(max(first, 0.0), last if end is None else min(last, end))


def name(split: str, window: Window) -> str:
    """What ids begin with, from content: split, video, window in milliseconds. A number among its lines follows."""
    end = "end" if window.end is None else f"{round(1000 * window.end)}"
    return f"{split}/{window.id}/{round(1000 * window.start)}-{end}"


def evaluation(corpus: str, split: str, videos: Iterable[Video]) -> dict[str, Any]:
    """Which videos are asked, by name, number and hash: subsets differ between projects, silently, by a few videos."""
    ids = sorted(video.id for video in videos)
    found = sha256("".join(f"{video}\n" for video in ids).encode()).hexdigest()
    return {"name": f"{corpus}/{split}@{len(ids)}", "videos": len(ids), "sha256": found}


def note_shared_bounds(videos: Sequence[Video], ledger: Ledger) -> None:
    """Count what stands twice: the same bounds under several classes (all are kept), or under one."""
    shared: Counter[str] = Counter()
    repeated = 0
    for video in videos:
        labels: dict[tuple[float, float], list[str]] = defaultdict(list)
        for instance in video.instances:
            labels[quantise(instance.start), quantise(instance.end)].append(instance.label)
        for found in labels.values():
            repeated += len(found) - len(set(found))
            if len(set(found)) > 1:
                shared[" + ".join(sorted(set(found)))] += 1
    for classes, count in shared.items():
        ledger.note("the same bounds under several classes, all kept", f"{classes}: {count:,}")
    if repeated:
        ledger.note("an instance that repeats another, kept as the official scorers keep it", f"{repeated:,}")

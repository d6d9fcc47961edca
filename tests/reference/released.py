"""The released geometry a second time: one instance after the other, in plain Python, from the rules in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import floor

from activity_bench.types import Video

Found = tuple[str, str, tuple[int, int], tuple[int, int], float]  # video, class, target, window, start in seconds


def places(video: Video, counts: Mapping[str, tuple[int, int]], max_target: int) -> tuple[list[Found], Counter[str]]:
    """What is kept of a video, in order of start, and how many of its instances are dropped for which reason."""
    if video.id not in counts or not video.duration:
        return [], Counter({"its video has no frame count or no duration": len(video.instances)})
    merged: list[tuple[float, float, str]] = []
    for instance in sorted(video.instances, key=lambda i: i.start):
        if merged and instance.start <= merged[-1][1]:
            if merged[-1][2] != instance.label:
                return [], Counter({"its video has overlapping instances of different classes": len(video.instances)})
            merged[-1] = (merged[-1][0], max(merged[-1][1], instance.end), instance.label)
        else:
            merged.append((instance.start, instance.end, instance.label))
    drops = Counter({"merged into another instance of its class": len(video.instances) - len(merged)})
    frames, rows = counts[video.id]

    def row(time: float) -> int:
        return max(0, floor(frames * time / (video.duration or 0) / 16))

    found = []
    for place, (start, end, label) in enumerate(merged):
        first, last = row(start), min(rows, row(end) + 1)
        if end < 0 or first >= last:
            drops["past the last row of its video"] += 1
        elif last - first > max_target:
            drops[f"longer than {max_target} rows"] += 1
        else:
            low = next((row(other[1]) for other in reversed(merged[:place]) if other[2] == label), 0)
            high = next((min(rows, row(other[0]) + 1) for other in merged[place + 1 :] if other[2] == label), rows)
            found.append((video.id, label, (first, last), (low, high), start))
    return found, +drops

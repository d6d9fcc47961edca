"""ActivityNet JSON, strict: `version`, `taxonomy` and `database`, as the challenge's devkit and its readers want it.

A video's annotations are the targets of all its samples, each once. `subset` is the split, by ActivityNet's names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from activity_bench.data import canonical
from activity_bench.data.exports import Export, Format, word
from activity_bench.errors import InputError

SUBSETS = {"train": "training", "val": "validation", "test": "testing"}
INSTEAD = "activity-bench build-dataset detection --annotations FILE --out DIR"
LOST = "queries, windows, ignored stretches and the grid; a video's duration is where its last window ends"


def write(export: Export) -> Iterator[tuple[str, bytes]]:
    """One JSON file."""
    found = {"version": version(export), "taxonomy": taxonomy(export.manifest.tree, classes(export)),
             "database": database(export)}  # fmt: skip
    yield "annotations.json", canonical.line(found)


def version(export: Export) -> str:
    """What stands where the official file says VERSION 1.3."""
    return f"{export.manifest.name} {export.manifest.version}"


def database(export: Export) -> dict[str, dict[str, Any]]:
    """Video -> subset, duration (left out where none is known) and annotations, in order of time."""
    found: dict[str, dict[str, Any]] = {}
    ends: dict[str, float | None] = {}
    segments: dict[str, dict[tuple[float, float, str], None]] = {}
    for split, samples in export.samples.items():
        subset = SUBSETS.get(split, split)
        for sample in samples:
            video = sample.video.id
            entry = found.setdefault(video, {"subset": subset})
            if entry["subset"] != subset:
                raise InputError(
                    "a video in two splits, and ActivityNet JSON gives it one subset", file=export.manifest.folder,
                    field="video.id", found=video, hint="Export one split at a time: --split NAME.",
                )  # fmt: skip
            end, before = sample.video.end, ends.get(video, 0.0)
            ends[video] = None if end is None or before is None else max(end, before)
            own = segments.setdefault(video, {})
            for target in sample.targets:
                label = target.label or sample.label
                if label is None:
                    raise InputError("a target without a class", file=export.manifest.path(split), field="label",
                                     found=sample.id)  # fmt: skip
                own[target.start, target.end, word(label, export)] = None
    for video, entry in found.items():
        if ends[video] is not None:
            entry["duration"] = ends[video]
        entry["annotations"] = [{"segment": [a, b], "label": label} for a, b, label in sorted(segments[video])]
    return dict(sorted(found.items()))


def classes(export: Export) -> list[str]:
    """The classes that the targets of the exported splits have, sorted."""
    return sorted(
        {
            word(label, export)
            for samples in export.samples.values()
            for sample in samples
            for target in sample.targets
            if (label := target.label or sample.label)
        }
    )


def taxonomy(tree: Mapping[str, list[str]], labels: list[str]) -> list[dict[str, Any]]:
    """The class tree as nodes: each is told by its path, so that two of one name stay two."""
    paths = {(*reversed(tree.get(label, [])), label) for label in {*tree, *labels}}
    nodes = sorted({path[:length] for path in paths for length in range(1, len(path) + 1)}, key=lambda p: (len(p), p))
    numbers = {path: number for number, path in enumerate(nodes)}
    return [
        {
            "nodeId": number,
            "nodeName": path[-1],
            "parentId": numbers[path[:-1]] if path[:-1] else None,
            "parentName": path[-2] if path[:-1] else None,
        }
        for path, number in numbers.items()
    ]


ACTIVITYNET = Format(
    definition="ActivityNet JSON (strict), the truth that the devkit's evaluation and its kin read",
    lost=LOST,
    shape="file",
    write=write,
    instead=INSTEAD,
)

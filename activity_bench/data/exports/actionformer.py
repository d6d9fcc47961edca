"""The folder that ActionFormer reads: annotations.json with `label_id` on every annotation, and the classes by number.

Its `num_classes` is the count of classes in the file, which one split may lack: export the splits together, or say
the count of the split. `fps` stands where frames are known; else its `default_fps` holds.
"""

from __future__ import annotations

from collections.abc import Iterator

from activity_bench.data import canonical
from activity_bench.data.exports import Export, Format
from activity_bench.data.exports.activitynet import INSTEAD, LOST, classes, version
from activity_bench.data.exports.opentad import TABLES, timed


def write(export: Export) -> Iterator[tuple[str, bytes]]:
    """annotations.json and category_idx.txt."""
    names = classes(export)
    number = {label: place for place, label in enumerate(names)}
    videos = timed(export)
    for entry in videos.values():
        for annotation in entry["annotations"]:
            annotation["label_id"] = number[annotation["label"]]
        if "frame" in entry:
            entry["fps"] = entry["frame"] / entry["duration"]
    yield "annotations.json", canonical.line({"version": version(export), "database": videos})
    yield "category_idx.txt", "".join(f"{label}\n" for label in names).encode()


ACTIONFORMER = Format(
    definition="the annotation folder of ActionFormer: annotations.json with label_id, duration and fps",
    lost=LOST + " (or as --taxonomy FILE has it)",
    shape="folder",
    write=write,
    tables=TABLES,
    instead=INSTEAD,
)

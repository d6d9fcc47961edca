"""The folder that OpenTAD reads: annotations.json, and category_idx.txt with a class a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from activity_bench.data import canonical
from activity_bench.data.exports import Export, Format
from activity_bench.data.exports.activitynet import INSTEAD, LOST, classes, database, version
from activity_bench.errors import InputError

TABLES = {
    "frame_counts": "JSON: frames of each video (length.json of the released files), for `frame` and `fps`",
    "taxonomy": "ActivityNet JSON that has the videos' durations",
}


def timed(export: Export) -> dict[str, dict[str, Any]]:
    """The database with a duration for every video, and frames where they are known."""
    counts = export.tables.get("frame_counts", {})
    durations = export.tables["taxonomy"].durations if "taxonomy" in export.tables else {}
    videos = database(export)
    for video, entry in videos.items():
        duration = durations.get(video) or entry.get("duration")
        if duration is None:
            raise InputError(
                "a video without a duration, which trainers of detectors divide by", file=export.manifest.folder,
                field="video.end", found=video,
                hint="Build the manifest with --durations FILE, or name an ActivityNet JSON: --taxonomy FILE.",
            )  # fmt: skip
        entry["duration"] = duration
        if video in counts:
            entry["frame"] = counts[video][0]
    return videos


def write(export: Export) -> Iterator[tuple[str, bytes]]:
    """annotations.json and category_idx.txt."""
    yield "annotations.json", canonical.line({"version": version(export), "database": timed(export)})
    yield "category_idx.txt", "".join(f"{label}\n" for label in classes(export)).encode()


OPENTAD = Format(
    definition="the annotation folder of OpenTAD: annotations.json and category_idx.txt",
    lost=LOST + " (or as --taxonomy FILE has it)",
    shape="folder",
    write=write,
    tables=TABLES,
    instead=INSTEAD,
)

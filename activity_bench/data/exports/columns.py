"""A sample as one flat row, and back: times as numbers, targets as parallel lists. Nothing of a sample is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec

from activity_bench.data.canonical import complaint
from activity_bench.types import Query, Sample

# column, its kind (text, number, whole, and a list of each), what it says
COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("id", "text", "the sample's id, by which predictions answer it"),
    ("video", "text", "id of the video that is searched"),
    ("start", "number", "where the searched window starts, seconds of the original video"),
    ("end", "number", "where it ends; null where no duration is known"),
    ("query_kind", "text", "image, clip, classes or text"),
    ("query_video", "text", "id of the video that the query was taken from"),
    ("query_time", "number", "second of an image query"),
    ("query_start", "number", "where a clip query starts"),
    ("query_end", "number", "where it ends"),
    ("query_label", "text", "the class that an image query shows"),
    ("query_distance", "whole", "edges of the class tree between the query's class and the sample's"),
    ("query_vocabulary", "text", "the list of classes that a detection asks for"),
    ("query_text", "text", "the words of a query in words"),
    ("label", "text", "the sample's class"),
    ("part", "text", "simple or difficult"),
    ("target_start", "numbers", "where each true answer starts, seconds of the original video"),
    ("target_end", "numbers", "where it ends"),
    ("target_label", "texts", "its class"),
    ("ignore_start", "numbers", "where each stretch starts that detection may leave out of account"),
    ("ignore_end", "numbers", "where it ends"),
    ("grid_step", "number", "seconds a row of features"),
    ("grid_video", "wholes", "first and last row of the window, half-open"),
    ("grid_query", "wholes", "first and last row of a clip query"),
    ("grid_target_first", "wholes", "first row of each true answer"),
    ("grid_target_last", "wholes", "the row after its last"),
    ("labels", "texts", "the classes that a video has where its boundaries are not told"),
)


def flat(sample: Sample) -> dict[str, Any]:
    """The row of a sample."""
    query, grid, ignore = sample.query, sample.grid, sample.ignore
    return {
        "id": sample.id,
        "video": sample.video.id,
        "start": sample.video.start,
        "end": sample.video.end,
        "query_kind": query.kind,
        "query_video": query.video,
        "query_time": query.time,
        "query_start": query.start,
        "query_end": query.end,
        "query_label": query.label,
        "query_distance": query.distance,
        "query_vocabulary": query.vocabulary,
        "query_text": query.text,
        "label": sample.label,
        "part": sample.part,
        "target_start": [target.start for target in sample.targets],
        "target_end": [target.end for target in sample.targets],
        "target_label": [target.label for target in sample.targets],
        "ignore_start": None if ignore is None else [stretch.start for stretch in ignore],
        "ignore_end": None if ignore is None else [stretch.end for stretch in ignore],
        "grid_step": None if grid is None else grid.step,
        "grid_video": None if grid is None else list(grid.video),
        "grid_query": None if grid is None or grid.query is None else list(grid.query),
        "grid_target_first": None if grid is None else [rows[0] for rows in grid.targets],
        "grid_target_last": None if grid is None else [rows[1] for rows in grid.targets],
        "labels": None if sample.labels is None else list(sample.labels),
    }


def sample_of(row: Mapping[str, Any], file: Path, line: int) -> Sample:
    """The sample of a row, typed and checked; columns that are not there are empty."""
    values = {name: row.get(name) for name, _, _ in COLUMNS}
    query = {field.name: values[f"query_{field.name}"] for field in fields(Query)}
    tree: dict[str, Any] = {
        "id": values["id"],
        "label": values["label"],
        "part": values["part"],
        "query": query,
        "video": {"id": values["video"], "start": values["start"], "end": values["end"]},
        "targets": _zipped(values, ("start", "end", "label"), "target"),
    }
    if values["ignore_start"] is not None:
        tree["ignore"] = _zipped(values, ("start", "end"), "ignore")
    if values["grid_step"] is not None:
        rows = _zipped(values, ("first", "last"), "grid_target")
        tree["grid"] = {
            "step": values["grid_step"],
            "video": values["grid_video"],
            "query": values["grid_query"],
            "targets": [[pair["first"], pair["last"]] for pair in rows],
        }
    if values["labels"] is not None:
        tree["labels"] = values["labels"]
    try:
        return msgspec.convert(tree, Sample)
    except msgspec.ValidationError as error:
        raise complaint(error, file, line) from None


def _zipped(values: Mapping[str, Any], parts: Sequence[str], stem: str) -> list[dict[str, Any]]:
    """Parallel lists as a list of objects; a list that is shorter leaves a hole, which the types then name."""
    lists = [values[f"{stem}_{part}"] or [] for part in parts]
    length = max(map(len, lists))
    return [
        {part: items[i] if i < len(items) else None for part, items in zip(parts, lists, strict=True)}
        for i in range(length)
    ]

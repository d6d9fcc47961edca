"""The released layout of video re-localization: train.json, val.json, test.json, each a list of targets in rows.

`{"id", "groundtruth": [g0, g1], "label", "location": [s0, s1]}`: rows of 16 frames, half-open, `groundtruth` counted
from `location[0]`. `label` is a number: that of the class tree where `--taxonomy` is given, else the class's place
among the sorted classes of the manifest, which classes.json has. steps.json has the seconds a row of each video: no
released file has these, and without them rows cannot become seconds again. The layout has no queries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from activity_bench.data import canonical
from activity_bench.data.annotations.values import check_id
from activity_bench.data.disk import read_bytes
from activity_bench.data.exports import Export, Format, nodes, read_page, word
from activity_bench.errors import InputError, unknown
from activity_bench.types import Source

MAX_BYTES = 1 << 30
UNIT = 16  # frames a row
GUESSED = UNIT / 30  # seconds a row where neither duration nor frames are known
SPLITS = ("train", "val", "test")
CLASSES, STEPS = "classes.json", "steps.json"


def write(export: Export) -> Iterator[tuple[str, bytes]]:
    """A list a split, classes.json and steps.json."""
    labels = _labels(export)
    steps: dict[str, float] = {}
    for split, samples in export.samples.items():
        rows = []
        for sample in samples:
            where, found = export.manifest.path(split), sample.id
            if sample.grid is None:
                raise InputError("a sample without rows", file=where, field="grid", found=found,
                                 hint="This layout counts rows: export a relocalization manifest.")  # fmt: skip
            if not sample.grid.targets:
                raise InputError("a sample without a target", file=where, field="targets", found=found,
                                 hint="Training lines of a weak manifest have none: --split val or test.")  # fmt: skip
            if steps.setdefault(sample.video.id, sample.grid.step) != sample.grid.step:
                raise InputError("a video with rows of two lengths", file=where, field="grid.step", found=found)
            first, last = sample.grid.video
            rows += [
                {"id": sample.video.id, "label": labels[sample.label or ""], "location": [first, last],
                 "groundtruth": [low - first, high - first]}
                for low, high in sample.grid.targets
            ]  # fmt: skip
        yield f"{export.stem(split)}.json", canonical.line(rows)
    yield CLASSES, canonical.page(labels)
    yield STEPS, canonical.page(steps)


def _labels(export: Export) -> dict[str, int]:
    """Class -> number, of every class of the manifest: the same whichever splits are exported."""
    asked = export.manifest
    found: set[str] = set()
    for split in asked.splits:
        for sample in export.samples[split] if split in export.samples else asked.samples(split):
            if not sample.label:
                raise InputError("a sample without a class", file=asked.path(split), field="label", found=sample.id)
            found.add(word(sample.label, export))
    if "taxonomy" not in export.tables:
        return {label: place for place, label in enumerate(sorted(found))}
    table: nodes.Nodes = export.tables["taxonomy"]
    for label in sorted(found - table.numbers.keys()):
        raise unknown("class", label, table.numbers, file=table.source.file, field="taxonomy")
    return {label: table.numbers[label] for label in sorted(found)}


# ---- reading --------------------------------------------------------------------------------------------------------


class _Row(msgspec.Struct, gc=False):
    id: str
    groundtruth: tuple[int, int]
    location: tuple[int, int]
    label: int


@dataclass(frozen=True)
class Listed:
    """One line of a list, in absolute rows of its video."""

    split: str
    video: str
    label: str
    target: tuple[int, int]
    window: tuple[int, int]
    step: float
    guessed: bool  # whether the step is a guess


@dataclass(frozen=True)
class Lists:
    """The lists of a folder; their queries are still to be drawn."""

    rows: tuple[Listed, ...]
    sources: tuple[Source, ...]
    name: str
    tree: Mapping[str, tuple[str, ...]]
    partial: bool


def read(path: Path, tables: Mapping[str, Any]) -> Lists:
    """The lists of a folder. `classes` names the labels, `frame_counts` gives the length of each video."""
    if not path.is_dir():
        raise InputError("this is no folder", file=path, expected="a folder with train.json, val.json, test.json")
    sources: list[Source] = []
    table = tables.get("classes") or (nodes.read(path / CLASSES) if (path / CLASSES).is_file() else None)
    if table is None:
        raise InputError("numbers of classes without their names", file=path,
                         hint="Name the ActivityNet JSON that has the class tree: --classes FILE.")  # fmt: skip
    sources.append(table.source)
    steps = _steps(path, sources)
    counts = tables.get("frame_counts", {})
    names = {number: label for label, number in table.numbers.items()}
    rows: list[Listed] = []
    split_of: dict[str, str] = {}
    for split in (name for name in SPLITS if (path / f"{name}.json").is_file()):
        file = path / f"{split}.json"
        data = read_bytes(file, MAX_BYTES)
        sources.append(Source(file.name, len(data), sha256(data).hexdigest()))
        listed: list[_Row] = canonical.read_page(data, file, list[_Row])
        for place, row in enumerate(listed):
            where = f"[{place}]"
            if row.label not in names:
                raise InputError("no class has this number", file=file, field=f"{where}.label", found=row.label)
            if split_of.setdefault(names[row.label], split) != split:
                raise InputError("a class in two splits", file=file, field=f"{where}.label", found=names[row.label])
            video = check_id(row.id, file, f"{where}.id")
            window, target = _rows(row, counts.get(video), file, where)
            step = steps.get(video) or _step(video, counts, table.durations)
            rows.append(Listed(split, video, names[row.label], target, window, step or GUESSED, step is None))
    if not rows:
        raise InputError("no released list in this folder", file=path, expected="train.json, val.json or test.json")
    page = read_page(path)
    tree = {label: tuple(up) for label, up in page.tree.items()} if page else dict(table.tree)
    name, partial = (page.name, page.partial) if page else ("relocalization", False)
    return Lists(tuple(rows), tuple(sources), name, tree, partial)


def _rows(row: _Row, count: tuple[int, int] | None, file: Path, where: str) -> tuple[tuple[int, int], tuple[int, int]]:
    (first, last), (low, high) = row.location, row.groundtruth
    end = count[1] if count else last
    if not 0 <= first < last <= max(end, 1) or last >= 1 << 53:
        raise InputError("not a stretch of its video", file=file, field=f"{where}.location", found=list(row.location),
                         expected=f"rows in order, from 0 to {end}" if count else "rows in order, from 0")  # fmt: skip
    if not 0 <= low < high <= last - first:
        raise InputError("not inside its location", file=file, field=f"{where}.groundtruth",
                         found=list(row.groundtruth), expected=f"rows in order, from 0 to {last - first}")  # fmt: skip
    return (first, last), (first + low, first + high)


def _step(video: str, counts: Mapping[str, tuple[int, int]], durations: Mapping[str, float]) -> float | None:
    """Seconds a row, from the video's frames and duration."""
    if video in counts and video in durations:
        return UNIT * durations[video] / counts[video][0]
    return None


def _steps(path: Path, sources: list[Source]) -> dict[str, float]:
    file = path / STEPS
    if not file.is_file():
        return {}
    data = read_bytes(file, MAX_BYTES)
    found: dict[str, float] = canonical.read_page(data, file, dict[str, float])
    for video, step in found.items():
        if not (isfinite(step) and step > 0):
            raise InputError("rows of no length", file=file, field=video, found=step, expected="seconds, above 0")
    sources.append(Source(file.name, len(data), sha256(data).hexdigest()))
    return found


VIDEO_RELOC = Format(
    definition="the released lists of video re-localization (ECCV 2018): train.json, val.json, test.json in rows",
    lost="the queries, which an import draws again by the rule of the builder; the drop ledger",
    shape="folder",
    tasks=frozenset({"moment"}),
    write=write,
    tables={"taxonomy": "ActivityNet JSON whose class tree gives the numbers of the classes"},
    read=read,
    read_tables={
        "frame_counts": "JSON: frames and feature rows of each video (length.json of the released files)",
        "classes": "classes.json of an export, or the ActivityNet JSON that has the class tree and the durations",
    },
)

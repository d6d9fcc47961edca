"""Moment-retrieval JSON lines, the layout of QVHighlights, which Moment-DETR, UniVTG, lighthouse and MATR read.

A line: `{"qid", "query", "vid", "duration", "relevant_windows", "relevant_clip_ids", "saliency_scores"}` and, of our
own, the query itself (`query_kind`, `query_video`, `query_window` or `query_time`) and what a sample has besides, so
that the lines can be read back without loss.

Times stay absolute, on the clock of the original video, whatever the searched window: `duration` is where the window
ends, `window` says where it starts, and an answer before that start is outside. `qid` is the sample's id. `query` is
the class's name, since readers want a text: a model that reads it answers an easier question than the benchmark asks.
Clips have two seconds, as in QVHighlights, and every clip that a target touches has the saliency 4, 4, 4.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from math import ceil, floor
from pathlib import Path
from typing import Any

import msgspec

from activity_bench.data import canonical, exports, lines
from activity_bench.data.exports import Export, Format, Imported
from activity_bench.errors import InputError
from activity_bench.segments import quantise
from activity_bench.types import Grid, Query, Sample, Source, Target, Window

CLIP = 2.0  # seconds
SALIENCY = [4, 4, 4]
MAX_TEXT = 10_000  # characters of a query in words
NAMES = re.compile(r"(?:\w*_)?(?:qv)?highlights?_([A-Za-z0-9-]+)_(?:release|with_gt)")  # of the official files


def write(export: Export) -> Iterator[tuple[str, bytes]]:
    """One file a split."""
    for split, samples in export.samples.items():
        file = export.manifest.path(split)
        yield f"{export.stem(split)}.jsonl", b"".join(canonical.line(_row(sample, file)) for sample in samples)


def _row(sample: Sample, file: Path) -> dict[str, Any]:
    query = sample.query
    start, end = sample.video.bounds()
    if query.kind == "classes":
        raise InputError("a query that is a list of classes", file=file, field="query.kind", found=query.kind,
                         expected="image, clip or text")  # fmt: skip
    windows = [[target.start, target.end] for target in sample.targets]
    clips = sorted({clip for first, last in windows for clip in range(floor(first / CLIP), ceil(last / CLIP))})
    labels = [target.label for target in sample.targets]
    grid = sample.grid
    row = {
        "qid": sample.id,
        "query": query.text or query.label or sample.label or "",
        "vid": sample.video.id,
        "duration": end,
        "window": [start, end],
        "query_kind": query.kind,
        "query_video": query.video,
        "query_window": [query.start, query.end] if query.kind == "clip" else None,
        "query_time": query.time,
        "query_label": query.label,
        "query_distance": query.distance,
        "label": sample.label,
        "labels": labels if any(labels) else None,
        "part": sample.part,
        "grid": grid and {"step": grid.step, "video": grid.video, "targets": grid.targets, "query": grid.query},
    }
    if windows:  # a test line of QVHighlights has none of the three
        row |= {"relevant_windows": windows, "relevant_clip_ids": clips, "saliency_scores": [SALIENCY] * len(clips)}
    return {name: value for name, value in row.items() if value is not None}


class _Line(msgspec.Struct):
    qid: str | int
    vid: str
    duration: float
    query: str | None = None
    relevant_windows: list[tuple[float, float]] = []
    window: tuple[float, float] | None = None
    query_kind: str | None = None
    query_video: str | None = None
    query_window: tuple[float, float] | None = None
    query_time: float | None = None
    query_label: str | None = None
    query_distance: int | None = None
    label: str | None = None
    labels: list[str | None] | None = None
    part: str | None = None
    grid: Grid | None = None


def read(path: Path, tables: Mapping[str, Any]) -> Imported:
    """The samples of one file, or of a folder of them."""
    decoder = msgspec.json.Decoder(_Line)
    samples: list[tuple[str, Sample]] = []
    sources = []
    for split, file in exports.split_files(path, ".jsonl", NAMES).items():
        hasher = sha256()
        for block in lines.read(file, decoder, (hasher,)):
            for place, line in enumerate(block.items):
                try:
                    samples.append((split, _sample(line)))
                except InputError as error:
                    raise InputError(error.problem, file=file, line=block.line_of(place), field=error.field,
                                     found=error.found, expected=error.expected) from None  # fmt: skip
        sources.append(Source(file.name, file.stat().st_size, hasher.hexdigest()))
    return exports.built(samples, sources, exports.read_page(path) if path.is_dir() else None, "qvhighlights", "moment")


def _sample(line: _Line) -> Sample:
    start, end = line.window or (0.0, line.duration)
    if line.labels is not None and len(line.labels) != len(line.relevant_windows):
        raise InputError("not one class a window", field="labels", found=len(line.labels),
                         expected=str(len(line.relevant_windows)))  # fmt: skip
    labels = line.labels or [None] * len(line.relevant_windows)
    return Sample(
        id=str(line.qid),
        query=_query(line),
        video=Window(line.vid, quantise(start), quantise(end)),
        targets=tuple(
            Target(quantise(first), quantise(last), label)
            for (first, last), label in zip(line.relevant_windows, labels, strict=True)
        ),
        label=line.label,
        part=line.part,
        grid=line.grid,
    )


def _query(line: _Line) -> Query:
    if line.query_video is not None and line.query_window is not None and line.query_kind != "image":
        first, last = line.query_window
        return Query("clip", video=line.query_video, start=quantise(first), end=quantise(last))
    if line.query_video is not None and line.query_time is not None and line.query_kind != "clip":
        return Query("image", video=line.query_video, time=quantise(line.query_time), label=line.query_label,
                     distance=line.query_distance)  # fmt: skip
    asks = [name for name in ("query_video", "query_window", "query_time") if getattr(line, name) is not None]
    if asks or line.query_kind not in (None, "text"):
        raise InputError("half a query", field="query_video", found=asks or line.query_kind,
                         expected="query_video with query_window or query_time, or words alone")  # fmt: skip
    if not (line.query or "").strip() or len(line.query or "") > MAX_TEXT:
        raise InputError("a query without words", field="query", found=line.query,
                         expected=f"1 to {MAX_TEXT:,} characters")  # fmt: skip
    return Query("text", text=line.query)


QVHIGHLIGHTS = Format(
    definition="moment-retrieval JSON lines (QVHighlights), as Moment-DETR, UniVTG, lighthouse and MATR read them",
    lost="nothing of the samples; the drop ledger stays behind",
    shape="file a split",
    tasks=frozenset({"moment"}),
    write=write,
    read=read,
)

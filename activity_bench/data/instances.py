"""The truth of a detection split as columns: videos, classes, instances, and the stretches where no answer counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np

from activity_bench.data.manifest import Manifest
from activity_bench.data.samples import check_ids
from activity_bench.data.truth import Column, Ints, column, encode, first_fault, places
from activity_bench.errors import InputError, unknown
from activity_bench.segments import Floats


class _Target(msgspec.Struct, gc=False):
    start: float
    end: float
    label: str | None = None


class _Window(msgspec.Struct, gc=False):
    id: str
    start: float
    end: float | None


class _Query(msgspec.Struct, gc=False):
    vocabulary: str | None = None


class _Line(msgspec.Struct, gc=False):
    id: str
    query: _Query
    targets: list[_Target]
    video: _Window
    label: str | None = None
    part: str | None = None
    ignore: list[_Target] | None = None


@dataclass(frozen=True)
class Instances:
    """n samples (a video each, as a rule), m instances, i stretches to leave out of account."""

    ids: list[str]  # n of them
    videos: list[str]  # n
    window_start: Floats  # (n,) seconds
    window_end: Floats  # (n,) seconds, inf where unknown
    labels: list[str]  # the classes that are asked: the split's vocabulary
    target_sample: Ints  # (m,) ascending
    target_label: Ints  # (m,) place among `labels`
    target_start: Floats  # (m,) seconds
    target_end: Floats  # (m,)
    ignore_sample: Ints  # (i,) ascending
    ignore_start: Floats  # (i,)
    ignore_end: Floats  # (i,)
    part: Column

    @cached_property
    def index(self) -> dict[str, int]:
        """Id -> place."""
        return {name: place for place, name in enumerate(self.ids)}

    @cached_property
    def by_video(self) -> dict[str, int]:
        """Video -> place of its sample, or -2 where it has several."""
        return places(self.videos)


def read_instances(manifest: Manifest, split: str) -> Instances:
    """The columns of a split, verified like every reading of a manifest."""
    rows: list[_Line] = []
    for block in manifest.blocks(split, msgspec.json.Decoder(_Line)):
        if not _sound(block.items):
            manifest.verify(split)  # a changed file explains it
            raise first_fault(manifest, split, block, "classes")
        rows += block.items
    path = manifest.path(split)
    if not rows:
        raise InputError("this split has no sample", file=path)
    check_ids([row.id for row in rows], path)
    if not any(row.targets for row in rows):
        there = ", ".join(f"{name} {info.classes:,}" for name, info in manifest.splits.items())
        raise InputError("a split without a single target: nothing can score here", file=path, field="targets",
                         found=f"0 in {len(rows):,} samples", hint=f"Classes by split: {there}.")  # fmt: skip
    return _columns(rows, _classes(manifest, split, rows))


def _sound(rows: Sequence[_Line]) -> bool:
    """Every window, target and ignored stretch is in order, inside its window, and every target has a class."""
    for row in rows:
        start, end = row.video.start, np.inf if row.video.end is None else row.video.end
        if not 0 <= start < end:
            return False
        for target in row.targets:
            if not start <= target.start < target.end <= end or (target.label or row.label) is None:
                return False
        if any(not 0 <= stretch.start < stretch.end for stretch in row.ignore or ()):
            return False
    return True


def _classes(manifest: Manifest, split: str, rows: Sequence[_Line]) -> list[str]:
    """The vocabulary that the queries name; the classes of the targets where manifest.json has no such list."""
    named = dict.fromkeys(row.query.vocabulary for row in rows)
    words = [word for name in named if name is not None for word in manifest.vocabularies.get(name, ())]
    met = {target.label or row.label or "": row.id for row in reversed(rows) for target in row.targets}  # the first id
    if not words:
        return sorted(met)
    known = dict.fromkeys(words)
    for label, sample in met.items():
        if label not in known:
            raise unknown("class: the vocabulary lacks it", label, known, file=manifest.path(split),
                          field=f"targets of {sample}")  # fmt: skip
    return list(known)


def _columns(rows: Sequence[_Line], labels: list[str]) -> Instances:
    n, codes = len(rows), {label: code for code, label in enumerate(labels)}
    targets = [target for row in rows for target in row.targets]
    ignored = [stretch for row in rows for stretch in row.ignore or ()]
    end = np.array([row.video.end for row in rows], np.float64)  # None becomes nan
    parts: dict[str | None, int] = {None: -1}
    part = encode([row.part for row in rows], parts)
    return Instances(
        ids=[row.id for row in rows],
        videos=[row.video.id for row in rows],
        window_start=np.array([row.video.start for row in rows], np.float64),
        window_end=np.where(np.isnan(end), np.inf, end),
        labels=labels,
        target_sample=np.repeat(np.arange(n), [len(row.targets) for row in rows]),
        target_label=np.array([codes[t.label or row.label or ""] for row in rows for t in row.targets], np.int64),
        target_start=np.array([target.start for target in targets], np.float64),
        target_end=np.array([target.end for target in targets], np.float64),
        ignore_sample=np.repeat(np.arange(n), [len(row.ignore or ()) for row in rows]),
        ignore_start=np.array([stretch.start for stretch in ignored], np.float64),
        ignore_end=np.array([stretch.end for stretch in ignored], np.float64),
        part=column(part, parts),
    )

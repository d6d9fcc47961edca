"""The answers of a moment split as columns: what the scorer needs of each line, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import msgspec
import numpy as np
from numpy.typing import NDArray

from activity_bench.data.lines import Block
from activity_bench.data.manifest import Manifest
from activity_bench.errors import InputError
from activity_bench.segments import Floats

Ints = NDArray[np.int64]


class _Target(msgspec.Struct, gc=False):
    start: float
    end: float


class _Window(msgspec.Struct, gc=False):
    start: float
    end: float | None


class _Grid(msgspec.Struct, gc=False):
    step: float
    targets: list[tuple[int, int]]


class _Line(msgspec.Struct, gc=False):
    id: str
    targets: list[_Target]
    video: _Window
    label: str | None = None
    part: str | None = None
    grid: _Grid | None = None


@dataclass(frozen=True)
class Column:
    """A column of few words: a code for each row (-1 where there is none), and the words."""

    codes: Ints  # (n,)
    words: list[str]


@dataclass(frozen=True)
class Moments:
    """n samples, m targets. On a grid `target_start` and `target_end` are rows, and `step` is the size of a row."""

    index: dict[str, int]  # id -> place, n of them
    window_start: Floats  # (n,) seconds
    window_end: Floats  # (n,) seconds, inf where unknown
    step: Floats  # (n,) seconds a row; nan where there is no grid
    target_sample: Ints  # (m,) ascending
    target_start: Floats  # (m,) rows, or seconds where there is no grid
    target_end: Floats  # (m,)
    label: Column
    part: Column


def read_moments(manifest: Manifest, split: str) -> Moments:
    """The columns of a split, verified like every reading of a manifest."""
    index: dict[str, int] = {}
    words: tuple[dict[str, int], dict[str, int]] = {}, {}
    parts: list[tuple[NDArray[np.generic], ...]] = []
    for block in manifest.blocks(split, msgspec.json.Decoder(_Line)):
        rows: list[_Line] = block.items
        columns, sound = _columns(rows, len(index), words)
        if not sound:
            raise _fault(manifest, split, block)
        first = len(index)
        index.update(zip((row.id for row in rows), range(first, first + len(rows)), strict=True))
        parts.append(columns)
    if sum(len(part[0]) for part in parts) != len(index):
        raise InputError("two samples share an id", file=manifest.path(split))
    if not index:
        raise InputError("this split has no sample", file=manifest.path(split))
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    start, end, step, sample, target_start, target_end, label, part = joined
    return Moments(
        index, start, end, step, sample, target_start, target_end,
        Column(label, list(words[0])), Column(part, list(words[1])),
    )  # fmt: skip


def _columns(
    rows: Sequence[_Line], first: int, words: tuple[dict[str, int], dict[str, int]]
) -> tuple[tuple[NDArray[np.generic], ...], bool]:
    """The block's columns, and whether every sample has a window and sound targets."""
    n = len(rows)
    start = np.fromiter((row.video.start for row in rows), np.float64, n)
    end = np.array([row.video.end for row in rows], np.float64)  # None becomes nan
    end[np.isnan(end)] = np.inf
    step = np.fromiter((row.grid.step if row.grid else np.nan for row in rows), np.float64, n)
    targets = [_targets(row) for row in rows]
    count = np.fromiter(map(len, targets), np.int64, n)
    flat = np.fromiter(chain.from_iterable(chain.from_iterable(targets)), np.float64).reshape(-1, 2)
    sound = bool((count > 0).all() and (start < end).all() and (flat[:, 0] < flat[:, 1]).all())
    sample = np.repeat(np.arange(first, first + n), count)
    label = _encode([row.label for row in rows], words[0])
    part = _encode([row.part for row in rows], words[1])
    return (start, end, step, sample, flat[:, 0], flat[:, 1], label, part), sound


def _targets(row: _Line) -> Sequence[tuple[float, float]]:
    return row.grid.targets if row.grid else [(target.start, target.end) for target in row.targets]


def _encode(values: list[str | None], codes: dict[str, int]) -> Ints:
    for value in set(values) - codes.keys() - {None}:
        assert value is not None
        codes[value] = len(codes)
    return np.fromiter((-1 if value is None else codes[value] for value in values), np.int64, len(values))


def _fault(manifest: Manifest, split: str, block: Block[_Line]) -> InputError:
    for place, row in enumerate(block.items):
        targets, end = _targets(row), np.inf if row.video.end is None else row.video.end
        problem, field, found = "", "", object()
        if not row.video.start < end:
            problem, field, found = "an empty window", "video", [row.video.start, end]
        elif not targets or not all(first < last for first, last in targets):
            problem, field, found = "no target, or an empty one: nothing can score here", "targets", targets
        if problem:
            return InputError(problem, file=manifest.path(split), line=block.line_of(place), field=field, found=found)
    raise AssertionError("no fault in the block")

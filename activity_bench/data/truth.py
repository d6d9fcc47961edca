"""The answers of a moment split as columns: what the scorer needs of each line, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
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
    targets: msgspec.Raw  # parsed only where there is no grid
    video: _Window
    label: str | None = None
    part: str | None = None
    grid: _Grid | None = None


_TARGETS = msgspec.json.Decoder(list[_Target])


@dataclass(frozen=True)
class Column:
    """A column of few words: a code for each row (-1 where there is none), and the words."""

    codes: Ints  # (n,)
    words: list[str]


@dataclass(frozen=True)
class Moments:
    """n samples, m targets. On a grid `target_start` and `target_end` are rows, and `step` is the size of a row."""

    ids: list[str]  # n of them
    window_start: Floats  # (n,) seconds
    window_end: Floats  # (n,) seconds, inf where unknown
    step: Floats  # (n,) seconds a row; nan where there is no grid
    target_sample: Ints  # (m,) ascending
    target_start: Floats  # (m,) rows, or seconds where there is no grid
    target_end: Floats  # (m,)
    label: Column
    part: Column

    @cached_property
    def index(self) -> dict[str, int]:
        """Id -> place. Made when needed: answers in the manifest's own order need none."""
        index = {name: place for place, name in enumerate(self.ids)}
        if len(index) < len(self.ids):
            twice = next(name for place, name in enumerate(self.ids) if index[name] != place)
            raise InputError("two samples of the manifest share an id", field="id", found=twice)
        return index


def read_moments(manifest: Manifest, split: str) -> Moments:
    """The columns of a split, verified like every reading of a manifest."""
    ids: list[str] = []
    words: tuple[dict[str | None, int], dict[str | None, int]] = {None: -1}, {None: -1}
    parts: list[tuple[NDArray[np.generic], ...]] = []
    for block in manifest.blocks(split, msgspec.json.Decoder(_Line)):
        rows: list[_Line] = block.items
        columns, sound = _columns(rows, len(ids), words)
        if not sound:
            raise _fault(manifest, split, block)
        ids += [row.id for row in rows]
        parts.append(columns)
    if not ids:
        raise InputError("this split has no sample", file=manifest.path(split))
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    start, end, step, sample, target_start, target_end, label, part = joined
    return Moments(
        ids, start, end, step, sample, target_start, target_end,
        _column(label, words[0]), _column(part, words[1]),
    )  # fmt: skip


def _column(codes: NDArray[np.generic], words: dict[str | None, int]) -> Column:
    return Column(np.asarray(codes, np.int64), [word for word in words if word is not None])


def _columns(
    rows: Sequence[_Line], first: int, words: tuple[dict[str | None, int], dict[str | None, int]]
) -> tuple[tuple[NDArray[np.generic], ...], bool]:
    """The block's columns, and whether every sample has a window and sound targets."""
    n = len(rows)
    windows = [row.video for row in rows]
    start = np.fromiter([window.start for window in windows], np.float64, n)
    end = np.array([window.end for window in windows], np.float64)  # None becomes nan
    end[np.isnan(end)] = np.inf
    step = np.fromiter([row.grid.step if row.grid else np.nan for row in rows], np.float64, n)
    targets = [row.grid.targets if row.grid else _targets(row) for row in rows]
    count = np.fromiter(map(len, targets), np.int64, n)
    flat = np.fromiter(chain.from_iterable(chain.from_iterable(targets)), np.float64, 2 * int(count.sum()))
    target_start, target_end = flat[::2], flat[1::2]
    sound = bool((count > 0).all() and (start < end).all() and (target_start < target_end).all())
    sound = sound and not bool((step <= 0).any())
    sample = np.repeat(np.arange(first, first + n), count)
    label = _encode([row.label for row in rows], words[0])
    part = _encode([row.part for row in rows], words[1])
    return (start, end, step, sample, target_start, target_end, label, part), sound


def _targets(row: _Line) -> Sequence[tuple[float, float]]:
    if row.grid:
        return row.grid.targets
    return [(target.start, target.end) for target in _TARGETS.decode(row.targets)]


def _encode(values: list[str | None], codes: dict[str | None, int]) -> Ints:
    for value in dict.fromkeys(values):
        if value not in codes:
            codes[value] = len(codes) - 1  # None, the first of every table, has -1
    return np.fromiter(map(codes.__getitem__, values), np.int64, len(values))


def _fault(manifest: Manifest, split: str, block: Block[_Line]) -> InputError:
    for place, row in enumerate(block.items):
        targets, end = _targets(row), np.inf if row.video.end is None else row.video.end
        problem, field, found = "", "", object()
        if not row.video.start < end:
            problem, field, found = "an empty window", "video", [row.video.start, end]
        elif not targets or not all(first < last for first, last in targets):
            problem, field, found = "no target, or an empty one: nothing can score here", "targets", targets
        elif row.grid and not row.grid.step > 0:
            problem, field, found = "rows of no length", "grid.step", row.grid.step
        if problem:
            return InputError(problem, file=manifest.path(split), line=block.line_of(place), field=field, found=found)
    raise AssertionError("no fault in the block")

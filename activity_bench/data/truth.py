"""The answers of a moment split as columns: what the scorer needs of each line, and no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from activity_bench.data.canonical import complaint
from activity_bench.data.lines import Block
from activity_bench.data.manifest import Manifest
from activity_bench.data.samples import ROUNDING, check, check_ids
from activity_bench.errors import InputError
from activity_bench.segments import Floats
from activity_bench.types import Sample

Ints = NDArray[np.int64]


class _Target(msgspec.Struct, gc=False):
    start: float
    end: float


class _Window(msgspec.Struct, gc=False):
    id: str
    start: float
    end: float | None


class _Grid(msgspec.Struct, gc=False):
    step: float
    video: tuple[int, int]
    targets: list[tuple[int, int]]


class _Line(msgspec.Struct, gc=False):
    id: str
    targets: list[_Target]
    video: _Window
    label: str | None = None
    part: str | None = None
    grid: _Grid | None = None


_SAMPLE = msgspec.json.Decoder(Sample)


@dataclass(frozen=True)
class Column:
    """A column of few words: a code for each row (-1 where there is none), and the words."""

    codes: Ints  # (n,)
    words: list[str]


@dataclass(frozen=True)
class Moments:
    """n samples, m targets. On a grid `target_start` and `target_end` are rows, and `step` is the size of a row."""

    ids: list[str]  # n of them
    read_videos: Callable[[], list[str]]  # `videos`, as they are asked for
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
        return {name: place for place, name in enumerate(self.ids)}

    @cached_property
    def videos(self) -> list[str]:
        """The video of each sample."""
        return self.read_videos()

    @cached_property
    def by_video(self) -> dict[str, int]:
        """Video -> place of its sample, or -2 where it has several."""
        return places(self.videos)


def places(videos: Sequence[str]) -> dict[str, int]:
    """Video -> place, or -2 for one that stands more than once."""
    found: dict[str, int] = {}
    for place, video in enumerate(videos):
        found[video] = -2 if video in found else place
    return found


def read_moments(manifest: Manifest, split: str, videos: bool = True) -> Moments:
    """The columns of a split, verified like every reading of a manifest. Without `videos` their names are read again
    when somebody asks: to keep a million takes a tenth of the whole time.
    """
    ids: list[str] = []
    names: list[str] = []
    words: tuple[dict[str | None, int], dict[str | None, int]] = {None: -1}, {None: -1}
    parts: list[tuple[NDArray[np.generic], ...]] = []
    for block in manifest.blocks(split, msgspec.json.Decoder(_Line)):
        rows: list[_Line] = block.items
        columns, sound = _columns(rows, len(ids), words)
        if not sound:
            manifest.verify(split)  # a changed file explains it
            raise first_fault(manifest, split, block, "targets")
        ids += [row.id for row in rows]
        if videos:
            names += [row.video.id for row in rows]
        parts.append(columns)
    if not ids:
        raise InputError("this split has no sample", file=manifest.path(split))
    check_ids(ids, manifest.path(split))
    joined = [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
    start, end, step, sample, target_start, target_end, label, part = joined
    return Moments(
        ids, lambda: names or _videos(manifest, split), start, end, step, sample, target_start, target_end,
        column(label, words[0]), column(part, words[1]),
    )  # fmt: skip


def _videos(manifest: Manifest, split: str) -> list[str]:
    return [row.video.id for block in manifest.blocks(split, msgspec.json.Decoder(_Line)) for row in block.items]


def column(codes: NDArray[np.generic], words: dict[str | None, int]) -> Column:
    """Codes and the table that they were made with, as a column."""
    return Column(np.asarray(codes, np.int64), [word for word in words if word is not None])


def _columns(
    rows: Sequence[_Line], first: int, words: tuple[dict[str | None, int], dict[str | None, int]]
) -> tuple[tuple[NDArray[np.generic], ...], bool]:
    """The block's columns, and whether every sample has a window and sound targets."""
    n = len(rows)
    windows, grids = [row.video for row in rows], [row.grid for row in rows]
    start = np.fromiter([window.start for window in windows], np.float64, n)
    end = np.array([window.end for window in windows], np.float64)  # None becomes nan
    end[np.isnan(end)] = np.inf
    step = np.fromiter([grid.step if grid else np.nan for grid in grids], np.float64, n)
    flat = [target for row in rows for target in row.targets]
    count = np.fromiter([len(row.targets) for row in rows], np.int64, n)
    target_start = np.fromiter([target.start for target in flat], np.float64, len(flat))
    target_end = np.fromiter([target.end for target in flat], np.float64, len(flat))
    sound = bool((count > 0).all() and (start >= 0).all() and (start < end).all() and (target_start < target_end).all())
    sound = sound and bool(
        (target_start >= np.repeat(start, count)).all() and (target_end <= np.repeat(end, count)).all()
    )
    if any(grids):
        try:
            target_start, target_end, fits = _on_rows(grids, count, start, end, step, target_start, target_end)
        except (OverflowError, ValueError):  # a row of 400 digits, or not one row a target: `first_fault` says which
            return (), False
        sound = sound and fits
    sample = np.repeat(np.arange(first, first + n), count)
    label = encode([row.label for row in rows], words[0])
    part = encode([row.part for row in rows], words[1])
    return (start, end, step, sample, target_start, target_end, label, part), sound


def _on_rows(
    grids: Sequence[_Grid | None], count: Ints, start: Floats, end: Floats, step: Floats, first: Floats, last: Floats
) -> tuple[Floats, Floats, bool]:
    """Targets in rows where there is a grid, and whether rows and seconds say the same everywhere."""
    there = [grid for grid in grids if grid]
    on = ~np.isnan(step)
    window = np.fromiter(chain.from_iterable([grid.video for grid in there]), np.float64).reshape(-1, 2)
    rows = np.fromiter(chain.from_iterable(chain.from_iterable([grid.targets for grid in there])), np.float64)
    rows = rows.reshape(-1, 2)
    place = np.flatnonzero(np.repeat(on, count))  # the targets that are on a grid
    if len(rows) != len(place):
        raise ValueError("another number of rows than of targets")
    scale = np.repeat(step, count)[place]
    off = max(
        _most(window[:, 0] * step[on] - start[on]), _most(window[:, 1] * step[on] - end[on]),
        _most(rows[:, 0] * scale - first[place]), _most(rows[:, 1] * scale - last[place]),
    )  # fmt: skip
    fits = bool((step[on] > 0).all() and off <= ROUNDING and (rows[:, 0] < rows[:, 1]).all())
    first[place], last[place] = rows[:, 0], rows[:, 1]
    return first, last, fits


def _most(differences: Floats) -> float:
    return float(np.abs(differences).max(initial=0.0))


def encode(values: Sequence[str | None], codes: dict[str | None, int]) -> Ints:
    """A code for each value; `codes`, which begins as {None: -1}, grows."""
    for value in dict.fromkeys(values):
        if value not in codes:
            codes[value] = len(codes) - 1  # None, the first of every table, has -1
    return np.fromiter(map(codes.__getitem__, values), np.int64, len(values))


def first_fault(manifest: Manifest, split: str, block: Block[Any], wants: Literal["targets", "classes"]) -> InputError:
    """The first fault of a block, by the checks that every reading of samples makes, and by what is to be scored."""
    path = manifest.path(split)
    texts = [text for text in block.text.split(b"\n") if text.strip()]
    for place, text in enumerate(texts):
        line = block.line_of(place)
        try:
            sample = _SAMPLE.decode(text)
            check(sample, path)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return complaint(error, path, line)
        except InputError as error:
            return InputError(error.problem, file=path, line=line, field=error.field, found=error.found,
                              expected=error.expected)  # fmt: skip
        if wants == "targets" and not sample.targets:
            return InputError(
                "a sample without a target: nothing can score here", file=path, line=line, field="targets"
            )
        if wants == "classes" and any((target.label or sample.label) is None for target in sample.targets):
            return InputError("a target without a class", file=path, line=line, field="targets")
    return InputError("a sample that cannot be scored", file=path, line=block.first_line)

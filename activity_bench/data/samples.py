"""A sample on disk: its canonical line, and what the types alone do not say of one that was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

from activity_bench.data import canonical
from activity_bench.errors import InputError
from activity_bench.types import Query, Sample, Segment, Window

OPTIONAL = {"label", "distance"}  # of a query: the class that it shows need not be known
MAX_SECONDS, MAX_ROW = 1e7, 1 << 40  # four months; what a float holds exactly, with room
ROUNDING = 2e-6  # seconds: times are rounded to the microsecond


def check_ids(ids: Sequence[str], path: Path) -> None:
    """No two samples share an id."""
    if len(set(ids)) < len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise InputError("two samples share an id", file=path, field="id", found=twice)


def check(sample: Sample, path: Path) -> None:
    """What the types alone do not say. Files made by other hands pass through here too."""

    def bad(field: str, found: object, expected: str) -> InputError:
        return InputError(f"sample {sample.id!r:.200}", file=path, field=field, found=found, expected=expected)

    window, query, grid = sample.video, sample.query, sample.grid
    end = MAX_SECONDS if window.end is None else window.end
    if not 0 <= window.start < end <= MAX_SECONDS:
        raise bad("video", [window.start, window.end], f"0 <= start < end <= {MAX_SECONDS:g}")
    for target in sample.targets:
        if not window.start <= target.start < target.end <= end:
            raise bad("targets", [target.start, target.end], "start < end, inside the video's window")
    missing = [name for name in Query.FIELDS[query.kind] if getattr(query, name) is None and name not in OPTIONAL]
    if missing:
        raise bad(f"query.{missing[0]}", None, f"a value: query.kind is {query.kind!r}")
    if query.kind == "clip" and not 0 <= (query.start or 0) < (query.end or 0) <= MAX_SECONDS:
        raise bad("query", [query.start, query.end], f"0 <= start < end <= {MAX_SECONDS:g}")
    if query.kind == "image" and not 0 <= (query.time or 0) <= MAX_SECONDS:
        raise bad("query.time", query.time, f"0 to {MAX_SECONDS:g}")
    if grid is None:
        return
    if not 0 < grid.step <= MAX_SECONDS:
        raise bad("grid.step", grid.step, "seconds a row, above 0")
    if len(grid.targets) != len(sample.targets):
        raise bad("grid.targets", len(grid.targets), f"{len(sample.targets)}, one for each target")
    low, high = grid.video
    for name, (first, last) in (("video", grid.video), *(("targets", target) for target in grid.targets)):
        if not 0 <= low <= first < last <= high <= MAX_ROW:
            raise bad(f"grid.{name}", [first, last], f"rows in order, inside [{low}, {high}]")
    if grid.query is not None and not 0 <= grid.query[0] < grid.query[1] <= MAX_ROW:
        raise bad("grid.query", list(grid.query), "rows in order")
    for name, (first, last), start, stop in (
        ("video", grid.video, window.start, window.end),
        *(("targets", rows, t.start, t.end) for rows, t in zip(grid.targets, sample.targets, strict=True)),
    ):
        if stop is None or abs(first * grid.step - start) > ROUNDING or abs(last * grid.step - stop) > ROUNDING:
            raise bad(f"grid.{name}", [first, last], f"the rows of [{start}, {stop}) at {grid.step} seconds each")


class _Target(msgspec.Struct, omit_defaults=True, gc=False):
    start: float
    end: float
    label: str | None = None


class _Grid(msgspec.Struct, omit_defaults=True, gc=False):
    step: float
    video: tuple[int, int]
    targets: tuple[tuple[int, int], ...]
    query: tuple[int, int] | None = None


class _Line(msgspec.Struct, omit_defaults=True, gc=False):
    """What a line says: what is None is left out, but for a window's unknown end."""

    id: str
    query: msgspec.Struct
    targets: list[_Target]
    video: Window
    label: str | None = None
    part: str | None = None
    grid: _Grid | None = None
    ignore: tuple[Segment, ...] | None = None
    labels: tuple[str, ...] | None = None


_QUERIES = {  # kind -> what a line says of such a query, and the fields that this is read from
    kind: (
        msgspec.defstruct("_Query", [("kind", str), *((name, Any, None) for name in names)], omit_defaults=True),
        attrgetter("kind", *names),
    )
    for kind, names in Query.FIELDS.items()
}


def _line(sample: Sample) -> _Line:
    query, values = _QUERIES[sample.query.kind]
    grid = sample.grid
    return _Line(
        sample.id,
        query(*values(sample.query)),
        [_Target(target.start, target.end, target.label) for target in sample.targets],
        sample.video,
        sample.label,
        sample.part,
        None if grid is None else _Grid(grid.step, grid.video, grid.targets, grid.query),
        sample.ignore,
        sample.labels,
    )


def as_line(sample: Sample) -> bytes:
    """The canonical line of a sample."""
    return canonical.line(_line(sample))


def as_lines(samples: Iterable[Sample]) -> bytes:
    """The canonical lines of some samples: one call of the encoder, which is 2 x as fast as one a line."""
    return canonical.lines([_line(sample) for sample in samples])

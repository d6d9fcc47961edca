"""Frame-level: where in the window the rows of the query are passed through most cheaply (ECCV 2018, section 5.1).

The paper: features are normalised, D[i, j] is the Euclidean distance of query row i and window row j, and the "diagonal
block with the smallest average distances" is found by dynamic programming that also allows horizontal and vertical
moves; the answer is the stretch of window in which the block lies. Nothing is trained. Table 1: 18.8 13.9 9.6 5.0 2.3,
mean 9.9. What it leaves open, and what was chosen:

- What a block is: a path of cells from the first to the last row of the query, which steps one row on (vertical), one
  column on (horizontal) or both (diagonal). Without "first to last" the least average is that of the least cell alone.
- The average: over the cells of the path. No recurrence gives it directly. A path has the least average `a` exactly if
  it is a path of least sum of D - a, and that sum is 0; so sums are minimised, and `a` is replaced by the average of
  the path found, until the sum is 0 (Dinkelbach; two to four rounds). The least average is exact, not a heuristic's.
- Normalised: each row to length 1; a row of zeros stays as it is.
- `longest`: section 5.2 limits an answer to 1,024 frames, 64 rows. A longer path is searched again in every stretch of
  64 rows: together these hold every path that is allowed.
- Ties: of equal averages the first to start, then the first to end.

Distances are rounded to 2^-14, and all sums are then exact integers: the answer is the same alone and in any batch.

Rows of a sample's grid are rows of the store: 16 frames of each video's own rate, as the released features have them; a
store of another timing is refused. Without a grid the store is read by its own timing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from activity_bench.data.features.words import check_finite, check_grid
from activity_bench.errors import InputError
from activity_bench.segments import to_rows, to_seconds
from activity_bench.types import Grid, Method, Prediction, Sample, Window

if TYPE_CHECKING:
    from activity_bench.data.features import Provider

Ints = NDArray[np.int64]

UNIT = 1 << 14  # of a distance
BITS = (
    11  # a path is one number, sum << 2 * BITS | first column << BITS | cells: the least is the least of each in turn
)
WIDEST = 1 << BITS - 1  # columns that are searched at once, and rows of a query: so sums stay below 2^(62 - 2 * BITS)
BATCH = 1 << 18  # cells of a batch
HELD = 1 << 22  # cells whose tables are in memory at a time
MISSING, MISSING_SHARE = 8, 0.02  # rows that a video's features may lack, as in check_rows of `data`


@dataclass(frozen=True)
class Options:
    """How the path is limited."""

    longest: int = field(default=64, metadata={"help": "rows of the longest answer (the paper's 1,024 frames)"})

    def __post_init__(self) -> None:
        if not 1 <= self.longest <= WIDEST:
            raise InputError("out of range", field="longest", found=self.longest, expected=f"1 to {WIDEST} rows")


class Block(NamedTuple):
    """The columns [first, last) of a table that its best path crosses, and the path's average distance."""

    first: int
    last: int
    average: Fraction  # in UNITs


class Asked(NamedTuple):
    """A sample as rows of the store."""

    sample: str
    window: Window
    grid: Grid | None
    rows: tuple[int, int]
    query: str
    query_rows: tuple[int, int]

    @property
    def cells(self) -> int:
        """Of its table."""
        return (self.rows[1] - self.rows[0]) * (self.query_rows[1] - self.query_rows[0])


class FrameLevel(Method):
    """Answers each sample with the stretch of its window whose rows fit those of the query best."""

    options_class = Options
    needs_features = True

    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """One segment a sample; its score is 1 at distance 0, and 0 at the greatest."""
        samples = list(samples)  # faults are named before the first answer
        check_grid(samples, self.features)
        everything = [_asked(sample, self.features) for sample in samples]
        for some in _portions(everything):
            tables = [distances(self._read(a.query, a.query_rows), self._read(a.window.id, a.rows)) for a in some]
            for asked, block in zip(some, best_blocks(tables, self.options.longest), strict=True):
                start, end = _seconds(asked, block, self.features)
                yield Prediction(asked.sample, ((start, end, float(1 - block.average / (2 * UNIT))),))

    def _read(self, video: str, rows: tuple[int, int]) -> NDArray[np.floating]:
        found = self.features.read(video, *rows)
        check_finite(found, video)
        return np.asarray(found)


# ---- the search -----------------------------------------------------------------------------------------------------


def distances(query: NDArray[np.floating], window: NDArray[np.floating]) -> Ints:
    """Distances of normalised rows in UNITs: (q, d), (r, d) -> (q, r)."""
    a, b = _normalised(query), _normalised(window)
    product = np.einsum("id,jd->ij", a, b)  # not BLAS, whose threads cost ten times what they give on tables so small
    square = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * product
    return np.asarray(np.rint(np.sqrt(np.maximum(square, 0)) * UNIT), np.int64)


def best_blocks(tables: Sequence[Ints], longest: int) -> list[Block]:
    """The block of least average distance in each table (q, r), at most `longest` columns wide."""
    blocks: dict[int, Block] = {}
    narrow = [number for number, table in enumerate(tables) if table.shape[1] <= WIDEST]
    for batch in _batches({number: tables[number].shape for number in narrow}):
        blocks.update(zip(batch, _free([tables[number] for number in batch]), strict=True))
    for number, table in enumerate(tables):
        if number not in blocks:
            blocks[number] = _in_stretches(table, WIDEST, longest)
        elif blocks[number].last - blocks[number].first > longest:
            blocks[number] = _in_stretches(table, longest, longest)
    return [blocks[number] for number in range(len(tables))]


def _in_stretches(table: Ints, width: int, longest: int) -> Block:
    """The best block of stretches of `width` columns, which overlap so that each block lies in one of them."""
    starts = range(0, max(table.shape[1] - longest, 0) + 1, width - longest + 1)
    found = zip(starts, best_blocks([table[:, first : first + width] for first in starts], longest), strict=True)
    average, first, last = min((block.average, block.first + shift, block.last + shift) for shift, block in found)
    return Block(first, last, average)


def _batches(shapes: Mapping[int, tuple[int, ...]]) -> Iterator[list[int]]:
    """Tables of like width together, in each batch those with most rows first."""
    batch: list[int] = []
    rows = 0
    for number in sorted(shapes, key=lambda number: shapes[number][::-1]):
        rows = max(rows, shapes[number][0])
        if batch and (len(batch) + 1) * rows * shapes[number][1] > BATCH:
            yield sorted(batch, key=lambda number: -shapes[number][0])
            batch, rows = [], shapes[number][0]
        batch.append(number)
    if batch:
        yield sorted(batch, key=lambda number: -shapes[number][0])


def _free(tables: Sequence[Ints]) -> list[Block]:
    """The best blocks of tables, most rows first, whatever their width."""
    rows, columns = (np.array([table.shape[axis] for table in tables], np.int64) for axis in (0, 1))
    cost = np.zeros((rows[0], len(tables), columns.max()), np.int64)  # (q, b, r); what is beyond a table is never read
    for number, table in enumerate(tables):
        cost[: rows[number], number, : columns[number]] = table
    blocks: dict[int, Block] = {}
    live = np.arange(len(tables))
    # The average so far, a quotient. Any will do to begin with; between the rows' least and the mean it saves a round.
    total = np.array([(table.min(axis=1).sum() + table.sum() // table.shape[1]) // 2 for table in tables], np.int64)
    cells = rows
    while live.size:
        excess, first, last, count = _sweep(cost, live, rows[live], columns[live], total, cells)
        for at in np.flatnonzero(excess == 0):
            blocks[int(live[at])] = Block(int(first[at]), int(last[at]), Fraction(int(total[at]), int(cells[at])))
        better = excess != 0
        total, cells = ((excess + total * count) // cells)[better], count[better]  # of the path found: exact
        live = live[better]
    return [blocks[number] for number in range(len(tables))]


def _sweep(
    cost: Ints, live: Ints, rows: Ints, columns: Ints, total: Ints, cells: Ints
) -> tuple[Ints, Ints, Ints, Ints]:
    """The path of least sum of D * cells - total in each `live` table: that sum, its first column, last column, cells.

    Row by row. Along a row, a path that came down in column k and went on to j adds C[j] - C[k - 1], C the running sum
    of the row: so the best k is that of the least value[k] - C[k - 1] so far, a running minimum.
    """
    batch, width = len(live), cost.shape[2]
    path = np.tile(np.arange(width) << BITS, (batch, 1))  # (b, r) the best path to each cell of a row
    scale, shift = (cells << 2 * BITS)[:, None], (total << 2 * BITS)[:, None] - 1  # a cell counts 1 in the lowest bits
    prices, sums = np.empty((batch, width), np.int64), np.zeros((batch, width + 1), np.int64)  # (b, r), (b, 1 + r)
    for i, n in enumerate(np.searchsorted(-rows, -np.arange(rows[0])).tolist()):  # the first n tables have row i
        here, price, running = path[:n], prices[:n], sums[:n]
        if i:  # down, or down and on
            np.minimum(here[:, 1:], here[:, :-1], out=here[:, 1:])
        cost[i].take(live[:n], axis=0, out=price, mode="clip")
        price *= scale[:n]
        price -= shift[:n]
        np.add.accumulate(price, axis=1, out=running[:, 1:])
        here -= running[:, :-1]
        np.minimum.accumulate(here, axis=1, out=here)
        here += running[:, 1:]
    path[np.arange(width) >= columns[:, None]] = np.iinfo(np.int64).max
    last = path.argmin(axis=1)
    found = path[np.arange(batch), last]
    low = (1 << BITS) - 1
    return found >> 2 * BITS, found >> BITS & low, last + 1, found & low


def _normalised(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    rows = np.asarray(rows, np.float64)
    length = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    return np.asarray(np.divide(rows, length, out=np.zeros_like(rows), where=length > 0), np.float64)


# ---- rows and seconds -----------------------------------------------------------------------------------------------


def _asked(sample: Sample, features: Provider) -> Asked:
    """Where the rows of a question lie in the store, or what is wrong with it."""
    query, grid, window = sample.query, sample.grid, sample.video
    if query.kind != "clip" or query.video is None or query.start is None or query.end is None:
        raise InputError("frame-level asks with clips alone", field=f"query.kind of {sample.id}", found=query.kind,
                         expected="clip")  # fmt: skip
    rows = _rows(window.id, window.bounds(), grid.video if grid else None, features)
    query_rows = _rows(query.video, (query.start, query.end), grid.query if grid else None, features)
    asked = Asked(sample.id, window, grid, rows, query.video, query_rows)
    if query_rows[1] - query_rows[0] > WIDEST:
        raise InputError("a query too long for frame-level", field=sample.id, expected=f"at most {WIDEST} rows",
                         found=f"{query_rows[1] - query_rows[0]} rows")  # fmt: skip
    return asked


def _rows(
    video: str, seconds: tuple[float, float], grid: tuple[int, int] | None, features: Provider
) -> tuple[int, int]:
    """The rows that show a stretch of a video, those of its grid where it has one, clamped to those that are there."""
    timing, found = features.timing, features.rows(video)
    ahead = timing.start_of(0)
    first, last = grid or to_rows(
        max(seconds[0] - ahead, 0.0), max(seconds[1] - ahead, 0.0), timing.step, rows=1 << 62
    )  # fmt: skip
    if last - found > max(MISSING, MISSING_SHARE * last):
        raise InputError(
            "the features end before the video does", field=video, found=f"{found} rows",
            expected=f"{last}, or up to {MISSING} fewer",
            hint="Is the stride or the fps of the store that of the extraction?",
        )  # fmt: skip
    first = min(first, found - 1)
    return first, max(min(last, found), first + 1)


def _seconds(asked: Asked, block: Block, features: Provider) -> tuple[float, float]:
    """The columns of a block as seconds: rows of the sample's grid, or within its window."""
    first, last = block.first + asked.rows[0], block.last + asked.rows[0]
    if asked.grid is not None:
        low_row, high_row = asked.grid.video
        first = min(max(first, low_row), high_row - 1)  # the features may end where the window begins
        return to_seconds((first, max(last, first + 1)), asked.grid.step)
    low, high = asked.window.bounds()
    start, end = max(features.timing.start_of(first), low), min(features.timing.start_of(last), high)
    return (start, end) if start < end else (low, high)  # the features end where the window begins


def _portions(everything: Sequence[Asked]) -> Iterator[list[Asked]]:
    """As many questions at a time as memory is set aside for."""
    some: list[Asked] = []
    cells = 0
    for asked in everything:
        some.append(asked)
        cells += asked.cells
        if cells >= HELD:
            yield some
            some, cells = [], 0
    if some:
        yield some

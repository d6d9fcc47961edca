"""The frame-level search a second time, in plain Python, twice: by another algorithm, and by the same one in loops.

- `best_block`: for every first column and every number of cells, the least sum of a path to each cell. All averages
  are then at hand, as exact fractions, and the least one is looked up. Slow: for small tables.
- `searched`: the sums of D - average are minimised cell by cell, and the average is replaced until none is less.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import sqrt

Table = Sequence[Sequence[int]]
Found = tuple[Fraction, int, int]  # the average, the first column, the end of the last


def best_block(table: Table, longest: int) -> Found:
    """The least average over the cells of a path from the first row to the last; of equal ones the first."""
    columns = len(table[0])
    found = []
    for first in range(columns):
        within = [list(row[first : first + longest]) for row in table]
        sums: dict[tuple[int, int], dict[int, int]] = {(0, 0): {1: within[0][0]}}  # cell -> cells so far -> least sum
        for i, row in enumerate(within):
            for j, distance in enumerate(row):
                for before in ((i - 1, j - 1), (i - 1, j), (i, j - 1)):
                    for cells, total in sums.get(before, {}).items():
                        here = sums.setdefault((i, j), {})
                        here[cells + 1] = min(here.get(cells + 1, total + distance), total + distance)
        for j in range(len(within[0])):
            found += [
                (Fraction(total, cells), first, first + j + 1)
                for cells, total in sums.get((len(table) - 1, j), {}).items()
            ]
    return min(found)


def searched(table: Table) -> Found:
    """The same answer, whatever its width, by a table of the least sums: three candidates a cell."""
    total, cells = 0, 1
    while True:
        above: list[tuple[int, int, int]] = []  # (sum of D * cells - total, first column, cells of the path)
        for i, row in enumerate(table):
            here: list[tuple[int, int, int]] = []
            for j, distance in enumerate(row):
                candidates = [above[j]] if i else [(0, j, 0)]
                if i and j:
                    candidates.append(above[j - 1])
                if j:
                    candidates.append(here[j - 1])
                excess, first, count = min(candidates)
                here.append((excess + distance * cells - total, first, count + 1))
            above = here
        excess, first, last, count = min((e, first, j + 1, count) for j, (e, first, count) in enumerate(above))
        if excess == 0:
            return Fraction(total, cells), first, last
        total, cells = (excess + total * count) // cells, count


def distance(a: Sequence[float], b: Sequence[float]) -> float:
    """Of two rows, each at length 1; a row of zeros stays as it is."""
    one, other = (sqrt(sum(x * x for x in row)) or 1.0 for row in (a, b))
    return sqrt(sum((x / one - y / other) ** 2 for x, y in zip(a, b, strict=True)))

"""What is wrong with a file of predictions: the scorer stops at the first fault, a check counts them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from activity_bench.errors import InputError
from activity_bench.segments import Floats

SHOWN = 10  # faults of a kind that are located


class Faults:
    """Where faults go. The first one is raised; with `every` they are counted by kind and the first located."""

    def __init__(self, every: bool = False) -> None:
        self.every = every
        self.kinds: Counter[str] = Counter()
        self.segments = self.past = 0  # met, and ending after their window
        self.whole = True  # every time met is a whole number
        self._located: list[InputError] = []

    @property
    def located(self) -> list[InputError]:
        """The first faults, in the order of their lines; what is said of many rows at once stands once."""
        once: dict[str, InputError] = {}
        for error in self._located:
            once.setdefault(str(error), error)
        return sorted(once.values(), key=lambda error: error.line or 0)[:SHOWN]

    def add(self, error: InputError) -> None:
        """One fault."""
        self._take(_kind(error), 1, lambda _: error, [0])

    def mask(self, kind: str, wrong: NDArray[np.bool_], error: Callable[[int], InputError]) -> bool:
        """A fault for each True, all of one kind; `error` makes the message of one. Whether there is any."""
        if not wrong.any():
            return False
        places = np.flatnonzero(wrong)
        self._take(kind, len(places), error, places[:SHOWN].tolist())
        return True

    def _take(self, kind: str, count: int, error: Callable[[int], InputError], places: list[int]) -> None:
        if not self.every:
            raise error(places[0])
        self._located += [error(place) for place in places[: max(0, SHOWN - self.kinds[kind])]]
        self.kinds[kind] += count

    def look(self, start: Floats, end: Floats, window_end: Floats) -> None:
        """Note what makes a whole file suspicious; a check alone asks."""
        if self.every:
            self.segments += len(start)
            self.past += int(np.count_nonzero(end > window_end))
            self.whole = self.whole and bool((start == np.rint(start)).all() and (end == np.rint(end)).all())


def _kind(error: InputError) -> str:
    """A fault's kind: its problem; what is of the wrong type says what is expected."""
    return f"{error.problem}; expected {error.expected}" if error.problem.startswith("found ") else error.problem

"""What a training tells whoever watches: notes before it starts, and how far it is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Progress:
    """Where a training stands."""

    step: int
    steps: int
    loss: float
    validation: float | None  # the latest
    rate: float  # samples a second
    eta: float  # seconds


class Watch(Protocol):
    """Whoever shows it."""

    def note(self, text: str) -> None: ...
    def step(self, progress: Progress) -> None: ...
    def end(self) -> None: ...


class Silent:
    """Nobody watches."""

    def note(self, text: str) -> None:
        """Not shown."""

    def step(self, progress: Progress) -> None:
        """Not shown."""

    def end(self) -> None:
        """Nothing to put away."""


class Meter:
    """Means since the last row, and speed."""

    def __init__(self, steps: int, batch: int, before: float = 0.0) -> None:
        self.steps, self.batch, self.before = steps, batch, before  # seconds that a run took before it was cut off
        self.begun = self.since = time.perf_counter()
        self.done = self.count = 0
        self.loss = self.norm = self.recent = 0.0

    def add(self, loss: float, norm: float) -> None:
        """One more step."""
        self.done, self.count = self.done + 1, self.count + 1
        self.loss, self.norm = self.loss + loss, self.norm + norm
        self.recent = self.loss / self.count

    @property
    def here(self) -> float:
        """Seconds since the meter began."""
        return time.perf_counter() - self.begun

    @property
    def seconds(self) -> float:
        """Of the whole run."""
        return self.before + self.here

    def progress(self, step: int, validation: float | None) -> Progress:
        """For who watches."""
        pace = self.here / self.done
        return Progress(step, self.steps, self.recent, validation, self.batch / pace, pace * (self.steps - step))

    def row(self) -> dict[str, float]:
        """The means, which begin anew."""
        now = time.perf_counter()
        row = {"loss": self.loss / self.count, "gradient": self.norm / self.count,
               "samples_per_second": self.count * self.batch / (now - self.since)}  # fmt: skip
        self.loss, self.norm, self.count, self.since = 0.0, 0.0, 0, now
        return row

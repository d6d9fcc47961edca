"""A segment of chance: what a score means nothing below.

ECCV 2018, Table 1 ("Chance") and IJCAI 2019, Table 2 ("Random") do not say how they draw, so the draw is an option:

- `pair` (default): every segment of whole grid rows is equally likely. On the released re-localization test split its
  expected top1-mAP is 16.1 10.6 6.0 2.6 0.9, nearest to the paper's 16.2 11.0 5.4 2.9 1.2. Without a grid it is `cuts`.
- `cuts`: two uniform points of the window, in order.
- `independent`: a start and an end, each uniform; a reversed pair is no answer. Nearest to the IJCAI row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isqrt
from typing import Literal

from activity_bench import chance
from activity_bench.segments import to_seconds
from activity_bench.types import Method, Prediction, Sample


@dataclass(frozen=True)
class Options:
    """How a segment is drawn."""

    draw: Literal["pair", "cuts", "independent"] = "pair"


class Random(Method):
    """Answers each sample with one drawn segment."""

    options_class = Options

    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """Draws belong to the sample's id and the seed, so each is the same alone and in any order."""
        for sample in samples:
            segment = self._draw(sample)
            yield Prediction(sample.id, ((*segment, 1.0),) if segment[0] < segment[1] else ())

    def _draw(self, sample: Sample) -> tuple[float, float]:
        if self.options.draw == "pair" and sample.grid is not None:
            low, high = sample.grid.video
            first, last = pair(chance.key(self.seed, sample.id, "random pair"), high - low)
            return to_seconds((low + first, low + last), sample.grid.step)
        start, end = sample.video.bounds()
        a, b = (start + (end - start) * chance.number(self.seed, sample.id, f"random {name}") for name in "ab")
        return (a, b) if self.options.draw == "independent" else (min(a, b), max(a, b))


def pair(key: int, n: int) -> tuple[int, int]:
    """One of the n (n + 1) / 2 half-open stretches of n rows, from 64 bits: first < last <= n."""
    number = key * (n * (n + 1) // 2) >> 64
    last = (isqrt(8 * number + 1) + 1) // 2  # stretches that end by row `last - 1` number (last - 1) last / 2
    return number - last * (last - 1) // 2, last

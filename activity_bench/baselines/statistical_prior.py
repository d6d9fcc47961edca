"""Where targets usually lie (AAAI 2020, Table 4 "Stat. prior"): the mean start and end of the training targets.

The paper normalises each reference by its length and takes the mean start and end of the training set, 0.3265 and
0.6509, as the answer for every test video. On a grid both are read in rows (the paper's own figures come out so, as
0.3267 and 0.6510 on the released training split), else in seconds. The answer is not rounded to rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import fsum
from typing import Any

from activity_bench.errors import InputError
from activity_bench.types import Method, Prediction, Sample


class StatisticalPrior(Method):
    """Two numbers, fitted on the training split."""

    start, end = 0.0, 1.0

    def fit(self, train: Sequence[Sample], val: Sequence[Sample]) -> Mapping[str, Any]:
        """The mean normalised start and end."""
        if not train:
            raise InputError("statistical-prior needs a training split", field="splits", expected="a split named train")
        if any(not sample.targets for sample in train):
            raise InputError(
                "statistical-prior needs training targets, and this manifest has none (weak)", field="train"
            )
        places = [_normalised(sample) for sample in train]
        self.start, self.end = (fsum(column) / len(places) for column in zip(*places, strict=True))
        return {"start": self.start, "end": self.end, "samples": len(places)}

    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """The same part of every window."""
        for sample in samples:
            start, end = sample.video.bounds()
            length = end - start
            yield Prediction(sample.id, ((start + self.start * length, start + self.end * length, 1.0),))


def _normalised(sample: Sample) -> tuple[float, float]:
    if sample.grid is not None:
        (low, high), (first, last) = sample.grid.video, sample.grid.targets[0]
        return (first - low) / (high - low), (last - low) / (high - low)
    start, end = sample.video.bounds()
    target = sample.targets[0]
    return (target.start - start) / (end - start), (target.end - start) / (end - start)

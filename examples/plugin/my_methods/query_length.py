"""An answer in proportion to the clip that asks, around the place where targets usually lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from activity_bench.errors import InputError
from activity_bench.types import Method, Prediction, Sample


@dataclass(frozen=True)
class Options:
    """`--set longest=0.5` on the command line."""

    longest: float = field(default=1.0, metadata={"help": "the longest answer, as a share of its window"})

    def __post_init__(self) -> None:
        if not 0 < self.longest <= 1:
            raise InputError("out of range", field="longest", found=self.longest, expected="above 0, up to 1")


class QueryLength(Method):
    """Two numbers, fitted on the training split."""

    options_class = Options
    factor, centre = 1.0, 0.5

    def fit(self, train: Sequence[Sample], val: Sequence[Sample]) -> Mapping[str, Any]:
        """The median ratio of target to clip, and the mean centre of the targets as a share of their windows."""
        told = [(s, _clip(s), s.targets[0]) for s in train if s.targets]
        if not told:
            raise InputError("query-length needs training targets", field="train")
        self.factor = float(np.median([(target.end - target.start) / clip for _, clip, target in told]))
        places = [((target.start + target.end) / 2, *sample.video.bounds()) for sample, _, target in told]
        self.centre = float(np.mean([(middle - start) / (end - start) for middle, start, end in places]))
        return {"factor": self.factor, "centre": self.centre, "samples": len(told)}

    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """One segment a sample, within its window."""
        for sample in samples:
            start, end = sample.video.bounds()
            length = min(self.factor * _clip(sample), self.options.longest * (end - start))
            first = min(max(start + self.centre * (end - start) - length / 2, start), end - length)
            yield Prediction(sample.id, ((first, first + length, 1.0),))


def _clip(sample: Sample) -> float:
    """Seconds of the clip that asks."""
    if sample.query.start is None or sample.query.end is None:
        raise InputError("query-length answers clips", field=sample.id, found=sample.query.kind, expected="clip")
    return sample.query.end - sample.query.start

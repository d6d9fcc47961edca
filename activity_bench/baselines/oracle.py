"""The truth itself. It checks a scorer and a manifest: anything below 1.0 on any metric is a defect of one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from activity_bench.types import Method, Prediction, Sample


class Oracle(Method):
    """Answers every sample with its targets: the one method that is shown them."""

    tasks = frozenset({"moment", "detection"})
    sees_answers = True

    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """Every target, with score 1; labels where the targets have them and the question is a vocabulary."""
        for sample in samples:
            segments = tuple((target.start, target.end, 1.0) for target in sample.targets)
            labels = tuple(target.label or "" for target in sample.targets) if sample.query.kind == "classes" else None
            yield Prediction(sample.id, segments, labels)

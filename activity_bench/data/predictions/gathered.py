"""Answers that are taken from memory, piece by piece, and checked like those of a file."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import msgspec

from activity_bench.data.instances import Instances
from activity_bench.data.predictions import Answers, Faults, Header, ours
from activity_bench.data.predictions.source import Lines
from activity_bench.data.truth import Moments
from activity_bench.types import Prediction

NAMED = Path("answers")  # what a message calls them; its line is the number of the answer


class Gathered:
    """Answers so far. What is refused leaves no trace but its mark: the same sample cannot be answered twice."""

    def __init__(self, truth: Moments | Instances) -> None:
        self._reader = ours.Reader(NAMED, truth, Faults())
        self._labelled = isinstance(truth, Instances)
        self._hasher, self._lines = sha256(), 0
        self._parts: list[ours.Columns] = []

    def add(self, predictions: Iterable[Prediction]) -> None:
        """Take some answers; the first fault is raised."""
        stream = BytesIO()
        ours.write(stream, predictions)
        text = stream.getvalue()
        if text:
            items = msgspec.json.Decoder(ours.Labelled if self._labelled else ours.Line).decode_lines(text)
            block = Lines(items, text, self._lines + 1)
            self._parts.append(self._reader.columns(block))
            self._hasher.update(text)
            self._lines += len(block.items)

    def answers(self) -> Answers:
        """All of them as columns."""
        sample, values, label = ours.joined(self._parts)
        start, end, score = values.T
        return Answers(sample, start, end, score, label if self._labelled else None, Header(), str(NAMED),
                       self._hasher.hexdigest(), "ours", {})  # fmt: skip

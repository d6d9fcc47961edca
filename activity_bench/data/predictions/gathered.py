"""Answers that are taken from memory, piece by piece, and checked like those of a file."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from io import BytesIO
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from activity_bench.data.instances import Instances
from activity_bench.data.predictions import Answers, Faults, Header, ours
from activity_bench.data.predictions.source import Lines
from activity_bench.data.truth import Moments
from activity_bench.errors import InputError
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
        answers = list(predictions)
        try:
            text, items = self._lines_of(answers)
        except (TypeError, ValueError, AttributeError, msgspec.MsgspecError):  # NumPy's numbers, or faults
            text, items = self._lines_of([_plain(one, place) for place, one in enumerate(answers, self._lines + 1)])
        if text:
            block = Lines(items, text, self._lines + 1)
            self._parts.append(self._reader.columns(block))
            self._hasher.update(text)
            self._lines += len(block.items)

    def _lines_of(self, answers: Iterable[Prediction]) -> tuple[bytes, list[Any]]:
        """What a file of these answers would hold, and what would be read from it."""
        stream = BytesIO()
        ours.write(stream, answers)
        text = stream.getvalue()
        return text, msgspec.json.Decoder(ours.Labelled if self._labelled else ours.Line).decode_lines(text)

    def answers(self) -> Answers:
        """All of them as columns."""
        sample, values, label = ours.joined(self._parts)
        start, end, score = values.T
        return Answers(sample, start, end, score, label if self._labelled else None, Header(), str(NAMED),
                       self._hasher.hexdigest(), "ours", {})  # fmt: skip


def _plain(answer: Any, place: int) -> Prediction:
    """An answer with Python's own numbers and texts, or an error that says which one has none."""

    def fault(field: str, found: object, expected: str) -> InputError:
        return InputError("not an answer", file=NAMED, line=place, field=field, found=found, expected=expected)

    if not isinstance(answer, Prediction):
        raise InputError("not an answer", file=NAMED, line=place, found=type(answer).__name__, expected="a Prediction")
    texts: list[tuple[str, Any]] = [("sample", answer.sample), *(("labels", label) for label in answer.labels or ())]
    for field, text in texts:
        if not isinstance(text, str) or text.encode("utf-8", "replace").decode() != text:  # half a character
            raise fault(field, text, "text")
    try:
        segments = tuple((float(start), float(end), float(score)) for start, end, score in answer.segments)
    except (TypeError, ValueError, OverflowError):
        raise fault("segments", answer.segments, "start, end and score of each") from None
    wrong = next((segment for segment in segments if not all(map(isfinite, segment))), None)
    if wrong is not None:
        raise fault("segments", list(wrong), "finite numbers")
    labels = None if answer.labels is None else tuple(map(str, answer.labels))
    return Prediction(str(answer.sample), segments, labels)

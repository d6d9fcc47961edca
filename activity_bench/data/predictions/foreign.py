"""From the rows of a foreign file to answers: videos, classes and windows, by the protocol's policy, in one step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from activity_bench.data.instances import Instances
from activity_bench.data.predictions.faults import Faults
from activity_bench.data.predictions.ours import TOLERANCE
from activity_bench.data.truth import Ints, Moments
from activity_bench.errors import InputError, unknown
from activity_bench.segments import Floats
from activity_bench.types import Foreign

Bools = NDArray[np.bool_]
What = Literal["segment", "score", "label"]
NEAR = 20_000  # names that are looked through for a near miss


@dataclass(frozen=True)
class Rows:
    """k rows as a file has them. `names` are ids of samples (`by` sample) or of videos, or either."""

    names: list[str]  # each once
    name: Ints  # (k,) place among `names`
    start: Floats  # (k,) seconds
    end: Floats  # (k,)
    score: Floats  # (k,)
    words: list[str]  # the classes that stand in the file, each once; none where the format has no classes
    label: Ints  # (k,) place among `words`, -1 for none
    where: Callable[[int, What], dict[str, Any]]  # row -> line and field, for a message
    named: Callable[[int], dict[str, Any]]  # the same of a name
    by: Literal["sample", "video", "either"] = "either"


@dataclass(frozen=True)
class Resolved:
    """k answers; `sample` is -1 for a video that the truth does not know."""

    sample: Ints
    start: Floats
    end: Floats
    score: Floats
    label: Ints | None
    counts: dict[str, int]


def resolve(path: Path, rows: Rows, truth: Moments | Instances, foreign: Foreign, faults: Faults) -> Resolved:
    """The rows as answers to `truth`; what our own format refuses is treated as `foreign` says, and counted."""
    return _Resolver(path, rows, truth, foreign, faults).answers()


class _Resolver:
    """The rows, with `keep`: those that are still in play, and `counts`: what the policy did."""

    def __init__(self, path: Path, rows: Rows, truth: Moments | Instances, foreign: Foreign, faults: Faults) -> None:
        self.path, self.rows, self.truth, self.foreign, self.faults = path, rows, truth, foreign, faults
        self.keep = np.ones(len(rows.name), bool)
        self.counts: Counter[str] = Counter()

    def answers(self) -> Resolved:
        """Check after check; what one has set aside the next does not see."""
        self._finite()
        sample = self._samples()
        label = self._labels()
        start, end = self._bounds(sample)
        keep = self.keep
        return Resolved(
            sample[keep], start[keep], end[keep], self.rows.score[keep], None if label is None else label[keep],
            dict(sorted(self.counts.items())),
        )  # fmt: skip

    def _refuse(self, kind: str, wrong: Bools, error: Callable[[int], InputError]) -> None:
        wrong = wrong & self.keep
        self.faults.mask(kind, wrong, error)
        self.keep &= ~wrong

    def _drop(self, what: str, wrong: Bools) -> None:
        self._count(f"{what}: dropped", wrong)
        self.keep &= ~wrong

    def _count(self, what: str, wrong: Bools) -> None:
        if count := int(np.count_nonzero(wrong & self.keep)):
            self.counts[what] += count

    def _error(self, problem: str, row: int, what: What, found: object, expected: str | None = None,
               hint: str | None = None) -> InputError:  # fmt: skip
        return InputError(problem, file=self.path, **self.rows.where(row, what), found=found, expected=expected,
                          hint=hint)  # fmt: skip

    def _segment(self, row: int) -> list[float]:
        return [float(self.rows.start[row]), float(self.rows.end[row])]

    def _finite(self) -> None:
        """No policy makes a number of what is none."""
        rows = self.rows
        fault, expected = "a score that is missing or not a finite number", "a finite number"
        self._refuse(fault, ~np.isfinite(rows.score),
                     lambda row: self._error(fault, row, "score", float(rows.score[row]), expected))  # fmt: skip
        time = "a time that is not a finite number"
        self._refuse(time, ~(np.isfinite(rows.start) & np.isfinite(rows.end)),
                     lambda row: self._error(time, row, "segment", self._segment(row), expected))  # fmt: skip

    # ---- videos -----------------------------------------------------------------------------------------------------

    def _samples(self) -> Ints:
        """The sample that each row answers, or -1. What is wrong with a name is one fault, however many rows it has."""
        rows, truth = self.rows, self.truth
        places = np.array([self._place(name) for name in rows.names], np.int64)
        several = (places == -2) & (np.bincount(rows.name, minlength=len(places)) > 0)
        fault, hint = "a video with several samples: its rows do not say which one they answer", "Name the samples."
        self._refuse_names(fault, several, lambda name: InputError(
            fault, file=self.path, **rows.named(name), found=rows.names[name], hint=hint))  # fmt: skip
        self._refuse_twice(places)
        strange = places == -1
        if self.foreign.unknown_video == "refuse" or strange.all():  # none known: another split's file, or other ids
            what, known = ("sample", truth.ids) if rows.by == "sample" else ("video", list(truth.by_video))
            self._refuse_names(f"unknown {what}", strange, lambda name: unknown(
                what, rows.names[name], known[:NEAR], file=self.path, **rows.named(name)))  # fmt: skip
        elif self.foreign.unknown_video == "count" and isinstance(truth, Instances):
            self._count("a video that the truth does not know: counted as wrong", strange[rows.name])
        else:  # of moments, each sample's best answer counts alone: one to nobody changes nothing
            self._drop("a video that the truth does not know", strange[rows.name])
        return np.maximum(places, -1)[rows.name]

    def _refuse_names(self, kind: str, wrong: Bools, error: Callable[[int], InputError]) -> None:
        self.faults.mask(kind, wrong, error)
        self.keep &= ~wrong[self.rows.name]

    def _place(self, name: str) -> int:
        """The place of a sample's or a video's name, also with or without `v_`; -1 for none, -2 for several."""
        if self.rows.by != "video" and name in self.truth.index:
            return self.truth.index[name]
        if self.rows.by != "sample":
            for video in (name, name.removeprefix("v_"), f"v_{name}"):
                if video in self.truth.by_video:
                    return self.truth.by_video[video]
        return -1

    def _refuse_twice(self, places: Ints) -> None:
        """Two names of one sample: `v_abc` and `abc`."""
        names, first = self.rows.names, {place: name for name, place in reversed(list(enumerate(places.tolist())))}
        twice = np.array([place >= 0 and first[place] != name for name, place in enumerate(places.tolist())], bool)
        fault = "a video under two names"
        self._refuse_names(fault, twice, lambda name: InputError(
            fault, file=self.path, **self.rows.named(name), found=[names[first[int(places[name])]], names[name]],
            expected="one of them"))  # fmt: skip

    # ---- classes ----------------------------------------------------------------------------------------------------

    def _labels(self) -> Ints | None:
        """The class of each row, as a place among those that are asked; never another one than it says."""
        rows, truth = self.rows, self.truth
        if isinstance(truth, Moments):
            self._count("a class, of which moments have none: not looked at", rows.label >= 0)
            return None
        codes = {word: code for code, word in enumerate(truth.labels)}
        table = np.array([*(codes.get(word, -1) for word in rows.words), -1], np.int64)  # -1 finds the last
        found: Ints = table[rows.label]
        fault, expected = "a detection without a class", "the name of a class"
        self._refuse(fault, rows.label < 0, lambda row: self._error(fault, row, "label", None, expected))
        if self.foreign.unknown_label == "refuse":
            self._refuse("unknown class", found < 0, lambda row: unknown(
                "class", rows.words[rows.label[row]], truth.labels, file=self.path,
                **rows.where(row, "label")))  # fmt: skip
        else:
            self._drop("a class that the truth does not know", found < 0)
        return found

    # ---- windows ----------------------------------------------------------------------------------------------------

    def _bounds(self, sample: Ints) -> tuple[Floats, Floats]:
        """Start and end, clipped where the policy says so. An unknown video has no window."""
        start, end, known = self.rows.start, self.rows.end, sample >= 0
        low = np.where(known, self.truth.window_start[sample], -np.inf)
        high = np.where(known, self.truth.window_end[sample], np.inf)
        self.faults.look(start[self.keep], end[self.keep], high[self.keep])
        self._apply("a reversed or empty segment", ~(start < end), self.foreign.empty, "start < end")
        outside = (start < low - TOLERANCE) | (end > high + TOLERANCE)
        self._apply("a segment outside its sample's window", outside, self.foreign.outside, "inside it",
                    lambda row: f"inside {[float(low[row]), float(high[row])]} seconds")  # fmt: skip
        if self.foreign.outside == "clip":  # what lies outside as a whole keeps no length, and hits nothing
            start, end = np.clip(start, low, high), np.clip(end, low, high)
        return start, end

    def _apply(self, kind: str, wrong: Bools, policy: str, expected: str,
               inside: Callable[[int], str] | None = None) -> None:  # fmt: skip
        if policy == "refuse":
            self._refuse(kind, wrong, lambda row: self._error(kind, row, "segment", self._segment(row),
                                                              inside(row) if inside else expected))  # fmt: skip
        elif policy == "drop":
            self._drop(kind, wrong)
        else:
            self._count(f"{kind}: {'clipped' if policy == 'clip' else 'kept'}", wrong)

"""Features of several files set side by side: I3D's of images and of flow, for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from activity_bench.data.features import words
from activity_bench.data.features.store import digest_of
from activity_bench.data.features.words import DTYPES, UNKNOWN, Attributes, Described, Provider, Rows
from activity_bench.errors import InputError

LACKING = "features that not all parts have"
LEFT_OUT = 1  # rows at the end: flow has a frame less than the images it is made of


class Part(Provider, Protocol):
    """What can be set beside others: features in files."""

    path: Path

    @property
    def stored_as(self) -> str: ...


class Joined(Described):
    """Row `i` is row `i` of every part, one after the other: (rows, sum of dims).

    The parts name the same videos; with `common`, those that all of them have are taken. Where one has a row less, the
    last row of the others is left out.
    """

    def __init__(self, parts: Sequence[Part], path: Path, common: bool = False) -> None:
        self._parts, self.path = parts, path
        first = parts[0]
        there = [set(part.ids()) for part in parts]
        self._ids = sorted(set.intersection(*there))
        self.lacking = sorted(set.union(*there) - set(self._ids))  # videos that some part has, and not all
        for part in parts[1:]:
            if part.timing != first.timing:
                raise InputError("features of two timings cannot be set side by side", file=part.path,
                                 found=part.timing, expected=str(first.timing))  # fmt: skip
        if not self._ids or (self.lacking and not common):
            raise InputError(LACKING, file=path, field=self.lacking[0], found=f"{len(self.lacking)} such videos",
                             expected="the same videos in each")  # fmt: skip
        self.attributes = _joined([part.attributes for part in parts])

    @cached_property
    def digest(self) -> str:
        """The sha256 of the parts' digests."""
        return digest_of(self.attributes, ((part.digest, part.dim, "") for part in self._parts))

    @property
    def stored_as(self) -> str:
        """The narrowest type that holds the numbers of every part."""
        return max((part.stored_as for part in self._parts), key=DTYPES.index)

    def ids(self) -> Sequence[str]:
        """The videos, sorted."""
        return self._ids

    def rows(self, video: str) -> int:
        """How many rows a video has in every part."""
        found = [part.rows(video) for part in self._parts]
        if max(found) - min(found) > LEFT_OUT:
            raise InputError("parts of different lengths", file=self.path, field=video, found=found,
                             expected=f"rows that differ by {LEFT_OUT} at most")  # fmt: skip
        return min(found)

    def read(self, video: str, first: int = 0, last: int | None = None) -> Rows:
        """Rows [first, last) of a video: (rows, dim)."""
        first, last = words.check_slice(video, self.rows(video), first, last, self.path)
        return np.concatenate([part.read(video, first, last) for part in self._parts], axis=1)


def _joined(parts: Sequence[Attributes]) -> Attributes:
    """What is known of features side by side: all that is said of them, or nothing where one says nothing."""
    told: dict[str, Any] = {**parts[0].as_dict(), "dim": sum(part.dim for part in parts),
                            "dtype": max((part.dtype for part in parts), key=DTYPES.index)}  # fmt: skip
    for field in fields(Attributes):
        said = list(dict.fromkeys(getattr(part, field.name) for part in parts))
        if field.type == "str" and field.name != "dtype" and len(said) > 1:
            known = UNKNOWN not in said and field.name != "weights_sha256"
            told[field.name] = " + ".join(said) if known else UNKNOWN
    return Attributes(**told)

"""What a plan is made of: cells, the manifests and worlds that they are run in, and how large the runs are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Asked:
    """A manifest of a plan: how it is built, from which of the annotations, and which of the papers' it stands for."""

    protocol: str | None = None
    embedded: str | None = None  # the protocol on the embedded corpus, where that is another
    options: Mapping[str, Any] = field(default_factory=dict)
    tables: tuple[str, ...] = ()  # of the builder, where they are given
    group: str = ""  # of the annotations, in a plan that has several
    like: str = ""  # the manifest whose features hold these videos, too
    version: str = ""  # of the published figures; any, where the papers have one
    whole: bool = False  # whatever share of the videos the size names


class Place(NamedTuple):
    """A row of a paper's table."""

    paper: str
    table: str
    row: str


@dataclass(frozen=True)
class Cell:
    """One row of a paper's table, or what is asked beside it."""

    name: str
    method: str
    paper: str
    table: str
    row: str
    options: Mapping[str, Any] = field(default_factory=dict)
    manifest: str = "full"
    world: str = ""
    trained: str = ""  # the cell whose weights answer; then `options` are those that training does not read
    also: tuple[Place, ...] = ()  # where the papers print the same run again

    @property
    def places(self) -> tuple[Place, ...]:
        """Every row of the papers that this run stands for, its own first."""
        return (Place(self.paper, self.table, self.row), *self.also) if self.row else self.also

    @property
    def tables(self) -> list[tuple[str, str]]:
        """The papers' tables and figures that it belongs to; none of a paper where it is asked beside them."""
        return [(self.paper, self.table), *((place.paper, place.table) for place in self.also)]


@dataclass(frozen=True)
class Size:
    """How large the runs of a plan are."""

    world: Mapping[str, Any]  # options of the simulated features
    training: Mapping[str, Any]  # options of every method that is trained
    seeds: int
    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # more of single methods or manifests
    share: Mapping[str, float] = field(default_factory=dict)  # split -> share of its videos, drawn by hash; else all


@dataclass(frozen=True)
class Plan:
    """The cells of one benchmark."""

    benchmark: str
    by: str  # the metric that orders
    shown: tuple[str, ...]  # metrics of the table for people
    cells: tuple[Cell, ...]
    orderings: tuple[tuple[str, str], ...]  # (worse, better), as the papers claim
    sizes: Mapping[str, Size]
    manifests: Mapping[str, Asked]
    worlds: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"": {}})
    judged: tuple[tuple[str, str], ...] = ()  # protocols and their thresholds, the papers' first; the manifest's own
    corpus: Mapping[str, str] = field(default_factory=lambda: {"": "activitynet.json"})  # group -> embedded annotations
    source: str = ""  # of the embedded corpus: trimmed clips
    words: bool = False  # whether methods read the vectors of class names
    features: tuple[str, ...] = ()  # what its papers' features are made with, by their names in `where`

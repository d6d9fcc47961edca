"""What a class is, before anything is seen of it: numbers drawn down the class tree, and the maps that show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from activity_bench import chance
from activity_bench.simulation.classes import ROOT
from activity_bench.simulation.parameters import WorldOptions
from activity_bench.simulation.processes import Rows, normals

PHASES = ("start", "middle", "end")
OBJECTS = 3  # that an image shows of its activity
OFFSETS = 2 * (OBJECTS - 1)  # where the others lie from the first
FAMILIES, TOPS = 40, 8  # of the made-up tree, where there is none
OTHERS = 4  # made-up classes below each parent, for activities that nobody annotated

NAMED = 0.5  # share of the variance of a class that the vector of its name says, where there are such vectors

Path = tuple[str, ...]  # from the top of the tree down to a class
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Concept:
    """A class in numbers of unit variance."""

    own: Floats  # (concepts,) what rows, objects and names show
    offsets: Floats  # (OFFSETS,) what rows show, and in images only the boxes
    phases: Floats  # (3, concepts) what rows show, in order


def _centred(names: Mapping[str, Rows]) -> dict[str, Floats]:
    """Vectors of classes' names, without what all have in common, each of unit variance."""
    if not names:
        return {}
    rows = np.stack([np.asarray(names[label], np.float64) for label in sorted(names)])  # (labels, numbers)
    rows = rows - rows.mean(axis=0)
    scale = sqrt(rows.shape[1]) / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return {canonical(label): row for label, row in zip(sorted(names), rows * scale, strict=True)}


def canonical(label: str) -> str:
    """Letters and digits: labels that differ in capitals, spaces or how words are joined name one activity."""
    return "".join(filter(str.isalnum, label.casefold())) or label


class Concepts:
    """The classes of a world: their places on the tree, and what is drawn for them.

    A class that the tree lacks is adopted by one of its parents, by hash; where there is no tree, by one of 40 families
    of a made-up one. A place depends on the class and the parents there are, not on the other classes.
    """

    def __init__(
        self, options: WorldOptions, tree: Mapping[str, Path], names: Mapping[str, Rows] | None = None,
        alike: Iterable[tuple[str, str, float]] = (),
    ) -> None:  # fmt: skip
        """`names` are vectors that classes are to follow; `alike` two classes each, and how alike they are."""
        self.options, self.names = options, _centred(names or {})
        self.tree = {label: tuple(name for name in path if name != ROOT) for label, path in sorted(tree.items())}
        made_up = {(f"family {i}", f"top {i % TOPS}") for i in range(FAMILIES)}
        above = sorted({path for path in self.tree.values() if path} or made_up)
        self.parents = [tuple(reversed(path)) for path in above]
        self._parent_keys = chance.keys(options.seed, ("\0".join(path) for path in self.parents), "world parent")
        self._paths = {canonical(label): (*reversed(path), canonical(label)) for label, path in self.tree.items()}
        self._free: dict[frozenset[Path], list[Path]] = {}
        self._rows: dict[tuple[Path, bool], Rows] = {}
        self._objects: dict[Path, Rows] = {}
        self._concepts: dict[tuple[Path, str], Concept] = {}
        self._maps: dict[str, Floats] = {}

        self.alike = self._joined(alike)

    def path(self, label: str) -> Path:
        """The place of a class: its ancestors from the top down, and itself."""
        name = canonical(label)
        if name not in self._paths:
            if name in self.alike:
                self._paths[name] = (*self.path(self.alike[name][0])[:-1], name)
            else:
                asker = chance.keys(self.options.seed, [name], "world adopted")
                self._paths[name] = (*self.parents[int(chance.rendezvous(asker, self._parent_keys)[0])], name)
        return self._paths[name]

    def _joined(self, pairs: Iterable[tuple[str, str, float]]) -> dict[str, tuple[str, float]]:
        """Class -> the class it is like, and how much: the one on the tree is followed; a class follows one other."""
        found: dict[str, tuple[str, float]] = {}
        for a, b, share in pairs:
            first, second = canonical(a), canonical(b)
            if first in self._paths:
                first, second = second, first
            if first != second and first not in self._paths and second not in found:
                found.setdefault(first, (second, share))
        return found

    def other(self, item: str, purpose: str, but: frozenset[Path]) -> Path:
        """A class that nobody annotates, and that is no sibling of the classes below the parents in `but`."""
        if but not in self._free:
            self._free[but] = [path for path in self.parents if path not in but] or self.parents
        free = self._free[but]
        place = chance.integer(self.options.seed, item, f"world {purpose}", 0, len(free) * OTHERS)
        return (*free[place // OTHERS], f"\0other {place % OTHERS}")

    def concept(self, path: Path, domain: str = "") -> Concept:
        """Down the tree, each node keeps `kinship` of its parent's variance."""
        if (path, domain) not in self._concepts:
            self._concepts[path, domain] = self._drawn(path, domain)
        return self._concepts[path, domain]

    def _drawn(self, path: Path, domain: str) -> Concept:
        size, numbers = self.options.concepts, self._numbers(path, domain)
        return Concept(numbers[:size], numbers[size : size + OFFSETS], numbers[size + OFFSETS :].reshape(3, size))

    def _numbers(self, path: Path, domain: str) -> Floats:
        """All that is drawn for a class: (4 concepts + OFFSETS,)"""
        size = 4 * self.options.concepts + OFFSETS
        kept, fresh = sqrt(self.options.kinship), sqrt(1 - self.options.kinship)
        numbers = np.zeros(0)
        for depth in range(1, len(path) + 1):
            drawn = normals(self.options.seed, "\0".join(path[:depth]), f"class{domain}", 1, size)[0]
            numbers = kept * numbers + fresh * drawn if depth > 1 else drawn.astype(np.float64)
        if (name := self.names.get(path[-1])) is not None:  # classes whose names are near are near
            said = np.einsum("v,vk->k", name, self.map(f"names{domain}", 1, len(name), size)[0])
            numbers = sqrt(NAMED) * said + sqrt(1 - NAMED) * numbers
        if path[-1] in self.alike:
            other, share = self.alike[path[-1]]
            numbers = sqrt(share) * self._numbers(self.path(other), domain) + sqrt(1 - share) * numbers
        return numbers

    def rows(self, path: Path, trimmed: bool = False) -> Rows:
        """The vectors of a class's start, middle and end: (3, dim)."""
        if (path, trimmed) not in self._rows:
            made = self._embedded(self.concept(path))
            if trimmed and self.options.shift:
                kept = 1 - self.options.shift
                made = kept * made + sqrt(1 - kept * kept) * self._embedded(self.concept(path, " trimmed"))
            self._rows[path, trimmed] = made.astype(np.float32)
        return self._rows[path, trimmed]

    def objects(self, path: Path) -> Rows:
        """What an image's regions show of a class, object by object: (OBJECTS, region_dim)."""
        if path not in self._objects:
            seen = self.map("objects", OBJECTS, self.options.concepts, self.options.region_dim)
            shown = np.einsum("k,okd->od", self.concept(path).own, seen)
            self._objects[path] = shown.astype(np.float32)
        return self._objects[path]

    def word(self, label: str) -> Rows:
        """The vector of a class's name: (word_dim,)."""
        options = self.options
        seen = self.map("words", 1, options.concepts, options.word_dim)[0]
        shown = np.einsum("k,kd->d", self.concept(self.path(label)).own, seen)
        strange = normals(options.seed, label, "word", 1, options.word_dim)[0]
        return np.asarray(shown + options.word_noise * strange, np.float32)

    def _embedded(self, concept: Concept) -> Floats:
        """sqrt(1-order) (sqrt(1-layout) U own + sqrt(layout) Y offsets) + sqrt(order) U (common, own phases)."""
        options, order, layout = self.options, self.options.order, self.options.layout
        phases = sqrt(options.common) * self._shared + sqrt(1 - options.common) * concept.phases
        numbers = sqrt(order) * phases + sqrt((1 - order) * (1 - layout)) * concept.own  # (3, concepts)
        made = np.einsum("pk,kd->pd", numbers, self.map("rows", 1, options.concepts, options.dim)[0])
        lying = np.einsum("k,kd->d", concept.offsets, self.map("offsets", 1, OFFSETS, options.dim)[0])
        return np.asarray(made + sqrt((1 - order) * layout) * lying, np.float64)

    @cached_property
    def _shared(self) -> Floats:
        """What any start, middle and end looks like: (3, concepts)."""
        return normals(self.options.seed, "", "common", 3, self.options.concepts).astype(np.float64)

    def map(self, name: str, maps: int, numbers: int, dim: int) -> Floats:
        """From a class's numbers to what is seen, fixed for a world: (maps, numbers, dim)."""
        if name not in self._maps:
            drawn = normals(self.options.seed, name, "map", maps * numbers, dim).astype(np.float64)
            self._maps[name] = drawn.reshape(maps, numbers, dim) / sqrt(numbers)
        return self._maps[name]

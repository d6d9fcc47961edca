"""Numbers of classes: from the class tree of an ActivityNet JSON, or from the classes.json that an export wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import msgspec

from activity_bench.data import canonical
from activity_bench.data.disk import read_bytes
from activity_bench.errors import InputError
from activity_bench.types import Source

MAX_BYTES = 1 << 30


class _Node(msgspec.Struct, gc=False):
    nodeId: int
    nodeName: str
    parentId: int | None = None
    parentName: str | None = None


class _Video(msgspec.Struct, gc=False):
    duration: float | None = None


class _File(msgspec.Struct):
    taxonomy: list[_Node]
    database: dict[str, _Video] = {}


@dataclass(frozen=True)
class Nodes:
    """Class -> its number; and what the same file says of videos and of the tree, where it does."""

    numbers: Mapping[str, int]
    source: Source
    durations: Mapping[str, float] = field(default_factory=dict)
    tree: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read(path: Path) -> Nodes:
    """The classes of either kind of file."""
    data = read_bytes(path, MAX_BYTES)
    source = Source(path.name, len(data), sha256(data).hexdigest())
    if b'"taxonomy"' not in data:
        numbers: dict[str, int] = canonical.read_page(data, path, dict[str, int])
        return Nodes(_distinct(list(numbers.items()), path), source)
    file: _File = canonical.read_page(data, path, _File)
    by_id = {node.nodeId: node for node in file.taxonomy}
    parents = {node.parentId for node in file.taxonomy}
    leaves = [node for node in file.taxonomy if node.nodeId not in parents]
    if not leaves:
        raise InputError("a class tree without leaves", file=path, field="taxonomy")
    durations = {video: entry.duration for video, entry in file.database.items() if entry.duration}
    tree = {leaf.nodeName.strip(): _path(leaf, by_id) for leaf in leaves}
    return Nodes(_distinct([(leaf.nodeName.strip(), leaf.nodeId) for leaf in leaves], path), source, durations, tree)


def _path(node: _Node, by_id: Mapping[int, _Node]) -> tuple[str, ...]:
    found: list[str] = []
    while (
        node.parentId is not None and node.parentId in by_id and len(found) <= len(by_id)
    ):  # a leaf that hangs on a circle has no end
        node = by_id[node.parentId]
        found.append(node.nodeName.strip())
    return tuple(found)


def _distinct(pairs: list[tuple[str, int]], path: Path) -> dict[str, int]:
    for place, what in ((0, "a class with two numbers"), (1, "a number of two classes")):
        seen: set[object] = set()
        for pair in pairs:
            if pair[place] in seen:
                raise InputError(what, file=path, found=pair[place])
            seen.add(pair[place])
    return dict(pairs)

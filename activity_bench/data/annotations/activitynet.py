"""ActivityNet JSON: the official layout, and the looser shapes in the wild.

Official: `{"version", "taxonomy": [{nodeId, nodeName, parentId, parentName}], "database": {id: {"duration", "subset",
"annotations": [{"segment": [start, end], "label"}]}}}`. Also taken, and counted as mended: no taxonomy or version,
bounds as text ("18.1"), ids with a leading `v_`, subsets called `train`, `val`, `Validation`, `test`.
Empty, reversed or overlong instances are kept as they are: builders decide about those.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from activity_bench.data import canonical
from activity_bench.data.annotations.values import MAX_SECONDS, check_id, check_label, check_repeats, seconds, subset_of
from activity_bench.data.disk import read_bytes
from activity_bench.errors import InputError
from activity_bench.types import Corpus, Instance, Source, Video

MAX_BYTES = 1 << 28  # the official file has 4 MB
OFFICIAL = frozenset({"training", "validation", "testing"})
OFFICIAL_ID = re.compile(r"[\w-]{11}", re.ASCII)


class _Annotation(msgspec.Struct, gc=False):
    segment: tuple[float | str, float | str]
    label: str


class _Video(msgspec.Struct, gc=False):
    subset: str
    duration: float | str | None = None
    annotations: list[_Annotation] = []


class _Node(msgspec.Struct, gc=False):
    nodeId: int
    nodeName: str
    parentId: int | None = None


class _File(msgspec.Struct):
    database: dict[str, _Video]
    taxonomy: list[_Node] = []
    version: str | None = None


def read(path: Path) -> Corpus:
    """The corpus of one file."""
    data = read_bytes(path, MAX_BYTES)
    if not data.strip():
        raise InputError("an empty annotation file", file=path, expected="ActivityNet JSON with a database")
    try:
        file: _File = canonical.read_page(data, path, _File)
    except InputError as error:
        raise _located(data, path, error) from None
    if not file.database:
        raise InputError("no video in it", file=path, field="database")
    check_repeats(data, b'"subset"', len(file.database), path)
    reader = _Reader(path, prefixed=all(name.startswith("v_") for name in file.database))
    videos = tuple(reader.videos(file.database))
    if reader.mended["v_ before the id"] and len({video.id for video in videos}) < len(videos):
        twice = Counter(video.id for video in videos).most_common(1)[0][0]
        raise InputError("two videos with this id, with and without v_", file=path, field="database", found=twice)
    source = Source(path.name, len(data), sha256(data).hexdigest())
    return Corpus("activitynet", videos, _tree(file.taxonomy, path), (source,), dict(sorted(reader.mended.items())))


def _located(data: bytes, path: Path, error: InputError) -> InputError:
    """The same fault with the video's name in its field: msgspec says only that it is somewhere in the database."""
    try:
        raw = msgspec.json.decode(data)["database"]
        for name, video in raw.items():
            try:
                msgspec.convert(video, _Video)
            except msgspec.ValidationError as fault:
                return canonical.complaint(fault, path, path=f"database.{name:.80}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError, TypeError, AttributeError):
        pass
    return error


class _Reader:
    """The videos of one file. What is official passes by the shortest way; the rest is mended, counted or refused."""

    def __init__(self, path: Path, prefixed: bool) -> None:
        self.path, self.prefixed = path, prefixed
        self.mended: Counter[str] = Counter()
        self.labels: dict[str, str] = {}  # as the file has them -> as we have them

    def videos(self, database: Mapping[str, _Video]) -> list[Video]:
        videos = []
        labels = self.labels
        for name, video in database.items():
            instances: list[Instance] = []
            for annotation in video.annotations:
                start, end = annotation.segment
                if type(start) is not float or type(end) is not float or not -MAX_SECONDS < start <= end < MAX_SECONDS:
                    where = f"{_field(name)}.annotations[{len(instances)}].segment"
                    start, end = (self._seconds(value, f"{where}[{i}]") for i, value in enumerate((start, end)))
                label = labels.get(annotation.label)
                if label is None:
                    field = f"{_field(name)}.annotations[{len(instances)}].label"
                    label = labels[annotation.label] = check_label(annotation.label, self.path, field)
                instances.append(Instance(start, end, label))
            subset, duration = video.subset, video.duration
            if subset not in OFFICIAL:
                subset = subset_of(subset, self.path, f"{_field(name)}.subset", self.mended)
            if duration is not None and (type(duration) is not float or not -MAX_SECONDS < duration < MAX_SECONDS):
                duration = self._seconds(duration, f"{_field(name)}.duration")
            videos.append(Video(self._id(name), duration, subset, tuple(instances)))
        return videos

    def _id(self, name: str) -> str:
        video_id = name
        # a YouTube id has 11 characters and may itself start with v_
        if (self.prefixed or len(name) == 13) and name.startswith("v_") and len(name) > 2:
            self.mended["v_ before the id"] += 1
            video_id = name[2:]
        return video_id if OFFICIAL_ID.fullmatch(video_id) else check_id(video_id, self.path, _field(name))

    def _seconds(self, value: float | str, field: str) -> float:
        return seconds(value, self.path, field, self.mended)


def _field(name: str) -> str:
    return f"database.{name:.80}"


def _tree(nodes: list[_Node], path: Path) -> Mapping[str, tuple[str, ...]]:
    """Label -> its ancestors, nearest first. Node names may repeat (the official file has two that differ in case)."""
    by_id: dict[int, _Node] = {}
    for node in nodes:
        if node.nodeId in by_id:
            raise InputError("a class twice", file=path, field="taxonomy.nodeId", found=node.nodeId)
        by_id[node.nodeId] = node
    parents = {node.parentId for node in nodes}
    paths = [(node, tuple(_ancestors(node, by_id, path))) for node in nodes]  # of every node: a circle may have no leaf
    leaves = [(node.nodeName.strip(), ancestors) for node, ancestors in paths if node.nodeId not in parents]
    if len(dict(leaves)) < len(leaves):
        twice = Counter(name for name, _ in leaves).most_common(1)[0][0]
        raise InputError("a class twice", file=path, field="taxonomy.nodeName", found=twice)
    return dict(leaves)


def _ancestors(node: _Node, by_id: Mapping[int, _Node], path: Path) -> list[str]:
    found: list[Any] = []
    while node.parentId is not None and node.parentId in by_id:
        node = by_id[node.parentId]
        found.append(node.nodeName.strip())
        if len(found) > len(by_id):
            raise InputError("a circle in the class tree", file=path, field="taxonomy", found=node.nodeName)
    return found

"""The simulated world: features of any video of which it is known what happens in it.

Row `t` of a video, in `dim` numbers that each vector below draws from the unit normal:

    x[t] = activities + appearance * (cos(a) A + sin(a) A') + background * B[t] + noise * E[t],  a = drift * minutes

- activities: every instance has a start, a middle and an end, a third of it each, with a vector each. A row adds each
  vector times the share of the row's window that lies in that third: boundaries blur as they do in real features.
- a phase's vector: sqrt(1 - order) * V(class) + sqrt(order) * V(class, phase), so two phases of a class correlate
  `1 - order`.
- V on the class tree: sqrt(kinship) * V(parent) + sqrt(1 - kinship) * its own draw. Siblings correlate `kinship`,
  cousins `kinship^2`, classes of different top nodes 0. A class that the tree lacks is kin to none.
- A, A': how this video looks; a slow turn from one to the other.
- B: a first-order autoregression, correlation `memory^lag`. E: white.

Everything is a function of the seed and of a name (class, video), never of a stream: a video alone, in any order, on
any worker is the same array. What is drawn for row `t` does not depend on how many rows follow. Bits may differ between
NumPy versions (its normals are not promised) and in the last place between machines (cos, sin).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from math import isfinite, sqrt

import numpy as np
from numpy.typing import NDArray

from activity_bench import chance
from activity_bench.data import canonical
from activity_bench.data.features import Attributes, Timing
from activity_bench.data.features.store import digest_of, sha256_of
from activity_bench.errors import InputError, unknown
from activity_bench.segments import merge
from activity_bench.simulation.classes import ROOT
from activity_bench.simulation.processes import Rows, autoregression
from activity_bench.types import MICROSECOND, Instance, Video

MODEL = "world 1"  # the equations above: they change, it changes
PHASES = ("start", "middle", "end")
C3D = Timing(fps=30.0, window=16, stride=16, offset=0)  # units of 16 frames that do not overlap


@dataclass(frozen=True)
class WorldOptions:
    """The world's parameters; strengths are in units of an activity's own vector."""

    seed: int = field(default=0, metadata={"help": "of every vector"})
    dim: int = field(default=64, metadata={"help": "numbers a row"})
    noise: float = field(default=4.0, metadata={"help": "white noise; the parameter meant to be calibrated"})
    appearance: float = field(default=1.0, metadata={"help": "how much videos differ whatever happens in them"})
    drift: float = field(default=0.5, metadata={"help": "radians a minute by which a video's appearance turns"})
    background: float = field(default=1.0, metadata={"help": "slow noise that goes on behind everything"})
    memory: float = field(default=0.9, metadata={"help": "correlation of the slow noise from row to row"})
    kinship: float = field(default=0.5, metadata={"help": "share of a class's variance that is its parent's"})
    order: float = field(default=0.5, metadata={"help": "share of a phase's variance that is not its class's"})

    def __post_init__(self) -> None:
        if not 1 <= self.dim <= 65536:
            raise InputError("out of range", field="dim", found=self.dim, expected="1 to 65536")
        for name in ("noise", "appearance", "drift", "background"):
            if not (isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise InputError("out of range", field=name, found=getattr(self, name), expected="0 or more, finite")
        for name in ("kinship", "order"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError("out of range", field=name, found=getattr(self, name), expected="0 to 1")
        if not 0 <= self.memory < 1:
            raise InputError("out of range", field="memory", found=self.memory, expected="0 or more, below 1")


class World:
    """A provider of features that are made when they are read: what a store would hold, without the disk."""

    def __init__(
        self,
        options: WorldOptions,
        tree: Mapping[str, tuple[str, ...]],  # label -> its ancestors, nearest first
        videos: Iterable[Video],  # what happens in each: a corpus's, or those of `content.contents`
        timing: Timing = C3D,
    ) -> None:
        self.options, self.timing, self.dim = options, timing, options.dim
        self._tree = {label: tuple(name for name in path if name != ROOT) for label, path in sorted(tree.items())}
        self._videos = {video.id: video for video in videos}
        self._phases: dict[str, Rows] = {}  # label -> (3, dim), drawn once
        self._latest: tuple[str, Rows] | None = None  # windows of one video are mostly read one after another

    @property
    def attributes(self) -> Attributes:
        """What a store of these features states; the options and the tree stand in for the weights."""
        weights = {"model": MODEL, "options": asdict(self.options), "tree": self._tree}
        return Attributes(
            backbone="simulated", weights_sha256=sha256(canonical.line(weights)).hexdigest(),
            decoder="none", decoder_version="none", layer="none", projection="none",
            dtype="float32", dim=self.dim, **asdict(self.timing),
        )  # fmt: skip

    @cached_property
    def digest(self) -> str:
        """The digest of a store that holds these features; all of them are made for it."""
        arrays = ((video, self._make(video)) for video in self.ids())
        return digest_of(self.attributes, ((video, len(array), sha256_of(array)) for video, array in arrays))

    def ids(self) -> list[str]:
        """The videos, sorted."""
        return sorted(self._videos)

    def rows(self, video: str) -> int:
        """How many rows a video has."""
        found = self._video(video)
        duration = max((i.end for i in found.instances), default=0.0) if found.duration is None else found.duration
        return self.timing.rows_for(duration + MICROSECOND)  # a manifest's times are rounded, perhaps downwards

    def read(self, video: str, first: int = 0, last: int | None = None) -> Rows:
        """Rows [first, last) of a video: (rows, dim). `last` beyond the last row is the last row."""
        rows = self.rows(video)
        last = rows if last is None else last
        if not 0 <= first < min(last, rows):
            raise InputError("no such rows", field=video, found=[first, last], expected=f"within [0, {rows})")
        latest = self._latest  # looked up once: another thread may replace it
        if latest is None or latest[0] != video:
            self._latest = latest = video, self._make(video)
        return latest[1][first:last].copy()

    def phases(self, label: str) -> Rows:
        """The vectors of an activity's start, middle and end: (3, dim)."""
        if label not in self._phases:
            own = sqrt(self.options.order) * np.stack([self._kin(label, phase) for phase in PHASES])
            self._phases[label] = (sqrt(1 - self.options.order) * self._kin(label, "class") + own).astype(np.float32)
        return self._phases[label]

    # ---- how it is made ---------------------------------------------------------------------------------------------

    def _video(self, video: str) -> Video:
        if video not in self._videos:
            raise unknown("video", video, self._videos)
        return self._videos[video]

    def _kin(self, label: str, part: str) -> NDArray[np.float64]:
        """V(class, part): down the tree, each node keeps `kinship` of its parent's variance. (dim,)"""
        path = (*reversed(self._tree.get(label, ())), label)
        kept, fresh = sqrt(self.options.kinship), sqrt(1 - self.options.kinship)
        vector: NDArray[np.float64] = self._normal("\0".join(path[:1]), f"class {part}", 1)[0].astype(np.float64)
        for depth in range(2, len(path) + 1):
            vector = kept * vector + fresh * self._normal("\0".join(path[:depth]), f"class {part}", 1)[0]
        return vector

    def _normal(self, item: str, purpose: str, rows: int) -> Rows:
        """Unit normal draws that belong to this item and purpose; the first rows do not depend on their number."""
        generator = np.random.Generator(np.random.Philox(key=chance.key(self.options.seed, item, f"world {purpose}")))
        return generator.standard_normal((rows, self.dim), np.float32)

    def _make(self, video: str) -> Rows:
        """All rows of a video: (rows, dim)."""
        options, rows = self.options, self.rows(video)
        features = self._normal(video, "noise", rows) * np.float32(options.noise)
        if options.background:
            slow = autoregression(self._normal(video, "background", rows), options.memory)
            features += np.float32(options.background) * slow
        starts = (self.timing.offset + self.timing.stride * np.arange(rows)) / self.timing.fps  # (rows,) seconds
        if options.appearance:
            looks = self._normal(video, "appearance", 2)
            angle = options.drift / 60 * starts[:, None]  # (rows, 1)
            turn = options.appearance * np.concatenate([np.cos(angle), np.sin(angle)], axis=1)  # (rows, 2)
            features += _mixed(turn, looks)
        for instance in activities(self._video(video).instances):
            first, cover = _coverage(instance, starts, self.timing.window / self.timing.fps)
            features[first : first + len(cover)] += _mixed(cover, self.phases(instance.label))
        return features


def activities(instances: Iterable[Instance]) -> list[Instance]:
    """What is to be seen of some annotations: of one class, what overlaps is one activity. In order of time."""
    by_label: dict[str, list[tuple[float, float]]] = {}
    for instance in instances:
        by_label.setdefault(instance.label, []).append((instance.start, instance.end))
    return [Instance(*found) for found in sorted((*s, label) for label, ss in by_label.items() for s in merge(ss))]


def _coverage(instance: Instance, starts: NDArray[np.float64], window: float) -> tuple[int, NDArray[np.float64]]:
    """The first row that sees an instance, and what share of each row's window lies in each third: (rows, 3)."""
    first, last = np.searchsorted(starts, [instance.start - window, instance.end])
    edges = np.linspace(instance.start, instance.end, len(PHASES) + 1)
    left = starts[first:last, None]  # (rows, 1)
    seen = np.minimum(left + window, edges[1:]) - np.maximum(left, edges[:-1])
    return int(first), np.maximum(seen, 0) / window


def _mixed(weights: NDArray[np.float64], vectors: Rows) -> Rows:
    """weights @ vectors, summed in order, so that no number of threads changes a bit. (rows, k), (k, dim)"""
    columns = weights.astype(np.float32).T[:, :, None]  # (k, rows, 1)
    total: Rows = columns[0] * vectors[0]
    for column, vector in zip(columns[1:], vectors[1:], strict=True):
        total += column * vector
    return total

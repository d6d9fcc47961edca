"""The vocabulary: what flows from annotations to predictions, as values that nobody changes.

Time is seconds on the clock of the original video. A segment is half-open, `0 <= start < end`. Rows are rows of the
original video's features, absolute and half-open. Everything here needs the standard library alone; arrays for speed
live in `data` and `scoring`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, ClassVar, Literal, TypeVar, dataclass_transform

from activity_bench.errors import InputError

MICROSECOND = 1e-6  # times are quantised to it when a manifest is built
NO_LIMIT = float("inf")
T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[T]) -> type[T]:
    """A dataclass with slots, frozen for whoever checks types: a frozen `__init__` takes 3 x as long when it runs."""
    return dataclass(slots=True, unsafe_hash=True)(cls)


@value
class Segment:
    """A stretch of one video."""

    start: float
    end: float

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end < NO_LIMIT:
            raise ValueError(f"a segment needs 0 <= start < end, finite: got [{self.start}, {self.end})")


# ---- annotations -> corpus ------------------------------------------------------------------------------------------


@value
class Instance:
    """One annotated activity, as the file has it: it may be empty, or end after its video. Builders decide."""

    start: float
    end: float
    label: str


@value
class Video:
    """One video of a corpus; `duration` is None where no source states it."""

    id: str
    duration: float | None
    subset: str
    instances: tuple[Instance, ...]
    ignore: tuple[Instance, ...] = ()  # stretches of which the annotators say that they are neither activity nor none


@value
class Source:
    """A file that a corpus was read from."""

    file: str
    bytes: int
    sha256: str
    licence: str | None = None


@value
class Corpus:
    """What annotation files say: videos, the class tree (label -> its ancestors, nearest first), and the files."""

    name: str
    videos: tuple[Video, ...]
    tree: Mapping[str, tuple[str, ...]]
    sources: tuple[Source, ...]
    mended: Mapping[str, int] = field(default_factory=dict)

    @property
    def labels(self) -> list[str]:
        """Every class that some instance has, sorted."""
        return sorted({instance.label for video in self.videos for instance in video.instances})


def joined(corpora: Iterable[Corpus]) -> tuple[list[Video], dict[str, tuple[str, ...]], Ledger]:
    """Several corpora read as one: their videos in order of id, one class tree, and a ledger of what was mended."""
    corpora = list(corpora)
    videos = sorted([video for corpus in corpora for video in corpus.videos], key=attrgetter("id"))
    tree = {label: path for corpus in corpora for label, path in sorted(corpus.tree.items())}
    return videos, tree, Ledger("instance", sum((Counter(corpus.mended) for corpus in corpora), Counter()))


class Ledger:
    """What a builder saw, left out and mended, by reason. `kept + sum(dropped) == seen`, always."""

    def __init__(self, unit: str, mended: Mapping[str, int] | None = None) -> None:
        self.unit = unit
        self.seen = 0
        self.dropped: Counter[str] = Counter()
        self.mended: Counter[str] = Counter(mended or {})
        self.notes: dict[str, list[str]] = {}

    @property
    def kept(self) -> int:
        """What is neither dropped nor merged away."""
        return self.seen - sum(self.dropped.values())

    def drop(self, reason: str, count: int = 1) -> None:
        """Leave `count` units out."""
        if count:
            self.dropped[reason] += count

    def note(self, title: str, item: str) -> None:
        """Name one item under a title, for what a count alone would hide."""
        self.notes.setdefault(title, []).append(item)

    def as_dict(self) -> dict[str, Any]:
        """The form that stands in a manifest's provenance."""
        return {
            "unit": self.unit,
            "seen": self.seen,
            "kept": self.kept,
            "dropped": dict(sorted(self.dropped.items())),
            "mended": dict(sorted(self.mended.items())),
            "notes": {title: sorted(items) for title, items in sorted(self.notes.items())},
        }


# ---- manifest -------------------------------------------------------------------------------------------------------


@value
class Window:
    """The part of a video that is searched; `end` is None where no duration is known."""

    id: str
    start: float
    end: float | None

    def bounds(self) -> tuple[float, float]:
        """Start and end; an error where no duration is known, for methods that cannot do without."""
        if self.end is None:
            raise InputError("a window without an end: this method needs durations", field=self.id, found=None)
        return self.start, self.end


@value
class Target:
    """A true answer. A detection's targets carry their class."""

    start: float
    end: float
    label: str | None = None


@value
class Query:
    """What is asked: `image` (video, time, label), `clip` (video, start, end), `classes` (vocabulary), or `text`.

    No builder asks in words: `text` comes from imported files.
    """

    kind: Literal["image", "clip", "classes", "text"]
    video: str | None = None
    time: float | None = None
    start: float | None = None
    end: float | None = None
    label: str | None = None
    vocabulary: str | None = None
    distance: int | None = None  # edges of the class tree between the query's class and the sample's
    text: str | None = None

    FIELDS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "image": ("video", "time", "label", "distance"),
        "clip": ("video", "start", "end"),
        "classes": ("vocabulary",),
        "text": ("text",),
    }


@value
class Grid:
    """The sample in rows: `start = first * step`, `end = last * step`. `query` counts rows of the query's video."""

    step: float
    video: tuple[int, int]
    targets: tuple[tuple[int, int], ...]
    query: tuple[int, int] | None = None


@value
class Sample:
    """One question of a benchmark, with its answer."""

    id: str
    query: Query
    video: Window
    targets: tuple[Target, ...]
    label: str | None = None
    part: str | None = None
    grid: Grid | None = None
    ignore: tuple[Segment, ...] | None = None
    labels: tuple[str, ...] | None = None  # of the whole video, where weak training has no targets

    def classes(self) -> set[str]:
        """Every class that the line names as true."""
        return classes_of((self,))

    def question(self) -> Sample:
        """The sample without its answer: what a method is shown when it predicts. It shares nothing that can change."""
        query = replace(self.query, label=None, distance=None)
        grid = replace(self.grid, targets=()) if self.grid is not None else None
        window = replace(self.video)
        return replace(self, query=query, video=window, targets=(), label=None, grid=grid, ignore=None, labels=None)


def classes_of(samples: Sequence[Sample]) -> set[str]:
    """Every class that some line names as true."""
    named = {sample.label for sample in samples}
    named.update([target.label for sample in samples for target in sample.targets])
    named.update([label for sample in samples for label in sample.labels or ()])
    return {label for label in named if label is not None}


Task = Literal["moment", "detection"]


@dataclass(frozen=True)
class Built:
    """What a builder returns: (split, sample) pairs that stream, and what must be said about them.

    The ledger is complete once `samples` is exhausted.
    """

    name: str
    version: str
    task: Task
    samples: Iterable[tuple[str, Sample]]
    ledger: Ledger
    splits: tuple[str, ...] = ("train", "val", "test")
    vocabularies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    tree: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)  # split -> the subset's name, videos and their hash


# ---- methods and what they answer -----------------------------------------------------------------------------------


@value
class Prediction:
    """The answer to one sample: (start, end, score) each; a detection's labels run parallel."""

    sample: str
    segments: tuple[tuple[float, float, float], ...]
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Foreign:
    """What becomes of what a foreign file of predictions holds and our own format refuses; each case is counted."""

    unknown_video: Literal["refuse", "drop", "count"] = "refuse"  # count: as detections that hit nothing
    unknown_label: Literal["refuse", "drop"] = "refuse"
    outside: Literal["refuse", "drop", "clip", "keep"] = "refuse"  # of its window
    empty: Literal["refuse", "drop", "keep"] = "refuse"  # start >= end


@dataclass(frozen=True)
class NoOptions:
    """Of a method that has none."""


class Method(ABC):
    """What answers a manifest. Baselines and models share it; all that comes after `predict` is one code path."""

    options_class: ClassVar[type] = NoOptions  # a frozen dataclass
    tasks: ClassVar[frozenset[str]] = frozenset({"moment"})  # the kinds of manifest that it answers
    sees_answers: ClassVar[bool] = False  # the oracle alone is shown questions with their answers
    needs_features: ClassVar[bool] = False
    vocabularies: Mapping[str, Sequence[str]] = {}  # of the manifest: the classes that its lines ask for, by name

    def __init__(self, options: Any, seed: int, features: Any = None) -> None:
        self.options, self.seed, self.features = options, seed, features  # a provider of features, if it needs them

    def fit(self, train: Sequence[Sample], val: Sequence[Sample]) -> Mapping[str, Any]:
        """Learn from the training samples, where there is something to learn; what was fitted goes into `run.json`."""
        return {}

    @abstractmethod
    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """Answer each sample. Alone or in a batch, the answer is the same."""

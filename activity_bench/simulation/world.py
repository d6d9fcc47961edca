"""The simulated world: features of any video of which it is known what happens in it. docs/world.md has the equations.

Everything is a function of the seed and of a name (class, video), never of a stream: a video alone, in any order, on
any worker is the same array. What is drawn for row `t` does not depend on how many rows follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from functools import cached_property
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from activity_bench.data import canonical
from activity_bench.data.features import Attributes, Timing
from activity_bench.data.features.images import Image, image_digest, image_sum
from activity_bench.data.features.store import digest_of, sha256_of
from activity_bench.errors import InputError, unknown
from activity_bench.simulation.concepts import Concepts
from activity_bench.simulation.content import Content
from activity_bench.simulation.happenings import Event, coverage, events
from activity_bench.simulation.images import Images
from activity_bench.simulation.parameters import SCENES, WorldOptions
from activity_bench.simulation.processes import Rows, generator, normals, overlapped, slow_noise
from activity_bench.types import MICROSECOND, Video

__all__ = ["C3D", "World", "WorldOptions"]

MODEL = "world 3"  # the equations: they change, it changes
C3D = Timing(fps=30.0, window=16, stride=16, offset=0)  # units of 16 frames that do not overlap
UNIT = C3D.step  # seconds to which `memory` refers
CALIBRATED_DIM = 500  # at other sizes the noise is scaled so that distances between rows stay as hard to tell
HOME = 3  # scenes of a video
MOST_BYTES = 1 << 27  # of one video; making it takes thrice as much


class World:
    """A provider of features that are made when they are read: what a store would hold, without the disk."""

    def __init__(
        self,
        options: WorldOptions,
        tree: Mapping[str, tuple[str, ...]],  # label -> its ancestors, nearest first
        videos: Content | Iterable[Video],  # what happens in each: a corpus's, or `content.contents` of a manifest
        timing: Timing | None = None,  # C3D units, `stride` frames from each to the next, unless another is given
        names: Mapping[str, Rows] | None = None,  # vectors of the classes' names, that their places are to follow
        alike: Iterable[tuple[str, str, float]] = (),  # classes that name one activity, and how alike they are
    ) -> None:
        self.options, self.dim = options, options.dim
        self.timing = timing or replace(C3D, stride=options.stride)
        self.concepts = Concepts(options, tree, names, alike)
        self.content = videos if isinstance(videos, Content) else Content.of(videos)
        self._latest: tuple[str, Rows] | None = None  # windows of one video are mostly read one after another

    @cached_property
    def attributes(self) -> Attributes:
        """What a store of these features states; the options and the tree stand in for the weights."""
        weights = {"model": MODEL, "options": asdict(self.options), "tree": self.concepts.tree}
        if self.concepts.names:
            weights["names"] = {label: row.tolist() for label, row in sorted(self.concepts.names.items())}
        if self.concepts.alike:
            weights["alike"] = self.concepts.alike
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
        return sorted(self.content.videos)

    def rows(self, video: str) -> int:
        """How many rows a video has."""
        found = self._video(video)
        duration = max((i.end for i in found.instances), default=0.0) if found.duration is None else found.duration
        return self._timing(video).rows_for(duration + MICROSECOND)  # a manifest's times are rounded, perhaps downwards

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

    @property
    def images(self) -> WorldImages | None:
        """The frames that are asked with, where there are any."""
        return WorldImages(self) if self.content.frames else None

    def frames(self) -> list[tuple[str, float]]:
        """The images that are asked with, sorted: the video and the second of each."""
        return sorted(self.content.frames)

    def image(self, video: str, time: float) -> Image:
        """What an image query shows: regions, boxes and a global feature."""
        return self.image_parts(video, time)[0]

    def image_parts(self, video: str, time: float) -> tuple[Image, NDArray[np.int64]]:
        """An image, and which of its regions are its activity's objects: nothing that a method is told."""
        return self._images.make(video, time, int(self.scenes(video, [time])[0]))

    def things(self) -> Rows:
        """What the context of images shows but for other activities: (things, region_dim)."""
        return self._images.things

    def word(self, label: str) -> Rows:
        """The vector of a class's name: (word_dim,)."""
        return self.concepts.word(label)

    def phases(self, label: str) -> Rows:
        """The vectors of an activity's start, middle and end in untrimmed videos: (3, dim)."""
        return self.concepts.rows(self.concepts.path(label))

    def events(self, video: str) -> list[Event]:
        """All that is to be seen in a video, the annotated activities first."""
        return events(self._video(video), self.concepts, video in self.content.trimmed)

    def scenes(self, video: str, seconds: Iterable[float]) -> NDArray[np.int64]:
        """Which scene is behind what happens, at each of some seconds: shots of a few scenes of the video's own."""
        seconds = np.asarray(list(seconds), np.float64)
        units = (seconds / UNIT).astype(np.int64)
        draw = generator(self.options.seed, video, "shots")
        home = draw.integers(0, SCENES, HOME)
        drawn = draw.random((int(units.max(initial=0)) + 1, 2))
        drawn[0, 0] = 0.0  # a video begins with a shot
        cut = np.where(drawn[:, 0] < -np.expm1(-UNIT / self.options.shot), np.arange(len(drawn)), 0)
        began = np.maximum.accumulate(cut)[units]  # the unit in which the shot began
        return np.asarray(home[(drawn[began, 1] * HOME).astype(np.int64)], np.int64)

    # ---- how it is made ---------------------------------------------------------------------------------------------

    @cached_property
    def _images(self) -> Images:
        return Images(self.concepts, self.content.frames)

    @cached_property
    def _scenes(self) -> Rows:
        return normals(self.options.seed, "", "scenes", SCENES, self.dim)

    def _timing(self, video: str) -> Timing:
        """When the rows of a video lie: on its grid, 16 frames of the video's own rate a row, where it has one."""
        step = self.content.steps.get(video)
        return self.timing if step is None else replace(self.timing, fps=C3D.stride / step)

    def _video(self, video: str) -> Video:
        if video not in self.content.videos:
            raise unknown("video", video, self.content.videos)
        return self.content.videos[video]

    def _make(self, video: str) -> Rows:
        """All rows of a video: (rows, dim)."""
        options, rows = self.options, self.rows(video)
        if rows * self.dim * 4 > MOST_BYTES:
            raise InputError("a video too long to be held in memory", field=video, found=f"{rows:,} rows",
                             expected=f"at most {MOST_BYTES // 4 // self.dim:,} at dim {self.dim}",
                             hint="Check its times, or take a smaller dim.")  # fmt: skip
        timing = self._timing(video)
        features = self._noise(video, rows)
        starts = (timing.offset + timing.stride * np.arange(rows)) / timing.fps  # (rows,) seconds
        if options.appearance:
            looks = normals(options.seed, video, "appearance", 2, self.dim)
            angle = options.drift / 60 * starts[:, None]  # (rows, 1)
            _add(features, options.appearance * np.concatenate([np.cos(angle), np.sin(angle)], axis=1), looks)
        window = timing.window / timing.fps
        if options.scenes:
            scenes = self.scenes(video, starts + window / 2)
            cuts = np.flatnonzero(np.diff(scenes, prepend=-1))
            for cut, end in zip(cuts, [*cuts[1:], rows], strict=True):
                features[cut:end] += np.float32(options.scenes) * self._scenes[scenes[cut]]
        for event in self.events(video):
            first, cover = coverage(event, starts, window)
            trimmed = video in self.content.trimmed and event.label is not None
            _add(features[first : first + len(cover)], cover, self.concepts.rows(event.path, trimmed))
        return features

    def _noise(self, video: str, rows: int) -> Rows:
        """Noise that is slow in seconds, seen through windows that may overlap: (rows, dim)."""
        options, timing = self.options, self._timing(video)
        windows = max(1, round(timing.window / timing.stride))
        memory = options.memory ** (timing.step / UNIT)
        draws = normals(options.seed, video, "noise", rows + windows, self.dim)
        noise = overlapped(slow_noise(draws, options.slow, memory), windows, options.slow, memory)
        noise *= np.float32(options.noise * (self.dim / CALIBRATED_DIM) ** 0.25)
        return noise


BLOCK = 1024  # rows added to at once: what is made for them on the way stays small


def _add(features: Rows, weights: NDArray[np.float64], vectors: Rows) -> None:
    """features += weights @ vectors, (rows, k) and (k, dim), in order, so that no number of threads changes a bit."""
    columns = weights.astype(np.float32)
    for first in range(0, len(features), BLOCK):
        for column, vector in zip(columns[first : first + BLOCK].T, vectors, strict=True):
            features[first : first + BLOCK] += column[:, None] * vector


class WorldImages:
    """The images of a world, as a store hands them out."""

    def __init__(self, world: World) -> None:
        self.world = world

    @cached_property
    def digest(self) -> str:
        """The digest of a store that holds these images; all of them are made for it."""
        return image_digest((*frame, image_sum(self.image(*frame))) for frame in self.frames())

    def frames(self) -> list[tuple[str, float]]:
        """The video and the second of each, sorted."""
        return self.world.frames()

    def image(self, video: str, time: float) -> Image:
        """Regions, boxes and a vector of the whole."""
        return self.world.image(video, time)

    def regions(self, video: str, time: float) -> int:
        """How many regions an image has."""
        return len(self.image(video, time).regions)

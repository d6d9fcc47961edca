"""Image queries of the world: regions and their boxes, and a global feature that mixes them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from activity_bench.data.features.images import Image
from activity_bench.errors import unknown
from activity_bench.simulation.concepts import OBJECTS, Concepts, Path
from activity_bench.simulation.content import Frame
from activity_bench.simulation.parameters import SCENES
from activity_bench.simulation.processes import Rows, generator, normals

REGIONS = (8, 36)  # fewest and most of an image
CONTEXT = 16  # objects that belong to a scene
SPREAD = 0.8  # of the first object's width: how far the others lie from it, for an offset of 1
JITTER = 0.1  # of its width, from image to image
CALIBRATED_DIM = 512  # as for rows: at other sizes the noise is scaled


class Images:
    """The frames that are asked with. Each is a function of its video, its second and the seed."""

    def __init__(self, concepts: Concepts, frames: Mapping[Frame, str]) -> None:
        self.concepts, self.frames, self.options = concepts, frames, concepts.options

    def make(self, video: str, time: float, scene: int) -> tuple[Image, NDArray[np.int64]]:
        """The image at a second of a video, before a scene, and which of its regions are the activity's objects."""
        if (video, time) not in self.frames:
            raise unknown("frame", f"{video}@{time!r}", [f"{name}@{second!r}" for name, second in self.frames])
        path = self.concepts.path(self.frames[video, time])
        name = f"{video}\0{time!r}"
        draw = generator(self.options.seed, name, "image")
        count = int(draw.integers(REGIONS[0], REGIONS[1] + 1))
        boxes = np.concatenate([self._objects(path, draw), _context(draw, count - OBJECTS)])
        clean = np.concatenate([self.concepts.objects(path), self._shown(name, path, scene, draw, count - OBJECTS)])
        clean = clean + np.float32(self.options.appearance) * normals(
            self.options.seed, name, "image look", 1, self.options.region_dim
        )
        regions = clean + self._noise(name, "regions", count, self.options.region_dim)
        area = np.float32(boxes[:, 2] * boxes[:, 3])  # (regions,)
        pooled = np.einsum("m,md->d", area / sqrt(float(np.square(area).sum())), clean)
        seen = np.einsum("d,dg->g", pooled, self._pooling) + self._noise(name, "global", 1, len(self._pooling[0]))[0]
        order = draw.permutation(count)  # a region's place in the list says nothing
        return Image(regions[order], boxes[order], np.asarray(seen, np.float32)), np.argsort(order)[:OBJECTS]

    def _noise(self, name: str, purpose: str, rows: int, dim: int) -> Rows:
        strength = self.options.image_noise * (dim / CALIBRATED_DIM) ** 0.25
        return normals(self.options.seed, name, f"image {purpose}", rows, dim) * np.float32(strength)

    def _objects(self, path: Path, draw: np.random.Generator) -> Rows:
        """Where the activity's objects are: the class says how they lie to each other, chance where and how large."""
        offsets = self.concepts.concept(path).offsets if self.options.layout else draw.standard_normal(2 * OBJECTS - 2)
        size = draw.uniform(0.12, 0.24)
        first = draw.uniform(0.35, 0.65, 2)
        others = first + size * (SPREAD * offsets.reshape(-1, 2) + JITTER * draw.standard_normal((OBJECTS - 1, 2)))
        sizes = size * np.exp(0.2 * draw.standard_normal((OBJECTS, 2)))
        return _inside(np.concatenate([first[None], others]), sizes)

    def _shown(self, name: str, path: Path, scene: int, draw: np.random.Generator, count: int) -> Rows:
        """What the context shows: things of the scene, and here and there an object of another activity."""
        things = self.things[scene * CONTEXT + draw.integers(0, CONTEXT, count)]  # (context, region_dim)
        misled, parts = draw.random(count) < self.options.mislead, draw.integers(0, OBJECTS, count)
        other = self.concepts.other(name, "misleading", frozenset([path[:-1]]))
        shown = np.where(misled[:, None], self.concepts.objects(other)[parts], things)
        return np.asarray(shown, np.float32)

    @cached_property
    def things(self) -> Rows:
        """What belongs to scenes, all of it: (SCENES * CONTEXT, region_dim)."""
        return normals(self.options.seed, "", "things", SCENES * CONTEXT, self.options.region_dim)

    @cached_property
    def _pooling(self) -> Rows:
        made = normals(self.options.seed, "pooling", "map", self.options.region_dim, self.options.global_dim)
        return np.asarray(made / sqrt(self.options.region_dim), np.float32)


def _context(draw: np.random.Generator, count: int) -> Rows:
    sizes = np.exp(draw.uniform(np.log(0.05), np.log(0.5), (count, 2)))
    return _inside(draw.random((count, 2)), sizes)


def _inside(centres: NDArray[np.float64], sizes: NDArray[np.float64]) -> Rows:
    """Boxes (centre x, centre y, width, height) moved into the image, whose sides are 1."""
    return np.concatenate([np.clip(centres, sizes / 2, 1 - sizes / 2), sizes], axis=1).astype(np.float32)

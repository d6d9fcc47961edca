"""What the world's properties measure to: for each knob the one property that it sets, stated and found.

A property is measured where nothing else is to be seen, so that a knob that moves another knob's property is found out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from math import cos, log, sqrt

import numpy as np
from numpy.typing import ArrayLike

from activity_bench.simulation.classes import TREE, paths, siblings
from activity_bench.simulation.content import Content
from activity_bench.simulation.images import SPREAD
from activity_bench.simulation.parameters import WorldOptions
from activity_bench.simulation.world import UNIT, World
from activity_bench.types import Instance, Video

MINUTES = 30.0
VIDEOS = 40
NOTHING = {"noise": 0.0, "appearance": 0.0, "scenes": 0.0, "distractors": 0.0}


@dataclass(frozen=True)
class Property:
    """What a knob sets: its value by the equations, and how it is measured."""

    text: str
    stated: Callable[[WorldOptions], float]
    measure: Callable[[WorldOptions], float]


@dataclass(frozen=True)
class Moved:
    """One line of the table of knobs."""

    knob: str
    text: str
    stated: float
    found: float
    stated_off: float
    found_off: float
    others: float  # the furthest that any other property moved


def correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Of numbers drawn around zero."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(np.vdot(a, b) / sqrt(max(float(np.vdot(a, a) * np.vdot(b, b)), 1e-300)))


def world(options: WorldOptions, *videos: Video, **changes: float) -> World:
    """A world on the embedded class tree."""
    return World(replace(options, **changes), paths(), videos)  # type: ignore[arg-type]


def _instances(start: float) -> Iterator[Video]:
    """Videos of a minute with one activity each, a class after the other."""
    for number, label in zip(range(VIDEOS), paths(), strict=False):
        yield Video(f"v{number}", 60.0, "training", (Instance(start, start + 20.0, label),))


def _covariance(made: World, pairs: list[tuple[str, str]]) -> float:
    means = {label: made.phases(label).mean(axis=0) for label in {label for pair in pairs for label in pair}}
    return float(np.mean([np.dot(means[a], means[b]) / made.dim for a, b in pairs]))


def kinship(options: WorldOptions) -> float:
    """How much nearer siblings are than strangers, in units of a class to itself."""
    made, tree = world(options), paths()
    near = [(label, other) for label in tree for other in siblings(label)]
    far = [(a, b) for a, b in combinations(tree, 2) if tree[a][1] != tree[b][1]]
    strangers = _covariance(made, far)
    return (_covariance(made, near) - strangers) / (_covariance(made, [(a, a) for a in tree]) - strangers)


def order(options: WorldOptions) -> float:
    """1 - the correlation of a class's own phases."""
    made, classes = world(options, common=0.0), list(paths())
    return 1 - float(np.mean([correlation(a, b) for c in classes for a, b in combinations(made.phases(c), 2)]))


def common(options: WorldOptions) -> float:
    """Correlation of the same phase of strangers, of what is no class's own."""
    made = world(options, order=1.0)
    tree, chosen = paths(), [leaves[0] for groups in TREE.values() for leaves in groups.values()]
    strangers = [(a, b) for a, b in combinations(chosen, 2) if tree[a][1] != tree[b][1]]
    return float(np.mean([correlation(made.phases(a), made.phases(b)) for a, b in strangers]))


def tempo(options: WorldOptions) -> float:
    """Spread, from instance to instance, of the logarithm of the power that time is taken to."""
    made = world(options, *_instances(20.0), distractors=0.0)
    edges = np.array([made.events(video)[0].edges for video in made.ids()])
    shares = (edges[:, 1] - edges[:, 0]) / (edges[:, 3] - edges[:, 0])
    return float(np.std(np.log(np.log(shares) / log(1 / 3))))


def drift(options: WorldOptions) -> float:
    """Correlation of a video's look with that of a minute later."""
    made = world(options, Video("v", 120.0, "training", ()), **{**NOTHING, "appearance": 1.0})
    rows = made.read("v")
    later = round(60 / UNIT)
    return correlation(rows[:-later], rows[later:])


def scenes(options: WorldOptions) -> float:
    """Root mean square of what is behind everything."""
    made = world(options, Video("v", MINUTES * 60, "training", ()), **{**NOTHING, "scenes": options.scenes})
    return float(np.sqrt(np.square(made.read("v")).mean()))


def distractors(options: WorldOptions) -> float:
    """Activities a minute that nobody annotated."""
    made = world(options, Video("v", MINUTES * 600, "training", ()))
    return len(made.events("v")) / (MINUTES * 10)


def slow(options: WorldOptions) -> float:
    """Correlation of neighbouring rows of noise."""
    made = world(options, Video("v", MINUTES * 60, "training", ()), **{**NOTHING, "noise": 1.0})
    rows = made.read("v")
    return correlation(rows[:-1], rows[1:])


def _images(options: WorldOptions) -> World:
    frames = {(f"{label} {i}", 5.0): label for i in range(2) for label in paths()}
    videos = {video: Video(video, 10.0, "training", ()) for video, _ in frames}
    return World(options, paths(), Content(videos, frames))


def layout(options: WorldOptions) -> float:
    """Correlation of how an image's objects lie to each other with what their class says."""
    made, said, seen = _images(options), [], []
    for (video, time), label in made.content.frames.items():
        image, own = made.image_parts(video, time)
        boxes = image.boxes[own].astype(np.float64)
        said.append(made.concepts.concept(made.concepts.path(label)).offsets)
        seen.append(((boxes[1:, :2] - boxes[0, :2]) / (SPREAD * boxes[0, 2])).ravel())
    return correlation(said, seen)


def mislead(options: WorldOptions) -> float:
    """Share of an image's context that is an object of another activity: like no thing that belongs to scenes."""
    made = _images(replace(options, image_noise=0.0, appearance=0.0))
    things, found = {row.tobytes() for row in made.things()}, []
    for video, time in made.frames()[:VIDEOS]:
        image, own = made.image_parts(video, time)
        found += [row.tobytes() not in things for row in np.delete(image.regions, own, axis=0)]
    return float(np.mean(found))


def shift(options: WorldOptions) -> float:
    """1 - the correlation of a class between trimmed clips and untrimmed videos."""
    made = world(options, common=0.0)
    places = [made.concepts.path(label) for label in paths()]
    return 1 - float(np.mean([correlation(made.concepts.rows(p), made.concepts.rows(p, True)) for p in places]))


PROPERTIES: dict[str, Property] = {
    "kinship": Property("siblings nearer than strangers", lambda o: o.kinship, kinship),
    "order": Property("difference of a class's phases", lambda o: o.order, order),
    "common": Property("likeness of strangers' same phase", lambda o: o.common, common),
    "tempo": Property("spread of beginnings", lambda o: o.tempo, tempo),
    "drift": Property("likeness of a look to itself a minute later", lambda o: cos(o.drift), drift),
    "scenes": Property("strength of scenes", lambda o: o.scenes, scenes),
    "distractors": Property("unannotated activities a minute", lambda o: o.distractors, distractors),
    "slow": Property("likeness of neighbouring noise", lambda o: o.slow * o.memory, slow),
    "layout": Property("objects lie as their class says", lambda o: float(o.layout > 0), layout),
    "mislead": Property("context of other activities", lambda o: o.mislead, mislead),
    "shift": Property("difference of trimmed clips", lambda o: o.shift, shift),
}


def moved(options: WorldOptions) -> Iterator[Moved]:
    """Each knob's property as it stands and with the knob at 0, and how far all others move."""
    standing = {name: each.measure(options) for name, each in PROPERTIES.items()}
    for knob, each in PROPERTIES.items():
        off = replace(options, **{knob: 0.0})  # type: ignore[arg-type]
        found = {name: other.measure(off) for name, other in PROPERTIES.items()}
        others = max(abs(found[name] - standing[name]) for name in PROPERTIES if name != knob)
        yield Moved(knob, each.text, each.stated(options), standing[knob], each.stated(off), found[knob], others)

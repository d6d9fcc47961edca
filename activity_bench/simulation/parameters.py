"""The world's parameters: what each is, its range, its value. docs/world.md has the equations and the evidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from activity_bench.errors import InputError

STRENGTHS = ("noise", "appearance", "drift", "scenes", "tempo", "image_noise", "word_noise")
SHARES = ("slow", "kinship", "order", "common", "layout", "mislead", "shift")
SIZES = ("dim", "stride", "concepts", "region_dim", "global_dim", "word_dim")
STRONGEST = 1e6  # beyond it single precision has nothing left to show
MOST_DISTRACTORS = 3.0  # a minute: each has a slot of 20 s to itself
SCENES = 64  # in a world
# `noise` of re-localization with the released files, on the embedded corpus, and of the others; docs/world.md says why
CALIBRATED = {"released": 5.6, "embedded": 6.3, "activity-ibal": 9.5, "what2when": 4.3}
KNOBS = ("kinship", "order", "common", "tempo", "drift", "scenes", "distractors", "slow", "layout", "mislead", "shift")


def _of(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class WorldOptions:
    """The world's parameters; strengths are in units of an activity's own vector. At 0 a property is switched off."""

    seed: int = _of(0, "of every draw")
    dim: int = _of(500, "numbers a row")
    stride: int = _of(16, "frames from row to row, of which each sees 16: at 8 neighbours overlap by half")
    concepts: int = _of(64, "numbers that tell classes apart; rows, regions and names are seen through them")
    noise: float = _of(CALIBRATED["released"], "noise of the rows at 500 numbers: the calibrated parameter")
    slow: float = _of(0.5, "share of the noise that is slow")
    memory: float = _of(0.9, "correlation of the slow noise from one 16-frame unit to the next")
    appearance: float = _of(1.0, "how much videos differ whatever happens in them")
    drift: float = _of(0.5, "radians a minute by which a video's appearance turns")
    scenes: float = _of(1.0, "strength of the scene behind everything; it changes from shot to shot")
    shot: float = _of(8.0, "mean length of a shot, in seconds")
    distractors: float = _of(2.0, "activities of other classes a minute of background, not annotated")
    kinship: float = _of(0.5, "share of a class's variance that is its parent's")
    order: float = _of(0.5, "share of a phase's variance that is not its class's")
    common: float = _of(0.05, "share of that which all classes have in common: what any start looks like")
    tempo: float = _of(0.3, "how far instances differ in how fast they begin (standard deviation of a logarithm)")
    layout: float = _of(0.25, "share of a class's variance that an image shows only in how its objects lie")
    mislead: float = _of(0.25, "share of an image's context that shows objects of other activities")
    image_noise: float = _of(1.0, "noise of regions and global features")
    region_dim: int = _of(512, "numbers a region (the paper: 4,096)")
    global_dim: int = _of(512, "numbers of an image's global feature")
    shift: float = _of(0.2, "1 - correlation of a class between trimmed clips and untrimmed videos")
    word_dim: int = _of(300, "numbers of a class name's vector")
    word_noise: float = _of(0.5, "how much of a name's vector has nothing to do with its class")

    def __post_init__(self) -> None:
        for name in SIZES:
            self._check(name, 1 <= getattr(self, name) <= 65536, "1 to 65536")
        for name in STRENGTHS:
            self._check(name, 0 <= getattr(self, name) <= STRONGEST, f"0 to {STRONGEST:g}")
        self._check("seed", 0 <= self.seed < 2**63, "0 to 2^63 - 1")
        for name in SHARES:
            self._check(name, 0 <= getattr(self, name) <= 1, "0 to 1")
        self._check("memory", 0 <= self.memory < 1, "0 or more, below 1")
        self._check("shot", isfinite(self.shot) and self.shot > 0, "above 0, finite")
        self._check("distractors", 0 <= self.distractors <= MOST_DISTRACTORS, f"0 to {MOST_DISTRACTORS:g}")

    def _check(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise InputError("out of range", field=name, found=getattr(self, name), expected=expected)

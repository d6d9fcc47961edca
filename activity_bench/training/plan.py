"""Which pairs a step learns from: a function of the seed and the step, so that a run that goes on asks the same.

An epoch asks every training line once. Its clip is drawn anew, among those of its class that come from another source
video and are no longer than the line's window (the paper redraws pairs; a line that no such clip fits keeps the
manifest's), and with chance `augment` its window loses a random lead and a random tail around the target (the released
code's 0.9). Batches are of windows alike in length. All of a batch's draws belong to (seed, line, epoch, purpose).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from activity_bench import chance
from activity_bench.data.features import Provider
from activity_bench.errors import InputError
from activity_bench.training.batches import Batch
from activity_bench.training.options import TrainOptions
from activity_bench.training.pairs import Pair, Stretch

Ints = NDArray[np.int64]
CELLS = 4_000_000  # askers x clips at a time: bounded memory for a class of any size


class Item(Protocol):
    """Whatever a batch is made of."""

    @property
    def id(self) -> str: ...


class Steps(Protocol):
    """What the loop asks of a plan."""

    options: TrainOptions
    size: int  # items of a batch, of all processes together
    epoch_steps: int

    def batch(self, step: int) -> Sequence[Item]:
        """What a step learns from: a function of the seed and the step."""
        ...


Collate = Callable[[Any, Provider, int], Batch]  # items of a plan, features, what rows are padded to a multiple of


class Plan:
    """The batches of every step. A batch belongs to all processes; each takes its share of the pairs in it."""

    def __init__(self, pairs: Sequence[Pair], seed: int, options: TrainOptions, processes: int = 1) -> None:
        self.pairs, self.seed, self.options = list(pairs), seed, options
        self.size = min(options.batch, len(self.pairs) // processes * processes)  # a small split is one batch
        if options.batch % processes or not self.size:
            raise InputError("a batch must be shared out evenly", field="batch", found=options.batch,
                             expected=f"a multiple of {processes} processes, and as many training lines")  # fmt: skip
        if options.redraw and any(isinstance(pair.query, float) for pair in self.pairs):
            raise InputError("images are not drawn anew: the manifest's are what is asked with", field="redraw",
                             found=True, expected="false")  # fmt: skip
        self.epoch_steps = len(self.pairs) // self.size
        if options.epochs:
            self.options = replace(options, steps=min(options.steps, options.epochs * self.epoch_steps))
        self._ids = [pair.id for pair in self.pairs]
        self._kin = _by_class(self.pairs) if options.redraw else []
        self._latest: tuple[int, list[list[Pair]]] | None = None

    def batch(self, step: int) -> list[Pair]:
        """The pairs of a step."""
        epoch, place = divmod(step, self.epoch_steps)
        if self._latest is None or self._latest[0] != epoch:
            self._latest = epoch, self.epoch(epoch)
        return self._latest[1][place]

    def epoch(self, epoch: int) -> list[list[Pair]]:
        """The batches of an epoch. What does not fill the last one is left out, other lines in each epoch."""
        order = np.argsort(self._keys("order", epoch), kind="stable")[: self.epoch_steps * self.size]
        pairs = self._augmented(self._redrawn(epoch), epoch)
        batches = self._bucketed([pairs[place] for place in order])
        names = (str(place) for place in range(len(batches)))
        turns = np.argsort(chance.keys(self.seed, names, f"training batches {epoch}"), kind="stable")
        return [batches[place] for place in turns]

    def _keys(self, purpose: str, epoch: int) -> chance.Keys:
        return chance.keys(self.seed, self._ids, f"training {purpose} {epoch}")

    def _bucketed(self, pairs: Sequence[Pair]) -> list[list[Pair]]:
        """Full batches of one bucket each; what is left of the buckets fills batches of neighbouring ones."""
        buckets: dict[int, list[Pair]] = defaultdict(list)
        for pair in pairs:
            buckets[(pair.rows - 1) // self.options.bucket].append(pair)
        batches, rest = [], []
        for _, bucket in sorted(buckets.items()):
            full = len(bucket) // self.size * self.size
            batches += [bucket[first : first + self.size] for first in range(0, full, self.size)]
            rest += bucket[full:]
        return batches + [rest[first : first + self.size] for first in range(0, len(rest), self.size)]

    def _redrawn(self, epoch: int) -> list[Pair]:
        """Every pair with its clip of this epoch."""
        pairs = list(self.pairs)
        if not self._kin:
            return pairs
        keys = self._keys("query", epoch)
        for kin in self._kin:
            chunk = max(1, CELLS // len(kin.clips))
            for some in (slice(first, first + chunk) for first in range(0, len(kin.lines), chunk)):
                allowed = (kin.source[some, None] != kin.clip_source) & (kin.room[some, None] >= kin.length)
                lines = kin.lines[some]
                met = chance.rendezvous(keys[lines], kin.keys, allowed)
                for line, clip in zip(lines.tolist(), met.tolist(), strict=True):
                    if clip >= 0:
                        video, stretch = kin.clips[clip]
                        pairs[line] = replace(pairs[line], query_video=video, query=stretch)
        return pairs

    def _augmented(self, pairs: list[Pair], epoch: int) -> list[Pair]:
        """Windows that begin somewhere before the target and end somewhere after it."""
        if not self.options.augment:
            return pairs
        keys = self._keys("augment", epoch)
        leads, tails = (chance.mix(keys ^ np.uint64(salt)) for salt in (1, 2))
        hit = (keys >> np.uint64(11)).astype(np.float64) * 2.0**-53 < self.options.augment
        return [
            replace(pair, window=_shortened(pair.window, pair.target, lead, tail)) if chosen and pair.target else pair
            for pair, chosen, lead, tail in zip(pairs, hit.tolist(), leads.tolist(), tails.tolist(), strict=True)
        ]


def _shortened(window: Stretch, target: Stretch, lead: int, tail: int) -> Stretch:
    """A window that loses some of what is before and after its target, all amounts equally likely; 64 bits each."""
    first = window[0] + (lead * (target[0] - window[0] + 1) >> 64)
    return first, window[1] - (tail * (window[1] - target[1] + 1) >> 64)


class _Kin:
    """The lines of one class, and the clips that they may ask with."""

    def __init__(self, pairs: Sequence[Pair], lines: Sequence[int]) -> None:
        own = [pairs[line] for line in lines]
        asked = [(p.query_video, p.query) for p in own if isinstance(p.query, tuple)]
        clips = [(p.video, p.target) if p.target else clip for p, clip in zip(own, asked, strict=True)]
        self.clips = list(dict.fromkeys(clips))  # targets, or what is asked with where there are none; each once
        number = {video: i for i, video in enumerate(dict.fromkeys([*(p.video for p in own), *(c[0] for c in clips)]))}
        self.lines: Ints = np.array(lines)
        self.source: Ints = np.array([number[pair.video] for pair in own])
        self.room: Ints = np.array([pair.window[1] - pair.window[0] for pair in own])
        self.clip_source: Ints = np.array([number[video] for video, _ in self.clips])
        self.length: Ints = np.array([last - first for _, (first, last) in self.clips])
        names = (f"{video}\0{first}-{last}" for video, (first, last) in self.clips)
        self.keys = chance.keys(0, names, "training clip")


def _by_class(pairs: Sequence[Pair]) -> list[_Kin]:
    lines: dict[str, list[int]] = defaultdict(list)
    for place, pair in enumerate(pairs):
        if pair.label is not None:
            lines[pair.label].append(place)
    return [_Kin(pairs, lines[label]) for label in sorted(lines)]

"""Videos of which only the classes are known: what a step learns from, and its batches.

As W-TALC's released code has it: some videos of a batch come in pairs that share a class, which is drawn first, each
class as likely as any other; the rest are any videos. A window of more than `rows` rows is cropped to as many, at a
random place. All draws belong to (seed, step, place in the batch), and no video is twice in a batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from activity_bench import chance
from activity_bench.data.features import Provider, Timing
from activity_bench.errors import InputError
from activity_bench.training.batches import VideoBatch, padded
from activity_bench.training.blocks.proposals import Found
from activity_bench.training.options import TrainOptions
from activity_bench.training.pairs import Pair, Stretch, rows_of, seconds_of
from activity_bench.types import Prediction, Sample


@dataclass(frozen=True, slots=True)
class Video:
    """One line in rows, and its classes by their places; `pseudo` are those that were mined."""

    id: str
    video: str
    window: Stretch
    classes: tuple[int, ...]
    pseudo: tuple[int, ...] = ()

    @property
    def taught(self) -> tuple[int, ...]:
        """What localisation is learnt from."""
        return self.pseudo or self.classes


@dataclass
class MinedBatch(VideoBatch):
    """Videos with pseudo-labels, too."""

    pseudo: Tensor  # (B, K) float32


def labels_of(sample: Sample) -> tuple[str, ...]:
    """What a training line says of its video as a whole."""
    return sample.labels or ((sample.label,) if sample.label is not None else ())


def video_of(sample: Sample, features: Provider, places: Mapping[str, int]) -> Video:
    """A line in rows. Where features end before the line does, so does its window; no label of a question is read."""
    timing, rows, end = features.timing, features.rows(sample.video.id), sample.video.end
    window = rows_of(sample.video.start, timing.start_of(rows) if end is None else end, timing, rows)
    window = sample.grid.video if sample.grid else window
    window = window[0], min(window[1], rows)
    if window[0] >= window[1]:
        raise InputError("the features of this video end before the rows that are asked",
                         field=f"{sample.id}: {sample.video.id}", found=f"{rows} rows",
                         expected=f"more than {window[0]}")  # fmt: skip
    return Video(sample.id, sample.video.id, window, tuple(sorted({places[label] for label in labels_of(sample)})))


def answered(sample: Sample, video: Video, found: Found, names: Sequence[str], timing: Timing) -> Prediction:
    """Segments of rows of a window, in seconds and with their classes' names."""
    window = Pair(sample.id, None, video.video, video.window, (), video.video, video.window)
    segments, labels = [], []
    for first, last, label, score in zip(*(column.tolist() for column in found.columns), strict=True):
        start, end = seconds_of(sample, window, first, last, timing)
        if start < end:  # a sliver of a row may be shorter than a microsecond
            segments.append((start, end, score))
            labels.append(names[label])
    return Prediction(sample.id, tuple(segments), tuple(labels))


class VideoPlan:
    """The batches of every step. A pair's two videos go to one process, which takes every n-th item."""

    def __init__(
        self, videos: Sequence[Video], seed: int, options: TrainOptions, pairs: int, processes: int = 1
    ) -> None:
        for name in ("redraw", "augment", "patience"):  # no pair is made, no target kept, nothing validated
            if value := getattr(options, name):
                raise InputError("this method has no use for it", field=name, found=value, expected="none")
        self.videos, self.seed, self.options, self.processes = list(videos), seed, options, processes
        self.size = min(options.batch, len(self.videos) // processes * processes)
        if options.batch % processes or not self.size:
            raise InputError("a batch must be shared out evenly", field="batch", found=options.batch,
                             expected=f"a multiple of {processes} processes, and as many training lines")  # fmt: skip
        self.epoch_steps = len(self.videos) // self.size
        if options.epochs:
            self.options = replace(options, steps=min(options.steps, options.epochs * self.epoch_steps))
        by_class: dict[int, list[int]] = defaultdict(list)
        for place, video in enumerate(self.videos):
            for label in video.taught:
                by_class[label].append(place)
        self._kin = [kin for _, kin in sorted(by_class.items()) if len(kin) > 1]
        self.pairs = min(pairs, self.size // processes // 2 * processes) if self._kin else 0

    def batch(self, step: int) -> list[Video]:
        """The videos of a step, pairs first in each process's share."""
        shares: list[list[int]] = [[] for _ in range(self.processes)]
        taken: set[int] = set()
        for pair in range(self.pairs):
            kin = self._kin[self._draw(f"{step} {pair}", "class", len(self._kin))]
            first = self._draw(f"{step} {pair}", "first", len(kin))
            second = (first + 1 + self._draw(f"{step} {pair}", "second", len(kin) - 1)) % len(kin)
            couple = {kin[first], kin[second]}
            if not couple & taken:  # else its class has a pair in this batch already: any two take its place
                shares[pair % self.processes] += sorted(couple)
                taken |= couple
        fill = ((r, number) for r in range(self.processes) for number in range(self.size // self.processes))
        for rank, number in fill:
            if number >= len(shares[rank]):
                shares[rank].append(self._other(f"{step} {rank} {number}", taken))
                taken.add(shares[rank][-1])
        return [self._cropped(shares[n % self.processes][n // self.processes], step) for n in range(self.size)]

    def _other(self, item: str, taken: set[int]) -> int:
        """Any video that is not taken: the next free one after a drawn one."""
        place = self._draw(item, "video", len(self.videos))
        while place in taken:
            place = (place + 1) % len(self.videos)
        return place

    def _cropped(self, place: int, step: int) -> Video:
        video, most = self.videos[place], self.options.rows
        first, last = video.window
        if not most or last - first <= most:
            return video
        first += self._draw(f"{step} {place}", "crop", last - first - most + 1)
        return replace(video, window=(first, first + most))

    def _draw(self, item: str, purpose: str, count: int) -> int:
        return chance.integer(self.seed, item, f"training videos: {purpose}", 0, count)


def collate_videos(
    videos: Sequence[Video], features: Provider, multiple: int = 1, *, classes: int, pseudo: int = 0
) -> VideoBatch:
    """Read and pad the rows of videos; their classes as rows of zeros and ones, `classes` and `pseudo` wide."""
    video, mask = padded([features.read(item.video, *item.window) for item in videos], multiple)
    ids, known = [item.id for item in videos], _marked([item.classes for item in videos], classes)
    if not pseudo:
        return VideoBatch(ids, video, mask, known)
    return MinedBatch(ids, video, mask, known, _marked([item.pseudo for item in videos], pseudo))


def _marked(places: Sequence[Sequence[int]], width: int) -> Tensor:
    marks = torch.zeros(len(places), width)  # (B, width)
    for row, own in zip(marks, places, strict=True):
        row[list(own)] = 1.0
    return marks

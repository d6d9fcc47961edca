"""Pseudo-labels: the ActionBytes of all training videos, grouped by k-means (CVPR 2020, section 3.2).

The means of all ActionBytes are held at once, in half precision: 120,000 of 2,048 numbers are 0.5 GB.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from activity_bench.data.features import Provider
from activity_bench.errors import InputError, WorkError
from activity_bench.scoring.detection import Detections, Truths, evaluate, rank
from activity_bench.scoring.protocols import WTALC
from activity_bench.training.batches import padded
from activity_bench.training.blocks.bytes import Pieces, action_bytes, boundaries, fixed, means, or_whole
from activity_bench.training.blocks.kmeans import k_means
from activity_bench.training.checkpoint import Folder, read_weights
from activity_bench.training.videos import Video
from activity_bench.types import Prediction, Sample

ROWS = 1 << 13  # padded rows at a time
RULES = replace(WTALC, absent="zero")
FILE = "pseudo"  # .safetensors, in the folder of a round
HALF = 0.01, 65_504.0  # between these a point's greatest number is safe in half precision
FIXED = 2  # rows of a segment that takes an ActionByte's place (section 4.1)


@dataclass(frozen=True)
class Mined:
    """What one round of mining found."""

    labels: Tensor  # (videos, clusters) bool: the clusters of a video's ActionBytes
    loss: float  # mean squared distance of an ActionByte to its cluster's centre (Figure 6)
    count: int  # ActionBytes

    def __str__(self) -> str:
        used = int(self.labels.any(0).sum())
        return (f"{self.count:,} segments in {used:,} of {self.labels.shape[1]:,} clusters, mean squared distance "
                f"{self.loss:.4g}")  # fmt: skip

    def taught(self, videos: Sequence[Video]) -> list[Video]:
        """The videos with their pseudo-labels."""
        marked = (row.nonzero().flatten().tolist() for row in self.labels)
        return [replace(video, pseudo=tuple(own)) for video, own in zip(videos, marked, strict=True)]

    def keep(self, folder: Folder, after: int) -> None:
        """Kept with the round that learns from it; `after` are the steps of the round that it was mined with."""
        folder.path.mkdir(parents=True, exist_ok=True)
        numbers = {"loss": torch.tensor(self.loss, dtype=torch.float64), "count": torch.tensor(self.count)}
        folder.weights(FILE, {"labels": self.labels, "after": torch.tensor(after), **numbers})

    @classmethod
    def kept(cls, folder: Folder, videos: int, clusters: int, after: int) -> Mined | None:
        """What a run that goes on has mined already, if that is still what it goes on from."""
        path = folder.path / f"{FILE}.safetensors"
        if not path.exists():
            return None
        wanted = torch.nn.Module()
        for name, shape in {"labels": (videos, clusters), "loss": (), "count": (), "after": ()}.items():
            wanted.register_buffer(name, torch.empty(shape, device="meta"))
        found = read_weights(path, wanted)
        if int(found["after"]) < after:
            raise InputError("these pseudo-labels were mined after another number of steps", file=path, field="steps",
                             found=after, expected=str(int(found["after"])),
                             hint="A run with rounds goes on with the steps that it began with.")  # fmt: skip
        return cls(found["labels"].bool(), float(found["loss"]), int(found["count"]))


def round_of(folder: Folder, number: int) -> Folder:
    """The folder of a round within that of a run."""
    return Folder(folder.path / f"round-{number}")


def check_rounds(folder: Folder | None, rounds: int, videos: Sequence[Video], steps: int, options: Any) -> None:
    """Before the first step: there are as many segments as clusters; and where a round was mined already, the one that
    it was mined with is not trained further, so that the run can go on."""
    if rounds:
        lengths = (video.window[1] - video.window[0] for video in videos)
        _check_count(options.clusters, sum(most(n, options.segments, options.mine_percentile) for n in lengths))
    for number in range(1, rounds + 1):
        if folder is not None:
            Mined.kept(round_of(folder, number), len(videos), options.clusters, steps)


def most(rows: int, segments: str, percentile: float) -> int:
    """How many segments a video has; fewer where changes are equal."""
    if segments == "fixed":
        return -(-rows // FIXED)
    last = rows - 2  # of its changes, counted from 0
    return max(1, last - math.floor(last * percentile / 100) - 1)


def _check_count(clusters: int, count: int) -> None:
    if count < clusters:
        raise InputError("more clusters than there is to group", field="clusters", found=clusters,
                         expected=f"at most {count:,}, the segments of these training videos")  # fmt: skip


def mine(
    network: Any, videos: Sequence[Video], features: Provider, device: torch.device, *, clusters: int, seed: int,
    segments: Literal["bytes", "fixed"] = "bytes", percentile: float = 50.0,
) -> Mined:  # fmt: skip
    """The pseudo-labels of videos by a network's latent features, `latent(video)`, which know no dropout."""
    owners, points = [], []
    for places, latent, mask in _read(network, videos, features, device):
        pieces = pieces_of(latent, mask, segments, percentile)
        owners.append(torch.tensor(places)[pieces[0].cpu()])
        points.append(_packed(means(latent, pieces)).cpu())
    owner = torch.cat(owners)  # (n,)
    _check_count(clusters, len(owner))
    found = k_means(torch.cat(points), clusters, seed, device)
    if not math.isfinite(found.loss):
        raise WorkError("latent features too great to be grouped", field="clusters", found=found.loss,
                        hint="A lower lr may help; so does scaling the features.")  # fmt: skip
    labels = torch.zeros(len(videos), clusters, dtype=torch.bool)
    labels[owner, found.label] = True
    return Mined(labels, found.loss, len(owner))


def _packed(points: Tensor) -> Tensor:
    """In half precision, unless that would lose them: it ends at 65,504, and what is small has few digits. (P, l)"""
    return points.half() if HALF[0] < float(points.max()) < HALF[1] else points


def pieces_of(latent: Tensor, mask: Tensor, segments: str, percentile: float) -> Pieces:
    """What a video is cut into for mining; where that leaves nothing, the whole video is one piece, so that each has a
    pseudo-label. (B, N, l), (B, N) -> (P,)"""
    if segments == "fixed":
        return fixed(mask, FIXED)
    return or_whole(action_bytes(boundaries(latent, mask, percentile)), mask)


@torch.inference_mode()
def _read(
    network: Any, videos: Sequence[Video], features: Provider, device: torch.device
) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Places of some videos alike in length, their latent features (B, N, l), and the mask (B, N)."""
    lengths = [video.window[1] - video.window[0] for video in videos]
    order = sorted(range(len(videos)), key=lambda place: (lengths[place], place))
    for places in _batches(order, lengths):
        some = [videos[place] for place in places]
        rows, mask = padded([features.read(video.video, *video.window) for video in some], 1)
        mask = mask.to(device)
        yield places, network.latent(rows.to(device)), mask


def _batches(order: Iterable[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    some: list[int] = []
    for place in order:
        if some and (len(some) + 1) * lengths[place] > ROWS:
            yield some
            some = []
        some.append(place)
    yield some


def localisation_map(answers: Sequence[Prediction], samples: Sequence[Sample]) -> dict[str, float]:
    """The paper's scores (Figure 6), by W-TALC's rules but for one, of answers to samples that have targets: a class
    without a detection makes 0 of its own precision, not of the mean."""
    labels = sorted({label for sample in samples for label in sample.classes()})
    places = {label: place for place, label in enumerate(labels)}
    true = [(n, places[str(t.label)], t.start, t.end) for n, s in enumerate(samples) for t in s.targets]
    ignored = [(n, stretch.start, stretch.end) for n, s in enumerate(samples) for stretch in s.ignore or ()]
    found = [
        (n, places[label], *segment) for n, answer in enumerate(answers)
        for segment, label in zip(answer.segments, answer.labels or (), strict=True) if label in places
    ]  # fmt: skip
    truths = Truths(len(samples), len(labels), *_columns(true, "iiff"), *_columns(ignored, "iff"))
    return evaluate(rank(truths, Detections(*_columns(found, "iifff")), RULES), RULES)


def _columns(rows: Sequence[tuple[float, ...]], kinds: str) -> list[Any]:
    table = np.array(rows, np.float64).reshape(-1, len(kinds))
    return [table[:, n].astype(np.int64 if kind == "i" else np.float64) for n, kind in enumerate(kinds)]

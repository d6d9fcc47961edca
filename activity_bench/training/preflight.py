"""What would fail an hour into a training, looked at before its first step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import nn

from activity_bench.data.features import Provider
from activity_bench.data.features.words import LEAST_TOLERANCE, TOLERANCE, check_grid
from activity_bench.errors import InputError
from activity_bench.training.clips import CutClips
from activity_bench.training.loader import AHEAD
from activity_bench.training.options import TrainOptions
from activity_bench.training.pairs import Pair
from activity_bench.types import Sample


def check(samples: Sequence[Sample], features: Provider, kind: str) -> None:
    """The samples ask what the method answers, and the features have the rows that they ask."""
    for sample in samples:
        if sample.query.kind != kind:
            raise InputError("this method does not answer such queries", field=sample.id, found=sample.query.kind,
                             expected=f"queries of kind {kind}")  # fmt: skip
    needed = _needed(samples, features)
    _check_videos(needed, features)
    if kind == "image":
        _check_images(samples, features)
    check_grid(samples, features)
    for video, rows in needed.items():
        if isinstance(features, CutClips) and features.is_cut(video):
            continue
        there = features.rows(video)
        if rows - there > max(LEAST_TOLERANCE, TOLERANCE * rows):
            raise InputError(
                "these features end long before the video", field=video, found=f"{there} rows",
                expected=f"about {rows}", hint="Is the stride or the fps that of the extraction?",
            )  # fmt: skip


def footprint(
    network: nn.Module, pairs: Sequence[Pair], features: Provider, options: TrainOptions, processes: int
) -> str:
    """What a training will hold in memory, about: weights with what Adam keeps of each, and the batches of features."""
    weights = sum(weight.numel() for weight in network.parameters())
    copies = 4 + (1 if options.ema else 0)  # itself, its gradient, two moments
    longest = max(pair.rows + (pair.query[1] - pair.query[0] if isinstance(pair.query, tuple) else 0) for pair in pairs)
    numbers, what = longest * features.dim, f"{longest:,} rows"
    if features.images and (frames := _frames(pairs)):
        image, most = features.images.image(*min(frames)), max(features.images.regions(*frame) for frame in frames)
        numbers += most * (image.regions.shape[1] + image.boxes.shape[1]) + len(image.whole)
        what += f", {most:,} regions"
    batch = math.ceil(min(options.batch, len(pairs)) / processes) * numbers * 4
    ahead = 1 + AHEAD * options.workers
    return (f"memory, at most: {_size(4 * copies * weights)} for {weights:,} weights and Adam, {_size(batch)} for a "
            f"batch of the longest windows ({what}), {ahead} at once; activations come on top")  # fmt: skip


def bare(pairs: Sequence[Pair], features: Provider) -> str:
    """What is done with images that have no region, if there are any."""
    asked, images = _frames(pairs), features.images
    none = sorted(frame for frame in asked if images and not images.regions(*frame))
    return "" if not none else (f"{len(none):,} of {len(asked):,} images have no region: the whole image is their one "
                                f"region (the first: {none[0][0]} at {none[0][1]} s)")  # fmt: skip


def _frames(pairs: Sequence[Pair]) -> set[tuple[str, float]]:
    """The images that pairs ask with."""
    return {(pair.query_video, pair.query) for pair in pairs if isinstance(pair.query, float)}


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count / 2**20:.1f} MB"


def _needed(samples: Sequence[Sample], features: Provider) -> dict[str, int]:
    """Video -> how many rows it must have."""
    needed: dict[str, int] = {}
    for sample in samples:
        grid, query, rows_for = sample.grid, sample.query, features.timing.rows_for
        rows = grid.video[1] if grid else rows_for(sample.video.end) if sample.video.end else 1
        needed[sample.video.id] = max(needed.get(sample.video.id, 0), rows)
        if query.video is not None and query.kind == "clip":
            rows = grid.query[1] if grid and grid.query else rows_for(query.end) if query.end else 1
            needed[query.video] = max(needed.get(query.video, 0), rows)
    return needed


def _check_images(samples: Sequence[Sample], features: Provider) -> None:
    there = set(features.images.frames() if features.images else ())
    asked = {(str(query.video), float(query.time or 0)) for query in (sample.query for sample in samples)}
    missing = sorted(f"{video} at {time} s" for video, time in asked - there)
    if missing:
        raise InputError(f"the features lack {len(missing):,} of the {len(asked):,} images that are asked with",
                         field="--features", found=", ".join(missing[:3]),
                         expected="regions, boxes and global of each frame")  # fmt: skip


def _check_videos(needed: Mapping[str, int], features: Provider) -> None:
    there = set(features.ids())
    missing = sorted(video for video in needed if video not in there)
    if missing:
        raise InputError(f"the features lack {len(missing):,} of the {len(needed):,} videos that are asked",
                         field="--features", found=", ".join(missing[:3]),
                         hint="build-dataset --available makes a manifest of what is there.")  # fmt: skip

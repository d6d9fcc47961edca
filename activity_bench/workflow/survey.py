"""inspect, of features: what a store is, what its numbers are like, and what of a manifest it can answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from activity_bench.data import manifest as manifests
from activity_bench.data.features import Timing, open_features
from activity_bench.data.features.fit import fit
from activity_bench.data.features.survey import Survey
from activity_bench.errors import InputError
from activity_bench.types import Sample
from activity_bench.workflow import lengths
from activity_bench.workflow.run import MARKER as RUN
from activity_bench.workflow.run import Progress, silent


@dataclass(frozen=True)
class FeatureReport:
    """Figures by name: of the whole, of the numbers, and of each split of a manifest; and what is wrong."""

    attributes: Mapping[str, str]
    figures: Mapping[str, str]
    numbers: Mapping[str, str]
    coverage: Mapping[str, Mapping[str, str]]
    warnings: Sequence[str]


def inspect_features(
    path: Path | str,
    *,
    timing: Timing | None = None,
    key: str | None = None,
    suffix: str = "",
    transposed: bool = False,
    manifest: Path | str | None = None,
    split: str | None = None,
    progress: Progress = silent,
) -> FeatureReport:
    """Look at every row of a store, or of other people's features with their timing; a block of rows is in memory.

    >>> inspect_features("features.h5", manifest="manifest").coverage["test"]["videos"]
    """
    path = Path(path)
    if (path / RUN).is_file():
        raise InputError("this is a run, and features or a manifest are looked at", file=path,
                         hint=f"activity-bench verify {path}")  # fmt: skip
    features = open_features(path, timing, key=key, suffix=suffix, transposed=transposed)
    asked = None if manifest is None else manifests.load(Path(manifest))
    if asked is not None and split is not None:
        asked.path(split)
    survey, found, warnings = Survey(), {}, []
    for video in progress(features.ids(), len(features.ids()), "looking"):
        try:
            found[video] = features.rows(video)
            survey.add(features, video)
        except InputError as error:
            warnings.append(str(error))
    warnings += [
        f"{count:,} rows are {kind}, first {survey.first[kind]}" for kind, count in survey.odd.items() if count
    ]
    coverage = {}
    if asked is not None:
        for name in [split] if split else asked.splits:
            coverage[name] = _coverage(features, found, asked.samples(name), path, warnings)
    attributes = {name: str(value) for name, value in features.attributes.as_dict().items()}
    return FeatureReport(attributes, _figures(features, found), _numbers(survey), coverage, warnings)


def _figures(features: Any, found: Mapping[str, int]) -> dict[str, str]:
    rows = sorted(found.values())
    size = sum(rows) * features.dim * (2 if features.stored_as == "float16" else 4)
    figures = {
        "videos": f"{len(features.ids()):,}",
        "rows": f"{sum(rows):,}",
        "rows of a video": f"{rows[0]:,} to {rows[-1]:,}, median {median(rows):,g}" if rows else "-",
        "numbers in a row": f"{features.dim:,}",
        "seconds a row": f"{features.timing.step:g}, the first at {features.timing.start_of(0):g}",
        "bytes of numbers": f"{size:,}",
    }
    if len(found) == len(features.ids()):  # of features that cannot all be read there is none
        figures["digest"] = features.digest
    if features.images is not None:
        figures["images"] = f"{len(features.images.frames()):,}"
    return figures


def _numbers(survey: Survey) -> dict[str, str]:
    figures = {"norm of a row": f"{survey.mean:.6g}, from {survey.least:.6g} to {survey.most:.6g}"}
    if not survey.measured:
        figures = {}
    return figures | {f"rows {kind}": f"{count:,}" for kind, count in survey.odd.items()}


def _coverage(
    features: Any, found: Mapping[str, int], samples: Sequence[Sample], path: Path, warnings: list[str]
) -> dict[str, str]:
    """What of a split's videos and image queries there are, and whether their rows reach as far as is asked."""
    searched = {sample.video.id for sample in samples}
    asked_with = {sample.query.video for sample in samples if sample.query.video is not None}
    frames = {(s.query.video, s.query.time) for s in samples if s.query.video is not None and s.query.time is not None}
    there = lengths.spelt(found, sorted(searched | asked_with))
    rows = {video: found[name] for video, name in there.items()}
    judged = fit(features, rows, lengths.of_samples(samples, features.timing), path)
    able = sum(s.video.id in there and (s.query.video is None or s.query.video in there) for s in samples)
    figures = {
        "samples": f"{able:,} of {len(samples):,}",
        "videos": f"{len(searched & there.keys()):,} of {len(searched):,}",
        "videos to ask with": f"{len(asked_with & there.keys()):,} of {len(asked_with):,}" if asked_with else "-",
        "rows too few": f"{len(judged.misfits):,}",
    }
    if frames:
        held = set(features.images.frames()) if features.images is not None else set()
        figures["images to ask with"] = f"{len(frames & held):,} of {len(frames):,}"
    if (odd := judged.off or next(iter(judged.misfits.values()), None)) and str(odd) not in warnings:
        warnings.append(str(odd))
    if absent := sorted((searched | asked_with) - there.keys()):
        warnings.append(f"{len(absent):,} videos are asked for and not there: {', '.join(absent[:3])}"
                        + (", …" if len(absent) > 3 else ""))  # fmt: skip
    return figures

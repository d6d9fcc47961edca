"""inspect: what a manifest holds, and whether anybody else has the same one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from activity_bench.data import manifest as manifests
from activity_bench.data import shipped
from activity_bench.workflow.describe import Histogram, Summary


@dataclass(frozen=True)
class Inspection:
    """Figures and histograms of each split."""

    name: str
    version: str
    digest: str
    standing: str
    figures: Mapping[str, Mapping[str, str]]
    histograms: Mapping[str, list[Histogram]]


def inspect(manifest: Path | str, split: str | None = None) -> Inspection:
    """Read a manifest, verified, and describe it.

    >>> inspect("manifest").figures["test"]["samples"]
    """
    asked = manifests.load(Path(manifest))
    if split is not None:
        asked.path(split)
    summaries = {name: Summary.of(asked.samples(name)) for name in ([split] if split else asked.splits)}
    return Inspection(
        asked.name,
        asked.version,
        asked.digest,
        standing(asked),
        {name: summary.figures() for name, summary in summaries.items()},
        {name: summary.histograms() for name, summary in summaries.items()},
    )


def standing(asked: manifests.Manifest) -> str:
    """Whether the digest is one that the package lists."""
    listed = [row for row in shipped.digests() if row["benchmark"] == asked.name]
    for row in listed:
        if row["digest"] == asked.digest:
            return f"This is the official one: {row['title']}."
    same = [row for row in listed if row["version"] == asked.version]
    if not same:
        return "No official digest is listed for this version."
    samples = sum(split.samples for split in asked.splits.values())
    official = "; ".join(f"{row['title']}: {row['samples']} samples" for row in same)
    return f"Not an official one: other annotations or options. It has {samples} samples; listed are {official}."

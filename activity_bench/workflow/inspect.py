"""inspect: what a manifest holds, and whether anybody else has the same one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from activity_bench.data import manifest as manifests
from activity_bench.data import shipped
from activity_bench.workflow.describe import Histogram, Summary

ARRAYS = (".npy", ".npz", ".csv", ".pt", ".pth", ".pkl")
LOOK = 100  # files of a folder


@dataclass(frozen=True)
class Inspection:
    """Figures and histograms of each split."""

    name: str
    version: str
    digest: str
    standing: str
    figures: Mapping[str, Mapping[str, str]]
    histograms: Mapping[str, list[Histogram]]
    drops: Mapping[str, Any]  # the ledger: unit, seen, kept, dropped, mended, notes


def holds_features(path: Path) -> bool:
    """Whether a path is to be read as features rather than as a manifest: by its name, or by those in a folder."""
    if path.is_dir() and not (path / manifests.MARKER).is_file():
        return path.suffix == ".parts" or any(entry.suffix in ARRAYS for entry in islice(path.iterdir(), LOOK))
    return path.suffix in (".h5", ".hdf5")


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
        asked.provenance.get("drops", {}),
    )


def standing(asked: manifests.Manifest) -> str:
    """Whether the digest is one that the package lists."""
    if asked.partial:
        return "A partial manifest: it has not all samples of the whole one, and is never ranked beside it."
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


def difference(a: Path | str, b: Path | str) -> list[str]:
    """How two manifests differ, a line each; one line where they are the same.

    >>> difference("manifest", "other")
    """
    first, second = manifests.load(Path(a)), manifests.load(Path(b))
    if first.digest == second.digest:
        return [f"the same samples: {first.digest}"]
    found = [
        f"{field}: {getattr(first, field)} | {getattr(second, field)}"
        for field in ("name", "version", "task", "partial")
        if getattr(first, field) != getattr(second, field)
    ]
    options = [dict(asked.provenance.get("options", {})) for asked in (first, second)]
    found += [
        f"option {name}: {options[0].get(name)} | {options[1].get(name)}"
        for name in sorted(options[0].keys() | options[1].keys())
        if options[0].get(name) != options[1].get(name)
    ]
    sources = [{s["sha256"]: s["file"] for s in asked.provenance.get("sources", [])} for asked in (first, second)]
    for mine, other, side in ((sources[0], sources[1], "first"), (sources[1], sources[0], "second")):
        found += [f"source of the {side} alone: {mine[sha256]}" for sha256 in mine.keys() - other.keys()]
    splits = dict.fromkeys([*first.splits, *second.splits])
    return [*found, *(f"{split}: {_compared(first, second, split)}" for split in splits)]


def _compared(first: manifests.Manifest, second: manifests.Manifest, split: str) -> str:
    a, b = (
        {sample.id: sample for sample in asked.samples(split)} if split in asked.splits else {}
        for asked in (first, second)
    )
    common = a.keys() & b.keys()
    changed = [name for name in common if a[name] != b[name]]
    queries = sum(a[name].query != b[name].query for name in changed)
    return (
        f"{len(common) - len(changed):,} samples alike, {len(changed):,} changed ({queries:,} in their query), "
        f"{len(a) - len(common):,} in the first alone, {len(b) - len(common):,} in the second alone"
    )

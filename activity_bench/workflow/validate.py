"""validate: read a manifest or predictions to the end, and say what is there."""

from __future__ import annotations

from pathlib import Path

from activity_bench.data import manifest as manifests
from activity_bench.errors import InputError
from activity_bench.workflow.score import score


def validate(path: Path | str, manifest: Path | str | None = None, split: str | None = None) -> list[str]:
    """What was found sound, a line each; the first fault is raised as an error that locates it.

    >>> validate("manifest")
    """
    path = Path(path)
    if manifest is None and split is None and path.suffix in {".h5", ".hdf5"}:
        return _store(path)
    if manifest is None and split is None and (path.is_dir() or path.name == manifests.MARKER):
        asked = manifests.load(path)
        sound = [f"{name}: {len(asked.samples(name)):,} samples, sha256 as stated" for name in asked.splits]
        return [*sound, f"{asked.name} {asked.version}: {asked.digest}"]
    if manifest is None or split is None:
        raise InputError("predictions are checked against what they answer", file=path,
                         expected="--manifest and --split")  # fmt: skip
    report = score(path, manifest, split, intervals=False)
    return [f"{path.name}: {report.answered:,} of {report.asked:,} samples answered", *report.warnings]


def _store(path: Path) -> list[str]:
    """A feature store, every number of it against the sha256 that was noted when it was written."""
    from activity_bench.data.features import FeatureStore  # h5py: only where it is asked for

    store = FeatureStore(path)
    damaged = store.damaged()
    if damaged:
        raise InputError("numbers that are not those that were written", file=path, field=damaged[0],
                         found=f"{len(damaged)} of {len(store.ids())} videos", hint="Get the store again.")  # fmt: skip
    rows = sum(store.rows(video) for video in store.ids())
    return [f"{len(store.ids()):,} videos, {rows:,} rows of {store.dim}, as they were written", store.digest]

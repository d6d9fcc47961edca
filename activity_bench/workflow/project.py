"""project: principal components of features, fitted on training videos alone, and features brought down to them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py

from activity_bench.data import manifest as manifests
from activity_bench.data.disk import draft_of, move_in
from activity_bench.data.features import FEATURES, FeatureStore, open_features, write_store
from activity_bench.data.features.hdf5 import Room, write_faults
from activity_bench.data.features.images import add_images
from activity_bench.errors import InputError
from activity_bench.features.projection import Account, Projected, check_held_out, fit, read, write
from activity_bench.workflow.run import Progress, silent

NOTES = 1024  # bytes that a note of a video takes, or less


def fit_projection(
    features: Path | str,
    manifest: Path | str,
    out: Path | str,
    dim: int = 500,
    *,
    force: bool = False,
    progress: Progress = silent,
) -> Account:
    """Fit a projection to the videos that only a manifest's training split names, and keep it in a file.

    >>> fit_projection("features.h5", "manifest", "pca.safetensors", 500).explained
    """
    out = _free(out, force)
    asked, opened = manifests.load(Path(manifest)), open_features(Path(features))
    made = fit(opened, asked, dim, watch=lambda videos: progress(videos, len(videos), "fit"))
    write(made, out)
    return made.account


def apply_projection(
    features: Path | str,
    projection: Path | str,
    out: Path | str,
    *,
    manifest: Path | str | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> FeatureStore:
    """Write a store of projected features, with the images and what is noted of each video as they were.

    With a `manifest`, a projection that has seen a video which it holds out is refused.

    >>> apply_projection("features.h5", "pca.safetensors", "features-500.h5").dim
    """
    out, made, source = _free(out, force), read(Path(projection)), open_features(Path(features))
    small = Projected(source, made)
    if manifest is not None:
        check_held_out(made, manifests.load(Path(manifest)))
    draft = draft_of(out)
    try:
        videos = progress(small.ids(), len(small.ids()), "project")
        write_store(draft, small.attributes, ((video, small.read(video)) for video in videos))
        if isinstance(source, FeatureStore):
            with write_faults(out):
                _note(draft, {video: source.attributes_of(video) for video in source.ids()})
                if (images := source.images) is not None:
                    frames = progress(images.frames(), len(images.frames()), "images")
                    add_images(draft, ((frame, images.image(*frame)) for frame in frames), images.made_by)
        move_in(draft, out)
    finally:
        draft.unlink(missing_ok=True)  # gone already if all went well
    return FeatureStore(out)


def _note(draft: Path, notes: Mapping[str, Mapping[str, Any]]) -> None:
    """What was noted of each video when its features were made."""
    with h5py.File(draft, "r+", locking=False) as hdf5:
        room = Room(hdf5)
        room.take(sum(NOTES * (1 + len(own)) for own in notes.values()))
        for video, own in notes.items():
            for name, value in sorted(own.items()):
                hdf5[f"{FEATURES}/{video}"].attrs[name] = value
        room.close()


def _free(out: Path | str, force: bool) -> Path:
    """Where a file is to be written; refused before any work where there is one."""
    out = Path(out)
    if out.exists() and not force:
        raise InputError("the file exists", file=out, hint="Use --force to replace it, or name another.")
    return out

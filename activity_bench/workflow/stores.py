"""export and import of features: other people's folders as a store, and a store as other tools read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activity_bench import catalog
from activity_bench.data import manifest as manifests
from activity_bench.data.disk import atomic_folder
from activity_bench.data.features import Attributes, FeatureStore, Joined, Timing, open_features, write_store
from activity_bench.data.features.fit import Fit, Length, fit
from activity_bench.data.features.joined import LACKING
from activity_bench.data.features.layouts import MADE, MISSING, Layout, page, plain_name
from activity_bench.errors import InputError, unknown
from activity_bench.workflow import lengths
from activity_bench.workflow.run import Progress, silent

KNOWN = tuple(field.name for field in fields(Attributes) if field.type == "str" and field.name != "dtype")


@dataclass(frozen=True)
class Stored:
    """What became of an import: the store, what was left out and why, and what could not be checked."""

    file: Path
    videos: int
    rows: int
    dim: int
    digest: str
    left_out: Mapping[str, str]
    unchecked: int  # videos of which no length is known
    missing: Sequence[str]  # videos that the manifest asks and that are not there
    unasked: int  # videos that the manifest does not name


def timing_of(fps: float | None, window: int | None, stride: int | None, offset: int | None = None) -> Timing | None:
    """A timing of its parts; None where none is given, an error where some are."""
    given = {"--fps": fps, "--window": window, "--stride": stride}
    lacking = [name for name, value in given.items() if value is None]
    if fps is None or window is None or stride is None:
        if len(lacking) < len(given) or offset is not None:
            raise InputError("a timing has three parts", field=lacking[0], expected="--fps, --window and --stride")
        return None
    return Timing(fps, window, stride, offset or 0)


def import_features(
    path: Path | str,
    out: Path | str,
    *,
    timing: Timing | None = None,
    join: Sequence[Path | str] = (),
    keys: Sequence[str] = (),
    suffixes: Sequence[str] = (),
    transposed: bool = False,
    known: Mapping[str, str] | None = None,
    manifest: Path | str | None = None,
    durations: Path | str | None = None,
    frame_counts: Path | str | None = None,
    skip_bad: bool = False,
    force: bool = False,
    progress: Progress = silent,
) -> Stored:
    """Write the features of other hands as a store that says what they are; the same files give the same bytes.

    What lies in several folders (`join`), arrays of an npz (`keys`) or files of a video (`suffixes`) is set side by
    side. With a `manifest` only what it names is taken, under its ids. Videos whose rows do not fit their length are
    refused, or with `skip_bad` left out, as those are that are not finite.

    >>> import_features("i3d", "features.h5", timing=Timing(25, 16, 16), durations="activitynet.json").videos
    """
    path, out = Path(path), Path(out)
    source = _opened([path, *map(Path, join)], timing, keys, suffixes, transposed, skip_bad)
    ids, bounds, missing = _asked(source, manifest)
    bad = {video: f"{video}: {LACKING}" for video in getattr(source, "lacking", ())}
    found = _counted(source, ids, bad, skip_bad, progress)
    exact = lengths.of_files(_path(durations), _path(frame_counts), source.timing.fps)
    exact = {video: exact[name] for video, name in lengths.spelt(exact, found).items()}
    sizes = {**bounds, **exact}
    _refuse(fit(source, found, sizes, path), found, bad, skip_bad)
    attributes = _attributes(source, known or {})

    chosen = sorted(found.keys() - bad.keys())

    def arrays() -> Iterator[tuple[str, NDArray[np.float32]]]:
        for video in progress(chosen, len(chosen), "importing"):
            try:
                array = source.read(ids[video])
            except InputError as error:
                _leave_out(bad, video, error, skip_bad)
                continue
            yield video, array
        if not ids.keys() - bad.keys():
            raise InputError("no video is left", file=path, found=next(iter(bad.values())))

    store = FeatureStore(write_store(out, attributes, arrays(), force))
    rows = sum(store.rows(video) for video in store.ids())
    unchecked = sum(video not in sizes for video in store.ids())
    unasked = len(set(source.ids()) - set(ids.values()))
    return Stored(out, len(store.ids()), rows, store.dim, store.digest, bad, unchecked, missing, unasked)


def _counted(
    source: Any, ids: Mapping[str, str], bad: dict[str, str], skip_bad: bool, progress: Progress
) -> dict[str, int]:
    """The rows of each video: headers are read, numbers are not."""
    found = {}
    for video, name in progress(ids.items(), len(ids), "looking"):
        try:
            found[video] = source.rows(name)
        except InputError as error:
            _leave_out(bad, video, error, skip_bad)
    return found


def _path(path: Path | str | None) -> Path | None:
    return None if path is None else Path(path)


def _opened(
    paths: Sequence[Path], timing: Timing | None, keys: Sequence[str], suffixes: Sequence[str], transposed: bool,
    skip_bad: bool,
) -> Any:  # fmt: skip
    parts = [
        open_features(path, timing, key=key, suffix=suffix, transposed=transposed)
        for path in paths
        for suffix in suffixes or [""]
        for key in (*keys,) or (None,)
    ]
    return parts[0] if len(parts) == 1 else Joined(parts, paths[0], skip_bad)


def _asked(source: Any, manifest: Path | str | None) -> tuple[Mapping[str, str], Mapping[str, Length], list[str]]:
    """The videos to take and how the source spells them, how long they are at least, and those that are missing."""
    if manifest is None:
        return {video: video for video in source.ids()}, {}, []
    asked = manifests.load(Path(manifest))
    samples = [sample for split in asked.splits for sample in asked.samples(split)]
    wanted = {name for sample in samples for name in (sample.video.id, sample.query.video) if name is not None}
    ids = lengths.spelt(source.ids(), sorted(wanted))
    if not ids:
        raise InputError("no video here is named by the manifest", file=source.path, found=source.ids()[0],
                         expected=f"{min(wanted)}, for one")  # fmt: skip
    return ids, lengths.of_samples(samples, source.timing), sorted(wanted - ids.keys())


def _leave_out(bad: dict[str, str], video: str, error: InputError, skip_bad: bool) -> None:
    if not skip_bad:
        raise error
    bad[video] = str(error)


def _refuse(judged: Fit, found: Mapping[str, int], bad: dict[str, str], skip_bad: bool) -> None:
    """Refuse a timing that half of the videos say is wrong, and single videos unless they may be left out."""
    if judged.off is not None:
        raise judged.off
    if judged.misfits and not skip_bad:
        error = next(iter(judged.misfits.values()))
        hint = (f"{len(judged.misfits):,} of {len(found):,} videos do not fit; --skip-bad leaves them out. "
                "If each kept its own frame rate, --frame-counts says so, or --manifest with a grid.")  # fmt: skip
        raise InputError(error.problem, file=error.file, field=error.field, found=error.found, expected=error.expected,
                         hint=hint)  # fmt: skip
    bad.update({video: str(error) for video, error in judged.misfits.items()})


def _attributes(source: Any, known: Mapping[str, Any]) -> Attributes:
    """What is known of the features, by their files and by whoever imports them; what is not is `unknown`."""
    for name in known:
        if name not in KNOWN:
            raise unknown("attribute", name, KNOWN, field="--set")
    made: Attributes = source.attributes
    return replace(made, dtype=source.stored_as, **known)


# ---- export ---------------------------------------------------------------------------------------------------------


def export_features(
    features: Path | str,
    to: str,
    out: Path | str,
    *,
    manifest: Path | str | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> list[str]:
    """Write a store as a folder that other tools read; the videos of `manifest` that it lacks, which are also listed
    in missing_files.txt where a layout has that. An id that cannot name a file on every system is refused.

    >>> export_features("features.h5", "opentad-features", "npy")
    """
    layout: Layout = catalog.load("layout", catalog.LAYOUTS, to)
    store = open_features(Path(features))
    names = {video: plain_name(video) for video in store.ids()}
    missing: list[str] = []
    if manifest is not None:
        asked = manifests.load(Path(manifest))
        samples = (sample for split in asked.splits for sample in asked.samples(split))
        wanted = {name for sample in samples for name in (sample.video.id, sample.query.video) if name is not None}
        missing = [plain_name(video) for video in sorted(wanted - lengths.spelt(names, wanted).keys())]
    with atomic_folder(Path(out), force=force, marker=MADE, ours=(MADE, MISSING, f"*{layout.suffix}")) as draft:
        for video, name in progress(names.items(), len(names), "exporting"):
            (draft / (name + layout.suffix)).write_bytes(layout.encode(_as_stored(store, video)))
        (draft / MADE).write_bytes(page(store.attributes, store.digest))
        if MISSING in layout.others:
            (draft / MISSING).write_text("".join(f"{video}\n" for video in missing), encoding="utf-8")
    return missing


def _as_stored(store: Any, video: str) -> NDArray[Any]:
    """A video's numbers in the type that they have in the store, so that nothing grows."""
    return np.ascontiguousarray(store.read(video), np.dtype(store.attributes.dtype).newbyteorder("<"))

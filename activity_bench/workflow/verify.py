"""pack and verify: a store of what there is, and whether files are what was written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from activity_bench.data import canonical, disk
from activity_bench.data import manifest as manifests
from activity_bench.data.features import FeatureStore, add_parts, parts_folder
from activity_bench.data.lock import alone
from activity_bench.errors import InputError, show
from activity_bench.workflow.run import MARKER as RUN
from activity_bench.workflow.run import Progress, silent

REPORT, STATE = "report.json", "state.json"
MAX_PAGE = 1 << 28


@dataclass(frozen=True)
class Verified:
    """What was found as it was written, a line each, and what was not."""

    sound: tuple[str, ...]
    faults: tuple[str, ...]


def pack_features(file: Path | str) -> FeatureStore:
    """Make FILE of FILE.parts/ and what it holds already, though the job did not end; refused while one runs there.

    >>> len(pack_features("features.h5").ids())
    """
    file = Path(file)
    if file.suffix == ".parts":
        raise InputError("name the file, not the folder of its parts", file=file, expected=str(file.with_suffix("")))
    folder = parts_folder(file)
    with alone(folder, "extraction") if folder.is_dir() else nullcontext():
        return FeatureStore(add_parts(file))


def verify(path: Path | str, *, progress: Progress = silent) -> Verified:
    """Compare a store, a manifest or a run with the sums that were noted when it was written. Every fault is named.

    >>> verify("features.h5").faults
    ()
    """
    path = Path(path)
    if path.name in (manifests.MARKER, RUN):
        path = path.parent
    if (path / manifests.MARKER).is_file():
        return _gathered(_manifest(path))
    if (path / RUN).is_file():
        return _gathered(_run(path))
    if path.is_dir():
        raise InputError("nothing here has sums to verify", file=path,
                         expected=f"a feature store, or a folder with {manifests.MARKER} or {RUN}")  # fmt: skip
    return _gathered(_store(path, progress))


Found = Iterator[tuple[bool, str]]


def _gathered(found: Found) -> Verified:
    lines = list(found)
    return Verified(tuple(text for sound, text in lines if sound), tuple(text for sound, text in lines if not sound))


def _store(path: Path, progress: Progress) -> Found:
    """Attributes and index, by opening it; each video's rows; strangers; images."""
    store = FeatureStore(path)
    sums, whole, unnoted = store.sums(), 0, 0
    for video in progress(store.ids(), len(sums), "verifying"):
        try:
            if store.is_sound(video):
                whole, unnoted = whole + 1, unnoted + (not sums[video])
            else:
                yield False, f"{show(video)}: not the numbers that were written"
        except InputError as error:
            yield False, str(error)
    for name in store.strangers():
        yield False, f"{show(name)}: in the file, and in no index"
    rows = sum(store.rows(video) for video in store.ids())
    yield True, f"{whole:,} of {len(sums):,} videos, {rows:,} rows of {store.dim}"
    if unnoted:
        yield False, f"{unnoted:,} videos have no sum: another tool wrote this file"
    if store.images is not None:
        damaged: list[str] = []
        broken = _tried(lambda: damaged.extend(store.images.damaged()))  # type: ignore[union-attr]
        faults = [broken] if broken else [f"{show(name)}: not the numbers that were written" for name in damaged]
        yield from ((False, text) for text in faults)
        yield not faults, f"{len(store.images.frames()) - len(damaged):,} of {len(store.images.frames()):,} images"
    yield True, store.digest


def _manifest(folder: Path) -> Found:
    """The seal, the digest, each split's file, and splits that are none of its."""
    asked = manifests.load(folder)
    for split in asked.splits:
        sound = _tried(lambda split=split: asked.verify(split))  # type: ignore[misc]
        yield not sound, sound or f"{asked.splits[split].file}: {asked.splits[split].samples:,} samples"
    ours = [info.file for info in asked.splits.values()]
    for path in sorted(folder.glob("*.jsonl")):  # a split that somebody might take for one of it
        if path.name not in ours:
            yield False, f"{show(path.name)}: not a file of this manifest"
    yield True, f"{asked.name} {asked.version}: {asked.digest}"


class _Named(msgspec.Struct):
    file: str
    sha256: str


class _Digest(msgspec.Struct):
    digest: str


class _Report(msgspec.Struct):
    predictions: _Named
    manifest: _Digest
    rows: dict[str, str] = {}


class _State(msgspec.Struct):
    tensors: str
    sha256: str


class _Page(msgspec.Struct):
    manifest: _Digest
    status: str = "done"


def _run(folder: Path) -> Found:
    """Predictions and rows against the report that was made of them, a checkpoint against its state."""
    page: _Page = _read(folder / RUN, _Page)
    sums: list[tuple[str, str, str]] = []
    if (folder / REPORT).is_file():
        report: _Report = _read(folder / REPORT, _Report)
        sums.append((report.predictions.file, report.predictions.sha256, "as it was scored"))
        if {"file", "sha256"} <= report.rows.keys():
            sums.append((report.rows["file"], report.rows["sha256"], "as it was scored"))
        if report.manifest.digest != page.manifest.digest:
            yield False, f"{REPORT}: of another manifest than {RUN}: {report.manifest.digest}"
    if (folder / STATE).is_file():
        state: _State = _read(folder / STATE, _State)
        sums.append((state.tensors, state.sha256, "as it was saved"))
    for file, expected, told in sums:
        name = Path(file).name
        wrong = _tried(lambda name=name, expected=expected: _same(folder / name, expected))  # type: ignore[misc]
        yield not wrong, wrong or f"{name}: {told}"
    if page.status != "done":
        yield False, f"{RUN}: this training is not done; its status is {show(page.status)}"
    if not sums:
        yield False, f"{RUN}: nothing in this run has a sum"


def _read(path: Path, type_: Any) -> Any:
    return canonical.read_page(disk.read_bytes(path, MAX_PAGE), path, type_)


def _same(path: Path, expected: str) -> None:
    found, _ = disk.sha256(path)
    if found != expected:
        raise InputError("this file was changed since its sum was noted: its sha256 differs", file=path, found=found,
                         expected=expected)  # fmt: skip


def _tried(check: Callable[[], object]) -> str:
    """The error of a check, or nothing."""
    try:
        check()
    except InputError as error:
        return str(error)
    return ""

"""extract-regions: regions, boxes and whole images for queries that are images, in a job that may be killed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import TIMEOUT_MAX
from typing import Any

from activity_bench.data import manifest as manifests
from activity_bench.data.disk import open_read
from activity_bench.data.features import FeatureStore
from activity_bench.data.features.image_parts import ImageParts, check_made_by
from activity_bench.data.features.images import Frame, frame_name
from activity_bench.data.lock import alone
from activity_bench.errors import InputError, WorkError
from activity_bench.features import ledger, pyav
from activity_bench.features.images import SUFFIXES
from activity_bench.features.ledger import Failure
from activity_bench.workflow.extract import path_of, videos_in
from activity_bench.workflow.run import Progress, installed, silent


@dataclass(frozen=True)
class Described:
    """What came of a job: the store, how many images were asked for, how many it has, what failed for what."""

    file: Path
    asked: int
    done: int
    failed: Mapping[str, int]
    ledger: Path
    notes: tuple[str, ...]


def extract_regions(
    features: Path | str,
    backbone: str = "vgg16-regions",
    *,
    manifest: Path | str | None = None,
    videos: Path | str | None = None,
    images: Sequence[Path | str] = (),
    weights: Path | str | None = None,
    random_weights: bool = False,
    device: str = "cpu",
    limit: float = 600.0,
    retry_failed: bool = False,
    progress: Progress = silent,
    tell: Callable[[str], object] = lambda text: None,
) -> Described:
    """Put the images that a manifest asks with (frames of `videos`), or image files, into a store of features.

    An image file is a video of one frame: its name without the ending, at second 0. What is done stays done, and what
    fails stands in a ledger, as in `extract_features`. `limit` is seconds that a file may take to give a picture.

    >>> extract_regions("features.h5", manifest="manifest", videos="videos", weights="faster_rcnn.pth").done
    """
    if not 0 < limit < TIMEOUT_MAX:
        raise InputError("not a number of seconds", field="--limit", found=limit)
    out, notes = Path(features), list[str]()
    open_read(out).close()
    frames = _wanted(manifest, videos, images, notes)
    store = FeatureStore(out)
    loaded, describe = _network(backbone, weights, random_weights, device)
    made_by = {"backbone": loaded.name, "weights_sha256": loaded.weights_sha256, "layer": loaded.layer,
               "decoder": pyav.NAME, "decoder_version": pyav.version()}  # fmt: skip
    if store.images is not None:
        check_made_by(store.images, made_by, "Use the same options to add to these, or another file.")
    parts = ImageParts(out, made_by)
    with _folder(parts.folder), alone(parts.folder, "extraction of regions"):
        done = parts.done() | set(store.images.frames() if store.images else ())
        book = ledger.ledger_of(out.with_name(out.name + ".images"))
        kept = _names(done)
        failures = {name: line for name, line in ledger.read(book).items() if name not in kept}
        left = {
            frame: path for frame, path in sorted(frames.items())
            if frame not in done and (retry_failed or frame_name(*frame) not in failures)
        }  # fmt: skip
        work = describe(loaded, _grouped(left), not images, parts.write, limit)
        for frame, failure in progress(work, len(left), loaded.name):
            before = failures.pop(frame_name(*frame), None)
            if failure is None:
                done.add(frame)
                continue
            failures[failure.video] = failure = _counted(failure, before)
            ledger.add(book, failure)
            tell(f"{failure.video}: {failure.message}")
        parts.pack()
        ledger.replace(book, failures)
    notes += [f"a broken part was thrown away and made anew: {text}" for text in parts.discarded]
    return _told(out, frames, done, failures, notes)


def _wanted(
    manifest: Path | str | None, videos: Path | str | None, images: Sequence[Path | str], notes: list[str]
) -> dict[Frame, Path]:
    """The frames to describe, and the files that they are in."""
    if (manifest is None) == (not images) or (manifest is None) != (videos is None):
        raise InputError("which images?", expected="--manifest and --videos, or --images")
    return _files(images) if images else _asked(Path(str(manifest)), Path(str(videos)), notes)


def _network(backbone: str, weights: Path | str | None, random_weights: bool, device: str) -> tuple[Any, Any]:
    """The network, and what describes frames with it."""
    if weights is not None:
        open_read(Path(weights)).close()
    with installed("extract-regions"):
        from activity_bench.features.backbones import load_regions
        from activity_bench.features.regions import describe

        return load_regions(backbone, None if weights is None else Path(weights), random_weights, device), describe


def _told(
    out: Path, frames: Mapping[Frame, Path], done: set[Frame], failures: Mapping[str, Failure], notes: list[str]
) -> Described:
    """What came of a job, or an error where nothing did."""
    count, names = len(done.intersection(frames)), _names(frames)
    book = ledger.ledger_of(out.with_name(out.name + ".images"))
    if not count:
        raise WorkError("no image gave regions", file=book, hint="Try again what failed with --retry-failed.")
    failed = Counter(line.kind for name, line in failures.items() if name in names)
    return Described(out, len(frames), count, dict(sorted(failed.items())), book, tuple(notes))


def _asked(manifest: Path, folder: Path, notes: list[str]) -> dict[Frame, Path]:
    """The frames that a manifest asks with, and the video of each; `notes` tells of videos that are not there."""
    opened = manifests.load(manifest)
    queries = [sample.query for split in opened.splits for sample in opened.samples(split)]
    wanted = sorted({(query.video, query.time) for query in queries if query.video and query.time is not None})
    if not wanted:
        raise InputError("this manifest asks with no images", file=manifest)
    paths, told = videos_in(folder, None)
    notes += told
    found: dict[Frame, Path] = {}
    for video, time in wanted:
        if (path := path_of(paths, video)) is not None:
            found[video, time] = path
    if not found:
        raise InputError("no video here is asked with by the manifest", file=folder, found=next(iter(paths)),
                         expected=f"{wanted[0][0]}, for one")  # fmt: skip
    if missing := sorted(set(wanted) - set(found)):
        notes.append(f"{len(missing):,} of {len(wanted):,} images are of videos that are not in {folder}: "
                     f"{frame_name(*missing[0])}, for one")  # fmt: skip
    return found


def _files(given: Sequence[Path | str]) -> dict[Frame, Path]:
    """Image files, and those in folders and below them, as videos of one frame."""
    paths: set[Path] = set()
    for path in map(Path, given):
        inside = path.rglob("*") if path.is_dir() else ()
        found = {one for one in inside if one.suffix.lower() in SUFFIXES and one.name[0] != "." and one.is_file()}
        if path.is_dir() and not found:
            raise InputError("no images in this folder", file=path, field="--images",
                             expected="files that end in " + ", ".join(SUFFIXES))  # fmt: skip
        if not path.is_dir():
            open_read(path).close()
        paths |= found or {path}
    stems = Counter(path.stem for path in paths)
    frames: dict[Frame, Path] = {}
    for path in sorted(paths):
        name = path.stem if stems[path.stem] == 1 else path.name
        if (name, 0.0) in frames:
            raise InputError("two images of one name", file=path, found=str(frames[name, 0.0]),
                             expected="each name once")  # fmt: skip
        frame_name(name, 0.0)  # no name is refused in the middle of the night
        frames[name, 0.0] = path
    return frames


def _grouped(frames: Mapping[Frame, Path]) -> Mapping[Path, Sequence[Frame]]:
    """Frames by the file that they are read from in one pass, ascending."""
    found: defaultdict[Path, list[Frame]] = defaultdict(list)
    for frame in sorted(frames, key=lambda frame: frame[1]):
        found[frames[frame]].append(frame)
    return found


def _counted(failure: Failure, before: Failure | None) -> Failure:
    return failure if before is None else replace(failure, attempts=before.attempts + failure.attempts)


def _names(frames: Iterable[Frame]) -> set[str]:
    return {frame_name(*frame) for frame in frames}


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """The folder of the parts, which does not stay if it is left empty."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with suppress(OSError):
            folder.rmdir()

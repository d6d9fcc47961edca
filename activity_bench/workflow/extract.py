"""extract-features: the features of many videos, made by workers that may die, in a job that may be killed."""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

from activity_bench.data import manifest as manifests
from activity_bench.data.disk import open_read
from activity_bench.data.features import parts_folder
from activity_bench.data.features.parts import part_name
from activity_bench.data.features.words import DTYPES
from activity_bench.data.lock import alone
from activity_bench.errors import InputError, WorkError, unknown
from activity_bench.features.cluster import ray_crew
from activity_bench.features.crew import Crew, Limits, local
from activity_bench.features.decode import DECODERS
from activity_bench.features.jobs import Job
from activity_bench.features.ledger import ledger_of
from activity_bench.features.units import PRESETS
from activity_bench.features.worker import Task
from activity_bench.workflow.run import Progress, silent

Engine = Callable[[Task, int | None, Limits], AbstractContextManager[Crew]]
ENGINES: Mapping[str, Engine] = {"local": local, "ray": ray_crew}  # who starts the workers
SUFFIXES = (  # of files that are taken for videos
    ".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts",
    ".vob", ".webm", ".wmv",
)  # fmt: skip


@dataclass(frozen=True)
class Extracted:
    """What came of a job: where the features are, of how many videos, and how many failed for what."""

    file: Path
    packed: bool  # else the parts wait for other shards
    videos: int
    done: int
    failed: Mapping[str, int]
    ledger: Path
    notes: tuple[str, ...]


class Making(TypedDict, total=False):
    """What may be said of how rows are made; the defaults are `Task`'s."""

    weights: Path | str | None
    random_weights: bool
    projection: Path | str | None
    decoder: str
    units: str | None
    fps: float | None
    window: int | None
    stride: int | None
    own_rate: bool
    no_crop: bool
    dtype: str
    device: str
    batch: int
    bf16: bool
    compile: bool
    one_network: bool | None  # None: on a GPU of this machine


def extract_features(
    videos: Path | str,
    backbone: str,
    out: Path | str,
    *,
    manifest: Path | str | None = None,
    workers: int | None = None,
    engine: str = "local",
    limit: float = 3600.0,
    memory: int = 4096,
    retry_failed: bool = False,
    shard: str | None = None,
    progress: Progress = silent,
    tell: Callable[[str], object] = lambda text: None,
    **making: Unpack[Making],
) -> Extracted:
    """Features of the videos in a folder (those that `manifest` names), in one file; `tell` hears of each failure.

    What is done stays done: the same call again does what is left. Failures stand in the ledger, and are tried again
    with `retry_failed`. `limit` is seconds a video, `memory` megabytes a worker.

    >>> extract_features("videos", "c3d-fc6", "features.h5", weights="c3d.pth").done
    """
    out = Path(out)
    _check_numbers(workers=workers, limit=limit, memory=memory)
    _check_name("engine", engine, ENGINES)
    part = None if shard is None else _shard(shard)
    task = _task(out, backbone, engine, making)
    chosen, notes = videos_in(Path(videos), None if manifest is None else Path(manifest))
    if part is not None:
        chosen = {video: path for video, path in chosen.items() if _hash(video) % part[1] == part[0]}
    with _folder(out) as folder, nullcontext() if part else alone(folder, "extraction"):
        with ENGINES[engine](task, workers, Limits(limit, memory << 20)) as crew:
            job = Job(out, crew, chosen, retry_failed)
            for outcome in progress(job.run(), len(job.left), backbone):
                if outcome.failure:
                    tell(f"{outcome.video}: {outcome.failure.message}")
        if part is None:
            job.finish()
    return _told(out, job, chosen, part is None, notes)


def _task(out: Path, backbone: str, engine: str, making: Making) -> Task:
    """What workers are told; what can be known to be wrong is refused before there are any."""
    for name in making:
        if name not in Making.__annotations__:
            raise unknown("option", name, Making.__annotations__)
    given: dict[str, Any] = {name: str(value) if isinstance(value, Path) else value for name, value in making.items()}
    if given.get("one_network") is None:
        given["one_network"] = engine == "local" and given.get("device", "cpu") != "cpu" and hasattr(socket, "send_fds")
    task = Task(str(out), backbone, **given)
    _check_numbers(fps=task.fps, window=task.window, stride=task.stride, batch=task.batch)
    for name, table in {"decoder": DECODERS, "dtype": DTYPES, "units": PRESETS}.items():
        _check_name(name, getattr(task, name), table)
    if task.one_network and engine != "local":
        raise InputError("workers of one machine share a network", field="--one-network", found=engine,
                         expected="--engine local")  # fmt: skip
    if (task.weights is None) != task.random_weights:
        raise InputError(
            "features want weights", field="--weights",
            expected="either --weights FILE, or --random-weights to try a pipeline",
        )  # fmt: skip
    for file in (task.weights, task.projection):
        if file is not None:
            open_read(Path(file)).close()
    return task


def _check_name(name: str, value: str | None, table: Iterable[str]) -> None:
    if value is not None and value not in table:
        raise unknown(name, value, table, field=f"--{name}")


def _told(out: Path, job: Job, chosen: Mapping[str, Path], packed: bool, notes: list[str]) -> Extracted:
    """What came of a job, or an error where nothing did."""
    done, ledger = sum(video in job.done for video in chosen), ledger_of(out)
    if chosen and not done:
        raise WorkError("no video gave features", file=ledger, hint="Try again what failed with --retry-failed.")
    failed = Counter(failure.kind for video, failure in job.failures.items() if video in chosen)
    if job.changed:
        some = ", ".join(job.changed[:3]) + (", …" if len(job.changed) > 3 else "")
        notes.append(f"files of another size than when their features were made, which were made anew: {some}")
    notes += [f"a broken part was thrown away and made anew: {text}" for text in job.discarded]
    return Extracted(out, packed, len(chosen), done, dict(sorted(failed.items())), ledger, tuple(notes))


def _check_numbers(**given: float | None) -> None:
    for name, value in given.items():
        if value is not None and not 0 < value < float("inf"):
            raise InputError("not a number above 0", field=f"--{name}", found=value)


def _shard(text: str) -> tuple[int, int]:
    """`2/8` as (1, 8)."""
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise InputError("not a shard", field="--shard", found=text, expected="1/8 to 8/8, for the first of eight")
    return int(found[1]) - 1, int(found[2])


def _hash(video: str) -> int:
    """A video's number among the shards: by its id, so that a new video moves no other."""
    return int(part_name(video)[:8], 16)


def videos_in(folder: Path, manifest: Path | None) -> tuple[dict[str, Path], list[str]]:
    """The videos to do, by the name that their features will have."""
    paths, notes = _listed(folder)
    if manifest is None:
        for name in paths:
            part_name(name)  # no id is refused in the middle of the night
        return paths, notes
    wanted = _named(manifest)
    found = {
        video: path for video in wanted
        if (path := path_of(paths, video))
    }  # fmt: skip
    if not found:
        raise InputError("no video here is named by the manifest", file=folder, found=next(iter(paths)),
                         expected=f"{wanted[0]}, for one")  # fmt: skip
    if missing := [video for video in wanted if video not in found]:
        some = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        notes.append(f"{len(missing):,} of {len(wanted):,} videos of the manifest are not in {folder}: {some}")
    return found, notes


def path_of(paths: Mapping[str, Path], video: str) -> Path | None:
    """The file of a video, whose name may have a `v_` more or less."""
    return paths.get(video) or paths.get(f"v_{video}") or paths.get(video.removeprefix("v_"))


def _listed(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """The videos in a folder and below it, by their stem; by their whole name where two have one stem."""
    if not folder.is_dir():
        raise InputError("no such folder", file=folder, field="--videos")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")
    paths = [path for path in files if path.suffix.lower() in SUFFIXES]
    if not paths:
        raise InputError("no videos in this folder", file=folder, field="--videos",
                         expected="files that end in " + ", ".join(sorted(SUFFIXES)))  # fmt: skip
    notes = (
        [f"{len(files) - len(paths):,} files have no video's ending: not looked at"] if len(files) > len(paths) else []
    )
    stems = Counter(path.stem for path in paths)
    found: dict[str, Path] = {}
    for path in paths:
        name = path.stem if stems[path.stem] == 1 else path.name
        if name in found:
            raise InputError("two videos of one name", file=path, found=str(found[name]), expected="each name once")
        found[name] = path
    if shared := [stem for stem, count in stems.items() if count > 1]:
        notes.append(f"several files are called {shared[0]}: their features have the whole name")
    return found, notes


def _named(manifest: Path) -> Sequence[str]:
    """Every video that a manifest names: those that are searched, and those that are asked with."""
    opened = manifests.load(manifest)
    names: set[str] = set()
    for split in opened.splits:
        for sample in opened.samples(split):
            names.add(sample.video.id)
            if (asked := getattr(sample.query, "video", None)) is not None:
                names.add(asked)
    return sorted(names)


@contextmanager
def _folder(out: Path) -> Iterator[Path]:
    """The folder of the parts, which does not stay if it is left empty."""
    folder = parts_folder(out)
    if out.is_dir():
        raise InputError("this is a folder, and a file is to be written here", file=out)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()

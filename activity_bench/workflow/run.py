"""run-baseline: a method fitted where it learns, asked every question of a split, and scored."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from activity_bench import __version__, catalog
from activity_bench.data import manifest as manifests
from activity_bench.data import predictions as predicted
from activity_bench.data.disk import atomic_folder
from activity_bench.data.reports import Report, now, write_page
from activity_bench.errors import InputError
from activity_bench.types import Method, Sample
from activity_bench.workflow import options as option_table
from activity_bench.workflow.options import check_seed
from activity_bench.workflow.score import DEFAULT_PROTOCOL, score

if TYPE_CHECKING:
    from activity_bench.data.features import Provider

MARKER = "run.json"
OURS = ("run.json", "report.json", "predictions.jsonl")
Progress = Callable[[Iterable[Any], int, str], Iterable[Any]]


def silent(items: Iterable[Any], total: int, text: str) -> Iterable[Any]:
    """No progress is shown."""
    return items


@dataclass(frozen=True)
class Run:
    """A finished run: what was fitted, and its report (None where nothing scores this kind of manifest)."""

    folder: Path
    fitted: Mapping[str, Any]
    report: Report | None
    used_features: bool


def run_method(
    name: str,
    manifest: Path | str,
    split: str,
    out: Path | str,
    *,
    features: Path | str | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> Run:
    """Run a method of the catalog on a split; predictions, report and run.json appear in `out` together.

    >>> run_method("statistical-prior", "manifest", "test", "run").fitted["start"]
    """
    method_class: type[Method] = catalog.load("method", catalog.METHODS, name)
    check_seed(seed)
    chosen: Any = option_table.make(method_class.options_class, options or {}, name)
    asked = manifests.load(Path(manifest))
    if asked.task not in method_class.tasks:
        raise InputError(f"{name} does not answer {asked.task} manifests", file=asked.folder, field="task",
                         found=asked.task, expected=" or ".join(sorted(method_class.tasks)))  # fmt: skip
    asked.path(split)  # a wrong split is named before any work
    provider = _features(name, method_class, features)
    method = method_class(chosen, seed, provider)
    described = {"name": name, "options": asdict(chosen), "seed": seed, "features": provider and provider.digest}
    header = {"method": described, "manifest": {"name": asked.name, "split": split, "digest": asked.digest}}
    with atomic_folder(Path(out), force=force, marker=MARKER, ours=OURS) as draft:
        fitted = method.fit(*(_learnable(asked, part) for part in ("train", "val")))
        samples = asked.samples(split)
        questions = _shown(samples, method_class.sees_answers)
        watched = progress(questions, len(samples), f"{name} on {split}")
        with (draft / "predictions.jsonl").open("wb") as stream:
            predicted.write(stream, method.predict(watched), header)
        report = None
        if asked.task in DEFAULT_PROTOCOL:
            report = score(draft / "predictions.jsonl", asked.folder, split, seed=seed)
            write_page(draft / "report.json", report)
        write_page(draft / MARKER, _record(asked, split, described, fitted))
    return Run(Path(out), fitted, report, provider is not None)


def _features(name: str, method_class: type[Method], path: Path | str | None) -> Provider | None:
    """The features that a method needs. A file that it does not need is opened all the same, so that a wrong one is
    named, and is not handed on, so that no run claims to have used it."""
    if path is None and method_class.needs_features:
        raise InputError(f"{name} needs features", field="--features", expected="a feature store",
                         hint="activity-bench simulate features makes a simulated one.")  # fmt: skip
    if path is None:
        return None
    from activity_bench.data.features import open_features  # h5py: only where it is asked for

    opened = open_features(Path(path))
    return opened if method_class.needs_features else None


def _learnable(asked: manifests.Manifest, part: str) -> Sequence[Sample]:
    """The samples of a split that a method may learn from."""
    return asked.samples(part) if part in asked.splits else ()


def _shown(samples: Sequence[Sample], with_answers: bool) -> Iterator[Sample]:
    return (sample if with_answers else sample.question() for sample in samples)


def _record(
    asked: manifests.Manifest, split: str, described: Mapping[str, Any], fitted: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "format": 1,
        "method": described,
        "manifest": {"name": asked.name, "version": asked.version, "split": split, "digest": asked.digest},
        "fitted": fitted,
        "versions": {"activity-bench": __version__, "python": platform.python_version(), "numpy": np.__version__},
        "created": now(),
    }

"""run-baseline: a method fitted where it learns, asked every question of a split, and scored."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from activity_bench import __version__, catalog
from activity_bench.data import manifest as manifests
from activity_bench.data import predictions as predicted
from activity_bench.data.disk import atomic_folder
from activity_bench.data.reports import Report, now, write_page
from activity_bench.errors import InputError, unknown
from activity_bench.types import Method, Sample
from activity_bench.workflow import options as option_table
from activity_bench.workflow.options import check_seed
from activity_bench.workflow.score import score

if TYPE_CHECKING:
    from activity_bench.data.features import Provider
    from activity_bench.training.options import TrainOptions
    from activity_bench.training.watch import Watch

MARKER = "run.json"
OURS = ("run.json", "report.json", "report.rows.npz", "predictions.jsonl")
Progress = Callable[[Iterable[Any], int, str], Iterable[Any]]


def silent(items: Iterable[Any], total: int, text: str) -> Iterable[Any]:
    """No progress is shown."""
    return items


@dataclass(frozen=True)
class Run:
    """A finished run: what was fitted, and its report."""

    folder: Path
    fitted: Mapping[str, Any]
    report: Report
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
    select_on: str = "val",
    limit: int | None = None,
    force: bool = False,
    progress: Progress = silent,
    watch: Watch | None = None,
) -> Run:
    """Run a method of the catalog on a split; predictions, report and run.json appear in `out` together.

    A method that is trained is fitted in memory; `train` and `predict` keep its weights. `select_on` is where such a
    method looks for its best weights: whoever names test has it said in the report. `limit` asks the first questions
    alone, to see whether all works: the report is partial, and has no rank.

    >>> run_method("statistical-prior", "manifest", "test", "run").fitted["start"]
    """
    ready = prepare(name, manifest, split, features, seed, options or {}, select_on, limit)
    method, asked, training = ready.method, ready.asked, ready.training
    header = {"method": ready.described, "manifest": {"name": asked.name, "split": split, "digest": asked.digest}}
    with atomic_folder(Path(out), force=force, marker=MARKER, ours=OURS) as draft:
        train, val = learnable(asked, "train"), learnable(asked, select_on)
        fitted = method.fit(train, val, watch=watch) if training else method.fit(train, val)
        questions = shown(ready.samples, method.sees_answers)
        watched = progress(questions, len(ready.samples), f"{name} on {split}")
        with (draft / "predictions.jsonl").open("wb") as stream:
            predicted.write(stream, method.predict(watched), header)
        report = score(draft / "predictions.jsonl", asked.folder, split, seed=seed, json=draft / "report.json",
                       limit=limit)  # fmt: skip
        about = {"name": asked.name, "version": asked.version, "split": split, "digest": asked.digest}
        write_page(draft / MARKER, record(method, ready.described, about) | {"fitted": fitted})
    return Run(Path(out), fitted, report, method.features is not None)


@dataclass(frozen=True)
class Ready:
    """A method before its first step, looked at, and what it is to be asked."""

    method: Any
    training: TrainOptions | None
    asked: manifests.Manifest
    samples: Sequence[Sample]
    described: dict[str, Any]


def prepare(
    name: str, manifest: Path | str, split: str, features: Path | str | None, seed: int, options: Mapping[str, Any],
    select_on: str, limit: int | None = None,
) -> Ready:  # fmt: skip
    """All that can be seen to be wrong with a run before it works."""
    method_class = load_method(name)
    check_seed(seed)
    chosen, training = choose(method_class, options, name)
    asked = open_manifest(manifest, name, method_class)
    some = asked.first(limit, split)  # a wrong split is named before any work
    provider = features_for(name, method_class, features, asked.folder)
    method = made(method_class, chosen, seed, provider, training, asked)
    if training and method.processes.count > 1:
        raise InputError("run-baseline runs in one process", hint="Under torchrun: train, then predict.")
    questions = some.samples(split)
    if training:
        method.check_questions(questions)  # what the features lack is named before they are learnt from
    described = describe(name, method, training, select_on)
    return Ready(method, training, asked, questions, described)


# ---- what run-baseline, train and predict share ---------------------------------------------------------------------


def load_method(name: str) -> type[Method]:
    """A method of the catalog, or of another package by its entry point."""
    with installed(name):
        found: type[Method] = catalog.load("method", catalog.METHODS, name)
    return found


@contextmanager
def installed(what: str) -> Iterator[None]:
    """Says what has to be installed for `what`, where an import in the block does not find it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "safetensors"):
            raise
        raise InputError(f"{what} needs {error.name}, which is not installed",
                         hint="pip install 'activity-bench[models]'") from None  # fmt: skip


def choose(method_class: type[Method], given: Mapping[str, Any], name: str) -> tuple[Any, TrainOptions | None]:
    """The method's options and, of a trained one, the engine's, told apart by their names."""
    engine: TrainOptions | None = getattr(method_class, "defaults", None)
    if engine is None:
        return option_table.make(method_class.options_class, given, name), None
    own, ours = ([f.name for f in fields(table)] for table in (method_class.options_class, engine))
    for key in given:
        if key not in (*own, *ours):
            raise unknown(f"option of {name}", key, [*own, *ours])
    of_method = {key: value for key, value in given.items() if key in own}
    of_engine = asdict(engine) | {key: value for key, value in given.items() if key in ours}
    if "steps" in given and "epochs" not in given:
        of_engine["epochs"] = 0  # whoever says how many steps means it
    return option_table.make(method_class.options_class, of_method, name), option_table.make(
        type(engine), of_engine, name
    )


def open_manifest(manifest: Path | str, name: str, method_class: type[Method]) -> manifests.Manifest:
    """A manifest of a kind that the method answers."""
    asked = manifests.load(Path(manifest))
    if asked.task not in method_class.tasks:
        raise InputError(f"{name} does not answer {asked.task} manifests", file=asked.folder, field="task",
                         found=asked.task, expected=" or ".join(sorted(method_class.tasks)))  # fmt: skip
    return asked


def features_for(
    name: str, method_class: type[Method], path: Path | str | None, manifest: Path | str
) -> Provider | None:
    """The features that a method needs. A file that it does not need is opened all the same, so that a wrong one is
    named, and is not handed on, so that no run claims to have used it."""
    if path is None and method_class.needs_features:
        raise InputError(f"{name} needs features", field="--features", expected="a feature store",
                         hint="activity-bench simulate features makes a simulated one.")  # fmt: skip
    if path is None:
        return None
    from activity_bench.workflow.simulate import provider  # h5py: only where it is asked for

    opened = provider(path, manifest)
    return opened if method_class.needs_features else None


def made(
    method_class: type[Method], options: Any, seed: int, features: Provider | None, training: TrainOptions | None,
    asked: manifests.Manifest,
) -> Any:  # fmt: skip
    """The method, with the engine's options where it is trained, and the classes that the manifest asks for."""
    made_with = (options, seed, features) if training is None else (options, seed, features, training)
    method: Any = method_class(*made_with)
    method.vocabularies = asked.vocabularies
    return method


def describe(name: str, method: Method, training: TrainOptions | None, select_on: str) -> dict[str, Any]:
    """What a run says of its method, in run.json, in the header of its predictions, and so in every report."""
    described = {"name": name, "options": asdict(method.options), "seed": method.seed,
                 "features": method.features and method.features.digest}  # fmt: skip
    if package := catalog.package_of(name):
        described["package"] = package
    if training is None:
        return described
    if select_on not in ("val", "test"):
        raise unknown("split to select on", select_on, ["val", "test"], field="--select-on")
    return described | {"training": asdict(training), "selected_on": select_on}


def learnable(asked: manifests.Manifest, part: str) -> Sequence[Sample]:
    """The samples of a split that a method may learn from."""
    return asked.samples(part) if part in asked.splits else ()


def shown(samples: Sequence[Sample], with_answers: bool = False) -> Iterator[Sample]:
    """The questions, one by one."""
    return (sample if with_answers else sample.question() for sample in samples)


def record(method: Any, described: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """What run.json holds of any run."""
    libraries: dict[str, str] = method.libraries() if hasattr(method, "libraries") else {}
    ours = {"activity-bench": __version__, "python": platform.python_version(), "numpy": np.__version__}
    return {"format": 1, "method": described, "manifest": about, "versions": ours | libraries, "created": now()}

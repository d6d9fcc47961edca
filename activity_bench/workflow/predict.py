"""predict: the answers of a finished training to a split of a manifest, and what it looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activity_bench import catalog
from activity_bench.data import predictions as predicted
from activity_bench.data.attention import About, check_size
from activity_bench.data.attention import write as write_attention
from activity_bench.data.disk import atomic
from activity_bench.data.features import Provider
from activity_bench.errors import InputError
from activity_bench.types import Method, Sample
from activity_bench.workflow import run as runs
from activity_bench.workflow.run import Progress, silent
from activity_bench.workflow.train import MARKER, Page, read_run

if TYPE_CHECKING:
    from activity_bench.training.attention import Maps
    from activity_bench.training.method import TrainedMethod

SAME = ("dim", "fps", "window", "stride", "offset")  # of the features: without it the weights mean nothing
LIKE = ("backbone", "weights_sha256", "layer", "projection")


@dataclass(frozen=True)
class Predicted:
    """How many samples were answered, and what is legal and looks wrong all the same."""

    file: Path
    count: int
    notes: tuple[str, ...]
    attended: int = 0  # samples whose attention was written


def predict(
    run: Path | str,
    manifest: Path | str,
    split: str,
    out: Path | str,
    *,
    features: Path | str | None = None,
    weights: str = "best",
    device: str = "auto",
    options: Mapping[str, Any] | None = None,
    attention: Path | str | None = None,
    limit_attention: int | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> Predicted:
    """Answer a split with the weights of a run; `features` are those that it was trained on, unless others are named.
    `options` are those of the method that its training does not read: how long an answer may be, for one. What the
    network looked at goes into the file `attention`, of all samples or of as many as `limit_attention` says.

    >>> predict("run", "manifest", "test", "predictions.jsonl").count
    """
    page = finished(Path(run))
    name = page.method.name
    method_class = runs.load_method(name)
    changed = _changed(method_class, name, options or {})
    chosen, training = runs.choose(method_class, {**page.method.options, **page.method.training, **changed}, name)
    if training is None:
        raise InputError(f"{name} is not trained", file=Path(run) / MARKER, field="method.name")
    asked = runs.open_manifest(manifest, name, method_class)
    samples = asked.samples(split)
    provider = runs.features_for(name, method_class, features or page.features.file, asked.folder)
    assert provider is not None
    notes = [*_compared(Path(run), page, provider, features is not None), *_doubts(page, asked.digest)]
    method: TrainedMethod = runs.made(method_class, chosen, page.method.seed, provider,
                                      replace(training, device=device), asked)  # fmt: skip
    method.check_questions(samples)
    method.load(Path(run) / f"{weights}.safetensors")
    described = runs.describe(name, method, training, page.method.selected_on)
    trained = {"manifest": page.manifest.digest, "features": page.features.digest, "weights": weights}
    header = {"method": described | {"trained": trained},
              "manifest": {"name": asked.name, "split": split, "digest": asked.digest}}  # fmt: skip
    out = Path(out)
    _check_files(out, attention, force)
    maps = _maps(method, name, samples, limit_attention, attention)
    watched = progress(runs.shown(samples), len(samples), f"{name} on {split}")
    with atomic(out) as stream:
        count = predicted.write(stream, method.predict(watched), header)
    if attention is None or maps is None:
        return Predicted(out, count, tuple(notes))
    about = About(name, asked.digest, split, maps.columns, maps.names)
    ids, shapes = [sample.id for sample in samples][: len(maps.shapes)], maps.shapes
    seen = progress(maps, len(ids), f"attention of {name} on {split}")
    write_attention(Path(attention), about, ids, shapes, maps.seconds, seen)
    return Predicted(out, count, tuple(notes), len(ids))


def _check_files(out: Path, attention: Path | str | None, force: bool) -> None:
    """What is written must not be there, and is two files."""
    if attention is not None and Path(attention).resolve() == out.resolve():
        raise InputError("answers and attention need a file each", field="--attention", found=str(attention))
    for file in (out, *([Path(attention)] if attention is not None else [])):
        if file.is_file() and not force:
            raise InputError("the file exists", file=file, hint="Use --force to replace it, or name another.")


def _doubts(page: Page, digest: str) -> Iterator[str]:
    """What makes a score doubtful, though the answers can be made."""
    if digest != page.manifest.digest:
        yield "another manifest than that of the training: what it tests may have been trained on"
    if (package := catalog.package_of(page.method.name) or "") != page.method.package:
        yield f"trained by {page.method.package or 'activity-bench'}, answered by {package or 'activity-bench'}"
    if page.method.selected_on == "test":
        yield "these weights were selected on a test split: their score there is no fair one"


def _maps(
    method: TrainedMethod, name: str, samples: Sequence[Sample], limit: int | None, file: Path | str | None
) -> Maps | None:
    """The attention that is asked for; whatever is wrong with it is said before any answer is made."""
    if file is None:
        if limit is not None:
            raise InputError("a limit of attention, and no file for it", field="--limit-attention", found=limit,
                             expected="--attention FILE with it")  # fmt: skip
        return None
    if limit is not None and limit < 1:
        raise InputError("not a number of samples", field="--limit-attention", found=limit, expected="1 or more")
    from activity_bench.training.attention import Maps, has_attention

    if not has_attention(method):
        raise InputError(f"{name} has no attention that could be kept", field="--attention",
                         expected="a run of cgbm or msa")  # fmt: skip
    maps = Maps(method, [sample.question() for sample in samples[:limit]])
    check_size(maps.shapes, Path(file))
    return maps


def _changed(method_class: type[Method], name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Options that a trained method may be given anew."""
    allowed = sorted(getattr(method_class, "at_prediction", ()))
    for key in given:
        if key not in allowed:
            raise InputError("training has settled this, or there is no such option", field=key, found=given[key],
                             expected=f"of {name}: {', '.join(allowed) or 'none'}")  # fmt: skip
    return given


def finished(run: Path) -> Page:
    """The run.json of a training that came to its end."""
    page = read_run(run)
    if page.status != "done":
        raise InputError(
            "this training did not come to its end", file=run / MARKER, field="status", found=page.status,
            expected="done", hint="train --resume goes on with it; with --set steps=N it ends there.",
        )  # fmt: skip
    return page


def _compared(run: Path, page: Page, features: Provider, named: bool) -> list[str]:
    """Features that the run can read, or an error; what differs besides is noted."""
    own, theirs = features.attributes.as_dict(), page.features
    for field in SAME:
        if own[field] != getattr(theirs, field):
            raise InputError(
                "these features are not what the run was trained on", file=run / MARKER, field=f"features.{field}",
                found=own[field], expected=str(getattr(theirs, field)),
            )  # fmt: skip
    images = features.images.digest if theirs.images and features.images else ""
    if (features.digest, images) == (theirs.digest, theirs.images):
        return []
    if not named:
        rows = features.digest != theirs.digest
        raise InputError(f"the {'features' if rows else 'images'} that the run was trained on have changed",
                         file=theirs.file, found=features.digest if rows else images or "none",
                         expected=theirs.digest if rows else theirs.images or "none",
                         hint="Name features with --features to answer from others.")  # fmt: skip
    differing = [field for field in LIKE if own[field] != getattr(theirs, field)]
    said = f", and their {', '.join(differing)} differ" if differing else ""
    return [f"other features than those of the training{said}"]

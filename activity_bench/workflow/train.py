"""train: a method fitted into a folder, which a killed run goes on from. predict.py asks what it holds."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from activity_bench.data import canonical
from activity_bench.data.disk import atomic_folder, read_bytes
from activity_bench.data.lock import alone
from activity_bench.data.reports import write_page
from activity_bench.errors import BenchError, InputError
from activity_bench.workflow import run as runs
from activity_bench.workflow.options import check_seed

with runs.installed("training"):  # torch is an extra
    from activity_bench.training.checkpoint import OURS, Folder
    from activity_bench.training.method import TrainedMethod
    from activity_bench.training.options import MAY_CHANGE
    from activity_bench.training.watch import Progress, Watch

__all__ = ["Progress", "Trained", "configured", "read_run", "train", "train_several"]

MARKER = runs.MARKER


class _Method(msgspec.Struct):
    name: str
    options: dict[str, Any]
    training: dict[str, Any]
    seed: int
    selected_on: Literal["val", "test"]
    package: str = ""  # and its version, of a plug-in


class _Manifest(msgspec.Struct):
    digest: str


class Features(msgspec.Struct):
    """The features that a run was trained on."""

    file: str
    digest: str
    backbone: str
    weights_sha256: str
    layer: str
    projection: str
    dim: int
    fps: float
    window: int
    stride: int
    offset: int
    images: str = ""  # their digest, where images ask


class Page(msgspec.Struct):
    """What is read of a training's run.json."""

    format: Literal[1]
    status: Literal["training", "done", "failed"]  # whoever finds another than done has half a run
    method: _Method
    manifest: _Manifest
    features: Features


@dataclass(frozen=True)
class Trained:
    """A finished training."""

    folder: Path
    seed: int
    fitted: Mapping[str, Any]
    writes: bool = True  # whether this process is the one that wrote it


def train(
    name: str,
    manifest: Path | str,
    out: Path | str,
    *,
    features: Path | str,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    select_on: str = "val",
    resume: bool = False,
    force: bool = False,
    watch: Watch | None = None,
) -> Trained:
    """Train a model of the catalog; `out` is there from the first step on, and run.json says whether it is done.

    >>> train("cgbm", "manifest", "run", features="features.h5", options={"steps": 1000}).fitted["val_mIoU"]
    """
    method_class = runs.load_method(name)
    check_seed(seed)
    chosen, training = runs.choose(method_class, options or {}, name)
    if training is None:
        raise InputError(f"{name} is not trained", field="model", hint=f"activity-bench run-baseline {name} fits it.")
    asked = runs.open_manifest(manifest, name, method_class)
    provider = runs.features_for(name, method_class, features, asked.folder)
    method: TrainedMethod = runs.made(method_class, chosen, seed, provider, training, asked)
    described = runs.describe(name, method, training, select_on)
    samples, chosen_by = runs.learnable(asked, "train"), runs.learnable(asked, select_on)
    method.check(samples, chosen_by)
    about = {"name": asked.name, "version": asked.version, "digest": asked.digest}
    images = method.provider.images if method.query_kind == "image" else None
    stored = {"file": str(features), "digest": method.provider.digest, **method.provider.attributes.as_dict(),
              "images": images.digest if images else "",
              "images_made_by": dict(getattr(images, "made_by", {}))}  # fmt: skip
    page = runs.record(method, described, about) | {"features": stored, "status": "training"}
    folder = Path(out)
    with method.joined(), ExitStack() as held:
        method.first(lambda: _open(folder, held, page, resume, force))
        try:
            fitted = method.fit(samples, chosen_by, folder=Folder(folder), watch=watch)
        except BenchError:
            _close(method, folder, page | {"status": "failed"})
            raise
        _close(method, folder, page | {"status": "done", "fitted": fitted})
    return Trained(folder, seed, fitted, method.processes.writes)


def _close(method: TrainedMethod, folder: Path, page: Mapping[str, Any]) -> None:
    if method.processes.writes:
        write_page(folder / MARKER, page)


def _open(folder: Path, held: ExitStack, page: Mapping[str, Any], resume: bool, force: bool) -> None:
    """The folder of a new run, or that of one that goes on; no other training works in it until `held` is closed."""
    if folder.is_dir() and (resume or force):
        held.enter_context(alone(folder, "training"))
    if folder.exists() and resume:
        _check_same(folder, read_run(folder), page)
        write_page(folder / MARKER, page)
        return
    if folder.is_dir() and not force:
        raise InputError("the folder exists", file=folder, hint="--resume goes on with it, --force replaces it.")
    with atomic_folder(folder, force=force, marker=MARKER, ours=OURS) as draft:
        write_page(draft / MARKER, page)
    held.enter_context(alone(folder, "training"))  # another folder than the one that it replaced


def read_run(folder: Path) -> Page:
    """The run.json of a training."""
    path = Path(folder) / MARKER
    if not path.exists() and (several := sorted(Path(folder).glob("seed-*/" + MARKER))):
        raise InputError("several runs stand in this folder", file=folder, hint=f"Name one: {several[0].parent}.")
    page: Page = canonical.read_page(read_bytes(path), path, Page)
    return page


def _check_same(folder: Path, old: Page, new: Mapping[str, Any]) -> None:
    """A run goes on as what it is: only how far, and on what machine, may differ."""
    here = canonical.read_page(canonical.page(new), folder / MARKER, Page)
    may_change = MAY_CHANGE[2:] if here.method.training["schedule"] == "cosine" else MAY_CHANGE  # it depends on `steps`
    facts = [
        ("model", old.method.name, here.method.name),
        ("method.package", old.method.package, here.method.package),
        ("seed", old.method.seed, here.method.seed),
        ("--select-on", old.method.selected_on, here.method.selected_on),
        ("manifest.digest", old.manifest.digest, here.manifest.digest),
        ("features.dim", old.features.dim, here.features.dim),
        ("features.digest", old.features.digest, here.features.digest),
        ("features.images", old.features.images, here.features.images),
        *((key, old.method.options.get(key), value) for key, value in here.method.options.items()),
        *((k, old.method.training.get(k), v) for k, v in here.method.training.items() if k not in may_change),
    ]
    for field, was, now in facts:
        if was != now:
            raise InputError("this is another run", file=folder / MARKER, field=field, found=now, expected=f"{was!r}",
                             hint="--resume goes on with the same; name another folder for another run.")  # fmt: skip


def train_several(
    count: int, name: str, manifest: Path | str, out: Path | str, seed: int = 0, **more: Any
) -> list[Trained]:
    """The same training with `count` seeds, one after another, each in its own folder `seed-N` within `out`."""
    if not 1 <= count <= 10_000:
        raise InputError("not a number of runs", field="--runs", found=count, expected="1 to 10,000")
    check_seed(seed)
    check_seed(seed + count - 1)
    return [train(name, manifest, Path(out) / f"seed-{n}", seed=n, **more) for n in range(seed, seed + count)]


def configured(file: Path | str) -> dict[str, Any]:
    """Settings from a file of `key = value` lines (TOML)."""
    path = Path(file)
    try:
        found = tomllib.loads(read_bytes(path, 1 << 20).removeprefix(canonical.BOM).decode())
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, a number of 5,000 digits, 1,000 brackets
        raise InputError(f"not TOML: {error}", file=path, expected="key = value, a line each") from None
    for key, value in found.items():
        if isinstance(value, dict | list):
            raise InputError("not a setting", file=path, field=key, found=value, expected="key = value")
    return found

"""Principal components of features: fitted on a manifest's training videos, kept in a small file, applied anywhere.

The mean and the covariance of all rows are summed up exactly, in float64 and some rows at a time, and the covariance is
decomposed once. It takes D x D numbers however many rows there are, and does not depend on how they come in batches, as
an incremental decomposition does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from activity_bench.data import canonical, disk
from activity_bench.data.features.words import UNKNOWN, Attributes, Described, Images, Provider, Rows
from activity_bench.data.manifest import Manifest
from activity_bench.errors import InputError

FORMAT = 1
BATCH = 2048  # rows that are summed up at a time, or a few more
WIDEST = 1 << 14  # numbers of a row: their covariance is held twice, 2 GiB each at the most
MADE_OF = ("backbone", "weights_sha256", "layer")  # attributes that must be those of the features that it was fitted on
PAGE = "projection"  # where the file keeps its account


@dataclass(frozen=True)
class Account:
    """Where a projection comes from."""

    backbone: str
    weights_sha256: str
    layer: str
    features: str  # the digest of the features that it was fitted on
    manifest: str  # the digest of the manifest whose training videos those were
    videos: tuple[str, ...]  # sorted
    rows: int
    explained: float  # share of the variance that the components keep
    format: int = FORMAT


@dataclass(frozen=True)
class Projection:
    """Rows less their mean, along the directions in which training rows vary most."""

    mean: Rows  # (D,)
    components: Rows  # (dim, D), orthonormal, the first explains the most
    variances: NDArray[np.float64]  # (dim,) along each
    account: Account

    @property
    def dim(self) -> int:
        """Numbers in a projected row."""
        return len(self.components)

    @cached_property
    def name(self) -> str:
        """What a store's attribute `projection` says: PCA, and the sha256 of its numbers."""
        hasher = hashlib.sha256()
        for array in (self.mean, self.components):
            hasher.update(np.ascontiguousarray(array, "<f4").data)
        return f"pca {self.dim} sha256:{hasher.hexdigest()}"

    def __call__(self, rows: Rows) -> Rows:
        """(n, D) -> (n, dim)"""
        return np.asarray((rows - self.mean) @ self.components.T, np.float32)

    def attributes(self, source: Attributes) -> Attributes:
        """Those of projected features; refused where the projection is of other features."""
        for name in MADE_OF:
            if getattr(source, name) != getattr(self.account, name):
                raise InputError("a projection of other features", field=name, found=getattr(source, name),
                                 expected=getattr(self.account, name))  # fmt: skip
        check_raw(source)
        if source.dim != len(self.mean):
            raise InputError("a projection of other features", field="dim", found=source.dim,
                             expected=str(len(self.mean)))  # fmt: skip
        return replace(source, projection=self.name, dim=self.dim)


class Moments:
    """The mean and the scatter of rows that come in any order (Chan, Golub and LeVeque 1983)."""

    def __init__(self, dim: int) -> None:
        self.count = 0
        self.mean = np.zeros(dim)  # (D,)
        self.scatter = np.zeros((dim, dim))  # (D, D), the sum of (x - mean) (x - mean)^T

    def add(self, rows: NDArray[Any]) -> None:
        """(n, D)"""
        own = rows.astype(np.float64)
        own_mean = own.mean(axis=0)  # (D,)
        own -= own_mean
        apart, total = own_mean - self.mean, self.count + len(rows)
        self.scatter += own.T @ own
        self.scatter += np.outer(apart, apart * (self.count * len(rows) / total))
        self.mean += apart * (len(rows) / total)
        self.count = total

    def components(self, dim: int) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Directions (dim, D), variances along them (dim,), and their share of all variance.

        Of a direction and its opposite the one is taken whose greatest number is positive.
        """
        values, vectors = np.linalg.eigh(self.scatter / max(1, self.count - 1))  # ascending
        directions = vectors.T[::-1][:dim]  # (dim, D)
        variances = values[::-1][:dim].clip(min=0)
        greatest = np.abs(directions).argmax(axis=1)  # (dim,)
        directions *= np.sign(directions[np.arange(dim), greatest])[:, None]
        all_variance = float(values.clip(min=0).sum())
        return directions, variances, float(variances.sum()) / all_variance if all_variance else 1.0


def training_videos(manifest: Manifest, features: Provider) -> list[str]:
    """The videos that only the training split asks about or asks with, and of which there are features."""
    if "train" not in manifest.splits:
        raise InputError("this manifest has no training split", file=manifest.folder, field="train")
    found = sorted((_videos(manifest, "train") - _held_out(manifest)) & set(features.ids()))
    if not found:
        raise InputError("there are no features of any training video", file=manifest.folder, field="train")
    return found


def fit(
    features: Provider,
    manifest: Manifest,
    dim: int,
    videos: Sequence[str] | None = None,
    watch: Callable[[Sequence[str]], Iterable[str]] = iter,
) -> Projection:
    """The components of a manifest's training videos, or of some `videos`; any that is not for training is refused.

    `watch` hands on the videos as they are read.
    """
    check_raw(features.attributes)
    chosen = training_videos(manifest, features) if videos is None else sorted(set(videos))
    if videos is not None:
        trained, held_out = _videos(manifest, "train"), _held_out(manifest)
        for video in chosen:
            if video in held_out or video not in trained:
                why = "held out" if video in held_out else "no video of the manifest"
                raise InputError(
                    "a projection may be fitted on training videos only", file=manifest.folder, field=video, found=why
                )
    if features.dim > WIDEST:
        raise InputError("rows too wide for a projection", field="dim", found=features.dim, expected=f"up to {WIDEST}")
    if not 1 <= dim <= features.dim:
        raise InputError("not a number of components", field="dim", found=dim, expected=f"1 to {features.dim}")
    moments = Moments(features.dim)
    for rows in _batches(features, watch(chosen)):
        moments.add(rows)
    if moments.count <= dim:
        raise InputError("too few rows for so many components", field="dim", found=dim,
                         expected=f"fewer than the {moments.count:,} rows of {len(chosen):,} videos")  # fmt: skip
    components, variances, explained = moments.components(dim)
    account = Account(
        **{name: getattr(features.attributes, name) for name in MADE_OF}, features=features.digest,
        manifest=manifest.digest, videos=tuple(chosen), rows=moments.count, explained=explained,
    )  # fmt: skip
    return Projection(moments.mean.astype(np.float32), components.astype(np.float32), variances, account)


class Projected(Described):
    """Features with a projection applied as they are read."""

    def __init__(self, source: Provider, projection: Projection) -> None:
        self._source, self._projection = source, projection
        self.attributes = projection.attributes(source.attributes)

    @property
    def images(self) -> Images | None:
        """The source's: a projection is of the rows alone."""
        return self._source.images

    @cached_property
    def digest(self) -> str:
        """The sha256 of the source's digest and of what these features are."""
        page = canonical.line([self._source.digest, self.attributes.as_dict()])
        return "sha256:" + hashlib.sha256(page).hexdigest()

    def ids(self) -> Sequence[str]:
        """The videos, sorted."""
        return self._source.ids()

    def rows(self, video: str) -> int:
        """How many rows a video has."""
        return self._source.rows(video)

    def read(self, video: str, first: int = 0, last: int | None = None) -> Rows:
        """Rows [first, last) of a video: (rows, dim)."""
        return self._projection(self._source.read(video, first, last))


def write(projection: Projection, path: Path) -> None:
    """Into a .safetensors file; the same projection gives the same bytes."""
    from safetensors.numpy import save

    arrays: dict[str, NDArray[Any]] = {
        "mean": projection.mean,
        "components": projection.components,
        "variances": projection.variances,
    }
    page = canonical.line({**asdict(projection.account), "sha256": _sum(arrays, projection.account)}).decode()
    data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, {PAGE: page})
    with disk.atomic(path) as stream:
        stream.write(data)


def read(path: Path) -> Projection:
    """A projection from its file, whose header must fit its size."""
    import safetensors

    with disk.open_read(path):  # a missing file, a folder: said in the words of every other reader
        pass
    try:
        with safetensors.safe_open(path, "np") as file:
            page, names = (file.metadata() or {}).get(PAGE), set(file.keys())
            if page is None or names != {"mean", "components", "variances"}:
                raise InputError("not a projection", file=path, found=sorted(names)[:5])
            account, noted = msgspec.json.decode(page, type=Account), msgspec.json.decode(page).get("sha256")
            arrays = {name: file.get_tensor(name) for name in names}
    except safetensors.SafetensorError as error:
        raise InputError(f"not a whole file of a projection: {error}", file=path) from None
    except msgspec.MsgspecError as error:
        raise canonical.complaint(error, path) from None
    if noted not in (None, _sum(arrays, account)):  # None: of an older version
        raise InputError("not the projection that was written: its sha256 differs", file=path, expected=noted)
    found = Projection(account=account, **arrays)
    if (
        account.format != FORMAT or found.components.ndim != 2 or found.mean.shape != found.components.shape[1:]
        or found.variances.shape != found.components.shape[:1] or found.components.dtype != np.float32
        or found.mean.dtype != np.float32 or not all(np.isfinite(array).all() for array in arrays.values())
    ):  # fmt: skip
        raise InputError("a damaged projection", file=path, expected=f"format {FORMAT}, finite numbers in float32")
    return found


def _sum(arrays: Mapping[str, NDArray[Any]], account: Account) -> str:
    """Of the account and the numbers, as the file notes it."""
    hasher = hashlib.sha256(canonical.line(asdict(account)))
    for name in sorted(arrays):
        hasher.update(np.ascontiguousarray(arrays[name]).data)
    return hasher.hexdigest()


def check_held_out(projection: Projection, manifest: Manifest) -> None:
    """Refuse a projection that has seen a video which a manifest holds out."""
    if seen := sorted(_held_out(manifest).intersection(projection.account.videos)):
        raise InputError(
            "this projection was fitted on videos that the manifest holds out", file=manifest.folder, field=seen[0],
            found=f"{len(seen):,} of {len(projection.account.videos):,} videos",
        )  # fmt: skip


def check_raw(attributes: Attributes) -> None:
    """A projection is of features as a backbone made them."""
    if attributes.projection not in ("none", UNKNOWN):
        raise InputError("these features are projected already", field="projection", found=attributes.projection)


def _videos(manifest: Manifest, split: str) -> set[str]:
    samples = manifest.samples(split)
    asked_with = {sample.query.video for sample in samples if sample.query.video is not None}
    return {sample.video.id for sample in samples} | asked_with


def _batches(features: Provider, videos: Iterable[str]) -> Iterator[Rows]:
    """Rows of several videos at once: an update costs D x D numbers, however few the rows. (n, D)"""
    waiting: list[Rows] = []
    for video in videos:
        waiting.append(features.read(video))
        if sum(map(len, waiting)) >= BATCH:
            yield np.concatenate(waiting)
            waiting.clear()
    if waiting:
        yield np.concatenate(waiting)


def _held_out(manifest: Manifest) -> set[str]:
    return set().union(*(_videos(manifest, split) for split in manifest.splits if split != "train"))

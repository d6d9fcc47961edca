"""How the features of a trained model were made, and whether what a user has at hand makes such again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from activity_bench.catalog import BACKBONES
from activity_bench.data import disk
from activity_bench.data.features import Attributes
from activity_bench.data.features.words import UNKNOWN
from activity_bench.errors import InputError
from activity_bench.workflow.run import MARKER, installed
from activity_bench.workflow.simulate import SIMULATED

with installed("making features"):  # torch is an extra
    from activity_bench.features import projection
    from activity_bench.features.backbones import FOREIGN
    from activity_bench.features.worker import BF16, OWN_RATE, VERSIONS, Task

NONE = "none"  # the sha256 of no weights, the name of no projection


@dataclass(frozen=True)
class AtHand:
    """What a user has: files of weights and of a projection, a backbone of one's own, a device."""

    weights: Path | None = None
    random_weights: bool = False
    region_weights: Path | None = None
    region_backbone: str = "vgg16-regions"
    backbone: str | None = None  # module:attribute
    projection: Path | None = None
    device: str = "cpu"


@dataclass(frozen=True)
class Recipe:
    """How to make features again."""

    stated: Attributes  # what the model reads
    task: Task
    regions: Mapping[str, str]  # what made the regions of its images, where that is known


def recipe_of(run: Path, has: AtHand) -> Recipe:
    """What run.json says of the features; an error that says what to get, or what of it is wrong."""
    file = run / MARKER
    found = msgspec.json.decode(disk.read_bytes(file))["features"]
    stated = Attributes.read(found, file)
    if stated.backbone == SIMULATED:
        raise InputError("this model was trained on features of the simulated world, and has seen no video", file=file,
                         field="features.backbone", found=stated.backbone, expected="features made of videos",
                         hint="activity-bench extract-features makes such.")  # fmt: skip
    if UNKNOWN in (stated.backbone, stated.weights_sha256) or stated.offset:
        raise InputError("nobody knows how the features of this model were made", file=file, field="features.backbone",
                         found=stated.backbone, expected="features of activity-bench extract-features")  # fmt: skip
    backbone = _backbone(stated, has, file)
    _check_weights(stated, has, file)
    _check_projection(stated, has, file)
    decoder = stated.decoder.removesuffix(OWN_RATE)
    task = Task(
        "", backbone, str(has.weights) if has.weights else None, has.random_weights, has.device,
        decoder=decoder if decoder in VERSIONS else "auto", fps=stated.fps, window=stated.window, stride=stated.stride,
        own_rate=stated.decoder.endswith(OWN_RATE), dtype=stated.dtype,
        projection=str(has.projection) if has.projection else None, bf16=stated.layer.endswith(BF16),
    )  # fmt: skip
    return Recipe(stated, task, found.get("images_made_by", {}))


def _backbone(stated: Attributes, has: AtHand, file: Path) -> str:
    """How the backbone is called: one of the house's by the name that it states, anybody's as module:attribute."""
    if stated.backbone in BACKBONES or stated.backbone.partition(":")[0] in FOREIGN:
        if has.backbone not in (None, stated.backbone):
            raise InputError("the model was trained on features of another backbone", field="--backbone",
                             found=has.backbone, expected=stated.backbone)  # fmt: skip
        return stated.backbone
    if has.backbone is None:
        raise InputError("the model's features are of a backbone that is none of ours", file=file,
                         field="features.backbone", found=stated.backbone,
                         expected="--backbone module:attribute, which makes them")  # fmt: skip
    return has.backbone


def _check_weights(stated: Attributes, has: AtHand, file: Path) -> None:
    """The very weights that made the model's features; random ones where it has seen no others."""
    what = f"{stated.backbone}, layer {stated.layer}"
    if stated.weights_sha256 == NONE:
        if has.weights is not None:
            raise InputError("the model's features were made without trained weights", file=file,
                             field="features.weights_sha256", found=str(has.weights),
                             expected="--random-weights")  # fmt: skip
        if not has.random_weights:
            raise InputError(f"the model's features ({what}) were made without trained weights", file=file,
                             field="features.weights_sha256", found=NONE,
                             hint="--random-weights makes such again, to see that all works.")  # fmt: skip
    elif has.random_weights:
        raise InputError(f"the model was trained on features of real weights ({what})", field="--random-weights",
                         expected=f"--weights FILE, the one with sha256 {stated.weights_sha256}")  # fmt: skip
    elif has.weights is None:
        raise InputError(f"this model needs the weights of its features: {what}", field="--weights",
                         expected=f"the file with sha256 {stated.weights_sha256}",
                         hint="None are shipped; docs/backbones.md says which files are read.")  # fmt: skip
    elif (found := disk.sha256(has.weights)[0]) != stated.weights_sha256:
        raise InputError(f"other weights than those of the model's features ({what})", file=has.weights,
                         field="--weights", found=found, expected=stated.weights_sha256)  # fmt: skip


def _check_projection(stated: Attributes, has: AtHand, file: Path) -> None:
    if stated.projection == NONE:
        if has.projection is not None:
            raise InputError("the model's features are not projected", field="--projection", found=str(has.projection),
                             expected="none")  # fmt: skip
        return
    if has.projection is None:
        raise InputError("the model's features are projected", file=file, field="features.projection",
                         found=stated.projection, expected="--projection FILE, the very one")  # fmt: skip
    found = projection.read(has.projection)
    if found.name != stated.projection:
        raise InputError("another projection than that of the model's features", file=has.projection,
                         field="--projection", found=found.name, expected=stated.projection)  # fmt: skip

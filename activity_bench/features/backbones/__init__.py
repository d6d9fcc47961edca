"""Networks that turn frames into features: by name, with weights from a file, behind two calls that look alike."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from activity_bench import catalog
from activity_bench.catalog import BACKBONES
from activity_bench.errors import InputError, unknown

if TYPE_CHECKING:
    from torch import Tensor

    from activity_bench.data.features.images import Image
    from activity_bench.features.decode import Look

REGIONS = frozenset({"vgg16-regions"})  # those that read single images, by `load_regions`
FOREIGN = ("torchvision", "transformers")  # `torchvision:NAME`: any of theirs, where they are installed


class Described(Protocol):
    """What every backbone says of itself."""

    name: str
    dim: int
    layer: str
    window: int | None  # frames of a clip that it was trained on; None: any, or single frames
    look: Look  # of the frames that it was trained on
    channels: int  # 3, or 2 of optical flow
    weights_sha256: str  # "none": random weights
    network: Any  # the module itself: to compile it, for one


class Backbone(Described, Protocol):
    """Clips to features."""

    def __call__(self, clips: Tensor) -> Tensor:
        """uint8 (B, T, H, W, 3) RGB; (B, T, H, W, 2) flow -> float32 (B, dim)"""
        ...


class RegionBackbone(Described, Protocol):
    """A single frame to its regions."""

    def __call__(self, image: Tensor) -> Image:
        """uint8 (H, W, 3) RGB -> regions (m, dim), boxes (m, 4), the whole (g,)"""
        ...


def load(
    name: str, weights: Path | None = None, random_weights: bool = False, device: str = "cpu", bf16: bool = False
) -> Backbone:
    """A backbone ready to run: with the weights of a file, or with random ones where those are asked for by name."""
    if name in REGIONS:
        raise InputError(f"{name} reads single images", field="backbone", found=name, expected="a backbone for clips")
    backbone: Backbone = _kind(name, weights, random_weights).load(weights, device, bf16)
    return backbone


def load_regions(
    name: str, weights: Path | None = None, random_weights: bool = False, device: str = "cpu", bf16: bool = False
) -> RegionBackbone:
    """A backbone for single images, ready to run: one of the house's, or anybody's as module:attribute."""
    backbone: RegionBackbone
    if ":" in name and name.partition(":")[0] not in FOREIGN:
        backbone = of_your_own(name, weights, random_weights, device)
    elif name not in REGIONS:
        raise unknown("backbone for images", name, REGIONS, field="backbone")
    else:
        backbone = _kind(name, weights, random_weights).load(weights, device, bf16)
    return backbone


def of_your_own(name: str, weights: Path | None, random_weights: bool, device: str) -> Any:
    """What module:attribute makes when it is called with the weights, whether they are random, and the device."""
    module, _, attribute = name.partition(":")
    try:
        make = getattr(import_module(module), attribute)
        return make(weights, random_weights, device)
    except (ImportError, AttributeError, TypeError) as error:
        raise InputError(f"no such backbone: {error}", field="--backbone", found=name,
                         expected="a name, or module:attribute") from None  # fmt: skip


def _kind(name: str, weights: Path | None, random_weights: bool) -> Any:
    """What is known of a backbone; refused where it is not said what its weights are."""
    family, _, rest = name.partition(":")
    is_foreign = family in FOREIGN and rest
    if name not in BACKBONES and not is_foreign:
        raise unknown("backbone", name, [*BACKBONES, *(f"{family}:NAME" for family in FOREIGN)], field="backbone")
    if random_weights and weights is not None:
        raise InputError("both weights and random weights", field="weights", found=str(weights), expected="one of them")
    if not random_weights and weights is None:
        raise InputError("a backbone needs its weights", field="weights", expected="a file",
                         hint="Random weights say nothing of a video; for a trial, ask for them by name.")  # fmt: skip
    if is_foreign:
        from activity_bench.features.backbones.foreign import kind

        return kind(family, rest)
    return catalog.load("backbone", BACKBONES, name)

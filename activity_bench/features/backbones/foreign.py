"""Other people's networks, where their packages are installed: `torchvision:NAME` and `transformers:NAME`.

A feature is what the last fully connected layer reads (torchvision), or the pooled output of the vision tower
(transformers). A network for single images reads every frame of a clip, and the feature is the mean over its frames.

Nothing is downloaded. torchvision's names have an architecture, and `weights` is any file of its state dict.
For transformers NAME is a model type (`dinov2`, `clip`, `videomae`), and `weights` a `model.safetensors` beside which
lie the `config.json` and the `preprocessor_config.json` that it was published with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from activity_bench.data import disk
from activity_bench.errors import InputError, unknown
from activity_bench.features.backbones.kind import Clips, Kind, on_device
from activity_bench.features.decode import Look
from activity_bench.features.weights import fill_at_random

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SIDE = 224  # where nothing is said of the frames


def kind(family: str, name: str) -> Kind:
    """What is known of one of theirs."""
    package = _installed(family)
    return _torchvision(package, name) if family == "torchvision" else _transformers(package, name)


def _installed(package: str) -> Any:
    try:
        return import_module(package)
    except (ImportError, RuntimeError) as error:  # torchvision's of a CPU build of torch: its operators are not there
        raise InputError(f"{package} cannot be imported: {error}", field="backbone",
                         hint=f"pip install {package}, built for torch {torch.__version__}") from None  # fmt: skip


class Frames(nn.Module):
    """Their network between our clips and our features."""

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float], is_video: bool) -> None:
        super().__init__()
        self.network, self.mean, self.std, self.is_video = network, mean, std, is_video

    def prepare(self, clips: Tensor) -> Tensor:
        """uint8 (B, T, H, W, 3) -> float (B, 3, T, H, W), the mean taken away, divided by the deviation"""
        mean, std = (torch.tensor(list(numbers), device=clips.device) for numbers in (self.mean, self.std))
        return ((clips.float() / 255 - mean) / std).permute(0, 4, 1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, T, H, W) -> (B, dim)"""
        if self.is_video:
            return self.features(x)
        batch, _, frames = x.shape[:3]
        found = self.features(x.transpose(1, 2).flatten(0, 1))  # (B T, dim)
        return found.view(batch, frames, -1).mean(1)

    def features(self, x: Tensor) -> Tensor:
        """Of videos (B, 3, T, H, W) or of images (B, 3, H, W) -> (B, dim)"""
        found: Tensor = self.network(x)
        return found


class Towers(Frames):
    """A network of transformers: frames before colours, and an answer with names."""

    has_pooler = True

    def features(self, x: Tensor) -> Tensor:
        """Of videos (B, 3, T, H, W) or of images (B, 3, H, W) -> (B, dim)"""
        answer = self.network(pixel_values=x.transpose(1, 2) if self.is_video else x)
        pooled = getattr(answer, "pooler_output", None) if self.has_pooler else None
        found: Tensor = answer.last_hidden_state.mean(1) if pooled is None else pooled.flatten(1)
        return found


def _torchvision(package: Any, name: str) -> Kind:
    models = package.models
    videos, images = models.list_models(module=models.video), models.list_models(module=models)
    if name not in [*videos, *images]:
        raise unknown("model of torchvision", name, [*videos, *images], field="backbone")
    with torch.device("meta"):
        linear = [(at, m) for at, m in models.get_model(name, weights=None).named_modules() if isinstance(m, nn.Linear)]
    if not linear:
        raise InputError("a network without a fully connected layer at its end", field="backbone", found=name)
    last, layer = linear[-1]
    frames = models.get_model_weights(name).DEFAULT.transforms()

    def network() -> nn.Module:
        with torch.device("cpu"), torch.random.fork_rng(devices=[]):  # it fills tables of places as it is made
            made = models.get_model(name, weights=None)
        made.set_submodule(last, nn.Identity())
        return Frames(made, frames.mean, frames.std, name in videos)

    sides = list(frames.resize_size)  # (shorter,) or (height, width)
    look = Look(sides[0] if len(sides) == 1 else (sides[1], sides[0]), frames.crop_size[0])
    beyond = rf"network\.{re.escape(last)}\..*"
    return Kind(f"torchvision:{name}", f"before {last}", layer.in_features, None, look, network, _inner, beyond)


def _inner(name: str) -> str:
    return f"network.{name}"


@dataclass(frozen=True)
class TransformersKind(Kind):
    """Known in full when the configuration beside its weights has been read."""

    package: Any = None

    def load(self, weights: Path | None, device: str = "cpu", bf16: bool = False) -> Clips:
        """Ready to run."""
        config = self._config(weights)
        config = getattr(config, "vision_config", config)
        processor = {} if weights is None else _page(weights.parent / "preprocessor_config.json")
        mean, std = (
            processor.get(key, plain) for key, plain in zip(("image_mean", "image_std"), IMAGENET, strict=True)
        )
        network, has_pooler = self._network(config, weights)
        window = getattr(config, "num_frames", None)
        towers = Towers(network, mean, std, window is not None)
        towers.has_pooler = has_pooler
        if weights is None:
            fill_at_random(towers.requires_grad_(False))
        dim = getattr(config, "hidden_size", None) or config.hidden_sizes[-1]
        layer = "pooled" if has_pooler else "mean of the last layer"
        kind = replace(self, layer=layer, dim=dim, window=window, look=_look(processor, config))
        sha256 = "none" if weights is None else disk.sha256(weights)[0]
        return Clips(kind, on_device(towers.eval().requires_grad_(False), device), sha256, device, bf16)

    def _network(self, config: Any, weights: Path | None) -> tuple[Any, bool]:
        """Theirs, with the weights that they read themselves: names in their files are not those of their modules."""
        if weights is None:
            with torch.random.fork_rng(devices=[]):
                made = self.package.AutoModel.from_config(config).float()
            return made, True
        try:
            made, report = self.package.AutoModel.from_pretrained(
                weights.parent, config=config, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise InputError(f"not the weights of this network: {error}", file=weights) from None
        missing = sorted(report["missing_keys"])
        for name in missing:
            if not name.startswith("pooler."):  # what was trained with a head of its own has none
                raise InputError("the weights of another network", file=weights, field=name, found="none")
        return made.float(), not missing

    def _config(self, weights: Path | None) -> Any:
        wanted = self.name.partition(":")[2]
        if weights is None:
            return self.package.AutoConfig.for_model(wanted)
        if weights.name != "model.safetensors":
            raise InputError("not the file that transformers reads", file=weights, expected="model.safetensors")
        page = _page(weights.parent / "config.json")
        if page.get("model_type") != wanted:
            raise InputError("the configuration of another network", file=weights.parent / "config.json",
                             field="model_type", found=page.get("model_type"), expected=wanted)  # fmt: skip
        try:
            return self.package.AutoConfig.for_model(**page)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise InputError(f"not a configuration: {error}", file=weights.parent / "config.json") from None


def _transformers(package: Any, name: str) -> Kind:
    if name not in package.CONFIG_MAPPING:
        raise unknown("model type of transformers", name, package.CONFIG_MAPPING.keys(), field="backbone")
    return TransformersKind(f"transformers:{name}", "", 1, None, Look(), nn.Identity, _inner, "", package=package)


def _page(path: Path) -> dict[str, Any]:
    try:
        page = json.loads(disk.read_bytes(path, 1 << 20))
    except ValueError as error:
        raise InputError(f"not JSON: {error}", file=path) from None
    if not isinstance(page, dict):
        raise InputError("not an object", file=path, found=page)
    return page


def _look(processor: dict[str, Any], config: Any) -> Look:
    """The frames that a processor makes: `size` and `crop_size` are a number, or sides by name."""
    side = getattr(config, "image_size", SIDE)
    size, crop = (processor.get(key, side) for key in ("size", "crop_size"))
    if isinstance(size, dict):
        size = size.get("shortest_edge") or (size.get("width"), size.get("height"))
    crop = crop.get("height") if isinstance(crop, dict) else crop
    return Look(size, crop if processor.get("do_center_crop", True) else None)

"""A kind of backbone: the network, the frames that it wants, the names of its weights; and a loaded one for clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from activity_bench.data import disk
from activity_bench.errors import InputError
from activity_bench.features.decode import Look
from activity_bench.features.weights import fill, fill_at_random


@dataclass(frozen=True)
class Kind:
    """What is known of a backbone before its weights are read."""

    name: str
    layer: str
    dim: int
    window: int | None
    look: Look
    network: Callable[[], nn.Module]  # with `prepare`: uint8 frames -> what `forward` takes
    own_name: Callable[[str], str]  # what a weight of others' files is called here
    beyond: str  # a regular expression: weights of layers that come after `layer`
    channels: int = 3  # 2: optical flow

    def load(self, weights: Path | None, device: str = "cpu", bf16: bool = False) -> Clips:
        """Ready to run; random weights where there is no file."""
        network, sha256, _ = self.filled(weights, device)
        return Clips(self, network, sha256, device, bf16)

    def filled(self, weights: Path | None, device: str) -> tuple[nn.Module, str, Mapping[str, Any]]:
        """The network with its weights on its device, their sha256, and what the file says beside them."""
        with torch.device("meta"):
            network = self.network().eval().requires_grad_(False)
        if weights is None:
            sha256, notes = "none", {}
            fill_at_random(network)
        else:
            sha256, notes = disk.sha256(weights)[0], dict(fill(network, weights, self.own_name, self.beyond))
        return on_device(network, device), sha256, notes


def on_device(network: nn.Module, device: str) -> nn.Module:
    """The network where it is to run."""
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:  # torch's word for a device that is not there
        raise InputError("no such device", field="device", found=device, hint=str(error).split("\n")[0]) from None


class Loaded:
    """A network with its weights, and what it says of itself."""

    def __init__(self, kind: Kind, network: Any, weights_sha256: str, device: str, bf16: bool) -> None:
        self.name, self.layer, self.dim = kind.name, kind.layer, kind.dim
        self.window, self.look, self.channels = kind.window, kind.look, kind.channels
        self.network, self.weights_sha256 = network, weights_sha256
        self._device, self._bf16 = torch.device(device), bf16


class Clips(Loaded):
    """A loaded backbone: clips to features."""

    @torch.inference_mode()
    def __call__(self, clips: Tensor) -> Tensor:
        """uint8 (B, T, H, W, channels) -> float32 (B, dim)"""
        if clips.dim() != 5 or clips.shape[-1] != self.channels or clips.dtype != torch.uint8:
            raise InputError(f"{self.name} reads other clips", found=f"{clips.dtype} {tuple(clips.shape)}",
                             expected=f"bytes, (clips, frames, height, width, {self.channels})")  # fmt: skip
        prepared = self.network.prepare(clips.to(self._device))  # (B, channels, T, H, W), or as the network likes it
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            features = self.network(prepared)  # (B, dim)
        return torch.as_tensor(features).float()

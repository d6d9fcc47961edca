"""I3D: Carreira and Zisserman, *Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset*, CVPR 2017.

Inception-v1 with every filter inflated in time (Figure 3), batch normalisation after every convolution. One network
reads colours, another optical flow. 12.3 million parameters before the classifier; a feature has 1,024 numbers. Frames
are made 256 high or wide, whichever is shorter, and cropped to 224 x 224.

What the paper leaves open, and what was chosen:

- Padding is TensorFlow's "SAME": sizes are divided by the stride and rounded up, the odd cell stands at the end.
  Poolings are padded with zeros, too: they follow rectifiers, so a zero is never more than what is there.
- A feature is the mean of the last maps over all places and times. For 16 frames of 224 x 224 that is the released
  average of 2 x 7 x 7; a longer clip's average slides over time, and its mean weighs the ends less.
- Colours and flow are bytes: 0 to 255 stand for -1 to 1, and for flow that is -20 to 20 pixels (a flow of f is the byte
  128 + 6.375 f, rounded), as in the released data.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from activity_bench.features.backbones.kind import Kind
from activity_bench.features.decode import Look

LOOK = Look(size=256, crop=224, fps=None)
FRAMES = 16
EPS = 1e-3  # of the normalisations
# Figure 3, right: outputs of 1 x 1 x 1; of 1 x 1 x 1 and then 3 x 3 x 3, twice; of 1 x 1 x 1 after a pooling.
MIXED = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32), "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64), "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64), "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128), "Mixed_5c": (384, 192, 384, 48, 128, 128),
}  # fmt: skip


def same(x: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    """Zeros around (…, T, H, W), so that every size becomes itself by its stride, rounded up."""
    pads: list[int] = []
    for size, k, s in zip(x.shape[:-4:-1], kernel[::-1], stride[::-1], strict=True):  # W, H, T: the order of F.pad
        needed = max(k - (size % s or s), 0)
        pads += [needed // 2, needed - needed // 2]
    return nn.functional.pad(x, pads) if any(pads) else x


class Unit(nn.Module):
    """A convolution, its normalisation, a rectifier."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(outputs, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, T, H, W) -> (B, outputs, T / stride, H / stride, W / stride), rounded up"""
        x = same(x, self.conv3d.kernel_size, self.conv3d.stride)
        return torch.relu(self.bn(self.conv3d(x)))


class Pool(nn.Module):
    """Max-pooling; it has no weights."""

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, C, T / stride, H / stride, W / stride), rounded up"""
        return nn.functional.max_pool3d(same(x, self.kernel, self.stride), self.kernel, self.stride)


class Mixed(nn.Module):
    """Four branches over the same input, one after the other in the channels."""

    def __init__(self, inputs: int, outputs: Sequence[int]) -> None:
        super().__init__()
        self.b0 = Unit(inputs, outputs[0])
        self.b1a, self.b1b = Unit(inputs, outputs[1]), Unit(outputs[1], outputs[2], 3)
        self.b2a, self.b2b = Unit(inputs, outputs[3]), Unit(outputs[3], outputs[4], 3)
        self.b3a, self.b3b = Pool((3, 3, 3), (1, 1, 1)), Unit(inputs, outputs[5])

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, T, H, W) -> (B, sum of the branches, T, H, W)"""
        return torch.cat((self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))), dim=1)


class I3D(nn.Module):
    """Figure 3, left, up to the average before the classifier."""

    def __init__(self, channels: int = 3, narrow: int = 1) -> None:  # every width is divided by `narrow`
        super().__init__()
        first, second = 64 // narrow, 192 // narrow
        self.Conv3d_1a_7x7 = Unit(channels, first, 7, 2)
        self.Conv3d_2b_1x1 = Unit(first, first)
        self.Conv3d_2c_3x3 = Unit(first, second, 3)
        width = second
        for name, widths in MIXED.items():
            outputs = [number // narrow for number in widths]
            self.add_module(name, Mixed(width, outputs))
            width = outputs[0] + outputs[2] + outputs[4] + outputs[5]
        self.pool_2a = self.pool_3a = Pool((1, 3, 3), (1, 2, 2))
        self.pool_4a, self.pool_5a = Pool((3, 3, 3), (2, 2, 2)), Pool((2, 2, 2), (2, 2, 2))

    def prepare(self, clips: Tensor) -> Tensor:
        """uint8 (B, T, H, W, channels) -> float (B, channels, T, H, W) in [-1, 1]"""
        return (clips.float() * (2 / 255) - 1).permute(0, 4, 1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, T, H, W) -> (B, 1024); the sizes beside the lines are those of 16 x 224 x 224."""
        x = self.pool_2a(self.Conv3d_1a_7x7(x))  # (B, 64, 8, 56, 56)
        x = self.pool_3a(self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x)))  # (B, 192, 8, 28, 28)
        x = self.pool_4a(self._mixed("3", x))  # (B, 480, 4, 14, 14)
        x = self._mixed("4", x)  # (B, 832, 4, 14, 14)
        x = self._mixed("5", self.pool_5a(x))  # (B, 1024, 2, 7, 7)
        return x.mean((2, 3, 4))  # (B, 1024)

    def _mixed(self, group: str, x: Tensor) -> Tensor:
        for name in MIXED:
            if name.startswith(f"Mixed_{group}"):
                x = self.get_submodule(name)(x)
        return x


def own_name(name: str) -> str:
    """The common port's names are used here."""
    return name


RGB = Kind("i3d-rgb", "avg_pool", 1024, FRAMES, LOOK, I3D, own_name, r"logits\..*")
FLOW = Kind("i3d-flow", "avg_pool", 1024, FRAMES, LOOK, lambda: I3D(channels=2), own_name, r"logits\..*", channels=2)

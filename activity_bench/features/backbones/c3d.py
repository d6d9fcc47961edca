"""C3D: Tran, Bourdev, Fergus, Torresani and Paluri, *Learning Spatiotemporal Features with 3D Convolutional Networks*,
ICCV 2015, section 3.

Eight convolutions of 3 x 3 x 3 in five groups, a pooling after each, two fully connected layers of 4,096. A clip is 16
frames, made 128 x 171 and cropped to 112 x 112. 78.0 million parameters up to fc7.

What the paper leaves open, and what was chosen:

- A feature is what comes after the rectifier, as in the released extractor, whose rectifiers work in place.
- The released network reads blue, green, red, as OpenCV hands them out; `prepare` turns them round.
- The released mean is a volume, 16 x 128 x 171, that comes in a file of its own. Here its mean colour is taken away.
- pool5 makes 4 x 4 of 7 x 7. It is padded by a cell on both sides, as in the ports to PyTorch whose weights are read
  here, so its first window starts a cell before the map; Caffe's rounds up, and its last one ends a cell behind it.
"""

from __future__ import annotations

import re
from typing import Literal

import torch
from torch import Tensor, nn

from activity_bench.features.backbones.kind import Kind
from activity_bench.features.decode import Look

SPORTS1M = (90.25, 97.66, 101.41)  # the mean blue, green and red of the training videos
LOOK = Look(size=(171, 128), crop=112, fps=None)
FRAMES, SIDE = 16, 112
# Ports that name a layer by its place in a sequence, and their order.
PLACES = {"features.0": "conv1", "features.3": "conv2", "features.6": "conv3a", "features.8": "conv3b",
          "features.11": "conv4a", "features.13": "conv4b", "features.16": "conv5a", "features.18": "conv5b",
          "classifier.0": "fc6", "classifier.3": "fc7", "classifier.6": "fc8"}  # fmt: skip


class C3D(nn.Module):
    """Figure 3 of the paper, up to `layer`."""

    def __init__(
        self,
        layer: Literal["fc6", "fc7"] = "fc7",
        widths: tuple[int, int, int, int, int] = (64, 128, 256, 512, 512),  # channels of the five groups
        hidden: int = 4096,  # of fc6 and fc7
        frames: int = FRAMES,
        side: int = SIDE,
    ) -> None:
        super().__init__()
        a, b, c, d, e = widths
        self.conv1 = _conv(3, a)
        self.conv2 = _conv(a, b)
        self.conv3a, self.conv3b = _conv(b, c), _conv(c, c)
        self.conv4a, self.conv4b = _conv(c, d), _conv(d, d)
        self.conv5a, self.conv5b = _conv(d, e), _conv(e, e)
        self.pool1 = nn.MaxPool3d((1, 2, 2))  # early pooling would mix frames too soon
        self.pool = nn.MaxPool3d(2)
        self.pool5 = nn.MaxPool3d(2, padding=(0, 1, 1))
        self.fc6 = nn.Linear(e * (frames // 16) * (side // 32 + 1) ** 2, hidden)
        if layer == "fc7":
            self.fc7 = nn.Linear(hidden, hidden)
        self.layer = layer

    def prepare(self, clips: Tensor) -> Tensor:
        """uint8 (B, T, H, W, 3) RGB -> float (B, 3, T, H, W), blue first, less the mean colour"""
        mean = torch.tensor(SPORTS1M, device=clips.device)  # (3,)
        return (clips.flip(-1).float() - mean).permute(0, 4, 1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, T, H, W) -> (B, hidden); T 16, H and W 112 unless the network was made for others."""
        x = self.pool1(self.conv1(x).relu())  # (B, 64, 16, 56, 56)
        x = self.pool(self.conv2(x).relu())  # (B, 128, 8, 28, 28)
        x = self.pool(self.conv3b(self.conv3a(x).relu()).relu())  # (B, 256, 4, 14, 14)
        x = self.pool(self.conv4b(self.conv4a(x).relu()).relu())  # (B, 512, 2, 7, 7)
        x = self.pool5(self.conv5b(self.conv5a(x).relu()).relu())  # (B, 512, 1, 4, 4)
        x = self.fc6(x.flatten(1)).relu()  # (B, 4096)
        return self.fc7(x).relu() if self.layer == "fc7" else x  # (B, 4096)


def _conv(inputs: int, outputs: int) -> nn.Conv3d:
    return nn.Conv3d(inputs, outputs, 3, padding=1)


def own_name(name: str) -> str:
    """`conv1.weight` stands as it is, or as `backbone.conv1a.conv.weight`, or as `features.0.weight`."""
    layer, _, part = name.removeprefix("backbone.").rpartition(".")
    layer = PLACES.get(layer, layer.removesuffix(".conv"))
    return re.sub("^(conv[12])a$", r"\1", layer) + "." + part


FC6 = Kind("c3d-fc6", "fc6", 4096, FRAMES, LOOK, lambda: C3D("fc6"), own_name, r"fc[78]\..*|cls_head\..*")
FC7 = Kind("c3d-fc7", "fc7", 4096, FRAMES, LOOK, lambda: C3D("fc7"), own_name, r"fc8\..*|cls_head\..*")

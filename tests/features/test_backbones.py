"""Backbones against plain twins, the papers' parameter counts, and the frames that they are given."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from activity_bench.errors import InputError
from activity_bench.features import backbones, boxes
from activity_bench.features.backbones import faster_rcnn, foreign, i3d
from activity_bench.features.backbones.c3d import C3D, FC6, FC7, SPORTS1M
from activity_bench.features.backbones.faster_rcnn import DEPTHS, REGIONS, FasterRCNN
from activity_bench.features.backbones.i3d import FLOW, I3D, MIXED, RGB
from activity_bench.features.backbones.kind import Kind
from activity_bench.features.decode import Look
from tests.reference import backbones as twin

pytestmark = pytest.mark.quick

LOOSE = 0.05  # half precision, relative to the greatest number


def small_c3d() -> C3D:
    return C3D("fc7", widths=(2, 3, 4, 3, 2), hidden=5, side=32)


def small_i3d(channels: int = 3) -> I3D:
    return I3D(channels, narrow=16)


def small_rcnn() -> FasterRCNN:
    return FasterRCNN(widths=(2, 3, 4, 4, 3), hidden=5, middle=4)


def drawn(network: nn.Module, spread: float = 1.0) -> Any:
    """The network in float64, every number of it drawn, so that none is forgotten unseen."""
    chance = np.random.default_rng(0)
    network = network.double().eval().requires_grad_(False)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.copy_(torch.tensor(chance.uniform(0.5, 2.0, tensor.shape)))
        elif tensor.is_floating_point():
            fan = max(1, tensor[0].numel()) if tensor.dim() > 1 else 4
            tensor.copy_(torch.tensor(spread * chance.normal(size=tensor.shape) / np.sqrt(fan)))
    return network


def weights_of(network: nn.Module) -> dict[str, Any]:
    return {name: value.double().numpy() for name, value in network.state_dict().items()}


def clip(*shape: int) -> Tensor:
    return torch.tensor(np.random.default_rng(1).normal(size=shape))


def count(kind: Kind) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in kind.network().parameters())


# ---- numbers --------------------------------------------------------------------------------------------------------


def test_c3d_is_the_papers() -> None:
    network, x = drawn(small_c3d(), 1.5), clip(1, 3, 16, 32, 32)
    np.testing.assert_allclose(network(x)[0], twin.c3d(x[0].numpy(), weights_of(network)), atol=1e-9)
    assert (network(x) > 0).any()


@pytest.mark.parametrize("shape", [(3, 8, 33, 20), (2, 5, 32, 32)])  # odd and even: "SAME" pads each otherwise
def test_i3d_is_the_papers(shape: tuple[int, ...]) -> None:
    network, x = drawn(small_i3d(shape[0]), 1.5), clip(1, *shape)
    found = network(x)[0]
    np.testing.assert_allclose(found, twin.i3d(x[0].numpy(), weights_of(network), list(MIXED)), atol=1e-9)
    assert (found > 0).any()


@pytest.mark.parametrize("kind", ["pool", "align"])
def test_faster_rcnn_is_the_papers(kind: str) -> None:
    network, x = drawn(small_rcnn(), 1.5), clip(1, 3, 70, 100)
    network.pool = getattr(boxes, kind)
    regions, found, whole = network(x, scale=0.5, most=20)
    expected = twin.faster_rcnn(
        x[0].numpy(), weights_of(network), DEPTHS, 8.0, 20, take=getattr(twin, f"roi_{kind}")
    )  # fmt: skip
    assert 3 < len(found) <= 20
    for mine, theirs in zip((regions, found, whole), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_anchors_are_the_released_ones() -> None:
    np.testing.assert_array_equal(faster_rcnn.anchors(), twin.ANCHORS)


def test_parameters_are_the_papers() -> None:
    assert round(count(FC7) / 1e6, 1) == 78.0
    assert round(count(RGB) / 1e6, 1) == 12.3
    assert count(RGB) - count(FLOW) == 64 * 7**3  # the first filters read two channels, not three
    assert count(FC7) - count(FC6) == 4096 * 4096 + 4096


def test_channels_of_i3d_are_the_papers() -> None:
    """Figure 3: what each block hands on; 1,024 at the end."""
    outputs = [sum(widths[i] for i in (0, 2, 4, 5)) for widths in MIXED.values()]
    assert outputs == [256, 480, 512, 512, 512, 528, 832, 832, 1024]


# ---- the call -------------------------------------------------------------------------------------------------------


def loaded(make: Callable[[], nn.Module], dim: int, channels: int = 3) -> Any:
    kind = Kind("small", "last", dim, None, FC7.look, make, i3d.own_name, "", channels)
    return kind.load(None)


CLIPS = {
    "c3d": (lambda: loaded(small_c3d, 5), (16, 32, 32, 3)),
    "i3d-rgb": (lambda: loaded(small_i3d, 64), (8, 40, 32, 3)),
    "i3d-flow": (lambda: loaded(lambda: small_i3d(2), 64, 2), (8, 40, 32, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_alone_and_among_others(name: str) -> None:
    make, shape = CLIPS[name]
    backbone, clips = make(), torch.tensor(np.random.default_rng(2).integers(0, 256, (3, *shape), np.uint8))
    together = backbone(clips)
    assert together.shape == (3, backbone.dim)
    assert together.dtype == torch.float32
    assert not together.requires_grad
    assert len({tuple(row) for row in together.tolist()}) == 3
    for i, row in enumerate(together):
        torch.testing.assert_close(backbone(clips[i : i + 1])[0], row, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(backbone(clips.flip(0)), together.flip(0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CLIPS)
def test_half_precision_is_close(name: str) -> None:
    make, shape = CLIPS[name]
    backbone, clips = make(), torch.tensor(np.random.default_rng(2).integers(0, 256, (2, *shape), np.uint8))
    expected = backbone(clips)
    backbone._bf16 = True
    found = backbone(clips)
    assert found.dtype == torch.float32
    assert 0 < float((found - expected).abs().max()) < LOOSE * float(expected.abs().max())


def test_frames_are_prepared_as_published() -> None:
    pixel = torch.tensor([10, 20, 30], dtype=torch.uint8).expand(1, 16, 2, 2, 3)  # red, green, blue
    blue, green, red = small_c3d().prepare(pixel)[0, :, 0, 0, 0].tolist()
    assert (blue, green, red) == pytest.approx((30 - SPORTS1M[0], 20 - SPORTS1M[1], 10 - SPORTS1M[2]), abs=1e-5)
    ends = torch.tensor([0, 255], dtype=torch.uint8).expand(1, 16, 2, 2, 2)
    assert small_i3d(2).prepare(ends)[0, :, 0, 0, 0].tolist() == pytest.approx([-1.0, 1.0])
    x, scale = small_rcnn().prepare(torch.full((300, 400, 3), 128, dtype=torch.uint8))
    assert (x.shape, scale) == ((1, 3, 600, 800), 2.0)
    assert x[0, :, 5, 5].tolist() == pytest.approx([128 - mean for mean in faster_rcnn.MEAN], abs=1e-4)
    assert small_rcnn().prepare(torch.zeros(100, 400, 3, dtype=torch.uint8))[0].shape == (1, 3, 250, 1000)


def test_the_frames_that_are_wanted() -> None:
    assert (FC7.look.size, FC7.look.crop, FC7.window) == ((171, 128), 112, 16)
    assert (RGB.look.size, RGB.look.crop, RGB.window) == (256, 224, 16)
    assert FLOW.channels == 2
    with torch.device("meta"):  # the shape that fc6 was made for is the shape of such a clip
        assert C3D()(torch.empty(2, 3, 16, 112, 112)).shape == (2, FC7.dim)
        assert I3D().eval()(torch.empty(2, 3, 16, 224, 224)).shape == (2, RGB.dim)


def test_an_image_and_its_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faster_rcnn, "SHORTER", 96)
    kind = faster_rcnn.RegionKind("small", "fc7", 5, None, REGIONS.look, small_rcnn, faster_rcnn.own_name, "")
    image = torch.tensor(np.random.default_rng(3).integers(0, 256, (60, 80, 3), np.uint8))
    regions, found, whole = kind.load(None)(image)
    assert regions.shape == (len(found), 5)
    assert whole.shape == (3,)
    assert 0 < len(found) <= faster_rcnn.REGIONS_OF_IMAGE
    low, high = found[:, :2] - found[:, 2:] / 2, found[:, :2] + found[:, 2:] / 2
    assert low.min() > -1e-6
    assert high.max() < 1 + 1e-6
    assert found[:, 2].min() >= faster_rcnn.LEAST / 80 - 1e-6
    assert len(np.unique(found, axis=0)) == len(found) > 3


def test_a_tiny_image_has_no_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faster_rcnn, "SHORTER", 96)
    kind = faster_rcnn.RegionKind("small", "fc7", 5, None, REGIONS.look, small_rcnn, faster_rcnn.own_name, "")
    regions, found, whole = kind.load(None)(torch.zeros(8, 9, 3, dtype=torch.uint8))
    assert (regions.shape, found.shape, whole.shape) == ((0, 5), (0, 4), (3,))


@pytest.mark.parametrize("kind", ["pool", "align"])
def test_an_image_in_half_precision(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faster_rcnn, "SHORTER", 96)
    made = faster_rcnn.RegionKind("small", "fc7", 5, None, REGIONS.look, small_rcnn, faster_rcnn.own_name, "")
    image = torch.tensor(np.random.default_rng(3).integers(0, 256, (60, 80, 3), np.uint8))
    whole = []
    for bf16 in (False, True):
        backbone = made.load(None, bf16=bf16)
        backbone.network.pool = getattr(boxes, kind)
        regions, found, mean = backbone(image)  # which boxes come first may change; what they are may not
        assert regions.dtype == found.dtype == np.float32
        assert np.isfinite(regions).all()
        whole.append(mean)
    assert 0 < np.abs(whole[1] - whole[0]).max() < LOOSE * np.abs(whole[0]).max()


def test_nothing_drops_out_and_nothing_learns() -> None:
    network = loaded(small_i3d, 64).network
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(isinstance(module, nn.Dropout) for module in network.modules())


# ---- other people's networks ----------------------------------------------------------------------------------------


class Colours(nn.Module):
    """The mean of each colour of an image, or of a video."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mean(-1) if x.dim() < 5 else 10 * x.mean((2, 3, 4))


def test_a_network_of_images_reads_every_frame() -> None:
    clips = torch.tensor(np.random.default_rng(4).integers(0, 256, (2, 3, 4, 5, 3), np.uint8))
    mean, std = np.array([0.5, 0.4, 0.3]), np.array([0.5, 0.25, 0.2])
    expected = ((clips.numpy() / 255 - mean) / std).mean(axis=(1, 2, 3))  # (2, 3)
    for is_video, times in ((False, 1), (True, 10)):
        network = foreign.Frames(Colours(), list(mean), list(std), is_video)
        np.testing.assert_allclose(network(network.prepare(clips)), times * expected, atol=1e-5)


@pytest.mark.parametrize(
    ("page", "look"),
    [
        ({}, Look(224, 224)),
        ({"size": 256, "crop_size": 240}, Look(256, 240)),
        ({"size": {"shortest_edge": 232}, "crop_size": {"height": 224, "width": 224}}, Look(232, 224)),
        ({"size": {"height": 96, "width": 128}, "do_center_crop": False}, Look((128, 96), None)),
    ],
)
def test_frames_as_their_processors_make_them(page: dict[str, Any], look: Look) -> None:
    assert foreign._look(page, object()) == look


@pytest.mark.parametrize("family", backbones.FOREIGN)
def test_a_package_that_is_not_here(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, family, None)
    with pytest.raises(InputError, match=f"{family} cannot be imported: .*pip install {family}"):
        backbones.load(f"{family}:resnet50", random_weights=True)


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"name": "c3d-fc8", "random_weights": True}, "Did you mean 'c3d-fc"),
        ({"name": "c3d-fc7"}, "a backbone needs its weights"),
        ({"name": "c3d-fc7", "random_weights": True, "weights": Path("c3d.pt")}, "both weights and random weights"),
        ({"name": "vgg16-regions", "random_weights": True}, "reads single images"),
        ({"name": "torchvision:"}, "unknown backbone"),
        ({"name": "c3d-fc7", "weights": Path("nowhere.pt")}, "nowhere.pt"),
    ],
)
def test_calls_that_are_refused(words: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        backbones.load(**words)


def test_clips_are_no_images() -> None:
    with pytest.raises(InputError, match="backbone for images"):
        backbones.load_regions("c3d-fc7", random_weights=True)


def test_colours_are_no_flow() -> None:
    with pytest.raises(InputError, match=r"reads other clips; found 'torch.uint8 \(1, 8, 40, 32, 3\)'"):
        CLIPS["i3d-flow"][0]()(torch.zeros(1, 8, 40, 32, 3, dtype=torch.uint8))


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(InputError, match="no such device"):
        backbones.load("i3d-rgb", random_weights=True, device="hip:7")


@pytest.mark.parametrize("name", sorted(backbones.BACKBONES))
def test_every_name_is_a_kind_of_that_name(name: str) -> None:
    kind = backbones._kind(name, None, random_weights=True)
    assert kind.name == name
    assert (kind.network is FasterRCNN) == (name in backbones.REGIONS)

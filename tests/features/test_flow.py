"""Optical flow of pictures that move by a known number of pixels, alone and from a file to a store of features."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from activity_bench.data.features import FeatureStore
from activity_bench.errors import InputError
from activity_bench.features.backbones import load
from activity_bench.features.decode import Look, read
from activity_bench.features.flow import as_bytes, flows
from activity_bench.workflow.extract import extract_features

pytestmark = pytest.mark.check

MOVES = [(3, 0), (0, -2), (-2, 1)]  # pixels to the right and down


def moved(right: int, down: int) -> np.ndarray:
    """48 x 64 out of a smooth texture, moved."""
    y, x = np.mgrid[0:48, 0:64] + np.array([[[20 - down]], [[20 - right]]])
    waves = [np.sin(0.23 * x + 0.11 * y), np.cos(0.31 * y - 0.07 * x), np.sin(0.17 * (x + y) + 1)]
    grey = 128 + 40 * np.sum(waves, axis=0)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_a_known_displacement() -> None:
    """From frame to frame, to a fifth of a pixel in the mean; as many flows as frames, the last one twice."""
    pytest.importorskip("cv2", reason="OpenCV's contrib build is an extra")
    places = np.concatenate([[[0, 0]], np.cumsum(MOVES, axis=0)])
    found = list(flows(moved(*place) for place in places))
    assert [flow.shape for flow in found] == [(48, 64, 2)] * 4
    for flow, move in zip(found, [*MOVES, MOVES[-1]], strict=True):
        pixels = (flow[8:-8, 8:-8].astype(float) - 128) / 6.375
        assert np.abs(pixels.mean((0, 1)) - move).max() < 0.2
    assert np.unique(*flows([moved(0, 0)])).tolist() == [128]
    assert list(flows([])) == []


class Drift:
    """In the place of the flow network: the mean motion of each clip, and how many frames it has; no scaling."""

    name, dim, layer, window, weights_sha256, look, channels = "i3d-flow", 3, "mean", None, "none", Look(), 2

    def __init__(self, weights: Path | None, random_weights: bool, device: str) -> None:
        assert random_weights

    def __call__(self, flow: torch.Tensor) -> torch.Tensor:
        assert flow.dtype == torch.uint8
        assert flow.shape[2:] == (48, 64, 2)
        pixels = (flow[:, :, 8:-8, 8:-8].float() - 128) / 6.375
        frames = torch.full((len(flow), 1), float(flow.shape[1]))
        return torch.cat([pixels.mean((1, 2, 3)), frames], 1)  # (B, 3)


def film(folder: Path, pictures: Sequence[np.ndarray]) -> Path:
    """A folder with a video of these pictures, 25 a second, without loss."""
    folder.mkdir()
    with av.open(str(folder / "film.mkv"), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        for picture in pictures:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
    return folder


def test_from_a_file_to_the_motion_in_each_row(tmp_path: Path) -> None:
    """Row k is of the motions from frame 4 k on: from each frame to the next, the last one twice."""
    pytest.importorskip("cv2", reason="OpenCV's contrib build is an extra")
    places = [(3 * k, 0) for k in range(5)] + [(12, -2 * k) for k in range(1, 6)]  # 4 to the right, 5 up
    videos = film(tmp_path / "videos", [moved(*place) for place in places])
    drift = {"window": 4, "stride": 4, "fps": 25.0, "random_weights": True, "workers": 1}
    extract_features(videos, "tests.features.test_flow:Drift", tmp_path / "f.h5", **drift)  # type: ignore[arg-type]
    store = FeatureStore(tmp_path / "f.h5")
    expected = [[3, 0, 4], [0, -2, 4], [0, -2, 4]]
    assert np.abs(store.read("film") - expected).max() < 0.2
    assert (store.attributes.backbone, store.timing.step) == ("i3d-flow", 4 / 25)


def test_the_flow_network_by_its_name(tmp_path: Path) -> None:
    """Its rows are those that the parts give by hand; a pixel of the file is 256 / 48 of what it sees."""
    pytest.importorskip("cv2", reason="OpenCV's contrib build is an extra")
    videos = film(tmp_path / "videos", [moved(0, 0), moved(1, 0)])
    extract_features(videos, "i3d-flow", tmp_path / "f.h5", random_weights=True, workers=1)
    network = load("i3d-flow", random_weights=True)
    (flow, again) = flows(frame.image for frame in read(videos / "film.mkv", network.look))  # (224, 224, 2) each
    assert flow is again
    assert np.abs((flow.mean((0, 1)) - 128) / 6.375 - (256 / 48, 0)).max() < 0.3
    clip = torch.from_numpy(np.stack([flow] * 16))[None]  # the last one is repeated up to the window
    np.testing.assert_allclose(FeatureStore(tmp_path / "f.h5").read("film"), network(clip).numpy(), 1e-4, 1e-5)


def test_bytes_of_flow() -> None:
    assert as_bytes(np.array([-90.0, -20, -1, 0, 1, 20, 90])).tolist() == [0, 0, 122, 128, 134, 255, 255]


def test_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match=r"activity-bench\[flow\]"):
        list(flows([moved(0, 0)]))

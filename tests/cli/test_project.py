"""project as a user calls it: fitted on training videos, applied to a store with all that is in it, and refusals."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from activity_bench.data.features import Attributes, FeatureStore, write_store
from activity_bench.data.features.images import Image, add_images
from activity_bench.features.projection import read
from tests import tiny
from tests.conftest import Invoked
from tests.tiny import on_rows

pytestmark = pytest.mark.quick

Invoke = Callable[..., Invoked]
ATTRIBUTES = Attributes(
    backbone="c3d-fc7", weights_sha256="ab" * 32, decoder="pyav", decoder_version="18.1.0", fps=30.0, window=16,
    stride=16, offset=0, dtype="float32", layer="fc7", projection="none", dim=8,
)  # fmt: skip
TRAINING = ["query of a", "video of a", "video of b"]
TESTED = ["query of c", "video of c"]
MADE_BY = {"backbone": "vgg16-regions", "weights_sha256": "cd" * 32}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a manifest and a store of features, images and notes."""
    chance = np.random.default_rng(0)
    scales = np.linspace(3, 0.1, 8)
    arrays = {video: (chance.normal(size=(20, 8)) * scales + 50).astype(np.float32) for video in TRAINING}
    arrays |= {video: chance.normal(size=(20, 8)).astype(np.float32) * 1000 for video in TESTED}
    write_store(tmp_path / "features.h5", ATTRIBUTES, arrays.items())
    image = Image(*(np.float32(chance.random(shape)) + 0.1 for shape in ((2, 5), (2, 4), (3,))))
    add_images(tmp_path / "features.h5", [(("video of c", 1.5), image)], MADE_BY)
    with h5py.File(tmp_path / "features.h5", "r+") as file:
        for number, video in enumerate(arrays):
            file[f"features/{video}"].attrs.update({"decoder": "pyav", "fps": 29.97, "frames": 320 + number})
    tiny.write(tmp_path / "manifest", [on_rows("a", (0, 20), (2, 5)), on_rows("b", (0, 20), (3, 9))],
               [on_rows("c", (0, 20), (0, 4))])  # fmt: skip
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fit(invoke: Invoke, *more: Any, code: int = 0) -> Invoked:
    given = ["--features", "features.h5", "--manifest", "manifest", "--dim", 3, "--out", "pca.safetensors"]
    return invoke("project", "fit", *given, *more, code=code)


def apply(invoke: Invoke, *more: Any, code: int = 0, out: str = "small.h5") -> Invoked:
    given = ["--features", "features.h5", "--projection", "pca.safetensors", "--out", out]
    return invoke("project", "apply", *given, *more, code=code)


def test_fitted_on_training_videos_and_applied_to_all(place: Path, invoke: Invoke) -> None:
    said = fit(invoke)
    assert said.out == "pca.safetensors\n"
    assert "of the variance of 60 rows, 3 videos" in said.err
    made = read(place / "pca.safetensors")
    assert made.account.videos == tuple(TRAINING)
    said = apply(invoke)
    store, source = FeatureStore(place / "small.h5"), FeatureStore(place / "features.h5")
    assert said.out == f"{store.digest}  small.h5\n"
    assert "5 videos, 3 numbers a row" in said.err
    assert store.attributes == replace(ATTRIBUTES, projection=made.name, dim=3)
    # Independently: the singular vectors of all training rows at once; test videos, a thousand times as large, are out.
    rows = np.concatenate([source.read(video) for video in TRAINING]).astype(np.float64)
    directions = np.linalg.svd(rows - rows.mean(axis=0))[2][:3]
    for video in store.ids():
        expected = (source.read(video) - rows.mean(axis=0)) @ directions.T
        np.testing.assert_allclose(np.abs(store.read(video)), np.abs(expected), rtol=1e-3, atol=1e-2)


def test_images_and_notes_are_carried_over(place: Path, invoke: Invoke) -> None:
    fit(invoke)
    apply(invoke)
    store, source = FeatureStore(place / "small.h5"), FeatureStore(place / "features.h5")
    assert store.images is not None and source.images is not None
    assert (store.images.digest, store.images.made_by) == (source.images.digest, MADE_BY)
    assert store.images.frames() == [("video of c", 1.5)]
    assert store.images.damaged() == store.damaged() == []
    for number, video in enumerate((*TRAINING, *TESTED)):
        assert store.attributes_of(video) == {"decoder": "pyav", "fps": 29.97, "frames": 320 + number}


def test_the_same_bytes_each_time(place: Path, invoke: Invoke) -> None:
    fit(invoke)
    apply(invoke)
    first = (place / "pca.safetensors").read_bytes(), (place / "small.h5").read_bytes()
    assert "the file exists" in fit(invoke, code=2).err
    assert "the file exists" in apply(invoke, code=2).err
    fit(invoke, "--force")
    apply(invoke, "--force")
    assert ((place / "pca.safetensors").read_bytes(), (place / "small.h5").read_bytes()) == first
    assert sorted(path.name for path in place.iterdir()) == ["features.h5", "manifest", "pca.safetensors", "small.h5"]


def test_a_projection_that_has_seen_test_videos(place: Path, invoke: Invoke) -> None:
    fit(invoke)
    apply(invoke, "--manifest", "manifest")
    tiny.write(place / "other", [on_rows("c", (0, 20), (0, 4))], [on_rows("a", (0, 20), (2, 5))])
    said = apply(invoke, "--manifest", "other", code=2, out="other.h5")
    assert (
        "query of a: this projection was fitted on videos that the manifest holds out; found '2 of 3 videos'"
        in said.err
    )
    assert not (place / "other.h5").exists()


def test_features_of_another_kind(place: Path, invoke: Invoke) -> None:
    fit(invoke)
    apply(invoke)
    shutil.move(place / "small.h5", place / "features.h5")
    assert "these features are projected already" in fit(invoke, "--force", code=2).err
    assert "these features are projected already" in apply(invoke, code=2).err
    write_store(place / "features.h5", replace(ATTRIBUTES, layer="fc6"), [("a", np.ones((2, 8)))], force=True)
    assert "a projection of other features; found 'fc6'; expected fc7" in apply(invoke, code=2).err
    assert not (place / "small.h5").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--dim", "9"], "not a number of components; found 9; expected 1 to 8"),
        (["--features", "feature.h5"], "no such file"),
        (["--features", "manifest"], "this is a manifest, and features are wanted"),
        (["--manifest", "features.h5"], "features.h5"),
    ],
)
def test_a_wrong_call(more: list[str], said: str, place: Path, invoke: Invoke) -> None:
    assert said in fit(invoke, *more, code=2).err
    assert not (place / "pca.safetensors").exists()


def test_a_file_that_is_no_projection(place: Path, invoke: Invoke) -> None:
    (place / "pca.safetensors").write_bytes(b"no projection")
    assert "not a whole file of a projection" in apply(invoke, code=2).err

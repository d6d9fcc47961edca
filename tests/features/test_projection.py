"""Principal components against a decomposition of all rows at once, their file, and whose videos they may see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from activity_bench.data.features import Attributes, FeatureStore, write_store
from activity_bench.data.manifest import Manifest
from activity_bench.errors import InputError
from activity_bench.features import projection
from activity_bench.features.projection import Moments, Projected, Projection, fit, read, training_videos, write
from tests import tiny
from tests.tiny import on_rows

pytestmark = pytest.mark.quick

DIM = 6
PLAIN = Attributes(
    backbone="c3d-fc7", weights_sha256="ab" * 32, decoder="pyav", decoder_version="18.1.0", fps=30.0, window=16,
    stride=16, offset=0, dtype="float32", layer="fc7", projection="none", dim=DIM,
)  # fmt: skip
TRAIN = [on_rows("a", (0, 10), (2, 5)), on_rows("b", (0, 20), (10, 20))]
TEST = [on_rows("c", (0, 10), (0, 4)), on_rows("d", (5, 25), (15, 25))]
ROWS = {"video of a": 9, "video of b": 21, "query of b": 3, "video of c": 11, "query of d": 4, "stranger": 5}
TRAINING = ["query of b", "video of a", "video of b"]


def arrays() -> dict[str, Any]:
    """Rows that vary more along some directions than along others, far from zero."""
    chance = np.random.default_rng(0)
    turn = np.linalg.qr(chance.normal(size=(DIM, DIM)))[0] * np.array([5, 4, 3, 1, 0.3, 0.1])[:, None]
    return {video: (chance.normal(size=(rows, DIM)) @ turn + 100).astype(np.float32) for video, rows in ROWS.items()}


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(write_store(tmp_path / "features.h5", PLAIN, arrays().items()))


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return tiny.write(tmp_path / "manifest", TRAIN, TEST)


def whole(rows: Mapping[str, Any], videos: list[str]) -> tuple[Any, Any, Any]:
    """Mean, directions and variances, by the singular values of all rows at once."""
    every = np.concatenate([rows[video] for video in videos]).astype(np.float64)
    _, values, directions = np.linalg.svd(every - every.mean(axis=0), full_matrices=False)
    return every.mean(axis=0), directions, values**2 / (len(every) - 1)


def test_components_are_the_singular_vectors(store: FeatureStore, manifest: Manifest) -> None:
    found = fit(store, manifest, 3)
    mean, directions, variances = whole(arrays(), TRAINING)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-6)
    np.testing.assert_allclose(found.variances, variances[:3], rtol=1e-9)
    np.testing.assert_allclose(np.abs(found.components @ directions[:3].T), np.eye(3), atol=1e-6)
    greatest = found.components[np.arange(3), np.abs(found.components).argmax(axis=1)]
    assert (greatest > 0).all()
    assert found.account.explained == pytest.approx(variances[:3].sum() / variances.sum())
    assert (found.account.videos, found.account.rows) == (tuple(TRAINING), sum(ROWS[video] for video in TRAINING))


@given(cuts=st.lists(st.integers(1, 29), max_size=6, unique=True), seed=st.integers(0, 10**6))
def test_moments_do_not_depend_on_batches(cuts: list[int], seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(30, 4)) + 1000  # a naive sum of squares would lose digits
    moments = Moments(4)
    for part in np.split(rows, sorted(cuts)):
        moments.add(part)
    np.testing.assert_allclose(moments.mean, rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.scatter / 29, np.cov(rows.T), atol=1e-9)


@pytest.mark.parametrize("batch", [1, 10, 30])
def test_videos_are_summed_up_together(
    batch: int, store: FeatureStore, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fit(store, manifest, 3)
    monkeypatch.setattr(projection, "BATCH", batch)
    found = fit(store, manifest, 3)
    assert found.account.rows == expected.account.rows
    np.testing.assert_allclose(found.components, expected.components, atol=1e-6)
    np.testing.assert_allclose(found.variances, expected.variances, rtol=1e-9)


def test_the_same_features_give_the_same_bytes(store: FeatureStore, manifest: Manifest, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(fit(store, manifest, 2), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_and_back(store: FeatureStore, manifest: Manifest, tmp_path: Path) -> None:
    made = fit(store, manifest, 2)
    write(made, tmp_path / "pca.safetensors")
    found = read(tmp_path / "pca.safetensors")
    assert (found.account, found.name) == (made.account, made.name)
    for name in ("mean", "components", "variances"):
        np.testing.assert_array_equal(getattr(found, name), getattr(made, name))
    assert (found.account.features, found.account.manifest) == (store.digest, manifest.digest)


# ---- applied --------------------------------------------------------------------------------------------------------


def test_projected_features(store: FeatureStore, manifest: Manifest, tmp_path: Path) -> None:
    made = fit(store, manifest, 3)
    features = Projected(store, made)
    mean, directions, _ = whole(arrays(), TRAINING)
    expected = (arrays()["stranger"] - mean) @ directions[:3].T
    np.testing.assert_allclose(np.abs(features.read("stranger")), np.abs(expected), atol=1e-4)
    np.testing.assert_allclose(features.read("stranger", 1, 3), features.read("stranger")[1:3], atol=1e-5)
    assert (features.dim, features.attributes.projection) == (3, made.name)
    assert (features.ids(), features.rows("stranger")) == (store.ids(), 5)
    assert (features.timing, features.images) == (store.timing, None)
    assert features.digest != store.digest
    kept = write_store(tmp_path / "pca.h5", features.attributes, ((v, features.read(v)) for v in features.ids()))
    np.testing.assert_array_equal(FeatureStore(kept).read("stranger"), features.read("stranger"))


def test_all_components_keep_distances(store: FeatureStore, manifest: Manifest) -> None:
    made, rows = fit(store, manifest, DIM), arrays()["stranger"]
    assert made.account.explained == pytest.approx(1.0)
    apart, after = rows[:, None] - rows, made(rows)[:, None] - made(rows)
    np.testing.assert_allclose(np.linalg.norm(after, axis=-1), np.linalg.norm(apart, axis=-1), atol=1e-3)


# ---- what is refused ------------------------------------------------------------------------------------------------


def test_training_videos_alone(store: FeatureStore, manifest: Manifest) -> None:
    assert training_videos(manifest, store) == TRAINING
    assert fit(store, manifest, 2).account == fit(store, manifest, 2, TRAINING).account
    for video, why in (
        ("video of c", "held out"),
        ("query of d", "held out"),
        ("stranger", "no video of the manifest"),
    ):
        with pytest.raises(InputError, match=f"training videos only; found '{why}'") as caught:
            fit(store, manifest, 2, [*TRAINING, video])
        assert caught.value.field == video


def test_a_video_that_is_also_tested_is_left_out(store: FeatureStore, tmp_path: Path) -> None:
    both = replace(TEST[0], video=replace(TEST[0].video, id="video of a"))
    assert training_videos(tiny.write(tmp_path / "shared", TRAIN, [both]), store) == ["query of b", "video of b"]


@pytest.mark.parametrize(("dim", "said"), [(0, "1 to 6"), (7, "1 to 6")])
def test_a_wrong_number_of_components(dim: int, said: str, store: FeatureStore, manifest: Manifest) -> None:
    with pytest.raises(InputError, match=said):
        fit(store, manifest, dim)


def test_too_few_rows(store: FeatureStore, manifest: Manifest) -> None:
    with pytest.raises(InputError, match="fewer than the 3 rows of 1 videos"):
        fit(store, manifest, 3, ["query of b"])


def test_a_manifest_of_other_videos(store: FeatureStore, tmp_path: Path) -> None:
    other = tiny.write(tmp_path / "other", [on_rows("e", (0, 10), (2, 5))], TEST)
    with pytest.raises(InputError, match="no features of any training video"):
        fit(store, other, 2)


@pytest.mark.parametrize(
    "change", [{"backbone": "i3d-rgb"}, {"layer": "fc6"}, {"weights_sha256": "none"}, {"dim": 7}, {"projection": "pca"}]
)
def test_features_of_another_kind(change: dict[str, Any], store: FeatureStore, manifest: Manifest) -> None:
    made = fit(store, manifest, 2)
    with pytest.raises(InputError, match=r"projection of other features|projected already") as caught:
        made.attributes(replace(PLAIN, **change))
    assert caught.value.field == next(iter(change))


def test_features_are_projected_once(store: FeatureStore, manifest: Manifest) -> None:
    with pytest.raises(InputError, match="projected already"):
        fit(Projected(store, fit(store, manifest, 3)), manifest, 2)


def test_rows_too_wide(store: FeatureStore, manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "WIDEST", 5)
    with pytest.raises(InputError, match="too wide"):
        fit(store, manifest, 2)


def damaged(made: Projection, change: str, path: Path) -> None:
    fields: dict[str, Any] = {name: getattr(made, name) for name in ("mean", "components", "variances")}
    if change == "shape":
        fields["mean"] = fields["mean"][:2].copy()
    elif change == "nan":
        fields["components"] = fields["components"] * np.float32("nan")
    elif change == "type":
        fields["mean"] = fields["mean"].astype(np.float64)
    if change == "stranger":
        save_file(fields, path)
    else:
        account = replace(made.account, format=2) if change == "format" else made.account
        write(Projection(**fields, account=account), path)
    if change == "short":
        path.write_bytes(path.read_bytes()[:-3])
    if change == "account":
        path.write_bytes(path.read_bytes().replace(b'\\"rows\\":', b'\\"sows\\":'))


@pytest.mark.parametrize("change", ["shape", "nan", "type", "format", "stranger", "short", "account"])
def test_a_damaged_file(change: str, store: FeatureStore, manifest: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "pca.safetensors"
    damaged(fit(store, manifest, 2), change, path)
    with pytest.raises(InputError, match=r"pca\.safetensors"):
        read(path)

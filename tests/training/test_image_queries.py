"""Batches of images: what the store has, what it may lack, and images without a region."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from activity_bench.data.features import Attributes, FeatureStore, write_store
from activity_bench.data.features.images import Image, add_images
from activity_bench.errors import InputError
from activity_bench.training import preflight
from activity_bench.training.batches import NO_BOX, WHOLE_BOX, ImageBatch, collate
from activity_bench.training.options import TrainOptions
from activity_bench.training.pairs import Pair, pair_of
from activity_bench.training.plan import Plan
from activity_bench.types import Query, Sample, Target, Window

pytestmark = pytest.mark.quick

STEP = 8 / 30
ATTRIBUTES = Attributes(
    backbone="made", weights_sha256="none", decoder="none", decoder_version="none", fps=30.0, window=16, stride=8,
    offset=0, dtype="float32", layer="none", projection="none", dim=3,
)  # fmt: skip


def image(regions: int, dim: int = 5, whole: int = 4) -> Image:
    drawn = np.random.Generator(np.random.Philox(regions))
    boxes = np.tile(np.array([0.5, 0.5, 0.2, 0.3], np.float32), (regions, 1))
    return Image(drawn.standard_normal((regions, dim), np.float32), boxes, drawn.standard_normal(whole, np.float32))


def store(folder: Path, **images: Image) -> FeatureStore:
    """Videos a and b of 60 rows, and an image of each at second 1."""
    path = folder / "features.h5"
    rows = np.arange(180, dtype=np.float32).reshape(60, 3)
    write_store(path, ATTRIBUTES, [("a", rows), ("b", rows + 1)])
    add_images(path, [((video, 1.0), made) for video, made in images.items()])
    return FeatureStore(path)


def sample(video: str, other: str) -> Sample:
    return Sample(
        id=f"train/{video}", label="Diving", query=Query("image", video=other, time=1.0, label="Diving"),
        targets=(Target(2.0, 5.0, "Diving"),), video=Window(video, 0.0, 15.9),
    )  # fmt: skip


def pairs(features: FeatureStore, most: int = 0) -> list[Pair]:
    return [pair_of(sample(*videos), features, most) for videos in (("a", "b"), ("b", "a"))]


def test_a_batch_holds_what_the_store_holds(tmp_path: Path) -> None:
    features = store(tmp_path, a=image(3), b=image(2))
    batch = collate(pairs(features), features)
    assert isinstance(batch, ImageBatch)
    assert [tuple(t.shape) for t in (batch.regions, batch.boxes, batch.region_mask, batch.whole)] == [
        (2, 3, 5), (2, 3, 4), (2, 3), (2, 4),
    ]  # fmt: skip
    np.testing.assert_array_equal(batch.regions[0, :2], image(2).regions)  # a is asked for with an image of b
    np.testing.assert_array_equal(batch.whole[1], image(3).whole)
    assert batch.region_mask.tolist() == [[True, True, False], [True, True, True]]
    assert not batch.regions[0, 2].any() and tuple(batch.boxes[0, 2].tolist()) == NO_BOX
    moved = batch.to("cpu")
    assert isinstance(moved, ImageBatch) and torch.equal(moved.boxes, batch.boxes)


def test_a_long_window_is_read_evenly(tmp_path: Path) -> None:
    features = store(tmp_path, a=image(1), b=image(1))
    batch = collate(pairs(features, most=12), features)
    assert batch.video.shape == (2, 12, 3)
    assert batch.video[0, :, 0].tolist() == [3.0 * row for row in pairs(features, most=12)[0].places()]
    whole = collate(pairs(features), features)
    scale = pairs(features, most=12)[0].scale
    assert batch.first.tolist() == [int(row / scale) for row in whole.first.tolist()]


@pytest.mark.parametrize(("dim", "expected"), [(4, "the whole"), (5, "nothing")])
def test_of_an_image_without_regions_the_whole_is_one(tmp_path: Path, dim: int, expected: str) -> None:
    features = store(tmp_path, a=image(3, dim), b=image(0, dim))
    batch = collate(pairs(features), features)
    assert isinstance(batch, ImageBatch)
    assert batch.region_mask[0].tolist() == [True, False, False]
    np.testing.assert_allclose(batch.boxes[0, 0], WHOLE_BOX)
    said = torch.from_numpy(image(0, dim).whole) if expected == "the whole" else torch.zeros(dim)
    assert torch.equal(batch.regions[0, 0], said)
    assert preflight.bare(pairs(features), features).startswith("1 of 2 images have no region: the whole image is")
    assert preflight.bare(pairs(features)[1:], features) == ""


def test_an_image_that_is_not_there_is_named(tmp_path: Path) -> None:
    features = store(tmp_path, a=image(3))
    with pytest.raises(InputError, match="lack 1 of the 2 images") as error:
        preflight.check([sample("a", "b"), sample("b", "a")], features, "image")
    assert error.value.found == "b at 1.0 s"
    preflight.check([sample("b", "a")], features, "image")


def test_images_of_several_sizes_are_named(tmp_path: Path) -> None:
    features = store(tmp_path, a=image(3), b=image(3, dim=6))
    with pytest.raises(InputError, match="several sizes") as error:
        collate(pairs(features), features)
    assert error.value.field == "a at 1.0 s"


def test_images_are_not_drawn_anew(tmp_path: Path) -> None:
    features = store(tmp_path, a=image(1), b=image(1))
    with pytest.raises(InputError, match="not drawn anew"):
        Plan(pairs(features), 0, TrainOptions(redraw=True))
    plan = Plan(pairs(features), 0, TrainOptions(redraw=False, augment=0.0, batch=2))
    assert sorted(plan.batch(3), key=lambda pair: pair.id) == pairs(features)
    cropped = Plan([replace(p, most=9) for p in pairs(features)], 0, TrainOptions(redraw=False, augment=1.0, batch=2))
    assert all(pair.rows <= 9 for step in range(5) for pair in cropped.batch(step))

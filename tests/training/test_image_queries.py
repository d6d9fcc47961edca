"""Batches of images: what the store has, what it may lack, and images without a region."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

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
    folder.mkdir(exist_ok=True)
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


def test_a_whole_second_is_a_second_like_others(tmp_path: Path) -> None:
    features, whole = store(tmp_path, a=image(1), b=image(1)), sample("a", "b")
    asked = replace(whole, query=replace(whole.query, time=1))
    batch = collate([pair_of(asked, features)], features)
    assert isinstance(batch, ImageBatch) and torch.equal(batch.whole[0], torch.from_numpy(image(1).whole))


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


@given(st.integers(1, 1000), st.integers(1, 300), st.data())
def test_a_target_is_the_rows_nearest_to_its_ends(length: int, most: int, data: st.DataObject) -> None:
    """Row k of n stands for rows [k length / n, (k + 1) length / n) of the window, in exact fractions."""
    first = data.draw(st.integers(0, length - 1))
    last = data.draw(st.integers(first + 1, length))
    pair = Pair("s", None, "v", (7, 7 + length), ((7 + first, 7 + last),), "q", 1.0, most)
    width = Fraction(length, pair.rows)
    begin, end = (floor(row / width + Fraction(1, 2)) for row in (first, last))
    middle = floor(Fraction(first + last, 2) / width)
    assert pair.seen(pair.targets[0]) == ((begin, end) if begin < end else (middle, middle + 1))
    assert pair.places().tolist() == [floor((row + Fraction(1, 2)) * width) for row in range(pair.rows)]


def test_a_target_that_begins_with_a_row_is_not_in_the_row_before() -> None:
    pair = Pair("s", None, "v", (0, 200), ((125, 150),), "q", 1.0, 24)
    assert pair.seen((125, 150)) == (15, 18)  # 125 of 200 rows are 15 of 24, though 200 / 24 is no exact float


@pytest.mark.parametrize(("window", "stride"), [(16, 8), (64, 8), (8, 16)])
def test_a_window_without_an_end_has_all_rows(tmp_path: Path, window: int, stride: int) -> None:
    path = tmp_path / "f.h5"
    write_store(path, replace(ATTRIBUTES, window=window, stride=stride), [("a", np.ones((60, 3), np.float32))])
    assert pair_of(replace(sample("a", "b"), video=Window("a", 0.0, None)), FeatureStore(path)).window == (0, 60)


def test_an_image_that_is_not_there_is_named(tmp_path: Path) -> None:
    features = store(tmp_path, a=image(3))
    with pytest.raises(InputError, match="lack 1 of the 2 images") as error:
        preflight.check([sample("a", "b"), sample("b", "a")], features, "image")
    assert error.value.found == "b at 1.0 s"
    preflight.check([sample("b", "a")], features, "image")


def test_images_of_several_sizes_are_named(tmp_path: Path) -> None:
    """When they are written, and when they are read; a network is made for the first one."""
    with pytest.raises(InputError, match="several sizes") as error:
        store(tmp_path / "written", a=image(3), b=image(3, dim=6))
    assert error.value.field == "b@1.0"
    features = store(tmp_path, a=image(3), b=image(2))
    with h5py.File(features.path, "r+") as file:
        del file["images/b@1.0/global"]
        file["images/b@1.0/global"] = np.ones(3, np.float32)
    features = FeatureStore(features.path)
    assert features.images is not None and len(features.images.image("a", 1.0).regions) == 3
    with pytest.raises(InputError, match="several sizes") as error:
        features.images.image("b", 1.0)
    assert (error.value.field, error.value.found) == ("images/b@1.0", (5, 3))


BAD = {
    "no width": ("boxes", (1, 2), 0.0, "row 1: not a box"), "turned over": ("boxes", (0, 3), -0.1, "row 0: not a box"),
    "too thin": ("boxes", (1, 3), 1e-39, "row 1: not a box"), "far away": ("boxes", (0, 0), 1e30, "row 0: not a box"),
    "no number": ("boxes", (1, 0), np.nan, "boxes, row 1: features that are not finite"),
    "endless": ("regions", (1, 4), np.inf, "regions, row 1: features that are not finite"),
    "no whole": ("global", (2,), np.nan, "global, row 0: features that are not finite"),
}  # fmt: skip


@pytest.mark.parametrize(("part", "place", "value", "said"), BAD.values(), ids=BAD)
def test_an_image_that_no_network_could_read_is_refused(
    tmp_path: Path, part: str, place: tuple[int, ...], value: float, said: str
) -> None:
    """When it is written, and when it is read: later, a training would end with a loss that is not finite."""
    good = image(2)
    bad = Image(*(array.copy() for array in good))
    bad[("regions", "boxes", "global").index(part)][place] = value
    with pytest.raises(InputError, match=f"a@1.0/.*{said}"):
        store(tmp_path / "written", a=bad)
    features = store(tmp_path, a=good)
    with h5py.File(features.path, "r+") as file:
        file[f"images/a@1.0/{part}"][place] = value
    features = FeatureStore(features.path)
    with pytest.raises(InputError, match=f"features.h5: images/a@1.0/.*{said}"):
        collate([pair_of(sample("b", "a"), features)], features)


@pytest.mark.parametrize("shape", [(), (2,), (2, 5, 1)])
def test_regions_that_are_no_table_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    features = store(tmp_path, a=image(2))
    with h5py.File(features.path, "r+") as file:
        del file["images/a@1.0/regions"]
        file["images/a@1.0/regions"] = np.ones(shape, np.float32)
    images = FeatureStore(features.path).images
    with pytest.raises(InputError, match="not regions, boxes and a vector"):
        assert images and images.image("a", 1.0)


def test_the_memory_that_is_said_counts_regions(tmp_path: Path) -> None:
    features, network = store(tmp_path, a=image(3), b=image(2000)), torch.nn.Linear(1, 1)
    said = preflight.footprint(network, pairs(features), features, TrainOptions(batch=2), 1)
    assert "0.0 MB for 2 weights and Adam, 0.1 MB for a batch of the longest windows (60 rows, 2,000 regions)" in said


def test_images_are_not_drawn_anew(tmp_path: Path) -> None:
    features = store(tmp_path, a=image(1), b=image(1))
    with pytest.raises(InputError, match="not drawn anew"):
        Plan(pairs(features), 0, TrainOptions(redraw=True))
    plan = Plan(pairs(features), 0, TrainOptions(redraw=False, augment=0.0, batch=2))
    assert sorted(plan.batch(3), key=lambda pair: pair.id) == pairs(features)
    cropped = Plan([replace(p, most=9) for p in pairs(features)], 0, TrainOptions(redraw=False, augment=1.0, batch=2))
    assert all(pair.rows <= 9 for step in range(5) for pair in cropped.batch(step))

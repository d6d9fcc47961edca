"""Image queries of the simulated world: objects, their layout, context that misleads; and a store of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from activity_bench.data.features import FeatureStore, write_store
from activity_bench.data.features.images import ImageStore, add_images, image_digest, image_sum
from activity_bench.errors import InputError
from activity_bench.simulation.classes import paths, siblings
from activity_bench.simulation.content import Content
from activity_bench.simulation.images import REGIONS, SPREAD
from activity_bench.simulation.world import World, WorldOptions
from activity_bench.types import Video
from activity_bench.workflow.validate import validate

pytestmark = pytest.mark.quick

LABELS = list(paths())
FRAMES = {(f"v{n}", 2.5 + i): label for n, label in enumerate(LABELS) for i in range(4)}
VIDEOS = {f"v{n}": Video(f"v{n}", 10.0, "training", ()) for n in range(len(LABELS))}


def world(**options: Any) -> World:
    return World(WorldOptions(**{"dim": 8, **options}), paths(), Content(VIDEOS, FRAMES))


def nearest(vectors: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Which class each vector is most in line with."""
    return (vectors @ (classes / np.linalg.norm(classes, axis=1, keepdims=True)).T).argmax(axis=1)


def test_regions_boxes_and_a_whole() -> None:
    made, counts = world(), []
    for video, time in made.frames():
        image, own = made.image_parts(video, time)
        counts.append(len(image.regions))
        assert image.regions.shape == (counts[-1], 512) and image.boxes.shape == (counts[-1], 4)
        assert image.whole.shape == (512,) and {array.dtype for array in image} == {np.dtype(np.float32)}
        low, high = image.boxes[:, :2] - image.boxes[:, 2:] / 2, image.boxes[:, :2] + image.boxes[:, 2:] / 2
        assert low.min() >= -1e-6 and high.max() <= 1 + 1e-6 and image.boxes[:, 2:].min() > 0
        assert len(set(own)) == 3 and own.max() < counts[-1]
    assert min(counts) == REGIONS[0] and max(counts) == REGIONS[1]


def test_the_activitys_regions_tell_the_class_better_than_all_of_them() -> None:
    made = world()
    classes = np.stack([made.concepts.objects(made.concepts.path(label)).mean(axis=0) for label in LABELS])
    truth = np.array([LABELS.index(label) for label in made.content.frames.values()])
    own, every, whole = [], [], []
    pooled = np.einsum("cd,dg->cg", classes, made._images._pooling)
    for video, time in made.content.frames:
        image, mine = made.image_parts(video, time)
        own.append(image.regions[mine].mean(axis=0))
        every.append(image.regions.mean(axis=0))
        whole.append(image.whole)
    right = [np.mean(nearest(np.stack(v), classes) == truth) for v in (own, every)]
    mixed = np.mean(nearest(np.stack(whole), pooled) == truth)
    assert right[0] > 0.8 and right[1] < right[0] - 0.2  # of 48 classes; by chance 0.02
    assert 0.05 < mixed < right[0] - 0.2  # the global feature tells something, and less


def test_layout_tells_siblings_apart_and_its_knob_takes_that_away() -> None:
    shares = {}
    for layout in (0.25, 0.0):
        made, hits = world(layout=layout), []
        for (video, time), label in made.content.frames.items():
            image, own = made.image_parts(video, time)
            boxes = image.boxes[own]
            seen = ((boxes[1:, :2] - boxes[0, :2]) / (SPREAD * boxes[0, 2])).ravel()
            family = [label, *siblings(label)]
            offsets = [made.concepts.concept(made.concepts.path(name)).offsets for name in family]
            hits.append(int(np.argmin([np.square(seen - offset).sum() for offset in offsets])) == 0)
        shares[layout] = np.mean(hits)
    assert shares[0.25] > 0.9
    assert shares[0.0] == pytest.approx(1 / 3, abs=0.12)  # 192 images: 3.5 standard deviations


def test_an_image_depends_on_nothing_but_itself() -> None:
    made = world()
    frames = made.frames()
    expected = {frame: image_sum(made.image(*frame)) for frame in frames}
    again = world()
    assert {frame: image_sum(again.image(*frame)) for frame in reversed(frames)} == expected
    (video, time), label = next(iter(FRAMES.items()))
    alone = World(WorldOptions(dim=8), paths(), Content({video: VIDEOS[video]}, {(video, time): label}))
    assert image_sum(alone.image(video, time)) == expected[video, time]
    assert len(set(expected.values())) == len(frames)
    assert image_sum(world(seed=1).image(video, time)) != expected[video, time]


def test_the_noise_of_images_is_their_own() -> None:
    loud, still = world(image_noise=2.0), world(image_noise=0.0)
    frame = loud.frames()[0]
    difference = loud.image(*frame).regions - still.image(*frame).regions
    assert difference.std() == pytest.approx(2.0, rel=0.05)
    assert (loud.image(*frame).boxes == still.image(*frame).boxes).all()
    assert (loud.read("v0") == still.read("v0")).all()


def test_a_frame_that_is_not_there() -> None:
    with pytest.raises(InputError, match="unknown frame"):
        world().image("v0", 3.25)


def test_a_store_of_images_is_the_same_images(tmp_path: Path) -> None:
    made, path = world(), tmp_path / "f.h5"
    write_store(path, made.attributes, ((name, made.read(name)) for name in made.ids()))
    assert add_images(path, ((frame, made.image(*frame)) for frame in made.frames())) == len(FRAMES)
    store = ImageStore(path)
    assert store.frames() == made.frames() and store.damaged() == []
    for frame in store.frames()[::17]:
        assert [a.tobytes() for a in store.image(*frame)] == [a.tobytes() for a in made.image(*frame)]
    assert store.digest == image_digest((*frame, image_sum(made.image(*frame))) for frame in made.frames())
    assert FeatureStore(path).digest == made.digest  # rows are as they were
    with pytest.raises(InputError, match="unknown frame"):
        store.image("v0", 3.25)


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    made, path = world(), tmp_path / "f.h5"
    write_store(path, made.attributes, [("v0", made.read("v0"))])
    with pytest.raises(InputError, match="no images"):
        ImageStore(path)
    frames = made.frames()[:2]
    add_images(path, ((frame, made.image(*frame)) for frame in frames))
    name = f"images/{frames[0][0]}@{frames[0][1]}"
    with h5py.File(path, "r+") as file:
        file[f"{name}/regions"][0, 0] += 1
        del file[f"images/{frames[1][0]}@{frames[1][1]}/boxes"]
        file[f"images/{frames[1][0]}@{frames[1][1]}/boxes"] = np.zeros((2, 4), np.float32)
    with pytest.raises(InputError, match="not regions, boxes and a vector"):
        ImageStore(path).image(*frames[1])
    with pytest.raises(InputError, match=frames[0][0]):  # other numbers than were written
        ImageStore(path).image(*frames[0])


def test_validate_looks_at_images_too(tmp_path: Path) -> None:
    made, path = world(), tmp_path / "f.h5"
    write_store(path, made.attributes, [("v0", made.read("v0"))])
    assert not any("images" in line for line in validate(path))
    (video, time), *_ = made.frames()
    add_images(path, [((video, time), made.image(video, time))])
    assert "1 images, as they were written" in validate(path)
    with h5py.File(path, "r+") as file:
        file[f"images/{video}@{time}/regions"][0, 0] += 1
    with pytest.raises(InputError, match=r"numbers that are not those that were written.*1 of 1 images"):
        validate(path)


def test_what_is_learnt_of_images_holds_for_unseen_classes() -> None:
    """A linear map from images to rows, learnt on 160 classes, names 40 others: objects help, layout too."""
    tree = {f"class {i}": (f"group {i % 50}", f"top {i % 5}") for i in range(200)}
    frames = {(f"v{i}", float(n)): f"class {i}" for i in range(200) for n in range(12)}
    videos = {video: Video(video, 20.0, "training", ()) for video, _ in frames}
    made = World(WorldOptions(dim=64, region_dim=128, image_noise=0.5), tree, Content(videos, frames))
    rows = np.stack([made.phases(f"class {i}").mean(axis=0) for i in range(200)])
    seen: dict[str, list[np.ndarray]] = {"every region": [], "objects": [], "objects and layout": []}
    for video, time in frames:
        image, own = made.image_parts(video, time)
        boxes = image.boxes[own]
        offsets = ((boxes[1:, :2] - boxes[0, :2]) / (SPREAD * boxes[0, 2])).ravel()
        objects = image.regions[np.sort(own)].mean(axis=0)
        seen["every region"].append(image.regions.mean(axis=0))
        seen["objects"].append(objects)
        seen["objects and layout"].append(np.concatenate([objects, 3 * offsets]))
    truth = np.repeat(np.arange(200), 12)
    learnt, right = truth < 160, {}
    for name, images in seen.items():
        x, y = np.stack(images)[learnt], rows[truth[learnt]]
        to_rows = np.linalg.solve(x.T @ x + 10 * np.eye(x.shape[1]), x.T @ y)  # ridge regression
        right[name] = np.mean(160 + nearest(np.stack(images)[~learnt] @ to_rows, rows[160:]) == truth[~learnt])
    assert 0.025 < right["every region"] < 0.15  # by chance 0.025
    assert right["objects"] > 0.4
    assert right["objects and layout"] > right["objects"] + 0.2

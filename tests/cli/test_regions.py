"""extract-regions as a user calls it: which picture each query is, what a bad one costs, and that a kill costs none."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from activity_bench.data.features import Attributes, FeatureStore, write_store
from activity_bench.data.features.image_parts import ImageParts
from activity_bench.data.features.images import Image, ImageStore, add_images
from activity_bench.types import Query
from tests import tiny
from tests.conftest import Invoked
from tests.features.videos import greys, rendered

Invoke = Callable[..., Invoked]
TINY = ["--backbone", "tests.features.tiny_regions:Tiny", "--random-weights"]
SLOW = ["--backbone", "tests.features.tiny_regions:Slow", "--random-weights"]
ATTRIBUTES = Attributes(
    backbone="c3d-fc7", weights_sha256="ab" * 32, decoder="pyav", decoder_version="18.1.0", fps=25.0, window=16,
    stride=16, offset=0, dtype="float32", layer="fc7", projection="none", dim=4,
)  # fmt: skip
FRAMES = [("grey", 0.0), ("grey", 0.1), ("grey", 0.2), ("grey", 0.36), ("grey", 1.3), ("film", 0.5), ("film", 1.0)]


def store(path: Path) -> Path:
    return write_store(path, ATTRIBUTES, [(name, np.full((3, 4), float(number))) for number, name in enumerate("abc")])


def asking(folder: Path, frames: Iterable[tuple[str, float]]) -> Path:
    """A manifest whose samples ask with these frames, the first of them in the training split."""
    samples = [
        replace(tiny.in_seconds(f"s{number}", (0, 9), (1, 2), label="Diving"),
                query=Query("image", video=video, time=second, label="Diving"))
        for number, (video, second) in enumerate(frames)
    ]  # fmt: skip
    tiny.write(folder, samples[:1], samples[1:])
    return folder


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten greys at 25 a second, each 20 brighter than the last; and a rendered clip, named as in ActivityNet."""
    folder = tmp_path_factory.mktemp("videos")
    greys(folder / "grey.mp4", "mp4", "mpeg4")
    rendered(folder)[0].rename(folder / "v_film.mp4")
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    store(tmp_path / "f.h5")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(path: Path) -> dict[str, Any]:
    return {line["video"]: line for line in map(json.loads, path.read_text().splitlines())}


@pytest.mark.quick
def test_the_frames_that_a_manifest_asks_with(place: Path, videos: Path, invoke: Invoke) -> None:
    given = ["--features", "f.h5", "--manifest", asking(place / "m", FRAMES), "--videos", videos, *TINY]
    digest = FeatureStore(place / "f.h5").digest
    said = invoke("extract-regions", *given, code=0)
    assert (said.out, said.err) == ("f.h5\n", "7 of 7 images have regions\n")
    found = FeatureStore(place / "f.h5")
    assert found.digest == digest
    assert found.images is not None and found.images.frames() == sorted(FRAMES)
    # A picture of 0.04 s is shown from its own time on; what is asked for just behind the end is the last one.
    for second, number in ((0.0, 0), (0.1, 2), (0.2, 5), (0.36, 9), (1.3, 9)):
        np.testing.assert_allclose(found.images.image("grey", second).whole, 20 * number, atol=4)
    assert found.images.image("film", 0.5).regions.shape == (2, 3)
    assert found.images.made_by.items() >= {("backbone", "tiny-regions"), ("weights_sha256", "none")}
    assert found.images.damaged() == found.damaged() == []
    before = (place / "f.h5").read_bytes()
    invoke("extract-regions", *given, code=0)
    assert (place / "f.h5").read_bytes() == before
    assert sorted(path.name for path in place.iterdir()) == ["f.h5", "m"]


@pytest.mark.quick
def test_several_goes_give_the_bytes_of_one(place: Path, videos: Path, invoke: Invoke) -> None:
    store(place / "g.h5")
    asking(place / "all", FRAMES)
    for number, some in enumerate((FRAMES[3:5], FRAMES[:1] + FRAMES[5:], FRAMES)):
        manifest = asking(place / f"m{number}", some)
        invoke("extract-regions", "--features", "f.h5", "--manifest", manifest, "--videos", videos, *TINY, code=0)
    invoke("extract-regions", "--features", "g.h5", "--manifest", "all", "--videos", videos, *TINY, code=0)
    assert (place / "f.h5").read_bytes() == (place / "g.h5").read_bytes()


@pytest.mark.quick
def test_what_fails_costs_its_line(place: Path, videos: Path, invoke: Invoke) -> None:
    (place / "videos").mkdir()
    (place / "videos" / "text.mp4").write_text("no video")
    (place / "videos" / "cut.mp4").write_bytes((videos / "grey.mp4").read_bytes()[:300])
    (place / "videos" / "grey.mp4").symlink_to(videos / "grey.mp4")
    asked = [("text", 1.0), ("cut", 0.1), ("grey", 0.1), ("grey", 5.0), ("grey", 6.0), ("elsewhere", 1.0)]
    given = ["--features", "f.h5", "--manifest", asking(place / "m", asked), "--videos", "videos", *TINY]
    said = invoke("extract-regions", *given, code=0)
    assert "warning: 1 of 6 images are of videos that are not in videos: elsewhere@1.0, for one" in said.err
    assert "4 failed (2 no frames, 2 not a video): f.h5.images.failures.jsonl" in said.err
    assert "1 of 5 images have regions" in said.err
    assert "grey@5.0: " in said.err and "none at 5 s; found 'the last ends at 0.40 s'" in said.err
    ledger = lines(place / "f.h5.images.failures.jsonl")
    assert {name: line["kind"] for name, line in ledger.items()} == {
        "text@1.0": "not a video", "cut@0.1": "not a video", "grey@5.0": "no frames", "grey@6.0": "no frames"
    }  # fmt: skip
    assert FeatureStore(place / "f.h5").images.frames() == [("grey", 0.1)]  # type: ignore[union-attr]
    invoke("extract-regions", *given, code=0)  # what failed is not tried again
    assert {line["attempts"] for line in lines(place / "f.h5.images.failures.jsonl").values()} == {1}
    (place / "videos" / "text.mp4").unlink()
    (place / "videos" / "text.mp4").symlink_to(videos / "v_film.mp4")
    said = invoke("extract-regions", *given, "--retry-failed", code=0)
    assert "2 of 5 images have regions" in said.err
    ledger = lines(place / "f.h5.images.failures.jsonl")
    assert {name: line["attempts"] for name, line in ledger.items()} == {"cut@0.1": 2, "grey@5.0": 2, "grey@6.0": 2}


@pytest.mark.quick
def test_image_files_are_videos_of_one_frame(place: Path, invoke: Invoke) -> None:
    folder = place / "images"
    (folder / "deep").mkdir(parents=True)
    cv2.imwrite(str(folder / "red.png"), np.full((20, 30, 3), (0, 0, 200), np.uint8))
    cv2.imwrite(str(folder / "deep" / "dog.jpg"), np.full((20, 30, 3), 90, np.uint8))
    cv2.imwrite(str(folder / "dog.png"), np.full((20, 30, 3), 60, np.uint8))
    cv2.imwrite(str(folder / "white.png"), np.full((20, 30, 3), 255, np.uint8))
    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    (folder / "wide.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    (folder / "broken.jpg").write_bytes(b"no picture")
    (place / "alone.webp").write_bytes(bytes(cv2.imencode(".webp", np.full((20, 30, 3), 120, np.uint8))[1]))
    said = invoke("extract-regions", "--features", "f.h5", "--images", "images", "--images", "alone.webp", *TINY)
    assert "3 failed (1 features, 1 no decoder, 1 too large)" in said.err
    assert "4 of 7 images have regions" in said.err
    assert "broken@0.0: images/broken.jpg: no decoder" in said.err
    images = FeatureStore(place / "f.h5").images
    assert images is not None
    assert images.frames() == [("alone", 0.0), ("dog.jpg", 0.0), ("dog.png", 0.0), ("red", 0.0)]
    np.testing.assert_allclose(images.image("red", 0.0).whole, [200, 0, 0], atol=1)
    assert (images.image("dog.jpg", 0.0).whole > 80).all()


@pytest.mark.quick
def test_nothing_succeeding_is_exit_1_each_time(place: Path, invoke: Invoke) -> None:
    (place / "a.png").write_bytes(b"")
    before = (place / "f.h5").read_bytes()
    for attempts in (1, 2):
        said = invoke("extract-regions", "--features", "f.h5", "--images", "a.png", *TINY, "--retry-failed", code=1)
        assert "no image gave regions" in said.err
        line = lines(place / "f.h5.images.failures.jsonl")["a@0.0"]
        assert (line["kind"], line["attempts"]) == ("empty", attempts)
    assert (place / "f.h5").read_bytes() == before
    assert not (place / "f.h5.images.parts").exists()


@pytest.mark.check
def test_a_kill_costs_nothing(
    place: Path, videos: Path, invoke: Invoke, environment: Callable[..., dict[str, str]]
) -> None:
    store(place / "g.h5")
    manifest = asking(place / "m", FRAMES)
    given = ["extract-regions", "--manifest", manifest, "--videos", videos]
    invoke(*given, "--features", "g.h5", *TINY, code=0)
    for wanted in (1, 3, 5):
        done = killed_after(wanted, place, [*given, "--features", "f.h5", *SLOW], environment())
        assert len(done) >= wanted  # and each of them is whole: nothing was thrown away
        assert FeatureStore(place / "f.h5").images is None
    before = {path: path.stat().st_mtime_ns for path in (place / "f.h5.images.parts").glob("*.h5")}
    assert len(before) < len(FRAMES)
    invoke(*given, "--features", "f.h5", *SLOW, code=0)
    assert (place / "f.h5").read_bytes() == (place / "g.h5").read_bytes()


def readers_of(parent: int) -> list[Path]:
    """The processes that decode for another (Linux tells)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if path.read_bytes().endswith(f"activity_bench.features.stills\0{parent}\0".encode()):
                found.append(path)
    return found


def killed_after(count: int, place: Path, command: list[Any], environment: dict[str, str]) -> set[tuple[str, float]]:
    """Run a command until so many images are done, end it with SIGKILL, and look at what it left."""
    folder = place / "f.h5.images.parts"
    process = subprocess.Popen(
        [sys.executable, "-m", "activity_bench", *map(str, command)], env=environment, cwd=place,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    with process:
        until = time.monotonic() + 120
        while len(list(folder.glob("[!.]*.h5"))) < count and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        while readers_of(process.pid) and time.monotonic() < until:
            time.sleep(0.01)
        assert not readers_of(process.pid)  # what decodes for it dies with it
        assert process.wait() == -signal.SIGKILL, process.stderr and process.stderr.read()
    stores = [ImageStore(path) for path in folder.glob("[!.]*.h5")]
    assert [store.damaged() for store in stores] == [[]] * len(stores)
    return {frame for store in stores for frame in store.frames()}


@pytest.mark.quick
def test_a_damaged_part_is_made_anew(place: Path, videos: Path, invoke: Invoke) -> None:
    manifest = asking(place / "m", [("grey", 0.1), ("grey", 0.2)])
    given = ["extract-regions", "--features", "f.h5", "--manifest", manifest, "--videos", videos, *TINY]
    store(place / "g.h5")
    invoke(*given, "--features", "g.h5", code=0)
    made = ImageStore(place / "g.h5")
    parts = ImageParts(place / "f.h5", made.made_by)
    for second in (0.1, 0.2):
        parts.write(("grey", second), made.image("grey", second))
    short, changed = sorted(parts.folder.glob("*.h5"))
    short.write_bytes(short.read_bytes()[:900])
    data = changed.read_bytes()
    place_of = data.index(np.float32(0.75).tobytes())  # of a box: another number, and no longer the sum's
    changed.write_bytes(data[:place_of] + np.float32(0.5).tobytes() + data[place_of + 4 :])
    said = invoke(*given, code=1)
    assert "this part was damaged after it was written, and is removed" in said.err
    said = invoke(*given, code=0)
    assert (place / "f.h5").read_bytes() == (place / "g.h5").read_bytes()
    assert not parts.folder.exists()


@pytest.mark.check
def test_the_backbone_of_the_house(place: Path, invoke: Invoke) -> None:
    cv2.imwrite("strip.png", np.random.default_rng(0).integers(0, 256, (16, 160, 3), np.uint8))  # 100 x 1000 inside
    invoke("extract-regions", "--features", "f.h5", "--images", "strip.png", "--random-weights", code=0)
    images = FeatureStore(place / "f.h5").images
    assert images is not None
    image = images.image("strip", 0.0)
    assert 1 <= len(image.regions) <= 36
    assert (image.regions.shape[1], image.boxes.shape[1], image.whole.shape) == (4096, 4, (512,))
    assert (images.made_by["backbone"], images.made_by["layer"]) == ("vgg16-regions", "fc7")


# ---- what is refused ------------------------------------------------------------------------------------------------


WRONG: dict[str, tuple[list[str], str]] = {
    "neither": ([*TINY], "--manifest and --videos, or --images"),
    "both": (["--manifest", "m", "--videos", ".", "--images", "a.png", *TINY], "--manifest and --videos, or --images"),
    "half": (["--manifest", "m", *TINY], "--manifest and --videos, or --images"),
    "no weights": (["--images", "a.png"], "a backbone needs its weights"),
    "no such weights": (["--images", "a.png", "--weights", "no.pth"], "no.pth: no such file"),
    "clips": (["--images", "a.png", "--backbone", "c3d-fc6", "--random-weights"], "unknown backbone for images"),
    "stranger": (["--images", "a.png", "--backbone", "no.such:Thing", "--random-weights"], "no such backbone"),
    "no images": (["--images", "empty", *TINY], "no images in this folder"),
    "no file": (["--images", "b.png", *TINY], "b.png: no such file"),
    "no queries": (["--manifest", "clips", "--videos", ".", *TINY], "this manifest asks with no images"),
    "no videos": (["--manifest", "m", "--videos", "empty", *TINY], "no videos in this folder"),
    "no device": (["--images", "a.png", "--random-weights", "--device", "cuda:77"], "no such device"),
}


@pytest.mark.quick
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_call(name: str, place: Path, invoke: Invoke) -> None:
    arguments, said = WRONG[name]
    cv2.imwrite("a.png", np.full((20, 30, 3), 90, np.uint8))
    (place / "empty").mkdir()
    asking(place / "m", [("grey", 0.1)])
    tiny.write(place / "clips", [tiny.on_rows("a", (0, 9), (2, 5))], [tiny.on_rows("b", (0, 9), (2, 5))])
    before = (place / "f.h5").read_bytes()
    assert said in invoke("extract-regions", "--features", "f.h5", *arguments, code=2).err
    assert (place / "f.h5").read_bytes() == before
    assert not (place / "f.h5.images.parts").exists()


@pytest.mark.quick
def test_images_that_were_made_otherwise(place: Path, invoke: Invoke) -> None:
    cv2.imwrite("a.png", np.full((20, 30, 3), 90, np.uint8))
    add_images(place / "f.h5", [(("b", 1.0), Image(*map(np.ones, ((1, 3), (1, 4), (3,)))))])  # type: ignore[arg-type]
    said = invoke("extract-regions", "--features", "f.h5", "--images", "a.png", *TINY, code=2)
    assert "these images were made otherwise; found 'not stated'; expected tiny-regions" in said.err
    assert "no such file" in invoke("extract-regions", "--features", "g.h5", "--images", "a.png", *TINY, code=2).err
    said = invoke("extract-regions", "--features", "a.png", "--images", "a.png", *TINY, code=2)
    assert "not an HDF5 file" in said.err

"""Extraction jobs: what each bad video costs, what a kill costs (nothing), and the same bytes however it went."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from activity_bench.data.features import FeatureStore, open_features, parts_folder
from activity_bench.errors import InputError
from activity_bench.features import ledger, projection
from activity_bench.features.ledger import Failure
from activity_bench.features.projection import Account, Projection
from activity_bench.features.worker import Task, units_of
from activity_bench.workflow.extract import Extracted, extract_features
from tests.features.processes import sha256
from tests.features.test_decode_real import BROKEN, FILES, NOT_BY_DECORD
from tests.features.videos import DECODERS, beheaded, heavy, huge, rendered, still

TINY, FRAGILE = "tests.features.tiny:Tiny", "tests.features.tiny:Fragile"
FPS, FRAMES = 10, 40
ROWS = (FRAMES - 16) // 8 + 1
COLOURS = {
    "grey": (90, 90, 90), "dim": (60, 80, 70), "red": (255, 0, 0), "blue": (0, 0, 255), "green": (0, 255, 0),
    "black": (0, 0, 0), "white": (255, 255, 255),
}  # fmt: skip


def render(path: Path, colour: tuple[int, int, int], frames: int = FRAMES) -> None:
    """A video of one colour, whose brightness moves a little."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            picture = np.full((48, 64, 3), colour, np.uint8)
            picture[: 1 + number % 8] //= 2
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good videos, and one for each way in which a worker can fail."""
    folder = tmp_path_factory.mktemp("videos")
    for name, colour in COLOURS.items():
        render(folder / f"{name}.mp4", colour)
    (folder / "nothing.mp4").write_bytes(b"")
    huge(folder / "huge.mp4")
    (folder / "text.avi").write_text("not a video, whatever its name\n" * 50)
    (folder / "readme.txt").write_text("looked at by nobody")
    return folder


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six good videos, some in a folder below."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "below").mkdir()
    for number in range(6):
        render(folder / ("below" if number % 2 else "") / f"v{number}.mp4", (30 * number + 20, 90, 60))
    return folder


@pytest.fixture(scope="module")
def whole(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their features, by two workers."""
    out = tmp_path_factory.mktemp("whole") / "features.h5"
    assert extract(good, out, workers=2).done == 6
    return out


def extract(videos: Path, out: Path, backbone: str = TINY, **options: object) -> Extracted:
    given = {"random_weights": True, "fps": FPS, "stride": 8, "workers": 1, **options}
    return extract_features(videos, backbone, out, **given)  # type: ignore[arg-type]


@pytest.mark.check
def test_each_bad_video_costs_one_line(videos: Path, tmp_path: Path) -> None:
    out, told = tmp_path / "features.h5", []
    found = extract(videos, out, FRAGILE, workers=2, limit=8.0, memory=1000, tell=told.append)
    assert (found.videos, found.done, found.packed) == (10, 2, True)
    assert found.failed == {
        "empty": 1, "failed": 1, "features": 1, "killed": 1, "memory": 1, "not a video": 1, "timeout": 1,
        "too large": 1,
    }  # fmt: skip
    failures = ledger.read(found.ledger)
    assert {name: failure.kind for name, failure in failures.items()} == {
        "nothing": "empty", "black": "failed", "white": "features", "green": "killed", "blue": "memory",
        "text": "not a video", "red": "timeout", "huge": "too large",
    }  # fmt: skip
    assert len(found.ledger.read_text().splitlines()) == len(told) == 8
    assert {name: failure.attempts for name, failure in failures.items()} == dict.fromkeys(failures, 1) | {"green": 2}
    assert "ZeroDivisionError: a fault of the program" in failures["black"].message
    assert failures["red"].seconds >= 8.0
    assert sorted(open_features(out).ids()) == ["dim", "grey"]
    assert not parts_folder(out).exists()


@pytest.mark.check
@pytest.mark.parametrize("decoder", DECODERS)
def test_a_hostile_file_costs_its_limit_and_one_line(decoder: str, tmp_path: Path) -> None:
    """By real decoders: promises of frames without end, pictures that eat memory, and files that are no videos."""
    videos, out = tmp_path / "videos", tmp_path / "features.h5"
    videos.mkdir()
    good, _ = rendered(videos)
    beheaded(good, videos / "cut.mp4", 50)
    still(videos / "still.mkv")
    heavy(videos / "heavy.mp4")
    huge(videos / "huge.avi")
    (videos / "nothing.mp4").write_bytes(b"")
    (videos / "text.mp4").write_text("not a video, whatever its name\n" * 50)
    found = extract(videos, out, workers=2, limit=15.0, memory=400, decoder=decoder)
    assert {name: (failure.kind, failure.attempts) for name, failure in ledger.read(found.ledger).items()} == {
        "cut": ("cut off", 1), "still": ("timeout", 1), "heavy": ("memory", 1), "huge": ("too large", 1),
        "nothing": ("empty", 1), "text": ("not a video", 1),
    }  # fmt: skip
    assert len(found.ledger.read_text().splitlines()) == 6
    assert open_features(out).ids() == [good.stem]


@pytest.mark.check
@pytest.mark.real
@pytest.mark.parametrize("decoder", DECODERS)
def test_every_real_file_has_its_frames_or_its_line(decoder: str, real_data: Path, tmp_path: Path) -> None:
    found = extract(real_data / "videos", tmp_path / "features.h5", decoder=decoder, fps=None, own_rate=True, workers=2)
    assert found.done == len(FILES) == 19
    assert {name: failure.kind for name, failure in ledger.read(found.ledger).items()} == {Path(BROKEN).stem: "corrupt"}
    store = FeatureStore(tmp_path / "features.h5")
    for name, (frames, seconds) in FILES.items():
        video = name if "mmaction2_tests_data_test" in name else Path(name).stem  # two files have that stem
        noted = store.attributes_of(video)
        assert (noted["frames"], noted["decoder"]) == (frames, "pyav" if name in NOT_BY_DECORD else decoder)
        assert frames / noted["fps"] == pytest.approx(seconds, rel=0.03)


@pytest.mark.check
def test_what_failed_waits_until_it_is_asked_for(good: Path, whole: Path, tmp_path: Path) -> None:
    out, videos = tmp_path / "features.h5", tmp_path / "videos"
    shutil.copytree(good, videos)
    (videos / "v0.mp4").write_bytes(b"")
    first = extract(videos, out)
    assert (first.done, first.failed) == (5, {"empty": 1})
    shutil.copy(good / "v0.mp4", videos)
    before = out.read_bytes()
    assert extract(videos, out).failed == {"empty": 1}  # not looked at again
    assert out.read_bytes() == before
    again = extract(videos, out, retry_failed=True)
    assert (again.done, again.failed, again.ledger.exists()) == (6, {}, False)
    assert sha256(out) == sha256(whole)  # added to, or made in one go


@pytest.mark.check
def test_shards_and_workers_change_no_byte(good: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "features.h5"
    shards = [extract(good, out, shard=f"{i}/2") for i in (1, 2)]
    assert [shard.packed for shard in shards] == [False, False]
    assert sum(shard.videos for shard in shards) == 6 > max(shard.videos for shard in shards)
    assert not out.exists()
    with pytest.raises(InputError, match="not finished"):
        open_features(out)
    assert extract(good, out).done == 6
    assert sha256(out) == sha256(whole)


@pytest.mark.check
@pytest.mark.parametrize("packed", [True, False])
def test_a_file_of_another_size_is_extracted_anew(good: Path, whole: Path, tmp_path: Path, packed: bool) -> None:
    """It had not come whole, or was another's, when the job ran first."""
    source, out = tmp_path / "videos", tmp_path / "features.h5"
    shutil.copytree(good, source)
    shutil.copy(source / "below" / "v1.mp4", source / "v0.mp4")
    first = extract(source, out, **({} if packed else {"shard": "1/1"}))
    assert (first.packed, first.notes) == (packed, ())
    shutil.copy(good / "v0.mp4", source)
    second = extract(source, out)
    assert second.notes == ("files of another size than when their features were made, which were made anew: v0",)
    assert sha256(out) == sha256(whole)
    assert extract(source, out).notes == ()


@pytest.mark.check
def test_features_are_those_of_the_frames_and_say_what_made_them(good: Path, whole: Path) -> None:
    import torch

    from activity_bench.features.decode import read
    from tests.features.tiny import Tiny

    store = FeatureStore(whole)
    images = [frame.image for frame in read(good / "v0.mp4", Tiny.look)]
    assert len(images) == FRAMES
    clips = np.stack([np.stack(images[first : first + 16]) for first in range(0, FRAMES - 15, 8)])
    expected = Tiny(None, True, "cpu")(torch.from_numpy(clips)).numpy()
    assert expected.shape == (ROWS, 6)
    np.testing.assert_allclose(store.read("v0"), expected, rtol=1e-6)
    found = store.attributes.as_dict()
    assert [found[name] for name in ("backbone", "layer", "fps", "window", "stride", "decoder")] == [
        "tiny", "moments", FPS, 16, 8, "pyav",
    ]  # fmt: skip
    size = (good / "v0.mp4").stat().st_size
    assert store.attributes_of("v0") == {"bytes": size, "frames": FRAMES, "fps": FPS, "decoder": "pyav"}
    assert store.rows("v0") == store.timing.rows_for(FRAMES / FPS)


@pytest.mark.check
def test_a_projection_is_applied_as_it_would_be_afterwards(good: Path, whole: Path, tmp_path: Path) -> None:
    """The rows, the attributes and the resumed bytes; one of other features is refused before the first video."""
    store = FeatureStore(whole)
    drawn = np.random.Generator(np.random.Philox(key=3))
    made = {name: getattr(store.attributes, name) for name in projection.MADE_OF}
    account = Account(**made, features="f", manifest="m", videos=("a",), rows=9, explained=0.9)
    found = Projection(
        drawn.normal(size=6).astype(np.float32), np.linalg.qr(drawn.normal(size=(6, 6)))[0][:4].astype(np.float32),
        np.ones(4), account,
    )  # fmt: skip
    projection.write(found, tmp_path / "pca.safetensors")
    out = tmp_path / "features.h5"
    extract(good, out, projection=tmp_path / "pca.safetensors")
    projected = FeatureStore(out)
    assert projected.attributes == found.attributes(store.attributes)
    assert (projected.dim, projected.attributes.projection) == (4, found.name)
    for video in store.ids():
        np.testing.assert_allclose(projected.read(video), found(store.read(video)), rtol=1e-4, atol=1e-3)
    projection.write(replace(found, account=replace(account, layer="fc7")), tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="layer: a projection of other features; found 'moments'; expected fc7"):
        extract(good, tmp_path / "other.h5", projection=tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="projection: these features were made otherwise"):
        extract(good, whole, projection=tmp_path / "pca.safetensors")
    assert not (tmp_path / "other.h5").exists()


@pytest.mark.check
def test_half_the_digits_are_noted_and_compiling_is_not(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    render(tmp_path / "videos" / "v.mp4", (90, 60, 40), frames=16)
    made = {}
    for name, options in {"plain": {}, "bf16": {"bf16": True}}.items():
        extract(tmp_path / "videos", tmp_path / f"{name}.h5", "c3d-fc6", **options)
        made[name] = FeatureStore(tmp_path / f"{name}.h5")
    plain, half = (made[name].read("v") for name in ("plain", "bf16"))
    assert [made[name].attributes.layer for name in made] == ["fc6", "fc6, bf16"]
    assert 0 < np.abs(plain - half).mean() < 0.05 * np.abs(plain).mean()
    for options, message in (({"bf16": True}, "chooses its numbers itself"), ({"compile": True}, "no network")):
        with pytest.raises(InputError, match=message):
            extract(tmp_path / "videos", tmp_path / "f.h5", **options)


@pytest.mark.check
@pytest.mark.parametrize(("options", "field"), [({"stride": 16}, "stride"), ({"own_rate": True}, "decoder")])
def test_a_file_made_otherwise_is_not_added_to(good: Path, whole: Path, options: Any, field: str) -> None:
    before = sha256(whole)
    with pytest.raises(InputError, match=f"{field}: these features were made otherwise"):
        extract(good, whole, **options)
    assert sha256(whole) == before
    assert not parts_folder(whole).exists()


@pytest.mark.quick
def test_units_are_the_presets_the_calls_or_the_backbones() -> None:
    def units(reads: int | None = 16, backbone: str = "mine:Mine", **options: Any) -> tuple[float | None, int, int]:
        found = units_of(Task("out", backbone, **options), reads)
        return found.fps, found.window, found.stride

    assert units(backbone="c3d-fc6") == (25.0, 16, 8)
    assert units(backbone="c3d-fc6", units="c3d-nonoverlap", fps=30.0) == (30.0, 16, 16)
    assert units(backbone="i3d-rgb", stride=4) == (25.0, 16, 4)
    assert units() == (25.0, 16, 16)
    assert units(None, window=32) == (25.0, 32, 32)
    with pytest.raises(InputError, match="another length; found 8; expected 16"):
        units_of(Task("out", "mine:Mine", window=8), 16)
    with pytest.raises(InputError, match="no units of its own"):
        units(None)


# ---- the ledger -----------------------------------------------------------------------------------------------------


@pytest.mark.quick
def test_a_line_that_was_cut_short_is_no_line(tmp_path: Path) -> None:
    path = tmp_path / "x.failures.jsonl"
    first, second = (
        Failure("a", "timeout", "ä\udc80".encode("utf-8", "replace").decode(), 1, 2.0),
        Failure("b", "empty", "", 2, 0.5),
    )
    ledger.add(path, first)
    with path.open("ab") as stream:
        stream.write(second.line()[:20])
    assert ledger.read(path) == {"a": first}
    ledger.add(path, second)
    assert ledger.read(path) == {"a": first, "b": second}
    ledger.add(path, Failure("a", "timeout", "", 2, 2.0))
    assert ledger.read(path)["a"].attempts == 2
    ledger.replace(path, {"b": second})
    assert path.read_bytes() == second.line()
    ledger.replace(path, {})
    assert not path.exists()
    assert ledger.read(path) == {}

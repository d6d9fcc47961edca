"""Decoding: made files whose every frame and time is known, by each decoder; files that are none, and why."""

from __future__ import annotations

import bisect
import pickle
import resource
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.errors import InputError
from activity_bench.features.decode import Frame, Look, Undecodable, read, resampled, stated
from activity_bench.features.frames import KINDS, Clock, Shown
from activity_bench.simulation.clips import ODD_ONE, VARIABLE
from activity_bench.simulation.clips_drawing import frames as drawn
from tests.features import videos
from tests.features.videos import DECODERS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


def images(path: Path, look: Look = Look(), decoder: str = "pyav") -> np.ndarray:  # noqa: B008
    return np.stack([frame.image for frame in read(path, look, decoder)])


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def differ(one: np.ndarray, other: np.ndarray) -> int:
    """By how much two pictures or stacks of them differ at most."""
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


# ---- frames and times -----------------------------------------------------------------------------------------------


@pytest.mark.check
@pytest.mark.parametrize("number", [0, VARIABLE, ODD_ONE])
@pytest.mark.parametrize("decoder", DECODERS)
def test_every_frame_at_its_time(folder: Path, number: int, decoder: str) -> None:
    """Those that were planned and drawn; encoding loses at most 3 % of the range in the mean of a frame."""
    path, clip = videos.rendered(folder, number)
    reading = read(path, decoder=decoder)
    found = list(reading)
    assert (reading.decoder, reading.count) == (decoder, len(clip.ticks) - 1)
    assert reading.fps == pytest.approx((len(clip.ticks) - 1) / clip.seconds(-1))
    assert [frame.time for frame in found] == pytest.approx([clip.seconds(k) for k in range(len(found))], abs=1e-5)
    for (_, image), picture in zip(found, drawn(clip, 0), strict=True):
        assert image.flags.c_contiguous and image.dtype == np.uint8
        assert np.abs(image.astype(int) - picture).mean() < 0.03 * 255
    facts = stated(path)
    assert (facts.width, facts.height, facts.codec, facts.rotation) == (clip.width, clip.height, "h264", 0)
    assert facts.duration == pytest.approx(clip.seconds(-1))


@pytest.mark.check
def test_the_decoders_give_the_same_pixels(folder: Path) -> None:
    """To the byte, scaled or not, cropped or not, turned or not."""
    path, _ = videos.rendered(folder)
    turned = videos.remuxed(path, folder / "quarter.mp4", "mp4", (0, 1, -1, 0))
    for decoder in DECODERS[1:]:
        c3d = Look((171, 128), 112)
        for look in (Look(), Look(112), c3d, Look((171, 128), 112, 10.0), c3d.squeezed()):
            for file in (path, turned):
                assert differ(images(file, look), images(file, look, decoder)) == 0


@pytest.mark.quick
def test_a_whole_picture_in_the_place_of_a_crop() -> None:
    assert Look((171, 128), 112, 25.0).squeezed() == Look((112, 112), None, 25.0)
    with pytest.raises(InputError, match="nothing is cropped here"):
        Look(112).squeezed()


@pytest.mark.check
@pytest.mark.parametrize("fps", [25.0, 7.3, 60.0, 240.0])
def test_a_variable_rate_is_resampled_by_time(folder: Path, fps: float) -> None:
    """Frame k is the one planned to be shown at k / fps, from the first to the end of the video."""
    path, clip = videos.rendered(folder, VARIABLE)
    own, found = images(path, Look(64)), list(read(path, Look(64, fps=fps)))
    starts = [clip.seconds(k) for k in range(len(clip.ticks) - 1)]
    assert len(found) == np.ceil((clip.seconds(-1) - 1e-3) * fps)
    for k, (time, image) in enumerate(found):
        assert time == k / fps
        assert differ(image, own[bisect.bisect_right(starts, k / fps + 1e-3) - 1]) == 0


@pytest.mark.check
def test_times_that_a_container_rounds(folder: Path) -> None:
    """Matroska keeps milliseconds: 24 frames a second start at 0, 42, 83 ms, and a half of them are every other one."""
    path, clip = videos.rendered(folder, 4)
    assert clip.rate == 24
    rounded = videos.remuxed(path, folder / "rounded.mkv", "matroska")
    own = images(path, Look(32))
    assert differ(images(rounded, Look(32, fps=24.0)), own) == 0
    for decoder in DECODERS:
        assert differ(images(rounded, Look(32, fps=12.0), decoder), own[::2]) == 0


@pytest.mark.quick
@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.sampled_from([1.0, 9.7, 25.0, 30.0]))
def test_resampling_is_asking_at_each_instant(lasts: list[int], fps: float) -> None:
    """Against asking every k / fps which of the frames, of so many hundredths each, is shown; each is made once."""
    starts = [sum(lasts[:k]) / 100 for k in range(len(lasts) + 1)]
    made: list[int] = []

    def picture(k: int) -> np.ndarray:
        made.append(k)
        return np.array([[[k] * 3]], np.uint8)

    def picture_of(k: int) -> object:
        return lambda: picture(k)

    shown = [Shown(starts[k], lasts[k] / 100, picture_of(k)) for k in range(len(lasts))]  # type: ignore[arg-type]
    found = list(resampled(shown, fps, Path("x")))
    expected = [0]
    while len(expected) / fps < starts[-1] - 1e-3:
        expected.append(bisect.bisect_right(starts, len(expected) / fps + 1e-3) - 1)
    assert [int(frame.image[0, 0, 0]) for frame in found] == expected
    assert made == sorted(set(expected))


@pytest.mark.quick
def test_the_clock_starts_at_0_and_never_goes_back() -> None:
    """A late start, a stamp missing, one doubled, and another recording behind the first."""
    clock = Clock(0.1, 0.2)
    stamps = [83, 85, None, 89, 89, 88, 73, 75, 77]
    assert [clock.at(stamp) for stamp in stamps] == pytest.approx([0, 0.2, 0.4, 0.6, 0.6, 0.6, 0.8, 1.0, 1.2])
    assert [Clock(1.0, 0.5).at(None)] == [0.0]


@pytest.mark.check
def test_a_late_start_is_removed(folder: Path) -> None:
    path, clip = videos.rendered(folder)
    for container in ("mp4", "matroska", "mpegts"):
        late = videos.remuxed(path, folder / f"late.{container}", container, late=10 * clip.tick.denominator)
        for decoder in DECODERS:
            found = list(read(late, Look(32), decoder))
            assert [frame.time for frame in found] == pytest.approx(
                [clip.seconds(k) for k in range(len(clip.ticks) - 1)], abs=1e-3
            )


@pytest.mark.check
def test_recordings_one_after_the_other(folder: Path) -> None:
    """A transport stream in whose middle times start anew and further streams begin: no frame is lost."""
    path, clip = videos.rendered(folder)
    first = videos.remuxed(path, folder / "first.ts", "mpegts").read_bytes()
    second = videos.greys(folder / "second.ts", "mpegts", "libx264", sounds=2).read_bytes()
    whole = _written(folder / "whole.ts", first + videos.NULLS * 30 + second + videos.NULLS + first)
    times = [frame.time for frame in read(whole, Look(32))]
    assert times == pytest.approx([k / 25 for k in range(2 * (len(clip.ticks) - 1) + 10)], abs=1e-3)


@pytest.mark.check
def test_a_title_in_another_encoding(folder: Path) -> None:
    path = videos.greys(folder / "title.mp4", "mp4", "libx264", title="Mannchen")
    path.write_bytes(path.read_bytes().replace(b"Mannchen", "Männchen".encode("latin-1")))
    assert len(images(path)) == 10


# ---- which pictures, and how they look ------------------------------------------------------------------------------

MATRICES = {  # a b c d: stored x goes to (a, b), stored y to (c, d), with y downwards
    "right": ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    "left": ((0, -1, 1, 0), lambda image: np.rot90(image)),
    "upside down": ((-1, 0, 0, -1), lambda image: image[::-1, ::-1]),
    "mirror": ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
    "in water": ((1, 0, 0, -1), lambda image: image[::-1]),
    "transposed": ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
    "anti-transposed": ((0, -1, -1, 0), lambda image: image[::-1, ::-1].transpose(1, 0, 2)),
}
ROTATIONS = {"right": -90, "left": 90, "upside down": -180}


@pytest.mark.check
@pytest.mark.parametrize("name", MATRICES)
def test_a_rotation_is_applied(folder: Path, name: str) -> None:
    """Whatever the matrix beside the pictures says; decord knows rotations, but no mirrors."""
    path, _ = videos.rendered(folder)
    matrix, turn = MATRICES[name]
    turned = videos.remuxed(path, folder / f"{name}.mp4", "mp4", matrix)
    upright = images(path)[::40]
    for decoder in DECODERS if name in ROTATIONS else DECODERS[:1]:
        found = images(turned, Look(), decoder)[::40]
        assert all(differ(one, turn(other)) == 0 for one, other in zip(found, upright, strict=True))
    if name in ROTATIONS:
        assert stated(turned).rotation == ROTATIONS[name]
    assert images(turned, Look(60, 60)).shape[1:] == (60, 60, 3)


@pytest.mark.check
@pytest.mark.parametrize("decoder", DECODERS)
def test_sizes_and_crops(folder: Path, decoder: str) -> None:
    path, clip = videos.rendered(folder, 5)
    assert (clip.width, clip.height) == (120, 160)
    assert images(path, Look(60), decoder).shape[1:] == (80, 60, 3)
    assert images(path, Look((50, 40)), decoder).shape[1:] == (40, 50, 3)
    whole, middle = images(path, Look((50, 40)), decoder), images(path, Look((50, 40), 33), decoder)
    assert differ(middle, whole[:, 3:36, 8:41]) == 0


@pytest.mark.quick
def test_looks_that_are_none() -> None:
    for wrong in ({"size": 0}, {"size": (64, 0)}, {"crop": 1 << 16}, {"fps": 0.0}, {"fps": float("nan")},
                  {"size": (64, 48), "crop": 49}):  # fmt: skip
        with pytest.raises(InputError, match=next(reversed(wrong))):
            Look(**wrong)  # type: ignore[arg-type]


@pytest.mark.check
def test_a_cover_picture_is_no_video(folder: Path) -> None:
    path = videos.greys(folder / "cover.mp4", "mp4", "libx264", cover=True)
    assert len(images(path)) == 10
    assert stated(path).width == 64


@pytest.mark.check
def test_what_decord_reads_wrongly_goes_to_pyav(folder: Path) -> None:
    """Transport and programme streams; the record says so."""
    path, clip = videos.rendered(folder)
    stream = videos.remuxed(path, folder / "stream.ts", "mpegts")
    programme = videos.greys(folder / "programme.mpg", "mpeg", "mpeg2video")
    for file, count in ((stream, len(clip.ticks) - 1), (programme, 10)):
        reading = read(file, decoder="decord")
        assert len(list(reading)) == reading.count == count
        assert (reading.decoder, reading.decoder_version) == ("pyav", read(path).decoder_version)


# ---- files that are none --------------------------------------------------------------------------------------------


PROSE, LIST, SCRIPT = b"once upon a time\n" * 99, b"#EXTM3U\n#EXTINF:9,\n%b\n", b"ffconcat version 1.0\nfile '%b'\n"
BROKEN = {
    "missing": ("unreadable", lambda at, good: at / "nowhere.mp4"),
    "nothing": ("empty", lambda at, good: _written(at / "empty.mp4", b"")),
    "text": ("not a video", lambda at, good: _written(at / "text.mp4", PROSE)),
    "text that FFmpeg would draw": ("not a video", lambda at, good: _written(at / "a.txt", PROSE)),
    "a playlist": ("not a video", lambda at, good: _written(at / "l.m3u8", LIST % good.name.encode())),
    "a script": ("not a video", lambda at, good: _written(at / "s.mp4", SCRIPT % good.name.encode())),
    "no head": ("not a video", lambda at, good: _written(at / "half.mp4", good.read_bytes()[:40_000])),
    "sound": ("no video stream", lambda at, good: videos.sound(at / "sound.mp4")),
    "huge": ("too large", lambda at, good: videos.huge(at / "huge.avi")),
    "a folder": ("not a video", lambda at, good: at),
}  # fmt: skip


@pytest.mark.check
@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_no_video_is_refused_with_its_kind(folder: Path, name: str) -> None:
    """By name, in little memory, and the error crosses processes."""
    good, _ = videos.rendered(folder)
    kind, make = BROKEN[name]
    path = make(folder, good)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for decoder in DECODERS:
        with pytest.raises(Undecodable, match=path.name) as caught:
            list(read(path, decoder=decoder))
        assert caught.value.kind == kind in KINDS
        again = pickle.loads(pickle.dumps(caught.value))
        assert (str(again), again.kind, again.file) == (str(caught.value), kind, path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # in KB


@pytest.mark.check
def test_limits_of_size(folder: Path) -> None:
    """Of the header, of a stream without one, and of a crop that the picture does not hold."""
    good, _ = videos.rendered(folder)
    for path in (good, videos.greys(folder / "p.mpg", "mpeg", "mpeg2video")):
        with pytest.raises(Undecodable, match="too large"):
            list(read(path, most_pixels=1000))
        for decoder in DECODERS:
            with pytest.raises(Undecodable, match="too small"):
                list(read(path, Look(crop=121), decoder))


@pytest.mark.check
@pytest.mark.parametrize("fps", [None, 25.0])
def test_a_file_that_was_cut_gives_what_it_has_and_then_says_so(folder: Path, fps: float | None) -> None:
    """The head promises more frames than there are: those that are there come, counted by decoding."""
    good, clip = videos.rendered(folder)
    assert clip.rate == 25
    cut = videos.beheaded(good, folder / "cut.mp4", 100)
    reading = read(cut, Look(64, fps=fps))
    found: list[Frame] = []
    with pytest.raises(Undecodable, match="cut off") as caught:
        found.extend(reading)
    assert (caught.value.kind, len(found), reading.count) == ("cut off", 100, 100)
    with pytest.raises(Undecodable, match="no frames"):
        list(read(videos.beheaded(good, folder / "head.mp4", 0)))
    assert differ(np.stack([frame.image for frame in found]), images(good, Look(64))[:100]) == 0


@pytest.mark.check
def test_decoders_that_are_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = videos.rendered(folder)
    with pytest.raises(InputError, match="Did you mean 'decord'"):
        read(path, decoder="decrod")
    for name, said in (("torchcodec", "does not load.*--decoder auto"), ("decord", r"activity-bench\[video\]")):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(InputError, match=said) as caught:
            read(path, decoder=name)
        assert not isinstance(caught.value, Undecodable)  # of the machine, not of the file
    monkeypatch.setattr(av, "__version__", "16.1.0")
    with pytest.raises(InputError, match=r"too old.*17\.1"):
        read(path)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r"activity-bench\[video\]"):
        read(path)

"""Cutting: the frames of a stretch and their times, whatever the container; single pictures; names that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from activity_bench.errors import InputError
from activity_bench.features.cut import cut, small, stills
from activity_bench.features.decode import Frame, Look, read, stated
from activity_bench.simulation.clips import ClipsOptions, encode, plan
from tests.features.videos import greys, remuxed

FIRST = 52  # frame behind a second key frame: they are 50 apart
LOSSY = 4.0  # of 255, in the mean: h264 at its best is not the same bytes


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rendered clip whose frames last one to four ticks, few of them."""
    path = tmp_path_factory.mktemp("cut") / "variable.mp4"
    path.write_bytes(encode(plan(ClipsOptions())[1], 0))
    return path


def alike(found: list[Frame], wanted: list[Frame], start: float, tick: float = 1e-4) -> None:
    assert len(found) == len(wanted) > 0
    for one, other in zip(found, wanted, strict=True):
        assert one.time == pytest.approx(max(other.time - start, 0), abs=tick)
        assert np.abs(one.image.astype(int) - other.image).mean() < LOSSY


@pytest.mark.quick
@pytest.mark.parametrize("end", ["mp4", "mov", "mkv"])
def test_a_cut_has_the_very_frames_at_their_times(video: Path, tmp_path: Path, end: str) -> None:
    frames = list(read(video))
    start, until = frames[FIRST].time, frames[FIRST + 12].time
    out = tmp_path / f"cut.{end}"
    assert cut(video, start, until, out) == 12
    alike(
        list(read(out)), frames[FIRST : FIRST + 12], start, 2e-3 if end == "mkv" else 1e-4
    )  # Matroska rounds to a millisecond
    assert stated(out).duration == pytest.approx(until - start, abs=2e-3)


@pytest.mark.quick
def test_a_frame_that_is_on_the_screen_is_the_first(video: Path, tmp_path: Path) -> None:
    frames = list(read(video))
    start, until = (frames[3].time + frames[4].time) / 2, (frames[5].time + frames[6].time) / 2
    assert cut(video, start, until, tmp_path / "cut.mp4") == 3
    found = list(read(tmp_path / "cut.mp4"))
    alike(found, frames[3:6], start)
    assert stated(tmp_path / "cut.mp4").duration == pytest.approx(until - start, abs=1e-4)


@pytest.mark.quick
@pytest.mark.parametrize(("container", "end"), [("mpegts", "ts"), ("matroska", "mkv"), ("flv", "flv")])
def test_other_containers_are_cut_alike(video: Path, tmp_path: Path, container: str, end: str) -> None:
    constant = tmp_path / "constant.mp4"
    constant.write_bytes(encode(plan(ClipsOptions())[0], 0))
    source = remuxed(constant, tmp_path / f"video.{end}", container)
    frames = list(read(source))
    start, until = frames[60].time, frames[66].time
    assert cut(source, start, until, tmp_path / "cut.mp4") == 6
    alike(list(read(tmp_path / "cut.mp4")), frames[60:66], start, 1.5e-3)


@pytest.mark.quick
def test_a_turned_video_with_odd_sides_is_cut_upright(tmp_path: Path) -> None:
    odd = tmp_path / "odd.mp4"
    odd.write_bytes(encode(plan(ClipsOptions())[2], 0))  # 161 x 121
    turned = remuxed(odd, tmp_path / "turned.mp4", "mp4", (0, 1, -1, 0))
    cut(turned, 0.5, 1.0, tmp_path / "cut.mp4")
    found = stated(tmp_path / "cut.mp4")
    assert (found.width, found.height, found.rotation) == (120, 160, 0)
    wanted = list(read(turned, Look(size=(120, 160))))
    first = next(k for k, frame in enumerate(wanted) if frame.time > 0.5 - 1e-3)
    assert np.abs(next(read(tmp_path / "cut.mp4")).image.astype(int) - wanted[first].image).mean() < LOSSY


@pytest.mark.quick
def test_a_still_is_the_picture_that_is_shown_then(tmp_path: Path) -> None:
    path = greys(tmp_path / "greys.mkv", "matroska", "mpeg4", count=10)  # 20 brighter each, 25 a second
    found = stills(path, [0.0, 0.13, 99.0])
    for number, data in enumerate(found):
        assert data.startswith(b"\xff\xd8\xff")
        (tmp_path / f"{number}.mjpeg").write_bytes(data)
    from activity_bench.features.images import read_image

    shades = [float(read_image(tmp_path / f"{number}.mjpeg").mean()) for number in range(3)]
    np.testing.assert_allclose(shades, [0, 60, 180], atol=4)


@pytest.mark.quick
@pytest.mark.parametrize(("height", "width", "wanted"), [(1000, 501, (240, 120)), (30, 41, (30, 40)), (1, 9, (2, 8))])
def test_a_still_is_small(tmp_path: Path, height: int, width: int, wanted: tuple[int, int]) -> None:
    from activity_bench.features.images import read_image

    (tmp_path / "a.jpg").write_bytes(small(np.full((height, width, 3), 99, np.uint8)))
    assert read_image(tmp_path / "a.jpg").shape[:2] == wanted


@pytest.mark.quick
def test_names_and_stretches_that_are_none(video: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown container; found '\.gif'.*\.mp4"):
        cut(video, 0.0, 1.0, tmp_path / "a.gif")
    with pytest.raises(InputError, match="no frame is shown then; found \\[500"):
        cut(video, 500.0, 501.0, tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.check
@pytest.mark.real
def test_real_videos_are_cut_to_the_frame(real_data: Path, tmp_path: Path) -> None:
    names = ("torchcodec_discard_first_keyframe.mp4", "torchcodec_test_non_zero_start.mp4", "decord_video_180.mov",
             "torchcodec_av1_video.mkv", "mmaction2_tests_data_test.avi", "torchcodec_h265_video.mp4")  # fmt: skip
    for name in names:
        path = real_data / "videos" / name
        frames = list(read(path))
        first, last = len(frames) // 3, max(2 * len(frames) // 3, 1)
        end = frames[last].time if last < len(frames) else 1e9
        out = tmp_path / f"{name}.mp4"
        cut(path, frames[first].time, end, out)
        found = list(read(out))
        assert len(found) == last - first, name
        times = [frame.time - frames[first].time for frame in frames[first:last]]
        np.testing.assert_allclose([frame.time for frame in found], times, atol=1e-4, err_msg=name)

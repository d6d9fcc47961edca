"""Decoding of real files: twenty of nine codecs and containers, by each decoder, and memory that stays flat."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from activity_bench.features.decode import Frame, Look, Undecodable, read, stated
from tests.conftest import data_folder
from tests.features.videos import DECODERS

pytestmark = [pytest.mark.check, pytest.mark.real]

# Frames as ffmpeg counts them, and the stated seconds of the video stream, or else of the file.
FILES = {
    "crop_video_test_0000946.mp4": (834, 27.8), "crop_video_validation_0000949.mp4": (606, 20.2),
    "decord_flipping_a_pancake.mkv": (310, 10.381), "decord_unordered.mov": (4, 0.125),
    "decord_video_180.mov": (3, 0.1), "mmaction2_demo_demo.mp4": (280, 10.0),
    "mmaction2_demo_demo_skeleton.mp4": (72, 2.566667), "mmaction2_demo_test_video_structuralize.mp4": (300, 10.01),
    "mmaction2_tests_data_test.avi": (164, 6.56), "mmaction2_tests_data_test.mp4": (300, 10.0),
    "torchcodec_av1_video.mkv": (125, 5.0), "torchcodec_discard_first_keyframe.mp4": (25, 1.0),
    "torchcodec_h265_video.mp4": (10, 1.0), "torchcodec_nasa_13013.mp4": (390, 13.013),
    "torchcodec_test_non_zero_start.mp4": (12, 0.4), "torchcodec_testsrc2_vp9.webm": (30, 1.0),
    "v_BaseballPitch_g01_c01.avi": (107, 3.570233), "v_GGSY1Qvo990.mp4": (355, 18.043833),
    "v_ZNVhz7ctTq0.mp4": (420, 14.0),
}  # fmt: skip
BROKEN = "decord_corrupted.mp4"
NOT_BY_DECORD = {"torchcodec_av1_video.mkv", "torchcodec_discard_first_keyframe.mp4"}
SMALL = Look((171, 128), 112)


def file(name: str) -> Path:
    folder = data_folder()
    assert folder
    return folder / "videos" / name


def test_no_file_is_left_out() -> None:
    assert {path.name for path in file(".").iterdir()} == {*FILES, BROKEN}


@pytest.mark.parametrize("name", FILES)
def test_frames_and_durations(name: str) -> None:
    """By each decoder the same frames, to the byte, at the same times; counted by decoding."""
    path, (count, seconds) = file(name), FILES[name]
    assert stated(path).duration == pytest.approx(seconds, abs=1e-5)
    reading = read(path, SMALL)
    ours = list(reading)
    assert (reading.decoder, reading.count, len(ours)) == ("pyav", count, count)
    times = [frame.time for frame in ours]
    assert times == sorted(set(times)) and times[0] == 0
    assert times[-1] < seconds
    for decoder in DECODERS[1:]:
        reading = read(path, SMALL, decoder)
        theirs = list(reading)
        assert reading.decoder == ("pyav" if name in NOT_BY_DECORD else decoder)
        assert [frame.time for frame in theirs] == pytest.approx(times, abs=1e-5)
        differences = [np.abs(a.image.astype(int) - b.image) for a, b in zip(ours, theirs, strict=True)]
        if name == "torchcodec_h265_video.mp4":  # its 128 lines stay 128
            assert max(difference.mean() for difference in differences) < 1
        else:
            assert max(difference.max() for difference in differences) == 0


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_corrupt_file_gives_what_decodes(decoder: str) -> None:
    reading, found = read(file(BROKEN), Look(112), decoder), list[Frame]()
    with pytest.raises(Undecodable, match=BROKEN) as caught:
        found.extend(reading)
    assert (caught.value.kind, reading.count) == ("corrupt", len(found))
    assert len(found) == 28 if decoder == "pyav" else len(found) <= 28  # decord stops where its reading ahead failed


def test_edit_list_late_start_and_six_streams() -> None:
    """Frames before the edit list's start are left out; 8.3 s is where the first is; the larger default stream."""
    cut = stated(file("torchcodec_discard_first_keyframe.mp4"))
    assert cut.trimmed
    times = [frame.time for frame in read(file("torchcodec_test_non_zero_start.mp4"))]
    assert times == pytest.approx([k / 30 for k in range(12)])
    chosen = stated(file("torchcodec_nasa_13013.mp4"))
    assert (chosen.stream, chosen.width, chosen.height) == (3, 480, 270)


def test_a_variable_rate_at_25() -> None:
    """72 frames in 2.567 s, some shown twice as long as others: 65 instants."""
    path = file("mmaction2_demo_demo_skeleton.mp4")
    own = list(read(path, Look(112)))
    lasting = np.diff([frame.time for frame in own])
    assert lasting.max() > 1.9 * lasting.min()
    found = list(read(path, Look(112, fps=25.0)))
    assert len(found) == 65
    for k, frame in enumerate(found):
        expected = max(i for i, other in enumerate(own) if other.time <= k / 25 + 1e-3)
        assert np.array_equal(frame.image, own[expected].image)


MEMORY = """
import sys
from itertools import islice
from pathlib import Path
from activity_bench.features.decode import Look, read

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

path, start, videos, frames = Path(sys.argv[1]), *map(int, sys.argv[2:])
count = 0
for _ in range(videos):
    for _ in islice(read(path, Look(720)), frames):
        count += 1
        if count == start:
            before = resident()
print(count, resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("name", "start", "videos", "frames"), [("v_ZNVhz7ctTq0.mp4", 20, 1, 420), (BROKEN, 20, 30, 4)]
)
def test_memory_is_flat(
    name: str, start: int, videos: int, frames: int, environment: Callable[..., dict[str, str]]
) -> None:
    """400 further frames of 2 MB each, or 25 further videos, cost less than ten such frames."""
    argv = [sys.executable, "-c", MEMORY, str(file(name)), *map(str, (start, videos, frames))]
    done = subprocess.run(argv, env=environment(), capture_output=True, encoding="utf-8", check=True)
    count, grown = map(int, done.stdout.split())
    assert count == videos * frames
    assert grown < 10 * 960 * 720 * 3

"""Pictures by way of a process: the right ones, and what a file costs in which that process hangs or dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

from activity_bench.features.decode import Look, read
from activity_bench.features.frames import Frame, Undecodable
from activity_bench.features.stills import Missing, Reader, frames_at
from tests.features.videos import beheaded, rendered

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("fps", [2.0, 10.0, 24.0, 30.0])
def test_a_frame_is_the_one_that_is_shown_at_its_second(fps: float, tmp_path: Path) -> None:
    path, _ = rendered(tmp_path)
    expected = [frame for frame in read(path, Look(fps=fps)) if frame.time < 2]
    found = list(frames_at(path, [time for time, _ in expected]))
    assert len(found) == len(expected) > 3
    for picture, (_, image) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(picture, image)


def test_a_video_that_is_cut_off_gives_what_it_has(tmp_path: Path) -> None:
    path, _ = rendered(tmp_path)
    cut = beheaded(path, tmp_path / "cut.mp4", packets=30)
    shown = max(frame.time for frame in frames_of(cut))
    early, late, later = frames_at(cut, [0.3, shown + 0.2, shown + 0.5])
    np.testing.assert_array_equal(early, next(frames_at(path, [0.3])))  # type: ignore[arg-type]
    assert isinstance(late, Undecodable) and late is later  # within a second of its last frame, which is not its end
    assert late.kind in ("cut off", "corrupt")


def frames_of(path: Path) -> Iterator[Frame]:
    with suppress(Undecodable):
        yield from read(path)


def test_several_files_by_one_process(tmp_path: Path) -> None:
    path, grey = rendered(tmp_path)[0], np.full((20, 30, 3), 90, np.uint8)
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    with Reader(60) as reader:
        first, second = reader.read(path, [0.5, 0.5])
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, next(frames_at(path, [0.5])))  # type: ignore[arg-type]
        process = reader._process
        assert list(reader.read(tmp_path / "no.mp4", [1.0, 2.0]))[1] == Missing(
            "unreadable", f"{tmp_path}/no.mp4: unreadable: No such file or directory"
        )
        (image,) = reader.read(tmp_path / "grey.png")
        np.testing.assert_array_equal(image, grey)  # type: ignore[arg-type]
        assert reader._process is process
    assert process is not None and process.poll() is not None


def test_a_file_that_hangs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hangs.png")  # nobody writes: whoever opens it waits
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((20, 30, 3), 90, np.uint8))
    with Reader(60) as reader:
        (before,) = reader.read(tmp_path / "grey.png")  # its process is ready now: what follows is no slow start
        reader._limit = 0.5
        assert list(reader.read(tmp_path / "hangs.png")) == [Missing("timeout", "no picture within 0.5 seconds")]
        reader._limit = 60
        (after,) = reader.read(tmp_path / "grey.png")
        np.testing.assert_array_equal(before, after)  # type: ignore[arg-type]


def test_a_process_that_dies(tmp_path: Path) -> None:
    path, _ = rendered(tmp_path)
    with Reader(60) as reader:
        expected = list(reader.read(path, [0.5]))
        assert reader._process is not None
        reader._process.send_signal(signal.SIGSEGV)
        said = "the process that reads pictures was ended by SIGSEGV"
        assert list(reader.read(path, [0.5, 1.0])) == [Missing("killed", said)] * 2
        np.testing.assert_array_equal(list(reader.read(path, [0.5])), expected)

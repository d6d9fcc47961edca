"""Units: the clips that are cut out of frames, against slicing all of them, and their number against the timing's."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.data.features import Timing
from activity_bench.errors import InputError
from activity_bench.features.units import PRESETS, Units, batches

pytestmark = pytest.mark.quick


def numbered(count: int) -> Iterator[np.ndarray]:
    return (np.full((1, 2, 3), k, np.uint8) for k in range(count))


def plain(count: int, units: Units) -> list[list[int]]:
    """Which frames each clip has, by slicing a list of all."""
    found, start = [], 0
    while start + units.window <= count:
        found.append(list(range(start, start + units.window)))
        start += units.stride
    covered = found[-1][-1] + 1 if found else 0
    if not found or (units.tail == "pad" and covered < count and start < count):
        some = list(range(start, count))
        found.append(some + some[-1:] * (units.window - len(some)))
    return found


@given(st.integers(1, 80), st.integers(1, 20), st.integers(1, 20), st.sampled_from(["pad", "drop"]), st.integers(1, 5))
def test_clips_are_slices_of_all_frames(count: int, window: int, stride: int, tail: str, size: int) -> None:
    units = Units(None, window, stride, tail)  # type: ignore[arg-type]
    found = [batch.copy() for batch in batches(numbered(count), units, size)]
    expected = plain(count, units)
    assert [clip[:, 0, 0, 0].tolist() for batch in found for clip in batch] == expected
    assert {batch.shape[1:] for batch in found} == {(window, 1, 2, 3)}
    assert [len(batch) for batch in found[:-1]] == [size] * ((len(expected) - 1) // size)
    assert units.rows_for(count) == len(expected)
    whole = Timing(25.0, window, stride).rows_for(count / 25)
    assert len(expected) - whole in ((0, 1) if tail == "pad" else (0,))


def test_no_more_than_a_window_is_held() -> None:
    """The first batch is there when its last frame is; frames are let go once they are in their clips."""
    seen = []

    def watched() -> Iterator[np.ndarray]:
        for frame in numbered(60):
            seen.append(weakref.ref(frame))
            yield frame

    stream = batches(watched(), Units(None, 16, 8), 2)
    first = next(stream)
    assert len(seen) == 24
    assert first[1, :, 0, 0, 0].tolist() == list(range(8, 24))
    second = next(stream)
    assert len(seen) == 40
    assert sum(frame() is not None for frame in seen) == 16
    assert second is first  # its memory is used again
    assert second[1, :, 0, 0, 0].tolist() == list(range(24, 40))


def test_no_frames_no_clips_and_units_that_are_none() -> None:
    assert list(batches(numbered(0), Units(), 2)) == []
    assert {name: (units.fps, units.window, units.stride) for name, units in PRESETS.items()} == {
        "c3d": (None, 16, 8), "c3d-nonoverlap": (None, 16, 16), "i3d": (25.0, 16, 16),
    }  # fmt: skip
    for wrong in ({"window": 0}, {"stride": 0}, {"fps": 0.0}, {"fps": float("nan")}, {"tail": "padd"}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            Units(**wrong)  # type: ignore[arg-type]

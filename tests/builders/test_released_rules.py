"""The released geometry in arrays against the same rules in plain Python."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.builders.relocalization.places import Options, released
from activity_bench.types import Instance, Ledger, Video
from tests.reference.released import places

pytestmark = pytest.mark.quick


def video_by(rng: Random, name: str) -> Video:
    """Instances that overlap, touch, share rows, are empty, start before the video and run past its end."""
    instances = []
    for _ in range(rng.choice([0, 1, 1, 2, 3, 5])):
        start = rng.choice([rng.randrange(-8, 90) / 4, rng.uniform(-2, 25)])
        length = rng.choice([0.0, 0.25, 1.0, 4.0, 30.0, rng.uniform(0, 6)])
        instances.append(Instance(start, start + length, rng.choice("abbbb")))
    return Video(name, rng.choice([None, 0.0, 0.1, *[12.0, 20.0, 20.3] * 4]), "training", tuple(instances))


@given(st.integers(0, 10**6), st.integers(1, 32))
def test_as_the_rules_say(seed: int, max_target: int) -> None:
    rng = Random(seed)
    videos = [video_by(rng, f"v{place}") for place in range(rng.randrange(60))]
    counts = {
        video.id: (rng.choice([1, 160, 480, 481, 3000]), rng.randint(1, 40)) for video in videos if rng.random() < 0.9
    }
    ledger, drops, expected = Ledger("instance"), Counter[str](), []
    found = released(videos, counts, Options(max_target=max_target), ledger)
    for video in videos:
        kept, dropped = places(video, counts, max_target)
        expected += kept
        drops += dropped
    assert [(place.video, place.label, place.target, place.window) for place in found] == [row[:4] for row in expected]
    assert ledger.dropped == drops
    assert ledger.kept == len(found)
    assert ledger.mended["clamped to its video"] == sum(row[4] < 0 for row in expected)
    durations = {video.id: video.duration or 0 for video in videos}
    for place in found:
        frames, rows = counts[place.video]
        assert (place.rows, place.step) == (rows, 16 * durations[place.video] / frames)


def test_a_frame_count_beyond_belief_is_past_the_last_row() -> None:
    video = Video("v", 1e-300, "training", (Instance(1e6, 2e6, "a"),))
    ledger = Ledger("instance")
    assert released([video], {"v": (10**18, 5)}, Options(), ledger) == []
    assert ledger.dropped == {"past the last row of its video": 1}

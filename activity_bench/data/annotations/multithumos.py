"""MultiTHUMOS JSON, the compact layout: `{video: {"subset", "duration", "actions": [[class, start, end], …]}}`.

Classes are numbers from 1 here; the other layout names them and is ActivityNet's (`database`, `annotations`). The names
below are the 65 of the data set in the order of its numbers, so that both layouts give the same labels.
"""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from pathlib import Path

import msgspec

from activity_bench.data import canonical
from activity_bench.data.annotations.values import check_id, check_repeats, seconds, subset_of
from activity_bench.data.disk import read_bytes
from activity_bench.errors import InputError
from activity_bench.types import Corpus, Instance, Source, Video

MAX_BYTES = 1 << 28
CLASSES = (
    "BaseballPitch", "BasketballDunk", "Billiards", "CleanAndJerk", "CliffDiving", "CricketBowling", "CricketShot",
    "Diving", "FrisbeeCatch", "GolfSwing", "HammerThrow", "HighJump", "JavelinThrow", "LongJump", "PoleVault",
    "Shotput", "SoccerPenalty", "TennisSwing", "ThrowDiscus", "VolleyballSpiking", "Walk", "Sit", "StandUp",
    "Stand", "Run", "Jump", "Fall", "PickUp", "Hug", "PatPerson", "HighFive", "FistPump", "ClapHands",
    "OneRaisedArmCelebrate", "TwoRaisedArmCelebrate", "Throw", "Drop", "OneHandedCatch", "TwoHandedCatch",
    "BodyRoll", "BodyTurn", "BodyBend", "BodyContract", "Squat", "BasketballDribble", "BasketballPass",
    "BasketballBlock", "BasketballShot", "BasketballGuard", "VolleyballSet", "VolleyballBump", "VolleyballBlock",
    "VolleyballServe", "WeightliftingClean", "WeightliftingJerk", "HammerThrowWindUp", "HammerThrowSpin",
    "HammerThrowRelease", "PoleVaultPlantPole", "ShotPutBend", "DiscusWindUp", "DiscusRelease", "TalkToCamera",
    "CloseUpTalkToCamera", "NoHuman",
)  # fmt: skip
TRAINING = "validation"  # the file calls THUMOS14's validation videos its training subset


class _Video(msgspec.Struct, gc=False):
    subset: str
    duration: float | str
    actions: list[tuple[int, float | str, float | str]]


def read(path: Path) -> Corpus:
    """The corpus of one file in the compact layout."""
    data = read_bytes(path, MAX_BYTES)
    database: dict[str, _Video] = canonical.read_page(data, path, dict[str, _Video])
    check_repeats(data, b'"subset"', len(database), path)
    mended: Counter[str] = Counter()
    videos = tuple(_video(name, video, path, mended) for name, video in database.items())
    source = Source(path.name, len(data), sha256(data).hexdigest())
    return Corpus("multithumos", videos, {}, (source,), dict(sorted(mended.items())))


def _video(name: str, video: _Video, path: Path, mended: Counter[str]) -> Video:
    subset = subset_of(video.subset, path, f"{name:.80}.subset", Counter())
    instances = tuple(
        Instance(
            seconds(start, path, f"{name:.80}.actions[{i}][1]", mended),
            seconds(end, path, f"{name:.80}.actions[{i}][2]", mended),
            _label(number, path, f"{name:.80}.actions[{i}][0]"),
        )
        for i, (number, start, end) in enumerate(video.actions)
    )
    duration = seconds(video.duration, path, f"{name:.80}.duration", mended)
    return Video(check_id(name, path, "video"), duration, TRAINING if subset == "training" else subset, instances)


def _label(number: int, path: Path, field: str) -> str:
    if not 1 <= number <= len(CLASSES):
        raise InputError("no such class", file=path, field=field, found=number, expected=f"1 to {len(CLASSES)}")
    return CLASSES[number - 1]

"""Building for the videos one has: the samples that can be asked, and an account of those that cannot."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from activity_bench import chance
from activity_bench.data.disk import read_bytes
from activity_bench.errors import InputError
from activity_bench.types import Sample

MAX_BYTES = 1 << 28
CUT = re.compile(r".+_\d{6}_\d{6}")  # how Kinetics' clips are called: the video, and the seconds that were cut


def available(path: Path) -> frozenset[str]:
    """Ids of the videos at hand: names in a folder (without ending), rows of a feature store, or lines of a text."""
    if path.is_dir():
        found = {entry.name.partition(".")[0] for entry in path.iterdir()}
    elif path.suffix in {".h5", ".hdf5"}:
        from activity_bench.data.features import open_features  # h5py costs a build 80 ms, and most need none

        found = set(open_features(path).ids())
    else:
        try:
            found = {line.strip() for line in read_bytes(path, MAX_BYTES).decode("utf-8").splitlines()}
        except UnicodeDecodeError:
            raise InputError("not UTF-8 text", file=path, expected="an id a line") from None
    found.discard("")
    if not found:
        raise InputError("no video in it", file=path, expected="videos, a feature store, or an id a line")
    spelt = {name[2:] for name in found if name.startswith("v_")}  # ActivityNet's files
    return frozenset(found | spelt | {name[:-14] for name in found if CUT.fullmatch(name)})


class Coverage:
    """What of the whole benchmark can be asked with the videos at hand. Ids, pairs and times are those of the whole."""

    def __init__(self, videos: frozenset[str] = frozenset()) -> None:
        self.videos = videos
        self.asked: dict[str, Counter[str]] = {}
        self.had: dict[str, Counter[str]] = {}
        self.missing: dict[str, set[str]] = {}

    def only(self, samples: Iterable[tuple[str, Sample]]) -> Iterator[tuple[str, Sample]]:
        """The samples whose video and query are at hand."""
        for split, sample in samples:
            labels, absent = sample.classes(), self.absent(split, sample)
            for counter in (self.asked, self.had)[: 1 if absent else 2]:
                counter.setdefault(split, Counter()).update(labels)
                counter[split][""] += 1  # all of them, whatever their class
            self.missing.setdefault(split, set()).update(absent)
            if not absent:
                yield split, sample
        if not self.had:
            raise InputError("none of these videos can ask a sample", field="--available",
                             found=sorted(self.videos)[:5], expected="ids of this benchmark's videos")  # fmt: skip

    def absent(self, split: str, sample: Sample) -> set[str]:
        """The videos that a sample wants and that are not at hand."""
        return {name for name in (sample.video.id, sample.query.video) if name is not None} - self.videos

    def as_dict(self) -> dict[str, Any]:
        """Have and asked per split and class, for the provenance. Complete when the samples have gone by."""
        return {
            split: {
                "samples": asked[""],
                "have": self.had.get(split, Counter())[""],
                "missing videos": len(self.missing[split]),
                "classes": {
                    label: [self.had.get(split, Counter())[label], count]
                    for label, count in sorted(asked.items())
                    if label
                },
            }
            for split, asked in self.asked.items()
        }

    @property
    def partial(self) -> bool:
        """Whether anything is missing."""
        return any(self.missing.values())


class Share(Coverage):
    """A share of each split's videos, drawn by hash; the queries of those that stay may come from any video."""

    def __init__(self, shares: Mapping[str, float]) -> None:
        super().__init__()
        self.shares = shares

    def absent(self, split: str, sample: Sample) -> set[str]:
        """The video, where it is not drawn."""
        video = sample.video.id
        return set() if chance.number(0, video, "share of the videos") < self.shares.get(split, 1.0) else {video}


class First(Coverage):
    """The first samples of each split, of those that some other account lets pass."""

    def __init__(self, count: int, of: Coverage | None) -> None:
        super().__init__(of.videos if of else frozenset())
        if count < 1:
            raise InputError("not a number of samples", field="--limit", found=count, expected="1 or more")
        self.count, self.of = count, of
        self.passed: Counter[str] = Counter()

    def absent(self, split: str, sample: Sample) -> set[str]:
        """What the other account misses, or the sample's video where the split has had its samples."""
        if self.of and (missed := self.of.absent(split, sample)):
            return missed
        self.passed[split] += 1
        return {sample.video.id} if self.passed[split] > self.count else set()

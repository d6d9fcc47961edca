"""Re-localization by released tables: the order of the classes, the crops of one stream of draws, weak halves."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pytest

from activity_bench import chance
from activity_bench.builders.relocalization import Options, Relocalization
from activity_bench.errors import InputError
from activity_bench.types import Built, Corpus, Instance, Sample, Video

pytestmark = pytest.mark.quick

LABELS = [f"class {letter}" for letter in "abcdefghijklmnopqrstuvwxyz"[:24]]
LONG = {(f"{label} {n}", first, first + 3) for label in LABELS[::2] for n in (0, 1) for first in (5, 45)}


def corpus() -> list[Video]:
    """Two videos a class, of 100 rows each; every other class has two targets in them, the others one."""
    return [Video(f"{label} {n}", 100.0, "training",
                  tuple(Instance(first + 0.2, first + 2.5, label) for first in ((5, 45) if place % 2 == 0 else (30,))))
            for place, label in enumerate(LABELS) for n in (0, 1)]  # fmt: skip


def build(protocol: str, tables: dict[str, Any], **options: Any) -> tuple[list[tuple[str, Sample]], Built]:
    videos = corpus()
    tables = {"frame_counts": {video.id: (1600, 100) for video in videos}, **tables}
    built = Relocalization.build([Corpus("made up", tuple(videos), {}, ())], Options(**options), protocol, tables)
    return list(built.samples), built


ORDER = Random(3).sample(range(24), 24)


@pytest.mark.parametrize(("options", "sizes"), [({}, (20, 2, 2)), ({"val_classes": 3, "test_classes": 5}, (16, 3, 5))])
def test_the_order_of_the_classes_is_their_split(options: dict[str, int], sizes: tuple[int, int, int]) -> None:
    samples, built = build("released", {"class_order": ORDER}, **options)
    train, val, _ = sizes
    parts = {"train": ORDER[:train], "val": ORDER[train : train + val], "test": ORDER[train + val :]}
    split_of = {LABELS[number]: split for split, numbers in parts.items() for number in numbers}
    assert Counter(split_of.values()) == dict(zip(("train", "val", "test"), sizes, strict=True))
    assert {sample.label: split for split, sample in samples} == split_of
    assert built.version == "released.1"


def test_of_few_classes_one_is_for_each_end() -> None:
    videos = [video for video in corpus() if video.instances[0].label in LABELS[:5]]
    tables = {"frame_counts": {video.id: (1600, 100) for video in videos}, "class_order": [3, 0, 4, 1, 2]}
    built = Relocalization.build([Corpus("made up", tuple(videos), {}, ())], Options(), "released", tables)
    split_of = {sample.label: split for split, sample in built.samples}
    assert split_of == dict(
        zip((LABELS[n] for n in tables["class_order"]), ["train"] * 3 + ["val", "test"], strict=True)
    )


@pytest.mark.parametrize(
    ("protocol", "table"), [("general", "frame_counts"), ("general", "crop_order"), ("weak", "crop_order")]
)
def test_a_table_that_a_protocol_does_not_read(protocol: str, table: str) -> None:
    given = {"frame_counts": {}, "crop_order": {}}
    with pytest.raises(InputError, match=f"the {protocol} protocol does not read it so"):
        Relocalization.build([Corpus("made up", (), {}, ())], Options(), protocol, {table: given[table]})


@pytest.mark.parametrize("order", [ORDER[:-1], [*ORDER[:-1], 24], [*ORDER, 0]])
def test_an_order_of_other_classes_is_refused(order: list[int]) -> None:
    with pytest.raises(InputError, match=rf"not one of these classes; found '{len(order)} numbers'.* each of 0 to 23"):
        build("released", {"class_order": order})


def test_windows_are_cropped_by_one_stream_of_draws_in_the_given_order() -> None:
    named = sorted(LONG)
    order = {"test": named[:6], "train": named[6:-2], "val": [("nobody", 1, 2)]}
    samples, built = build("released", {"class_order": ORDER, "crop_order": order}, max_window=40, max_target=40)
    stream, crops = np.random.RandomState(0), {}
    for name, first, last in [*order["train"], *order["val"], *order["test"]]:
        if name != "nobody":
            low, high = (0, 46) if first == 5 else (7, 100)
            start = stream.randint(max(last - 40, low), min(first, high - 40) + 1)
            crops[name, first] = (start, start + 40)
    found = {(s.video.id, s.grid.targets[0][0]): s.grid.video for _, s in samples if s.grid}
    assert {key: found[key] for key in crops} == crops
    assert len(found) == 72 and all(high - low == 40 for low, high in found.values())
    ledger = built.ledger.as_dict()
    assert ledger["mended"] == {"window cropped": 72}
    ours = ledger["notes"]["cropped by our own chance: not in the given order"]
    assert len(ours) == 72 - len(crops) and f"{named[-1][0]} {named[-1][1]}-{named[-1][2]}" in ours


def test_windows_that_are_short_are_as_they_were() -> None:
    samples, built = build("released", {"class_order": ORDER}, max_window=100)
    windows = {(s.video.id, s.grid.targets[0]): s.grid.video for _, s in samples if s.grid}
    assert windows["class a 0", (5, 8)] == (0, 46) and windows["class a 0", (45, 48)] == (7, 100)
    assert windows["class b 0", (30, 33)] == (0, 100)
    assert built.ledger.as_dict()["mended"] == {} and built.ledger.as_dict()["notes"] == {}


def test_weak_halves() -> None:
    samples, built = build("weak", {"class_order": ORDER})
    train = [sample for split, sample in samples if split == "train"]
    asks = {video.id for video in corpus() if chance.key(0, video.id, "weak half") % 2 == 0}
    assert train and {s.video.id for s in train} <= asks and {s.query.video for s in train}.isdisjoint(asks)
    assert all(s.targets == () and s.grid and s.grid.targets == () and s.grid.video == (0, 100) for s in train)
    trained = {LABELS[number] for number in ORDER[:20]}
    drops: Counter[str] = Counter()
    for label in trained:
        count = 2 if LABELS.index(label) % 2 == 0 else 1
        searched = [n for n in (0, 1) if f"{label} {n}" in asks]
        drops["another instance of its class in a video that is searched whole"] += len(searched) * (count - 1)
        drops["a query only, in the half of the training videos that is not searched"] += (2 - len(searched)) * count
        if len(searched) == 2:
            drops["no training video of its class is in the half of the queries"] += 2
        assert sum(s.label == label for s in train) == (1 if len(searched) == 1 else 0)
    assert built.ledger.dropped == drops
    assert all(s.targets and s.grid and s.grid.targets for split, s in samples if split != "train")


@pytest.mark.parametrize(
    "change",
    [{"step": 0.01}, {"step": 60}, {"max_target": 1}, {"max_target": 300}, {"max_window": 10**6}, {"max_window": 32},
     {"val_classes": 10**6}, {"test_classes": 10**6}],
)  # fmt: skip
def test_the_ends_of_a_range_are_in_it(change: dict[str, Any]) -> None:
    assert Options(**change)


@pytest.mark.parametrize(
    "change",
    [{"step": 60.1}, {"max_target": 10**6 + 1, "max_window": 10**6}, {"max_window": 10**6 + 1},
     {"val_classes": 10**6 + 1}, {"test_classes": 10**6 + 1}],
)  # fmt: skip
def test_what_is_beyond_its_range_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="out of range"):
        Options(**change)


def test_the_defaults_are_those_that_are_written_down() -> None:
    assert Options() == Options(0, 16 / 30, 32, 300, 0, 0)


@pytest.mark.parametrize(("most", "cropped"), [(100, 0), (99, 2)])
def test_a_window_of_the_greatest_length_is_not_cropped(most: int, cropped: int) -> None:
    videos = [Video(f"{label} {n}", 100.0, "training", (Instance(40, 44, label),))
              for label in "abcd" for n in (0, 1)]  # fmt: skip
    videos = [*videos[:2], *(Video(v.id, 50.0, v.subset, v.instances) for v in videos[2:])]
    built = Relocalization.build([Corpus("made up", tuple(videos), {}, ())], Options(step=1.0, max_window=most))
    assert len(list(built.samples)) == 8
    assert built.ledger.mended == ({"window cropped": cropped} if cropped else {})

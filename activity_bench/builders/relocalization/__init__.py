"""Video re-localization (ECCV 2018, section 4): find in one video the activity that a clip of another video shows.

The general protocol, which needs annotations alone:

1. Instances are clamped to their video; what is then empty is dropped. Two overlapping instances of different classes
   drop the whole video (the paper's first filter).
2. Times become rows of `step` seconds, the fewest that cover the instance. Instances of one class that overlap, or that
   share a row, become one (the paper merges overlapping ones; what shares a row cannot be told apart on the grid).
3. A target longer than `max_target` rows is dropped (32 units of 16 frames: the paper's 512 frames).
4. The window reaches back to the end of the previous instance of the same class and on to the start of the next one, so
   that it holds exactly one; instances of other classes stay inside as background. A window over `max_window` rows is
   cropped to that at a place of chance that keeps the target.
5. Classes are drawn into val and test by hash; the paper has 160 / 20 / 20 of 200, so the default is a tenth each.
6. Every sample is the video of exactly one line. Its query is the target of another sample of its class, from another
   source video, no longer in rows than the window, by rendezvous hashing. A sample without one takes the shortest
   target of its class from another video, and the ledger names it; a class with a single video has no pairs and is
   dropped.

`released`, with the frame counts and the class order of the released files, gives those files: every sample, and with
their order (`crop_order`) every crop. `places.released` states where its geometry differs. `weak` (AAAI 2020) is either
geometry with the training videos split by hash into queries and references. A reference is searched whole, once for
each of its classes, and has no target: no boundary of it is read.

Left open by the paper: the frame rate (it counts units of 16 frames; annotations have no frames, so `step` is 16 frames
at 30 per second), which pairs (drawn once and frozen here), the class split (by seed here).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

import numpy as np

from activity_bench import chance
from activity_bench.builders.relocalization.pairs import NO_QUERY, ask
from activity_bench.builders.relocalization.places import Options, Place, crop, general, released
from activity_bench.errors import InputError
from activity_bench.segments import quantised
from activity_bench.types import Built, Corpus, Grid, Ledger, Query, Sample, Target, Video, Window, joined

__all__ = ["NO_QUERY", "SPLITS", "Options", "Place", "Relocalization", "imported"]

SPLITS = ("train", "val", "test")


class Relocalization:
    """The builder, as the catalog names it."""

    options_class = Options
    protocols = ("general", "released", "weak")
    aliases: Mapping[str, str] = {"activitynet-vrl": "released"}
    tables: Mapping[str, str] = {
        "frame_counts": "JSON: frames and feature rows of each video (length.json of the released files)",
        "class_order": "npy: the order of the sorted classes, 160 train, 20 val, 20 test (perm.npy)",
        "crop_order": "folder with train.json, val.json, test.json, in the order in which windows were cropped",
    }
    paper: Mapping[str, Any] = {
        "title": "Video re-localization, ECCV 2018, section 4",
        "samples": "9,530 in the text; 9,400 in the released files: 7,593 / 829 / 978",
        "videos": "3,791 / 444 / 494 in the released files",
        "classes": "160 / 20 / 20",
        "note": "AAAI 2020 calls the 978 validation and the 829 testing; the released files say the opposite",
    }

    @staticmethod
    def build(
        corpora: Sequence[Corpus], options: Options, protocol: str = "general", tables: Mapping[str, Any] | None = None
    ) -> Built:
        """A manifest's samples from one corpus, or from several read as one."""
        tables = tables or {}
        if protocol == "released" and not {"frame_counts", "class_order"} <= tables.keys():
            missing = [name for name in ("frame_counts", "class_order") if name not in tables]
            raise InputError("the released protocol needs its tables", field=", ".join(missing),
                             expected="--frame-counts FILE and --class-order FILE")  # fmt: skip
        for table in ("frame_counts", "crop_order"):
            if table in tables and (protocol == "general" or "frame_counts" not in tables):
                raise InputError(f"the {protocol} protocol does not read it so", field=table,
                                 expected="--protocol released or weak, with --frame-counts FILE")  # fmt: skip
        videos, tree, ledger = joined(corpora)
        return Built(
            name="relocalization",
            version=f"{protocol}.1",
            task="moment",
            samples=_samples(videos, options, ledger, protocol, tables),
            ledger=ledger,
            tree=tree,
        )


def _samples(
    videos: Sequence[Video], options: Options, ledger: Ledger, protocol: str, tables: Mapping[str, Any]
) -> Iterator[tuple[str, Sample]]:
    counts = tables.get("frame_counts") if protocol != "general" else None
    if counts is None:
        places = [place for video in videos for place in general(video, options, ledger)]
    else:
        places = released(videos, counts, options, ledger)
        places = _cropped(places, tables.get("crop_order", {}), options, ledger)
    by_class = _by_class(places, ledger)
    labels = sorted({instance.label for video in videos for instance in video.instances})
    split_of = _ordered_split(labels, tables, options) or chance.split_classes(
        options.seed, by_class, "relocalization class split", options.val_classes, options.test_classes
    )
    yield from _paired(by_class, split_of, options, ledger, protocol)


def imported(places: Sequence[Place], split_of: Mapping[str, str], options: Options, ledger: Ledger) -> Built:
    """The manifest of places that somebody else laid out, each class in its split: queries are drawn as always."""
    return Built(
        name="relocalization",
        version="imported.1",
        task="moment",
        samples=_paired(_by_class(places, ledger), split_of, options, ledger, "imported"),
        ledger=ledger,
    )


def _by_class(places: Iterable[Place], ledger: Ledger) -> dict[str, list[Place]]:
    """The places of each class that has two videos at least."""
    by_class: dict[str, list[Place]] = defaultdict(list)
    for place in places:
        by_class[place.label].append(place)
    for label, members in list(by_class.items()):
        if len({place.video for place in members}) < 2:
            ledger.drop("the only video of its class: no query can be asked", len(members))
            del by_class[label]
    return by_class


def _paired(
    by_class: Mapping[str, Sequence[Place]],
    split_of: Mapping[str, str],
    options: Options,
    ledger: Ledger,
    protocol: str,
) -> Iterator[tuple[str, Sample]]:
    """Every place with its query, as samples, in the order of the files."""
    asked = [
        (split, place.video, place.target, label, place, query)
        for split, label, members in ((SPLITS.index(split_of[label]), label, by_class[label]) for label in by_class)
        for place, query in _asked(members, protocol == "weak" and split == 0, options, ledger)
    ]
    asked.sort(key=itemgetter(0, 1, 2, 3))
    pairs = [row[4:] for row in asked]
    rows = np.array([row for place, query in pairs for row in place.window + place.target + query.target])
    steps = np.array([step for place, query in pairs for step in (place.step, query.step)]).reshape(-1, 2)
    # start and end of window, target and query (samples, 6)
    seconds = quantised(rows.reshape(-1, 6) * steps[:, [0, 0, 0, 0, 1, 1]]).tolist()
    numbers: dict[str, int] = {}  # samples so far in one window of one video of a split
    for (number, *_, place, query), times in zip(asked, seconds, strict=True):
        split = SPLITS[number]
        window = f"{split}/{place.video}/{place.window[0]}-{place.window[1]}"
        before = numbers.get(window, 0)
        numbers[window] = before + 1
        sample = _sample(f"{window}/{before}", place, query, times)
        yield split, _unmarked(sample) if protocol == "weak" and split == "train" else sample


def _asked(members: Sequence[Place], halved: bool, options: Options, ledger: Ledger) -> Iterable[tuple[Place, Place]]:
    """The class's places with their queries; `halved`, videos of one half, each whole, ask for clips of the other."""
    if not halved:
        return ask(members, members, options, ledger)
    asks = [chance.key(options.seed, place.video, "weak half") % 2 == 0 for place in members]
    searched = [place for place, is_reference in zip(members, asks, strict=True) if is_reference]
    whole = {place.video: replace(place, target=(0, place.rows), window=(0, place.rows)) for place in searched}
    references = list(whole.values())
    ledger.drop("another instance of its class in a video that is searched whole", len(searched) - len(references))
    queries = [place for place, is_reference in zip(members, asks, strict=True) if not is_reference]
    ledger.drop("a query only, in the half of the training videos that is not searched", len(queries))
    if not queries:
        ledger.drop("no training video of its class is in the half of the queries", len(references))
        return []
    return ask(references, queries, options, ledger)


def _unmarked(sample: Sample) -> Sample:
    """The sample without its answer."""
    assert sample.grid is not None
    return replace(sample, targets=(), grid=replace(sample.grid, targets=()))


def _ordered_split(labels: Sequence[str], tables: Mapping[str, Any], options: Options) -> dict[str, str]:
    """Class -> split by the released order, where it is given: 160, 20 and 20 of the sorted classes so permuted."""
    if "class_order" not in tables:
        return {}
    order = list(tables["class_order"])
    if sorted(order) != list(range(len(labels))):
        raise InputError("this order is not one of these classes", field="class_order", found=f"{len(order)} numbers",
                         expected=f"each of 0 to {len(labels) - 1} once")  # fmt: skip
    test, val = options.test_classes or max(1, len(order) // 10), options.val_classes or max(1, len(order) // 10)
    train = len(order) - test - val
    return {
        labels[number]: "train" if place < train else "val" if place < train + val else "test"
        for place, number in enumerate(order)
    }


def _cropped(
    places: Sequence[Place], order: Mapping[str, Sequence[tuple[str, int, int]]], options: Options, ledger: Ledger
) -> list[Place]:
    """Windows that are too long, cropped: by the released draws where the order of those is known, else by ours."""
    long = [place.window[1] - place.window[0] > options.max_window for place in places]
    named = {(place.video, *place.target): place for place, is_long in zip(places, long, strict=True) if is_long}
    ledger.mended.update({"window cropped": sum(long)} if named else {})
    drawn = _redrawn(named, order, options) if order else {}
    for name in named.keys() - drawn.keys() if order else ():
        ledger.note("cropped by our own chance: not in the given order", f"{name[0]} {name[1]}-{name[2]}")
    return [
        replace(place, window=drawn.get((place.video, *place.target)) or crop(place, options)) if is_long else place
        for place, is_long in zip(places, long, strict=True)
    ]


def _redrawn(
    long: Mapping[tuple[str, int, int], Place],
    order: Mapping[str, Sequence[tuple[str, int, int]]],
    options: Options,
) -> dict[tuple[str, int, int], tuple[int, int]]:
    """The released crops of the windows that are too long: one stream of draws, in the order of the released script."""
    stream = chance.legacy(0)
    drawn = {}
    for split in SPLITS:
        for name in order.get(split, ()):
            if name in long:
                low, high = long[name].window
                first = int(stream.randint(max(name[2] - options.max_window, low),
                                           min(name[1], high - options.max_window) + 1))  # fmt: skip
                drawn[name] = (first, first + options.max_window)
    return drawn


def _sample(name: str, place: Place, query: Place, times: Sequence[float]) -> Sample:
    asks = Query("clip", query.video, None, times[4], times[5])
    window, target = Window(place.video, times[0], times[1]), Target(times[2], times[3], place.label)
    grid = Grid(place.step, place.window, (place.target,), query.target)
    return Sample(name, asks, window, (target,), place.label, None, grid)

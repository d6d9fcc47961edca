"""The re-localization builder against its rules written twice, and what must hold of whatever it builds."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activity_bench.builders.relocalization import NO_QUERY, Options, Relocalization
from activity_bench.data.annotations import activitynet
from activity_bench.data.samples import as_line
from activity_bench.errors import InputError
from activity_bench.simulation.corpus import files
from activity_bench.types import Built, Corpus, Instance, Sample, Video
from tests.reference import relocalization as reference

pytestmark = pytest.mark.quick

LABELS = ["Archery", "Diving", "Frisbee", "Hockey"]


def corpus_of(videos: Sequence[Video]) -> Corpus:
    return Corpus("made up", tuple(videos), {}, ())


def build(videos: Sequence[Video], **options: Any) -> tuple[list[tuple[str, Sample]], Built]:
    built = Relocalization.build([corpus_of(videos)], Options(**options))
    return list(built.samples), built


def corpus_by(seed: int, count: int) -> list[Video]:
    """Short videos, a few of each class, whose instances overlap, touch, share rows, repeat and run past the end."""
    rng = Random(seed)
    videos = []
    for place in range(count):
        duration = rng.choice([None, 0.0, 0.3, 8.0, 12.6, *[32.0] * 5, *(rng.uniform(5, 32) for _ in range(5))])
        instances = []
        for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3])):
            start = rng.choice([rng.randrange(0, 96) / 4, rng.uniform(-1, 33)])
            length = rng.choice([0.5, 1.0, 2.0, 3.0, 0.01, 6.0, 9.0, 0.0, -1.0, rng.uniform(0, 5)])
            label = LABELS[place % 3] if rng.random() < 0.88 else rng.choice(LABELS)
            instances.append(Instance(start, start + length, label))
        videos.append(Video(f"{rng.choice('abc-_')}{place}", duration, "training", tuple(instances)))
    return videos


CORPORA = st.builds(corpus_by, st.integers(0, 10**6), st.integers(18, 30))
OPTIONS = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 5),
        "step": st.sampled_from([0.5, 16 / 30, 1.0]),
        "max_target": st.sampled_from([8, 7, 6, 3]),
        "max_window": st.sampled_from([40, 20, 12, 8]),
        "val_classes": st.integers(0, 1),
        "test_classes": st.integers(0, 1),
    }
)


@settings(max_examples=600)
@given(CORPORA, OPTIONS)
def test_as_the_rules_say(videos: list[Video], options: dict[str, Any]) -> None:
    try:
        expected = reference.build(videos, Options(**options))
    except ValueError:
        with pytest.raises(InputError, match="too few classes"):
            build(videos, **options)
        return
    samples, built = build(videos, **options)
    assert samples == expected
    check(samples, built, videos, Options(**options))


def check(samples: list[tuple[str, Sample]], built: Built, videos: Sequence[Video], options: Options) -> None:
    """What must hold of every manifest of this benchmark."""
    ledger = built.ledger
    assert ledger.seen == sum(len(video.instances) for video in videos)
    assert ledger.kept + sum(ledger.dropped.values()) == ledger.seen
    assert ledger.kept == len(samples)
    assert all(count > 0 for count in ledger.dropped.values())
    ids = [sample.id for _, sample in samples]
    assert len(set(ids)) == len(ids)
    splits = {split: {s.label for name, s in samples if name == split} for split in ("train", "val", "test")}
    assert sum(map(len, splits.values())) == len(set().union(*splits.values()))

    targets = defaultdict(set)  # of each class in each video
    for split, sample in samples:
        assert sample.grid is not None
        targets[split, sample.label, sample.video.id] |= set(sample.grid.targets)
    no_fit = Counter(note for note in ledger.as_dict()["notes"].get(NO_QUERY, ()))
    for split, sample in samples:
        grid = sample.grid
        assert grid is not None
        (low, high), ((first, last),) = grid.video, grid.targets
        assert 0 <= low <= first < last <= high
        assert last - first <= options.max_target
        assert high - low <= options.max_window
        own = targets[split, sample.label, sample.video.id]
        assert [(a, b) for a, b in own if a < high and low < b] == [(first, last)]  # exactly one of its class
        assert sample.query.video != sample.video.id
        assert grid.query in targets[split, sample.label, sample.query.video]  # same class, same split, a target itself
        if grid.query[1] - grid.query[0] > high - low:
            no_fit[f"{sample.video.id} {first}-{last} {sample.label}"] -= 1
        for times, rows in (
            ((sample.video.start, sample.video.end), grid.video),
            ((sample.targets[0].start, sample.targets[0].end), (first, last)),
            ((sample.query.start, sample.query.end), grid.query),
        ):
            assert times == tuple(round(row * grid.step, 6) for row in rows)
    assert set(no_fit.values()) <= {0}  # the ledger names those without a fitting query, and no others


@settings(max_examples=200)
@given(CORPORA, st.randoms(use_true_random=False), st.integers(0, 3))
def test_the_order_of_the_file_is_nothing(videos: list[Video], rng, seed: int) -> None:
    options = {"seed": seed, "max_target": 20, "max_window": 30, "val_classes": 1, "test_classes": 1}
    shuffled = [replace(v, instances=tuple(rng.sample(v.instances, len(v.instances)))) for v in videos]
    rng.shuffle(shuffled)
    outcomes = []
    for some in (videos, shuffled):
        try:
            samples, built = build(some, **options)
        except InputError as error:
            outcomes.append(str(error))
        else:
            outcomes.append(([(split, as_line(sample)) for split, sample in samples], built.ledger.as_dict()))
    assert outcomes[0] == outcomes[1]


def test_one_new_video_changes_only_what_asks_it(embedded: list[Video]) -> None:
    """The promise of drawing by hash: every other line keeps its bytes."""
    new = Video("new video", 40.0, "training", (Instance(5.0, 11.0, embedded[0].instances[0].label),))
    before, after = ({s.id: as_line(s) for _, s in build(some)[0]} for some in (embedded, [*embedded, new]))
    asks = {s.id for _, s in build([*embedded, new])[0] if s.query.video == "new video"}
    added = after.keys() - before.keys()
    assert [name.split("/")[1] for name in added] == ["new video"]
    assert before.keys() <= after.keys()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == asks
    assert 0 < len(changed) < len(before) / 20


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> list[Video]:
    path = tmp_path_factory.mktemp("corpus") / "activitynet.json"
    path.write_bytes(files()["activitynet.json"])
    return list(activitynet.read(path).videos)


@pytest.mark.parametrize("options", [{}, {"seed": 1, "max_window": 100}])
def test_the_embedded_corpus(embedded: list[Video], options: dict[str, Any]) -> None:
    samples, built = build(embedded, **options)
    assert samples == reference.build(embedded, Options(**options))
    check(samples, built, embedded, Options(**options))
    assert {split for split, _ in samples} == {"train", "val", "test"}
    assert built.ledger.dropped["its video has overlapping instances of different classes"] > 0


def test_no_two_runs_differ(embedded: list[Video], environment: Callable[..., dict[str, str]]) -> None:
    program = """
import hashlib
from activity_bench.builders.relocalization import Options, Relocalization
from activity_bench.data.samples import as_line
from activity_bench.simulation.videos import annotated
from activity_bench.types import Corpus
built = Relocalization.build([Corpus("c", tuple(annotated(0, 600)), {}, ())], Options(max_window=90))
print(hashlib.sha256(b"".join(as_line(sample) for _, sample in built.samples)).hexdigest(), built.ledger.as_dict())
"""
    said = {
        subprocess.run(
            [sys.executable, "-c", program], env=environment(PYTHONHASHSEED=seed), capture_output=True, check=True
        ).stdout
        for seed in ("0", "1")
    }
    assert len(said) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"step": 0.0}, "step"), ({"step": float("nan")}, "step"), ({"step": -1.0}, "step"),
        ({"max_target": 0}, "max_target"),
        ({"max_window": 31}, "max_window"), ({"val_classes": -1}, "val_classes"),
        ({"test_classes": -1}, "test_classes"),
        ({"step": 1e-3}, "step"),
    ],
)  # fmt: skip
def test_options_out_of_range(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Options(**options)


# ---- each rule by itself --------------------------------------------------------------------------------------------


def pair_of(label: str, *segments: tuple[float, float], duration: float = 60.0) -> list[Video]:
    """A video with these segments, and another of its class to ask."""
    instances = tuple(Instance(*segment, label) for segment in segments)
    return [Video(f"{label} a", duration, "training", instances),
            Video(f"{label} b", 60.0, "training", (Instance(0, 1, label),))]  # fmt: skip


OTHERS = [video for label in ("Frisbee", "Hockey", "Yoga") for video in pair_of(label, (1, 3))]


def rows_of(videos: list[Video], **options: Any) -> tuple[list[tuple[Any, Any]], Built]:
    samples, built = build([*videos, *OTHERS], step=1.0, **options)
    grids = [s.grid for _, s in samples if s.video.id == videos[0].id]
    return [(grid.video, grid.targets[0]) for grid in grids if grid], built


def test_the_window_holds_one_of_its_class() -> None:
    rows, _ = rows_of(pair_of("Diving", (10, 20), (25, 30), (30, 35)))
    assert rows == [((0, 25), (10, 20)), ((20, 30), (25, 30)), ((30, 60), (30, 35))]


def test_another_class_is_background() -> None:
    videos = pair_of("Diving", (10, 20), (30, 40))
    videos[0] = replace(videos[0], instances=(*videos[0].instances, Instance(22, 28, "Frisbee")))
    rows, _ = rows_of(videos)
    assert sorted(rows) == [((0, 30), (10, 20)), ((0, 60), (22, 28)), ((20, 60), (30, 40))]  # of two splits


def test_overlapping_classes_drop_the_video_and_touching_ones_do_not() -> None:
    videos = pair_of("Diving", (10, 20), (30, 40))
    touching, overlapping = (
        [replace(videos[0], instances=(*videos[0].instances, Instance(start, 25, "Frisbee"))), *videos[1:]]
        for start in (20.0, 19.999)
    )
    assert len(rows_of(touching)[0]) == 3
    rows, built = rows_of(overlapping)
    assert rows == []
    assert built.ledger.dropped["its video has overlapping instances of different classes"] == 3


def test_what_shares_a_row_becomes_one() -> None:
    rows, built = rows_of(pair_of("Diving", (10, 12.5), (12.6, 14), (14, 16), (20, 21), (20, 21)))
    assert [target for _, target in rows] == [(10, 14), (14, 16), (20, 21)]
    assert built.ledger.dropped["merged into another instance of its class"] == 2


def test_a_target_of_the_greatest_length_stays() -> None:
    rows, built = rows_of(pair_of("Diving", (0, 32), (40, 60)), max_target=20)
    assert rows == [((32, 60), (40, 60))]
    assert built.ledger.dropped["longer than 20 rows"] == 1
    assert len(rows_of(pair_of("Diving", (0, 32)))[0]) == 1


def test_what_is_empty_reversed_or_past_the_end() -> None:
    segments = ((5, 5), (9, 8), (61, 62), (59.6, 60.4), (-3, 2), (30, 30.000001))
    rows, built = rows_of(pair_of("Diving", *segments, duration=60.5))
    assert [target for _, target in rows] == [(0, 2), (30, 31), (59, 60)]
    assert built.ledger.dropped["empty, reversed or past the end of its video"] == 3
    assert built.ledger.mended["clamped to its video"] == 1


def test_a_released_target_starts_in_its_video() -> None:
    videos = pair_of("Diving", (-3.0, 8.0), (-9.0, -4.0), (20.0, 30.0))
    tables = {"frame_counts": {video.id: (1800, 112) for video in videos}, "class_order": [0]}
    built = Relocalization.build([corpus_of(videos)], Options(), "released", tables)
    grids = [sample.grid for _, sample in built.samples]
    targets, windows = ([pick(grid) for grid in grids if grid] for pick in (lambda g: g.targets[0], lambda g: g.video))
    assert (targets, windows) == ([(0, 16), (37, 57), (0, 2)], [(0, 38), (15, 112), (0, 112)])
    assert built.ledger.mended == {"clamped to its video": 1}
    assert built.ledger.dropped == {"past the last row of its video": 1}


def test_of_two_released_targets_in_one_row_the_longer_window_alone_is_cropped() -> None:
    other = [Instance(start, start + 0.02, "Yoga") for start in (8, 10.11, 12)]
    videos = [*pair_of("Diving", (10, 10.1)), *pair_of("Yoga", (1, 2))]
    videos[0] = replace(videos[0], instances=(*videos[0].instances, *other))
    tables = {"frame_counts": {video.id: (1800, 112) for video in videos}, "class_order": [0, 1]}
    built = Relocalization.build([corpus_of(videos)], Options(max_window=40), "released", tables)
    grids = {(sample.label, sample.grid.targets): sample.grid.video for _, sample in built.samples if sample.grid}
    assert grids["Yoga", ((18, 19),)] == (15, 23)
    low, high = grids["Diving", ((18, 19),)]
    assert high - low == 40 and low <= 18


def test_a_window_is_cropped_around_its_target_anywhere() -> None:
    places = set()
    for seed in range(60):
        rows, built = rows_of(pair_of("Diving", (29, 31)), seed=seed, max_window=6, max_target=4)
        (((low, high), target),) = rows
        assert high - low == 6
        assert low <= target[0] < target[1] <= high
        places.add(low)
        assert built.ledger.mended["window cropped"] >= 1
    assert places == {25, 26, 27, 28, 29}


def test_a_class_with_one_video_has_no_pairs() -> None:
    videos = [pair_of("Diving", (1, 2), (5, 6))[0]]
    rows, built = rows_of(videos)
    assert rows == []
    assert built.ledger.dropped["the only video of its class: no query can be asked"] == 2


def test_a_sample_without_a_fitting_query_takes_the_shortest() -> None:
    videos = [Video("short", 3.0, "training", (Instance(0, 3, "Diving"),)),
              Video("long", 60.0, "training", (Instance(0, 9, "Diving"), Instance(20, 27, "Diving")))]  # fmt: skip
    samples, built = build([*videos, *OTHERS], step=1.0)
    asked = next(s for _, s in samples if s.video.id == "short")
    assert asked.grid is not None
    assert (asked.query.video, asked.grid.query) == ("long", (20, 27))
    assert built.ledger.as_dict()["notes"] == {NO_QUERY: ["short 0-3 Diving"]}


@pytest.mark.parametrize("duration", [None, 0.0, -0.5])
def test_a_video_without_a_duration_is_counted(duration: float | None) -> None:
    videos = [Video("no duration", duration, "training", (Instance(0, 3, "Diving"),)), *pair_of("Diving", (1, 2))]
    rows, built = rows_of(videos)
    assert rows == []
    assert built.ledger.dropped["its video has no duration"] == 1


# ---- the real annotations -------------------------------------------------------------------------------------------


@pytest.mark.real
def test_the_real_annotations(real_data: Path) -> None:
    videos = list(activitynet.read(real_data / "activitynet" / "activity_net.v1-3.min.json").videos)
    samples, built = build(videos)
    check(samples, built, videos, Options())
    classes = {split: len({s.label for name, s in samples if name == split}) for split in ("train", "val", "test")}
    assert classes == {"train": 160, "val": 20, "test": 20}  # ECCV 2018, section 4
    # the released files keep 9,400 by frames; rows of 16 / 30 s are other rows for a third of the videos
    assert len(samples) == pytest.approx(9_400, rel=0.05)

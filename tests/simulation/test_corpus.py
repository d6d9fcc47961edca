"""The embedded corpus: real formats, counted dirt, stated geometry, the same bytes everywhere."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from functools import cache
from hashlib import sha256
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activity_bench.errors import InputError
from activity_bench.simulation.classes import COINCIDING, SPOTTED, TRIMMED, paths, siblings
from activity_bench.simulation.corpus import CorpusOptions, files
from activity_bench.simulation.videos import DIRT, LEAST_VIDEOS, Dirt

pytestmark = pytest.mark.quick


@cache
def corpus(seed: int = 0, videos: int = 600) -> dict[str, bytes]:
    return files(CorpusOptions(seed=seed, videos=videos))


def official(seed: int = 0, videos: int = 600) -> dict[str, Any]:
    return json.loads(corpus(seed, videos)["activitynet.json"])


def instances(video: dict[str, Any]) -> list[tuple[float, float, str]]:
    return [(*annotation["segment"], annotation["label"]) for annotation in video["annotations"]]


def dirt_in(database: dict[str, Any]) -> Dirt:
    """Every kind of dirt, counted by its definition."""
    counts: Counter[str] = Counter()
    for video in database.values():
        found = instances(video)
        counts["zero_length"] += sum(end == start for start, end, _ in found)
        counts["tiny"] += sum(0 < end - start <= 0.01 for start, end, _ in found)
        counts["past_end"] += sum(end > video["duration"] for _, end, _ in found)
        counts["duplicates"] += len(found) - len(set(found))
        counts["several_labels"] += len({label for _, _, label in found}) > 1
        meeting = [(a, b) for a, b in combinations(sorted(set(found)), 2) if max(a[0], b[0]) < min(a[1], b[1])]
        counts["overlap_same"] += any(a[2] == b[2] for a, b in meeting)
        counts["overlap_other"] += any(a[2] != b[2] for a, b in meeting)
    return Dirt(**counts)


def test_official_layout() -> None:
    file = official()
    assert list(file) == ["version", "taxonomy", "database"]
    assert all(list(node) == ["nodeId", "nodeName", "parentId", "parentName"] for node in file["taxonomy"])
    for name, video in file["database"].items():
        assert len(name) == 11 and name.startswith("sim")
        assert list(video) == ["duration", "subset", "resolution", "url", "annotations"]
        assert all(isinstance(bound, (int, float)) for start, end, _ in instances(video) for bound in (start, end))
        assert all(0 <= start <= end <= video["duration"] + 0.85 for start, end, _ in instances(video))


def test_tree_has_three_levels_and_siblings() -> None:
    nodes = {node["nodeId"]: node for node in official()["taxonomy"]}
    children = defaultdict(list)
    for node in nodes.values():
        children[node["parentId"]].append(node["nodeId"])
        if node["parentId"] is not None:
            assert node["parentName"] == nodes[node["parentId"]]["nodeName"]
    level, widths = children[None], []
    while level:
        widths.append(len(level))
        level = [child for node in level for child in children[node]]
    assert widths == [1, 4, 16, 48]
    leaves = {node["nodeName"] for node in nodes.values() if not children[node["nodeId"]]}
    assert leaves == set(paths()) and len({node["nodeName"] for node in nodes.values()}) == len(nodes)
    assert all(len(siblings(leaf)) == 2 for leaf in leaves)


def test_subsets_and_classes() -> None:
    database = official()["database"]
    subsets = Counter(video["subset"] for video in database.values())
    assert subsets == {"training": 408, "validation": 192, "testing": 60}
    assert all((video["subset"] == "testing") == (not video["annotations"]) for video in database.values())
    assert {len(video["annotations"]) for video in database.values()} == {0, 1, 2, 3, 4}
    videos_of = Counter(label for video in database.values() for label in {label for *_, label in instances(video)})
    assert set(videos_of) == set(paths()) and min(videos_of.values()) >= 10


def test_geometry_is_roughly_activitynets() -> None:
    database = [video for video in official()["database"].values() if video["annotations"]]
    durations = [video["duration"] for video in database]
    targets = [end - start for video in database for start, end, _ in instances(video) if end - start > 0.01]
    assert min(durations) >= 20 and max(durations) <= 232  # of the real ones a tenth lies on either side
    assert abs(sum(durations) / len(durations) - 116.7) < 6  # the real mean
    assert min(targets) >= 2 and max(targets) <= 40
    assert sum(target <= 512 / 30 for target in targets) / len(targets) > 0.75  # the re-localization limit keeps them


@pytest.mark.parametrize(("seed", "videos"), [(0, 600), (1, 600), (0, LEAST_VIDEOS), (7, 144)])
def test_dirt_is_counted_exactly(seed: int, videos: int) -> None:
    assert dirt_in(official(seed, videos)["database"]) == DIRT


@settings(max_examples=30, deadline=None)
@given(st.integers(-(2**70), 2**70), st.integers(LEAST_VIDEOS, 200))
def test_any_seed_and_size_has_this_dirt(seed: int, videos: int) -> None:
    database = json.loads(files(CorpusOptions(seed, videos))["activitynet.json"])["database"]
    assert dirt_in(database) == DIRT
    assert Counter(bool(video["annotations"]) for video in database.values()) == {True: videos, False: videos // 10}
    assert {"training", "validation"} <= {video["subset"] for video in database.values()}


@pytest.mark.parametrize("videos", [-1, 0, LEAST_VIDEOS - 1, 10**9])
def test_a_number_of_videos_out_of_range_is_refused(videos: int) -> None:
    with pytest.raises(InputError, match=r"videos: out of range.*96 to"):
        files(CorpusOptions(videos=videos))


def test_loose_file_says_the_same_in_other_shapes() -> None:
    strict = official()["database"]
    loose = json.loads(corpus()["activitynet_loose.json"])
    assert "taxonomy" not in loose and len(loose["database"]) == 30
    assert {name.startswith("v_") for name in loose["database"]} == {True, False}
    assert {"val", "Validation", "training"} <= {video["subset"] for video in loose["database"].values()}
    for name, video in loose["database"].items():
        assert all(isinstance(bound, str) for start, end, _ in instances(video) for bound in (start, end))
        read = [(float(start), float(end), label) for start, end, label in instances(video)]
        assert read == instances(strict[name.removeprefix("v_")])


def test_trimmed_clips() -> None:
    rows = list(csv.DictReader(io.StringIO(corpus()["kinetics.csv"].decode())))
    assert list(rows[0]) == ["label", "youtube_id", "time_start", "time_end", "split", "is_cc"]
    assert len(rows) == 400 and len({row["youtube_id"] for row in rows}) == 400
    assert all(int(row["time_end"]) - int(row["time_start"]) == 10 for row in rows)
    assert [row["label"] for row in rows] == sorted(row["label"] for row in rows)
    assert {row["label"] for row in rows} == set(TRIMMED) and len(TRIMMED) == 30
    assert {row["split"] for row in rows} == {"val"} and {row["is_cc"] for row in rows} == {"0", "1"}
    leaves = {leaf.lower() for leaf in paths()}
    assert set(COINCIDING) == leaves & set(TRIMMED) and len(COINCIDING) == 12


@pytest.mark.parametrize(("subset", "prefix"), [("val", "video_validation_"), ("test", "video_test_")])
def test_spotting_files(subset: str, prefix: str) -> None:
    folder = f"thumos/annotations_{subset}/"
    texts = {name.removeprefix(folder): data for name, data in corpus().items() if name.startswith(folder)}
    assert set(texts) == {f"{name}_{subset}.txt" for name in (*SPOTTED, "Ambiguous")} | {"readme.txt"}
    seen: dict[str, set[str]] = {}
    for name, data in texts.items():
        if name != "readme.txt":
            lines = data.decode("ascii").splitlines()
            for line in lines:
                video, gap, start, end = line.split(" ")
                assert video.startswith(prefix) and len(video) == len(prefix) + 7 and gap == ""
                assert 0 <= float(start) < float(end) and start[-2] == end[-2] == "."
            assert lines == sorted(lines, key=lambda line: (line.split()[0], float(line.split()[1])))
            seen[name.split("_")[0]] = {line.split()[0] for line in lines}
    ambiguous = seen.pop("Ambiguous")
    assert all(len(videos) == 20 for videos in seen.values()) and len(set().union(*seen.values())) == 120
    assert len(ambiguous - set().union(*seen.values())) == 1 < len(ambiguous)


def test_seed_changes_every_data_file() -> None:
    assert {n for n, data in corpus().items() if data == corpus(1)[n]} == {
        f"thumos/annotations_{subset}/readme.txt" for subset in ("val", "test")
    }


def test_more_videos_leave_the_others_as_they_are() -> None:
    few, many = official(0, 300)["database"], official(0, 600)["database"]
    assert {name for name, video in few.items() if video["annotations"]} < set(many)
    changed = [name for name, video in few.items() if video != many.get(name) and video["annotations"]]
    assert len(changed) <= 2 * sum(vars(DIRT).values())  # those that gain or lose their dirt


def test_the_same_bytes_under_any_hash_seed_zone_and_locale() -> None:
    program = (
        "import hashlib, sys; from activity_bench.simulation.corpus import files\n"
        "print(hashlib.sha256(b''.join(n.encode() + d for n, d in files().items())).hexdigest())"
    )
    digests = {sha256(b"".join(name.encode() + data for name, data in corpus().items())).hexdigest()}
    for hash_seed, zone, locale in (("1", "Asia/Kathmandu", "C"), ("77", "America/St_Johns", "de_DE.UTF-8")):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "TZ": zone, "LC_ALL": locale, "PYTHONUTF8": "0"}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
        digests.add(done.stdout.decode().strip())
    assert len(digests) == 1

"""Reading other people's annotation files: official and loose layouts, real dirt, and every fault located."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from activity_bench.data import annotations
from activity_bench.data.annotations import activitynet
from activity_bench.errors import InputError
from activity_bench.simulation.corpus import files
from activity_bench.types import Instance, Video

pytestmark = pytest.mark.quick


def video(*instances: tuple[Any, Any, Any], **more: Any) -> dict[str, Any]:
    found = [{"segment": [start, end], "label": label} for start, end, label in instances]
    return {"duration": 60.0, "subset": "training", "annotations": found, **more}


def file_of(tmp_path: Path, database: dict[str, Any], name: str = "a.json", **more: Any) -> Path:
    path = tmp_path / name
    path.write_text(json.dumps({"database": database, **more}), encoding="utf-8")
    return path


def test_the_official_layout(tmp_path: Path) -> None:
    nodes = [
        {"nodeId": 0, "nodeName": "Root", "parentId": None, "parentName": None},
        {"nodeId": 1, "nodeName": "Water", "parentId": 0, "parentName": "Root"},
        {"nodeId": 2, "nodeName": "Diving", "parentId": 1, "parentName": "Water"},
    ]
    more = {"version": "VERSION 1.3", "taxonomy": nodes}
    path = file_of(tmp_path, {"a": video((1, 2.5, "Diving"), (0, 0, "Diving")), "b": video(subset="testing")}, **more)
    corpus = activitynet.read(path)
    assert corpus.videos[0].instances == (Instance(1, 2.5, "Diving"), Instance(0, 0, "Diving"))
    assert [v.subset for v in corpus.videos] == ["training", "testing"]
    assert corpus.tree == {"Diving": ("Water", "Root")}
    assert corpus.labels == ["Diving"]
    data = path.read_bytes()
    assert (corpus.sources[0].file, corpus.sources[0].bytes) == ("a.json", len(data))
    assert corpus.sources[0].sha256 == sha256(data).hexdigest()
    assert not corpus.mended


def test_the_looser_shapes_are_taken_and_counted(tmp_path: Path) -> None:
    database = {
        "v_abc": video(("18.1", "20", " Diving "), subset="val"),
        "v_def": video(subset="Validation", duration="33.5"),
        "v_ghi": {"subset": "train"},
    }
    corpus = activitynet.read(file_of(tmp_path, database))
    assert [v.id for v in corpus.videos] == ["abc", "def", "ghi"]
    assert [v.subset for v in corpus.videos] == ["validation", "validation", "training"]
    assert [v.duration for v in corpus.videos] == [60, 33.5, None]
    assert corpus.videos[0].instances == (Instance(18.1, 20.0, "Diving"),)
    assert corpus.mended == {"number as text": 3, "subset name": 3, "v_ before the id": 3}


def test_an_id_may_itself_begin_with_v_(tmp_path: Path) -> None:
    """Eleven characters are a whole YouTube id; thirteen are one with the prefix."""
    corpus = activitynet.read(file_of(tmp_path, {"v_345678901": video(), "v_abcdefghijk": video(), "other": video()}))
    assert [v.id for v in corpus.videos] == ["v_345678901", "abcdefghijk", "other"]


def test_the_embedded_corpus_reads_alike_in_both_layouts(tmp_path: Path) -> None:
    for name in ("activitynet.json", "activitynet_loose.json"):
        (tmp_path / name).write_bytes(files()[name])
    official, loose = (activitynet.read(tmp_path / n) for n in ("activitynet.json", "activitynet_loose.json"))
    by_id = {v.id: v for v in official.videos}
    assert loose.videos
    assert all(by_id[v.id] == v for v in loose.videos)
    assert loose.mended.keys() == {"number as text", "subset name", "v_ before the id"}
    with pytest.raises(InputError, match=r"activitynet_loose\.json: video: a video that activitynet\.json has too"):
        annotations.read([tmp_path / "activitynet.json", tmp_path / "activitynet_loose.json"])


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (video((1, "soon", "x")), r"database\.id\.annotations\[0\]\.segment\[1\]: not a time"),
        (video((1, 2, "x"), ("nan", 2, "x")), r"annotations\[1\]\.segment\[0\]: not a time"),
        (video(("-inf", 2, "x")), r"annotations\[0\]\.segment\[0\]: not a time"),
        (video((1, 1e9, "x")), r"annotations\[0\]\.segment\[1\]: not a time"),
        (video((None, 2, "x")), r"database\.id\.annotations\[0\]\.segment"),
        (video((1, 2, 3)), r"database\.id\.annotations\[0\]\.label: found a whole number; expected text"),
        (video((1, 2, "  ")), r"annotations\[0\]\.label: not a class name"),
        (video((1, 2, "a\nb")), r"annotations\[0\]\.label: not a class name"),
        (video((1, 2, "x" * 501)), r"annotations\[0\]\.label: not a class name"),
        (video(duration="long"), r"database\.id\.duration: not a time"),
        (video(duration=[1]), r"database\.id\.duration"),
        (video(subset="trainnig"), r"database\.id\.subset: unknown subset; found 'trainnig'"),
        ({"annotations": []}, r"database\.id.*subset"),
        ({**video(), "annotations": [{"segment": [1, 2]}]}, r"database\.id\.annotations\[0\].*label"),
        ({**video(), "annotations": [{"segment": [1], "label": "x"}]}, r"database\.id\.annotations\[0\]\.segment"),
        ([], r"database\.id"),
    ],
)
def test_every_fault_is_located(tmp_path: Path, broken: Any, said: str) -> None:
    with pytest.raises(InputError, match=rf"a\.json: {said}" if said.startswith("d") else rf"a\.json: .*{said}"):
        activitynet.read(file_of(tmp_path, {"fine": video(), "id": broken}))


@pytest.mark.parametrize("name", ["../../x", "a/b", "=cmd()", "x" * 10_000, "", "a\\b", "..", ".", "a\nb", "+1", "@x"])
def test_an_id_is_no_path_no_formula_and_no_flood(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"a\.json: database\..*video id") as caught:
        activitynet.read(file_of(tmp_path, {"fine": video(), name: video((1, 2, "x"))}))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", ["-abc", "_abc", "a b", "ü", "a'b", "x" * 255, "v_"])
def test_ids_that_are_only_unusual(tmp_path: Path, name: str) -> None:
    assert activitynet.read(file_of(tmp_path, {name: video(), "fine": video()})).videos[0].id == name


def test_one_video_twice_in_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two videos with this id"):
        activitynet.read(file_of(tmp_path, {"v_abcdefghijk": video(), "abcdefghijk": video()}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "empty annotation file"), (b" \n", "empty annotation file"), (b"{}", "database"),
        (b'{"database": {}}', "no video"), (b'{"database": {"a"', "not valid JSON"), (b"hello", "not valid JSON"),
        (b'{"database": {"\xff": {}}}', "UTF-8|not valid JSON"), (b"[]", "a list"), (b'{"database": 3}', "database"),
        (b'{"database": ' + b"[" * 100_000, "database"), (b'{"database": null}', "database"),
        (b'{"database": {"a": {"subset": "test", "annotations": null}}}', r"database\.a\.annotations"),
    ],
)  # fmt: skip
def test_what_is_no_annotation_file(tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(InputError, match=rf"a\.json.*{said}|{said}.*a\.json"):
        activitynet.read(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([(1, "a", 2), (2, "b", 1)], "circle"), ([(1, "a", 1)], "circle"),
        ([(1, "a", None), (1, "b", None)], "twice"), ([(1, "a", 2), (2, "b", 3), (3, "c", 2)], "circle"),
    ],
)  # fmt: skip
def test_a_tree_that_is_none(tmp_path: Path, nodes: list[tuple[int, str, int | None]], said: str) -> None:
    taxonomy = [{"nodeId": i, "nodeName": name, "parentId": parent} for i, name, parent in nodes]
    with pytest.raises(InputError, match=said):
        activitynet.read(file_of(tmp_path, {"a": video()}, taxonomy=taxonomy))


def repeats(video: Video) -> int:
    """Instances that repeat another one of their video, to the microsecond."""
    return len(video.instances) - len({(round(i.start, 6), round(i.end, 6), i.label) for i in video.instances})


@pytest.mark.real
def test_the_real_file(real_data: Path) -> None:
    """What was measured of ActivityNet 1.3: the counts that every project's reader should find."""
    corpus = activitynet.read(real_data / "activitynet" / "activity_net.v1-3.min.json")
    instances = [(v, i) for v in corpus.videos for i in v.instances]
    assert len(corpus.videos) == 19_994
    assert sum(bool(v.instances) for v in corpus.videos) == 14_950
    assert len(instances) == 23_064
    assert len(corpus.labels) == 200
    assert len(corpus.tree) == 200
    assert set(corpus.labels) == set(corpus.tree)
    subsets = Counter(v.subset for v in corpus.videos)
    assert subsets == {"training": 10_024, "validation": 4_926, "testing": 5_044}
    assert Counter(v.subset for v, _ in instances) == {"training": 15_410, "validation": 7_654}
    assert sum(i.start == i.end for _, i in instances) == 12
    past = [i.end - v.duration for v, i in instances if v.duration is not None and i.end > v.duration]
    assert len(past) == 226
    assert max(past) <= 0.85
    assert sum(repeats(v) for v in corpus.videos) == 52
    assert sum(len({i.label for i in v.instances}) > 1 for v in corpus.videos) == 13


@pytest.mark.real
def test_the_other_real_file(real_data: Path) -> None:
    corpus = activitynet.read(real_data / "activitynet" / "activity_net.v1-2.min.json")
    counts = Counter(v.subset for v in corpus.videos for _ in v.instances)
    assert counts == {"training": 7_151, "validation": 3_582}
    assert len(corpus.labels) == 100


def test_a_video_that_stands_twice(tmp_path: Path) -> None:
    one = '"v1": {"subset": "training", "duration": 9, "annotations": []}'
    (tmp_path / "a.json").write_text(f'{{"database": {{{one}, "v2": {{"subset": "testing"}}, {one}}}}}')
    with pytest.raises(InputError, match=r"a\.json: v1: a key that stands twice"):
        annotations.read([tmp_path / "a.json"])
    (tmp_path / "m.json").write_text('{"v1": {"subset": "testing", "duration": 1, "actions": []}, "v1": {"subset": '
                                     '"testing", "duration": 1, "actions": []}}')  # fmt: skip
    with pytest.raises(InputError, match=r"m\.json: v1: a key that stands twice"):
        annotations.read([tmp_path / "m.json"])


def test_one_class_in_two_spellings(tmp_path: Path) -> None:
    videos = {name: video((1, 2, label)) for name, label in (("a", "Long jump"), ("b", "long  Jump"))}
    with pytest.raises(InputError, match=r"a\.json: label: one class in two spellings; found 'long  Jump'"):
        annotations.read([file_of(tmp_path, videos)])


def test_what_is_too_large_is_refused_before_it_is_held(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as stream:
        stream.write(b'{"database": {"')
        stream.truncate(2**31)  # a sparse file: 2 GB of one string, on no disk
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"a\.json: too large to be what it should be"):
            annotations.read([tmp_path / "a.json"])
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()

"""Building for the videos at hand, and telling two manifests apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from activity_bench.data.features import write_store
from activity_bench.errors import InputError
from activity_bench.simulation.corpus import files
from activity_bench.simulation.world import World, WorldOptions
from activity_bench.types import Video
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.coverage import available
from activity_bench.workflow.inspect import difference, inspect
from activity_bench.workflow.rank import leaderboard
from activity_bench.workflow.run import run_method

pytestmark = pytest.mark.quick


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "a.json").write_bytes(files()["activitynet.json"])
    return tmp_path / "a.json"


def test_a_partial_manifest_is_a_part_of_the_whole_and_is_not_ranked(corpus: Path, tmp_path: Path) -> None:
    whole = build_dataset("relocalization", [corpus], tmp_path / "whole")
    test = whole.samples("test")
    have = {v for s in whole.samples("train") for v in (s.video.id, s.query.video)}
    have |= {test[0].video.id, test[0].query.video}
    (tmp_path / "have.txt").write_text("\n".join(str(video) for video in sorted(map(str, have))))
    part = build_dataset("relocalization", [corpus], tmp_path / "part", available=tmp_path / "have.txt")
    assert part.partial
    assert not whole.partial
    assert part.splits["train"].sha256 == whole.splits["train"].sha256
    assert test[0] in part.samples("test")
    assert all(s in test for s in part.samples("test"))
    covered = part.provenance["coverage"]["test"]
    assert (covered["have"], covered["samples"]) == (len(part.samples("test")), len(test))
    assert sum(count for _, count in covered["classes"].values()) == len(test)
    assert "Coverage by the videos at hand" in (tmp_path / "part" / "DATASHEET.md").read_text(encoding="utf-8")
    runs = [run_method("random", tmp_path / name, "test", tmp_path / f"run-{name}") for name in ("whole", "part")]
    assert any("partial" in warning for warning in runs[1].report.warnings)
    assert [row["rank"] for row in leaderboard([run.folder for run in runs]).rows] in ([1, None], [None, 1])
    assert "partial" in inspect(tmp_path / "part").standing


def test_all_at_hand_is_the_whole(corpus: Path, tmp_path: Path) -> None:
    whole = build_dataset("relocalization", [corpus], tmp_path / "whole")
    folder = tmp_path / "videos"
    folder.mkdir()
    for sample in (s for split in whole.splits for s in whole.samples(split)):
        for video in (sample.video.id, sample.query.video):
            (folder / f"v_{video}.mp4").touch()
    same = build_dataset("relocalization", [corpus], tmp_path / "same", available=folder)
    assert same.digest == whole.digest
    assert not same.partial


def test_what_is_at_hand(tmp_path: Path) -> None:
    world = World(WorldOptions(dim=4), {}, [Video("one", 10.0, "x", ()), Video("two", 12.0, "x", ())])
    write_store(tmp_path / "f.h5", world.attributes, ((name, world.read(name)) for name in world.ids()))
    assert available(tmp_path / "f.h5") == {"one", "two"}
    (tmp_path / "ids.txt").write_text("one\n\n v_two \n")
    assert available(tmp_path / "ids.txt") == {"one", "two", "v_two"}
    (tmp_path / "cut.txt").write_text("video_000186_000196\nname_12_34\n")  # as Kinetics' clips are called
    assert available(tmp_path / "cut.txt") == {"video_000186_000196", "video", "name_12_34"}
    (tmp_path / "none.txt").write_text("\n")
    with pytest.raises(InputError, match=r"none\.txt: no video in it"):
        available(tmp_path / "none.txt")


def test_two_manifests_told_apart(corpus: Path, tmp_path: Path) -> None:
    for name, options in (("a", {}), ("b", {}), ("c", {"seed": 1}), ("d", {"max_window": 100})):
        build_dataset("relocalization", [corpus], tmp_path / name, options=options)
    assert difference(tmp_path / "a", tmp_path / "b")[0].startswith("the same samples: sha256:")
    assert "option seed: 0 | 1" in difference(tmp_path / "a", tmp_path / "c")
    told = difference(tmp_path / "a", tmp_path / "d")
    assert "option max_window: 300 | 100" in told
    assert any(line.startswith("test: ") and "in the first alone" in line for line in told)


def test_a_share_is_drawn_by_video_and_the_same_every_time(corpus: Path, tmp_path: Path) -> None:
    whole = build_dataset("activity-ibal", [corpus], tmp_path / "whole")
    shares = {"train": 0.5, "test": 0.3}
    part = build_dataset("activity-ibal", [corpus], tmp_path / "part", share=shares)
    assert part.partial and not whole.partial
    assert part.splits["val"].sha256 == whole.splits["val"].sha256  # of which nothing was said
    for split, share in shares.items():
        samples, kept = whole.samples(split), part.samples(split)
        drawn = {sample.video.id for sample in kept}
        assert kept == [sample for sample in samples if sample.video.id in drawn]  # all queries of a video, or none
        videos = {sample.video.id for sample in samples}
        assert abs(len(drawn) / len(videos) - share) < 0.25
    more = build_dataset("activity-ibal", [corpus], tmp_path / "more", share={"train": 0.8, "test": 0.3})
    assert {s.id for s in part.samples("train")} < {s.id for s in more.samples("train")}
    assert build_dataset("activity-ibal", [corpus], tmp_path / "again", share=shares).digest == part.digest

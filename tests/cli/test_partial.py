"""--limit makes a part that says so and has no rank; --dry-run says what all of it takes, and leaves nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from activity_bench.data import manifest as manifests
from activity_bench.errors import InputError
from activity_bench.simulation.corpus import files
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.rank import leaderboard
from activity_bench.workflow.run import run_method

pytestmark = pytest.mark.quick

Held = Callable[[Path], dict[str, bytes | None]]


def report(run: Path) -> dict[str, Any]:
    return json.loads((run / "report.json").read_text(encoding="utf-8"))


def test_a_limited_run_is_the_first_part_of_the_whole(manifest: Path, tmp_path: Path) -> None:
    run_method("random", manifest, "test", tmp_path / "whole")
    run_method("random", manifest, "test", tmp_path / "some", limit=20)
    whole, some = report(tmp_path / "whole"), report(tmp_path / "some")
    assert (some["asked"], some["answered"], some["manifest"]["partial"]) == (20, 20, True)
    assert not whole["manifest"]["partial"]
    with np.load(tmp_path / "whole" / "report.rows.npz") as rows:
        assert some["metrics"]["mIoU"] == pytest.approx(rows["iou"][:20].mean(), abs=1e-12)
    lines = [(tmp_path / name / "predictions.jsonl").read_text().splitlines()[1:] for name in ("whole", "some")]
    assert lines[1] == lines[0][:20]
    ranks = {row["asked"]: row["rank"] for row in leaderboard([tmp_path / "whole", tmp_path / "some"]).rows[:2]}
    assert ranks == {whole["asked"]: 1, 20: None}


def test_a_limit_beyond_the_split_is_the_whole(manifest: Path, tmp_path: Path) -> None:
    run_method("full-window", manifest, "test", tmp_path / "whole")
    run_method("full-window", manifest, "test", tmp_path / "all", limit=10_000)
    whole, everything = report(tmp_path / "whole"), report(tmp_path / "all")
    assert everything | {"created": ""} == whole | {"created": ""}


@pytest.mark.parametrize("limit", [0, -3])
def test_no_samples_are_no_part(manifest: Path, annotations: Path, tmp_path: Path, limit: int) -> None:
    with pytest.raises(InputError, match="--limit: not a number of samples"):
        run_method("random", manifest, "test", tmp_path / "run", limit=limit)
    with pytest.raises(InputError, match="--limit: not a number of samples"):
        build_dataset("relocalization", annotations, tmp_path / "manifest", limit=limit)
    assert list(tmp_path.iterdir()) == []


def test_a_limited_split_is_verified_to_its_end(manifest: Path, tmp_path: Path) -> None:
    asked = manifests.load(manifest)
    assert asked.first(7, "val").samples("val") == asked.samples("val")[:7]
    changed = tmp_path / "changed"
    changed.mkdir()
    for path in manifest.iterdir():
        text = path.read_bytes()
        (changed / path.name).write_bytes(text[:-2] + b" " + text[-2:] if path.name == "val.jsonl" else text)
    with pytest.raises(InputError, match="was changed since the manifest was built"):
        manifests.load(changed).first(7, "val").samples("val")


def test_a_limited_manifest_is_the_head_of_the_whole(manifest: Path, annotations: Path, tmp_path: Path) -> None:
    made = build_dataset("relocalization", annotations, tmp_path / "some", limit=9)
    assert made.partial
    for split in ("train", "val", "test"):
        lines = [(folder / f"{split}.jsonl").read_bytes().splitlines() for folder in (manifest, tmp_path / "some")]
        assert lines[1] == lines[0][:9]
    covered = made.provenance["coverage"]["test"]
    assert (covered["have"], covered["samples"]) == (9, len(manifests.load(manifest).samples("test")))


def test_a_limit_counts_what_is_available(manifest: Path, annotations: Path, tmp_path: Path) -> None:
    videos = sorted({s.video.id for s in manifests.load(manifest).samples("train")})[::2]
    (tmp_path / "ids.txt").write_text("\n".join(videos), encoding="utf-8")
    given = {"available": tmp_path / "ids.txt"}
    some = build_dataset("relocalization", annotations, tmp_path / "some", limit=5, **given).samples("train")
    assert some == build_dataset("relocalization", annotations, tmp_path / "all", **given).samples("train")[:5]


def test_a_limited_detection_split(tmp_path: Path) -> None:
    annotations = tmp_path / "a.json"
    annotations.write_bytes(files()["activitynet.json"])
    build_dataset("detection", annotations, tmp_path / "truth")
    asked = manifests.load(tmp_path / "truth")
    split = next(iter(asked.splits))
    from activity_bench.workflow.score import read_truth

    assert read_truth(asked.first(5, split), split).ids == read_truth(asked, split).ids[:5]


def test_a_dry_run_of_a_baseline_leaves_nothing(manifest: Path, tmp_path: Path, invoke: Any, held: Held) -> None:
    given = ("run-baseline", "random", "--manifest", manifest, "--split", "test", "--out", tmp_path / "run")
    said = invoke(*given, "--dry-run", "--json")
    assert list(tmp_path.iterdir()) == [] and "nothing was written" in said.err
    rows = {row["work"]: row for row in map(json.loads, said.out.splitlines())}
    invoke(*given)
    size = (tmp_path / "run" / "predictions.jsonl").stat().st_size
    assert rows["answers to test"]["count"] == len(manifests.load(manifest).samples("test"))
    assert 0.8 < rows["answers to test"]["bytes"] / size < 1.2
    assert rows["all"]["seconds"] >= rows["answers to test"]["seconds"] > 0


def test_a_dry_run_looks_at_what_the_run_looks_at(manifest: Path, tmp_path: Path, invoke: Any) -> None:
    given = ("--manifest", manifest, "--out", tmp_path / "run", "--dry-run")
    assert "unknown split" in invoke("run-baseline", "random", "--split", "tset", *given, code=2).err
    assert "needs features" in invoke("run-baseline", "frame-level", "--split", "test", *given, code=2).err
    assert "unknown option" in invoke("run-baseline", "random", "--split", "test", "--set", "x=1", *given, code=2).err


def test_a_dry_build_is_the_build(annotations: Path, tmp_path: Path, invoke: Any) -> None:
    given = ("build-dataset", "relocalization", "--annotations", annotations, "--out", tmp_path / "made")
    dry = invoke(*given, "--dry-run")
    assert list(tmp_path.iterdir()) == []
    made = invoke(*given)
    assert dry.out == made.out
    size = sum(path.stat().st_size for path in (tmp_path / "made").iterdir())
    assert f"would hold {size:,} bytes" in dry.err


def test_a_dry_training(manifest: Path, tmp_path: Path, invoke: Any) -> None:
    from activity_bench.workflow.simulate import simulate_features

    simulate_features(manifest, tmp_path / "features.h5", options={"dim": 16})
    given = ("train", "cgbm", "--manifest", manifest, "--features", tmp_path / "features.h5", "--out", tmp_path / "run",
             "--set", "hidden=32", "--set", "batch=4", "--set", "validate_every=3", "--set", "workers=0",
             "--device", "cpu")  # fmt: skip
    said = invoke(*given, "--set", "steps=50", "--dry-run", "--json")
    assert [path.name for path in tmp_path.iterdir()] == ["features.h5"]
    rows = {row["work"]: row for row in map(json.loads, said.out.splitlines())}
    assert rows["training steps"]["count"] == 50
    assert rows["answers to val"]["count"] == 17 * len(manifests.load(manifest).samples("val"))
    assert "memory, at most" in said.err
    invoke(*given, "--set", "steps=3")
    size = sum(path.stat().st_size for path in (tmp_path / "run").glob("*.safetensors"))
    assert 0.8 < rows["training steps"]["bytes"] / size < 1.2


def test_a_report_on_standard_output(manifest: Path, run: Path, tmp_path: Path, invoke: Any) -> None:
    given = ("score", run / "predictions.jsonl", "--manifest", manifest, "--split", "test", "--json")
    said = invoke(*given, "-")
    invoke(*given, tmp_path / "report.json")
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    alike = {"created": "", "rows": None}  # rows have no place beside standard output
    assert json.loads(said.out) | alike == written | alike
    assert "126 of 126 answered" in said.err
    found = json.loads(invoke("compare", run, tmp_path / "report.json", "--json", "-").out)
    assert found["baseline"] == "random" and not Path("-").exists()


def test_json_lines_of_a_leaderboard_are_the_csv(run: Path, tmp_path: Path, invoke: Any) -> None:
    import csv

    said = invoke("leaderboard", run, "--json", "--csv", tmp_path / "board.csv")
    lines = [json.loads(line) for line in said.out.splitlines()]
    with (tmp_path / "board.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(lines) == len(rows)
    assert lines[0]["mIoU"] == float(rows[0]["mIoU"])
    assert list(lines[0])[1:] == list(rows[0])

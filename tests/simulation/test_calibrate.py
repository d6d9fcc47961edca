"""Calibration on the embedded geometry, what a method without features cannot see, and features served both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from activity_bench.data.features import FeatureStore
from activity_bench.data.features.images import ImageStore
from activity_bench.errors import InputError
from activity_bench.simulation.corpus import CorpusOptions, files
from activity_bench.simulation.parameters import CALIBRATED, WorldOptions
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.calibrate import calibrate, scored
from activity_bench.workflow.run import run_method
from activity_bench.workflow.simulate import provider, simulate_corpus, simulate_features, simulate_words, simulated

QUICK = pytest.mark.quick

PAPER = {"top1-mAP@0.5": 0.188, "top1-mAP@0.6": 0.139, "top1-mAP@0.7": 0.096, "top1-mAP@0.8": 0.050,
         "top1-mAP@0.9": 0.023, "top1-mAP": 0.099}  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for name, content in files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def manifest(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return build_dataset("relocalization", [corpus / "activitynet.json"], tmp_path_factory.mktemp("m") / "m")


@QUICK
def test_frame_level_scores_the_papers_mean_at_the_embedded_geometry(manifest: Any) -> None:
    found = scored("frame-level", manifest.folder, "test", WorldOptions(noise=CALIBRATED["embedded"]))
    assert abs(found["top1-mAP"] - PAPER["top1-mAP"]) < 0.01


@pytest.mark.real
@pytest.mark.check
def test_frame_level_scores_the_papers_row_at_the_real_geometry(real_data: Path, tmp_path: Path) -> None:
    made = build_dataset(
        "relocalization", [real_data / "activitynet" / "activity_net.v1-3.min.json"], tmp_path / "m",
        protocol="released", tables={"frame_counts": real_data / "relocalization" / "length.json",
                                     "class_order": real_data / "relocalization" / "perm.npy"},
    )  # fmt: skip
    found = scored("frame-level", made.folder, "test", WorldOptions())
    assert WorldOptions().noise == CALIBRATED["released"]
    assert abs(found["top1-mAP"] - PAPER["top1-mAP"]) < 0.01
    for metric, paper in PAPER.items():
        assert abs(found[metric] - paper) < 0.025, metric  # 978 samples: 2.5 standard errors at 0.1


@QUICK
def test_calibration_halves_the_way_to_the_aim(manifest: Any) -> None:
    found = calibrate("frame-level", manifest.folder, metric="mIoU", aim=0.25, low=2, high=20, steps=4,
                      options={"dim": 16})  # fmt: skip
    assert [each.value for each in found.tried[:3]] == pytest.approx([2, 20, 40**0.5])
    assert len(found.tried) == 6
    scores = [each.metrics["mIoU"] for each in sorted(found.tried, key=lambda each: each.value)]
    assert scores[0] > 0.25 > scores[-1]
    assert abs(found.best.metrics["mIoU"] - 0.25) == min(abs(score - 0.25) for score in scores) < 0.04


@QUICK
@pytest.mark.parametrize(
    ("changes", "said"),
    [({"aim": 0.99}, "the aim lies outside"), ({"metric": "mIOU"}, "unknown metric"),
     ({"parameter": "nois"}, "Did you mean 'noise'"), ({"parameter": "dim"}, "unknown parameter"),
     ({"low": 5.0, "high": 5.0}, "no range to search"), ({"method": "frame-lvel"}, "unknown method"),
     ({"options": {"kinship": 2.0}}, "kinship"), ({"aim": float("nan")}, "aim: not a finite number"),
     ({"high": float("inf")}, "noise: out of range"), ({"options": {"seed": -1}}, "seed: out of range")],
)  # fmt: skip
def test_calibration_says_what_is_wrong(manifest: Any, changes: dict[str, Any], said: str) -> None:
    given = {"method": "frame-level", "metric": "mIoU", "aim": 0.3, "low": 5.0, "high": 6.0, "steps": 1,
             "options": {"dim": 4}} | changes  # fmt: skip
    with pytest.raises(InputError, match=said):
        calibrate(given.pop("method"), manifest.folder, **given)


@QUICK
def test_baselines_without_features_do_not_feel_the_world(manifest: Any, tmp_path: Path) -> None:
    for noise in (0.0, 9.0):
        simulate_features(manifest.folder, tmp_path / f"{noise}.h5", options={"dim": 4, "noise": noise})
    for method in ("random", "statistical-prior"):
        answers = set()
        for features in (None, tmp_path / "0.0.h5", tmp_path / "9.0.h5"):
            run_method(method, manifest.folder, "test", tmp_path / "run", features=features, force=True)
            answers.add((tmp_path / "run" / "predictions.jsonl").read_bytes())
        assert len(answers) == 1


@QUICK
def test_the_store_and_the_world_on_the_fly_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(files(CorpusOptions(videos=96))["activitynet.json"])
    build_dataset("activity-ibal", [tmp_path / "a.json"], tmp_path / "m")
    options = {"dim": 8, "region_dim": 8, "global_dim": 8}
    store = simulate_features(tmp_path / "m", tmp_path / "f.h5", options=options)
    world, images = simulated(tmp_path / "m", options), ImageStore(tmp_path / "f.h5")
    assert store.digest == world.digest and store.ids() == world.ids()
    assert images.frames() == world.frames() and len(images.frames()) > 50
    frame = images.frames()[7]
    assert [part.tobytes() for part in images.image(*frame)] == [part.tobytes() for part in world.image(*frame)]
    with pytest.raises(InputError, match="the file exists"):
        simulate_features(tmp_path / "m", tmp_path / "f.h5", options=options)
    again = simulate_features(tmp_path / "m", tmp_path / "f.h5", options=options, force=True)
    assert isinstance(again, FeatureStore) and again.digest == store.digest
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "m", "f.h5"}
    assert provider(tmp_path / "f.h5", tmp_path / "m").digest == store.digest
    assert provider("simulated:dim=8,region_dim=8,global_dim=8", tmp_path / "m").digest == store.digest
    with pytest.raises(InputError, match="Did you mean 'dim'"):
        provider("simulated:dimm=8", tmp_path / "m")


@QUICK
def test_trimmed_clips_weak_lines_and_names(corpus: Path, tmp_path: Path) -> None:
    build_dataset("what2when", [corpus / "thumos" / "annotations_test"], tmp_path / "m",
                  options={"target": "thumos14"}, tables={"source": corpus / "kinetics.csv"})  # fmt: skip
    world = simulated(tmp_path / "m", {"dim": 8})
    assert len(world.content.trimmed) > 300 and not any(name.startswith("video_test") for name in world.content.trimmed)
    assert all(world.events(name) for name in sorted(world.content.trimmed)[:50])
    count = simulate_words(tmp_path / "m", tmp_path / "words.npz")
    with np.load(tmp_path / "words.npz", allow_pickle=False) as found:
        names, vectors = list(found["names"]), found["vectors"]
    assert vectors.shape == (count, 300) == (len(names), 300)
    alike = vectors @ vectors.T / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vectors, axis=1)[:, None]
    np.fill_diagonal(alike, -1)
    assert names[alike[names.index("JavelinThrow")].argmax()] == "javelin throw"
    held = (tmp_path / "words.npz").read_bytes()
    with pytest.raises(InputError, match="the file exists"):
        simulate_words(tmp_path / "m", tmp_path / "words.npz", options={"seed": 1})
    assert (tmp_path / "words.npz").read_bytes() == held
    simulate_words(tmp_path / "m", tmp_path / "words.npz", options={"seed": 1}, force=True)
    assert (tmp_path / "words.npz").read_bytes() != held


@QUICK
@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_worlds_seed_and_noise_have_bounds(tmp_path: Path, seed: int) -> None:
    with pytest.raises(InputError, match="not a seed"):
        simulate_corpus(tmp_path / "corpus", options={"seed": seed})
    with pytest.raises(InputError, match="seed: out of range"):
        WorldOptions(seed=seed)
    with pytest.raises(InputError, match="noise: out of range"):
        WorldOptions(noise=1e308)  # beyond single precision

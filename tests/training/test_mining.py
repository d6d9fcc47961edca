"""Mining: pseudo-labels, rounds that are cut off and go on, and the whole way."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from activity_bench.data.features import FeatureStore
from activity_bench.data.manifest import Manifest
from activity_bench.data.manifest import load as load_manifest
from activity_bench.errors import InputError
from activity_bench.models.actionbytes import Method, Options
from activity_bench.simulation.corpus import files
from activity_bench.training.blocks.kmeans import k_means
from activity_bench.training.checkpoint import Folder
from activity_bench.training.mining import Mined, mine
from activity_bench.training.videos import Video
from activity_bench.training.watch import Progress, Silent
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.run import run_method
from activity_bench.workflow.score import score
from activity_bench.workflow.simulate import simulate_features, simulate_words
from tests.conftest import assert_exit
from tests.reference import actionbytes as twin
from tests.training import made

quick, check = pytest.mark.quick, pytest.mark.check


# ---- pseudo-labels --------------------------------------------------------------------------------------------------


class Latent(torch.nn.Module):
    """Features as they are."""

    def latent(self, rows: torch.Tensor) -> torch.Tensor:
        return rows.relu()


@quick
@pytest.mark.parametrize("segments", ["bytes", "fixed"])
def test_the_pseudo_labels_of_a_video_are_its_segments_clusters(segments: Any, tmp_path: Path) -> None:
    store = made.features(tmp_path / "f.h5")
    videos = [Video(f"s{n}", f"train{n}", (n % 3, store.rows(f"train{n}")), (0,)) for n in range(12)]
    found = mine(Latent(), videos, store, torch.device("cpu"), clusters=6, seed=3, segments=segments, percentile=60.0)
    owners, means = [], []
    for place in sorted(range(12), key=lambda n: (videos[n].window[1] - videos[n].window[0], n)):
        latent = np.maximum(store.read(videos[place].video, *videos[place].window).astype(np.float64), 0)
        pieces = twin.action_bytes(twin.boundaries(latent, 60.0)) or [(0, len(latent))]
        for first, last in pieces if segments == "bytes" else twin.fixed(len(latent), 2):
            owners.append(place)
            means.append(latent[first:last].mean(axis=0))
    clusters = k_means(torch.tensor(np.array(means)).half(), 6, 3)
    expected = torch.zeros(12, 6, dtype=torch.bool)
    expected[owners, clusters.label] = True
    assert torch.equal(found.labels, expected) and found.count == len(means)
    assert found.loss == pytest.approx(clusters.loss, rel=1e-3)
    assert [video.pseudo for video in found.taught(videos)] == [tuple(np.flatnonzero(row)) for row in expected.numpy()]
    with pytest.raises(
        InputError, match="clusters: more clusters than there is to group; found 5000; expected at most"
    ):
        mine(Latent(), videos, store, torch.device("cpu"), clusters=5000, seed=3, segments=segments)


@quick
def test_what_is_mined_is_kept_for_a_run_that_goes_on(tmp_path: Path) -> None:
    folder, mined = Folder(tmp_path / "round-1"), Mined(torch.eye(4, 3) > 0, 1 / 3, 17)
    assert Mined.kept(folder, 4, 3, 50) is None
    mined.keep(folder, 50)
    found = Mined.kept(folder, 4, 3, 50)
    assert found is not None and torch.equal(found.labels, mined.labels) and (found.loss, found.count) == (1 / 3, 17)
    with pytest.raises(InputError, match="mined after another number of steps; found 60; expected 50"):
        Mined.kept(folder, 4, 3, 60)
    with pytest.raises(InputError, match=r"pseudo.safetensors: labels: the weights of another model"):
        Mined.kept(folder, 5, 3, 50)
    (folder.path / "pseudo.safetensors").write_bytes(b"x")
    with pytest.raises(InputError, match="not a whole file"):
        Mined.kept(folder, 4, 3, 50)


# ---- rounds ---------------------------------------------------------------------------------------------------------

SMALL = {"latent": 12, "clusters": 10, "rounds": 2, "proposals": True, "dropout": 0.3}
SHORT = {"steps": 12, "batch": 8, "validate_every": 4, "log_every": 1, "workers": 0, "device": "cpu"}


@dataclass(frozen=True)
class Stage:
    """The embedded corpus: manifests, features, words."""

    corpus: Path
    trimmed: Manifest
    weak: Manifest
    features: Path
    words: Path


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder = tmp_path_factory.mktemp("what2when")
    for name, data in files().items():
        path = folder / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    thumos, target = folder / "corpus" / "thumos", {"target": "thumos14"}
    source = {"source": folder / "corpus" / "kinetics.csv"}
    trimmed = build_dataset(
        "what2when", [thumos / "annotations_test"], folder / "trimmed", options=target, tables=source
    )
    weak = build_dataset("what2when", [thumos], folder / "weak", protocol="weak", options=target)
    simulate_words(trimmed.folder, folder / "words.npz")
    for manifest in (trimmed, weak):
        simulate_features(manifest.folder, folder / f"{manifest.folder.name}.h5", options={"dim": 16, "noise": 1})
    return Stage(folder / "corpus", trimmed, weak, folder / "trimmed.h5", folder / "words.npz")


def method(stage: Stage, **changes: Any) -> Method:
    options = {**SMALL, "words": str(stage.words), **changes}
    found = Method(Options(**options), 3, FeatureStore(stage.features), replace(Method.defaults, **SHORT))
    found.vocabularies = stage.trimmed.vocabularies
    return found


class Cut(Exception):
    """Stands for a kill."""


class Watcher(Silent):
    """Cuts a training off after so many steps, of all rounds together."""

    def __init__(self, after: int) -> None:
        self.left = after

    def step(self, progress: Progress) -> None:
        self.left -= 1
        if not self.left:
            raise Cut


def weights(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.safetensors"))}


@quick
def test_a_run_that_is_cut_off_in_any_round_goes_on_to_the_same_bits(stage: Stage, tmp_path: Path) -> None:
    train = stage.trimmed.samples("train")[:90]
    whole = tmp_path / "whole"
    whole.mkdir()
    fitted = method(stage).fit(train, [], Folder(whole))
    assert [each["steps"] for each in fitted["rounds"]] == [12, 12, 12] and fitted["steps"] == 36
    assert [each.get("segments", 0) > 90 for each in fitted["rounds"]] == [False, True, True]
    assert all(each["loss"] > 0 for each in fitted["rounds"][1:])
    run, cuts = tmp_path / "run", [7, 6, 9, 4]  # round 0; then each after the checkpoint that it goes on from
    run.mkdir()
    for after in cuts:
        with pytest.raises(Cut):
            method(stage).fit(train, [], Folder(run), Watcher(after))
    assert (run / "round-1" / "pseudo.safetensors").exists() and not (run / "best.safetensors").exists()
    method(stage).fit(train, [], Folder(run))
    assert weights(run) == weights(whole)
    assert {"round-0/best.safetensors", "round-2/pseudo.safetensors", "best.safetensors"} <= weights(run).keys()
    assert (run / "classes.json").read_bytes() == (whole / "classes.json").read_bytes()
    # once more changes nothing, and in memory it is the same
    alone = method(stage)
    alone.fit(train, [])
    assert alone.trained is not None
    for name, tensor in load_file(run / "last.safetensors").items():
        assert torch.equal(alone.trained.state_dict()[name], tensor), name
    later = method(stage)
    later.training = replace(later.training, steps=16)
    with pytest.raises(InputError, match="mined after another number of steps; found 16; expected 12"):
        later.fit(train, [], Folder(run))


@quick
def test_what_is_loaded_answers_as_what_was_fitted(stage: Stage, tmp_path: Path) -> None:
    fitted = method(stage)
    fitted.fit(stage.trimmed.samples("train")[:60], [], Folder(tmp_path))
    questions = [sample.question() for sample in stage.trimmed.samples("test")[:6]]
    answers = list(fitted.predict(questions))
    loaded = method(stage, words="gone")  # of the classes that it was trained for, the words are not asked again
    loaded.load(tmp_path / "best.safetensors")
    assert list(loaded.predict(questions)) == answers
    assert [next(loaded.predict([question])) for question in questions[::-1]] == answers[::-1]
    for question, answer in zip(questions, answers, strict=True):
        assert answer.labels is not None and set(answer.labels) <= set(stage.trimmed.vocabularies["target"])
        assert all(0 <= start < end for start, end, _ in answer.segments) and len(answer.segments) > 5
        assert question.id == answer.sample
    other = method(stage)
    other.load(tmp_path / "best.safetensors")
    other.vocabularies = {"target": ["PoleVault"]}
    assert {label for answer in other.predict(questions) for label in answer.labels or ()} == {"PoleVault"}
    (tmp_path / "classes.json").unlink()
    with pytest.raises(InputError, match=r"classes\.json"):
        method(stage).load(tmp_path / "best.safetensors")
    with pytest.raises(InputError, match="neither fitted nor loaded"):
        next(method(stage).predict(questions))


@quick
def test_modes(stage: Stage) -> None:
    """The baseline mines nothing, nor does weak training; its classes are those that are asked for."""
    train = stage.trimmed.samples("train")[:40]
    baseline = method(stage, mode="baseline")
    assert len(baseline.fit(train, [])["rounds"]) == 1
    assert baseline.trained is not None and baseline.trained.transfer is None
    weak = method(stage, words="")
    weak.provider, weak.vocabularies = FeatureStore(stage.features.with_name("weak.h5")), stage.weak.vocabularies
    fitted = weak.fit(stage.weak.samples("train"), [])
    assert len(fitted["rounds"]) == 1 and weak.trained is not None
    assert torch.equal(weak.trained.affinity, torch.eye(6)) and weak.trained.transfer is None
    first = method(stage, rounds=1, segments="fixed").fit(train, [])["rounds"][1]
    assert first["segments"] == sum(-(-(v.window[1] - v.window[0]) // 2) for v in method(stage).plan(train).videos)


@quick
def test_what_is_refused_before_the_first_step(stage: Stage, tmp_path: Path) -> None:
    train = stage.trimmed.samples("train")[:9]
    with pytest.raises(InputError, match=r"train/\S+: this method learns from the classes of videos; found 'no label'"):
        method(stage).check([*train, replace(train[0], label=None, targets=())], [])
    with pytest.raises(InputError, match="words: 6 of 6 classes that are asked for"):
        method(stage, words="").check(train, [])
    with pytest.raises(InputError, match=r"no-words\.npz"):
        method(stage, words="no-words.npz").check(train, [])
    with pytest.raises(InputError, match="clusters: more clusters than there is to group; found 9999"):
        method(stage, clusters=9999).fit(train, [])
    for text, said in (
        ("{}", "format"),
        ('{"format": 1, "source": [], "target": []}', "pseudo"),
        ("[", "classes.json"),
    ):
        (tmp_path / "classes.json").write_text(text)
        with pytest.raises(InputError, match=said):
            method(stage).load(tmp_path / "best.safetensors")


@quick
def test_averaged_weights_answer_and_know_the_affinities(stage: Stage, tmp_path: Path) -> None:
    averaged = method(stage, rounds=1)
    averaged.training = replace(averaged.training, ema=0.9)
    averaged.fit(stage.trimmed.samples("train")[:30], [], Folder(tmp_path))
    for name, tensor in load_file(tmp_path / "round-1" / "best.safetensors").items():
        assert averaged.trained is not None and torch.equal(averaged.trained.state_dict()[name], tensor), name
    plain = method(stage, mode="baseline")
    plain.fit(stage.trimmed.samples("train")[:30], [])
    assert averaged.trained is not None and plain.trained is not None
    assert torch.equal(averaged.trained.affinity, plain.trained.affinity)
    assert float(plain.trained.affinity.abs().sum()) > 0


@quick
def test_a_round_keeps_the_projection_and_nothing_else(stage: Stage) -> None:
    """Of rounds without a step."""
    found = []
    for rounds in (1, 2):
        still = method(stage, rounds=rounds)
        still.training = replace(still.training, steps=0)
        still.fit(stage.trimmed.samples("train")[:30], [])
        assert still.trained is not None
        found.append(still.trained)
    assert torch.equal(found[0].project.weight, found[1].project.weight)
    assert not torch.equal(found[0].classify.weight, found[1].classify.weight)


# ---- the whole way --------------------------------------------------------------------------------------------------


@quick
def test_from_trimmed_clips_to_a_report(stage: Stage, tmp_path: Path) -> None:
    options = {**SMALL, **SHORT, "words": str(stage.words), "proposals": False}
    call = ("actionbytes", stage.trimmed.folder, "test", tmp_path / "run")
    done = run_method(*call, features=stage.features, options=options, select_on="test")
    found = score(tmp_path / "run" / "predictions.jsonl", stage.trimmed.folder, "test", protocol="wtalc")
    last = done.fitted["rounds"][-1]
    assert {name: last[name] for name in found.metrics} == pytest.approx(found.metrics, abs=1e-9)
    assert found.metrics["mAP@0.1"] > 0.01  # not 0 = 0
    assert done.report.asked == done.report.answered == 121
    lacking = {key: value for key, value in options.items() if key != "words"}
    with pytest.raises(InputError, match=r"words: 6 of 6 classes that are asked for .*found 'Archery, JavelinThrow"):
        run_method(*call, features=stage.features, options=lacking, force=True)


@quick
def test_weak_labels_teach_where(stage: Stage) -> None:
    """In the world without noise a model that was told which classes finds where they are, far above one that was told
    the classes of other videos."""
    train, test = stage.weak.samples("train"), stage.weak.samples("test")
    scores = []
    for lines in (train, [replace(s, labels=o.labels) for s, o in zip(train, train[31:] + train[:31], strict=True)]):
        told = method(stage, words="", proposals=False, latent=64)
        told.provider, told.vocabularies = FeatureStore(stage.features.with_name("weak.h5")), stage.weak.vocabularies
        told.training = replace(told.training, steps=150, lr=3e-3)
        scores.append(told.fit(lines, test)["rounds"][0]["mAP@0.3"])
    assert scores[0] > 0.3 and scores[0] > 3 * scores[1], scores


@check
def test_killed_while_a_round_is_trained_it_goes_on_to_the_same_weights(
    stage: Stage, tmp_path: Path, environment: Callable[..., dict[str, str]]
) -> None:
    settings = {**SMALL, **SHORT, "steps": 40, "words": stage.words}
    command = [sys.executable, "-m", "activity_bench", "train", "actionbytes", "--manifest", stage.trimmed.folder,
               "--features", stage.features]  # fmt: skip
    words = [*map(str, command), *(word for k, v in settings.items() for word in ("--set", f"{k}={v}"))]
    here = environment(OMP_NUM_THREADS="1")
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert_exit(subprocess.run([*words, "--out", str(whole)], env=here, capture_output=True, encoding="utf-8",
                               check=False, timeout=240), 0)  # fmt: skip
    log = run / "round-1" / "metrics.csv"
    with subprocess.Popen([*words, "--out", str(run)], env=here, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if log.exists() and len(log.read_bytes().splitlines()) > 8:
                break
            time.sleep(0.001)
        process.kill()
    assert json.loads((run / "run.json").read_text())["status"] == "training"
    assert_exit(subprocess.run([*words, "--out", str(run), "--resume"], env=here, capture_output=True, encoding="utf-8",
                               check=False, timeout=240), 0)  # fmt: skip
    assert weights(run) == weights(whole)
    assert (
        load_manifest(stage.trimmed.folder).digest == json.loads((run / "run.json").read_text())["manifest"]["digest"]
    )

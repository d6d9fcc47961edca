"""Mining: pseudo-labels, rounds that are cut off and go on, and the whole way."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from activity_bench.data.features import FeatureStore
from activity_bench.data.manifest import load as load_manifest
from activity_bench.errors import InputError, WorkError
from activity_bench.models.actionbytes import Method
from activity_bench.training.blocks.kmeans import k_means
from activity_bench.training.checkpoint import Folder
from activity_bench.training.mining import Mined, mine, most
from activity_bench.training.videos import Video
from activity_bench.training.watch import Progress, Silent
from activity_bench.workflow.run import run_method
from activity_bench.workflow.score import score
from tests.conftest import assert_exit
from tests.reference import actionbytes as twin
from tests.training import made
from tests.training.trimmed import SHORT, SMALL, Stage, made_stage, method

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
    assert found.count == sum(most(video.window[1] - video.window[0], segments, 60.0) for video in videos)
    assert found.loss == pytest.approx(clusters.loss, rel=1e-3)
    assert [video.pseudo for video in found.taught(videos)] == [tuple(np.flatnonzero(row)) for row in expected.numpy()]
    with pytest.raises(
        InputError, match="clusters: more clusters than there is to group; found 5000; expected at most"
    ):
        mine(Latent(), videos, store, torch.device("cpu"), clusters=5000, seed=3, segments=segments)


@quick
@pytest.mark.parametrize("scale", [1e-8, 1e5])
def test_features_of_any_size_are_grouped_alike(scale: float, tmp_path: Path) -> None:
    """Half precision ends at 65,504 and has few digits below 1e-4."""
    store = made.features(tmp_path / "f.h5")
    videos = [Video(f"s{n}", f"train{n}", (0, 9), (0,)) for n in range(12)]

    class Scaled(torch.nn.Module):
        def __init__(self, scale: float) -> None:
            super().__init__()
            self.scale = scale

        def latent(self, rows: torch.Tensor) -> torch.Tensor:
            return self.scale * rows.relu()

    plain, found = (mine(Scaled(by), videos, store, torch.device("cpu"), clusters=3, seed=3) for by in (1, scale))
    assert found.loss == pytest.approx(scale**2 * plain.loss, rel=0.02)
    with pytest.raises(WorkError, match="latent features too great to be grouped"):
        mine(Scaled(1e30), videos, store, torch.device("cpu"), clusters=3, seed=3)


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


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return made_stage(tmp_path_factory.mktemp("what2when"))


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
    method(stage).fit(train, [], Folder(run))  # it was refused before anything was changed
    assert weights(run) == weights(whole)


@quick
def test_what_is_loaded_answers_as_what_was_fitted(stage: Stage, tmp_path: Path) -> None:
    words = tmp_path / "words.npz"
    words.write_bytes(stage.words.read_bytes())
    fitted = method(stage, words=str(words))
    fitted.fit(stage.trimmed.samples("train")[:60], [], Folder(tmp_path))
    questions = [sample.question() for sample in stage.trimmed.samples("test")[:6]]
    answers = list(fitted.predict(questions))
    words.unlink()

    def loaded(words: Path = words, **vocabularies: Any) -> Method:
        found = method(stage, words=str(words))
        found.load(tmp_path / "best.safetensors")
        found.vocabularies = vocabularies or found.vocabularies
        return found

    again = loaded()  # of the classes and words that it was trained for, the words are not asked again
    assert list(again.predict(questions)) == answers
    assert [next(again.predict([question])) for question in questions[::-1]] == answers[::-1]
    assert list(loaded(target=[]).predict(questions)) == answers
    for question, answer in zip(questions, answers, strict=True):
        assert answer.labels is not None and set(answer.labels) <= set(stage.trimmed.vocabularies["target"])
        assert all(0 <= start < end for start, end, _ in answer.segments) and len(answer.segments) > 5
        assert question.id == answer.sample
    with pytest.raises(InputError, match=r"words\.npz"):
        list(loaded(target=["PoleVault"]).predict(questions))
    assert list(loaded(stage.words).predict(questions)) == answers
    with np.load(stage.words) as page:
        np.savez(tmp_path / "turned.npz", names=page["names"], vectors=page["vectors"][::-1])
    assert list(loaded(tmp_path / "turned.npz").predict(questions)) != answers
    once, twice = (list(loaded(stage.words, target=["PoleVault"] * n).predict(questions)) for n in (1, 2))
    assert once == twice and {label for answer in once for label in answer.labels or ()} == {"PoleVault"}
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
    strange = replace(train[0], label="archary", targets=())
    with pytest.raises(InputError, match=r"train/\S+: unknown class: the manifest's vocabulary source lacks it; found"
                       r" 'archary'.*Did you mean 'archery'"):  # fmt: skip
        method(stage).check([*train, strange], [])
    weak = method(stage, words="")
    weak.provider, weak.vocabularies = FeatureStore(stage.features.with_name("weak.h5")), stage.weak.vocabularies
    lines = stage.weak.samples("train")[:9]
    with pytest.raises(InputError, match=r"the manifest's vocabulary target lacks it; found 'Polo'"):
        weak.check([*lines, replace(lines[0], labels=("Archery", "Polo"))], [])
    with pytest.raises(InputError, match="words: 6 of 6 classes that are asked for"):
        method(stage, words="").check(train, [])
    with pytest.raises(InputError, match=r"no-words\.npz"):
        method(stage, words="no-words.npz").check(train, [])
    with pytest.raises(InputError, match="clusters: more clusters than there is to group; found 9999"):
        method(stage, clusters=9999).fit(train, [], watch=Watcher(1))
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

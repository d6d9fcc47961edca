"""train, predict and run-baseline as a user calls them: what they leave, and every error before the first step."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from tests.conftest import assert_exit
from tests.training import made
from tests.training.conftest import Benchmark

pytestmark = pytest.mark.quick

Invoke = Callable[..., Any]
SHORT = ("--set", "steps=20", "--set", "validate_every=10", "--set", "lr=0.03", "--device", "cpu")


@pytest.fixture
def start(benchmark: Benchmark) -> tuple[object, ...]:
    """What most calls begin with."""
    return ("--manifest", benchmark.manifest.folder, "--features", benchmark.features.path)


@pytest.fixture(scope="session")
def finished(benchmark: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, made once."""
    from activity_bench import catalog
    from activity_bench.workflow.train import train

    folder = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalog.METHODS, "toy", "tests.training.toy:Method")
        options = {"steps": 20, "validate_every": 10, "lr": 0.03}
        train("toy", benchmark.manifest.folder, folder, features=benchmark.features.path, options=options)
    return folder


def page(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found


def test_train_predict_score(invoke: Invoke, start: tuple[object, ...], tmp_path: Path, benchmark: Benchmark) -> None:
    run, answers = tmp_path / "run", tmp_path / "answers.jsonl"
    said = invoke("train", "toy", *start, "--out", run, *SHORT, "--seed", 3)
    assert "memory, at most" in said.err
    assert said.out.splitlines()[0].split("\t") == ["run", "seed", "steps", "selected", "val mIoU", "seconds"]
    assert said.out.splitlines()[1].split("\t")[:3] == [str(run), "3", "20"]
    found = page(run)
    assert found["status"] == "done"
    assert found["method"]["seed"] == 3 and found["method"]["selected_on"] == "val"
    assert found["method"]["options"] == {"hidden": 8, "dropout": 0.2}
    assert found["method"]["training"]["steps"] == 20 and found["method"]["training"]["batch"] == 8
    assert found["manifest"]["digest"] == benchmark.manifest.digest
    assert found["features"]["digest"] == benchmark.features.digest
    assert {found["features"][name] for name in ("dim", "window", "stride")} == {made.DIM, 16}
    assert {"torch", "numpy", "python", "activity-bench"} <= found["versions"].keys()
    names = {"run.json", "state.json", "last.safetensors", "best.safetensors", "metrics.csv", "state-20.safetensors"}
    assert {path.name for path in run.iterdir()} == names

    invoke("predict", run, "--manifest", benchmark.manifest.folder, "--split", "test", "--out", answers)
    header = json.loads(answers.read_text().splitlines()[0])
    assert header["method"]["trained"] == {
        "manifest": benchmark.manifest.digest, "features": benchmark.features.digest, "weights": "best",
    }  # fmt: skip
    scored = invoke("score", answers, "--manifest", benchmark.manifest.folder, "--split", "test")
    assert "9 of 9 answered" in scored.err


def test_run_baseline_trains_too_and_answers_the_same(
    invoke: Invoke, start: tuple[object, ...], tmp_path: Path, benchmark: Benchmark, finished: Path
) -> None:
    run = tmp_path / "run"
    invoke("run-baseline", "toy", *start, "--split", "test", "--out", run, *SHORT[:6])
    assert {path.name for path in run.iterdir()} >= {"run.json", "report.json", "predictions.jsonl"}
    assert not list(run.glob("*.safetensors"))
    report = json.loads((run / "report.json").read_text())
    assert report["asked"] == report["answered"] == 9
    assert report["method"]["selected_on"] == "val"
    assert page(run)["fitted"]["steps"] == 20
    answers = tmp_path / "answers.jsonl"
    invoke("predict", finished, "--manifest", benchmark.manifest.folder, "--split", "test", "--out", answers)
    assert answers.read_text().splitlines()[1:] == (run / "predictions.jsonl").read_text().splitlines()[1:]


def test_a_selection_on_test_is_loud(
    invoke: Invoke, start: tuple[object, ...], tmp_path: Path, benchmark: Benchmark
) -> None:
    run, answers = tmp_path / "run", tmp_path / "answers.jsonl"
    loud = (*SHORT, "--select-on", "test")
    assert "selected on the test split" in invoke("train", "toy", *start, "--out", run, *loud).err
    asked = ("--manifest", benchmark.manifest.folder, "--split", "test")
    assert "no fair one" in invoke("predict", run, *asked, "--out", answers).err
    invoke("score", answers, *asked, "--json", tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["method"]["selected_on"] == "test"
    said = invoke("run-baseline", "toy", *start, "--split", "test", "--out", tmp_path / "base", *SHORT[:6],
                  "--select-on", "test")  # fmt: skip
    assert "the report says so" in said.err
    assert json.loads((tmp_path / "base" / "report.json").read_text())["method"]["selected_on"] == "test"


def test_several_seeds(invoke: Invoke, start: tuple[object, ...], tmp_path: Path, benchmark: Benchmark) -> None:
    runs = tmp_path / "runs"
    said = invoke("train", "toy", *start, "--out", runs, *SHORT, "--seed", 4, "--runs", 3)
    values = [float(line.split("\t")[4]) for line in said.out.splitlines()[1:]]
    assert [page(runs / f"seed-{seed}")["method"]["seed"] for seed in (4, 5, 6)] == [4, 5, 6]
    mean = sum(values) / 3
    assert f"over 3 seeds: {mean:.3f}" in said.err
    refused = invoke("predict", runs, "--manifest", benchmark.manifest.folder, "--split", "test",
                     "--out", tmp_path / "answers.jsonl", code=2)  # fmt: skip
    assert "several runs" in refused.err and "seed-4" in refused.err


def test_a_seed_too_many_is_said_before_the_first_run(
    invoke: Invoke, start: tuple[object, ...], tmp_path: Path
) -> None:
    said = invoke("train", "toy", *start, "--out", tmp_path / "many", "--runs", 2, "--seed", 2**63 - 1, *SHORT, code=2)
    assert "not a seed" in said.err and not (tmp_path / "many").exists()


def test_the_memory_that_is_said_is_that_of_the_pairs_there_are(
    invoke: Invoke, start: tuple[object, ...], tmp_path: Path
) -> None:
    said = []
    for name, batch in (("all", made.COUNTS["train"]), ("more", 1_000_000)):
        said.append(invoke("train", "toy", *start, "--out", tmp_path / name, *SHORT, "--set", f"batch={batch}").err)
    assert said[0] == said[1] and "memory, at most" in said[0]


def test_settings_from_a_file(invoke: Invoke, start: tuple[object, ...], tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text("steps = 9\nlr = 0.5\nredraw = false\nschedule = 'cosine'\n")
    invoke("train", "toy", *start, "--out", tmp_path / "run", "--config", tmp_path / "toy.toml", "--set", "steps=4")
    training = page(tmp_path / "run")["method"]["training"]
    chosen = {name: training[name] for name in ("steps", "lr", "redraw", "schedule")}
    assert chosen == {"steps": 4, "lr": 0.5, "redraw": False, "schedule": "cosine"}


@pytest.mark.parametrize(
    ("text", "said"),
    [("steps = ", "not TOML"), ("[engine]\nsteps = 3", "engine: not a setting"), ("stepps = 3", "'steps'")],
)
def test_a_file_of_settings_is_checked(
    invoke: Invoke, start: tuple[object, ...], tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "toy.toml").write_text(text)
    assert (
        said in invoke("train", "toy", *start, "--out", tmp_path / "run", "--config", tmp_path / "toy.toml", code=2).err
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["stepps=3"], "unknown option of toy; found 'stepps'. Did you mean 'steps'?"),
        (["hiden=3"], "Did you mean 'hidden'?"),
        (["steps=many"], "steps"),
        (["lr=0"], "lr: out of range; found 0.0; expected above 0"),
        (["ema=1"], "ema: out of range"),
        (["batch=0"], "batch: out of range"),
        (["schedule=cosin"], "'cosine'"),
        (["precision=fp16"], "'bf16'"),
        (["device=gpu"], "unknown device; found 'gpu'"),
        (["device=cuda:99"], "no such device here"),
        (["lr=nan"], "not a finite number"),
    ],
)
def test_a_wrong_option_is_named(
    invoke: Invoke, start: tuple[object, ...], tmp_path: Path, settings: list[str], said: str
) -> None:
    pairs = [word for setting in settings for word in ("--set", setting)]
    assert said in invoke("train", "toy", *start, "--out", tmp_path / "run", *pairs, code=2).err
    assert not (tmp_path / "run").exists()


def test_a_method_that_is_not_trained_or_not_there(invoke: Invoke, start: tuple[object, ...], tmp_path: Path) -> None:
    said = invoke("train", "random", *start, "--out", tmp_path / "run", code=2).err
    assert "random is not trained" in said and "run-baseline random" in said
    assert "Did you mean 'toy'?" in invoke("train", "toyy", *start, "--out", tmp_path / "run", code=2).err
    said = invoke("train", "toy", *start, "--out", tmp_path / "run", "--select-on", "tests", code=2).err
    assert "Did you mean 'test'?" in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"leave_out": ("train0", "val3")},
            "the features lack 2 of the 33 videos that are asked; found 'train0,",
        ),
        ({"stride": 8}, "a row of these features is not a row of the manifest's grid"),
        ({"fps": 60.0}, "a row of these features is not a row of the manifest's grid"),
    ],
)
def test_features_that_do_not_fit_are_refused_before_the_first_step(
    invoke: Invoke, benchmark: Benchmark, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    made.features(tmp_path / "other.h5", **changes)
    start = ("--manifest", benchmark.manifest.folder, "--features", tmp_path / "other.h5", "--out", tmp_path / "run")
    assert said in invoke("train", "toy", *start, code=2).err
    assert not (tmp_path / "run").exists()


def test_features_that_lack_what_is_asked_are_refused_before_the_first_step(
    invoke: Invoke, benchmark: Benchmark, tmp_path: Path
) -> None:
    made.features(tmp_path / "other.h5", leave_out=("test4",))
    words = ("--manifest", benchmark.manifest.folder, "--features", tmp_path / "other.h5", "--out", tmp_path / "run")
    said = invoke("run-baseline", "toy", *words, "--split", "test", code=2).err
    assert "the features lack 1 of the 9 videos that are asked; found 'test4'" in said
    assert "memory, at most" not in said and not (tmp_path / "run").exists()


def test_features_are_needed(invoke: Invoke, benchmark: Benchmark, tmp_path: Path) -> None:
    base = ("--manifest", benchmark.manifest.folder, "--out", tmp_path / "run")
    assert "toy needs features" in invoke("run-baseline", "toy", *base, "--split", "test", code=2).err
    missing = invoke("train", "toy", *base, "--features", tmp_path / "none.h5", code=2)
    assert "no such file" in missing.err
    assert not (tmp_path / "run").exists()


def test_a_manifest_with_other_queries_or_without_targets_is_refused(
    invoke: Invoke, benchmark: Benchmark, tmp_path: Path
) -> None:
    tiny.write(tmp_path / "images", train=tiny.TEST[2:3], test=tiny.TEST[:1])
    weak = made.manifest(tmp_path / "weak", marked=False)
    lone = tiny.write(tmp_path / "lone", train=(), test=made.samples("test"))
    for folder, said in (
        (tmp_path / "images", "found 'image'; expected queries of kind clip"),
        (weak.folder, "learns from targets, and these training lines have none"),
        (lone.folder, "a method that learns needs a training split"),
    ):
        words = ("--manifest", folder, "--features", benchmark.features.path, "--out", tmp_path / "run")
        assert said in invoke("train", "toy", *words, code=2).err
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("--seed", 1), "seed"), (("--set", "clip=1"), "clip"), (("--set", "hidden=4"), "hidden"),
        (("--select-on", "test"), "--select-on"), (("--set", "batch=4"), "batch"),
    ],
)  # fmt: skip
def test_a_run_goes_on_only_as_what_it_is(
    invoke: Invoke, start: tuple[object, ...], finished: Path, tmp_path: Path, words: tuple[object, ...], field: str
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    said = invoke("train", "toy", *start, "--out", run, *SHORT, "--resume", *words, code=2).err
    assert f"run.json: {field}: this is another run" in said
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_a_finished_run_goes_further_and_a_folder_is_not_lost(
    invoke: Invoke, start: tuple[object, ...], finished: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    assert "--resume goes on" in invoke("train", "toy", *start, "--out", run, *SHORT, code=2).err
    invoke("train", "toy", *start, "--out", run, *SHORT, "--resume")
    assert page(run)["fitted"]["steps"] == 20
    invoke("train", "toy", *start, "--out", run, "--set", "steps=30", *SHORT[2:], "--resume")
    assert page(run)["fitted"]["steps"] == 30
    (run / "thesis.txt").write_text("mine")
    said = invoke("train", "toy", *start, "--out", run, *SHORT, "--force", code=2).err
    assert "refusing to delete" in said
    (run / "thesis.txt").unlink()
    invoke("train", "toy", *start, "--out", run, *SHORT, "--force")
    assert page(run)["fitted"]["steps"] == 20


def test_a_run_of_so_many_passes_goes_further(invoke: Invoke, start: tuple[object, ...], tmp_path: Path) -> None:
    """Steps that are given by hand end the passes; where the rate depends on either, it is another run."""
    words = ("train", "toy", *start, "--set", "validate_every=3", "--device", "cpu", "--out")
    for run, schedule in ((tmp_path / "run", "constant"), (tmp_path / "bent", "cosine")):
        invoke(*words, run, "--set", f"schedule={schedule}", "--set", "epochs=2")
        assert page(run)["fitted"]["steps"] == 6
    invoke(*words, tmp_path / "run", "--set", "steps=9", "--resume")
    assert page(tmp_path / "run")["fitted"]["steps"] == 9
    bent = (*words, tmp_path / "bent", "--set", "schedule=cosine", "--resume", "--set")
    for setting in ("steps=9", "epochs=3"):
        assert "this is another run" in invoke(*bent, setting, code=2).err


def test_half_a_run_is_not_taken_for_one(
    invoke: Invoke, start: tuple[object, ...], finished: Path, tmp_path: Path, benchmark: Benchmark
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    (run / "run.json").write_text((run / "run.json").read_text().replace('"done"', '"training"'))
    asked = ("--manifest", benchmark.manifest.folder, "--split", "test", "--out", tmp_path / "answers.jsonl")
    assert "did not come to its end" in invoke("predict", run, *asked, code=2).err
    invoke("train", "toy", *start, "--out", run, *SHORT, "--resume")
    invoke("predict", run, *asked)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dim": 7}, "features.dim"), ({"window": 32}, "features.window"), ({"offset": 4}, "features.offset"),
        ({"leave_out": ("test4",)}, "the features lack 1 of the 9 videos"),
    ],
)  # fmt: skip
def test_predict_refuses_other_features(
    invoke: Invoke, finished: Path, tmp_path: Path, benchmark: Benchmark, changes: dict[str, Any], said: str
) -> None:
    made.features(tmp_path / "other.h5", **changes)
    asked = ("--manifest", benchmark.manifest.folder, "--split", "test", "--out", tmp_path / "answers.jsonl")
    err = invoke("predict", finished, *asked, "--features", tmp_path / "other.h5", code=2).err
    assert said in err
    assert not (tmp_path / "answers.jsonl").exists()


def test_predict_says_where_features_differ(
    invoke: Invoke, finished: Path, tmp_path: Path, benchmark: Benchmark
) -> None:
    made.features(tmp_path / "other.h5", backbone="another")
    asked = ("--manifest", benchmark.manifest.folder, "--split", "test")
    said = invoke("predict", finished, *asked, "--out", tmp_path / "a.jsonl", "--features", tmp_path / "other.h5")
    assert "other features than those of the training, and their backbone differ" in said.err
    other = tiny.write(tmp_path / "other", train=made.samples("train"), test=made.samples("test")[:5])
    said = invoke("predict", finished, "--manifest", other.folder, "--split", "test", "--out", tmp_path / "c.jsonl")
    assert "another manifest than that of the training" in said.err and "5 samples answered" in said.err
    run = shutil.copytree(finished, tmp_path / "run")
    text = (run / "run.json").read_text().replace(str(benchmark.features.path), str(tmp_path / "other.h5"))
    (run / "run.json").write_text(text)
    said = invoke("predict", run, *asked, "--out", tmp_path / "b.jsonl", code=2)
    assert "have changed" in said.err


def test_predict_refuses_what_is_no_run(invoke: Invoke, finished: Path, tmp_path: Path, benchmark: Benchmark) -> None:
    asked = ("--manifest", benchmark.manifest.folder, "--split", "test", "--out", tmp_path / "answers.jsonl")
    assert "no such file" in invoke("predict", tmp_path / "none", *asked, code=2).err
    run = shutil.copytree(finished, tmp_path / "run")
    text = (run / "run.json").read_text()
    for was, becomes, said in (
        ('"name": "toy"', '"name": "toi"', "Did you mean 'toy'?"),
        ('"hidden": 8', '"hidden": 16', "the weights of another model"),
        ('"hidden": 8', '"hiden": 8', "Did you mean 'hidden'?"),
        ('"status": "done"', '"stat": "done"', "`status`"),
        ('"seed": 0', '"seed": "x"', "method.seed"),
        ('"file": "', '"file": 3, "was": "', "features.file"),
        ('"selected_on"', '"selected"', "`selected_on`"),
        ('"format": 1', '"format": 9', "format: Invalid enum value 9"),
        ("{", "", "expected an object"),
    ):
        (run / "run.json").write_text(text.replace(was, becomes, 1))
        assert said in invoke("predict", run, *asked, code=2).err
    (run / "run.json").write_text(text)
    assert "unknown split" in invoke("predict", run, *asked[:3], "tets", *asked[4:], code=2).err
    (tmp_path / "answers.jsonl").write_text("mine")
    assert "the file exists" in invoke("predict", run, *asked, code=2).err
    assert (tmp_path / "answers.jsonl").read_text() == "mine"
    invoke("predict", run, *asked, "--force", "--weights", "last")


def test_too_large_a_network_is_said(invoke: Invoke, start: tuple[object, ...], tmp_path: Path) -> None:
    said = invoke("train", "toy", *start, "--out", tmp_path / "run", "--set", f"hidden={10**13}", code=1).err
    assert "out of memory" in said and "a smaller network" in said
    assert page(tmp_path / "run")["status"] == "failed"


def test_tensorboard_is_an_extra(
    invoke: Invoke, start: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activity_bench.training.method.find_spec", lambda name: None)
    said = invoke("train", "toy", *start, "--out", tmp_path / "run", "--set", "tensorboard=yes", code=2).err
    assert "tensorboard" in said
    said = invoke("train", "toy", *start, "--out", tmp_path / "run", "--set", "tensorboard=true", code=2).err
    assert "pip install 'activity-bench[tensorboard]'" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["train", "predict", "run-baseline"])
def test_without_torch_it_is_said_what_to_install(
    benchmark: Benchmark, tmp_path: Path, environment: Callable[..., dict[str, str]], command: str
) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from activity_bench import catalog;"
        "catalog.METHODS['toy'] = 'tests.training.toy:Method'; from activity_bench.cli import main; sys.exit(main())"
    )
    given = {"--manifest": benchmark.manifest.folder, "--out": tmp_path / "out", "--features": benchmark.features.path}
    words = [str(word) for pair in given.items() for word in pair]
    split = [] if command == "train" else ["--split", "test"]
    argv = [sys.executable, "-c", code, command, "toy", *words, *split]
    done = subprocess.run(argv, env=environment(), capture_output=True, encoding="utf-8", check=False)
    assert_exit(done, 2)
    assert "needs torch, which is not installed. pip install 'activity-bench[models]'" in done.stderr


def test_predict_sets_what_training_did_not_read(
    invoke: Invoke, finished: Path, tmp_path: Path, benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option of the answers alone; one that training has settled is refused."""
    given = ("predict", finished, "--manifest", benchmark.manifest.folder, "--split", "test")
    assert "expected of toy: none" in invoke(*given, "--out", tmp_path / "a", "--set", "hidden=4", code=2).err
    monkeypatch.setattr("tests.training.toy.Method.at_prediction", frozenset({"dropout"}))
    said = invoke(*given, "--out", tmp_path / "a", "--set", "hidden=4", code=2).err
    assert "hidden" in said and "of toy: dropout" in said and not (tmp_path / "a").exists()
    invoke(*given, "--out", tmp_path / "a", "--set", "dropout=0.5")
    head = json.loads((tmp_path / "a").read_text().splitlines()[0])
    assert head["method"]["options"] == {"hidden": 8, "dropout": 0.5}
    assert "dropout" in invoke(*given, "--out", tmp_path / "b", "--set", "dropout=nine", code=2).err

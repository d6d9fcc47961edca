"""Every command that the docs and the help texts show runs, in a folder where what it names exists."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import shutil
from pathlib import Path

import click
import pytest

from activity_bench import catalog
from activity_bench.cli import main, root

pytestmark = pytest.mark.quick

REPO = Path(__file__).parents[2]
PAGES = [REPO / "README.md", REPO / "CONTRIBUTING.md", *sorted((REPO / "docs").rglob("*.md"))]
SHOWN = re.compile(r"(?:^|`)(activity-bench [a-z][^`\n#]*)", re.MULTILINE)
PLACEHOLDER = re.compile(r"\b[A-Z]{4,}\b|…")  # `activity-bench inspect MANIFEST` names a kind of thing


def _helps(command: click.Command, context: click.Context) -> list[str]:
    texts = [inspect.cleandoc(command.help or "")]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            texts += _helps(inner, context)
    return texts


def shown() -> list[str]:
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    texts += _helps(root, click.Context(root))
    found = {" ".join(match.split()) for text in texts for match in SHOWN.findall(text)}
    return sorted(command for command in found if not PLACEHOLDER.search(command))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the things that examples name."""
    folder = tmp_path_factory.mktemp("stage")
    assert main(["demo", "--out", str(folder / "demo-out")]) == 0
    demo = folder / "demo-out"
    shutil.copy(demo / "corpus" / "activitynet.json", folder)
    shutil.copy(demo / "corpus" / "kinetics.csv", folder)
    shutil.copytree(demo / "corpus" / "thumos", folder / "thumos")
    shutil.copytree(demo / "manifest", folder / "manifest")
    _image_and_class_queries(folder)
    for to, name in (("hf", "hub"), ("video_reloc", "lists")):
        assert main(["export", str(folder / "manifest"), "--to", to, "--out", str(folder / name)]) == 0
    shutil.copy(demo / "features.h5", folder)
    small = ["--set", "steps=2", "--set", "batch=8", "--set", "hidden=8", "--device", "cpu"]
    given = ["--manifest", str(folder / "manifest"), "--features", str(folder / "features.h5")]
    assert main(["train", "cgbm", *given, "--out", str(folder / "trained"), *small]) == 0
    truth, answers = _detection()
    (folder / "truth.json").write_text(truth, encoding="utf-8")
    (folder / "result.json").write_text(answers, encoding="utf-8")
    assert main(["build-dataset", "detection", "--annotations", str(folder / "truth.json"),
                 "--out", str(folder / "truth")]) == 0  # fmt: skip
    for name, method in (("run", "statistical-prior"), ("run-a", "random"), ("run-b", "full-window")):
        shutil.copytree(demo / "runs" / method, folder / name)
    return folder


def _image_and_class_queries(folder: Path) -> None:
    """A manifest and its features for the methods of images; for those of classes, their names' vectors, too."""
    small = ["--set", "dim=16", "--set", "region_dim=16", "--set", "global_dim=16", "--set", "word_dim=16"]
    built = {
        "manifest-ibal": ["activity-ibal", "--annotations", str(folder / "activitynet.json")],
        "manifest-what2when": ["what2when", "--source", str(folder / "kinetics.csv"), "--target", "thumos14",
                               "--annotations", str(folder / "thumos" / "annotations_test")],
    }  # fmt: skip
    for name, words in built.items():
        manifest, features = folder / name, folder / f"features{name.removeprefix('manifest')}.h5"
        assert main(["build-dataset", *words, "--out", str(manifest)]) == 0
        given = ["--manifest", str(manifest), *small]
        assert main(["simulate", "features", *given, "--out", str(features)]) == 0
    assert main(["simulate", "words", *given, "--out", str(folder / "words.npz")]) == 0


def _detection() -> tuple[str, str]:
    """A small truth in the ActivityNet layout, and answers to it."""
    found = [{"label": "Diving", "segment": [3.0, 9.0]}, {"label": "Rafting", "segment": [20.0, 30.0]}]
    truth = {"database": {"v1": {"subset": "validation", "duration": 40.0, "annotations": found}}}
    answers = {"results": {"v1": [{**row, "score": 0.5} for row in found]}}
    return json.dumps(truth), json.dumps(answers)


def test_there_are_examples() -> None:
    assert len(shown()) >= 15


@pytest.mark.parametrize("command", shown())
def test_example_runs(command: str, stage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(command)[1:]
    folder = tmp_path / "here"
    shutil.copytree(stage, folder)
    if "--out" in words and words[0] != "demo":  # what an example makes need not be absent on the stage
        made = folder / words[words.index("--out") + 1]
        shutil.rmtree(made, ignore_errors=True)
        made.unlink(missing_ok=True) if made.is_file() else None
    if words[0] == "demo":
        shutil.rmtree(folder / "demo-out")
    monkeypatch.chdir(folder)
    assert main(words) == 0


@pytest.mark.parametrize("name", sorted(catalog.COMMANDS))
def test_every_command_has_an_example(name: str) -> None:
    context = click.Context(root)
    command = root.get_command(context, name)
    assert command is not None
    assert any(f"activity-bench {name}" in text for text in _helps(command, context))

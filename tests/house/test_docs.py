"""Every command that the docs and the help texts show runs, in a folder where what it names exists."""

from __future__ import annotations

import doctest
import inspect
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from activity_bench import catalog
from activity_bench.cli import main, root

pytestmark = pytest.mark.quick

REPO = Path(__file__).parents[2]
PLUGIN = REPO / "examples" / "plugin"
PAGES = [REPO / "README.md", REPO / "CONTRIBUTING.md", PLUGIN / "README.md", *sorted((REPO / "docs").rglob("*.md"))]
SHOWN = re.compile(r"(?:^|`)(activity-bench [a-z][^`\n#]*)", re.MULTILINE)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
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
    _plugin(folder / "site")
    for name, method in (("run", "statistical-prior"), ("run-a", "random"), ("run-b", "full-window")):
        shutil.copytree(demo / "runs" / method, folder / name)
    return folder


def _plugin(site: Path) -> None:
    """The example of a plug-in as pip would leave it."""
    shutil.copytree(PLUGIN / "my_methods", site / "my_methods")
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    metadata = site / f"my_methods-{project['version']}.dist-info"
    metadata.mkdir()
    said = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (metadata / "METADATA").write_text(said, encoding="utf-8")
    lines = [f"{name} = {where}" for name, where in project["entry-points"][catalog.GROUP].items()]
    (metadata / "entry_points.txt").write_text("\n".join([f"[{catalog.GROUP}]", *lines]), encoding="utf-8")


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
    monkeypatch.delenv("ACTIVITY_BENCH_DATA", raising=False)  # `where` looks here
    monkeypatch.syspath_prepend(str(stage / "site"))  # what `pip install ./examples/plugin` does
    assert main(words) == 0


@pytest.mark.parametrize("name", sorted(catalog.COMMANDS))
def test_every_command_has_an_example(name: str) -> None:
    context = click.Context(root)
    command = root.get_command(context, name)
    assert command is not None
    assert any(f"activity-bench {name}" in text for text in _helps(command, context))


def transcripts(page: Path) -> list[tuple[str, list[str]]]:
    """The commands after a `$` in a page's console blocks, each with the lines that are shown under it."""
    found: list[tuple[str, list[str]]] = []
    for line in "".join(CONSOLE.findall(page.read_text(encoding="utf-8"))).splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line:
            found[-1][1].append(line)
    return found


WITH_TRANSCRIPTS = [page for page in PAGES if transcripts(page)]


@pytest.mark.parametrize("page", WITH_TRANSCRIPTS, ids=lambda page: page.stem)
def test_a_transcript_says_what_is_shown(
    page: Path, stage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke: Any
) -> None:
    """Run in order, in one folder. A shown line is a line of the output, or its beginning where it ends in `…`."""
    folder = tmp_path / "here"
    shutil.copytree(stage, folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(stage / "site"))
    for command, shown in transcripts(page):
        if not command.startswith("activity-bench "):
            subprocess.run(command, shell=True, check=True)
            continue
        wrong = any(line.startswith("error: ") for line in shown)
        said = invoke(*shlex.split(command)[1:], code=None)
        lines = [line.rstrip() for line in (said.out + said.err).splitlines()]
        assert (said.code != 0) == wrong, said.err
        for line in shown:
            start = line.removesuffix("…")
            assert any(one == line or (start != line and one.startswith(start)) for one in lines), (line, lines)


def test_the_pitfalls_are_tried() -> None:
    assert len(transcripts(REPO / "docs" / "pitfalls.md")) >= 15


PYTHON = re.compile(r"^```python\n(>>> .*?)^```$", re.MULTILINE | re.DOTALL)
WITH_PYTHON = [page for page in PAGES if PYTHON.search(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.stem)
def test_python_says_what_is_shown(
    page: Path, stage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The blocks of a page that have prompts, in order, in one session."""
    shutil.copytree(stage, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    text = "".join(PYTHON.findall(page.read_text(encoding="utf-8")))
    found = doctest.DocTestParser().get_doctest(text, {}, page.stem, str(page), 0)
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(found).failed == 0, capsys.readouterr().out


# ---- the site -------------------------------------------------------------------------------------------------------


def test_the_site_builds(tmp_path: Path) -> None:
    """Strictly: every page is in the nav, every link and anchor leads somewhere. Nothing in it is fetched."""
    argv = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(argv, cwd=REPO, capture_output=True, encoding="utf-8", check=False)
    assert built.returncode == 0, built.stderr
    pages = {page.relative_to(tmp_path / "site").with_suffix(".md") for page in (tmp_path / "site").rglob("*.html")}
    assert pages - {Path("404.md")} == {page.relative_to(REPO / "docs") for page in (REPO / "docs").rglob("*.md")}
    fetched = re.compile(r"<(?:script|link|img)[^>]*(?:src|href)=\"https?:", re.IGNORECASE)
    assert not [page for page in (tmp_path / "site").rglob("*.html") if fetched.search(page.read_text("utf-8"))]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "examples/plugin/README.md"])
def test_links_beside_the_site_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", (REPO / page).read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not ((REPO / page).parent / link).exists()] == []


def test_what_is_shown_of_the_example_is_the_example() -> None:
    """The entry points in its README are those of its pyproject.toml, and its commands name its methods."""
    text = (PLUGIN / "README.md").read_text(encoding="utf-8")
    methods = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    (shown_table,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert tomllib.loads(shown_table)["project"]["entry-points"] == methods
    guide = (REPO / "docs" / "bring-your-own-method.md").read_text(encoding="utf-8")
    for name in methods["activity_bench.methods"]:
        assert f" {name} --manifest" in text and f" {name} --manifest" in guide

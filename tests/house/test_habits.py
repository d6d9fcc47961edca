"""Habits that every command has: completion, no colour where none is wanted, tables as JSON lines, one version."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import activity_bench
from activity_bench import catalog
from activity_bench.cli import root
from activity_bench.cli.show import as_json, json_flag, table

pytestmark = pytest.mark.quick

ROOT = Path(__file__).resolve().parents[2]


# ---- completion -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("activity-bench run-b", {"run-baseline"}),
        ("activity-bench run-baseline stat", {"statistical-prior"}),
        ("activity-bench run-baseline s", {"sail", "sst", "sst-plus", "statistical-prior"}),
        ("activity-bench train cg", {"cgbm"}),
        ("activity-bench train cgbm --man", {"--manifest"}),
        ("activity-bench build-dataset reloc", {"relocalization"}),
        ("activity-bench score run --protocol act", {"activitynet", "actionformer"}),
    ],
)
def test_the_shell_completes(cli: Any, words: str, expected: set[str]) -> None:
    given = {"_ACTIVITY_BENCH_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    answers = {line.partition(",")[2] for line in cli(env=given).stdout.splitlines()}
    assert expected <= answers
    assert all(answer.startswith(words.split()[-1][:1]) for answer in answers)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_documented_line_gives_a_script(cli: Any, shell: str) -> None:
    script = cli(env={"_ACTIVITY_BENCH_COMPLETE": f"{shell}_source"}).stdout
    assert "_ACTIVITY_BENCH_COMPLETE" in script and "activity-bench" in script


# ---- what is printed ------------------------------------------------------------------------------------------------


BAR = "from activity_bench.cli.show import progress; list(progress(range(3), 3, 'bar'))"
COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3[0-8]|9[0-7])[0-9;]*m")


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal is made with pty")
@pytest.mark.parametrize(("more", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_no_color_is_heard(environment: Callable[..., dict[str, str]], more: dict[str, str], coloured: bool) -> None:
    import pty

    env = environment(TERM="xterm-256color", COLUMNS="80")
    env.pop("NO_COLOR")
    leader, follower = pty.openpty()
    subprocess.run([sys.executable, "-c", BAR], stderr=follower, env=env | more, check=True)
    os.close(follower)
    said = os.read(leader, 1 << 16).decode()
    os.close(leader)
    assert bool(COLOUR.search(said)) == coloured
    assert "bar" in said


def _commands(command: click.Command, context: click.Context, name: str = "") -> list[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        return [(name, command)]
    inner = [(word, command.get_command(context, word)) for word in command.list_commands(context)]
    return [
        found for word, one in inner if one is not None for found in _commands(one, context, f"{name} {word}".strip())
    ]


COMMANDS = dict(_commands(root, click.Context(root)))
PRINTS = re.compile(r"\b(?:table|show_report|show_leaderboard|show_comparison|show_footprint)\(")


def test_every_command_that_prints_a_table_has_it_as_json() -> None:
    """A command prints a table where its function calls one of those that draw one."""
    import inspect

    printing = {}
    for name, command in COMMANDS.items():
        source = inspect.getsource(inspect.unwrap(command.callback or (lambda: None)))
        if PRINTS.search(source):
            printing[name] = any("--json" in option.opts for option in command.params)
    assert len(printing) >= 10
    assert [name for name, has in printing.items() if not has] == []


def test_a_table_as_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    @json_flag
    def shown() -> None:
        assert as_json()
        table("T\x1b", ["", "b"], [["x\u202e", 1 / 3], [None, float("nan")]])

    shown.main(["--json"], standalone_mode=False)
    said = capsys.readouterr().out
    assert said.isascii() and "\x1b" not in said
    lines = [json.loads(line) for line in said.splitlines()]
    assert lines == [{"table": "T\x1b", "name": "x\u202e", "b": 1 / 3}, {"table": "T\x1b", "name": None, "b": None}]
    assert not as_json()


# ---- one version, one set of names ----------------------------------------------------------------------------------


def test_the_version_comes_from_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["hatch"]["version"]["path"] == "activity_bench/__init__.py"
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == activity_bench.__version__


def test_the_citation_names_the_four_papers() -> None:
    """By the titles that the methods' own files open with."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    titles = [reference["title"].casefold() for reference in citation["references"]]
    papers = [catalog.load("benchmark", catalog.BUILDERS, name).paper["title"].split(", ")[0].casefold()
              for name in ("relocalization", "activity-ibal", "what2when")]  # fmt: skip
    assert len(titles) == 4 and set(papers) < set(titles)
    assert all(reference["authors"] and reference["year"] for reference in citation["references"])


def test_every_benchmark_and_method_has_a_page() -> None:
    docs = ROOT / "docs"
    assert [name for name in catalog.BUILDERS if not (docs / "benchmarks" / f"{name}.md").is_file()] == []
    baselines = (docs / "methods" / "baselines.md").read_text(encoding="utf-8")
    lacking = [name for name in catalog.METHODS if not (docs / "methods" / f"{name}.md").is_file()]
    assert [name for name in lacking if f"| `{name}` |" not in baselines] == []


def test_every_name_of_the_package_is_documented() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert [name for name in activity_bench.__all__ if f"ab.{name}" not in page and name != "__version__"] == []

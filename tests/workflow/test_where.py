"""where: each corpus says what to get and where to put it, and files are known by their sums."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from activity_bench import catalog
from activity_bench.data import shipped
from activity_bench.errors import InputError
from activity_bench.workflow.plans import PLANS
from activity_bench.workflow.where import HERE, MISSING, OTHER, SAME, where

quick = pytest.mark.quick


@quick
def test_every_entry_says_what_from_whom_on_which_terms_and_where_to_put_it() -> None:
    names = [one["name"] for one in shipped.places()]
    assert len(set(names)) == len(names)
    for one in shipped.places():
        assert set(one) <= {"name", "title", "page", "licence", "note", "put", "any", "many", "files"}
        assert all(one[key].strip() for key in ("name", "title", "licence", "put")), one
        assert one["page"].startswith("http") and one["files"], one
        for file in one["files"]:
            assert set(file) in ({"name"}, {"name", "bytes", "sha256"}), file
    assert {name for plan in PLANS.values() for name in plan.features} <= set(names)


@quick
def test_what_an_entry_is_given_to_takes_it(invoke: Callable[..., Any]) -> None:
    """Commands, options and backbones that the table names are there."""
    for one in shipped.places():
        for use in one["put"].split(", "):
            command, *words = use.split()
            inner = [] if words[0].startswith("--") else words[0].split("|")
            helps = [invoke(command, *name, "--help").out for name in ([[each] for each in inner] or [[]])]
            options = [word for word in words if word.startswith("--")]
            assert all(option in told for option in options for told in helps), use
            if "--backbone" in words:
                assert set(words[words.index("--backbone") + 1].split("|")) <= set(catalog.BACKBONES), use


@quick
def test_files_are_known_by_their_sums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "train.json").write_text("another")
    (tmp_path / "a" / "b" / "train.json").write_text("the one")
    (tmp_path / "a" / "perm.npy").write_text("wrong")
    (tmp_path / "a" / ".hidden").mkdir()
    (tmp_path / "a" / ".hidden" / "val.json").write_text("x")
    (tmp_path / "word.bin.gz").write_text("x")
    sums = {"bytes": 7, "sha256": hashlib.sha256(b"the one").hexdigest()}
    entry = {"name": "x", "title": "t", "page": "http://x", "licence": "l", "put": "score", "files": [
        {"name": "train.json", **sums}, {"name": "perm.npy", **sums}, {"name": "val.json"}, {"name": "word.bin*"},
    ]}  # fmt: skip
    some = {**entry, "name": "y", "files": entry["files"][2:], "any": True}
    many = {**entry, "name": "z", "files": [{"name": "*.json"}], "many": True}
    monkeypatch.setattr(shipped, "places", lambda: [entry, some, many])
    first, second, third = where(None, [tmp_path])
    assert [file.state for file in first.files] == [SAME, OTHER, MISSING, HERE]
    assert first.files[0].path == tmp_path / "a" / "b" / "train.json"
    assert (first.here, second.here, third.here) == ("part", "yes", "2 files")


@quick
def test_it_never_asks_the_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    assert {one.here for one in where(None, [tmp_path])} == {"no", "0 files"}


@quick
def test_the_command(invoke: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "activity_net.v1-3.min.json").write_text("{}")
    monkeypatch.setenv("ACTIVITY_BENCH_DATA", str(tmp_path))
    told = invoke("where")
    listed = {line.split("\t")[0]: line.split("\t")[2] for line in told.out.splitlines()[1:]}
    assert list(listed) == [one["name"] for one in shipped.places()]
    assert listed["activitynet-1.3"] == "yes" and listed["kinetics-400"] == "no"
    assert "nothing is downloaded" in told.err
    one = invoke("where", "kinetics-400", "--folder", tmp_path).out
    assert "kinetics-400_val.csv\tmissing" in one and "CC BY 4.0" in one and "--source" in one
    rows = [json.loads(line) for line in invoke("where", "relocalization-lists", "--json").out.splitlines()]
    assert [row["file"] for row in rows] == ["length.json", "perm.npy", "train.json", "val.json"]
    assert "Did you mean 'kinetics-400'" in invoke("where", "kinetics", code=2).err
    assert "no such folder" in invoke("where", "--folder", tmp_path / "no", code=2).err


@quick
def test_a_folder_of_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activity_bench.workflow.where.MOST", 1)
    for name in ("a", "b"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="over 1 files are here"):
        where(None, [tmp_path])


@pytest.mark.check
@pytest.mark.real
def test_real_files_are_known(real_data: Path) -> None:
    found = {one.name: one for one in where(None, [real_data])}
    for name in ("relocalization-lists", "kinetics-400", "multithumos"):
        assert {file.state for file in found[name].files} == {SAME}
    for name in ("activitynet-1.3", "activitynet-1.2", "thumos14"):
        assert found[name].here == "yes"
    assert found["i3d"].here == "no"

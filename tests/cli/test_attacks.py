"""What an attacker, or bad luck, did once: each must end in one located sentence and lose nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from activity_bench.data import canonical
from activity_bench.errors import InputError
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.demo import demo
from activity_bench.workflow.run import run_method
from activity_bench.workflow.score import score
from activity_bench.workflow.simulate import simulate_corpus
from activity_bench.workflow.validate import validate
from tests import tiny

pytestmark = pytest.mark.quick

Environment = Callable[..., dict[str, str]]


# ---- what is not ours stays -----------------------------------------------------------------------------------------


def test_force_replaces_nothing_that_was_not_written_there(tmp_path: Path) -> None:
    for name, kept in (("c", "activitynet.json"), ("d", "leaderboard.csv"), ("m", "manifest.json")):
        (tmp_path / name).mkdir()
        (tmp_path / name / kept).write_text("mine")
        (tmp_path / name / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="refusing to delete"):
        simulate_corpus(tmp_path / "c", force=True)
    with pytest.raises(InputError, match="refusing to delete"):
        demo(tmp_path / "d", force=True)
    simulate_corpus(tmp_path / "corpus")
    with pytest.raises(InputError, match=r"holds more than was written there; found 'thesis\.txt'"):
        build_dataset("relocalization", tmp_path / "corpus" / "activitynet.json", tmp_path / "m", force=True)
    assert all((tmp_path / name / "thesis.txt").read_text() == "mine" for name in "cdm")


def test_a_report_replaces_a_report_alone(tmp_path: Path, invoke: Any) -> None:
    made = tiny.write(tmp_path / "m")
    run_method("oracle", made.folder, "test", tmp_path / "run")
    command = ["score", tmp_path / "run/predictions.jsonl", "--manifest", tmp_path / "m", "--split", "test", "--json"]
    before = (tmp_path / "m" / "manifest.json").read_bytes()
    assert "not a report" in invoke(*command, tmp_path / "m" / "manifest.json", code=2).err
    assert (tmp_path / "m" / "manifest.json").read_bytes() == before
    invoke(*command, tmp_path / "report.json", code=0)
    invoke(*command, tmp_path / "report.json", code=0)
    (tmp_path / "mine.csv").write_text("name,age\n")
    assert "not such a table" in invoke("leaderboard", tmp_path / "run", "--csv", tmp_path / "mine.csv", code=2).err


def test_a_pipe_is_not_replaced_by_a_store(tmp_path: Path) -> None:
    made = tiny.write(tmp_path / "m")
    os.mkfifo(tmp_path / "pipe")
    command = [sys.executable, "-m", "activity_bench", "simulate", "features", "--manifest", str(made.folder),
               "--out", str(tmp_path / "pipe"), "--force"]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "a device or a pipe" in result.stderr
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


# ---- manifests made by hand -----------------------------------------------------------------------------------------


def by_hand(folder: Path, **changes: Any) -> Path:
    """A manifest with right hashes and one sample, changed."""
    line = json.loads(
        '{"id": "a", "label": "x", "query": {"kind": "clip", "video": "q", "start": 0, "end": 2}, '
        '"targets": [{"start": 2, "end": 4}], "video": {"id": "v", "start": 0, "end": 10}, '
        '"grid": {"step": 1, "video": [0, 10], "targets": [[2, 4]], "query": [0, 2]}}'
    )
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = line
        for parent in parents:
            place = place[parent]
        place[last] = value
    folder.mkdir()
    text = json.dumps(line).encode() + b"\n"
    (folder / "test.jsonl").write_bytes(text)
    sha256 = hashlib.sha256(text).hexdigest()
    split = {"file": "test.jsonl", "samples": 1, "videos": 1, "classes": 1, "sha256": sha256}
    page = {"format": 1, "name": "n", "version": "1", "task": "moment", "splits": {"test": split}, "provenance": {},
            "digest": canonical.digest_of({"test": sha256})}  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(page))
    return folder


EVIL: dict[str, dict[str, Any]] = {
    "a target outside": {"targets": [{"start": 2, "end": 40}]},
    "a window that ends nowhere": {"video__end": 1e308},
    "a window before the start": {"video__start": -3},
    "rows that are not those of the seconds": {"grid__targets": [[3, 5]]},
    "rows beyond counting": {"grid__video": [0, 10**9]},
    "a row of 400 digits": {"grid__targets": [[2, 10**400]]},
    "a step of nothing": {"grid__step": 1e-300},
    "a query before the start": {"query__start": -9},
    "a query in rows backwards": {"grid__query": [5, -9]},
    "a kind that is none": {"query__kind": "sound"},
    "targets that are text": {"targets": "x"},
}


@pytest.mark.parametrize("name", EVIL)
def test_validate_and_score_refuse_the_same(name: str, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text("")
    good = by_hand(tmp_path / "good")
    assert score(tmp_path / "p.jsonl", good, "test").metrics["mIoU"] == 0
    validate(good)
    evil = by_hand(tmp_path / "evil", **EVIL[name])
    with pytest.raises(InputError, match=r"evil/test\.jsonl"):
        validate(evil)
    if "query" not in name and "kind" not in name:  # the scorer does not read queries
        with pytest.raises(InputError, match=r"evil/test\.jsonl:1"):
            score(tmp_path / "p.jsonl", evil, "test")


# ---- the rest -------------------------------------------------------------------------------------------------------


def test_a_table_that_would_not_be_read_is_refused(tmp_path: Path) -> None:
    simulate_corpus(tmp_path / "c")
    corpus = tmp_path / "c" / "activitynet.json"
    (tmp_path / "counts.json").write_text("{}")
    with pytest.raises(InputError, match="frame_counts: the general protocol does not read it"):
        build_dataset("relocalization", corpus, tmp_path / "m", tables={"frame_counts": tmp_path / "counts.json"})
    (tmp_path / "split.json").write_text('{"train": [], "val": [], "test": []}')
    with pytest.raises(InputError, match="class_split: a class in no split"):
        build_dataset("activity-ibal", corpus, tmp_path / "m", tables={"class_split": tmp_path / "split.json"})
    (tmp_path / "frames.json").write_text('{"nobody": [1]}')
    with pytest.raises(InputError, match="query_frames: unknown video; found 'nobody'"):
        build_dataset("activity-ibal", corpus, tmp_path / "m", tables={"query_frames": tmp_path / "frames.json"})
    (tmp_path / "have.txt").write_text("nobody\n")
    with pytest.raises(InputError, match="--available: none of these videos"):
        build_dataset("activity-ibal", corpus, tmp_path / "m", available=tmp_path / "have.txt")
    made = build_dataset("relocalization", corpus, tmp_path / "weak", protocol="weak")
    with pytest.raises(InputError, match="needs training targets"):
        run_method("statistical-prior", made.folder, "test", tmp_path / "run")
    with pytest.raises(InputError, match="seed: not a seed; found -1"):
        run_method("random", made.folder, "test", tmp_path / "run", seed=-1)


def test_windows_that_differ_by_less_than_a_millisecond_have_ids_of_their_own(tmp_path: Path) -> None:
    def video(*instances: tuple[float, float, str]) -> dict[str, Any]:
        annotations = [{"segment": [start, end], "label": label} for start, end, label in instances]
        return {"subset": "training", "duration": 60, "annotations": annotations}

    clash = video((0, 10.0001, "A"), (20, 40, "A"), (0, 10.0002, "B"), (20, 40, "B"))
    database = {"clash": clash, **{f"{c}{i}": video((5, 20, c)) for c in "ABCDEFGH" for i in range(4)}}
    (tmp_path / "a.json").write_text(json.dumps({"database": database}))
    options = {"min_target": 1.0, "val_classes": 1, "test_classes": 1}
    together = 0
    for seed in range(8):
        out = tmp_path / f"m{seed}"
        made = build_dataset("activity-ibal", tmp_path / "a.json", out, options={**options, "seed": seed})
        ids = [sample.id for split in made.splits for sample in made.samples(split)]
        assert len(set(ids)) == len(ids)
        together += len([name for name in ids if "/clash/10000-60000/" in name]) > 5  # both classes, in one window
    assert together


def test_a_terminal_sees_no_escapes(tmp_path: Path, invoke: Any) -> None:
    folder = by_hand(tmp_path / "m")
    page = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**page, "name": "\x1b[2Jgone\r", "version": "1\nerror: fake"}))
    for command in (["validate", folder], ["inspect", folder]):
        shown = invoke(*command, code=0)
        assert "\x1b" not in shown.out + shown.err
        assert not [line for line in (shown.out + shown.err).splitlines() if line.startswith("error: fake")]


def test_streams_that_are_closed(tmp_path: Path, environment: Environment) -> None:
    for closed in (">&-", "2>&-", ">&- 2>&-"):
        command = f"{sys.executable} -m activity_bench list methods {closed}"
        assert subprocess.run(["sh", "-c", command], env=environment(), check=False).returncode == 0


def test_a_job_that_is_terminated_removes_its_draft(tmp_path: Path, environment: Environment) -> None:
    for wait in (0.3, 0.6, 0.9):
        job = subprocess.Popen([sys.executable, "-m", "activity_bench", "demo", "--out", str(tmp_path / "d")],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment())  # fmt: skip
        time.sleep(wait)
        job.send_signal(signal.SIGTERM)
        _, said = job.communicate(timeout=60)
        assert b"Traceback" not in said
        assert job.returncode in (143, -15, 0)  # -15: before we listened; 0: it was faster
        if job.returncode == 0:
            shutil.rmtree(tmp_path / "d")
        assert list(tmp_path.iterdir()) == []


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    made = tiny.write(tmp_path / "m")
    run_method("oracle", made.folder, "test", tmp_path / "run")
    text = (tmp_path / "run" / "predictions.jsonl").read_bytes()
    (tmp_path / "bom.jsonl").write_bytes(b"\xef\xbb\xbf" + text)
    assert score(tmp_path / "bom.jsonl", made.folder, "test").metrics["mIoU"] == 1
    (tmp_path / "utf16.jsonl").write_bytes(text.decode().encode("utf-16"))
    with pytest.raises(InputError, match=r"utf16\.jsonl: UTF-16 text; expected UTF-8"):
        score(tmp_path / "utf16.jsonl", made.folder, "test")


def test_a_store_is_checked_number_by_number(tmp_path: Path, invoke: Any) -> None:
    folder = by_hand(tmp_path / "m")
    invoke("simulate", "features", "--manifest", folder, "--out", tmp_path / "f.h5", "--set", "dim=4", code=0)
    assert "as they were written" in invoke("validate", tmp_path / "f.h5", code=0).out
    with h5py.File(tmp_path / "f.h5", "r+") as file:
        name = next(iter(file["features"]))
        file["features"][name][0, 0] += 1
    assert "not those that were written" in invoke("validate", tmp_path / "f.h5", code=2).err


def test_a_job_that_is_terminated_while_it_is_imported_leaves_at_once(environment: Environment) -> None:
    """The signal comes when the room that writes is half there."""
    script = """
import os, signal, sys, types
import activity_bench.cli as cli
half = types.ModuleType("activity_bench.data.disk")
sys.modules["activity_bench.data.disk"] = half
cli._terminated(signal.SIGTERM, None)
"""
    job = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment(), timeout=60)
    assert (job.returncode, job.stderr) == (143, b"")

"""score on detections by the command line: formats and protocols, reports that repeat, what is said of wrong calls."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from activity_bench import catalog
from activity_bench.data.predictions.tables import UCF101
from tests.data import detections
from tests.data.detections import PLAIN, ROWS, as_csv, ours, thumos

pytestmark = pytest.mark.quick

Invoke = Callable[..., Any]
PROTOCOLS = [
    name for name in catalog.PROTOCOLS if catalog.load("protocol", catalog.PROTOCOLS, name).task == "detection"
]
FILES = {
    "ours.jsonl": ours(ROWS), "activitynet.json": json.dumps({"results": PLAIN}), "rows.csv": as_csv(ROWS),
    "thumos.txt": thumos(ROWS, UCF101),
}  # fmt: skip


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos with one dive each; the answers find that of `a` with IoU 2/3."""
    return detections.detection(tmp_path_factory.mktemp("truth") / "m").folder


@pytest.mark.parametrize("name", [*FILES, "packed.json.gz"])
def test_every_format_scores_the_same(tmp_path: Path, truth: Path, invoke: Invoke, name: str) -> None:
    """By hand: the first of two detections of a dive is right, one of three dives is found: AP 1/3 up to IoU .65."""
    text = FILES.get(name, FILES["activitynet.json"]).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    told = invoke("score", tmp_path / name, "--manifest", truth, "--split", "test", "--json", tmp_path / "r.json")
    lines = dict(line.split("\t")[:2] for line in told.out.splitlines()[1:])
    assert (lines["mAP@0.5"], lines["mAP@0.65"], lines["mAP@0.7"]) == ("0.3333", "0.3333", "0.0000")
    assert lines["mAP"] == f"{4 / 30:.4f}"  # 4 of the 10 thresholds
    report = json.loads((tmp_path / "r.json").read_bytes())
    assert report["metrics"]["mAP"] == pytest.approx(4 / 30, abs=1e-15)
    assert report["protocol"] == "activitynet" and (report["asked"], report["answered"]) == (3, 2)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_has_its_own_scores(tmp_path: Path, truth: Path, invoke: Invoke, protocol: str) -> None:
    (tmp_path / "p.json").write_text(FILES["activitynet.json"])
    told = invoke("score", tmp_path / "p.json", "--manifest", truth, "--split", "test", "--protocol", protocol,
                  "--intervals", "--diagnosis", "--by-label")  # fmt: skip
    scores = [line.split("\t")[0] for line in told.out.splitlines()]
    rules = catalog.load("protocol", catalog.PROTOCOLS, protocol)
    assert scores[: 1 + len(rules.scores)] == ["metric", *rules.scores]
    assert f"protocol {protocol}: 2 of 3 answered" in told.err
    assert "background" in scores and "Diving" in scores


def test_what_a_policy_did_is_said(tmp_path: Path, truth: Path, invoke: Invoke) -> None:
    page = {**PLAIN, "stranger": PLAIN["a"]}
    (tmp_path / "p.json").write_text(json.dumps({"results": page}))
    call = ["score", tmp_path / "p.json", "--manifest", truth, "--split", "test"]
    assert "2 x a video that the truth does not know: counted as wrong" in invoke(*call).err
    assert "2 x a video that the truth does not know: dropped" in invoke(*call, "--protocol", "wtalc").err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--protocol", "open-tad"], "Did you mean 'opentad'"), (["--protocol", "moments"], "scores moment manifests"),
        (["--tiou", "0.3:0.7:0.15"], "--tiou"), (["--tiou", "half"], "--tiou"), (["--ties", "random"], "--ties"),
        (["--format", "activity"], "Did you mean 'activitynet'"), (["--format", "thumos"], "p.json:1: not a line"),
        (["--split", "tests"], "Did you mean 'test'"), (["--seed", "-1"], "--seed"), (["--json", "."], "a folder"),
    ],
)  # fmt: skip
def test_calls_that_are_wrong(tmp_path: Path, truth: Path, invoke: Invoke, more: list[str], said: str) -> None:
    (tmp_path / "p.json").write_text(FILES["activitynet.json"])
    told = invoke("score", tmp_path / "p.json", "--manifest", truth, "--split", "test", *more, code=2)
    assert said in told.err and not told.out


def test_the_same_bytes_whatever_the_order_of_lines_and_the_tongue(tmp_path: Path, truth: Path) -> None:
    """Rows and scores: a file's own name and sha256 are left out."""
    lines = FILES["ours.jsonl"].splitlines(keepends=True)
    found = []
    for place, (text, changes) in enumerate((
        (lines, {"PYTHONHASHSEED": "1"}), (lines, {"PYTHONHASHSEED": "2", "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Tokyo"}),
        (lines[::-1], {"PYTHONUTF8": "0", "LC_ALL": "C"}),
    )):  # fmt: skip
        (tmp_path / "p.jsonl").write_text("".join(text))
        folder = tmp_path / str(place)
        subprocess.run(
            [sys.executable, "-m", "activity_bench", "score", tmp_path / "p.jsonl", "--manifest", truth,
             "--split", "test", "--json", folder / "r.json", "--intervals", "--diagnosis"],
            env={**os.environ, "SOURCE_DATE_EPOCH": "1", **changes}, check=True, capture_output=True,
        )  # fmt: skip
        page = json.loads((folder / "r.json").read_bytes())
        del page["predictions"]["sha256"]
        found.append((page, (folder / "r.rows.npz").read_bytes(), (folder / "r.json").read_bytes()))
    assert found[0] == found[1]
    assert found[0][:2] == found[2][:2]

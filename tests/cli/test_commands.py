"""The whole way through the real commands, annotations to leaderboard; and the same bytes anywhere."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pytest

from activity_bench import catalog
from activity_bench.data.disk import sha256
from activity_bench.scoring.moments import MOMENTS

pytestmark = pytest.mark.quick

METHODS = ["random", "statistical-prior", "full-window", "oracle"]
COLUMNS = [
    "rank", "method", "benchmark", "version", "split", "manifest_digest", "protocol",
    *(f"{metric}{end}" for metric in MOMENTS.scores for end in ("", "_low", "_high")),
    "tied_with_best", "tied_by", "asked", "answered", "features", "source", "date",
]  # fmt: skip
Cli = Callable[..., Any]
Holds = Callable[[Path], dict[str, bytes | None]]


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory, cli: Cli, annotations: Path) -> Path:
    """build-dataset, run-baseline of every method, leaderboard; in one folder."""
    folder = tmp_path_factory.mktemp("way")
    cli("build-dataset", "relocalization", "--annotations", annotations, "--out", folder / "m")
    for method in METHODS:
        cli("run-baseline", method, "--manifest", folder / "m", "--split", "test", "--out", folder / method)
    cli("leaderboard", *(folder / method for method in METHODS), "--csv", folder / "board.csv")
    return folder


def page(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_what_a_run_leaves(way: Path) -> None:
    for method in METHODS:
        assert sorted(path.name for path in (way / method).iterdir()) == [
            "predictions.jsonl",
            "report.json",
            "report.rows.npz",
            "run.json",
        ]
        report, run = page(way / method / "report.json"), page(way / method / "run.json")
        assert report["asked"] == report["answered"] == page(way / "m" / "manifest.json")["splits"]["test"]["samples"]
        assert report["predictions"]["sha256"] == sha256(way / method / "predictions.jsonl")[0]
        digest = page(way / "m" / "manifest.json")["digest"]
        assert report["manifest"]["digest"] == run["manifest"]["digest"] == digest
        assert report["method"] == run["method"]
        assert run["method"]["name"] == method
        assert set(run["versions"]) == {"activity-bench", "numpy", "python"}
        header = json.loads((way / method / "predictions.jsonl").read_text(encoding="utf-8").splitlines()[0])
        assert header == {
            "manifest": {"digest": digest, "name": "relocalization", "split": "test"},
            "method": run["method"],
        }
        low, high = report["intervals"]["mIoU"]
        assert low <= report["metrics"]["mIoU"] <= high
    assert page(way / "statistical-prior" / "run.json")["fitted"].keys() == {"start", "end", "samples"}


def test_the_oracle_scores_one_on_every_metric(way: Path) -> None:
    report = page(way / "oracle" / "report.json")
    assert list(report["metrics"]) == sorted(MOMENTS.scores)
    assert set(report["metrics"].values()) == {1.0}
    assert {score for label in report["by_label"].values() for score in label["metrics"].values()} == {1.0}
    assert sum(label["asked"] for label in report["by_label"].values()) == report["asked"]


def test_score_says_what_the_run_said(way: Path, cli: Cli, tmp_path: Path) -> None:
    told = cli("score", way / "random" / "predictions.jsonl", "--manifest", way / "m", "--split", "test",
               "--json", tmp_path / "deep" / "r.json")  # fmt: skip
    one, other = page(tmp_path / "deep" / "r.json"), page(way / "random" / "report.json")
    one.pop("created"), other.pop("created")
    rows = one.pop("rows"), other.pop("rows")
    assert (one, rows[0]["sha256"]) == (other, rows[1]["sha256"])
    table = [line.split("\t") for line in told.stdout.splitlines()]
    assert table[0] == ["metric", "score", "low", "high"]
    assert {row[0]: row[1] for row in table[1:]} == {name: f"{value:.4f}" for name, value in one["metrics"].items()}
    assert re.search(r"protocol moments: \d+ of \d+ answered", told.stderr)


def test_an_empty_file_is_an_answer_to_nothing(way: Path, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_bytes(b"")
    told = cli("score", tmp_path / "p.jsonl", "--manifest", way / "m", "--split", "test", "--json", tmp_path / "r.json")
    report = page(tmp_path / "r.json")
    assert report["answered"] == 0
    assert set(report["metrics"].values()) == {0.0}
    assert "have no answer and count as 0" in told.stderr


def test_the_leaderboard_in_pandas(way: Path) -> None:
    frame = pandas.read_csv(way / "board.csv")
    assert list(frame.columns) == COLUMNS
    measured = frame[frame["source"] == "measured"]
    assert list(measured["rank"]) == [1, 2, 3, 4]
    assert measured["method"].iloc[0] == "oracle"
    assert list(measured["mIoU"]) == sorted(measured["mIoU"], reverse=True)
    for _, row in measured.iterrows():
        report = page(way / row["method"] / "report.json")
        for metric in MOMENTS.scores:
            assert row[metric] == report["metrics"][metric]  # to the last bit
            assert [row[f"{metric}_low"], row[f"{metric}_high"]] == report["intervals"][metric]
        assert (row["benchmark"], row["version"], row["split"]) == ("relocalization", "general.1", "test")
        assert row["manifest_digest"] == report["manifest"]["digest"]
        assert row["date"] == report["created"][:10]
    assert set(frame["source"]) <= {"measured", "published"}
    assert frame[frame["source"] == "published"]["rank"].isna().all()


def board(cli: Cli, folder: Path, *reports: dict[str, Any]) -> list[dict[str, str]]:
    paths = [folder / f"{place}.json" for place in range(len(reports))]
    for path, report in zip(paths, reports, strict=True):
        path.write_text(json.dumps(report), encoding="utf-8")
    cli("leaderboard", *paths, "--csv", folder / "board.csv")
    with (folder / "board.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_only_what_answers_the_same_question_is_ranked_together(way: Path, cli: Cli, tmp_path: Path) -> None:
    report = page(way / "random" / "report.json")
    other_digest = {**report, "manifest": {**report["manifest"], "digest": "sha256:other"}}
    other_rules = {**report, "scorer": {"rules": 99}}
    partial = {**report, "manifest": {**report["manifest"], "partial": True}}
    better = {**report, "metrics": dict.fromkeys(report["metrics"], 0.99), "method": {"name": "better"}}
    rows = board(cli, tmp_path, report, other_digest, other_rules, partial, better)
    assert sorted((row["method"], row["rank"]) for row in rows if row["source"] == "measured") == [
        ("better", "1"), ("random", ""), ("random", "1"), ("random", "1"), ("random", "2"),
    ]  # fmt: skip


def test_the_papers_rows_stand_beside_their_own_version(way: Path, cli: Cli, tmp_path: Path) -> None:
    report = page(way / "random" / "report.json")
    released = {**report, "manifest": {**report["manifest"], "version": "released.1"}}
    published = [row for row in board(cli, tmp_path, released) if row["source"] == "published"]
    chance = next(row for row in published if row["method"].startswith("Chance (ECCV 2018"))
    # ECCV 2018, Table 1
    assert [chance[f"top1-mAP@{t}"] for t in (0.5, 0.6, 0.7, 0.8, 0.9)] == ["0.162", "0.11", "0.054", "0.029", "0.012"]
    assert {row["rank"] for row in published} == {""}
    assert {row["mIoU_low"] for row in published} == {""}


@pytest.mark.parametrize(
    "name",
    ["=cmd()", '=HYPERLINK("http://x")', "+1+1", "-2", "@SUM(A1)", "\t=1", "\r=1", " =1", "a\n=1", "tab\tin", 'é, "q"'],
)
def test_no_cell_starts_a_formula(way: Path, cli: Cli, tmp_path: Path, name: str) -> None:
    """From the header of somebody's predictions all the way to the spreadsheet."""
    lines = (way / "random" / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    lines[0] = json.dumps({"method": {"name": name, "features": name}})
    (tmp_path / "p.jsonl").write_text("\n".join(lines), encoding="utf-8")
    cli("score", tmp_path / "p.jsonl", "--manifest", way / "m", "--split", "test", "--json", tmp_path / "r.json",
        "--no-intervals")  # fmt: skip
    told = cli("leaderboard", tmp_path / "r.json", "--csv", tmp_path / "board.csv")
    with (tmp_path / "board.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[1][1].removeprefix("'") == repr(name)[1:-1]  # control characters are escaped
    assert rows[1][COLUMNS.index("features")] == rows[1][1]
    for cell in (cell for row in rows for cell in row):
        assert not cell.lstrip().startswith(("=", "+", "-", "@")) or is_number(cell), cell
        assert cell[:1] not in ("\t", "\r", "\n"), cell
    assert all(
        len(line.split("\t")) == len(told.stdout.splitlines()[0].split("\t")) for line in told.stdout.splitlines()
    )


def is_number(text: str) -> bool:
    return bool(re.fullmatch(r"-?[0-9.]+(e-?[0-9]+)?", text))


def test_a_method_of_10_000_characters(way: Path, cli: Cli, tmp_path: Path) -> None:
    report = {**page(way / "random" / "report.json"), "method": {"name": "x" * 10_000}}
    (row,) = board(cli, tmp_path, report)
    assert row["method"].startswith("xxx")


def test_a_method_that_is_no_text(way: Path, cli: Cli, tmp_path: Path) -> None:
    """A header says what it likes; the table shows it, or the file's name, and does not fail."""
    report = page(way / "random" / "report.json")
    for name in (3, None, ["a"], {"=cmd()": 1}):
        (row,) = board(cli, tmp_path, {**report, "method": {"name": name}})
        assert not row["method"].startswith(("=", "+", "-", "@"))


def test_validate(way: Path, cli: Cli) -> None:
    told = cli("validate", way / "m")
    assert re.search(r"^test: \d+ samples, sha256 as stated$", told.stdout, re.MULTILINE)
    assert page(way / "m" / "manifest.json")["digest"] in told.stdout
    told = cli("validate", way / "random" / "predictions.jsonl", "--manifest", way / "m", "--split", "test")
    assert re.fullmatch(r"predictions\.jsonl: (\d+) of \1 samples answered\n", told.stdout)


def test_inspect(way: Path, cli: Cli) -> None:
    told = cli("inspect", way / "m")
    splits = page(way / "m" / "manifest.json")["splits"]
    counts = {name: splits[name]["samples"] for name in ("train", "val", "test")}
    lines = [line.split("\t") for line in told.stdout.splitlines()]
    assert lines[0] == ["", *counts]
    assert lines[1] == ["samples", *(f"{count:,}" for count in counts.values())]
    for title in ("Length of targets", "Share of the window", "Where in its window"):
        assert sum(title in line[0] for line in lines) == len(counts)
    drawn = [int(line[0].split()[-1]) for line in lines if "  " in line[0]]
    assert sum(drawn) == 3 * sum(counts.values())  # each target once in each histogram
    assert cli("inspect", way / "m", "--split", "test").stdout.count("Length of targets") == 1


def test_the_datasheet_accounts_for_everything(way: Path) -> None:
    text = (way / "m" / "DATASHEET.md").read_text(encoding="utf-8")
    manifest = page(way / "m" / "manifest.json")
    drops = manifest["provenance"]["drops"]
    assert drops["kept"] + sum(drops["dropped"].values()) == drops["seen"]
    assert drops["kept"] == sum(split["samples"] for split in manifest["splits"].values())
    assert f"Of {drops['seen']:,} instances seen, {drops['kept']:,} were kept" in text
    assert manifest["digest"] in text
    for reason, count in drops["dropped"].items():
        assert f"| {reason} | {count:,} |" in text
    source = manifest["provenance"]["sources"][0]
    assert source["file"] == "activitynet.json"
    assert source["sha256"] in text


def test_list_and_doctor(cli: Cli) -> None:
    listed = {line.split("\t")[0]: line.split("\t") for line in cli("list").stdout.splitlines()[1:]}
    for table in (catalog.BUILDERS, catalog.METHODS, catalog.METRICS, catalog.PROTOCOLS):
        for name in table:
            assert len(listed[name]) == 3
            assert listed[name][2]
    assert {line.split("\t")[1] for line in cli("list", "methods").stdout.splitlines()[1:]} == {"methods"}
    told = cli("doctor").stdout
    assert re.search(r"^python\t\d+\.\d+", told, re.MULTILINE)
    assert re.search(r"^activity-bench\t\d+\.\d+", told, re.MULTILINE)


@pytest.mark.parametrize("command", ["", *catalog.COMMANDS])
def test_every_command_has_help_with_an_example(cli: Cli, command: str) -> None:
    told = cli(*([command] if command else []), "--help")
    assert told.stdout.startswith("Usage: ")
    assert f"activity-bench {command}".rstrip() in told.stdout
    assert not told.stderr


def test_the_same_bytes_in_another_place_tongue_and_time(
    way: Path, cli: Cli, annotations: Path, tmp_path: Path, held: Holds
) -> None:
    strange = {
        "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "4711",
        "PYTHONUTF8": "0", "COLUMNS": "20",
    }  # fmt: skip
    place = tmp_path / "ein Ordner, ü"
    place.mkdir()
    copy = place / "activitynet.json"
    copy.write_bytes(annotations.read_bytes())
    cli("build-dataset", "relocalization", "--annotations", copy.name, "--out", "m", cwd=place, env=strange)
    assert held(place / "m") == held(way / "m")
    for method in METHODS:
        out = place / method
        cli("run-baseline", method, "--manifest", "m", "--split", "test", "--out", method, cwd=place, env=strange)
        assert (out / "predictions.jsonl").read_bytes() == (way / method / "predictions.jsonl").read_bytes()
        one, other = page(out / "report.json"), page(way / method / "report.json")
        assert {**one, "created": ""} == {**other, "created": ""}


def test_a_plain_c_locale_will_do(cli: Cli, annotations: Path, way: Path, tmp_path: Path, held: Holds) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    cli("build-dataset", "relocalization", "--annotations", annotations, "--out", tmp_path / "m", env=plain)
    assert held(tmp_path / "m") == held(way / "m")
    cli("score", way / "random" / "predictions.jsonl", "--manifest", tmp_path / "m", "--split", "test", env=plain)
    cli("inspect", tmp_path / "m", env=plain)


def test_a_run_on_a_detection_manifest_leaves_its_answers(way: Path, cli: Cli, tmp_path: Path) -> None:
    cli("simulate", "corpus", "--out", tmp_path / "c")
    cli("build-dataset", "detection", "--annotations", tmp_path / "c/thumos/annotations_test", "--out", tmp_path / "m")
    said = cli("run-baseline", "oracle", "--manifest", tmp_path / "m", "--split", "test", "--out", tmp_path / "run")
    assert "protocol activitynet" in said.stderr
    assert set(page(tmp_path / "run" / "report.json")["metrics"].values()) == {1.0}
    lines = (tmp_path / "run/predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert all(len(row["segments"]) == len(row["labels"]) for row in map(json.loads, lines[1:]))
    cli("run-baseline", "random", "--manifest", tmp_path / "m", "--split", "test", "--out", tmp_path / "r", code=2)

"""Whatever a user hands in: exit code 2 (or 1 where the disk fails), one message, and nothing written."""

from __future__ import annotations

import gzip
import json
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.quick

Holds = Callable[[Path], dict[str, bytes | None]]


def assert_one_message(err: str, out: str, said: str) -> None:
    """One line of ours, or click's usage error; all of it printable."""
    lines = [line for line in err.splitlines() if line.strip()]
    assert lines, "no message"
    assert sum(bool(re.match("(?i)error: ", line)) for line in lines) == 1, err
    if len(lines) > 1:
        assert lines[0].startswith("Usage: "), err
        assert lines[-1].startswith("Error: "), err
    assert all(line.isprintable() for line in lines), err
    assert re.search(said, lines[-1]), lines[-1]
    assert len(lines[-1]) < 1500
    assert out == ""


@pytest.fixture
def refused(
    invoke: Callable[..., Any], tmp_path: Path, held: Holds, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """`refused("score", …, says="…")`: the command fails with 2 and one message, and the folder is as it was."""
    monkeypatch.chdir(tmp_path)

    def call(*args: object, says: str, code: int = 2) -> None:
        before = held(tmp_path)
        result = invoke(*args, code=code)
        assert_one_message(result.err, result.out, says)
        assert held(tmp_path) == before

    return call


# ---- the call -------------------------------------------------------------------------------------------------------

RANDOM = ["run-baseline", "random", "--manifest", "{m}", "--split", "test", "--out", "r"]
BUILD = ["build-dataset", "relocalization", "--annotations", "{a}", "--out", "o"]
SCORE = ["score", "{r}/predictions.jsonl", "--manifest", "{m}"]
PRIOR = ["run-baseline", "statistical-priror", *RANDOM[2:]]

CALLS = {
    "command": (["socre"], "No such command 'socre'. Did you mean 'score'"),
    "command, unlike any": (["xyzzy"], "No such command 'xyzzy'"),
    "option": ([*SCORE, "--jsno", "x"], "No such option"),
    "no arguments": (["score"], "Missing argument"),
    "no manifest": (["score", "p", "--split", "test"], "Missing option '--manifest'"),
    "method": (PRIOR, "unknown method; found 'statistical-priror'. Did you mean 'statistical-prior'"),
    "method's option": ([*RANDOM, "--set", "drwa=cuts"], "unknown option of random; found 'drwa'. Did you mean 'draw'"),
    "value of it": ([*RANDOM, "--set", "draw=dice"], "draw.*dice"),
    "no value": ([*RANDOM, "--set", "draw"], "key=value"),
    "given twice": ([*RANDOM, "--set", "draw=cuts", "--set", "draw=pair"], "twice"),
    "one that has none": (["run-baseline", "oracle", *RANDOM[2:], "--set", "x=1"], "unknown option of oracle"),
    "seed": ([*RANDOM, "--seed", "one"], "integer"),
    "split": ([*RANDOM, "--split", "tset"], "Did you mean 'test'"),
    "split to score": ([*SCORE, "--split", "Test"], "Did you mean 'test'"),
    "protocol": ([*SCORE, "--split", "test", "--protocol", "momnets"], "found 'momnets'. Did you mean 'moments'"),
    "benchmark": (["build-dataset", "relocalisation", *BUILD[2:]], "'relocalisation'. Did you mean 'relocalization'"),
    "builder's option": ([*BUILD, "--max-tarket", "3"], "No such option"),
    "builder's protocol": ([*BUILD, "--protocol", "genral"], "Did you mean 'general'"),
    "step": ([*BUILD, "--step", "nan"], "step"),
    "no step": ([*BUILD, "--step", "0"], "step"),
    "endless step": ([*BUILD, "--step", "inf"], "step"),
    "window": ([*BUILD, "--max-window", "3"], "max_window"),
    "too many classes": ([*BUILD, "--val-classes", "500"], "too few classes"),
    "metric": (["leaderboard", "{r}", "--by", "mIuO", "--csv", "t.csv"], "found 'mIuO'. Did you mean 'mIoU'"),
    "no report": (["leaderboard"], "Missing argument"),
    "kind": (["list", "metods"], "unknown kind; found 'metods'. Did you mean 'methods'"),
    "validate what": (["validate", "{r}/predictions.jsonl"], "--manifest and --split"),
    "half of it": (["validate", "{r}/predictions.jsonl", "--manifest", "{m}"], "--split"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_call(name: str, refused: Callable[..., None], annotations: Path, manifest: Path, run: Path) -> None:
    arguments, said = CALLS[name]
    places = {"{a}": annotations, "{m}": manifest, "{r}": run}
    for word, place in places.items():
        arguments = [argument.replace(word, str(place)) for argument in arguments]
    refused(*arguments, says=said)


# ---- files that are none --------------------------------------------------------------------------------------------

READERS = {
    "annotations": (["build-dataset", "relocalization", "--annotations", "{f}", "--out", "o"], "activitynet.json"),
    "manifest": (["score", "p.jsonl", "--manifest", "{d}", "--split", "test", "--json", "j"], "manifest.json"),
    "manifest to run": (["run-baseline", "random", "--manifest", "{d}", "--split", "val", "--out", "o"],
                        "manifest.json"),
    "manifest to inspect": (["inspect", "{d}"], "manifest.json"),
    "manifest to validate": (["validate", "{d}"], "manifest.json"),
    "report": (["leaderboard", "{f}", "--csv", "t.csv"], "report.json"),
    "predictions": (["score", "{f}", "--manifest", "{m}", "--split", "test", "--json", "j"], "predictions.jsonl"),
}  # fmt: skip
NONE = {
    "missing": (None, "no such file"),
    "a folder": (..., "folder"),
    "empty": (b"", "empty"),
    "blank": (b"\n \n", "empty"),
    "not JSON": (b"id,start,end\n", "not valid JSON"),
    "another JSON": (b"3\n", "number"),
    "null": (b"null\n", "null"),
    "not UTF-8": ('{"é": 1}'.encode("latin-1"), "UTF-8|valid JSON|required field|neither"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "UTF-8|valid JSON"),
    "nested": (b"[" * 200_000, "."),
    "nested objects": (b'{"a":' * 100_000, "."),
    "binary": (bytes(range(256)) * 4, "UTF-8|valid JSON"),
}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("fault", NONE)
def test_a_file_that_is_none(
    tmp_path: Path, refused: Callable[..., None], manifest: Path, kind: str, fault: str
) -> None:
    arguments, name = READERS[kind]
    data, said = NONE[fault]
    if kind == "predictions" and fault in ("empty", "blank"):
        return  # an answer to nothing is allowed: it scores 0
    folder = tmp_path / "d"
    folder.mkdir()
    if data is ...:
        (folder / name).mkdir()
    elif data is not None:
        (folder / name).write_bytes(data)
    places = {"{f}": folder / name, "{d}": folder, "{m}": manifest}
    for word, place in places.items():
        arguments = [argument.replace(word, str(place)) for argument in arguments]
    if kind == "report" and data is ...:
        said = "no such file"  # a folder stands for the report in it
    refused(*arguments, says=rf"{re.escape(name)}.*({said})")


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_a_file_that_is_cut(
    tmp_path: Path, refused: Callable[..., None], annotations: Path, manifest: Path, run: Path, kind: str, share: float
) -> None:
    arguments, name = READERS[kind]
    folder = tmp_path / "d"
    shutil.copytree(manifest, folder)
    for file in (annotations, run / "report.json", run / "predictions.jsonl"):
        shutil.copy(file, folder)
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: int(len(data) * share)])
    places = {"{f}": folder / name, "{d}": folder, "{m}": manifest}
    for word, place in places.items():
        arguments = [argument.replace(word, str(place)) for argument in arguments]
    refused(*arguments, says=re.escape(name))


# ---- predictions ----------------------------------------------------------------------------------------------------


def first_sample(manifest: Path) -> dict[str, Any]:
    with (manifest / "test.jsonl").open(encoding="utf-8") as stream:
        found: dict[str, Any] = json.loads(stream.readline())
    return found


ANSWERS = {
    "nan": ("[[NaN, 1, 1]]", "valid JSON"),
    "infinity": ("[[0, Infinity, 1]]", "valid JSON"),
    "out of the numbers": ("[[0, 1e999, 1]]", "out of range"),
    "negative": ("[[-3, 1, 1]]", "outside its sample's window"),
    "reversed": ("[[2, 1, 1]]", "reversed or empty"),
    "empty": ("[[1, 1, 1]]", "reversed or empty"),
    "out of the window": ("[[0, 99999, 1]]", "outside its sample's window"),
    "without a score": ("[[0, 1]]", "segments"),
    "text": ('[["0", "1", "1"]]', "text"),
    "null": ("null", "segments"),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("command", ["score", "validate"])
def test_an_answer_that_is_none(
    tmp_path: Path, refused: Callable[..., None], manifest: Path, name: str, command: str
) -> None:
    segments, said = ANSWERS[name]
    text = f'{{"sample": {json.dumps(first_sample(manifest)["id"])}, "segments": {segments}}}\n'
    (tmp_path / "p.jsonl").write_text('{"method": {}}\n' + text)
    out = ["--json", "report.json"] if command == "score" else []
    refused(command, "p.jsonl", "--manifest", manifest, "--split", "test", *out, says=rf"p\.jsonl:2: .*(?i:{said})")


@pytest.mark.parametrize("sample", ["../../x", "a/b", "=cmd()", "x" * 10_000, "", "\x1b[31m", "test\u2028"])
def test_a_stranger(tmp_path: Path, refused: Callable[..., None], manifest: Path, sample: str) -> None:
    (tmp_path / "p.jsonl").write_text(json.dumps({"sample": sample, "segments": []}))
    refused(
        "score",
        "p.jsonl",
        "--manifest",
        manifest,
        "--split",
        "test",
        "--json",
        "j",
        says=r"p\.jsonl:1: sample: unknown",
    )


def test_an_answer_to_a_sample_of_another_split(tmp_path: Path, refused: Callable[..., None], manifest: Path) -> None:
    with (manifest / "train.jsonl").open(encoding="utf-8") as stream:
        sample = json.loads(stream.readline())["id"]
    (tmp_path / "p.jsonl").write_text(json.dumps({"sample": sample, "segments": []}))
    refused("score", "p.jsonl", "--manifest", manifest, "--split", "test", says=r"p\.jsonl:1: sample: unknown sample")


def test_a_sample_answered_twice(tmp_path: Path, refused: Callable[..., None], manifest: Path, run: Path) -> None:
    lines = (run / "predictions.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "p.jsonl").write_text("".join([*lines, lines[5]]))
    said = rf"p\.jsonl:{len(lines) + 1}: sample: a sample answered twice"
    refused("score", "p.jsonl", "--manifest", manifest, "--split", "test", "--json", "j", says=said)


def test_predictions_for_another_manifest(
    tmp_path: Path, invoke: Callable[..., Any], refused: Callable[..., None], annotations: Path, run: Path
) -> None:
    invoke("build-dataset", "relocalization", "--annotations", annotations, "--out", tmp_path / "m", "--seed", 1)
    said = r"predictions\.jsonl:1: manifest\.digest: these predictions were made for another manifest"
    refused("score", run / "predictions.jsonl", "--manifest", "m", "--split", "test", "--json", "j", says=said)


def test_a_flipped_byte_of_a_manifest(tmp_path: Path, refused: Callable[..., None], manifest: Path, run: Path) -> None:
    for name in ("manifest.json", "test.jsonl"):
        shutil.copytree(manifest, tmp_path / "m")
        data = bytearray((manifest / name).read_bytes())
        data[len(data) // 2] ^= 1
        (tmp_path / "m" / name).write_bytes(data)
        for command in (
            ["score", run / "predictions.jsonl", "--manifest", "m", "--split", "test", "--json", "j"],
            ["run-baseline", "random", "--manifest", "m", "--split", "test", "--out", "r"],
            ["validate", "m"],
            ["inspect", "m"],
        ):
            refused(*command, says=rf"m/{re.escape(name)}")
        shutil.rmtree(tmp_path / "m")


def test_a_gzip_file_that_is_cut(tmp_path: Path, refused: Callable[..., None], manifest: Path, run: Path) -> None:
    whole = gzip.compress((run / "predictions.jsonl").read_bytes())
    (tmp_path / "p.jsonl.gz").write_bytes(whole[:-9])
    refused("score", "p.jsonl.gz", "--manifest", manifest, "--split", "test", "--json", "j", says=r"p\.jsonl\.gz.*gzip")


# ---- ids and labels -------------------------------------------------------------------------------------------------


def annotated(name: str, label: str = "Diving", segment: str = "[1, 2]") -> str:
    instance = f'{{"segment": {segment}, "label": {json.dumps(label)}}}'
    video = f'{{"duration": 60, "subset": "training", "annotations": [{instance}]}}'
    return f'{{"database": {{"fine": {video}, {json.dumps(name)}: {video}}}}}'


@pytest.mark.parametrize("name", ["../../x", "a/b", "=cmd()", "x" * 10_000, "", "..", "\x1b[31m", "a\u202eb", "\ud800"])
def test_an_id_that_is_a_path_a_formula_or_a_flood(tmp_path: Path, refused: Callable[..., None], name: str) -> None:
    (tmp_path / "a.json").write_text(annotated(name))
    refused("build-dataset", "relocalization", "--annotations", "a.json", "--out", "o", says=r"a\.json")


@pytest.mark.parametrize("label", ["", " ", "x" * 10_000, "a\nb", "\x1b[31m"])
def test_a_label_that_is_none(tmp_path: Path, refused: Callable[..., None], label: str) -> None:
    (tmp_path / "a.json").write_text(annotated("b", label))
    refused(
        "build-dataset",
        "relocalization",
        "--annotations",
        "a.json",
        "--out",
        "o",
        says=r"a\.json.*label: not a class name",
    )


@pytest.mark.parametrize(
    "segment", ["[NaN, 2]", "[1, Infinity]", "[1, 1e999]", '["nan", 2]', "[1]", "[1, 2, 3]", "3", "[null, 1]"]
)
def test_a_segment_that_is_none(tmp_path: Path, refused: Callable[..., None], segment: str) -> None:
    (tmp_path / "a.json").write_text(annotated("b", segment=segment))
    refused("build-dataset", "relocalization", "--annotations", "a.json", "--out", "o", says=r"a\.json")


def test_annotations_that_give_no_sample(tmp_path: Path, refused: Callable[..., None]) -> None:
    (tmp_path / "a.json").write_text(annotated("b", segment="[5, 4]"))
    refused(
        "build-dataset", "relocalization", "--annotations", "a.json", "--out", "o", says="no sample|too few classes"
    )


def test_one_video_in_two_files(tmp_path: Path, refused: Callable[..., None], annotations: Path) -> None:
    shutil.copy(annotations, tmp_path / "again.json")
    both = ["--annotations", annotations, "--annotations", "again.json"]
    refused("build-dataset", "relocalization", *both, "--out", "o",
            says=r"again\.json: .*a video that activitynet\.json has too")  # fmt: skip


# ---- outputs --------------------------------------------------------------------------------------------------------


def test_an_output_folder_that_exists(
    tmp_path: Path, refused: Callable[..., None], invoke: Callable[..., Any], annotations: Path, manifest: Path
) -> None:
    build = ["build-dataset", "relocalization", "--annotations", annotations, "--out", "o"]
    baseline = ["run-baseline", "random", "--manifest", manifest, "--split", "test", "--out", "o"]
    for command in (build, baseline):
        (tmp_path / "o").mkdir()
        (tmp_path / "o" / "thesis.txt").write_text("years of work")
        refused(*command, says="--force")
        refused(*command, "--force", says="not ours")
        shutil.rmtree(tmp_path / "o")
        (tmp_path / "o").write_text("a file")
        refused(*command, says="this is a file")
        refused(*command, "--force", says="this is a file")
        (tmp_path / "o").unlink()
        invoke(*command)
        refused(*command, says="--force")
        invoke(*command, "--force")
        assert {path.name for path in tmp_path.iterdir()} == {"o"}
        shutil.rmtree(tmp_path / "o")


def test_a_manifest_is_no_run_and_a_run_no_manifest(
    tmp_path: Path, refused: Callable[..., None], annotations: Path, manifest: Path, run: Path
) -> None:
    shutil.copytree(manifest, tmp_path / "m")
    shutil.copytree(run, tmp_path / "r")
    build = ["build-dataset", "relocalization", "--annotations", annotations, "--force"]
    refused(*build, "--out", "r", says="not ours")
    refused(
        "run-baseline", "random", "--manifest", manifest, "--split", "test", "--force", "--out", "m", says="not ours"
    )


def test_outputs_that_cannot_be(
    tmp_path: Path, invoke: Callable[..., Any], manifest: Path, run: Path, held: Holds
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    before = held(tmp_path)
    score = ["score", run / "predictions.jsonl", "--manifest", manifest, "--split", "test", "--json"]
    for command in (
        [*score, tmp_path / "folder"],
        [*score, tmp_path / "file" / "j.json"],
        [*score, tmp_path / ("x" * 300)],
        ["leaderboard", run, "--csv", tmp_path / "folder"],
        ["run-baseline", "random", "--manifest", manifest, "--split", "test", "--out", tmp_path / "file" / "r"],
    ):
        result = invoke(*command, code=None)
        assert result.code in (1, 2)
        assert len([line for line in result.err.splitlines() if line.startswith("error: ")]) == 1
        assert held(tmp_path) == before


# ---- a disk that is full --------------------------------------------------------------------------------------------

FULL = {
    "build-dataset": (["build-dataset", "relocalization", "--annotations", "{a}", "--out", "o/p"], 50_000),
    "run-baseline": (["run-baseline", "random", "--manifest", "{m}", "--split", "test", "--out", "o/p"], 5_000),
    "score": (["score", "{r}/predictions.jsonl", "--manifest", "{m}", "--split", "test", "--json", "o/j.json"], 500),
    "leaderboard": (["leaderboard", "{r}", "--csv", "o/t.csv"], 100),
}


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", FULL)
def test_a_full_disk_leaves_no_final_name_and_no_draft(
    tmp_path: Path, environment: Callable[..., dict[str, str]], annotations: Path, manifest: Path, run: Path,
    held: Holds, name: str, force: bool,
) -> None:  # fmt: skip
    """No file may grow beyond a limit, which the system says as a full disk says it: at any write, or when closed."""
    arguments, limit = FULL[name]
    for word, place in {"{a}": annotations, "{m}": manifest, "{r}": run}.items():
        arguments = [argument.replace(word, str(place)) for argument in arguments]
    (tmp_path / "o").mkdir()
    before: dict[str, bytes | None] = {}
    if force:
        if name in ("score", "leaderboard"):
            old = (run / "report.json").read_bytes() if name == "score" else b"rank,method\n1,the old one\n"
            Path(tmp_path, arguments[-1]).write_bytes(old)
        else:
            shutil.copytree(manifest if name == "build-dataset" else run, tmp_path / "o/p")
            arguments = [*arguments, "--force"]
        before = held(tmp_path / "o")
    result = subprocess.run(
        [sys.executable, "-m", "activity_bench", *arguments], cwd=tmp_path, capture_output=True, encoding="utf-8",
        env=environment(PYTHONDONTWRITEBYTECODE="1"), check=False, stdin=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.stderr
    assert re.search(r"cannot write: File too large", lines[0])
    assert re.search(r"error: \S*o/", lines[0]), lines[0]
    assert held(tmp_path / "o") == before


def test_a_full_terminal(environment: Callable[..., dict[str, str]], manifest: Path) -> None:
    """What cannot be said on stdout is no success either."""
    with Path("/dev/full").open("wb") as full:
        for command in (["--help"], ["list"], ["inspect", str(manifest)]):
            result = subprocess.run(
                [sys.executable, "-m", "activity_bench", *command], stdout=full, stderr=subprocess.PIPE,
                encoding="utf-8", env=environment(), check=False,
            )  # fmt: skip
            assert result.returncode == 1, result.stderr
            assert [line for line in result.stderr.splitlines() if "rror" in line] == ["error: No space left on device"]


def test_a_reader_that_goes_away(environment: Callable[..., dict[str, str]], manifest: Path) -> None:
    command = [sys.executable, "-m", "activity_bench", "inspect", str(manifest)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    said = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait() == 0
    assert "rror" not in said

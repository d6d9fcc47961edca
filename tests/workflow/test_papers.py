"""reproduce list: every number of the papers has one status, and what stands behind it holds."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from activity_bench import catalog
from activity_bench.data import manifest as manifests
from activity_bench.data import shipped
from activity_bench.errors import InputError
from activity_bench.models import msa
from activity_bench.workflow import papers
from activity_bench.workflow.describe import Summary
from activity_bench.workflow.papers import CITED, NEEDS, NOT_RUN, STATUSES, WORLD, numbers
from activity_bench.workflow.plans import PLANS
from activity_bench.workflow.reproduce import reproduce

quick = pytest.mark.quick


@quick
def test_every_number_has_a_status() -> None:
    """One line a number: as many as the tables in manifests/ have, none more, none less."""
    found = numbers()
    assert len(found) == len(shipped.published()) + len(shipped.stated())
    assert {one.status for one in found} <= set(STATUSES)
    assert Counter((one.paper, one.place, one.row, one.quantity, one.printed) for one in found) == Counter(
        [(f["paper"], f["table"], f["row"], f["metric"], f["value"]) for f in shipped.published()]
        + [(s["paper"], s["place"], s["row"], s["quantity"], s["value"]) for s in shipped.stated()]
    )


@quick
def test_only_what_others_measured_is_cited() -> None:
    """Every run of the papers' own has a cell here; what they cite and nothing here runs is cited."""
    own = {(f["paper"], f["table"], f["row"]) for f in shipped.published() if f["status"] == "published"}
    cited = {(one.paper, one.place, one.row) for one in numbers() if one.status == CITED}
    assert not own & cited
    assert {paper for paper, _, _ in cited} == {"CVPR 2020"} and len(cited) == 12
    for one in numbers():
        assert (one.cell is not None) == (one.status == WORLD) or one.place.startswith("Figure"), one
        assert bool(one.needs) == bool(one.cell)


@quick
def test_a_command_of_the_list_chooses_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    for one in numbers():
        if one.status == WORLD and one.command:
            words = shlex.split(one.command)
            assert words[:2] == ["activity-bench", "reproduce"] and words[3:5] == ["--only", one.cell]
            assert one.cell in [cell.name for cell in PLANS[words[2]].cells]


@quick
def test_the_settings_are_those_of_the_method() -> None:
    table = [s for s in shipped.stated() if s["status"] == "setting"]
    options = msa.Options()
    for (kernel, rate), some in zip(msa.SCALES, [table[4 * i : 4 * i + 4] for i in range(5)], strict=True):
        printed = {s["quantity"]: int(s["value"]) for s in some}
        assert printed == {"heads": options.heads, "kernel size": kernel, "dilation rate": rate,
                           "kernels": options.kernels}  # fmt: skip


@quick
def test_methods_without_features_are_those_of_the_catalog() -> None:
    used = {cell.method for plan in PLANS.values() for cell in plan.cells}
    classes = {name: catalog.load("method", catalog.METHODS, name) for name in used}
    assert set(papers.UNREAD) == {name for name, found in classes.items() if not found.needs_features}


@quick
def test_the_scores_of_a_folder(tmp_path: Path, invoke: Callable[..., Any]) -> None:
    out = tmp_path / "out"
    done = reproduce("relocalization", out, size="tiny", only=["random"])
    score = done.outcomes[0].score["top1-mAP"]
    found = {(one.paper, one.place, one.row, one.quantity): one for one in numbers(None, out)}
    chance = found["ECCV 2018", "Table 1", "Chance", "top1-mAP"]
    assert (chance.status, chance.ours, chance.printed) == (WORLD, score, "0.073")
    assert found["AAAI 2020", "Table 2", "Random", "top1-mAP"].ours == score  # the same run, printed again
    assert found["ECCV 2018", "Table 1", "SST", "top1-mAP"].status == NOT_RUN
    assert found["IJCAI 2019", "Table 2", "SAIL", "mIoU"].status == WORLD  # of another plan: as without a folder
    told = invoke("reproduce", "list", "eccv2018", "--out", out)
    (line,) = [line for line in told.out.splitlines() if "\tChance\t" in line]
    assert (
        line.split("\t")[4] == "16.2 11.0 5.4 2.9 1.2 7.3" and line.split("\t")[5].split()[-1] == f"{100 * score:.1f}"
    )
    assert "--features FILE (c3d-activitynet)" in told.err
    lines = [json.loads(line) for line in invoke("reproduce", "list", "--json", "--out", out).out.splitlines()]
    assert len(lines) == len(numbers())
    assert [one["ours"] for one in lines if (one["row"], one["quantity"]) == ("Chance", "top1-mAP")] == [score]


@quick
def test_a_folder_of_an_older_version_and_one_of_real_features_are_read(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text(
        "cell,part,protocol,metric,score,low,high,source\nthumos14-baseline,,wtalc,mAP@0.5,0.5,,,simulated\n"
    )
    (tmp_path / "job.json").write_text(json.dumps({"plan": "what2when", "files": ["0"]}))
    found = {(one.place, one.row, one.of, one.quantity): one for one in numbers("CVPR 2020", tmp_path)}
    one = found["Table 1", "Baseline", "thumos14@213.1", "mAP@0.5"]
    assert (one.status, one.ours, one.low) == (WORLD, 0.5, None)
    (tmp_path / "job.json").write_text(json.dumps({"plan": "what2when", "files": ["0"], "features": {"thumos14": "x"}}))
    found = {(one.place, one.row, one.of, one.quantity): one for one in numbers("CVPR 2020", tmp_path)}
    assert found["Table 1", "Ours", "thumos14@213.1", "mAP@0.5"].status == NOT_RUN
    lacking = found["Table 1", "Ours", "multithumos@213.1", "mAP@0.5"]
    assert lacking.status == NEEDS and "--features multithumos=FILE --words FILE (i3d, word-vectors)" in str(
        lacking.needs
    )


@quick
def test_what_is_wrong_is_said(tmp_path: Path, invoke: Callable[..., Any]) -> None:
    assert "Did you mean 'ECCV 2018'" in invoke("reproduce", "list", "eccv2019", code=2).err
    with pytest.raises(InputError, match=r"no reproduction; expected a folder with job\.json"):
        numbers(None, tmp_path)
    (tmp_path / "job.json").write_text('{"plan": "relocalization"}')
    with pytest.raises(InputError, match=r"job\.json"):
        numbers(None, tmp_path)
    (tmp_path / "job.json").write_text('{"plan": "relocalization", "files": []}')
    for text in ("cell,score\na,1\n", "cell,part,protocol,metric,score,low,high,source\na,,b,c,x,,,simulated\n"):
        (tmp_path / "results.csv").write_text(text)
        with pytest.raises(InputError, match=r"results\.csv: not what reproduce writes"):
            numbers(None, tmp_path)


@quick
def test_the_list_needs_no_plan_and_the_run_no_word(invoke: Callable[..., Any], tmp_path: Path) -> None:
    assert len(invoke("reproduce", "list").out.splitlines()) > 100
    given = ["--out", tmp_path / "out", "--size", "tiny", "--only", "random"]
    first = invoke("reproduce", "relocalization", *given).out
    assert first == invoke("reproduce", *given, "relocalization").out
    assert first == invoke("reproduce", "run", "relocalization", *given).out
    for words in (["--help"], ["relocalization", "--help"]):
        assert "--" in invoke("reproduce", *words).out


COMMANDS = sorted({row["command"] for row in shipped.stated() if row["status"] == "data"})


@pytest.mark.check
@pytest.mark.real
@pytest.mark.parametrize("command", [one for one in COMMANDS if one.startswith("build-dataset")])
def test_what_is_measured_on_real_annotations(
    command: str, real_data: Path, tmp_path: Path, invoke: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command of each row is run as it stands, where its files lie, and gives the row's figure."""
    where = {path.name: path for path in sorted(real_data.rglob("*")) if path.name in command}
    for name, path in where.items():
        (tmp_path / name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    invoke(*shlex.split(command))
    asked = manifests.load(tmp_path / "manifest")
    whole, splits = Summary(), {}
    for split in asked.splits:
        samples = asked.samples(split)
        splits[split] = Summary.of(samples)
        whole.add(samples)
    for row in shipped.stated():
        if row["command"] == command:
            summary = splits[row["split"]] if row["split"] else whole
            assert _figure(row["quantity"], summary, asked) == row["measured"], row
    if fit := [row for row in shipped.stated() if row["command"] not in ("", command) and "prior" in row["command"]]:
        _check_fit(command, fit, invoke, tmp_path)


def _figure(quantity: str, summary: Summary, asked: manifests.Manifest) -> str:
    if quantity == "targets a video":
        return f"{summary.targets / len(summary.videos):.1f}"
    if quantity == "source classes left out":
        return str(400 - len(asked.vocabularies["source"]))
    return summary.figures()["videos" if quantity.endswith(" videos") else quantity]


def _check_fit(command: str, rows: list[dict[str, str]], invoke: Callable[..., Any], folder: Path) -> None:
    """The prior's two numbers, on the released samples."""
    if "--protocol released" not in command:
        return
    invoke(*shlex.split(rows[0]["command"]))
    fitted = json.loads((folder / "run" / "run.json").read_bytes())["fitted"]
    assert {row["quantity"]: row["measured"] for row in rows} == {
        name: f"{fitted[name]:.4f}" for name in ("start", "end")
    }

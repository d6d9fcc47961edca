"""reproduce: cells are run once, a job that was cut off goes on, and another job's folder is refused."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from activity_bench.data import shipped
from activity_bench.data.reports import read_report
from activity_bench.errors import InputError
from activity_bench.workflow.plans import PLANS, Plan, Size
from activity_bench.workflow.plans.choice import chosen, grouped, planned
from activity_bench.workflow.reproduce import reproduce
from activity_bench.workflow.results import COLUMNS, NOTE

pytestmark = pytest.mark.quick

CELLS = ("random", "frame-level", "cgbm-base")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished job of three cells, which no test changes."""
    out = tmp_path_factory.mktemp("reproduced") / "out"
    reproduce("relocalization", out, size="tiny", only=CELLS)
    return out


@pytest.fixture
def again(done: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(done, tmp_path / "out"))


def made(out: Path) -> dict[str, int]:
    """When each run was made."""
    return {path.parent.parent.name: path.stat().st_mtime_ns for path in out.glob("cells/*/*/run.json")}


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_papers_figures_stand_beside_ours(done: Path) -> None:
    found = rows(done)
    assert tuple(found[0]) == COLUMNS
    assert list(dict.fromkeys(row["cell"] for row in found)) == list(CELLS)
    assert {row["source"] for row in found} == {"simulated"} and {row["seeds"] for row in found} == {"1"}
    mean = {row["cell"]: row for row in found if row["metric"] == "top1-mAP"}
    assert [mean[cell]["published"] for cell in CELLS] == ["0.073", "0.099", "0.237"]
    for cell in CELLS:
        report = read_report(done / "cells" / cell / "seed-0" / "report.json")
        row = mean[cell]
        assert (float(row["score"]), float(row["low"]), float(row["high"])) == (
            report.metrics["top1-mAP"], *report.intervals["top1-mAP"],
        )  # fmt: skip
        assert row["sd"] == ""
    page = (done / "results.md").read_text(encoding="utf-8")
    lines = page.splitlines()
    assert lines[0].split(" | ")[6:] == ["top1-mAP", "95 % of top1-mAP", "paper's top1-mAP", "difference |"]
    assert NOTE in page and "| random &lt; frame-level |" in page
    assert [line.split(" | ")[0] for line in lines[2:5]] == [f"| {cell}" for cell in CELLS]
    assert f"| {100 * float(mean['random']['score']):.1f} |" in lines[2]
    assert lines[2].endswith(f"| 7.3 | {100 * (float(mean['random']['score']) - 0.073):+.1f} |")


def test_a_row_names_the_features_that_it_read(done: Path) -> None:
    read = {row["cell"]: row["features"] for row in rows(done)}
    assert read == {"random": "", "frame-level": "simulated: noise=6.3, dim=16", "cgbm-base": read["frame-level"]}
    for row in rows(done):
        known = row["published"] != ""
        assert (row["difference"] != "") == known
        assert not known or float(row["difference"]) == float(row["score"]) - float(row["published"])


def test_the_page_has_all_finished_cells_whichever_call_ran_them(again: Path) -> None:
    before = (again / "results.csv").read_bytes()
    found = reproduce("ECCV 2018", again, size="tiny", table="1", only=["random"])
    assert [one.cell.name for one in found.outcomes] == list(CELLS)
    assert (again / "results.csv").read_bytes() == before


def test_a_trained_cell_takes_its_own_options_and_the_sizes(done: Path) -> None:
    said = json.loads((done / "cells" / "cgbm-base" / "seed-0" / "run.json").read_bytes())["method"]
    assert said["options"]["variant"] == "base" and said["options"]["hidden"] == 8
    assert (said["training"]["steps"], said["training"]["batch"]) == (4, 8)


def test_a_finished_cell_is_not_run_again(again: Path) -> None:
    before, results, said = made(again), (again / "results.csv").read_bytes(), list[str]()
    found = reproduce("relocalization", again, size="tiny", only=CELLS, say=said.append)
    assert made(again) == before and said == []
    assert (again / "results.csv").read_bytes() == results
    assert [(o.worse, o.better) for o in found.orderings] == [("random", "frame-level")]


def test_a_job_that_was_cut_off_goes_on(done: Path, again: Path) -> None:
    shutil.rmtree(again / "cells" / "frame-level")
    shutil.rmtree(again / "cells" / "cgbm-base")
    before = made(again)

    def cut_off(text: str) -> None:
        if text.startswith("cgbm-base"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reproduce("relocalization", again, size="tiny", only=CELLS, say=cut_off)
    between = made(again)
    assert set(between) == {"random", "frame-level"} and between["random"] == before["random"]
    said: list[str] = []
    reproduce("relocalization", again, size="tiny", only=CELLS, say=said.append)
    assert said == ["cgbm-base, seed 0"] and made(again) == between | {"cgbm-base": made(again)["cgbm-base"]}
    assert (again / "results.csv").read_bytes() == (done / "results.csv").read_bytes()


@pytest.mark.parametrize(
    "changes",
    [{"seed": 1}, {"options": {"lr": "0.1"}}, {"size": "small"}],
)
def test_another_jobs_folder_is_refused(again: Path, changes: dict[str, Any]) -> None:
    before = made(again)
    with pytest.raises(InputError, match="holds another reproduction"):
        reproduce("relocalization", again, **{"size": "tiny", "only": ["random"], **changes})
    assert made(again) == before


def test_other_annotations_are_another_job(again: Path) -> None:
    with pytest.raises(InputError, match="holds another reproduction"):
        reproduce("relocalization", again, size="tiny", only=["random"],
                  annotations=[again / "corpus" / "activitynet.json"])  # fmt: skip


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("relocalizatoin", {}, "unknown plan.*Did you mean 'relocalization'"),
        ("relocalization", {"size": "tniy"}, "unknown size.*Did you mean 'tiny'"),
        ("relocalization", {"only": ["cbgm"]}, "unknown cell.*Did you mean 'cgbm'"),
        ("eccv2017", {}, "unknown plan or paper.*Did you mean 'ECCV 2018'"),
        ("relocalization", {"table": "5"}, "--table: unknown table"),
        ("AAAI 2020", {"only": ["cgbm-base"]}, "unknown cell; found 'cgbm-base'"),
        ("ECCV 2018", {"table": "1", "only": ["cgbm-base"]}, "unknown cell; found 'cgbm-base'"),
        ("relocalization", {"features": ["f.h5"]}, "--features: features belong to annotations"),
        ("relocalization", {"annotations": ["a"], "features": ["f.h5", "g.h5"]}, "one store holds all videos"),
        (
            "what2when",
            {"annotations": ["thumos14=a"], "features": ["thumos14=f.h5"], "only": []},
            "--words: beside real",
        ),
        (
            "activity-ibal",
            {"annotations": ["a"], "features": ["f"], "only": ["sail-no-order"]},
            "--only: this cell asks the simulated world",
        ),
        ("relocalization", {"options": {"stepz": "3"}}, "unknown option of cgbm.*Did you mean 'steps'"),
        ("relocalization", {"only": ["random", "sst"], "options": {"rank": "3"}}, "unknown option of sst"),
        ("relocalization", {"seed": -1}, "not a seed"),
        ("relocalization", {"seed": 2**63}, "not a seed"),
        ("relocalization", {"tables": {"frame_counts": Path("length.json")}}, "frame_counts: tables belong to"),
        ("relocalization", {"annotations": [Path("nowhere.json")]}, "nowhere.json: no such file"),
        ("relocalization", {"words": "words.npz"}, "words: no cell of relocalization reads this"),
        (
            "activity-ibal",
            {"annotations": ["a"], "tables": {"source": Path("k.csv")}, "only": []},
            "source: no cell of",
        ),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(
    tmp_path: Path, name: str, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        reproduce(name, tmp_path / "out", **{"size": "tiny", "only": ["random", "cgbm"], **changes})
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(InputError, match="no reproduction"):
            reproduce("relocalization", out, size="tiny", only=["random"])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_several_seeds_give_a_mean_and_a_deviation(again: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = replace(PLANS["relocalization"], sizes={"twice": Size({"dim": 4}, {}, 2)})
    monkeypatch.setitem(PLANS, "relocalization", twice)
    out = again.parent / "twice"
    reproduce("relocalization", out, size="twice", only=["random"], seed=5)
    folders = sorted((out / "cells" / "random").iterdir())
    assert [folder.name for folder in folders] == ["seed-5", "seed-6"]
    reports = [read_report(folder / "report.json").metrics["top1-mAP"] for folder in folders]
    assert reports[0] != reports[1]
    (row,) = (row for row in rows(out) if row["metric"] == "top1-mAP")
    assert (float(row["score"]), float(row["sd"]), row["seeds"]) == (fmean(reports), stdev(reports), "2")
    assert f"{100 * fmean(reports):.1f} ± {100 * stdev(reports):.1f}" in (out / "results.md").read_text(
        encoding="utf-8"
    )


def test_the_command(invoke: Callable[..., Any], again: Path) -> None:
    told = invoke(
        "reproduce", "relocalization", "--out", again, "--size", "tiny", *(f"--only={cell}" for cell in CELLS)
    )
    assert "frame-level" in told.out and "random < frame-level" in told.out and NOTE in told.err
    assert "Did you mean 'cgbm'" in invoke("reproduce", "relocalization", "--out", again, "--only", "cbgm", code=2).err


def test_image_queries_are_scored_by_part_beside_two_tables(tmp_path: Path) -> None:
    found = reproduce("activity-ibal", tmp_path / "out", size="tiny", only=["random", "full-window"])
    assert [(o.worse, o.better) for o in found.orderings] == []
    by = {(row["cell"], row["part"], row["metric"]): row for row in rows(tmp_path / "out")}
    assert by["random", "", "mIoU"]["published"] == "0.1468" and by["random", "", "mIoU"]["table"] == "Table 2"
    assert by["random", "difficult", "mIoU"]["published"] == "0.1432"
    assert by["random", "difficult", "mIoU"]["table"] == "Table 3"
    assert by["full-window", "", "mIoU"]["published"] == "" and by["random", "simple", "mIoU"]["published"] == ""
    page = (tmp_path / "out" / "results.md").read_text(encoding="utf-8")
    assert page.startswith("| cell | of | protocol | mIoU | IoU@0.3 |") and "| random | difficult | moments |" in page


def test_annotations_of_several_targets_say_which_is_which(tmp_path: Path) -> None:
    plan = PLANS["what2when"]
    assert grouped(plan, ["thumos14=a", "thumos14=b", "activitynet1.2=c"]) == {
        "thumos14": [Path("a"), Path("b")], "activitynet1.2": [Path("c")],
    }  # fmt: skip
    assert grouped(PLANS["relocalization"], ["a=b"]) == {"": [Path("a=b")]}
    with pytest.raises(InputError, match="which target is this"):
        grouped(plan, ["thumos"])
    with pytest.raises(InputError, match="Did you mean 'thumos14'"):
        grouped(plan, ["thumos=a"])


@pytest.mark.parametrize("plan", PLANS.values(), ids=list(PLANS))
def test_a_plan_names_what_there_is(plan: Plan) -> None:
    names = [cell.name for cell in plan.cells]
    assert len(set(names)) == len(names)
    assert {name for pair in plan.orderings for name in pair} <= set(names)
    published = {(figure["paper"], figure["table"], figure["row"]) for figure in shipped.published()}
    for cell in plan.cells:
        asked = plan.manifests[cell.manifest]
        assert set(cell.places) <= published, cell
        assert cell.world in plan.worlds and (not asked.like or asked.like in plan.manifests)
    versions = {figure["version"] for figure in shipped.published() if figure["benchmark"] == plan.benchmark}
    assert {asked.version for asked in plan.manifests.values()} - {""} <= versions
    assert set(plan.corpus) <= {asked.group for asked in plan.manifests.values()}


def test_class_queries_share_a_training_and_are_scored_by_two_protocols(tmp_path: Path) -> None:
    """Cells that differ in their answers alone are not trained twice; a training that was cut off goes on."""
    out, only = tmp_path / "out", ["thumos14-mined", "thumos14-mined-proposals"]
    options = {"steps": 2, "clusters": 8, "latent": 8, "rounds": 1}

    def cut_off(text: str) -> None:
        if text.startswith("features-"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reproduce("what2when", out, size="tiny", only=only, options=options, say=cut_off)
    found = reproduce("what2when", out, size="tiny", only=only[1:], options=options)  # it asks for the other's weights
    assert [(o.worse, o.better) for o in found.orderings] == [("thumos14-mined", "thumos14-mined-proposals")]
    cells = out / "cells"
    assert (cells / "thumos14-mined" / "seed-0" / "best.safetensors").exists()
    assert not list((cells / "thumos14-mined-proposals").rglob("*.safetensors"))
    answers = [(cells / cell / "seed-0" / "predictions.jsonl").read_text(encoding="utf-8") for cell in only]
    heads = [json.loads(text.partition("\n")[0]) for text in answers]
    assert [head["method"]["options"]["proposals"] for head in heads] == [False, True]
    by = {(row["cell"], row["protocol"], row["metric"]): row for row in rows(out)}
    published = by["thumos14-mined-proposals", "wtalc", "mAP@0.5"]
    assert (published["published"], published["table"]) == ("0.155", "Table 1") and published["low"]
    assert by["thumos14-mined-proposals", "activitynet", "mAP@0.5"]["published"] == ""


def test_a_cell_that_was_killed_in_training_goes_on(tmp_path: Path) -> None:
    out, folder = tmp_path / "out", tmp_path / "out" / "cells" / "flp" / "seed-0"
    said: list[str] = []
    reproduce("activity-ibal", out, size="tiny", only=["flp"])
    before = (folder / "best.safetensors").read_bytes()
    (folder / "report.json").unlink()  # as if it had been killed just before its end
    page = json.loads((folder / "run.json").read_bytes())
    (folder / "run.json").write_text(json.dumps(page | {"status": "training"}))
    reproduce("activity-ibal", out, size="tiny", only=["flp"], say=said.append)
    assert said == ["flp, seed 0"] and (folder / "report.json").exists()
    assert (folder / "best.safetensors").read_bytes() == before


def test_what_a_killed_job_left_half_written_is_removed(again: Path) -> None:
    (again / ".features-full.h5.tmp-0123abcd").write_bytes(b"half")
    folder = again / "cells" / "random" / ".seed-0.tmp-0123abcd"
    folder.mkdir()
    (folder / ".predictions.jsonl.tmp-4567cdef").write_bytes(b"half")
    before = made(again)
    reproduce("relocalization", again, size="tiny", only=CELLS)
    assert not list(again.rglob(".*")) and made(again) == before


def test_tables_and_papers_choose_cells() -> None:
    def names(name: str, table: str | None, only: tuple[str, ...] = (), real: bool = False) -> list[str]:
        plan, paper = planned(name)
        return [cell.name for cell in chosen(PLANS[plan], paper, table, only, real)]

    assert names("eccv 2018", "Table 1") == ["random", "frame-level", "video-level", "sst", "cgbm"]
    assert names("AAAI2020", "3") == ["msa-weak", "msa-weak-alpha-1", "msa-weak-alpha-0.7", "msa-weak-alpha-0.5",
                                      "msa-weak-alpha-0"]  # fmt: skip
    assert set(names("relocalization", "2")) == {*names("ECCV 2018", "2"), *names("AAAI 2020", "2")}
    assert names("IJCAI 2019", "3") == [name for name in names("IJCAI 2019", "2") if "full" not in name]
    assert names("IJCAI 2019", "figure 4")[:2] == ["sail-1-layer", "sail-2-layers"]
    assert names("CVPR 2020", "Section 4.1") == ["thumos14-mined", "thumos14-mined-proposals", "thumos14-fixed-length"]
    assert {"sail", "random", "full-window"} <= set(names("activity-ibal", None, (), real=True))
    assert not [name for name in names("activity-ibal", None, (), real=True) if "-no-" in name]


def test_a_target_of_no_path_is_refused() -> None:
    with pytest.raises(InputError, match="which target is this"):
        grouped(PLANS["what2when"], ["thumos14="])

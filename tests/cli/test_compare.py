"""compare and leaderboard over reports with rows: what they say, what they refuse, and files that a paper can take."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from activity_bench import catalog
from activity_bench.data.reports import Asked, Report, read_report, write_report
from activity_bench.errors import InputError
from activity_bench.scoring import detection, moments
from activity_bench.scoring.intervals import of_means
from activity_bench.segments import Floats
from activity_bench.workflow.compare import compare
from activity_bench.workflow.rank import leaderboard

pytestmark = pytest.mark.quick

N = 300
VIDEO = np.arange(N) // 3


def ious(seed: int, shift: float = 0.0) -> Floats:
    """IoU that share what makes a sample hard, and have noise of their own."""
    hard = np.repeat(np.random.default_rng(99).random(N // 3), 3)
    own = np.random.default_rng(seed).normal(0, 0.1, N)
    return np.clip(hard + own + shift, 0, 1)


def save(path: Path, values: Floats, *, with_rows: bool = True, bounds: bool = True, **changes: Any) -> Path:
    """A report on made-up answers, its rows beside it."""
    plain: dict[str, Any] = {
        "manifest": Asked("relocalization", "test.1", "test", "sha256:00"), "method": {"name": path.stem, "seed": 0},
        "predictions": {"file": "p.jsonl", "sha256": path.stem}, "protocol": "moments", "scorer": {"rules": 1},
        "asked": N, "answered": N, "metrics": moments.evaluate(values),
        "intervals": moments.intervals(values, clusters=VIDEO) if bounds else {}, "created": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    rows = {"iou": values, "video": VIDEO} if with_rows else None
    write_report(path, Report(**{**plain, **changes}), rows)
    return path


def detections(path: Path, seed: int, hit: float, protocol: detection.DetectionProtocol) -> Path:
    """A report on 60 videos with three activities each, of four classes, of which a share is found."""
    rng = np.random.default_rng(50)
    n, none = 60, np.zeros(0)
    sample = np.repeat(np.arange(n), 3)
    label, start = rng.integers(0, 4, 3 * n), np.tile([0.0, 20.0, 40.0], n)
    truths = detection.Truths(n, 4, sample, label, start, start + 10, none.astype(np.int64), none, none)
    own = np.random.default_rng(seed)
    right = own.random(3 * n) < hit
    moved = np.where(right, start + own.normal(0, 1, 3 * n), start + 8)
    found = detection.Detections(sample, label, moved, moved + 10, own.random(3 * n) + right * 0.3)
    ranked = detection.rank(truths, found, protocol)
    rows = {
        "sample": ranked.sample, "label": ranked.label, "truth": ranked.truth, "counted": ranked.counted,
        "truth_sample": ranked.truths.sample, "truth_label": ranked.truths.label, "samples": np.array(n),
        "classes": np.array(4),
    }  # fmt: skip
    report = Report(
        manifest=Asked("detection", "test.1", "test", "sha256:11", "detection"), method={"name": path.stem},
        predictions={"file": "p", "sha256": path.stem}, protocol=f"{protocol.name} tiou=0.3,0.5", scorer={"rules": 1},
        asked=n, answered=n, metrics=detection.evaluate(ranked, protocol),
        intervals=detection.intervals(ranked, protocol),
    )  # fmt: skip
    write_report(path, report, rows)
    return path


def test_a_comparison_says_which_is_better_and_by_how_much(tmp_path: Path, invoke: Callable[..., Any]) -> None:
    a, b, c = (save(tmp_path / f"{name}.json", ious(seed, by)) for name, seed, by in (("a", 1, 0.0), ("b", 2, 0.05),
                                                                                     ("c", 1, 0.0)))  # fmt: skip
    told = invoke("compare", a, b, c, "--json", tmp_path / "found.json")
    found = json.loads((tmp_path / "found.json").read_bytes())
    assert [one["method"] for one in found["methods"]] == ["b", "c"]
    one = found["methods"][0]["differences"]["mIoU"]
    gap = ious(2, 0.05) - ious(1)
    assert one["difference"] == pytest.approx(gap.mean(), abs=1e-12)
    assert [one["low"], one["high"]] == pytest.approx(of_means(gap[:, None], VIDEO)[0], abs=1e-12)
    by_video = gap.reshape(-1, 3).mean(axis=1)
    assert one["smallest"] == pytest.approx(2.801585 * by_video.std(ddof=1) / 10, rel=1e-5)  # of 100 videos
    assert one["p"] < 0.01 and found["methods"][0]["holm"]["mIoU"] == 2 * one["p"]  # the smaller of two
    assert found["methods"][1]["holm"]["mIoU"] == 1
    assert re.search(r"^b is better than a: mIoU \+0\.0", told.err, re.MULTILINE)
    assert re.search(r"^c cannot be told from a by this set: .* would show in 80 %", told.err, re.MULTILINE)
    lines = [line.split("\t") for line in told.out.splitlines()]
    assert lines[0] == ["method", "metric", "baseline", "score", "difference", "low", "high", "p", "p (Holm)",
                        "can show"]  # fmt: skip
    assert len(lines) == 1 + 2 * len(moments.MOMENTS.scores)
    assert lines[1][:2] == ["b", "mIoU"] and lines[1][4].startswith("+0.0")
    told = invoke("compare", a, b, "--by", "IoU@0.7")
    assert "IoU@0.7 +" in told.err and told.out.splitlines()[1].split("\t")[1] == "IoU@0.7"


def test_the_same_comparison_has_the_same_bytes(tmp_path: Path) -> None:
    a, b = save(tmp_path / "a.json", ious(1)), save(tmp_path / "b.json", ious(2))
    pages = []
    for place, seed in enumerate((0, 0, 1)):
        compare([a, b], seed=seed, json=tmp_path / f"{place}.json")
        pages.append((tmp_path / f"{place}.json").read_bytes())
    assert pages[0] == pages[1] != pages[2]
    compare([a, b], json=tmp_path / "0.json")  # over an older comparison
    same = compare([a, a]).methods[0].differences["mIoU"]
    assert (same.difference, same.low, same.high, same.p, same.smallest) == (0, 0, 0, 1, 0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"manifest": Asked("relocalization", "test.1", "test", "sha256:other")}, r"manifest\.digest.*sha256:other"),
        ({"manifest": Asked("relocalization", "test.1", "val", "sha256:00")}, r"manifest\.split.*'val'.*test"),
        ({"protocol": "ibal"}, "protocol.*'ibal'.*moments"),
        ({"scorer": {"rules": 0}}, r"scorer\.rules.*0.*1, as in"),
    ],
)
def test_what_cannot_be_compared(
    tmp_path: Path, invoke: Callable[..., Any], changes: dict[str, Any], said: str
) -> None:
    a, b = save(tmp_path / "a.json", ious(1)), save(tmp_path / "b.json", ious(2), **changes)
    told = invoke("compare", a, b, code=2)
    assert re.search(rf"b\.json: {said}", told.err)


def _gone(path: Path) -> None:
    path.with_name("b.rows.npz").unlink()


def _others(path: Path) -> None:
    path.with_name("b.rows.npz").write_bytes(path.with_name("a.rows.npz").read_bytes())


def _none(path: Path) -> None:
    save(path, ious(2), with_rows=False)


def _other_scores(path: Path) -> None:
    save(path, ious(2), metrics=moments.evaluate(ious(3)))


def _other_order(path: Path) -> None:
    write_report(path, Report(**{f: getattr(REPORT[0], f) for f in REPORT[0].__struct_fields__}),
                 {"iou": ious(2), "video": VIDEO[::-1]})  # fmt: skip


REPORT: list[Report] = []


@pytest.mark.parametrize(
    ("harm", "said"),
    [(_gone, "no such file.*Score again with --json"), (_others, "not the rows that the report was made with"),
     (_none, "no rows are beside.*Score again with --json"), (_other_scores, "rows beside this report give another"),
     (_other_order, "another order of samples")],
)  # fmt: skip
def test_rows_that_do_not_prove_the_score(
    tmp_path: Path, invoke: Callable[..., Any], harm: Callable[[Path], None], said: str
) -> None:
    a, b = save(tmp_path / "a.json", ious(1)), save(tmp_path / "b.json", ious(2))
    REPORT[:] = [read_report(b)]
    harm(b)
    told = invoke("compare", a, b, code=2)
    assert re.search(said, told.err.replace("\n", " "))


def test_metrics_that_rank_come_from_rows_of_their_own(tmp_path: Path) -> None:
    """Average precision of a sample does not follow from the IoU of its best segment."""
    rules = moments.QVHIGHLIGHTS
    paths = []
    for name, seed in (("a", 1), ("b", 2)):
        precision = np.random.default_rng(seed).random((N, 10))
        values = moments.columns(ious(seed), rules, precision)
        rows = {"iou": ious(seed), "video": VIDEO, **{name: values[name] for name in rules.ranked}}
        path = save(tmp_path / f"{name}.json", ious(seed), with_rows=False, protocol=rules.name,
                    metrics=moments.evaluate(ious(seed), rules, precision))  # fmt: skip
        write_report(path, read_report(path), rows)
        paths.append(path)
    found = compare(paths).methods[0].differences
    assert list(found) == rules.scores
    assert found["mAP@0.75"].difference == pytest.approx(
        read_report(paths[1]).metrics["mAP@0.75"] - read_report(paths[0]).metrics["mAP@0.75"]
    )
    write_report(paths[0], read_report(paths[0]), {"iou": ious(1), "video": VIDEO})
    with pytest.raises(InputError, match="rows without mAP"):
        compare(paths)


def test_calls_that_are_wrong(tmp_path: Path, invoke: Callable[..., Any]) -> None:
    a, b = save(tmp_path / "a.json", ious(1)), save(tmp_path / "b.json", ious(2))
    assert "two or more" in invoke("compare", a, code=2).err
    assert "Did you mean 'mIoU'" in invoke("compare", a, b, "--by", "miou", code=2).err
    assert "not a comparison" in invoke("compare", a, b, "--json", b, code=2).err
    with pytest.raises(InputError, match="seed"):
        compare([a, b], seed=-1)
    assert "no such file" in invoke("compare", a, tmp_path / "c.json", code=2).err


def test_detections_are_compared_over_videos(tmp_path: Path) -> None:
    rules = replace(catalog.load("protocol", catalog.PROTOCOLS, "opentad"), thresholds=(0.3, 0.5))
    a, b, c = (detections(tmp_path / f"{name}.json", seed, hit, rules)
               for name, seed, hit in (("a", 1, 0.4), ("b", 2, 0.8), ("c", 3, 0.4)))  # fmt: skip
    found = compare([a, b, c])
    assert found.test == "bootstrap over videos"
    better, alike = (one.differences["mAP"] for one in found.methods)
    assert 0 < better.low < better.difference < better.high
    assert better.p == 2 / 1001 and found.methods[0].holm["mAP"] == 4 / 1001
    assert alike.low < 0 < alike.high and alike.p > 0.05
    page = json.loads(a.read_bytes())["metrics"]
    assert better.baseline == page["mAP"] and list(found.methods[0].differences) == ["mAP", "mAP@0.3", "mAP@0.5"]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_leaderboard_says_whom_the_data_cannot_tell_apart(tmp_path: Path, invoke: Callable[..., Any]) -> None:
    paths = [save(tmp_path / f"{name}.json", ious(seed, by))
             for name, seed, by in (("a", 1, 0.08), ("b", 2, 0.079), ("c", 3, 0.0))]  # fmt: skip
    told = invoke("leaderboard", *paths, "--csv", tmp_path / "t.csv")
    found = {row["method"]: (row["tied_with_best"], row["tied_by"]) for row in rows_of(tmp_path / "t.csv")}
    assert sorted(found.values()) == [("no", "paired"), ("yes", ""), ("yes", "paired")]
    assert found["c"] == ("no", "paired")
    assert sum(line.split("\t")[0].endswith(" =") for line in told.out.splitlines()) == 1
    assert "not told apart from the best" in told.err
    for path in paths:  # without rows: the intervals, as if independent, tell less
        path.with_name(f"{path.stem}.rows.npz").unlink()
    rows = leaderboard(paths).rows
    assert [(row["tied_with_best"], row["tied_by"]) for row in rows] == [("yes", None), ("yes", "intervals"),
                                                                        ("yes", "intervals")]  # fmt: skip
    far = save(tmp_path / "far.json", ious(3, -0.5), with_rows=False)
    assert leaderboard([paths[0], far]).rows[1]["tied_with_best"] == "no"
    unknown = save(tmp_path / "unknown.json", ious(3), with_rows=False, bounds=False)
    assert leaderboard([paths[0], unknown]).rows[1]["tied_with_best"] is None


def test_only_members_of_a_group_are_tied(tmp_path: Path) -> None:
    a = save(tmp_path / "a.json", ious(1))
    other = save(tmp_path / "b.json", ious(1), manifest=Asked("relocalization", "test.1", "test", "sha256:01"))
    partial = save(tmp_path / "c.json", ious(1), manifest=Asked("relocalization", "test.1", "test", "sha256:00",
                                                                partial=True))  # fmt: skip
    rows = {row["method"]: row for row in leaderboard([a, other, partial]).rows}
    assert [rows[name]["rank"] for name in "abc"] == [1, 1, None]
    assert [rows[name]["tied_with_best"] for name in "abc"] == ["yes", "yes", None]


def test_runs_of_several_seeds_are_one_row(tmp_path: Path, invoke: Callable[..., Any]) -> None:
    same = {"name": "m", "options": {"layers": 2}}
    paths = [save(tmp_path / f"{seed}.json", ious(seed), method={**same, "seed": seed}) for seed in (1, 2, 3)]
    paths.append(save(tmp_path / "other.json", ious(4), method={"name": "m", "options": {"layers": 3}, "seed": 1}))
    paths += [save(tmp_path / f"nameless{seed}.json", ious(seed), method={}) for seed in (5, 6)]
    invoke("leaderboard", *paths, "--runs", "--csv", tmp_path / "t.csv", "--markdown", tmp_path / "t.md")
    rows = rows_of(tmp_path / "t.csv")
    assert sorted(row["runs"] for row in rows) == ["1", "1", "1", "3"]
    merged = next(row for row in rows if row["runs"] == "3")
    scores = [moments.evaluate(ious(seed))["mIoU"] for seed in (1, 2, 3)]
    assert float(merged["mIoU"]) == pytest.approx(np.mean(scores), abs=1e-15)
    assert float(merged["mIoU_sd"]) == pytest.approx(np.std(scores, ddof=1), abs=1e-15)
    together = np.mean([ious(seed) for seed in (1, 2, 3)], axis=0)
    bounds = [float(merged["mIoU_low"]), float(merged["mIoU_high"])]
    assert bounds == pytest.approx(of_means(together[:, None], VIDEO)[0], abs=1e-12)
    assert {row["mIoU_sd"] for row in rows if row["runs"] == "1"} == {""}
    assert " ± " in (tmp_path / "t.md").read_text(encoding="utf-8")
    assert len(leaderboard(paths).rows) == 6 and "runs" not in leaderboard(paths).columns
    for path in paths:
        path.with_name(f"{path.stem}.rows.npz").unlink()
    merged = next(row for row in leaderboard(paths, runs=True).rows if row["runs"] == 3)
    assert merged["mIoU_low"] is None and merged["mIoU_sd"] is not None


NASTY = ["=cmd()", "a|b_c", r"50 % & \more{}$x^2$ #1 ~", "<b>*x*</b> [l](u) `c`", "line\nbreak \x1b[2J"]


def test_markdown_and_latex_hold_any_name(tmp_path: Path, invoke: Callable[..., Any]) -> None:
    paths = [save(tmp_path / f"{i}.json", ious(i), method={"name": name}) for i, name in enumerate(NASTY)]
    told = invoke("leaderboard", *paths, "--markdown", tmp_path / "t.md", "--latex", tmp_path / "t.tex")
    assert "written to" in told.err
    lines = (tmp_path / "t.md").read_text(encoding="utf-8").splitlines()
    cells = [re.split(r"(?<!\\)\|", line) for line in lines if line.startswith("|")]
    assert len(cells) == 2 + len(NASTY) and len({len(row) for row in cells}) == 1
    assert set(cells[1][1:-1]) == {" --- "}
    named = {re.sub(r"\\(.)", r"\1", row[2].strip()) for row in cells[2:]}
    assert named == {name if name.isprintable() else repr(name)[1:-1] for name in NASTY} - {"=cmd()"} | {"'=cmd()"}
    for row in cells[2:]:
        assert not re.search(r"(?<!\\)[<>*`_\[]", "".join(row[:3]))
    text = (tmp_path / "t.tex").read_text(encoding="utf-8")
    body = text[text.index("\\hline\nrank") : text.index("\\end{tabular}")]
    rows = [line for line in body.splitlines() if line.endswith("\\\\")]
    assert len(rows) == 1 + len(NASTY)
    columns = text.split("\\begin{tabular}{")[1].index("}")
    assert all(len(re.split(r"(?<!\\)&", row)) == columns for row in rows)
    commands = set(re.findall(r"\\[A-Za-z]+", "".join(rows)))
    assert commands <= {"\\textbackslash", "\\textasciitilde", "\\textasciicircum", "\\textless", "\\textgreater",
                        "\\textbar"}  # fmt: skip
    assert not re.search(r"(?<!\\)[#$%_]", "".join(rows))
    assert r"50 \% \& \textbackslash{}more\{\}\$x\textasciicircum{}2\$ \#1 \textasciitilde{}" in text


@pytest.mark.parametrize("option", ["--csv", "--markdown", "--latex"])
def test_no_file_of_others_is_replaced(tmp_path: Path, invoke: Callable[..., Any], option: str) -> None:
    a = save(tmp_path / "a.json", ious(1))
    invoke("leaderboard", a, option, tmp_path / "t")
    first = (tmp_path / "t").read_bytes()
    invoke("leaderboard", a, option, tmp_path / "t")
    assert (tmp_path / "t").read_bytes() == first
    (tmp_path / "mine").write_text("# my notes\n")
    assert "not such a table" in invoke("leaderboard", a, option, tmp_path / "mine", code=2).err
    assert (tmp_path / "mine").read_text() == "# my notes\n"


def test_a_leaderboard_believes_rows_and_not_what_somebody_wrote(tmp_path: Path) -> None:
    a, b = save(tmp_path / "a.json", ious(1)), save(tmp_path / "b.json", ious(2))
    page = json.loads(b.read_bytes())
    b.write_text(json.dumps({**page, "metrics": {**page["metrics"], "mIoU": 0.99}, "intervals": {}}))
    with pytest.raises(InputError, match="give another score"):
        leaderboard([a, b])
    for changes in ({"rows": {"file": "x" * 5000, "sha256": ""}}, {"metrics": {**page["metrics"], "mine": 0.9}}):
        b.write_text(json.dumps({**page, **changes}))
        first = json.loads(a.read_bytes())
        a.write_text(json.dumps({**first, "metrics": {**first["metrics"], "mine": 0.8}}))
        rows = leaderboard([a, b], by="mine" if "metrics" in changes else None).rows
        assert [row["rank"] for row in rows] == [1, 2] and rows[1]["tied_by"] != "paired"


def test_published_figures_stand_beside_their_own_evaluation(tmp_path: Path, invoke: Callable[..., Any]) -> None:
    """CVPR 2020 scored its detections as W-TALC does: nothing else that is called mAP is comparable."""
    asked = Asked("what2when", "thumos14@213-weak.1", "test", "sha256:00", "detection")
    paths = []
    for protocol in ("wtalc", "wtalc ties=official tiou=0.3,0.7", "activitynet", "thumos-evalkit"):
        metrics = dict.fromkeys(("mAP", "mAP@0.3", "mAP@0.7" if "0.7" in protocol else "mAP@0.5"), 0.25)
        paths.append(save(tmp_path / f"{len(paths)}.json", ious(1), with_rows=False, bounds=False, manifest=asked,
                          protocol=protocol, metrics=metrics))  # fmt: skip

    def papers(*of: int) -> dict[str, Any]:
        rows = leaderboard([paths[place] for place in of]).rows
        return {str(row["method"]): row for row in rows if row["source"] != "measured"}

    assert papers(2) == papers(3) == {}
    assert {"wtalc"} == {row["protocol"] for row in papers(0, 1, 2).values()}
    assert any(row["mAP@0.5"] for row in papers(0).values()) and any(row["mAP@0.7"] for row in papers(1).values())
    assert not any("Zhao" in name for name in papers(0, 1))  # cited from papers with evaluations of their own
    assert "protocol" in invoke("leaderboard", *paths).out.splitlines()[0].split("\t")  # four kinds of mAP

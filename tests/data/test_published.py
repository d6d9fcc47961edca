"""The papers' tables: every row is there, every figure has a known name and a possible value, means are means."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from activity_bench import catalog
from activity_bench.data.shipped import digests, folder, published, stated

pytestmark = pytest.mark.quick

COLUMNS = "paper,table,row,benchmark,version,split,part,protocol,metric,value,status,date"
MOMENTS = {"mIoU", "IoU@0.3", "IoU@0.5", "IoU@0.7", "top1-mAP", *(f"top1-mAP@0.{t}" for t in range(5, 10))}
DETECTIONS = {"mAP", *(f"mAP@{t / 20}" for t in range(2, 20))}

# paper, table -> rows as printed, cells with a number (counted on the page)
TABLES = {
    ("IJCAI 2019", "Table 2"): (5, 20), ("IJCAI 2019", "Table 3"): (5, 20), ("IJCAI 2019", "Table 4"): (5, 20),
    ("ECCV 2018", "Table 1"): (5, 30), ("ECCV 2018", "Table 2"): (4, 24),
    ("AAAI 2020", "Table 2"): (6, 36), ("AAAI 2020", "Table 3"): (5, 30), ("AAAI 2020", "Table 4"): (6, 36),
    ("CVPR 2020", "Section 4.1"): (2, 2), ("CVPR 2020", "Table 1"): (3, 36), ("CVPR 2020", "Table 2"): (6, 30),
    ("CVPR 2020", "Section 4.3"): (1, 1), ("CVPR 2020", "Table 3"): (10, 37), ("CVPR 2020", "Table 4"): (5, 14),
    ("CVPR 2020", "Table 5"): (3, 11),
}  # fmt: skip

# As the papers have them: "Stat. prior" prints .023 at 0.7 and a mean that .08 there would give, and the last row of
# AAAI's Table 3 prints .190 over shares whose mean is .1914.
MISPRINTS = {("AAAI 2020", "Table 4", "Stat. prior"), ("AAAI 2020", "Table 3", "alpha = 0, weak")}


def test_every_table_is_there_row_by_row() -> None:
    cells = Counter((figure["paper"], figure["table"]) for figure in published())
    rows = defaultdict(set)
    for figure in published():
        zero_shot = figure["version"] if figure["table"] == "Table 2" else ""  # its rows stand once for each data set
        rows[figure["paper"], figure["table"]].add((figure["row"], zero_shot))
    assert {where: (len(rows[where]), cells[where]) for where in cells} == TABLES


# what else they print, one number a row (counted on the page), and their figures
STATED = {
    ("IJCAI 2019", "Table 1"): 16, ("IJCAI 2019", "Section 5"): 5, ("ECCV 2018", "Section 4"): 5,
    ("AAAI 2020", "Table 1"): 20, ("AAAI 2020", "Dataset"): 7, ("AAAI 2020", "Competing Methods"): 2,
    ("CVPR 2020", "Section 4"): 13, ("CVPR 2020", "Section 4.3"): 3,
}  # fmt: skip
FIGURES = {"IJCAI 2019": 5, "ECCV 2018": 5, "AAAI 2020": 4, "CVPR 2020": 8}


def test_what_they_state_besides_is_there() -> None:
    numbers = [row for row in stated() if row["value"]]
    assert Counter((row["paper"], row["place"]) for row in numbers) == STATED
    figures = {(row["paper"], row["place"]) for row in stated() if not row["value"]}
    assert figures == {(paper, f"Figure {n + 1}") for paper, count in FIGURES.items() for n in range(count)}
    keys = [(row["paper"], row["place"], row["row"], row["quantity"]) for row in stated()]
    assert len(set(keys)) == len(keys)
    for row in stated():
        data = row["status"] == "data"
        assert bool(row["measured"]) == data and bool(row["command"]) == bool(row["value"]), row
        assert row["status"] in ("data", "setting") if row["value"] else row["status"] in ("curve", "illustration"), row


def test_every_table_of_a_paper_is_in_one_place_or_the_other() -> None:
    tables = {where for where in [*TABLES, *STATED] if where[1].startswith("Table")}
    counts = Counter(paper for paper, _ in tables)
    assert counts == {"IJCAI 2019": 4, "ECCV 2018": 2, "AAAI 2020": 4, "CVPR 2020": 5}
    assert {where: [f"Table {n + 1}" for n in range(count)] for where, count in counts.items()} == {
        paper: sorted(name for where, name in tables if where == paper) for paper in counts
    }


def test_every_figure_is_sound() -> None:
    versions = {(row["benchmark"], row["version"]) for row in digests()}
    for figure in published():
        assert ",".join(figure) == COLUMNS
        assert figure["metric"] in (DETECTIONS if figure["benchmark"] == "what2when" else MOMENTS), figure
        assert 0 < float(figure["value"]) < 1
        assert len(figure["value"].partition(".")[2]) in (3, 4), figure  # a tenth or a hundredth of a percent
        assert figure["status"] in ("published", "cited")
        assert (figure["benchmark"], figure["version"]) in versions, figure
        assert figure["split"] == "test" and figure["part"] in ("", "difficult")
    keys = Counter(tuple(figure[key] for key in COLUMNS.split(",")[:9]) for figure in published())
    assert set(keys.values()) == {1}


def test_every_figure_names_the_evaluation_that_made_it() -> None:
    """CVPR 2020 scored snippets as W-TALC (Paul et al.) does; what else it cites was scored by whom it cites."""
    for figure in published():
        rules = [catalog.load("protocol", catalog.PROTOCOLS, name) for name in figure["protocol"].split()]
        if figure["benchmark"] == "what2when":
            theirs = figure["status"] == "published" or "[28]" in figure["row"]
            assert figure["protocol"] == ("wtalc" if theirs else ""), figure
        else:
            assert rules and all(figure["metric"] in row.scores for row in rules), figure


def test_a_printed_mean_is_the_mean() -> None:
    """Means are printed to a tenth of a percent; a typing error in any cell of a row would show here."""
    rows: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for figure in published():
        where = tuple(figure[key] for key in ("paper", "table", "row"))
        if figure["metric"].startswith("top1-mAP"):
            rows[where][figure["metric"]] = float(figure["value"])
    assert len(rows) == 26 and {len(row) for row in rows.values()} == {6}
    off = {where: row["top1-mAP"] - sum(v for name, v in row.items() if "@" in name) / 5 for where, row in rows.items()}
    assert {where for where, by in off.items() if abs(by) > 0.0011} == MISPRINTS


def test_scores_fall_as_thresholds_rise() -> None:
    rows: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
    for figure in published():
        name, _, threshold = figure["metric"].partition("@")
        if threshold:
            where = (*(figure[key] for key in ("paper", "table", "row", "version", "part")), name)
            rows[where].append((float(threshold), float(figure["value"])))
    for where, row in rows.items():
        values = [value for _, value in sorted(row)]
        assert values == sorted(values, reverse=True), where


def test_one_run_has_one_score_wherever_it_is_printed() -> None:
    """Rows that papers take over from one another, and from one table to the next."""
    cells = {(f["paper"], f["table"], f["row"], f["part"], f["metric"], f["version"]): f["value"] for f in published()}

    def row(paper: str, table: str, name: str, version: str) -> dict[str, str]:
        return {
            key[4]: value for key, value in cells.items() if (*key[:4], key[5]) == (paper, table, name, "", version)
        }

    released, weak = "released.1", "weak.1"
    chance = row("ECCV 2018", "Table 1", "Chance", released)
    ours = row("ECCV 2018", "Table 1", "Ours", released)
    assert len(chance) == 6
    assert chance == row("AAAI 2020", "Table 2", "Random", weak)
    assert ours == row("ECCV 2018", "Table 2", "Ours", released) == row("AAAI 2020", "Table 4", "CGBM", released)
    for eccv, aaai in (("Video-level baseline", "VL Baseline"), ("SST", "SST")):
        assert row("ECCV 2018", "Table 1", eccv, released) == row("AAAI 2020", "Table 4", aaai, released)
    assert row("ECCV 2018", "Table 1", "Frame-level baseline", released) == row(
        "AAAI 2020", "Table 2", "FL Baseline", weak
    )
    full = row("AAAI 2020", "Table 2", "full model, weak", weak)
    assert len(full) == 6 and full == row("AAAI 2020", "Table 3", "alpha = 0.3, weak", weak)
    sail = row("IJCAI 2019", "Table 2", "SAIL", "default.1")
    assert len(sail) == 4 and sail == row("IJCAI 2019", "Table 4", "full", "default.1")
    proposals = row("CVPR 2020", "Table 1", "Ours (+ Proposals)", "thumos14@213.1")
    assert row("CVPR 2020", "Section 4.1", "ActionBytes", "thumos14@213.1") == {"mAP@0.5": proposals["mAP@0.5"]}


def test_digests_are_digests() -> None:
    assert all(row["digest"].startswith("sha256:") and len(row["digest"]) == 71 for row in digests())
    assert {path.name for path in (folder() / "published").iterdir()} == {
        "aaai2020-relocalization.csv", "cvpr2020-what2when.csv", "eccv2018-relocalization.csv",
        "ijcai2019-activity-ibal.csv",
    }  # fmt: skip

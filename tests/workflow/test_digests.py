"""Every digest that the package lists is that of what it builds: the demo's, and those of the real annotations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from activity_bench.data import shipped
from activity_bench.data.manifest import Manifest
from activity_bench.simulation.corpus import files
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.inspect import standing

V13, V12 = "activitynet/activity_net.v1-3.min.json", "activitynet/activity_net.v1-2.min.json"
THUMOS, MULTI = "thumos14/annotations_test", "multithumos/multithumos.json"
COUNTS = {"frame_counts": "relocalization/length.json", "class_order": "relocalization/perm.npy"}
KINETICS = {"source": "kinetics/kinetics-400_val.csv"}

# title -> benchmark, annotations, protocol, options, tables
RECIPES: dict[str, tuple[str, str, str | None, Mapping[str, Any], Mapping[str, str]]] = {
    "ActivityNet 1.3": ("relocalization", V13, None, {}, {}),
    "the released samples, crops of our own": ("relocalization", V13, "released", {}, COUNTS),
    "the released samples, training and validation crops as released": (
        "relocalization", V13, "released", {}, {**COUNTS, "crop_order": "relocalization"},
    ),
    "weak, on the released samples": ("relocalization", V13, "weak", {}, COUNTS),
    "ActivityNet 1.3, default limits": ("activity-ibal", V13, None, {}, {}),
    "ActivityNet 1.3, difficult queries from all splits": (
        "activity-ibal", V13, None, {"difficult_from": "all"}, {},
    ),
    "Kinetics-400 validation to THUMOS14": ("what2when", THUMOS, None, {"target": "thumos14"}, KINETICS),
    "Kinetics-400 validation to THUMOS14, zero-shot": (
        "what2when", THUMOS, None, {"target": "thumos14", "zero_shot": True}, KINETICS,
    ),
    "Kinetics-400 validation to MultiTHUMOS": ("what2when", MULTI, None, {"target": "multithumos"}, KINETICS),
    "Kinetics-400 validation to MultiTHUMOS, zero-shot": (
        "what2when", MULTI, None, {"target": "multithumos", "zero_shot": True}, KINETICS,
    ),
    "Kinetics-400 validation to ActivityNet 1.2": ("what2when", V12, None, {"target": "activitynet1.2"}, KINETICS),
    "Kinetics-400 validation to ActivityNet 1.2, zero-shot": (
        "what2when", V12, None, {"target": "activitynet1.2", "zero_shot": True}, KINETICS,
    ),
    "THUMOS14, weak": ("what2when", "thumos14", "weak", {"target": "thumos14"}, {}),
    "MultiTHUMOS, weak": ("what2when", MULTI, "weak", {"target": "multithumos"}, {}),
    "ActivityNet 1.2, weak": ("what2when", V12, "weak", {"target": "activitynet1.2"}, {}),
    "ActivityNet 1.3, both annotated subsets": ("detection", V13, None, {}, {}),
    "THUMOS14, test": ("detection", THUMOS, None, {}, {}),
}  # fmt: skip


def build(title: str, data: Path, out: Path) -> Manifest:
    name, annotations, protocol, options, tables = RECIPES[title]
    return build_dataset(
        name, [data / annotations], out, protocol=protocol, options=options,
        tables={table: data / file for table, file in tables.items()},
    )  # fmt: skip


def row(title: str) -> dict[str, str]:
    (found,) = [row for row in shipped.digests() if row["title"] == title]
    return found


@pytest.mark.quick
def test_the_demo_is_the_official_one(tmp_path: Path) -> None:
    (tmp_path / "activitynet.json").write_bytes(files()["activitynet.json"])
    made = build_dataset("relocalization", [tmp_path / "activitynet.json"], tmp_path / "m")
    assert standing(made) == "This is the official one: the demo's (made-up corpus of seed 0)."
    other = build_dataset("relocalization", [tmp_path / "activitynet.json"], tmp_path / "n", options={"seed": 1})
    assert standing(other).startswith("Not an official one")


@pytest.mark.check
@pytest.mark.real
@pytest.mark.parametrize("title", RECIPES)
def test_an_official_digest(title: str, real_data: Path, tmp_path: Path) -> None:
    made, listed = build(title, real_data, tmp_path / "m"), row(title)
    assert (made.name, made.version, made.digest) == (listed["benchmark"], listed["version"], listed["digest"])
    assert sum(split.samples for split in made.splits.values()) == int(listed["samples"])
    assert standing(made) == f"This is the official one: {title}."


@pytest.mark.quick
def test_every_listed_digest_has_a_recipe() -> None:
    titles = [row["title"] for row in shipped.digests()]
    assert len(set(titles)) == len(titles)
    assert set(titles) == {*RECIPES, "the demo's (made-up corpus of seed 0)"}

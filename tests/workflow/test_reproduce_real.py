"""reproduce on features that are given: a folder of their own, refused where they do not fit, never mixed."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from activity_bench.data.features import open_features, write_store
from activity_bench.errors import InputError
from activity_bench.simulation.corpus import files
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.papers import FEATURES, NEEDS, NOT_RUN, numbers
from activity_bench.workflow.reproduce import reproduce
from activity_bench.workflow.simulate import simulate_features

pytestmark = pytest.mark.quick

CELLS = ("random", "flp")


@pytest.fixture(scope="module")
def annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("given") / "activity_net.json"
    path.write_bytes(files()["activitynet.json"])
    return path


@pytest.fixture(scope="module")
def features(annotations: Path) -> Path:
    """A store that says that it was extracted, with rows and images of all videos."""
    manifest, path = annotations.parent / "manifest", annotations.parent / "features.h5"
    build_dataset("activity-ibal", [annotations], manifest)
    simulate_features(manifest, path, options={"dim": 6, "stride": 8, "region_dim": 5, "global_dim": 4})
    with h5py.File(path, "r+") as file:
        file.attrs["backbone"] = "c3d-fc7"
    return path


@pytest.fixture(scope="module")
def done(annotations: Path, features: Path) -> Path:
    """A finished job of two cells, which no test changes."""
    out = annotations.parent / "out"
    reproduce("IJCAI 2019", out, size="tiny", annotations=[annotations], features=[features], table="2", only=CELLS)
    return out


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_cells_run_on_what_is_given(done: Path, features: Path) -> None:
    digest = open_features(features).digest
    assert {row["source"] for row in rows(done)} == {"real"}
    assert {(row["cell"], row["features"]) for row in rows(done)} == {("random", ""), ("flp", digest)}
    run = json.loads((done / "cells" / "flp" / "seed-0" / "run.json").read_bytes())
    assert (run["features"]["digest"], run["features"]["dim"]) == (digest, 6)
    job = json.loads((done / "job.json").read_bytes())
    assert (job["features"], job["world"]) == ({"": digest}, {})
    assert not list(done.glob("features-*")) and not (done / "corpus").exists()
    page = (done / "results.md").read_text(encoding="utf-8")
    assert "simulated" not in page and digest in page


def test_a_finished_cell_is_not_run_again(done: Path, annotations: Path, features: Path, tmp_path: Path) -> None:
    out, said = shutil.copytree(done, tmp_path / "out"), list[str]()
    reproduce("activity-ibal", out, size="tiny", annotations=[annotations], features=[features], only=CELLS,
              say=said.append)  # fmt: skip
    assert said == [] and (out / "results.csv").read_bytes() == (done / "results.csv").read_bytes()


def test_simulated_and_real_never_share_a_folder(done: Path, annotations: Path) -> None:
    before = (done / "job.json").read_bytes()
    with pytest.raises(InputError, match="holds another reproduction"):
        reproduce("activity-ibal", done, size="tiny", annotations=[annotations], only=["random"])
    assert (done / "job.json").read_bytes() == before


def test_simulated_features_are_none_that_may_be_given(annotations: Path, features: Path, tmp_path: Path) -> None:
    made = replace(open_features(features).attributes, backbone="simulated", dim=1)
    write_store(tmp_path / "made.h5", made, [("v", np.ones((2, 1), np.float32))])
    with pytest.raises(InputError, match=r"made\.h5: backbone: these features are simulated"):
        reproduce("activity-ibal", tmp_path / "out", size="tiny", annotations=[annotations],
                  features=[tmp_path / "made.h5"], only=["flp"])  # fmt: skip
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("lack", ["videos", "images"])
def test_what_does_not_fit_is_refused_before_the_first_cell(
    lack: str, annotations: Path, features: Path, tmp_path: Path
) -> None:
    """The first cell needs no features; it is not run either."""
    store = open_features(features)
    kept = store.ids()[10 * (lack == "videos") :]
    write_store(tmp_path / "few.h5", store.attributes, ((video, store.read(video)) for video in kept))
    with pytest.raises(InputError, match=f"the features lack .* {lack} that are asked"):
        reproduce("activity-ibal", tmp_path / "out", size="tiny", annotations=[annotations],
                  features=[tmp_path / "few.h5"], only=CELLS)  # fmt: skip
    assert not (tmp_path / "out" / "cells").exists()


def test_a_method_without_training_is_looked_at_too(tmp_path: Path, annotations: Path, features: Path) -> None:
    """What frame-level lacks is said before the cell of chance; the general protocol stands in for the released."""
    store = open_features(features)
    write_store(tmp_path / "few.h5", store.attributes, ((video, store.read(video)) for video in store.ids()[:3]))
    with pytest.raises(InputError, match=r"few\.h5: the features lack .* videos"):
        reproduce("relocalization", tmp_path / "out", size="tiny", annotations=[annotations],
                  features=[tmp_path / "few.h5"], only=["random", "frame-level"],
                  tables=_tables(store, tmp_path))  # fmt: skip
    assert not (tmp_path / "out" / "cells").exists()


def _tables(store: Any, folder: Path) -> dict[str, Path]:
    """The tables that the released protocol reads, of the made-up corpus."""
    database = json.loads(files()["activitynet.json"])["database"]
    counts = {name: {"n_frames": round(30 * video["duration"]), "n_feat": max(1, round(30 * video["duration"]) // 16)}
              for name, video in database.items()}  # fmt: skip
    labels = {one["label"] for video in database.values() for one in video["annotations"]}
    (folder / "length.json").write_text(json.dumps(counts))
    np.save(folder / "perm.npy", np.arange(len(labels)))
    return {"frame_counts": folder / "length.json", "class_order": folder / "perm.npy"}


def test_the_list_says_what_was_measured_on_real_features(done: Path) -> None:
    found = {(one.place, one.row, one.quantity): one for one in numbers("IJCAI 2019", done)}
    flp = found["Table 2", "FLP", "mIoU"]
    (row,) = [r for r in rows(done) if (r["cell"], r["part"], r["metric"]) == ("flp", "", "mIoU")]
    assert (flp.status, flp.ours, flp.features) == (FEATURES, float(row["score"]), row["features"])
    assert (flp.low, flp.high) == (float(row["low"]), float(row["high"]))
    assert found["Table 3", "FLP", "mIoU"].status == FEATURES
    assert found["Table 2", "SAIL", "mIoU"].status == NOT_RUN
    assert found["Table 2", "Random", "mIoU"].status == "measured on real annotations"


def test_cells_of_a_target_without_features_are_not_run(tmp_path: Path, features: Path, annotations: Path) -> None:
    (tmp_path / "words.npz").write_bytes(b"not read, as no cell is run")
    said: list[str] = []
    found = reproduce(
        "cvpr2020", tmp_path / "out", size="tiny", features=[f"thumos14={features}"], words=str(tmp_path / "words.npz"),
        annotations=[f"thumos14={annotations}", f"multithumos={annotations}"],
        only=["multithumos-baseline", "activitynet1.2-baseline"], say=said.append,
    )  # fmt: skip
    assert found.outcomes == [] and not (tmp_path / "out" / "cells").exists()
    assert said == ["multithumos-baseline: not run, no features of multithumos",
                    "activitynet1.2-baseline: not run, no annotations of activitynet1.2"]  # fmt: skip
    status = {one.of: one.status for one in numbers("CVPR 2020", tmp_path / "out") if one.place == "Table 1"}
    assert status == {"thumos14@213.1": NOT_RUN, "multithumos@213.1": NEEDS, "activitynet1.2@2383.1": NEEDS}


def test_the_command(invoke: Callable[..., Any], annotations: Path, features: Path, tmp_path: Path) -> None:
    given = ["--annotations", annotations, "--features", features, "--size", "tiny"]
    told = invoke("reproduce", "activity-ibal", *given, "--out", tmp_path / "out", "--only", "random")
    assert told.out.startswith("cell\t") and "Features are yours" in told.err and "simulated" not in told.err
    said = invoke("reproduce", "activity-ibal", "--out", tmp_path / "b", "--features", tmp_path / "no.h5",
                  "--annotations", annotations, code=2).err  # fmt: skip
    assert "no.h5: no such file" in said and not (tmp_path / "b").exists()

"""Features from and to other people, looked at, packed and verified: what is wrong is refused by name."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from activity_bench.cli import main
from activity_bench.data.features import Attributes, FeatureStore, PartsWriter, Timing, open_features, write_store
from activity_bench.data.features.images import Image, add_images
from activity_bench.errors import InputError
from activity_bench.types import Query
from activity_bench.workflow.inspect import inspect
from activity_bench.workflow.run import run_method
from activity_bench.workflow.stores import export_features, import_features, timing_of
from activity_bench.workflow.survey import inspect_features
from activity_bench.workflow.verify import pack_features, verify
from tests import tiny

pytestmark = pytest.mark.quick

MADE = Attributes("c3d", "0" * 64, "pyav", "14.0", 30.0, 16, 16, 0, "float32", "fc7", "none", 6)
TIMING = MADE.timing
SECONDS = {"-a_b": 40.0, "Cd": 95.0, "é f": 61.5, "x.y": 120.0}


def rows(video: str, timing: Timing = TIMING) -> NDArray[np.float32]:
    return np.random.default_rng(len(video)).standard_normal((timing.rows_for(SECONDS[video]), 6)).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return write_store(tmp_path / "f.h5", MADE, ((video, rows(video)) for video in SECONDS))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file a video, under ActivityNet's names."""
    made = tmp_path / "npy"
    made.mkdir()
    for video in SECONDS:
        np.save(made / f"v_{video}.npy", rows(video))
    return made


@pytest.fixture
def durations(tmp_path: Path) -> Path:
    path = tmp_path / "durations.json"
    path.write_text(json.dumps({video: {"duration": seconds} for video, seconds in SECONDS.items()}))
    return path


def asking(folder: Path, videos: dict[str, float], image: str = "Cd") -> Path:
    """A manifest that searches these videos as far as they are said to last, and asks with an image."""
    samples = [
        replace(tiny.in_seconds(f"test/{i}", (0.0, end), (1.0, 5.0), label="Diving"),
                video=replace(tiny.TEST[2].video, id=video, start=0.0, end=end),
                query=Query("image", video=image, time=1.5))
        for i, (video, end) in enumerate(videos.items())
    ]  # fmt: skip
    tiny.write(folder, train=(), test=samples)
    return folder


# ---- import ---------------------------------------------------------------------------------------------------------


def csv(path: Path, array: NDArray[np.float32]) -> None:
    path.write_text("\n".join(",".join(map(str, row)) for row in array))


LAYOUTS: dict[str, Callable[[Path, NDArray[np.float32]], object]] = {
    "npy": lambda path, array: np.save(path.with_name(path.name + ".npy"), array),
    "npz of OpenTAD": lambda path, array: np.savez(path.with_name(path.name + ".npz"), feats=array),
    "npz of lighthouse": lambda path, array: np.savez_compressed(path.with_name(path.name + ".npz"), features=array),
    "csv": lambda path, array: csv(path.with_name(path.name + ".csv"), array),
    "npy of float64": lambda path, array: np.save(path.with_name(path.name + ".npy"), array.astype(np.float64)),
}


@pytest.mark.parametrize("prefix", ["", "v_"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_becomes_the_same_store(
    tmp_path: Path, store: Path, durations: Path, layout: str, prefix: str
) -> None:
    made = tmp_path / "theirs"
    made.mkdir()
    for video in SECONDS:
        LAYOUTS[layout](made / (prefix + video), rows(video))
    known = {"backbone": "c3d", "weights_sha256": "0" * 64, "decoder": "pyav", "decoder_version": "14.0",
             "layer": "fc7", "projection": "none"}  # fmt: skip
    done = import_features(made, tmp_path / "i.h5", timing=TIMING, durations=durations, known=known)
    assert (done.videos, done.unchecked, done.left_out) == (4, 0, {})
    assert done.digest == FeatureStore(store).digest
    import_features(made, tmp_path / "again.h5", timing=TIMING, known=known)
    assert (tmp_path / "i.h5").read_bytes() == (tmp_path / "again.h5").read_bytes()


def test_the_official_file_becomes_a_store(tmp_path: Path, durations: Path) -> None:
    with h5py.File(tmp_path / "c3d.hdf5", "w") as file:
        for video in SECONDS:
            file[f"v_{video}/c3d_features"] = rows(video)
    import_features(tmp_path / "c3d.hdf5", tmp_path / "i.h5", timing=TIMING, durations=durations)
    features = FeatureStore(tmp_path / "i.h5")
    assert (features.ids(), features.timing, features.attributes.backbone) == (sorted(SECONDS), TIMING, "unknown")
    for video in SECONDS:
        np.testing.assert_array_equal(features.read(video), rows(video))


def test_a_wrong_timing_is_refused_with_both_numbers_and_what_would_fit(
    folder: Path, durations: Path, tmp_path: Path
) -> None:
    counts = tmp_path / "length.json"
    counts.write_text(json.dumps({v: {"n_frames": round(s * 30), "n_feat": 1} for v, s in SECONDS.items()}))
    manifest = asking(tmp_path / "manifest", SECONDS)
    annotations = tmp_path / "activitynet.json"
    database = {video: {"duration": seconds, "subset": "training", "annotations": []}
                for video, seconds in SECONDS.items()}  # fmt: skip
    annotations.write_text(json.dumps({"database": database}))
    for known in (
        {"durations": durations},
        {"frame_counts": counts},
        {"manifest": manifest},
        {"durations": annotations},
    ):
        for stride, expected in ((8, 149), (32, 38)):
            with pytest.raises(
                InputError, match=rf"-a_b: .*found 75; expected {expected} rows.*a stride of 16 at fps 30"
            ):
                import_features(folder, tmp_path / "i.h5", timing=Timing(30.0, 16, stride), **known)  # type: ignore[arg-type]
        assert import_features(folder, tmp_path / "i.h5", timing=TIMING, force=True, **known).videos == 4  # type: ignore[arg-type]
        (tmp_path / "i.h5").unlink()
    with pytest.raises(InputError, match=r"-a_b: .*found 75; expected 62 rows.*a stride of 16 at fps 30"):
        import_features(folder, tmp_path / "i.h5", timing=Timing(25.0, 16, 16), durations=durations)
    assert not (tmp_path / "i.h5").exists()


def test_one_bad_video_of_many_is_refused_or_left_out_and_named(folder: Path, durations: Path, tmp_path: Path) -> None:
    np.save(folder / "v_Cd.npy", rows("Cd")[:50])
    bad = rows("x.y")
    bad[7, 2] = np.nan
    np.save(folder / "v_x.y.npy", bad)
    with pytest.raises(
        InputError, match=r"Cd: .*found 50; expected 178 rows, give or take 8. 1 of 4 videos do not fit"
    ):
        import_features(folder, tmp_path / "i.h5", timing=TIMING, durations=durations)
    with pytest.raises(InputError, match=r"x\.y, row 7: features that are not finite"):
        import_features(folder, tmp_path / "i.h5", timing=TIMING)
    assert not (tmp_path / "i.h5").exists()
    done = import_features(folder, tmp_path / "i.h5", timing=TIMING, durations=durations, skip_bad=True)
    assert (list(done.left_out), FeatureStore(done.file).ids()) == (["Cd", "x.y"], ["-a_b", "é f"])
    assert "row 7" in done.left_out["x.y"]
    np.save(folder / "v_x.y.npy", rows("x.y")[:, :5])
    np.save(folder / "v_é f.npy", rows("é f")[:9])
    np.save(folder / "v_-a_b.npy", rows("-a_b")[:9])
    with pytest.raises(InputError, match="the rows do not fit"):  # most do not: it is the timing that is wrong
        import_features(folder, tmp_path / "j.h5", timing=TIMING, durations=durations, skip_bad=True)
    with pytest.raises(InputError, match=r"x\.y: features of a wrong shape"):
        import_features(folder, tmp_path / "j.h5", timing=TIMING)


def test_a_manifest_chooses_the_videos_and_their_ids(folder: Path, tmp_path: Path) -> None:
    manifest = asking(tmp_path / "manifest", {"v_Cd": 95.0, "x.y": 100.0, "nowhere": 10.0, "gone": 10.0})
    done = import_features(folder, tmp_path / "i.h5", timing=TIMING, manifest=manifest)
    assert FeatureStore(done.file).ids() == ["Cd", "v_Cd", "x.y"]  # asked as both: each under its own
    assert (done.missing, done.unasked) == (["gone", "nowhere"], 2)
    other = asking(tmp_path / "other", {"nobody": 5.0}, image="nobody")
    with pytest.raises(InputError, match="no video here is named by the manifest; found '-a_b'; expected nobody"):
        import_features(folder, tmp_path / "j.h5", timing=TIMING, manifest=other)


def test_features_set_side_by_side(folder: Path, tmp_path: Path, durations: Path) -> None:
    flow, both = tmp_path / "flow", tmp_path / "both"
    flow.mkdir()
    both.mkdir()
    for video in SECONDS:
        np.save(flow / f"{video}.npy", -rows(video)[:-1])
        np.savez(both / f"{video}.npz", rgb=rows(video), flow=-rows(video)[:-1])
    done = import_features(folder, tmp_path / "a.h5", timing=TIMING, join=[flow], durations=durations)
    made = import_features(both, tmp_path / "b.h5", timing=TIMING, keys=["rgb", "flow"], durations=durations)
    assert done.dim == made.dim == 12
    for name in ("a.h5", "b.h5"):
        np.testing.assert_array_equal(
            FeatureStore(tmp_path / name).read("Cd"), np.hstack([rows("Cd"), -rows("Cd")])[:-1]
        )
    with pytest.raises(InputError, match=r"--key: only the arrays of an npz have names; found 'rgb'"):
        import_features(folder, tmp_path / "c.h5", timing=TIMING, keys=["rgb", "flow"])
    (flow / "Cd.npy").unlink()
    with pytest.raises(InputError, match="Cd: features that not all parts have"):
        import_features(folder, tmp_path / "c.h5", timing=TIMING, join=[flow])
    fewer = import_features(folder, tmp_path / "c.h5", timing=TIMING, join=[flow], skip_bad=True)
    assert (fewer.videos, list(fewer.left_out)) == (3, ["Cd"])


def test_a_timing_is_whole_or_not_given() -> None:
    assert timing_of(None, None, None) is None
    assert timing_of(30, 16, 8, 4) == Timing(30, 16, 8, 4)
    with pytest.raises(InputError, match="--window: a timing has three parts"):
        timing_of(30, None, 8)
    with pytest.raises(InputError, match="--fps: a timing has three parts"):
        timing_of(None, None, None, 4)


def test_attributes_that_are_none(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown attribute; found 'layr'. Did you mean 'layer'"):
        import_features(folder, tmp_path / "i.h5", timing=TIMING, known={"layr": "fc7"})
    with pytest.raises(InputError, match="not a sha256"):
        import_features(folder, tmp_path / "i.h5", timing=TIMING, known={"weights_sha256": "abc"})


# ---- export ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("to", ["opentad-features", "lighthouse-features"])
def test_what_is_exported_comes_back_as_it_was(tmp_path: Path, to: str, dtype: str) -> None:
    attributes = replace(MADE, dtype=dtype, offset=3)
    store = write_store(tmp_path / "f.h5", attributes, ((f"v_{video}", rows(video)) for video in sorted(SECONDS)))
    assert export_features(store, to, tmp_path / "out") == []
    import_features(tmp_path / "out", tmp_path / "back.h5")
    assert store.read_bytes() == (tmp_path / "back.h5").read_bytes()


def test_an_exported_folder_is_what_opentad_reads(store: Path, tmp_path: Path) -> None:
    manifest = asking(tmp_path / "manifest", {"Cd": 95.0, "zz": 9.0, "aa": 9.0})
    assert export_features(store, "opentad-features", tmp_path / "out", manifest=manifest) == ["aa", "zz"]
    assert (tmp_path / "out" / "missing_files.txt").read_text().splitlines() == ["aa", "zz"]
    array = np.load(tmp_path / "out" / "Cd.npy", allow_pickle=False)
    np.testing.assert_array_equal(array, rows("Cd"))  # (rows, dim)
    page = json.loads((tmp_path / "out" / "features.json").read_text())
    assert page["opentad"] == {"feature_stride": 16, "sample_stride": 1, "offset_frames": 8.0, "fps": 30.0}
    assert page["actionformer"] == {"feat_stride": 16, "num_frames": 16, "default_fps": 30.0, "input_dim": 6}
    with pytest.raises(InputError, match="the folder exists"):
        export_features(store, "opentad-features", tmp_path / "out")
    export_features(store, "opentad-features", tmp_path / "out", force=True)
    assert (tmp_path / "out" / "missing_files.txt").read_text() == ""
    (tmp_path / "out" / "mine.txt").write_text("of somebody")
    with pytest.raises(InputError, match="refusing to delete"):
        export_features(store, "opentad-features", tmp_path / "out", force=True)


@pytest.mark.parametrize("video", ["..\\x", ".bashrc", "a\nb", "CON", "x" * 250])
def test_no_id_becomes_a_path(tmp_path: Path, video: str) -> None:
    store = write_store(tmp_path / "f.h5", MADE, [(video, rows("Cd"))])
    with pytest.raises(InputError, match="this id cannot name a file"):
        export_features(store, "opentad-features", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["f.h5"]


# ---- inspect --------------------------------------------------------------------------------------------------------


def test_a_store_is_described_and_compared_with_a_manifest(store: Path, tmp_path: Path) -> None:
    images = [(("Cd", 1.5), Image(np.ones((2, 5)), np.full((2, 4), 0.5), np.ones(3)))]
    add_images(store, images)  # type: ignore[arg-type]
    manifest = asking(tmp_path / "manifest", {"Cd": 95.0, "x.y": 300.0, "zz": 9.0})
    found = inspect_features(store, manifest=manifest)
    assert found.attributes["backbone"] == "c3d"
    total = sum(len(rows(video)) for video in SECONDS)
    assert (found.figures["videos"], found.figures["rows"], found.figures["images"]) == ("4", str(total), "1")
    assert found.figures["digest"] == FeatureStore(store).digest
    assert found.coverage["test"] == {
        "samples": "2 of 3", "videos": "2 of 3", "videos to ask with": "1 of 1", "rows too few": "1",
        "images to ask with": "1 of 1",
    }  # fmt: skip
    assert any("x.y: the rows do not fit the 300 seconds that the manifest asks of" in text for text in found.warnings)
    assert any("1 videos are asked for and not there: zz" in text for text in found.warnings)
    norms = np.linalg.norm(np.vstack([rows(video) for video in SECONDS]).astype(np.float64), axis=1)
    assert found.numbers["norm of a row"] == f"{norms.mean():.6g}, from {norms.min():.6g} to {norms.max():.6g}"


def test_a_foreign_folder_is_looked_at_to_the_end(folder: Path) -> None:
    bad = rows("Cd")
    bad[3], bad[5] = np.nan, 0
    np.save(folder / "v_Cd.npy", bad)
    np.save(folder / "v_x.y.npy", np.zeros((4, 5), np.float32))
    found = inspect_features(folder, timing=TIMING)
    assert (found.numbers["rows not finite"], found.numbers["rows zero"]) == ("1", "1")
    assert found.warnings[0].endswith(
        "x.y: features of a wrong shape; found (4, 5); expected (rows, 6), at least one row"
    )
    assert "1 rows are not finite, first Cd, row 3" in found.warnings


# ---- pack and verify ------------------------------------------------------------------------------------------------


def test_what_is_done_is_packed_though_the_job_did_not_end(tmp_path: Path) -> None:
    file = tmp_path / "f.h5"
    writer = PartsWriter(file, MADE)
    for video in ("Cd", "x.y"):
        writer.write(video, rows(video))
    assert pack_features(file).ids() == ["Cd", "x.y"]
    assert verify(file).faults == ()
    for video in ("-a_b", "é f"):  # the job goes on, and is stopped again
        PartsWriter(file, MADE).write(video, rows(video))
    assert pack_features(file).ids() == sorted(SECONDS)
    whole = write_store(tmp_path / "whole.h5", MADE, ((video, rows(video)) for video in sorted(SECONDS)))
    assert file.read_bytes() == whole.read_bytes()
    PartsWriter(file, replace(MADE, stride=8)).write("Cd", rows("Cd"))
    with pytest.raises(InputError, match="stride: this part was made otherwise"):
        pack_features(file)
    assert file.read_bytes() == whole.read_bytes()
    with pytest.raises(InputError, match="there are no parts to pack"):
        pack_features(tmp_path / "g.h5")
    with pytest.raises(InputError, match=r"name the file, not the folder.*f\.h5"):
        pack_features(tmp_path / "f.h5.parts")


HOLDING = """
import sys
from pathlib import Path
from activity_bench.data.lock import alone
with alone(Path(sys.argv[1]), "extraction"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_parts_that_a_job_is_writing_are_not_packed_away_from_it(tmp_path: Path) -> None:
    writer = PartsWriter(tmp_path / "f.h5", MADE)
    writer.write("Cd", rows("Cd"))
    command = [sys.executable, "-c", HOLDING, str(writer.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None and job.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="another extraction runs here"):
            pack_features(tmp_path / "f.h5")
        job.communicate("")
    assert pack_features(tmp_path / "f.h5").ids() == ["Cd"]


def test_a_store_is_verified_by_name(store: Path) -> None:
    assert verify(store).sound[0] == f"4 of 4 videos, {sum(len(rows(v)) for v in SECONDS)} rows of 6"
    with h5py.File(store, "r+") as file:
        file["features/Cd"][2, 2] = 7
        file["features/stranger"] = np.zeros((3, 6), np.float32)
        file["notes"] = np.zeros(3)
        del file["features/x.y"]
    assert verify(store).faults == (
        "'Cd': not the numbers that were written",
        f"{store}: features/x.y: this file lacks a dataset",
        "'notes': in the file, and in no index",
        "'features/stranger': in the file, and in no index",
    )
    with h5py.File(store, "r+") as file:
        del file["index/sha256"]
    assert "videos have no sum: another tool wrote this file" in verify(store).faults[-1]
    with h5py.File(store, "r+") as file:
        del file.attrs["stride"]
    with pytest.raises(InputError, match="lacks the attributes stride"):
        verify(store)


def test_a_manifest_is_verified_by_name(tmp_path: Path) -> None:
    tiny.write(tmp_path / "m")
    assert verify(tmp_path / "m").faults == verify(tmp_path / "m" / "manifest.json").faults == ()
    (tmp_path / "m" / "test.jsonl").write_bytes(b"{}\n")
    (tmp_path / "m" / "more.jsonl").write_bytes(b"")
    found = verify(tmp_path / "m")
    assert [("test.jsonl" in text, "more.jsonl" in text) for text in found.faults] == [(True, False), (False, True)]
    assert "its sha256 differs" in found.faults[0]


def test_a_run_is_verified_by_name(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run_method("random", tiny.write(tmp_path / "m", test=tiny.TEST[:3]).folder, "test", run)
    assert verify(run).sound == ("predictions.jsonl: as it was scored", "report.rows.npz: as it was scored")
    with (run / "predictions.jsonl").open("ab") as stream:
        stream.write(b"\n")
    (run / "report.rows.npz").unlink()
    faults = verify(run).faults
    assert "predictions.jsonl: this file was changed since its sum was noted" in faults[0]
    assert "no such file" in faults[1]
    with pytest.raises(InputError, match="nothing here has sums to verify"):
        verify(tmp_path)


# ---- the commands ---------------------------------------------------------------------------------------------------


def test_the_commands_speak_of_both_kinds(
    store: Path, folder: Path, durations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    asking(tmp_path / "manifest", {"Cd": 95.0, "zz": 9.0})
    timing = ["--fps", "30", "--window", "16", "--stride"]
    words = ["import", "npy", "--from", "features", "--out", "i.h5", "--durations", "durations.json", *timing]
    assert main([*words, "8"]) == 2
    assert "a stride of 16 at fps 30" in capsys.readouterr().err
    assert main([*words, "16", "--backbone", "c3d", "--set", "layer=fc7"]) == 0
    out, err = capsys.readouterr()
    assert out.split() == [FeatureStore(tmp_path / "i.h5").digest, "i.h5"]
    assert "4 videos, 593 rows of 6" in err
    assert open_features(tmp_path / "i.h5").attributes.layer == "fc7"
    assert main(["import", "npy", "--from", "hf", "--out", "x", "--fps", "30"]) == 2
    assert "--fps: this option is for features" in capsys.readouterr().err

    assert main(["inspect", "i.h5", "--manifest", "manifest"]) == 0
    out, err = capsys.readouterr()
    assert "videos\t1 of 2" in out and "1 videos are asked for and not there: zz" in err
    assert main(["inspect", "i.h5", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"table": "Features", "features": "rows", "value": "593"} in lines
    assert main(["inspect", "manifest", "--json"]) == 0
    assert all(json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert main(["inspect", "manifest", "--key", "a"]) == 2
    assert main(["inspect", "npy"]) == 2
    assert "--fps, --window and --stride" in capsys.readouterr().err
    assert inspect(tmp_path / "manifest").figures["test"]["samples"] == "2"
    assert main(["inspect", "i.h5", "--manifest", "i.h5"]) == 2

    assert main(["export", "i.h5", "--to", "hf", "--out", "x"]) == 2
    assert "hf holds manifests, and these are features" in capsys.readouterr().err
    assert main(["export", "manifest", "--to", "opentad-features", "--out", "x"]) == 2
    assert "this is a manifest, and features are wanted" in capsys.readouterr().err
    assert main(["export", "i.h5", "--to", "opentad-features", "--out", "x", "--manifest", "manifest"]) == 0
    assert "1 videos of the manifest have no features: zz" in capsys.readouterr().err

    assert main(["verify", "i.h5"]) == 0
    with h5py.File(tmp_path / "i.h5", "r+") as file:
        file["features/Cd"][0, 0] = 7
    assert main(["verify", "i.h5"]) == 2
    out, err = capsys.readouterr()
    assert "fault: 'Cd': not the numbers that were written" in out and "1 faults" in err
    assert main(["pack", "none.h5"]) == 2


# ---- real files -----------------------------------------------------------------------------------------------------

VIDEO = "GGSY1Qvo990"
I3D = ["None_raft_24_24_25_rgb", "None_raft_24_24_25_flow"]


@pytest.mark.real
def test_real_features_line_up_with_their_video_decoded_again(real_data: Path, tmp_path: Path) -> None:
    from activity_bench.features.decode import Look, read

    times = [time for time, _ in read(real_data / f"videos/v_{VIDEO}.mp4", Look(size=(8, 8)))]
    seconds = times[-1] + times[1]  # the last frame is shown as long as the first
    durations = tmp_path / "durations.json"
    durations.write_text(json.dumps({VIDEO: {"duration": seconds}}))
    folder = tmp_path / "features"
    folder.mkdir()
    shutil.copy(real_data / "features/v_GGSY1Qvo990_i3d_clip.npz", folder / f"v_{VIDEO}.npz")

    def make(name: str, timing: Timing, keys: list[str]) -> Any:
        return import_features(folder, tmp_path / name, timing=timing, keys=keys, durations=durations)

    i3d = make("i3d.h5", Timing(25.0, 24, 24), I3D)
    clip = make("clip.h5", Timing(5.0, 1, 1), ["ViT-B_32_1_5_clip"])
    assert (i3d.rows, i3d.dim, clip.rows, clip.dim) == (18, 2048, 90, 512)
    with np.load(folder / f"v_{VIDEO}.npz", allow_pickle=False) as arrays:
        found = dict(arrays)
    np.testing.assert_array_equal(
        FeatureStore(i3d.file).read(VIDEO), np.hstack([found[key] for key in I3D]).astype(np.float32)
    )
    # The end of a row, by the timing that was given, is the time that the other project noted beside it.
    timing = FeatureStore(i3d.file).timing
    ends = [1000 * (timing.start_of(row) + timing.window / timing.fps) for row in range(18)]
    np.testing.assert_allclose(ends, found["None_raft_24_24_25_timestamps_ms"], atol=1e-6)
    assert abs(ends[-1] / 1000 - seconds) < timing.step  # the rows reach to the video's last second
    starts = [1000 * FeatureStore(clip.file).timing.start_of(row) for row in range(90)]
    np.testing.assert_allclose(starts, found["ViT-B_32_1_5_timestamps_ms"], atol=1e-6)
    for stride in (8, 12, 16, 32, 48):
        with pytest.raises(InputError, match=rf"{VIDEO}: the rows do not fit .*found 18; .*a stride of 24 at fps 25"):
            make("wrong.h5", Timing(25.0, stride, stride), I3D)
    for fps in (1.0, 2.0, 4.0, 6.0, 25.0):
        with pytest.raises(InputError, match=rf"{VIDEO}: the rows do not fit .*found 90; .*a stride of 1 at fps 5"):
            make("wrong.h5", Timing(fps, 1, 1), ["ViT-B_32_1_5_clip"])
    assert not (tmp_path / "wrong.h5").exists()

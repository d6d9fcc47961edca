"""Features of other hands: where their arrays lie, what is refused by name, and which timing their rows speak of."""

from __future__ import annotations

import io
import re
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from activity_bench.data.features import ArrayFolder, Attributes, FeatureStore, Joined, Timing, open_features, survey
from activity_bench.data.features.fit import Length, fit
from activity_bench.data.features.layouts import LIGHTHOUSE, OPENTAD, page, plain_name, read_made
from activity_bench.data.features.parts import write_store
from activity_bench.data.features.survey import Survey
from activity_bench.data.features.words import Described
from activity_bench.errors import InputError

pytestmark = pytest.mark.quick

TIMING = Timing(30.0, 16, 8)


def array(rows: int, dim: int = 6, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32)


# ---- where arrays lie -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["", "f0,f1,f2,f3,f4,f5\n", "0,1,2,3,4,5\n", "0.0,1.0,2.0,3.0,4.0,5.0\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv_with_every_kind_of_header(tmp_path: Path, header: str, newline: str) -> None:
    expected = array(7)
    lines = "\n".join(",".join(str(number) for number in row) for row in expected)
    (tmp_path / "v_a.csv").write_bytes((header + lines).replace("\n", newline).encode())
    features = ArrayFolder(tmp_path, TIMING)
    assert (features.ids(), features.rows("a"), features.dim) == (["a"], 7, 6)
    np.testing.assert_array_equal(features.read("a"), expected)
    np.testing.assert_array_equal(features.read("a", 2, 5), expected[2:5])


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "an empty file"), ("1,2\n3\n", "damaged"), ("1,2\n3,x\n", "damaged"), ("1,2\nnan,1\n", "row 1.*not finite")],
)
def test_csv_that_is_none(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        open_features(tmp_path, TIMING).read("a")


def test_arrays_that_lie_on_their_side(tmp_path: Path) -> None:
    for name, rows in (("a", 9), ("b", 12)):
        np.save(tmp_path / f"{name}.npy", array(rows).T)
    with pytest.raises(InputError, match=r"b: .*found \(6, 12\); expected \(rows, 9\).*--transpose"):
        ArrayFolder(tmp_path, TIMING).rows("b")
    features = ArrayFolder(tmp_path, TIMING, transposed=True)
    assert (features.rows("a"), features.rows("b"), features.dim) == (9, 12, 6)
    np.testing.assert_array_equal(features.read("b", 3, 7), array(12)[3:7])
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["v_a/c3d_features"] = array(9).T
    np.testing.assert_array_equal(open_features(tmp_path / "c.h5", TIMING, transposed=True).read("a"), array(9))


def test_an_hdf5_file_of_plain_datasets_or_of_another_name(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "flat.hdf5", "w") as file:  # as ActionFormer reads ActivityNet
        file["v_a"], file["v_b"] = array(9), array(4)
    features = open_features(tmp_path / "flat.hdf5", TIMING)
    assert (features.ids(), features.rows("b")) == (["a", "b"], 4)
    np.testing.assert_array_equal(features.read("v_a"), array(9))
    with h5py.File(tmp_path / "named.h5", "w") as file:
        file["a/i3d"] = array(9)
    with pytest.raises(InputError, match=r"no layout.*/v_<id>/c3d_features"):
        open_features(tmp_path / "named.h5", TIMING)
    assert open_features(tmp_path / "named.h5", TIMING, key="i3d").rows("a") == 9


def test_two_files_of_a_video_are_not_two_videos(tmp_path: Path) -> None:
    for half, seed in (("rgb", 1), ("flow", 2)):
        np.save(tmp_path / f"v_a_{half}.npy", array(9, 6, seed))
        np.save(tmp_path / f"v_b_{half}.npy", array(5 - (half == "flow"), 6, seed))
    with pytest.raises(InputError, match=r"several files here.*--suffix _rgb --suffix _flow"):
        open_features(tmp_path, TIMING)
    parts = [ArrayFolder(tmp_path, TIMING, suffix=f"_{half}") for half in ("rgb", "flow")]
    joined = Joined(parts, tmp_path)
    assert (joined.ids(), joined.dim, joined.rows("a"), joined.rows("b")) == (["a", "b"], 12, 9, 4)
    np.testing.assert_array_equal(joined.read("a", 2, 4), np.hstack([array(9, 6, 1), array(9, 6, 2)])[2:4])
    np.testing.assert_array_equal(joined.read("b"), np.hstack([array(5, 6, 1)[:4], array(4, 6, 2)]))
    np.save(tmp_path / "v_b_flow.npy", array(3, 6))
    with pytest.raises(InputError, match=r"b: parts of different lengths; found \[5, 3\]"):
        Joined([ArrayFolder(tmp_path, TIMING, suffix=f"_{half}") for half in ("rgb", "flow")], tmp_path).rows("b")
    (tmp_path / "v_b_flow.npy").unlink()
    with pytest.raises(InputError, match="b: features that not all parts have"):
        Joined([ArrayFolder(tmp_path, TIMING, suffix=f"_{half}") for half in ("rgb", "flow")], tmp_path)


def test_what_is_said_of_joined_features(tmp_path: Path) -> None:
    rgb = Attributes("i3d-rgb", "a" * 64, "pyav", "14", 25.0, 16, 16, 0, "float16", "avgpool", "none", 6)
    flow = replace(rgb, backbone="i3d-flow", weights_sha256="b" * 64, dtype="float32", decoder="unknown")
    paths = [write_store(tmp_path / f"{i}.h5", made, [("a", array(9))]) for i, made in enumerate((rgb, flow))]
    joined = Joined([FeatureStore(path) for path in paths], tmp_path)
    assert joined.attributes == replace(
        rgb, backbone="i3d-rgb + i3d-flow", weights_sha256="unknown", decoder="unknown", dtype="float32", dim=12
    )
    assert joined.stored_as == "float32"
    other = write_store(tmp_path / "2.h5", replace(flow, stride=8), [("a", array(9))])
    with pytest.raises(InputError, match=r"2\.h5: features of two timings"):
        Joined([FeatureStore(paths[0]), FeatureStore(other)], tmp_path)


def test_the_widest_type_that_was_seen_is_the_one_to_store(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array(4).astype(np.float16))
    features = ArrayFolder(tmp_path, TIMING)
    assert (features.rows("a"), features.stored_as) == (4, "float16")
    np.save(tmp_path / "b.npy", array(4).astype(np.float64))
    features = ArrayFolder(tmp_path, TIMING)
    assert (features.rows("b"), features.stored_as) == (4, "float32")


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.pkl", "a.pickle"])
def test_pickles_are_named_and_never_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04cos\nsystem\n(S'touch attacked'\ntR.")
    with pytest.raises(InputError, match=rf"{name}: a pickle: reading such a file can run code"):
        open_features(tmp_path, TIMING)
    np.save(tmp_path / "a.npy", array(3))  # the same video in a form that can be read
    assert open_features(tmp_path, TIMING).ids() == ["a"]


def test_more_in_a_file_than_its_header_states(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array(3))
    with (tmp_path / "a.npy").open("ab") as stream:
        np.save(stream, array(2))
    with pytest.raises(InputError, match=r"a\.npy: more in the file than the one array.*176 bytes after \(3, 6\)"):
        open_features(tmp_path, TIMING)
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").unlink()
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("features.npy", data)
    with pytest.raises(InputError, match=r"a\.npz: features: more in the file.*176 bytes"):
        open_features(tmp_path, TIMING)


def test_folders_and_files_that_are_not_those(tmp_path: Path) -> None:
    (tmp_path / "rgb").mkdir()
    np.save(tmp_path / "rgb" / "a.npy", array(3))
    with pytest.raises(InputError, match=r"no arrays in this folder; found 'rgb'.*Is it "):
        open_features(tmp_path, TIMING)
    with pytest.raises(InputError, match="a file of one video; expected the folder"):
        open_features(tmp_path / "rgb" / "a.npy", TIMING)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="this is a manifest, and features are wanted"):
        open_features(tmp_path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv"])
def test_a_byte_that_is_not_what_it_was_is_an_input_error_or_a_number(tmp_path: Path, suffix: str) -> None:
    good, path = array(5, 3), tmp_path / f"a{suffix}"
    if suffix == ".csv":
        np.savetxt(path, good, delimiter=",")
    elif suffix == ".npy":
        np.save(path, good)
    else:
        np.savez_compressed(path, features=good)
    whole, draw = path.read_bytes(), np.random.default_rng(0)
    for place in range(0, len(whole), 3):
        data = bytearray(whole)
        data[place] = draw.integers(256)
        path.write_bytes(data)
        with suppress(InputError):  # either that, or numbers: never another error
            open_features(tmp_path, TIMING).read("a")


# ---- names that other tools read ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "video",
    ["", ".", "..", ".hidden", "a/b", "a\\b", "a\nb", "a\0b", "C:x", "con", "LPT1.x", "a*", "a?", "end.", "end ",
     "é" * 101, "\u202eb"],
)  # fmt: skip
def test_ids_that_cannot_name_a_file_are_refused(video: str) -> None:
    with pytest.raises(InputError, match="cannot name a file"):
        plain_name(video)


@given(st.text(max_size=210))
def test_an_id_that_passes_is_a_file_of_the_folder_itself(video: str) -> None:
    try:
        name = plain_name(video)
    except InputError:
        return
    path = Path("/folder") / (name + ".npy")
    assert path.parent == Path("/folder")
    assert path.stem == video
    assert len(f"{name}\n".splitlines()) == 1


def test_arrays_as_numpy_reads_them_without_a_time_in_them() -> None:
    expected = array(9)
    found = np.load(io.BytesIO(OPENTAD.encode(expected)), allow_pickle=False)
    np.testing.assert_array_equal(found, expected)
    data = LIGHTHOUSE.encode(expected)
    np.testing.assert_array_equal(np.load(io.BytesIO(data), allow_pickle=False)["features"], expected)
    assert zipfile.ZipFile(io.BytesIO(data)).infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)


def test_a_folder_says_what_its_features_are(tmp_path: Path) -> None:
    made = Attributes("c3d", "none", "pyav", "14", 25.0, 16, 4, 0, "float32", "fc7", "none", 6)
    (tmp_path / "features.json").write_bytes(page(made, "sha256:0"))
    np.save(tmp_path / "v_a.npy", array(9))
    assert read_made(tmp_path) == made
    features = open_features(tmp_path)
    assert (features.attributes, features.ids()) == (made, ["v_a"])  # an id is what the folder's maker wrote
    text = (tmp_path / "features.json").read_text()
    assert re.search(r'"offset_frames": 8\.0', text)  # OpenTAD's: half a window
    assert re.search(r'"centre_of_row_0": 0\.32', text)
    with pytest.raises(InputError, match="the folder states another timing"):
        open_features(tmp_path, TIMING)


# ---- which timing rows speak of -------------------------------------------------------------------------------------


class Counted(Described):
    """Features of which only the timing matters."""

    def __init__(self, timing: Timing, dim: int = 500) -> None:
        self.attributes = Attributes.unstated(timing, dim, "float32")


def judged(timing: Timing, rows: list[int], seconds: list[float], dim: int = 500, exact: bool = True) -> Any:
    found = {f"v{i}": count for i, count in enumerate(rows)}
    lengths = {f"v{i}": Length(second, exact=exact) for i, second in enumerate(seconds)}
    return fit(Counted(timing, dim), found, lengths, Path("f.h5"))


@given(
    st.lists(st.floats(10, 600), min_size=1, max_size=8),
    st.sampled_from([4, 8, 16, 24]),
    st.sampled_from([16, 24, 64]),
    st.sampled_from([24.0, 25.0, 29.97, 30.0]),
    st.sampled_from(["whole windows", "padded at the end", "padded at both ends"]),
)
def test_features_of_any_extractor_fit_their_own_timing(
    seconds: list[float], stride: int, window: int, fps: float, manner: str
) -> None:
    timing = Timing(fps, window, stride)
    more = {"whole windows": 0, "padded at the end": 1, "padded at both ends": (window - 1) // stride + 1}[manner]
    found = judged(timing, [timing.rows_for(length) + more for length in seconds], seconds)
    assert (found.misfits, found.off) == ({}, None)


@given(st.lists(st.floats(20, 600), min_size=1, max_size=8), st.sampled_from([0.5, 2.0]), st.sampled_from([8, 16]))
def test_half_or_twice_the_stride_is_always_refused_and_the_right_one_named(
    seconds: list[float], times: float, stride: int
) -> None:
    true = Timing(30.0, stride, stride)
    wrong = Timing(30.0, int(stride * times), int(stride * times))
    found = judged(wrong, [true.rows_for(length) for length in seconds], seconds)
    assert found.off is not None
    assert f"a stride of {stride} at fps 30" in str(found.off)


def test_what_would_fit_is_said() -> None:
    seconds = [30.0, 61.0, 122.0, 47.0]
    at25 = [Timing(25.0, 16, 16).rows_for(length) for length in seconds]
    assert "found 46; expected 56 rows" in str(judged(Timing(30.0, 16, 16), at25, seconds).off)
    assert "a stride of 16 at fps 25" in str(judged(Timing(30.0, 16, 16), at25, seconds).off)
    assert "they were resized to one length" in str(judged(Timing(30.0, 16, 16), [100] * 4, seconds).off)
    assert "--transpose" in str(judged(Timing(25.0, 16, 16), [2048], [30.0], dim=46).off)
    one = judged(Timing(25.0, 16, 16), [*at25[:3], 5], seconds)
    assert (one.off, list(one.misfits)) == (None, ["v3"])
    few = judged(Timing(25.0, 16, 16), [18], [18.0 * 32 / 16])  # within what one video may miss, not what half of them
    assert few.off is not None


def test_what_is_asked_of_videos_bounds_them_from_below() -> None:
    true, seconds = Timing(30.0, 16, 16), [30.0, 61.0, 122.0, 47.0]
    longer = [true.rows_for(length * (3 if length == 30 else 1)) for length in seconds]
    assert judged(true, longer, seconds, exact=False) == judged(true, longer[:0], [], exact=False)  # nothing is wrong
    assert judged(Timing(30.0, 16, 8), longer, seconds, exact=False).off is not None
    assert judged(Timing(30.0, 32, 32), longer, seconds, exact=False).off is not None


# ---- what the numbers are like --------------------------------------------------------------------------------------


class Held(Described):
    """Features in memory."""

    def __init__(self, arrays: dict[str, NDArray[np.float32]]) -> None:
        self._arrays = arrays
        self.attributes = Attributes.unstated(TIMING, next(iter(arrays.values())).shape[1], "float32")

    def rows(self, video: str) -> int:
        return len(self._arrays[video])

    def raw(self, video: str, first: int = 0, last: int | None = None) -> Any:
        return self._arrays[video][first:last]


def slow(arrays: dict[str, NDArray[np.float32]]) -> tuple[dict[str, int], list[float]]:
    """Row by row, in plain Python."""
    odd, norms = dict.fromkeys(["not finite", "zero", "of one number", "like the row before"], 0), []
    for rows in arrays.values():
        before: list[float] = []
        for row in rows.tolist():
            finite = all(abs(number) < float("inf") for number in row)
            if not finite:
                odd["not finite"] += 1
            elif not any(row):
                odd["zero"] += 1
            elif len(row) > 1 and len(set(row)) == 1:
                odd["of one number"] += 1
            elif row == before:
                odd["like the row before"] += 1
            if finite:
                norms.append(sum(number * number for number in row) ** 0.5)
            before = row
    return odd, norms


@given(
    st.lists(st.lists(st.sampled_from([0.0, 1.0, 2.5, float("nan"), float("inf")]), min_size=2, max_size=2), min_size=1,
             max_size=12),
    st.integers(1, 9),
)  # fmt: skip
def test_odd_rows_are_counted_as_by_hand_whatever_the_block(rows: list[list[float]], block: int) -> None:
    arrays = {"a": np.array(rows, np.float32), "b": array(3, 2)}
    found, before = Survey(), survey.BLOCK
    survey.BLOCK = block
    try:
        for video in arrays:
            found.add(Held(arrays), video)
    finally:
        survey.BLOCK = before
    odd, norms = slow(arrays)
    assert (found.odd, found.rows, found.measured) == (odd, len(rows) + 3, len(norms))
    np.testing.assert_allclose([found.mean, found.least, found.most],
                               [sum(norms) / len(norms), min(norms), max(norms)], rtol=1e-6)  # fmt: skip


def test_the_first_odd_row_is_named() -> None:
    rows = array(9, 4)
    rows[4] = rows[3]
    rows[7] = 0
    found = Survey()
    found.add(Held({"v": rows}), "v")
    assert found.first == {"like the row before": "v, row 4", "zero": "v, row 7"}


# ---- real files -----------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_a_real_csv_of_mmaction2(real_data: Path, tmp_path: Path) -> None:
    text = (real_data / "features/mmaction2_activitynet_features_v_test1.csv").read_bytes()
    (tmp_path / "v_test1.csv").write_bytes(text)
    features = open_features(tmp_path, TIMING)
    assert (features.ids(), features.rows("test1"), features.dim) == (["test1"], 5, 400)
    first = [float(cell) for cell in text.splitlines()[1].split(b",")]
    np.testing.assert_array_equal(features.read("test1")[0], np.array(first, np.float32))

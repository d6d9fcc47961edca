"""Feature stores: nothing finished is lost, nothing broken is believed, and anybody's h5py reads them."""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from activity_bench.data import disk
from activity_bench.data.features import (
    ArrayFolder,
    Attributes,
    FeatureStore,
    PartsWriter,
    Provider,
    Timing,
    check_rows,
    open_features,
    pack,
    parts_folder,
    write_store,
)
from activity_bench.errors import InputError, WorkError

# Python warns of a fork in a process with threads, and NumPy may have started some: forking is what is tried here.
pytestmark = [pytest.mark.quick, pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")]

ROOT = Path(__file__).resolve().parents[2]
DIM = 6
ATTRIBUTES = Attributes(
    backbone="c3d", weights_sha256="0" * 64, decoder="pyav", decoder_version="14.0", fps=30.0, window=16, stride=8,
    offset=0, dtype="float32", layer="fc7", projection="none", dim=DIM,
)  # fmt: skip
TIMING = ATTRIBUTES.timing


def array(video: str, rows: int = 9, dim: int = DIM) -> NDArray[np.float32]:
    seed = int.from_bytes(hashlib.sha256(video.encode()).digest()[:4], "little")
    return np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return write_store(tmp_path / "f.h5", ATTRIBUTES, ((name, array(name, 5 + i)) for i, name in enumerate("cabd")))


# ---- the store ------------------------------------------------------------------------------------------------------


def test_three_lines_of_h5py_read_it(store: Path) -> None:
    with h5py.File(store) as file:
        features, fps = file["features/b"][:], file.attrs["fps"]
    assert fps == 30.0
    np.testing.assert_array_equal(features, array("b", 7))


def test_the_layout_is_the_contract(store: Path) -> None:
    with h5py.File(store) as file:
        assert dict(file.attrs) == asdict(ATTRIBUTES)
        assert list(file["index/ids"].asstr()[:]) == ["a", "b", "c", "d"]
        assert file["index/rows"][:].tolist() == [6, 7, 5, 8]
        for dataset in file["features"].values():
            assert (dataset.chunks, dataset.compression, dataset.dtype) == (None, None, np.dtype("<f4"))


def test_reading(store: Path) -> None:
    features: Provider = open_features(store)
    assert isinstance(features, FeatureStore)
    assert (features.ids(), features.dim, features.timing) == (["a", "b", "c", "d"], DIM, TIMING)
    assert (features.rows("d"), features.attributes) == (8, ATTRIBUTES)
    whole = array("d", 8)
    for first, last, expected in [(0, None, whole), (2, 5, whole[2:5]), (7, 99, whole[7:]), (0, 1, whole[:1])]:
        found = features.read("d", first, last)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)
    for first, last in [(-1, 3), (3, 3), (5, 2), (8, 9), (8, None), (0, 0), (0, -1)]:
        with pytest.raises(InputError, match="d: no such rows"):
            features.read("d", first, last)


def test_an_unknown_video_has_a_near_miss(tmp_path: Path) -> None:
    path = write_store(tmp_path / "f.h5", ATTRIBUTES, [("video_test_0000004", array("x"))])
    for call in (FeatureStore(path).read, FeatureStore(path).rows):
        with pytest.raises(InputError, match=r"unknown video.*Did you mean 'video_test_0000004'"):
            call("video_test_0000005")


def test_timing() -> None:
    assert (TIMING.step, TIMING.start_of(3)) == (8 / 30, 24 / 30)
    assert Timing(25, 16, 16, offset=8).start_of(1) == 24 / 25
    assert TIMING.rows_for(16 / 30) == 1
    assert TIMING.rows_for(23.9 / 30) == 1
    assert TIMING.rows_for(24 / 30) == 2
    assert TIMING.rows_for(0.01) == 1
    for wrong in ({"fps": 0.0}, {"fps": float("nan")}, {"window": 0}, {"stride": -1}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            replace(TIMING, **wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"backbone": ""}, {"layer": None}, {"fps": "30"}, {"window": 1.5}, {"stride": True}, {"dtype": "float64"},
     {"weights_sha256": "abc"}, {"fps": -1.0}, {"dim": 0}],
)  # fmt: skip
def test_attributes_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        replace(ATTRIBUTES, **wrong)


@pytest.mark.parametrize("name", [field.name for field in fields(Attributes)])
def test_each_attribute_is_demanded(store: Path, name: str) -> None:
    with h5py.File(store, "r+") as file:
        del file.attrs[name]
    with pytest.raises(
        InputError, match=rf"f\.h5: .*lacks the attributes {name}; .*|lacks the attributes {name}\. Give"
    ):
        FeatureStore(store)
    by_hand = FeatureStore(store, Timing(25.0, 16, 16))
    assert (by_hand.timing, by_hand.dim, by_hand.attributes.backbone) == (Timing(25.0, 16, 16), DIM, "unknown")
    np.testing.assert_array_equal(by_hand.read("a"), array("a", 6))


def test_a_store_that_knows_its_timing_is_believed(store: Path) -> None:
    assert FeatureStore(store, TIMING).timing == TIMING
    with pytest.raises(InputError, match="states another timing"):
        FeatureStore(store, replace(TIMING, stride=16))


def test_attributes_written_by_other_tools_are_understood(store: Path) -> None:
    with h5py.File(store, "r+") as file:
        file.attrs["backbone"] = np.bytes_("c3d")  # fixed-length text
        file.attrs["fps"] = np.float32(30)
        file.attrs["window"] = np.int16(16)
    assert FeatureStore(store).attributes == ATTRIBUTES
    with h5py.File(store, "r+") as file:
        file.attrs["stride"] = "eight"
    with pytest.raises(InputError, match=r"f\.h5: stride: not a whole number; found 'eight'"):
        FeatureStore(store)


def test_rows_must_fit_the_duration(store: Path, tmp_path: Path) -> None:
    path = write_store(tmp_path / "g.h5", ATTRIBUTES, [("long", array("x", 400)), ("short", array("y", 30))])
    features = FeatureStore(path)
    seconds = 408 * 8 / 30
    features.check_rows("long", seconds)
    features.check_rows("short", 38 * 8 / 30)
    with pytest.raises(InputError, match=r"g\.h5: long: .*found 400; expected 815 rows"):
        features.check_rows("long", seconds * 2)  # as if the stride were half of what it was
    with pytest.raises(InputError, match="found 30; expected 39 rows, give or take 8"):
        features.check_rows("short", 40 * 8 / 30)
    with pytest.raises(InputError, match="give or take 0"):
        check_rows(features, "long", seconds, tolerance_rows=0)


def test_the_digest_is_of_attributes_ids_rows_and_numbers(tmp_path: Path) -> None:
    items = [("a", array("a")), ("b", array("b"))]
    same = write_store(tmp_path / "1.h5", ATTRIBUTES, items)
    digests = {FeatureStore(same).digest, FeatureStore(write_store(tmp_path / "2.h5", ATTRIBUTES, items[::-1])).digest}
    assert len(digests) == 1
    changed = items[1][1].copy()
    changed[3, 3] += 1
    for name, attributes, other in [
        ("3", replace(ATTRIBUTES, stride=16), items), ("4", ATTRIBUTES, items[:1]),
        ("5", ATTRIBUTES, [items[0], ("c", items[1][1])]), ("6", ATTRIBUTES, [items[0], ("b", items[1][1][:5])]),
        ("7", ATTRIBUTES, [items[0], ("b", changed)]),
    ]:  # fmt: skip
        digests.add(FeatureStore(write_store(tmp_path / f"{name}.h5", attributes, other)).digest)
    assert len(digests) == 6
    assert all(digest.startswith("sha256:") and len(digest) == 71 for digest in digests)


def test_two_writings_have_the_same_bytes(tmp_path: Path) -> None:
    items = [(name, array(name)) for name in ("é", "b", "a b")]
    write_store(tmp_path / "1.h5", ATTRIBUTES, items)
    time.sleep(1.1)  # a time of the day in the file would show
    write_store(tmp_path / "2.h5", ATTRIBUTES, items)
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


def test_half_precision_is_half_the_size_and_read_as_float32(tmp_path: Path) -> None:
    half = replace(ATTRIBUTES, dtype="float16")
    big = array("x", 50_000)
    path = write_store(tmp_path / "h.h5", half, [("x", big)])
    assert path.stat().st_size < 0.55 * big.nbytes
    found = FeatureStore(path).read("x")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, big.astype(np.float16).astype(np.float32))
    with pytest.raises(InputError, match="x, row 2: features that are not finite"):
        write_store(tmp_path / "i.h5", half, [("x", np.where(np.arange(4)[:, None] == 2, 1e6, big[:4]))])
    assert not (tmp_path / "i.h5").exists()


# ---- what is refused on writing -------------------------------------------------------------------------------------

BAD_IDS = ["../../x", "a/b", "/etc/passwd", ".", "..", "", "a\0b", "\ud800", "x" * 10_000]


@pytest.mark.parametrize("video", BAD_IDS)
def test_ids_that_are_paths_are_refused(tmp_path: Path, video: str) -> None:
    with pytest.raises(InputError, match="cannot name a feature dataset"):
        write_store(tmp_path / "x" / "f.h5", ATTRIBUTES, [(video, array("x"))])
    with pytest.raises(InputError, match="cannot name a feature dataset"):
        PartsWriter(tmp_path / "x" / "f.h5", ATTRIBUTES).write(video, array("x"))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


WRONG = {
    "nan": (np.where(np.eye(9, DIM) == 1, np.nan, 0.0), "row 0.*not finite|not finite"),
    "infinite": (np.full((2, DIM), np.inf), "not finite"),
    "dim": (np.zeros((4, DIM + 1)), r"found \(4, 7\); expected \(rows, 6\)"),
    "one axis": (np.zeros(DIM), "wrong shape"),
    "three axes": (np.zeros((1, 4, DIM)), "wrong shape"),
    "no rows": (np.zeros((0, DIM)), "at least one row"),
    "whole numbers": (np.zeros((4, DIM), np.int64), "floating point"),
    "text": (np.full((4, DIM), "x"), "floating point"),
    "objects": (np.full((4, DIM), None), "floating point"),
    "overflow": (np.full((4, DIM), 1e300), "not finite"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_arrays_are_refused_by_name(tmp_path: Path, what: str) -> None:
    wrong, message = WRONG[what]
    for write in (
        PartsWriter(tmp_path / "f.h5", ATTRIBUTES).write,
        lambda video, values: write_store(tmp_path / "f.h5", ATTRIBUTES, [("good", array("good")), (video, values)]),
    ):
        with pytest.raises(InputError, match=message) as caught:
            write("v7", wrong)
        assert "v7" in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_video_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="v: features of a video given twice"):
        write_store(tmp_path / "f.h5", ATTRIBUTES, [("v", array("v")), ("v", array("v"))])
    assert list(tmp_path.iterdir()) == []


def test_an_existing_store_is_replaced_only_by_force(store: Path) -> None:
    drawn = []
    with pytest.raises(InputError, match="--force"):
        write_store(store, ATTRIBUTES, ((drawn.append(1), ("z", array("z")))[1] for _ in range(1)))
    assert drawn == []  # refused before the work
    write_store(store, ATTRIBUTES, [("z", array("z"))], force=True)
    assert FeatureStore(store).ids() == ["z"]
    with pytest.raises(InputError, match="this is a folder"):
        write_store(store.parent, ATTRIBUTES, [], force=True)


def test_an_error_of_the_maker_of_features_passes_unchanged(store: Path) -> None:
    before = store.read_bytes()

    def broken() -> Any:
        yield "a", array("a")
        raise RuntimeError("CUDA out of memory")

    with pytest.raises(RuntimeError, match="CUDA"):
        write_store(store, ATTRIBUTES, broken(), force=True)
    assert store.read_bytes() == before
    assert [path.name for path in store.parent.iterdir()] == ["f.h5"]


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from activity_bench.data.features import Attributes, PartsWriter, pack, write_store
from activity_bench.errors import WorkError
file = Path(sys.argv[1])
attributes = Attributes("c3d", "none", "pyav", "14", 30.0, 16, 8, 0, "float32", "fc7", "none", 64)
items = [(f"v{i}", np.ones((2000, 64))) for i in range(8)]  # of half a megabyte each
writer = PartsWriter(file, attributes)
for video, array in items:
    writer.write(video, array)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
for work in (lambda: pack(file), lambda: write_store(file, attributes, items),
             lambda: writer.write("big", np.ones((9000, 64)))):
    try:
        work()
    except WorkError as error:
        print(error)
"""


def test_a_real_limit_of_the_system_leaves_no_final_name_and_every_part(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path / "f.h5"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.count("cannot write: File too large") == 3
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["f.h5.parts"]
    assert len(list((tmp_path / "f.h5.parts").iterdir())) == 8
    pack(tmp_path / "f.h5")
    assert len(FeatureStore(tmp_path / "f.h5").ids()) == 8


# ---- parts ----------------------------------------------------------------------------------------------------------


def test_parts_then_pack(tmp_path: Path) -> None:
    writer = PartsWriter(tmp_path / "f.h5", ATTRIBUTES)
    assert writer.done() == set()
    for name in ("zebra", "=cmd()", "日本 語", ".hidden", "a\nb"):
        writer.write(name, array(name), {"frames": 80, "pts": "0.0", "fps": 29.97})
    assert writer.done() == {"zebra", "=cmd()", "日本 語", ".hidden", "a\nb"}
    assert all(len(path.stem) == 32 for path in parts_folder(writer.file).iterdir())
    with pytest.raises(InputError, match="not finished"):
        open_features(tmp_path / "f.h5")
    pack(tmp_path / "f.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["f.h5"]
    features = FeatureStore(tmp_path / "f.h5")
    assert features.ids() == sorted(["zebra", "=cmd()", "日本 語", ".hidden", "a\nb"])
    for name in features.ids():
        np.testing.assert_array_equal(features.read(name), array(name))
    assert features.attributes_of("zebra") == {"frames": 80, "pts": "0.0", "fps": 29.97}
    assert features.damaged() == []


def test_packing_does_not_depend_on_the_order_of_writing(tmp_path: Path) -> None:
    for file, order in (("1.h5", "abcdef"), ("2.h5", "fdbeca")):
        writer = PartsWriter(tmp_path / file, ATTRIBUTES)
        for name in order:
            writer.write(name, array(name), {"x": 1, "y": 2} if file == "1.h5" else {"y": 2, "x": 1})
        pack(tmp_path / file)
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


def test_a_broken_part_is_removed_named_and_made_again(tmp_path: Path) -> None:
    writer = PartsWriter(tmp_path / "f.h5", ATTRIBUTES)
    for name in "abcd":
        writer.write(name, array(name, 500))
    parts = sorted(writer.folder.iterdir())
    parts[0].write_bytes(parts[0].read_bytes()[:1000])
    parts[1].write_bytes(b"")
    parts[2].write_bytes(b"not an HDF5 file")
    assert len(writer.done()) == 1
    assert [path.name in text for path, text in zip(parts, writer.discarded, strict=False)] == [True] * 3
    assert sorted(writer.folder.iterdir()) == parts[3:]


def test_a_part_under_the_name_of_another_is_broken(tmp_path: Path) -> None:
    writer = PartsWriter(tmp_path / "f.h5", ATTRIBUTES)
    writer.write("a", array("a"))
    part = next(writer.folder.iterdir())
    part.rename(part.with_name("0" * 32 + ".h5"))
    assert writer.done() == set()
    assert len(writer.discarded) == 1


def test_a_flipped_number_is_found_when_packing(tmp_path: Path) -> None:
    writer = PartsWriter(tmp_path / "f.h5", ATTRIBUTES)
    for name in "ab":
        writer.write(name, array(name, 500))
    part = sorted(writer.folder.iterdir())[0]
    data = bytearray(part.read_bytes())
    data[-100] ^= 1
    part.write_bytes(data)
    with pytest.raises(WorkError, match="damaged after it was written"):
        pack(tmp_path / "f.h5")
    assert not part.exists()
    assert not (tmp_path / "f.h5").exists()
    assert len(writer.done()) == 1


def test_a_system_that_refuses_to_open_is_no_broken_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = PartsWriter(tmp_path / "f.h5", ATTRIBUTES)
    writer.write("a", array("a"))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(h5py, "File", refuse)
    with pytest.raises(InputError, match="Too many open files"):
        writer.done()
    assert len(list(writer.folder.iterdir())) == 1


def test_parts_of_other_features_are_an_error(tmp_path: Path) -> None:
    PartsWriter(tmp_path / "f.h5", ATTRIBUTES).write("a", array("a"))
    other = PartsWriter(tmp_path / "f.h5", replace(ATTRIBUTES, stride=16))
    with pytest.raises(InputError, match=r"stride: this part was made otherwise; found 8; expected 16.*same options"):
        other.done()
    other.write("b", array("b"))
    with pytest.raises(InputError, match="made otherwise than the others"):
        pack(tmp_path / "f.h5")
    assert len(list(other.folder.iterdir())) == 2


def test_packing_is_safe_to_repeat(tmp_path: Path) -> None:
    file = tmp_path / "f.h5"
    with pytest.raises(InputError, match="no parts to pack"):
        pack(file)
    writer = PartsWriter(file, ATTRIBUTES)
    for name in "abc":
        writer.write(name, array(name))
    shutil.copytree(writer.folder, tmp_path / "copy")
    pack(file)
    whole = file.read_bytes()
    (tmp_path / "copy").rename(writer.folder)  # as if killed while the parts were being removed
    next(writer.folder.iterdir()).unlink()
    pack(file)
    assert file.read_bytes() == whole
    assert not writer.folder.exists()
    writer.write("a", array("other"))
    with pytest.raises(InputError, match="the file exists"):
        pack(file)
    assert writer.done() == {"a"}
    pack(file, force=True)
    assert FeatureStore(file).ids() == ["a"]


def test_a_part_that_comes_while_packing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = PartsWriter(tmp_path / "f.h5", ATTRIBUTES)
    writer.write("a", array("a"))
    move_in = disk.move_in

    def late(draft: Path, path: Path) -> None:
        move_in(draft, path)
        monkeypatch.undo()
        writer.write("late", array("late"))

    monkeypatch.setattr(disk, "move_in", late)
    pack(tmp_path / "f.h5")
    assert FeatureStore(tmp_path / "f.h5").ids() == ["a"]
    assert writer.done() == {"late"}


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_features import ATTRIBUTES, array
from activity_bench.data.features import PartsWriter
writer = PartsWriter(Path(sys.argv[1]), ATTRIBUTES)
done = writer.done()
for i in range(40):
    if f"v{i}" not in done:
        writer.write(f"v{i}", array(f"v{i}", 2000))
        print(f"v{i}", flush=True)
"""


def start_writer(file: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(file), str(Path(__file__).parent)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(ROOT)})


def test_a_writer_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    file, said = tmp_path / "f.h5", set()
    for count in (1, 7, 12):
        with start_writer(file) as process:
            assert process.stdout is not None
            for line, _ in zip(process.stdout, range(count), strict=False):
                said.add(line.strip())
            time.sleep(0.001 * count)
            process.send_signal(signal.SIGKILL)
            said |= {line.strip() for line in process.stdout if line.endswith("\n")}
        writer = PartsWriter(file, ATTRIBUTES)
        assert said <= writer.done()
        assert writer.discarded == []  # a part under its name is whole
        assert not file.exists()
    with start_writer(file) as process:
        assert process.wait(60) == 0
    pack(file)
    write_store(tmp_path / "g.h5", ATTRIBUTES, ((f"v{i}", array(f"v{i}", 2000)) for i in range(40)))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["f.h5", "g.h5"]
    assert FeatureStore(file).digest == FeatureStore(tmp_path / "g.h5").digest


def write_some(file: Path, names: list[str], failures: Any) -> None:
    try:
        writer = PartsWriter(file, ATTRIBUTES)
        for name in names:
            writer.write(name, array(name, 50))
            writer.done()
    except BaseException as error:
        failures.put(repr(error))
        raise


def test_two_writers_of_one_folder_do_not_disturb_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    names, failures = [f"v{i}" for i in range(40)], context.SimpleQueue()
    writers = [
        context.Process(target=write_some, args=(tmp_path / "f.h5", order, failures)) for order in (names, names[::-1])
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert failures.empty(), failures.get()
    assert PartsWriter(tmp_path / "f.h5", ATTRIBUTES).done() == set(names)
    features = FeatureStore(pack(tmp_path / "f.h5"))
    for name in names:
        np.testing.assert_array_equal(features.read(name), array(name, 50))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=30)
        .filter(lambda text: text not in {".", ".."}),
        st.tuples(st.integers(1, 12), st.floats(-1e4, 1e4, width=16)), max_size=6,
    ),
    st.sampled_from(["float32", "float16"]),
)  # fmt: skip
def test_whatever_is_written_is_read(tmp_path: Path, items: dict[str, tuple[int, float]], dtype: str) -> None:
    arrays = {name: np.full((rows, DIM), value, np.float64) for name, (rows, value) in items.items()}
    attributes = replace(ATTRIBUTES, dtype=dtype)
    features = FeatureStore(write_store(tmp_path / "f.h5", attributes, arrays.items(), force=True))
    assert features.ids() == sorted(arrays)
    for name, expected in arrays.items():
        np.testing.assert_array_equal(features.read(name), expected.astype(dtype).astype(np.float32))
    if arrays:
        writer = PartsWriter(tmp_path / "p.h5", attributes)
        for name in arrays:
            writer.write(name, arrays[name])
        assert FeatureStore(pack(tmp_path / "p.h5", force=True)).digest == features.digest


# ---- processes ------------------------------------------------------------------------------------------------------


def load(features: FeatureStore, names: list[str], failures: Any) -> None:
    try:
        for _ in range(20):
            for name in names:
                np.testing.assert_array_equal(features.read(name), array(name, 300))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is told, and the test fails
        failures.put(repr(error))


@pytest.mark.parametrize("layout", ["store", "chunked", "c3d"])
def test_four_forked_readers_after_the_parent_has_read(tmp_path: Path, layout: str) -> None:
    names = [f"v{i}" for i in range(24)]
    write_store(tmp_path / "f.h5", ATTRIBUTES, ((name, array(name, 300)) for name in names))
    if layout == "chunked":  # another tool packed it again: HDF5 must then do the reading
        with h5py.File(tmp_path / "f.h5", "r+") as file:
            for name in names:
                values = file["features"].pop(name)[:]
                file["features"].create_dataset(name, data=values, chunks=(64, DIM), compression="gzip")
    if layout == "c3d":
        with h5py.File(tmp_path / "f.h5", "w") as file:
            for name in names:
                file[f"v_{name}/c3d_features"] = array(name, 300)
    features = open_features(tmp_path / "f.h5", TIMING)
    load(features, names[:3], None)
    context = multiprocessing.get_context("fork")
    failures = context.SimpleQueue()
    readers = [context.Process(target=load, args=(features, names[i:] + names[:i], failures)) for i in range(4)]
    for reader in readers:
        reader.start()
    load(features, names, failures)
    for reader in readers:
        reader.join(60)
    assert failures.empty(), failures.get()
    assert [reader.exitcode for reader in readers] == [0] * 4


def test_a_pickled_store_carries_no_handle(store: Path) -> None:
    features = FeatureStore(store)
    features.read("a")
    other = pickle.loads(pickle.dumps(features))
    assert (other.digest, other.ids(), other.timing) == (features.digest, features.ids(), TIMING)
    np.testing.assert_array_equal(other.read("c"), array("c", 5))
    features.close()
    np.testing.assert_array_equal(features.read("c"), array("c", 5))


def test_a_store_replaced_in_use_is_not_read_at_old_places(store: Path) -> None:
    features = FeatureStore(store)
    features.read("a")
    frozen = pickle.dumps(features)
    write_store(store, ATTRIBUTES, [("a", array("other", 6))], force=True)
    np.testing.assert_array_equal(features.read("a"), array("a", 6))  # the open file lives on
    with pytest.raises(InputError, match="replaced while it was in use"):
        pickle.loads(frozen).read("a")


# ---- files that are not what they should be -------------------------------------------------------------------------


def test_no_store_at_all(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("hello")
    (tmp_path / "empty.h5").write_bytes(b"")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["weights"] = np.zeros(3)
    for name, message in [("text.h5", "not an HDF5 file"), ("empty.h5", "not an HDF5 file"),
                          ("nowhere.h5", "no such file"), ("other.h5", r"no layout .*\['weights'\]")]:  # fmt: skip
        with pytest.raises(InputError, match=rf"{name}: {message}"):
            open_features(tmp_path / name)
    with pytest.raises(InputError, match="not a feature store: it lacks /features"):
        FeatureStore(tmp_path / "other.h5")
    with pytest.raises(InputError, match="this is a folder"):
        FeatureStore(tmp_path)


def test_a_truncated_file_or_a_lost_sector_is_an_input_error(store: Path) -> None:
    whole = store.read_bytes()
    for cut in range(0, len(whole), 199):
        store.write_bytes(whole[:cut])
        with pytest.raises(InputError):
            open_features(store)
    for place in range(0, len(whole), 512):  # a lost sector
        store.unlink()
        store.write_bytes(whole[:place] + bytes(512) + whole[place + 512 :])
        try:
            features = open_features(store)
            for video in features.ids():
                features.read(video)
        except InputError:
            pass  # either that, or numbers: never another error


def test_a_store_that_is_open_elsewhere_in_the_process_is_read(store: Path) -> None:
    with h5py.File(store) as file:
        np.testing.assert_array_equal(FeatureStore(store).read("b"), file["features/b"][:])


def test_damage_to_numbers_is_found_when_asked(store: Path) -> None:
    with h5py.File(store, "r+") as file:
        file["features/b"][2, 2] = 7
    assert FeatureStore(store).damaged() == ["b"]


def test_an_index_that_lies_is_refused(store: Path) -> None:
    with h5py.File(store, "r+") as file:
        file["index/rows"][1] = 10**12
    with pytest.raises(InputError, match="b: not the rows that the index states"):
        FeatureStore(store).read("b")
    with h5py.File(store, "r+") as file:
        file["index/rows"][1] = -1
    with pytest.raises(InputError, match="damaged index"):
        FeatureStore(store)


def test_a_claim_of_endless_rows_costs_no_memory(store: Path) -> None:
    with h5py.File(store, "r+") as file:
        del file["features/b"]
        file["features"].create_dataset("b", shape=(10**11, DIM), chunks=(1024, DIM), dtype="f4")  # nothing is stored
        file["index/rows"][1] = 10**11
    with pytest.raises(InputError, match="a dataset larger than its file"):
        FeatureStore(store).read("b")


def test_links_to_other_files_are_not_followed(store: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(7 * DIM * 4))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = array("b", 7)
    for make in (
        lambda group: group.__setitem__("b", h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")),
        lambda group: group.__setitem__("b", h5py.SoftLink("/features/a")),
        lambda group: group.create_dataset("b", (7, DIM), "f4", external=[(str(secret), 0, 7 * DIM * 4)]),
    ):
        with h5py.File(store, "r+") as file:
            del file["features/b"]
            make(file["features"])
        with pytest.raises(InputError, match=r"b: (a link to elsewhere|numbers of another file)"):
            FeatureStore(store).read("b")


# ---- other people's layouts -----------------------------------------------------------------------------------------


def test_the_official_c3d_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "c3d.hdf5", "w") as file:
        for name in ("abc", "v_d", "xyz"):
            file[f"v_{name}/c3d_features"] = array(name, 40)
    with pytest.raises(InputError, match=r"do not say what they are.*Timing"):
        open_features(tmp_path / "c3d.hdf5")
    features: Provider = open_features(tmp_path / "c3d.hdf5", TIMING)
    assert (features.ids(), features.dim, features.rows("abc")) == (["abc", "v_d", "xyz"], DIM, 40)
    for name in ("abc", "v_abc"):
        np.testing.assert_array_equal(features.read(name, 3, 9), array("abc", 40)[3:9])
    np.testing.assert_array_equal(features.read("v_d"), array("v_d", 40))
    with pytest.raises(InputError, match="unknown video"):
        features.read("nobody")
    assert features.digest != open_features(tmp_path / "c3d.hdf5", replace(TIMING, stride=16)).digest
    assert pickle.loads(pickle.dumps(features)).read("xyz").shape == (40, DIM)


@pytest.mark.parametrize("prefix", ["", "v_"])
def test_a_folder_of_arrays(tmp_path: Path, prefix: str) -> None:
    np.save(tmp_path / f"{prefix}a.npy", array("a"))
    np.save(tmp_path / f"{prefix}b.npy", array("b").astype(np.float64))
    np.save(tmp_path / f"{prefix}f.npy", np.asfortranarray(array("f")))
    np.savez(tmp_path / f"{prefix}c.npz", feats=array("c"), other=np.zeros(3))
    np.savez_compressed(tmp_path / f"{prefix}d.npz", whatever=array("d"))
    (tmp_path / "README.md").write_text("of no interest")
    with pytest.raises(InputError, match="do not say what they are"):
        open_features(tmp_path)
    features: Provider = open_features(tmp_path, TIMING)
    assert (features.ids(), features.dim, features.timing) == (list("abcdf"), DIM, TIMING)
    for name in "abcdf":
        for asked in (name, "v_" + name):
            np.testing.assert_array_equal(features.read(asked, 1, 99), array(name)[1:])
    check_rows(features, "a", 80 / 30)
    assert pickle.loads(pickle.dumps(features)).digest == features.digest


class Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("attacked"),))


def test_pickled_objects_are_never_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for save in (
        lambda file: np.save(file.with_suffix(".npy"), np.array([[Attack()]], object)),
        lambda file: np.savez(file.with_suffix(".npz"), features=np.array([[Attack()]], object)),
        lambda file: file.with_suffix(".npy").write_bytes(pickle.dumps(Attack())),
    ):
        folder = tmp_path / "features"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        np.save(folder / "a.npy", array("a"))
        save(folder / "b")
        with pytest.raises(InputError, match=r"pickled objects|damaged"):
            open_features(folder, TIMING).read("b")
    assert not (tmp_path / "attacked").exists()


def test_arrays_that_claim_or_hold_what_they_should_not(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array("a"))
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-50])
    (tmp_path / "token.npy").write_bytes(whole.replace(b"}", b"("))
    (tmp_path / "huge.npy").write_bytes(whole.replace(b"(9, 6), }" + b" " * 12, b"(9" + b"0" * 12 + b", 6), }"))
    (tmp_path / "nothing.npy").write_bytes(b"")
    (tmp_path / "zip.npz").write_bytes(b"PK\3\4 not a zip")
    np.save(tmp_path / "nan.npy", np.full((3, DIM), np.nan))
    np.save(tmp_path / "dim.npy", np.zeros((3, DIM + 1)))
    np.save(tmp_path / "flat.npy", np.zeros(DIM))
    np.save(tmp_path / "int.npy", np.zeros((3, DIM), int))
    np.savez(tmp_path / "many.npz", rgb=array("a"), flow=array("a"))
    features = open_features(tmp_path, TIMING)
    for name, message in [("cut", "damaged"), ("huge", "damaged"), ("nothing", "damaged"), ("zip", "damaged"),
                          ("nan", "nan, row 0: .*not finite"), ("dim", r"dim: .*\(3, 7\)"), ("flat", "shape"),
                          ("token", "damaged"), ("int", "floating"), ("many", "unknown array.*flow, rgb")]:  # fmt: skip
        with pytest.raises(InputError, match=message):
            features.read(name)


def test_a_zip_bomb_is_not_expanded(tmp_path: Path) -> None:
    np.savez_compressed(
        tmp_path / "a.npz", features=np.zeros((300 << 20) // (4 * DIM) * DIM, np.float32).reshape(-1, DIM)
    )
    with pytest.raises(InputError, match="an array larger than its file"):
        open_features(tmp_path, TIMING)


def test_an_empty_folder_has_no_features(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no features here"):
        open_features(tmp_path, TIMING)
    np.save(tmp_path / "a.npy", array("a"))
    np.savez(tmp_path / "a.npz", features=array("a"))
    with pytest.raises(InputError, match=r"both \.npy and \.npz"):
        open_features(tmp_path, TIMING)


@pytest.mark.real
def test_real_arrays_of_another_project(real_data: Path, tmp_path: Path) -> None:
    shutil.copy(real_data / "features/v_GGSY1Qvo990_i3d_clip.npz", tmp_path / "v_GGSY1Qvo990.npz")
    with pytest.raises(InputError, match=r"unknown array.*None_raft_24_24_25_rgb"):
        ArrayFolder(tmp_path, Timing(25, 24, 24))
    rgb = ArrayFolder(tmp_path, Timing(25, 24, 24), key="None_raft_24_24_25_rgb")
    clip = ArrayFolder(tmp_path, Timing(5, 1, 1), key="ViT-B_32_1_5_clip")
    assert (rgb.read("GGSY1Qvo990").shape, clip.read("v_GGSY1Qvo990").shape) == ((18, 1024), (90, 512))
    duration = 90 / 5
    rgb.check_rows("GGSY1Qvo990", duration)
    for stride in (8, 12, 16):
        with pytest.raises(InputError, match="GGSY1Qvo990: the rows do not fit 18 seconds"):
            ArrayFolder(tmp_path, Timing(25, 24, stride), rgb._key).check_rows("GGSY1Qvo990", duration)

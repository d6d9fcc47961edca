"""What the faults found, each as small as it can be: a changed byte is said, and a full disk is named."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from activity_bench.data import disk
from activity_bench.data.features import FeatureStore, write_store
from activity_bench.data.features.hdf5 import Room
from activity_bench.data.features.images import Image, ImageStore, add_images
from activity_bench.errors import InputError, WorkError
from tests.faults.harness import small_disk
from tests.workflow.asked import ATTRIBUTES

ROWS = np.random.Generator(np.random.Philox(3)).standard_normal((40, ATTRIBUTES.dim), np.float32)


def changed(path: Path, number: np.float32) -> None:
    """The one place where `number` stands holds another."""
    data, old = path.read_bytes(), struct.pack("<f", number)
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, struct.pack("<f", number + 1)))


def store(path: Path) -> Path:
    return write_store(path, ATTRIBUTES, [("a", ROWS[:20]), ("b", ROWS[20:])])


@pytest.mark.quick
def test_a_changed_number_of_a_video_is_said_when_the_video_is_read(tmp_path: Path) -> None:
    changed(store(tmp_path / "f.h5"), ROWS[33, 7])
    features = FeatureStore(tmp_path / "f.h5")
    np.testing.assert_array_equal(features.read("a", 2, 9), ROWS[2:9])
    for first, last in ((0, 20), (2, 4)):  # far from the change, too
        with pytest.raises(InputError, match=r"f\.h5: b: not the numbers that were written"):
            features.read("b", first, last)
    assert features.damaged() == ["b"]


@pytest.mark.quick
def test_a_changed_number_of_an_image_is_said_when_the_image_is_read(tmp_path: Path) -> None:
    whole = Image(ROWS[:2, :3], np.full((2, 4), 0.5, np.float32), ROWS[2, :3])
    add_images(store(tmp_path / "f.h5"), [(("a", 1.0), whole), (("a", 2.0), whole._replace(whole=ROWS[3, :3] * 2))])
    changed(tmp_path / "f.h5", ROWS[3, 1] * 2)
    images = ImageStore(tmp_path / "f.h5")
    np.testing.assert_array_equal(images.image("a", 1.0).whole, whole.whole)
    with pytest.raises(InputError, match="not the numbers that were written"):
        images.image("a", 2.0)
    assert images.damaged() == ["a@2.0"]


def weights(path: Path) -> Callable[[], object]:
    import torch

    from activity_bench.training.checkpoint import Folder, read_weights

    network = torch.nn.Linear(3, 2)
    Folder(path.parent).weights(path.stem, network.state_dict())
    return lambda: {name: tensor.tolist() for name, tensor in read_weights(path, network).items()}


def projected(path: Path) -> Callable[[], object]:
    from activity_bench.features.projection import Account, Projection, read, write

    own = Account("c3d", "none", "fc6", "sha256:1", "sha256:2", ("a", "b"), 40, 0.5)
    write(Projection(ROWS[0, :3], ROWS[:2, :3], np.array([2.0, 1.0]), own), path)
    names = ("mean", "components", "variances")
    return lambda: [(found := read(path)).account, *(getattr(found, name).tolist() for name in names)]


@pytest.mark.quick
@pytest.mark.parametrize("made", [weights, projected])
def test_no_byte_of_what_is_applied_can_change_unseen(
    made: Callable[[Path], Callable[[], object]], tmp_path: Path
) -> None:
    """But in the name under which the sum is kept: such a file is one of other hands. What is no change is none."""
    read = made(path := tmp_path / "best.safetensors")
    first = read()
    data = path.read_bytes()
    key = data.index(b"sha256", data.index(b"rows") if made is projected else 0) - 2
    refused = 0
    for place in range(len(data)):
        if key <= place < key + 10:
            continue
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        try:
            found = read()
        except InputError as error:
            refused += error.file == path
        else:
            assert found == first
    assert refused > 0.9 * len(data)


@pytest.mark.quick
@pytest.mark.parametrize("size", [4096, 40_000, 70_000, 80_000])
def test_a_store_on_a_full_disk_is_an_error_that_names_it(tmp_path: Path, size: int) -> None:
    """It crashed the HDF5 library; a crash would end this process."""
    (tmp_path / "out").mkdir()
    with small_disk(tmp_path / "out", size) as mounted:
        if not mounted:
            pytest.skip("no small disk can be mounted here")
        with pytest.raises(WorkError, match=r"out/f\.h5: cannot write: No space left on device"):
            write_store(tmp_path / "out" / "f.h5", ATTRIBUTES, [(str(n), ROWS) for n in range(4)])
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.quick
def test_what_was_taken_and_not_used_is_given_back(tmp_path: Path) -> None:
    """A file ends where the library would end it, so that its bytes are the same."""
    import h5py

    for path, made in ((tmp_path / "a", None), (tmp_path / "b", Room.new(tmp_path / "b"))):
        file = made.hdf5 if made else h5py.File(path, "w", locking=False)
        if made:
            made.take(1 << 20)
        file.create_dataset("x/y", data=ROWS)
        file["x"].attrs["n"] = "words"
        made.close() if made else file.close()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.quick
@pytest.mark.parametrize("exchanges", [True, False])
def test_a_folder_that_another_job_replaced_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanges: bool
) -> None:
    """Whoever comes second wins, or is refused; either way one whole folder is there, and nothing beside it."""
    if not exchanges:
        monkeypatch.setattr(disk, "exchange", lambda one, other: False)
    made = tmp_path / "made"
    for name in ("old", "new", "newest"):
        with disk.atomic_folder(made, True, "marker") as draft:
            (draft / "marker").write_text(name)
            if name == "new":
                with disk.atomic_folder(made, True, "marker") as other:
                    (other / "marker").write_text("between")
        assert (made / "marker").read_text() == name
        assert list(tmp_path.iterdir()) == [made]


@pytest.mark.quick
def test_what_was_put_aside_does_not_come_back_over_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an exchange of names, another job may take the name between the two renames."""
    monkeypatch.setattr(disk, "exchange", lambda one, other: False)
    (made := tmp_path / "made").mkdir()
    (made / "marker").write_text("old")
    rename = Path.rename

    def renamed(path: Path, target: Path) -> Path:
        done = rename(path, target)
        if path == made:  # just put aside
            made.mkdir()
            (made / "marker").write_text("another job's")
        return done

    monkeypatch.setattr(Path, "rename", renamed)
    with pytest.raises(WorkError), disk.atomic_folder(made, True, "marker") as draft:
        (draft / "marker").write_text("new")
    assert (made / "marker").read_text() == "another job's"
    assert list(tmp_path.iterdir()) == [made]

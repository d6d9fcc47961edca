"""Features on the disk: a store that says what it holds, how it is written, and other people's layouts."""

from __future__ import annotations

from pathlib import Path

from activity_bench.data.features.arrays import SUFFIXES, ArrayFolder
from activity_bench.data.features.foreign import C3D, OfficialC3D, is_official_c3d
from activity_bench.data.features.hdf5 import damage, open_hdf5
from activity_bench.data.features.joined import Joined
from activity_bench.data.features.parts import PartsWriter, add_parts, pack, parts_folder, write_store
from activity_bench.data.features.store import FEATURES, IDS, FeatureStore
from activity_bench.data.features.words import Attributes, Provider, Timing, check_rows
from activity_bench.errors import InputError

__all__ = [
    "FEATURES",
    "ArrayFolder",
    "Attributes",
    "FeatureStore",
    "Joined",
    "OfficialC3D",
    "PartsWriter",
    "Provider",
    "Timing",
    "add_parts",
    "check_rows",
    "open_features",
    "pack",
    "parts_folder",
    "write_store",
]


def open_features(
    path: Path, timing: Timing | None = None, *, key: str | None = None, suffix: str = "", transposed: bool = False
) -> FeatureStore | OfficialC3D | ArrayFolder:
    """Features in whichever layout they are: a store, an HDF5 file of other hands, or a folder of npy, npz or csv.

    `key`, `suffix` and `transposed` say of other people's layouts where the arrays are, and how they lie.
    """
    path = Path(path)
    if path.suffix == ".parts" or (not path.exists() and parts_folder(path).is_dir()):
        raise InputError(
            "these features are not finished", file=path,
            hint="Run the extraction again: it resumes. Or pack what there is: activity-bench pack.",
        )  # fmt: skip
    if (path / "manifest.json").is_file():
        raise InputError("this is a manifest, and features are wanted", file=path)
    if path.is_dir():
        return ArrayFolder(path, timing, key, suffix, transposed)
    if path.suffix in SUFFIXES:
        raise InputError("a file of one video", file=path, expected="the folder that it lies in")
    with damage(path), open_hdf5(path) as file:
        is_store, is_c3d = FEATURES in file and IDS in file, is_official_c3d(file, key)
        first = list(file)[:3]
    if suffix or (is_store and (key or transposed)):
        raise InputError("a file whose arrays have their place", file=path, found=suffix or key,
                         expected="no --key, --suffix or --transpose")  # fmt: skip
    if is_store:
        return FeatureStore(path, timing)
    if is_c3d:
        return OfficialC3D(path, timing, key, transposed)
    raise InputError(
        "no layout of features that is known", file=path, found=first,
        expected=f"/features and /index (a store), or /v_<id>/{key or C3D}",
    )  # fmt: skip

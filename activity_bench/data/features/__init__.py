"""Features on the disk: a store that says what it holds, how it is written, and other people's layouts."""

from __future__ import annotations

from pathlib import Path

from activity_bench.data.features.foreign import ArrayFolder, OfficialC3D, is_official_c3d
from activity_bench.data.features.hdf5 import damage, open_hdf5
from activity_bench.data.features.parts import PartsWriter, pack, parts_folder, write_store
from activity_bench.data.features.store import FEATURES, IDS, FeatureStore
from activity_bench.data.features.words import Attributes, Provider, Timing, check_rows
from activity_bench.errors import InputError

__all__ = [
    "ArrayFolder",
    "Attributes",
    "FeatureStore",
    "OfficialC3D",
    "PartsWriter",
    "Provider",
    "Timing",
    "check_rows",
    "open_features",
    "pack",
    "parts_folder",
    "write_store",
]


def open_features(path: Path, timing: Timing | None = None) -> FeatureStore | OfficialC3D | ArrayFolder:
    """Features in whichever layout they are: a store, the official C3D file, or a folder of npy or npz."""
    path = Path(path)
    if path.suffix == ".parts" or (not path.exists() and parts_folder(path).is_dir()):
        raise InputError("these features are not finished", file=path, hint="Run the extraction again: it resumes.")
    if path.is_dir():
        return ArrayFolder(path, timing)
    with damage(path), open_hdf5(path) as file:
        is_store, is_c3d, first = FEATURES in file and IDS in file, is_official_c3d(file), list(file)[:3]
    if is_store:
        return FeatureStore(path, timing)
    if is_c3d:
        return OfficialC3D(path, timing)
    raise InputError(
        "no layout of features that is known", file=path, found=first,
        expected="/features and /index (a store), or /v_<id>/c3d_features",
    )  # fmt: skip

"""Files of numbers to begin with, and what reads them: features, word vectors, weights, pictures."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from activity_bench.data import attention, embeddings
from activity_bench.data.features import Attributes, PartsWriter, Timing, images, open_features, write_store
from activity_bench.data.features.parts import part_name, parts_folder
from activity_bench.errors import InputError
from tests.data import vectors

MIB = 1 << 20
MADE = Attributes("c3d", "none", "none", "none", 30.0, 16, 8, 0, "float32", "fc7", "none", 4)
TIMING = Timing(30.0, 16, 8)
KEPT = tempfile.TemporaryDirectory(prefix="fuzz-")  # what is made once
LABELS = ["Diving", "play golf", "JavelinThrow"]


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def page(value: Any) -> bytes:
    return json.dumps(value).encode()


# ---- features -------------------------------------------------------------------------------------------------------


def array(rows: int, dim: int = 4) -> Any:
    return np.arange(rows * dim, dtype=np.float32).reshape(rows, dim) / 8


def stores() -> list[bytes]:
    """A store with images, the official layout, and a part."""
    import h5py

    with scratch() as folder:
        write_store(folder / "s.h5", MADE, [("a", array(3)), ("é b", array(2))])
        whole = images.Image(array(2, 5), np.full((2, 4), 0.5, np.float32), np.ones(3, np.float32))
        images.add_images(folder / "s.h5", [(("a", 1.5), whole)], {"detector": "x"})
        with h5py.File(folder / "c.h5", "w") as file:
            file.create_dataset("v_a/c3d_features", data=array(40), chunks=(8, 4), compression="gzip")
            file.create_dataset("v_b/c3d_features", data=array(6))
        return [(folder / name).read_bytes() for name in ("s.h5", "c.h5")]


def read_features(path: Path) -> object:
    """Everything that a store or a folder of arrays hands out; as (dim, rows), too, which may fit no video."""
    with suppress(InputError):
        walk(open_features(path, TIMING, transposed=True))
    return walk(open_features(path, TIMING))


def walk(found: Any) -> None:
    for video in list(found.ids())[:8]:
        if found.rows(video) * found.dim < MIB:
            found.raw(video)
    assert found.digest
    if found.images is not None:
        for frame in found.images.frames()[:8]:
            found.images.image(*frame)
    for look in ("damaged", "strangers"):
        getattr(found, look, list)()


def parts() -> list[bytes]:
    with scratch() as folder:
        PartsWriter(folder / "s.h5", MADE).write("a", array(3), {"note": "x"})
        return [next(parts_folder(folder / "s.h5").iterdir()).read_bytes()]


def read_parts(path: Path) -> object:
    """As a job finds it that goes on. The name of a part is a hash of its video's id."""
    with scratch() as folder:
        writer = PartsWriter(folder / "s.h5", MADE)
        writer.folder.mkdir()
        shutil.copyfile(path, writer.folder / part_name("a"))
        return writer.done()


def arrays(suffix: str) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        if suffix == ".csv":
            return [b"f0,f1,f2\n0.5,1,2\n3,4,5e-1\n", b"1.5 ,2\n3,nan\n"]
        if suffix == ".npy":
            return [vectors.npy(array(3)), vectors.npy(np.asfortranarray(array(3).astype(np.float16)))]
        with scratch() as folder:
            np.savez(folder / "a.npz", features=array(3))
            np.savez_compressed(folder / "b.npz", feats=array(3), other=array(2))
            return [(folder / name).read_bytes() for name in ("a.npz", "b.npz")]

    return seeds


def read_array(path: Path) -> object:
    return read_features(path.parent)


def maps() -> list[bytes]:
    with scratch() as folder:
        about = attention.About("cgbm", "sha256:0", "test", "columns", ("m",))
        attention.write(folder / "a.h5", about, ["s"], [(1, 2, 3)], [(0.0, 2.0)], [np.ones((1, 2, 3), np.float16)])
        return [(folder / "a.h5").read_bytes()]


# ---- word vectors -----------------------------------------------------------------------


def word_files() -> list[bytes]:
    words, rows = ["diving", "golf", "Javelin", "Throw", "play"], np.arange(15, dtype=np.float32).reshape(5, 3) / 4
    gzipped = gzip.compress(vectors.text(words, rows), mtime=0)
    return [*(write(words, rows) for write in (vectors.glove, vectors.text, vectors.binary, vectors.npz)), gzipped]


def read_words(path: Path) -> object:
    """With and without the name of a compressed file."""
    try:
        embeddings.read_words(path, LABELS)
    except InputError:
        shutil.copyfile(path, path.with_suffix(".gz"))
        return embeddings.read_words(path.with_suffix(".gz"), LABELS)
    return None


def named_vectors() -> list[bytes]:
    return [vectors.npy(array(3)), b"diving\ngolf\njavelin\n", page(["diving", "golf", "a"])]


def read_named_array(path: Path) -> object:
    """An npy of vectors whose names lie beside it; then the names themselves are what is read."""
    data = path.read_bytes()
    beside, whole = path.with_name("words.json"), path.with_name("words.npy")
    is_array = data.startswith(b"\x93NUMPY")
    whole.write_bytes(data if is_array else vectors.npy(array(3)))
    beside.write_bytes(page(["diving", "golf", "javelin"]) if is_array else data)
    return embeddings.read_words(whole, ["diving", "golf"])


# ---- weights and pictures --------------------------------------------------------------------------------------------


def safetensors() -> list[bytes]:
    from safetensors.torch import save

    return [save({**{name: tensor.contiguous() for name, tensor in network().state_dict().items()}})]


@cache
def network() -> Any:
    import torch

    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))


def checkpoints() -> list[bytes]:
    import torch

    with scratch() as folder:
        page_ = {"state_dict": dict(network().state_dict()), "epoch": 3}
        torch.save(page_, folder / "new.pt")
        torch.save(page_, folder / "old.pt", _use_new_zipfile_serialization=False)
        return [(folder / name).read_bytes() for name in ("new.pt", "old.pt")]


def read_weights(path: Path) -> object:
    from activity_bench.features import weights
    from activity_bench.training import checkpoint

    if path.suffix == ".pt":
        return weights.fill(network(), path, str, "no")
    with suppress(InputError):
        weights.fill(network(), path, str, "no")
    return checkpoint.read_weights(path, network())


def projections() -> list[bytes]:
    from activity_bench.features import projection

    account = projection.Account("c3d", "none", "fc7", "sha256:0", "sha256:1", ("a",), 9, 0.5)
    with scratch() as folder:
        made = projection.Projection(np.zeros(4, np.float32), np.eye(2, 4, dtype=np.float32), np.ones(2), account)
        projection.write(made, folder / "p.safetensors")
        return [(folder / "p.safetensors").read_bytes()]


def read_projection(path: Path) -> object:
    from activity_bench.features import projection

    return projection.read(path)(array(2))


def read_settings(path: Path) -> object:
    from activity_bench.workflow.train import configured

    return configured(path)


def states() -> list[bytes]:
    counters = {"step": 3, "best": 0.5, "best_step": 2, "stale": 0, "seconds": 1.5}
    named = {"tensors": "state-3.safetensors", "sha256": sha256(safetensors()[0]).hexdigest()}
    return [page({"format": 1, **counters, **named})]


def read_state(path: Path) -> object:
    """A training's folder whose state was changed; the tensors that it named are there."""
    from activity_bench.training.checkpoint import Folder

    path.with_name("state-3.safetensors").write_bytes(safetensors()[0])
    return Folder(path.parent).state()


def pictures() -> list[bytes]:
    import av

    pixels = (np.arange(16 * 24 * 3) % 251).astype(np.uint8).reshape(16, 24, 3)
    found = []
    for codec, kind, layout in (
        ("png", "image2pipe", "rgb24"),
        ("mjpeg", "image2pipe", "yuvj420p"),
        ("bmp", "image2pipe", "bgr24"),
    ):
        stream = io.BytesIO()
        with av.open(stream, "w", format=kind) as out:
            made = out.add_stream(codec, rate=1)
            made.width, made.height, made.pix_fmt = 24, 16, layout
            out.mux([*made.encode(av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=layout)), *made.encode()])
        found.append(stream.getvalue())
    exif = b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    return [*found, found[1][:2] + exif + found[1][2:]]


def read_picture(path: Path) -> object:
    from activity_bench.features.images import read_image

    return read_image(path)

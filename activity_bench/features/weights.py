"""Weights of networks that others trained: read without running a line of what is read, matched name by name.

A `.safetensors` file, or whatever `torch.save` wrote (`.pt`, `.pth`, `.pickle`), of which tensors and plain values
alone are taken. Names and shapes are compared with a network on the `meta` device before any weight is read; a file of
torch's old format says its shapes only when it is read, so its size is looked at first.
"""

from __future__ import annotations

import math
import re
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors
import torch
from torch import Tensor, nn

from activity_bench import chance
from activity_bench.data import disk
from activity_bench.errors import InputError, printable

SEED = 0  # of random weights
LIMIT = 1 << 32  # bytes of a file in torch's old format, which is held whole
WRAPPERS = ("state_dict", "model_state_dict", "model", "net")  # under which training scripts keep the tensors
BLOCK = 1 << 20  # random numbers that are made at a time
# What `torch.load` raises of bytes that are no checkpoint: its unpickler walks over whatever is there.
DAMAGE = (
    RuntimeError, ValueError, LookupError, TypeError, AttributeError, EOFError, AssertionError, OverflowError, OSError,
    struct.error, zipfile.BadZipFile, MemoryError,
    torch.serialization.pickle.PickleError,  # type: ignore[attr-defined]
)  # fmt: skip


class Found(NamedTuple):
    """A file's tensors: their shapes by name, how to read one, and the plain values that stand beside them."""

    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], Tensor]
    notes: Mapping[str, Any]


def fill(network: nn.Module, path: Path, own_name: Callable[[str], str], beyond: str) -> Mapping[str, Any]:
    """Give a network on the `meta` device, or on the CPU, the weights of a file; the plain values beside them.

    `own_name` says what a name in the file is called here; names that match `beyond` belong to layers after those that
    are run. The first weight that is missing, of another shape, or of another network is an error that names it.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items() if not _is_counter(name)}
    with _opened(Path(path)) as found:
        names: dict[str, str] = {}
        for name in found.shapes:
            own = own_name(name.removeprefix("module."))  # what was trained on several GPUs at once
            if own in names:
                raise InputError("a weight that stands twice", file=path, field=printable(name), found=names[own])
            names[own] = name
        shapes = {own: found.shapes[name] for own, name in names.items()}
        for own, shape in wanted.items():
            if shapes.get(own) != shape:
                raise _other(path, names.get(own, own), shapes.get(own, "none"), str(shape))
        for own, name in names.items():
            if own not in wanted and not _is_counter(own) and not re.fullmatch(beyond, own):
                raise _other(path, name, shapes[own], "none of this name")
        _materialise(network)
        state = network.state_dict()
        for own in wanted:
            tensor = found.read(names[own])
            same_kind = tensor.is_floating_point() == state[own].is_floating_point()
            if not (same_kind and tensor.to(state[own].dtype).isfinite().all()):
                raise InputError("not finite numbers of the right type", file=path, field=printable(names[own]),
                                 found=str(tensor.dtype), expected=str(state[own].dtype))  # fmt: skip
            state[own].copy_(tensor)
        _zero_counters(state)
        return found.notes


def fill_at_random(network: nn.Module, seed: int = SEED) -> None:
    """Give a network on the `meta` device, or on the CPU, random weights: the same numbers on every machine.

    Uniform, with the variance that keeps signals alive through rectifiers (He et al. 2015); no bias, and normalisations
    that do nothing.
    """
    _materialise(network)
    for name, tensor in network.state_dict().items():
        if tensor.dim() > 1 and tensor.is_floating_point():
            key = chance.key(seed, f"{type(network).__name__}/{name}", "random weights")
            bound = math.sqrt(6 / math.prod(tensor.shape[1:]))
            tensor.copy_(torch.from_numpy(_uniform(key, tensor.numel(), bound)).view(tensor.shape))
        elif tensor.is_floating_point() or _is_counter(name):  # what is left are tables of places
            tensor.fill_(float(name.endswith(("running_var", "weight"))))


def _materialise(network: nn.Module) -> None:
    if any(tensor.is_meta for tensor in network.state_dict().values()):
        network.to_empty(device="cpu")


def _uniform(key: int, count: int, bound: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Numbers in (-bound, bound), from integers by operations that round alike everywhere. (count,)"""
    numbers = np.empty(count, np.float32)
    for first in range(0, count, BLOCK):
        places = np.arange(first, min(first + BLOCK, count), dtype=np.uint64)
        bits = (chance.mix(places ^ np.uint64(key)) >> np.uint64(41)).astype(np.float32)  # 23 bits, exact
        numbers[first : first + BLOCK] = ((bits + np.float32(0.5)) * np.float32(2.0**-22) - 1) * np.float32(bound)
    return numbers


def _is_counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")  # old checkpoints lack it, and evaluation does not read it


def _zero_counters(state: Mapping[str, Tensor]) -> None:
    for name, tensor in state.items():
        if _is_counter(name):
            tensor.zero_()


def _other(path: Path, name: str, found: object, expected: str) -> InputError:
    return InputError(
        "the weights of another network", file=path, field=printable(name), found=found, expected=expected
    )


# ---- files ----------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(path: Path) -> Iterator[Found]:
    with disk.open_read(path) as stream:  # a missing file, a folder: said in the words of every other reader
        size = stream.seek(0, 2)
    if path.suffix == ".safetensors":
        try:
            with safetensors.safe_open(path, "pt") as file:
                shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
                yield Found(shapes, file.get_tensor, {})
        except safetensors.SafetensorError as error:
            raise InputError(f"not a whole file of weights: {error}", file=path) from None
        return
    page = _torch(path, size)
    wrapped = next((page[name] for name in WRAPPERS if isinstance(page.get(name), Mapping)), page)
    tensors = {name: value for name, value in wrapped.items() if isinstance(name, str) and _is_plain(value)}
    notes = {name: value for name, value in page.items() if isinstance(value, str | int | float | bool)}
    yield Found({name: tuple(tensor.shape) for name, tensor in tensors.items()}, tensors.__getitem__, notes)


def _is_plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout is torch.strided and not value.is_quantized


def _torch(path: Path, size: int) -> Mapping[Any, Any]:
    """What `torch.save` wrote. The new format is mapped, not read; what it holds cannot be larger than the file."""
    try:
        is_zip = zipfile.is_zipfile(path)
        if is_zip:
            with zipfile.ZipFile(path) as archive:
                if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                    raise InputError("a compressed archive, and no file of weights", file=path)
        elif size > LIMIT:
            raise InputError("too large to be what it should be", file=path, expected=f"at most {LIMIT:,} bytes",
                             hint="Save it again with a newer torch, or as .safetensors.")  # fmt: skip
        with warnings.catch_warnings():  # of what is no checkpoint, before it is refused
            warnings.simplefilter("ignore")
            page = torch.load(path, map_location="cpu", weights_only=True, mmap=True if is_zip else None)
    except DAMAGE as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"no file of weights that can be read safely: {printable(reason)}", file=path,
            hint="Save the state_dict alone, with torch.save or as .safetensors.",
        ) from None  # fmt: skip
    if not isinstance(page, Mapping):
        raise InputError("no file of weights", file=path, found=type(page).__name__, expected="tensors by name")
    return page

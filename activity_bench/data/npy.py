"""The header of an npy file, read before anything else of it is: no pickle, and no larger than can be."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from activity_bench.errors import InputError

MOST = 1 << 50  # bytes of an array: a claim beyond it is none that NumPy can count with


def read_header(stream: Any, file: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an npy file's array, which is no pickle and may lie on some disk."""
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise InputError("an npy file of another version", file=file, found=version, expected="1.0 or 2.0")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that Python 2 wrote it
        shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise InputError("pickled objects: such a file can run code, and is never read", file=file)
    if math.prod(shape) * max(dtype.itemsize, 1) > MOST:
        raise InputError("an array larger than its file", file=file, found=shape)
    return shape, dtype

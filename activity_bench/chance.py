"""Seeded draws from a hash of (seed, item, purpose): the only source of chance in the house.

There is no stream, so nothing depends on how many draws came before: adding one video changes only what is drawn for
it. The arithmetic is blake2b and 64-bit integer mixing (the finaliser of splitmix64), so the draws are the same on
every machine, Python and NumPy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from activity_bench.errors import InputError

Keys = NDArray[np.uint64]

CELLS = 1 << 15  # pairs that are hashed at a time: they stay in the cache
_S1, _S2, _S3 = np.uint64(30), np.uint64(27), np.uint64(31)
_M1, _M2, _GOLDEN = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB), np.uint64(0x9E3779B97F4A7C15)


def key(seed: int, item: str, purpose: str) -> int:
    """64 bits that belong to this item, purpose and seed."""
    text = _head(seed, purpose) + item.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


def _head(seed: int, purpose: str) -> bytes:
    # the length is hashed too, so that ("ab", "c") and ("a", "bc") differ
    return f"{seed}\0{len(purpose)}\0{purpose}\0".encode("utf-8", "surrogatepass")


def keys(seed: int, items: Iterable[str], purpose: str) -> Keys:
    """`key` of every item, as an array."""
    start = blake2b(_head(seed, purpose), digest_size=8)

    def digests() -> Iterator[bytes]:
        for item in items:
            hasher = start.copy()
            hasher.update(item.encode("utf-8", "surrogatepass"))
            yield hasher.digest()

    return np.frombuffer(b"".join(digests()), "<u8").astype(np.uint64)


def mix(x: Keys) -> Keys:
    """A bijection of 64-bit numbers whose output looks random (splitmix64)."""
    with np.errstate(over="ignore"):
        x = x + _GOLDEN
        for shift, factor in ((_S1, _M1), (_S2, _M2)):
            x ^= x >> shift
            x *= factor
        x ^= x >> _S3
    return x


def number(seed: int, item: str, purpose: str) -> float:
    """One number in [0, 1)."""
    return (key(seed, item, purpose) >> 11) * 2.0**-53


def integer(seed: int, item: str, purpose: str, low: int, high: int) -> int:
    """One integer in [low, high), every value equally likely (to 2^-64)."""
    if not low < high:
        raise ValueError(f"empty range [{low}, {high})")
    return low + (key(seed, item, purpose) * (high - low) >> 64)


def shuffled(seed: int, items: Iterable[str], purpose: str) -> list[str]:
    """The items in an order of chance; one more item does not reorder the others."""
    return sorted(items, key=lambda item: (key(seed, item, purpose), item))


def legacy(seed: int) -> np.random.RandomState:
    """The stream that a published script drew from, to replay its draws and for nothing else. NumPy has frozen it."""
    return np.random.RandomState(seed)


def rendezvous(askers: Keys, candidates: Keys, allowed: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """For each asker the candidate it meets: the one whose hash with it is greatest, or -1 where none is allowed.

    A new candidate takes only the askers that now rank it first; everybody else keeps their partner.
    (askers,), (candidates,), (askers, candidates) -> (askers,)
    """
    return meetings(askers, candidates, allowed, 1)[:, 0]


def meetings(askers: Keys, candidates: Keys, allowed: NDArray[np.bool_] | None, count: int) -> NDArray[np.int64]:
    """The `count` candidates that each asker meets first, in order; -1 where no more are allowed. (askers, count)"""
    met = np.full((len(askers), count), -1, np.int64)
    chunk = max(1, CELLS // max(1, len(candidates)))
    for first in range(0, len(askers), chunk):
        some = slice(first, first + chunk)
        hashes = mix(mix(askers[some])[:, None] ^ candidates) | np.uint64(1)  # (some, candidates)
        if allowed is not None:
            hashes *= allowed[some]  # 0 is kept for "not allowed"
        rows = np.arange(len(hashes))
        for place in range(min(count, len(candidates))):
            best = hashes.argmax(axis=1)
            met[some, place] = np.where(hashes[rows, best] > 0, best, -1)
            hashes[rows, best] = 0
    return met


def split_classes(seed: int, labels: Iterable[str], purpose: str, val: int = 0, test: int = 0) -> dict[str, str]:
    """Class -> train, val or test, a tenth each unless said. A class's place in the order of chance is its own."""
    order = shuffled(seed, labels, purpose)
    tenth = max(1, round(len(order) / 10))
    test, val = test or tenth, val or tenth
    if order and test + val >= len(order):
        raise InputError("too few classes", field="val_classes, test_classes", found=f"{len(order)} usable classes",
                         expected=f"more than the {val} + {test} of val and test")  # fmt: skip
    return {label: "test" if i < test else "val" if i < test + val else "train" for i, label in enumerate(order)}

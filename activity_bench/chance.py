"""Seeded draws from a hash of (seed, item, purpose): the only source of chance in the house.

There is no stream, so nothing depends on how many draws came before: adding one video changes only what is drawn for
it. The arithmetic is blake2b and 64-bit integer mixing (the finaliser of splitmix64), so the draws are the same on
every machine, Python and NumPy.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]

_M1, _M2, _GOLDEN = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB), np.uint64(0x9E3779B97F4A7C15)


def key(seed: int, item: str, purpose: str) -> int:
    """64 bits that belong to this item, purpose and seed."""
    # lengths are hashed too, so that ("ab", "c") and ("a", "bc") differ
    text = f"{seed}\0{len(purpose)}\0{purpose}\0{item}"
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def keys(seed: int, items: Iterable[str], purpose: str) -> Keys:
    """`key` of every item, as an array."""
    return np.fromiter((key(seed, item, purpose) for item in items), np.uint64)


def mix(x: Keys) -> Keys:
    """A bijection of 64-bit numbers whose output looks random (splitmix64)."""
    with np.errstate(over="ignore"):
        x = x + _GOLDEN
        x = (x ^ (x >> np.uint64(30))) * _M1
        x = (x ^ (x >> np.uint64(27))) * _M2
        return np.asarray(x ^ (x >> np.uint64(31)), np.uint64)


def uniform(x: Keys) -> NDArray[np.float64]:
    """A number in [0, 1) for every key, exact: 53 of its bits."""
    return np.asarray((x >> np.uint64(11)) * 2.0**-53, np.float64)


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
    if len(candidates) == 0:
        return np.full(len(askers), -1, np.int64)
    meeting = mix(mix(askers)[:, None] ^ candidates[None, :])  # (askers, candidates)
    if allowed is not None:
        meeting = np.where(allowed, meeting | np.uint64(1), np.uint64(0))  # 0 is kept for "not allowed"
    best = meeting.argmax(axis=1)
    found = np.ones(len(askers), bool) if allowed is None else allowed.any(axis=1)
    return np.where(found, best, -1).astype(np.int64)

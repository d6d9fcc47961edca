"""Chance by hash: an independent formula, no bias, and nothing that depends on what else is drawn."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench import chance
from activity_bench.errors import InputError

pytestmark = pytest.mark.quick

NAMES = st.lists(st.text(max_size=8), min_size=1, max_size=12, unique=True)
WORD = 2**64


def by_hand(seed: int, item: str, purpose: str) -> int:
    """The definition, written a second time."""
    message = b"\0".join([str(seed).encode(), str(len(purpose)).encode(), purpose.encode(), item.encode()])
    return sum(byte << 8 * place for place, byte in enumerate(hashlib.blake2b(message, digest_size=8).digest()))


def splitmix(x: int) -> int:
    """The finaliser of splitmix64 (Vigna, https://prng.di.unimi.it/splitmix64.c), in whole numbers of any size."""
    x = (x + 0x9E3779B97F4A7C15) % WORD
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % WORD
    x = (x ^ x >> 27) * 0x94D049BB133111EB % WORD
    return x ^ x >> 31


@given(st.integers(0, 2**63), st.text(max_size=20), st.text(max_size=20))
def test_a_key_is_the_hash(seed: int, item: str, purpose: str) -> None:
    key = by_hand(seed, item, purpose)
    assert chance.key(seed, item, purpose) == key
    assert chance.keys(seed, [item, item], purpose).tolist() == [key, key]
    assert chance.number(seed, item, purpose) == (key >> 11) / 2**53
    assert chance.integer(seed, item, purpose, -3, 97) == -3 + key * 100 // WORD


def test_mix_is_splitmix64_as_published() -> None:
    # the generator's first outputs from state 1234567: https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64
    states = np.array([(1234567 + i * 0x9E3779B97F4A7C15) % WORD for i in range(3)], np.uint64)
    assert chance.mix(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(st.lists(st.integers(0, WORD - 1), max_size=20))
def test_mix_in_whole_numbers(values: list[int]) -> None:
    assert chance.mix(np.array(values, np.uint64)).tolist() == [splitmix(value) for value in values]


def test_where_the_parts_end_matters() -> None:
    keys = {chance.key(0, item, purpose) for item, purpose in [("ab", "c"), ("a", "bc"), ("b\0c", "a"), ("c", "a\0b")]}
    assert len(keys) == 4


def test_numbers_are_spread_evenly() -> None:
    values = [chance.number(7, str(i), "spread") for i in range(20_000)]
    counts = np.histogram(values, 20, (0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 43.8  # chi-square of 19 degrees at 0.1 %


def test_integers_are_unbiased() -> None:
    counts = Counter(chance.integer(3, str(i), "die", 1, 7) for i in range(12_000))
    assert set(counts) == set(range(1, 7))
    assert sum((count - 2000) ** 2 / 2000 for count in counts.values()) < 20.5  # 5 degrees at 0.1 %


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(ValueError, match="empty range"):
        chance.integer(0, "a", "b", 5, 5)


def test_every_order_is_equally_likely() -> None:
    counts = Counter(tuple(chance.shuffled(seed, "abc", "order")) for seed in range(6000))
    assert set(counts) == set(permutations("abc"))
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 20.5


@given(NAMES, st.text(max_size=8), st.integers(0, 99))
def test_one_more_item_reorders_nobody(names: list[str], new: str, seed: int) -> None:
    before = chance.shuffled(seed, names, "order")
    after = chance.shuffled(seed, {*names, new}, "order")
    assert [name for name in after if name in names] == before


def meet(askers: list[str], candidates: list[str], allowed: Callable[[str, str], bool]) -> dict[str, str | None]:
    mask = np.array([[allowed(a, c) for c in candidates] for a in askers]).reshape(len(askers), len(candidates))
    met = chance.rendezvous(chance.keys(5, askers, "asker"), chance.keys(5, candidates, "candidate"), mask)
    return {a: candidates[i] if i >= 0 else None for a, i in zip(askers, met.tolist(), strict=True)}


def hashed(asker: str, candidate: str) -> bool:
    """Some pairs are allowed, by content."""
    return by_hand(1, f"{asker}\0{candidate}", "allowed") % 3 > 0


@given(NAMES, NAMES)
def test_each_meets_its_highest_hash(askers: list[str], candidates: list[str]) -> None:
    for asker, partner in meet(askers, candidates, hashed).items():
        own = splitmix(by_hand(5, asker, "asker"))
        ranked = {c: splitmix(own ^ by_hand(5, c, "candidate")) for c in candidates if hashed(asker, c)}
        assert partner == max(ranked, key=ranked.__getitem__, default=None)


@given(NAMES, NAMES, st.randoms(use_true_random=False))
def test_the_order_of_candidates_is_nothing(askers: list[str], candidates: list[str], rng) -> None:
    before = meet(askers, candidates, hashed)
    shuffled = candidates[:]
    rng.shuffle(shuffled)
    assert meet(askers, shuffled, hashed) == before
    assert {a: c for asker in askers for a, c in meet([asker], candidates, hashed).items()} == before


@given(NAMES, NAMES, st.text(min_size=9, max_size=10))
def test_a_new_candidate_takes_only_its_own(askers: list[str], candidates: list[str], new: str) -> None:
    before, after = meet(askers, candidates, hashed), meet(askers, [*candidates, new], hashed)
    assert all(after[asker] in (before[asker], new) for asker in askers)


def test_without_a_mask_all_are_allowed() -> None:
    askers, candidates = chance.keys(0, "abcdef", "a"), chance.keys(0, "uvwxyz", "c")
    assert (chance.rendezvous(askers, candidates) >= 0).all()
    assert chance.rendezvous(askers, candidates[:0]).tolist() == [-1] * 6
    assert chance.rendezvous(askers[:0], candidates).tolist() == []
    assert chance.rendezvous(askers, candidates, np.zeros((6, 6), bool)).tolist() == [-1] * 6


@given(NAMES, NAMES, st.integers(1, 5))
def test_the_first_few_meetings(askers: list[str], candidates: list[str], count: int) -> None:
    """The first is the partner; the next is whom it would meet if the first were not there."""
    a, c = chance.keys(5, askers, "asker"), chance.keys(5, candidates, "candidate")
    allowed = np.array([[hashed(x, y) for y in candidates] for x in askers])
    met = chance.meetings(a, c, allowed, count)
    for place in range(count):
        assert met[:, place].tolist() == chance.rendezvous(a, c, allowed).tolist()
        for asker, partner in enumerate(met[:, place]):
            allowed[asker, partner] = allowed[asker, partner] and partner < 0


@given(st.sets(st.text(max_size=5), min_size=3, max_size=45), st.integers(0, 9))
def test_classes_split_by_tenths(labels: set[str], seed: int) -> None:
    split = chance.split_classes(seed, labels, "split")
    tenth = max(1, round(len(labels) / 10))
    assert Counter(split.values()) == {"train": len(labels) - 2 * tenth, "val": tenth, "test": tenth}
    assert split.keys() == labels
    few = chance.split_classes(seed, labels, "split", val=1, test=1)
    new = chance.split_classes(seed, {*labels, "a new one"}, "split", val=1, test=1)
    assert sum(few[label] != new[label] for label in labels) <= 2  # the newcomer pushes one out of each, at most


def test_classes_that_do_not_suffice() -> None:
    assert chance.split_classes(0, (), "split") == {}
    with pytest.raises(InputError, match="too few classes"):
        chance.split_classes(0, "ab", "split")


def test_everybody_is_met_equally_often() -> None:
    askers = chance.keys(0, map(str, range(12_000)), "asker")
    counts = np.bincount(chance.rendezvous(askers, chance.keys(0, "abcdef", "candidate")), minlength=6)
    assert ((counts - 2000) ** 2 / 2000).sum() < 20.5


def test_the_hash_seed_of_python_is_nothing(environment: Callable[..., dict[str, str]]) -> None:
    program = (
        "from activity_bench import chance; names = set('abcdefghij');"
        "print(chance.shuffled(1, names, 'p'), [chance.key(1, n, 'é') for n in sorted(names)])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program], env=environment(PYTHONHASHSEED=seed), capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "random")
    }
    assert len(said) == 1

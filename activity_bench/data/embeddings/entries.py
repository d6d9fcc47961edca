"""What is looked for in a file of word vectors, and what was found there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]

MAX_DIM = 1 << 14  # numbers of a vector: known word vectors have some hundreds, language models 12,288
_POSSESSIVE = re.compile(r"['’]s\b")  # not a word of its own: "person's head" is person head
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])")  # JavelinThrow, BMXRacing, 3DPrinting
_WORD = re.compile(r"[^\W_]+")


def words_of(label: str) -> tuple[str, ...]:
    """The words of a class's name as they are spelt, numbers among them.

    >>> words_of("JavelinThrow"), words_of("massaging person's head"), words_of("ice_hockey 2")
    (('Javelin', 'Throw'), ('massaging', 'person', 'head'), ('ice', 'hockey', '2'))
    """
    return tuple(_WORD.findall(_CAMEL.sub(" ", _POSSESSIVE.sub("", label))))


def spellings(word: str) -> tuple[str, ...]:
    """How a word may stand in a file, best first: as it is spelt, in lower case, capitalised."""
    return tuple(dict.fromkeys((word, word.lower(), word.capitalize())))


def folded(name: str) -> str:
    """A class's name without capitals, spaces and punctuation: `JavelinThrow` and `javelin throw` are one."""
    return "".join(_WORD.findall(name.lower()))


@dataclass(frozen=True)
class Wanted:
    """The entries that some labels can use."""

    spelt: frozenset[str]  # labels and words, in each of their spellings
    folded: frozenset[str]  # labels without capitals, spaces and punctuation: for files that name classes

    @classmethod
    def of(cls, labels: Iterable[str]) -> Wanted:
        """What these labels can use."""
        labels = tuple(labels)
        words = {spelt for label in labels for word in words_of(label) for spelt in spellings(word)}
        return cls(frozenset(words.union(labels)) - {""}, frozenset(map(folded, labels)) - {""})


@dataclass
class Found:
    """Entries by name; of a name that stands twice the first counts."""

    dim: int
    spelt: dict[str, Vector] = field(default_factory=dict)
    folded: dict[str, Vector] = field(default_factory=dict)
    repeated: int = 0  # entries after the first of a wanted name


def as_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """Single precision; a number too large for it becomes infinite, and is refused where it is known whose it is."""
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float32)

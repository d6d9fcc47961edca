"""Classes that are learnt and classes that are asked for, and how what is said of the ones is said of the others.

CVPR 2020, section 3.2, follows Objects2Action (ICCV 2015): affinities are the cosines of word vectors, and a class that
is asked for has the sum of the activations of the classes most like it, each times its affinity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import torch
from torch import Tensor

from activity_bench.data import canonical, disk
from activity_bench.data.embeddings import Embedded, affinities, read_words
from activity_bench.errors import InputError, unknown
from activity_bench.segments import Floats
from activity_bench.training.videos import labels_of
from activity_bench.types import Sample

FILE = "classes.json"
TARGET = "target"  # the vocabulary that test lines ask for


@dataclass(frozen=True)
class Classes:
    """Names, in order of the network's outputs, and of what is asked for."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    pseudo: int = 0  # outputs of the classifier under the transfer layer, where there is one
    words: str | None = None  # the file that the affinities in the weights are of

    @classmethod
    def of(
        cls, train: Sequence[Sample], vocabularies: Mapping[str, Sequence[str]], pseudo: int, words: str = ""
    ) -> Classes:
        """Those of training lines, sorted, and the manifest's `target`; where it has none, the same are asked for.

        A line's classes are of the list that it names: what zero-shot left out of the source may not come back.
        """
        lists = {name: dict.fromkeys(words) for name, words in vocabularies.items()}
        for sample in train:
            labels, known = labels_of(sample), lists.get(str(sample.query.vocabulary))
            if not labels:
                raise InputError("this method learns from the classes of videos", field=sample.id, found="no label")
            if strange := [label for label in labels if known and label not in known]:
                raise unknown(f"class: the manifest's vocabulary {sample.query.vocabulary} lacks it", strange[0],
                              known or (), field=sample.id)  # fmt: skip
        source = tuple(sorted({label for sample in train for label in labels_of(sample)}))
        return cls(source, asked(vocabularies, TARGET) or source, pseudo, words)

    def write(self, folder: Path) -> None:
        """Beside the weights, which know no names."""
        folder.mkdir(parents=True, exist_ok=True)
        with disk.atomic(folder / FILE) as stream:
            stream.write(canonical.page({"format": 1, **asdict(self)}))

    @classmethod
    def read(cls, folder: Path) -> Classes:
        """Those of a run."""
        page: _Page = canonical.read_page(disk.read_bytes(folder / FILE), folder / FILE, _Page)
        return cls(tuple(page.source), tuple(page.target), page.pseudo, page.words)


def asked(vocabularies: Mapping[str, Sequence[str]], name: str) -> tuple[str, ...]:
    """The classes of a manifest's list, each once; none where it has no such list."""
    return tuple(dict.fromkeys(vocabularies.get(name, ())))


class _Page(msgspec.Struct, forbid_unknown_fields=True):
    format: Literal[1]
    source: list[str]
    target: list[str]
    pseudo: int
    words: str | None = None


def affinity(source: Sequence[str], target: Sequence[str], words: str) -> Floats:
    """The cosine of every two classes' vectors. Where every class that is asked for is learnt by its own name, that
    class alone counts, and no words are read. (C, T)"""
    places = {label: place for place, label in enumerate(source)}
    lacking = [label for label in target if label not in places]
    if not lacking:
        return np.asarray(np.eye(len(source))[:, [places[label] for label in target]])
    if not words:
        raise InputError(
            f"{len(lacking):,} of {len(target):,} classes that are asked for are none that is trained on",
            field="words", found=", ".join(lacking[:3]),
            expected="word vectors, by which what is learnt is transferred", hint="--set words=FILE",
        )  # fmt: skip
    return affinities(source, target, _read(words, (*source, *target)))


def left_out(classes: Classes) -> str:
    """What a training says of the words that have no vector, where words are read and some have none."""
    if not classes.words or set(classes.target) <= set(classes.source):
        return ""
    lacking = sorted(_read(classes.words, (*classes.source, *classes.target)).unknown.items())
    if not lacking:
        return ""
    listed = ", ".join(f"{word} ({label})" for label, words in lacking[:3] for word in words)
    more = ", …" if len(lacking) > 3 else ""
    return f"{len(lacking):,} classes have words without a vector, which count for nothing: {listed}{more}"


@lru_cache(maxsize=2)  # a file of words may be large, and is asked before a training, in it and after it
def _read(words: str, labels: tuple[str, ...]) -> Embedded:
    return read_words(words, labels)


def nearest(affinity: Tensor, count: int) -> Tensor:
    """The affinities of the `count` classes that are most like each class asked for, 0 of all others; 0 for all; of
    equal ones the first. (C, T) -> (C, T)"""
    if not 0 < count < len(affinity):
        return affinity
    order = affinity.sort(dim=0, descending=True, stable=True).indices
    return torch.zeros_like(affinity).scatter(0, order[:count], affinity.gather(0, order[:count]))

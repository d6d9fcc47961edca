"""Word vectors of class names: read from a file in any of the usual formats, averaged by label, compared by cosine.

    embedded = read_words("GoogleNews-vectors-negative300.bin.gz", ["JavelinThrow", "playing guitar"])
    affinities(["playing guitar"], ["JavelinThrow"], embedded)

Formats are known by their content, not by their names: word2vec binary and text, GloVe text, an npz with `names` and
`vectors`, an npy whose names lie in `FILE.json` or `FILE.txt` beside it. The text and binary ones may be compressed
(`.gz`). Several files, with commas between them, count as one, and of a name in two of them the first counts; the file
after an npy without names beside it has its names.

The vector of a label, in this order:

1. the entry that is the label as it is spelt; in npz and npy, whose names may be classes, the entry that is the label
   but for capitals, spaces and punctuation;
2. the mean of its words' vectors (ActionBytes, section 3.2): a word as it is spelt, else in lower case, else
   capitalised. A word without a vector is left out of the mean and named in `unknown`.

The phrases of word2vec files (`high_jump`) are not looked for: the paper averages words.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from activity_bench.data import disk
from activity_bench.data.embeddings import arrays, streams
from activity_bench.data.embeddings.entries import Found, Vector, Wanted, folded, spellings, words_of
from activity_bench.errors import InputError, printable, unknown

__all__ = ["Embedded", "affinities", "read_words", "words_of"]

FORMATS = f"{streams.BINARY}, {streams.TEXT}, {streams.GLOVE}, npz (names, vectors) or npy with names"
HINTS = {
    arrays.NPZ_MAGIC: "Expand it: of .gz only text and word2vec binary are read.",
    arrays.NPY_MAGIC: "Expand it: of .gz only text and word2vec binary are read.",
    b"\x1f\x8b": "A compressed file's name ends in .gz.",
    b"\x80": "Pickled files can run code and are never read; gensim's save_word2vec_format writes one that is.",
    b"\xba\x16\x4f\x2f": "This is fastText's own format; the .vec file beside it is read.",
}
NAMES_SUFFIXES = (".json", ".txt")


@dataclass(frozen=True)
class Embedded:
    """The vectors of some labels, and where they came from."""

    vectors: Mapping[str, Vector]  # label -> (dim,)
    unknown: Mapping[str, tuple[str, ...]]  # label -> those of its words that have no vector, where there are any
    dim: int
    file: str  # as it was given
    sha256: str  # of the file; of several, names included: of `NAME SHA256\n`, a line each in the order read
    format: str
    repeated: int  # entries that stand twice, of those that were looked for; the first counts


def read_words(path: Path | str, labels: Iterable[str]) -> Embedded:
    """The vectors of class labels from a file of word vectors, or from several with commas between them.

    >>> read_words("words.npz", ["JavelinThrow", "playing guitar"]).dim
    """
    labels = tuple(dict.fromkeys(labels))
    wanted = Wanted.of(labels)
    given = [Path(path)] if _exists(Path(path)) else [Path(part.strip()) for part in str(path).split(",")]
    merged: Found | None = None
    formats, sums = [], []
    while given:
        file = given.pop(0)
        sums.append((file.name, _sum(file)))
        format_, names, found = _read(file, given, wanted)
        formats.append(format_)
        sums += [(names.name, _sum(names))] if names else []
        if merged is None:
            merged = found
        elif merged.dim != found.dim:
            raise InputError("vectors of another length", file=file, found=found.dim, expected=f"{merged.dim} numbers")
        else:
            merged = _merged(merged, found)
    assert merged is not None  # a text split at commas has a part
    digest = sums[0][1] if len(sums) == 1 else sha256("".join(f"{n} {s}\n" for n, s in sums).encode()).hexdigest()
    vectors, missing = _resolve(labels, merged, path)
    return Embedded(vectors, missing, merged.dim, str(path), digest, ", ".join(formats), merged.repeated)


def affinities(
    source: Sequence[str], target: Sequence[str], embedded: Embedded | Mapping[str, Vector]
) -> NDArray[np.float64]:
    """The cosine between each source label's vector and each target label's: (source, target).

    >>> affinities(["high jump"], ["HighJump"], read_words("words.npz", ["high jump", "HighJump"]))
    """
    return np.clip(_directions(source, embedded) @ _directions(target, embedded).T, -1.0, 1.0)


def _directions(labels: Sequence[str], embedded: Embedded | Mapping[str, Vector]) -> NDArray[np.float64]:
    """Vectors of length 1: (labels, dim)."""
    file, vectors = (embedded.file, embedded.vectors) if isinstance(embedded, Embedded) else (None, embedded)
    for label in labels:
        if label not in vectors:
            raise unknown("class", label, vectors, file=file)
        if not np.any(vectors[label]):
            raise InputError("a class whose vector is zero has no direction", file=file, field=printable(label))
    if not labels:
        return np.zeros((0, next((len(vector) for vector in vectors.values()), 0)))
    rows = np.stack([np.asarray(vectors[label], np.float64) for label in labels])
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


# ---- reading --------------------------------------------------------------------------------------------------------


def _read(file: Path, rest: list[Path], wanted: Wanted) -> tuple[str, Path | None, Found]:
    """One file: its format, the file of its names, its entries; `rest` loses that file where it was listed."""
    head = streams.head_of(file)
    if not head:
        raise InputError("an empty file", file=file, expected=FORMATS)
    plain = file.suffix != ".gz"
    if plain and head.startswith(arrays.NPZ_MAGIC):
        return arrays.NPZ, None, arrays.read_npz(file, wanted)
    if plain and head.startswith(arrays.NPY_MAGIC):
        names = next((name for name in map(file.with_suffix, NAMES_SUFFIXES) if name.exists()), None)
        if names is None and not rest:
            raise InputError("an array without names for its rows", file=file,
                             expected=f"{file.stem}.json or {file.stem}.txt beside it",
                             hint=f"Or name them after it: {file.name},NAMES.json")  # fmt: skip
        names = names or rest.pop(0)
        return arrays.NPY, names, arrays.read_npy(file, names, wanted)
    laid = streams.layout(file, head)
    if laid is None:
        hint = next((hint for magic, hint in HINTS.items() if head.startswith(magic)), None)
        raise InputError("not a known format of word vectors", file=file, found=head[:20].decode("latin-1"),
                         expected=FORMATS, hint=hint)  # fmt: skip
    read = streams.read_binary if laid.format == streams.BINARY else streams.read_text
    return laid.format, None, read(file, laid, wanted)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or impossible: said where it is opened
        return False


def _sum(path: Path) -> str:
    """The sha256 of a file that can be read twice; a pipe cannot, and a device may have no end."""
    if _exists(path) and not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
        raise InputError("this is a device or a pipe, and a file is to be read", file=path)
    return disk.sha256(path)[0]


def _merged(first: Found, second: Found) -> Found:
    return Found(first.dim, second.spelt | first.spelt, second.folded | first.folded,
                 first.repeated + second.repeated + len(first.spelt.keys() & second.spelt))  # fmt: skip


# ---- from words to labels -------------------------------------------------------------------------------------------


def _resolve(
    labels: Sequence[str], found: Found, path: Path | str
) -> tuple[dict[str, Vector], dict[str, tuple[str, ...]]]:
    """The vector of each label, and the words that have none."""
    vectors: dict[str, Vector] = {}
    missing: dict[str, tuple[str, ...]] = {}
    without = []
    for label in labels:
        whole = found.spelt.get(label, found.folded.get(folded(label)))
        if whole is not None:
            vectors[label] = whole
            continue
        words = {word: _word(word, found) for word in words_of(label)}
        known = [vector for word in words_of(label) if (vector := words[word]) is not None]
        if known:
            vectors[label] = np.asarray(np.mean(np.stack(known), axis=0, dtype=np.float64), np.float32)
        else:
            without.append(label)
        if absent := tuple(word for word, vector in words.items() if vector is None):
            missing[label] = absent
    if without:
        more = ", ".join(printable(label, 80) for label in without[1:21]) + (", …" if len(without) > 21 else "")
        raise InputError(
            "no vector for a class: none of its words is known", file=path, found=without[0],
            expected=f"a vector of {' or '.join(missing.get(without[0], ())) or 'a word; there is none in this name'}",
            hint=f"{len(without) - 1} more have none: {more}." if more else None,
        )  # fmt: skip
    return vectors, missing


def _word(word: str, found: Found) -> Vector | None:
    return next((found.spelt[spelt] for spelt in spellings(word) if spelt in found.spelt), None)

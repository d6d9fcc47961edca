"""Files of word vectors, written in each format."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from activity_bench.data.embeddings import arrays, streams

Rows = NDArray[np.float32]
Write = Callable[[list[str], Rows], bytes]
WORDS = ["the", "javelin", "throw", "Dunk", "ice", "日本", "basketball"]
VECTORS = np.random.Generator(np.random.Philox(7)).normal(size=(len(WORDS), 5)).astype(np.float32)
V = dict(zip(WORDS, VECTORS, strict=True))


def glove(words: list[str], vectors: Rows, end: str = "\n", gap: str = " ") -> bytes:
    return "".join(gap.join([w, *map(repr, v.tolist())]) + end for w, v in zip(words, vectors, strict=True)).encode()


def header(words: list[str], vectors: Rows) -> bytes:
    return f"{len(words)} {vectors.shape[1]}\n".encode()


def text(words: list[str], vectors: Rows) -> bytes:
    return header(words, vectors) + glove(words, vectors, end=" \n")  # word2vec's own leaves a space


def binary(words: list[str], vectors: Rows, after: bytes = b"\n") -> bytes:
    rows = (w.encode() + b" " + struct.pack(f"<{len(v)}f", *v) + after for w, v in zip(words, vectors, strict=True))
    return header(words, vectors) + b"".join(rows)


def npz(words: list[str], vectors: Rows, key: str = "names") -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **{key: np.array(words), "vectors": vectors})
    return stream.getvalue()


def npy(vectors: NDArray[np.generic]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, vectors)
    return stream.getvalue()


def bytewise(words: list[str], vectors: Rows) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, names=np.array([w.encode() for w in words]), vectors=vectors.astype(">f8"))
    return stream.getvalue()


WRITERS: dict[str, tuple[str, Write]] = {
    "GloVe": (streams.GLOVE, glove),
    "GloVe, tabs and CRLF": (streams.GLOVE, lambda w, v: glove(w, v, "\r\n", "\t")),
    "GloVe, byte order mark, no last newline": (streams.GLOVE, lambda w, v: b"\xef\xbb\xbf" + glove(w, v)[:-1]),
    "GloVe, blank lines": (streams.GLOVE, lambda w, v: glove(w, v, "\n\n \n")),
    "word2vec text": (streams.TEXT, text),
    "word2vec binary": (streams.BINARY, binary),
    "word2vec binary, no newlines": (streams.BINARY, lambda w, v: binary(w, v, b"")),
    "npz": (arrays.NPZ, npz),
    "npz, words": (arrays.NPZ, lambda w, v: npz(w, v, "words")),
    "npz, compressed, bytes, big-endian doubles": (arrays.NPZ, bytewise),
    "npz, columns first": (arrays.NPZ, lambda w, v: npz(w, np.asfortranarray(v))),
}


def put(folder: Path, data: bytes, name: str = "words.any") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path

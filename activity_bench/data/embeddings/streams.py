"""Word vectors as the tools that train them write them: GloVe text, word2vec text and word2vec binary.

A file is read in blocks, and of a word that nobody wants only the word is looked at: its numbers are neither split nor
parsed, so a fault in them is not seen. Bytes are compared: a word need not be UTF-8. No memory is taken for what a
header claims.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from activity_bench.data.canonical import BOM
from activity_bench.data.disk import blocks, open_read
from activity_bench.data.embeddings.entries import MAX_DIM, Found, Vector, Wanted, as_float32
from activity_bench.errors import InputError

GLOVE, TEXT, BINARY = "GloVe text", "word2vec text", "word2vec binary"

BLOCK = 1 << 20  # bytes in memory at a time
MAX_LINE = 1 << 19  # MAX_DIM numbers of 32 bytes
MAX_PARTS = 16  # of a word with spaces in it
MAX_WORD = 1 << 12  # bytes of a word in a binary file
_HEADER = re.compile(rb"(\d+)[ \t]+(\d+)[ \t]*\r?\n")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")


@dataclass(frozen=True)
class Layout:
    """How a file is laid out."""

    format: str
    dim: int
    count: int | None = None  # words, where a header says how many
    start: int = 0  # byte at which the first word begins


# ---- which layout ---------------------------------------------------------------------------------------------------


def head_of(path: Path) -> bytes:
    """How a file begins: enough of it to hold its header and its first words, expanded if its name ends in `.gz`."""
    with open_read(path) as stream:
        return stream.read(2 * MAX_LINE)


def layout(path: Path, head: bytes) -> Layout | None:
    """The layout of a file that begins with `head`, its first line whole if it has one; None if it is none of these."""
    mark = len(BOM) if head.startswith(BOM) else 0
    header = _HEADER.match(head, mark)
    if header is None:
        numbers = _numbers(head[mark : _end(head, mark)].split(None, MAX_DIM + 1)[1:])
        return Layout(GLOVE, len(numbers), None, mark) if numbers is not None and len(numbers) > 1 else None
    count, dim = (int(text[:19]) for text in header.groups())  # with more digits it is wrong all the same
    if count == 0:
        raise InputError("no word in it", file=path, line=1, found=_text(header[0].strip()))
    binary = _is_binary(head[header.end() :], _check_dim(path, dim))
    return Layout(BINARY if binary else TEXT, dim, count, header.end())


def _check_dim(path: Path, dim: int) -> int:
    if not 0 < dim <= MAX_DIM:
        raise InputError("not a vector's length", file=path, line=1, found=dim, expected=f"1 to {MAX_DIM:,} numbers")
    return dim


def _is_binary(rest: bytes, dim: int) -> bool:
    """Whether what follows a header is packed: no numbers in its first line, and bytes that no text has."""
    numbers = _numbers(rest[: _end(rest, 0)].split(None, dim + MAX_PARTS)[1:][-dim:])
    return (numbers is None or len(numbers) < dim) and _CONTROL.search(rest[:BLOCK]) is not None


# ---- text -----------------------------------------------------------------------------------------------------------


def read_text(path: Path, laid: Layout, wanted: Wanted) -> Found:
    """The wanted words of GloVe or word2vec text: a word and its numbers a line, spaces or tabs between them."""
    found = Found(laid.dim)
    names = {name.encode("utf-8", "surrogatepass"): name for name in wanted.spelt}
    header = laid.count is not None
    count, number, gap = 0, 0, b""
    with open_read(path) as stream:
        for block in blocks(stream, BLOCK, MAX_LINE):
            start = laid.start if number == 0 else 0
            number += header and number == 0
            gap = gap or _gap(block, start)
            while start < len(block):
                number += 1
                end = _end(block, start)
                space = block.find(gap, start, end)
                if space >= 0:
                    count += 1
                    name = names.get(block[start:space])
                    if name is not None:
                        _take(path, number, name, block[space:end].split(None, found.dim + MAX_PARTS), found)
                elif block[start:end].strip():
                    raise InputError("a line without numbers", file=path, line=number, found=_text(block[start:end]),
                                     expected=f"a word and {found.dim} numbers")  # fmt: skip
                start = end + 1
    if header and count != laid.count:
        raise InputError("another number of words than its header says", file=path, found=count,
                         expected=str(laid.count))  # fmt: skip
    return found


def _end(data: bytes, start: int) -> int:
    """Where a line ends: at its newline, which the last one may lack."""
    end = data.find(b"\n", start)
    return end if end >= 0 else len(data)


def _gap(block: bytes, start: int) -> bytes:
    """What stands between a word and its numbers: the first of a space or a tab."""
    line = block[start:].lstrip().partition(b"\n")[0]
    return b"\t" if b"\t" in line.partition(b" ")[0] else b" "


def _take(path: Path, line: int, name: str, fields: list[bytes], found: Found) -> None:
    if len(fields) > found.dim and _numbers(fields[:1]) is None:
        return  # some files have words with spaces in them, of which this was the first part
    if len(fields) != found.dim:
        raise InputError("a vector of another length", file=path, line=line, field=name, found=len(fields),
                         expected=f"{found.dim} numbers")  # fmt: skip
    numbers = _numbers(fields)
    if numbers is None:
        wrong = next(text for text in fields if _numbers([text]) is None)
        raise InputError("not a number", file=path, line=line, field=name, found=_text(wrong))
    vector = as_float32(numbers)
    if not np.isfinite(vector).all():
        wrong = fields[int(np.flatnonzero(~np.isfinite(vector))[0])]
        raise InputError("not a finite number", file=path, line=line, field=name, found=_text(wrong))
    _keep(name, vector, found)


def _numbers(fields: list[bytes]) -> NDArray[np.float64] | None:
    """The numbers, or None where one is none; Python would take `1_0` for 10."""
    try:
        return None if any(b"_" in text for text in fields) else np.array([float(text) for text in fields])
    except ValueError:
        return None


def _keep(name: str, vector: Vector, found: Found) -> None:
    found.repeated += name in found.spelt
    found.spelt.setdefault(name, vector)


def _text(data: bytes) -> str:
    return data[:200].decode("utf-8", "backslashreplace")


# ---- binary ---------------------------------------------------------------------------------------------------------


def read_binary(path: Path, laid: Layout, wanted: Wanted) -> Found:
    """The wanted words of word2vec's binary: a word, a space, little-endian float32 and, in some files, a newline."""
    found = Found(laid.dim)
    names = {name.encode("utf-8", "surrogatepass"): name for name in wanted.spelt}
    size, total = 4 * laid.dim, laid.count or 0
    least = MAX_WORD + 2 + size  # bytes that a word and its numbers may take
    with open_read(path) as stream:
        stream.read(laid.start)
        data, at, start = b"", 0, laid.start  # `data` begins at byte `start` of the file, the next word at data[at]
        for number in range(1, total + 1):
            if len(data) - at < least:
                data, at, start = data[at:] + stream.read(max(BLOCK, least)), 0, start + at
            space = data.find(b" ", at, at + MAX_WORD + 2)
            if space < 0 or space + size >= len(data):
                raise _broken(path, f"word {number:,} of {total:,}", start + at, len(data) - at, space, size)
            name = names.get(data[at:space].lstrip(b"\n"))
            if name is not None:
                vector = np.frombuffer(data, "<f4", found.dim, space + 1).astype(np.float32)
                if not np.isfinite(vector).all():
                    place = space + 1 + 4 * int(np.flatnonzero(~np.isfinite(vector))[0])
                    raise InputError("not a finite number", file=path, field=f"word {number:,} of {total:,}, {name}",
                                     found=f"byte {start + place:,}")  # fmt: skip
                _keep(name, vector, found)
            at = space + 1 + size
        if (data[at:] + stream.read(2)).strip():
            raise InputError("more in the file than its header says", file=path, expected=f"{total:,} words",
                             found=f"byte {start + at:,} and more")  # fmt: skip
    return found


def _broken(path: Path, where: str, place: int, left: int, space: int, size: int) -> InputError:
    if space < 0 and left > MAX_WORD:
        return InputError("a word that is too long, so not what its header says", file=path, field=where,
                          found=f"byte {place:,}", expected=f"at most {MAX_WORD:,} bytes")  # fmt: skip
    return InputError("a file that is cut", file=path, field=where, found=f"{left:,} bytes from byte {place:,} on",
                      expected=f"a word and {size:,} bytes")  # fmt: skip

"""JSON lines in blocks: typed, bounded in memory, and every fault located by file and line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from activity_bench.data.canonical import complaint, no_gc
from activity_bench.data.disk import blocks, open_read

T = TypeVar("T")


class Hasher(Protocol):
    """What hashlib gives."""

    def update(self, data: bytes, /) -> None: ...


@dataclass(frozen=True)
class Block(Generic[T]):
    """Some consecutive lines of a file, decoded."""

    items: list[T]
    text: bytes
    first_line: int

    def line_of(self, item: int) -> int:
        """The line number of an item: blank lines hold none, so this counts. For messages, not for loops."""
        for number, text in enumerate(self.text.split(b"\n"), self.first_line):
            if text.strip():
                if item == 0:
                    return number
                item -= 1
        raise IndexError(item)


def read(path: Path, decoder: msgspec.json.Decoder[T], hashers: tuple[Hasher, ...] = ()) -> Iterator[Block[T]]:
    """Blocks of a JSON-lines file; each hasher sees every byte."""
    with open_read(path) as stream:
        first_line = 1
        for text in blocks(stream):
            for hasher in hashers:
                hasher.update(text)
            try:
                with no_gc():
                    items = decoder.decode_lines(text)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise _located(path, decoder, text, first_line, error) from None
            yield Block(items, text, first_line)
            first_line += text.count(b"\n")


def _located(path: Path, decoder: msgspec.json.Decoder[Any], text: bytes, first: int, fault: Exception) -> Exception:
    """The error of the first line that does not decode alone."""
    for number, line in enumerate(text.split(b"\n"), first):
        if line.strip():
            try:
                decoder.decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                return complaint(error, path, number)
    return complaint(fault, path)

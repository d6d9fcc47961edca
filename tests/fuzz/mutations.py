"""Changes that damage, haste and malice make to a file: cut, flipped, doubled, swapped, tokens put in, flooded."""

from __future__ import annotations

import re
from collections.abc import Callable

Pick = Callable[[int], int]  # a whole number below another: from hypothesis, or from a seeded generator

LONGEST = 1 << 17  # bytes of a changed file
DEEP = 3000  # brackets: beyond Python's stack, and beyond what msgspec follows
TOKENS = (
    b"null", b"true", b"[]", b"{}", b'""', b"-1", b"0", b"1e999", b"-1e308", b"1e-320", b"NaN", b"Infinity", b"inf",
    b"nan", b"9" * 25, b"9" * 5000, b"-" + b"9" * 400, b"0.1e+30", b"18446744073709551616", b"9223372036854775807",
    b"1_000", b"2147483648", b"\\ud800", b"\\u0000", b"\xef\xbb\xbf", b"\xff\xfe", b"\xff", b"\xc3", b"\xed\xa0\x80",
    b"\0", b"\n", b"\r\n", b"\r", b"\t", b" ", b"\x0c", b"\x1b[2J", b'"', b"'", b",", b":", b"[", b"]", b"{", b"}",
    b"../../etc/x", b"/", b"=1+1", b"[" * DEEP, b"{\"a\":" * DEEP, b"(" * 200, b"a" * 5000, b"\x80\x04", b"PK\x03\x04",
    b"\x1f\x8b", b"O", b"|O", b">f4", b"<U9", b"True", b"(9999999999,)", b"(0, 4)", b"\xff\xff\xff\xff", b"\0\0\0\0",
    b"\x7f\xff\xff\xff", b"\xff" * 8, b"#", b"\xe2\x80\xa8", b"1979-05-27T07:32:00", b"[[a]]", b"a.b.c = 1",
    b"\xd9\xa1", b"\xc2\xb2", b"BF16", b"F8_E5M2",
)  # fmt: skip
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
WORD = re.compile(rb'"(?:[^"\\]|\\.)*"')


def changed(data: bytes, pick: Pick, others: list[bytes]) -> bytes:
    """The file after one to four changes."""
    for _ in range(1 + pick(4)):
        data = CHANGES[pick(len(CHANGES))](data, pick, others)[:LONGEST]
    return data


def _cut(data: bytes, pick: Pick, others: list[bytes]) -> bytes:
    return data[: pick(len(data) + 1)]


def _flipped(data: bytes, pick: Pick, others: list[bytes]) -> bytes:
    if not data:
        return data
    at = pick(len(data))
    return data[:at] + bytes([data[at] ^ (1 << pick(8))]) + data[at + 1 :]


def _replaced(data: bytes, pick: Pick, others: list[bytes]) -> bytes:
    if not data:
        return data
    at = pick(len(data))
    return data[:at] + bytes([pick(256)]) + data[at + 1 :]


def _removed(data: bytes, pick: Pick, others: list[bytes]) -> bytes:
    at = pick(len(data) + 1)
    return data[:at] + data[at + 1 + pick(40) :]


def _doubled(data: bytes, pick: Pick, others: list[bytes]) -> bytes:
    at = pick(len(data) + 1)
    return data[:at] + data[max(0, at - 1 - pick(200)) : at] + data[at:]


def _with_token(data: bytes, pick: Pick, others: list[bytes]) -> bytes:
    at = pick(len(data) + 1)
    return data[:at] + TOKENS[pick(len(TOKENS))] + data[at:]


def _other_number(data: bytes, pick: Pick, others: list[bytes]) -> bytes:
    return _other(NUMBER, data, pick)


def _other_word(data: bytes, pick: Pick, others: list[bytes]) -> bytes:
    return _other(WORD, data, pick)


def _other(pattern: re.Pattern[bytes], data: bytes, pick: Pick) -> bytes:
    """One of the places that match becomes a token, or what stands at another of them."""
    found = [match.span() for match in pattern.finditer(data[: 1 << 14])]
    if not found:
        return data
    start, end = found[pick(len(found))]
    low, high = found[pick(len(found))]
    token = data[low:high] if pick(3) == 0 else TOKENS[pick(len(TOKENS))]
    return data[:start] + token + data[end:]


def _spliced(data: bytes, pick: Pick, others: list[bytes]) -> bytes:
    """The head of this file and the tail of another."""
    other = others[pick(len(others))]
    return data[: pick(len(data) + 1)] + other[pick(len(other) + 1) :]


def _four_bytes(data: bytes, pick: Pick, others: list[bytes]) -> bytes:
    """A size or a place in a binary file says something else."""
    at, width = pick(len(data) + 1), (2, 4, 8)[pick(3)]
    value = (0, 1, 1 << 15, (1 << 31) - 1, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, pick(1 << 16))[pick(8)]
    return data[:at] + (value % (1 << 8 * width)).to_bytes(width, ("little", "big")[pick(2)]) + data[at + width :]


CHANGES: tuple[Callable[[bytes, Pick, list[bytes]], bytes], ...] = (
    _cut, _flipped, _replaced, _removed, _doubled, _with_token, _other_number, _other_number, _other_word, _spliced,
    _four_bytes,
)  # fmt: skip

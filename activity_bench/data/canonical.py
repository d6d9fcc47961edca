"""Canonical JSON: sorted keys, UTF-8, no spaces, shortest round-trip floats. The same value has the same bytes.

These are also the bytes of the standard library's `json.dumps(value, sort_keys=True, ensure_ascii=False,
separators=(",", ":"))`, but for numbers below 1e-4 or from 1e16 on: that one writes 1e-05 where here is 0.00001.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from activity_bench.errors import InputError, nearest

BOM = b"\xef\xbb\xbf"  # some editors put it before UTF-8
_ENCODER = msgspec.json.Encoder(order="sorted")


def line(value: Any) -> bytes:
    """One JSON line, its newline included."""
    return _ENCODER.encode(value) + b"\n"


def lines(values: list[Any]) -> bytes:
    """JSON lines, all at once."""
    return _ENCODER.encode_lines(values)


def page(value: Mapping[str, Any]) -> bytes:
    """A JSON file that a person reads: indented, sorted."""
    return text(json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False)) + b"\n"


def text(value: str) -> bytes:
    """Text that may hold names of files: bytes that the locale lacks are what they are in UTF-8, if they are that."""
    try:
        return value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace").encode()


def digest_of(splits: Mapping[str, str]) -> str:
    """The digest of a manifest, from the sha256 of its split files: name and hash, a line a split, in order of name."""
    lines = "".join(f"{name} {splits[name]}\n" for name in sorted(splits))
    return "sha256:" + sha256(lines.encode()).hexdigest()


@contextmanager
def no_gc() -> Iterator[None]:
    """Parsing makes millions of objects and no garbage: the collector is the largest cost of loading JSON."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


_FIELD = re.compile(r"^(key in )?\$?(\[0\])?\.?")
_BYTE = re.compile(r"\(byte (\d+)\)$")
_NO_NUMBER = re.compile(rb"NaN|-?Infinity|nan|-?inf")
_TYPES = re.compile(r"^Expected `(.*)`, got `(.*)`$")


def complaint(
    error: Exception, file: Path | str, line: int | None = None, path: str = "", data: bytes = b""
) -> InputError:
    """What msgspec says of a value, as an error of ours: file, line, field, found, expected. `data` is what it read."""
    text = str(error)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return InputError("UTF-16 text", file=file, expected="UTF-8")
    if isinstance(error, UnicodeDecodeError):
        return InputError("not UTF-8 text", file=file, line=line, expected="UTF-8")
    if isinstance(error, UnicodeEncodeError):
        return InputError("half a character, a surrogate alone", file=file, line=line, field=path or None)
    problem, _, where = text.partition(" - at `")
    where = _FIELD.sub("", where.removesuffix("`"))
    field = ".".join(part for part in (path, where) if part) or None
    types = _TYPES.match(problem)
    if types:
        return InputError(f"found {_named(types[2])}", file=file, line=line, field=field, expected=_named(types[1]))
    place = _BYTE.search(text)
    number = _NO_NUMBER.match(data, int(place[1])) if place else None
    if number:
        return InputError(
            "not valid JSON: it has no such number",
            file=file,
            line=line,
            found=number[0].decode(),
            expected="a finite one",
        )
    if not isinstance(error, msgspec.ValidationError):
        problem = f"not valid JSON: {problem.removeprefix('JSON is malformed: ')}"
    return InputError(problem, file=file, line=line, field=field)


def _named(types: str) -> str:
    """msgspec's type names in a user's words."""
    names = {"str": "text", "int": "a whole number", "float": "a number", "array": "a list", "object": "an object",
             "bool": "true or false"}  # fmt: skip
    return " or ".join(names.get(part.strip(), part.strip()) for part in types.split("|"))


def read_page(data: bytes, file: Path, type_: Any) -> Any:
    """A JSON file as `type_` (a msgspec Struct), or an error that says where it is not one."""
    try:
        with no_gc():
            return msgspec.json.decode(data.removeprefix(BOM), type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise complaint(error, file, data=data.removeprefix(BOM)) from None


def check_keys(given: Mapping[str, Any], known: Any, file: Path, what: str) -> None:
    """Every key is known, or the near miss is named."""
    for name in given:
        if name not in known:
            close = nearest(name, known)
            raise InputError(
                f"unknown {what}", file=file, found=name, hint=f"Did you mean {close!r}?" if close else None
            )

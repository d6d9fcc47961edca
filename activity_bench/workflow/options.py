"""Options as users give them (`key=value`, keywords) made into the frozen dataclass that a method or builder has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from activity_bench.data.canonical import complaint
from activity_bench.errors import InputError, unknown

T = TypeVar("T")


def settings(pairs: Iterable[str]) -> dict[str, str]:
    """`key=value` texts as a dict; a key may stand once."""
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise InputError("not a setting", field="--set", found=pair, expected="key=value")
        if key.strip() in found:
            raise InputError("a setting given twice", field="--set", found=key.strip())
        found[key.strip()] = value.strip()
    return found


def make(options: type[T], given: Mapping[str, Any], what: str) -> T:
    """The options of `what`, typed and checked; an unknown name is an error with its near miss."""
    names = [field.name for field in fields(options)]  # type: ignore[arg-type]
    for name in given:
        if name not in names:
            raise unknown(f"option of {what}", name, names)
    for name, value in given.items():
        if isinstance(value, str) and value.strip().lower() in {"nan", "inf", "-inf", "infinity"}:
            raise InputError("not a finite number", field=name, found=value)
    try:
        return msgspec.convert(dict(given), options, strict=False)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, InputError):
            raise error.__cause__ from None
        fault = complaint(error, what)
        value = given.get(fault.field or "", ...)
        choices = get_args(get_type_hints(options).get(fault.field or ""))
        expected = " or ".join(map(repr, choices)) if choices and value in given.values() else fault.expected
        raise InputError(fault.problem, file=what, field=fault.field, found=value, expected=expected) from None


def check_seed(seed: int) -> None:
    """A seed is a number that every generator takes."""
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise InputError("not a seed", field="seed", found=seed, expected="0 to 2^63 - 1")

"""What an id, a label or a time from a file may be: they name things later on; none is a path, a formula or a flood."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from math import isfinite
from pathlib import Path

from activity_bench.data.canonical import complaint
from activity_bench.errors import InputError

MAX_ID, MAX_LABEL = 255, 500
MAX_SECONDS = 1e7  # four months


def check_id(name: str, file: Path, field: str) -> str:
    """A video's id, or an error that says why it cannot be one."""
    if not 0 < len(name) <= MAX_ID:
        raise InputError(f"a video id of {len(name)} characters", file=file, field=field, found=name,
                         expected=f"1 to {MAX_ID}")  # fmt: skip
    if not name.isprintable() or "/" in name or "\\" in name or name in {".", ".."} or name[0] in "=+@":
        raise InputError("an unsafe video id", file=file, field=field, found=name,
                         expected="printable text without / or \\ that does not start with = + @")  # fmt: skip
    return name


def check_label(label: str, file: Path, field: str) -> str:
    """A class's name, trimmed."""
    label = label.strip()
    if not 0 < len(label) <= MAX_LABEL or not label.isprintable():
        raise InputError("not a class name", file=file, field=field, found=label,
                         expected=f"1 to {MAX_LABEL} printable characters")  # fmt: skip
    return label


SUBSETS = {
    "train": "training", "training": "training",
    "val": "validation", "valid": "validation", "validation": "validation",
    "test": "testing", "testing": "testing",
}  # fmt: skip


def subset_of(name: str, file: Path, field: str, mended: Counter[str]) -> str:
    """The subset that is meant: files spell it in many ways."""
    subset = SUBSETS.get(name.strip().lower())
    if subset is None:
        expected = " or ".join(sorted(set(SUBSETS.values())))
        raise InputError("unknown subset", file=file, field=field, found=name, expected=expected)
    if subset != name:
        mended["subset name"] += 1
    return subset


def check_repeats(data: bytes, key: bytes, objects: int, file: Path) -> None:
    """An object key that stands twice in JSON would silently replace the first: refuse it.

    Every one of the `objects` has `key` once, so the exact look, which is slow, is taken only where `key` stands more
    often than that.
    """
    if data.count(key) <= objects:
        return

    def unique(pairs: list[tuple[str, object]]) -> None:
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            twice = Counter(names).most_common(1)[0][0]
            raise InputError("a key that stands twice", file=file, field=f"{twice:.80}", found=twice, expected="once")

    try:
        json.loads(data, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:  # in what was passed over until now
        raise complaint(error, file) from None


def check_spellings(labels: Iterable[str], file: Path) -> None:
    """Two spellings of one class (`Tumbling`, `tumbling`) would be two classes: refuse them."""
    seen: dict[str, str] = {}
    for label in labels:
        other = seen.setdefault(" ".join(label.casefold().split()), label)
        if other != label:
            raise InputError("one class in two spellings", file=file, field="label", found=label, expected=repr(other))


def seconds(value: float | str, file: Path, field: str, mended: Counter[str], line: int | None = None) -> float:
    """A time; text that spells a number is taken, and counted, where numbers stand."""
    if isinstance(value, str):
        mended["number as text"] += 1
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
    else:
        number = value
    if not isfinite(number) or not abs(number) < MAX_SECONDS:
        raise InputError("not a time in seconds", file=file, line=line, field=field, found=value,
                         expected="a finite number")  # fmt: skip
    return number

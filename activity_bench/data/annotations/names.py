"""What an id or a label from a file may be: it names things later on, and may be no path, no formula and no flood."""

from __future__ import annotations

from pathlib import Path

from activity_bench.errors import InputError

MAX_ID, MAX_LABEL = 255, 500


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

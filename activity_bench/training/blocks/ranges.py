"""The ranges of options that a network can be made with, so that a wrong one is named before anything is built."""

from __future__ import annotations

from typing import Any

from activity_bench.errors import InputError

SIZE = (1, 65_536)  # of a layer, or a number of rows or heads
SHARE = (0, 1)


def check(options: Any, **bounds: tuple[float, float]) -> None:
    """Refuse options outside their bounds, both of which are allowed."""
    for name, (low, high) in bounds.items():
        value = getattr(options, name)
        if not low <= value <= high:
            raise InputError("out of range", field=name, found=value, expected=f"{low:g} to {high:g}")

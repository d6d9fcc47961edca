"""Errors that a user can act on: where it happened, what was found, what was expected, the nearest valid name.

One family. `InputError` (exit code 2): the call or a file is wrong, and the user can mend it. `WorkError` (exit code
1): the input was fine and the work failed all the same (a full disk). Neither reaches a user as a traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import PurePath

SHOWN = 80  # characters of a user's value that a message repeats
LONGEST = 600  # characters of what is wrong


def show(value: object) -> str:
    """A user's value as a message may print it: one line, bounded, control characters escaped."""
    if isinstance(value, str):
        value = value[: SHOWN + 1]  # a 2 GB string is never copied to be shown
    text = repr(value)
    if len(text) > SHOWN:
        text = text[: SHOWN - 1] + "…"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The valid name that `name` was probably meant to be, or None."""
    import difflib  # only an error needs it, and every start would pay for it

    by_folded = {candidate.casefold(): candidate for candidate in names}
    close = difflib.get_close_matches(str(name)[:200].casefold(), by_folded, n=1, cutoff=0.55)
    return by_folded[close[0]] if close else None


class BenchError(Exception):
    """Base of the family; its text is the whole message that a user sees."""

    exit_code = 1

    def __init__(
        self,
        problem: str,
        *,
        file: str | PurePath | None = None,
        line: int | None = None,
        field: str | None = None,
        found: object = ...,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.problem, self.file, self.line, self.field = problem, file, line, field
        self.found, self.expected, self.hint = found, expected, hint
        super().__init__(self._text())

    def _text(self) -> str:
        where = "" if self.file is None else printable(str(self.file))
        where += "" if self.line is None else f":{self.line}"
        parts = [part for part in (where, self.field and printable(self.field)) if part]
        # What a library says may have lines of its own, and a file's text in them.
        text = ": ".join([*parts, printable(self.problem, LONGEST)])
        if self.found is not ...:
            text += f"; found {show(self.found)}"
        if self.expected is not None:
            text += f"; expected {printable(self.expected, LONGEST)}"
        if self.hint is not None:
            text += f". {printable(self.hint, 3 * LONGEST)}"
        return text


class InputError(BenchError):
    """A file or a call that the user can mend."""

    exit_code = 2


class WorkError(BenchError):
    """Work that failed though the input was right."""

    exit_code = 1


def printable(text: str, limit: int = 300) -> str:
    """Text from outside, safe for a terminal: control characters escaped, length bounded."""
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def unknown(kind: str, name: str, names: Iterable[str], **where: object) -> InputError:
    """`name` is none of `names`: say so, with the near miss or with all there is."""
    names = list(names)
    close = nearest(name, names)
    some = ", ".join(printable(known, SHOWN) for known in sorted(names)[:20]) + (", …" if len(names) > 20 else "")
    hint = f"Did you mean {show(close)}?" if close else f"There is: {some or 'none'}."
    return InputError(f"unknown {kind}", found=name, hint=hint, **where)  # type: ignore[arg-type]

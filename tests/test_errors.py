"""Errors that a user can act on: one line, bounded, harmless, with the nearest valid name."""

from __future__ import annotations

from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.errors import BenchError, InputError, WorkError, nearest, printable, show, unknown

pytestmark = pytest.mark.quick


def test_a_message_says_where_what_and_what_instead() -> None:
    error = InputError(
        "not a time", file=PurePath("a/b.json"), line=3, field="end", found="soon", expected="seconds", hint="Mend it."
    )
    assert str(error) == "a/b.json:3: end: not a time; found 'soon'; expected seconds. Mend it."
    assert str(InputError("no")) == "no"
    assert str(InputError("no", found=None)) == "no; found None"
    assert str(InputError("no", field="x")) == "x: no"


def test_whose_fault_it_is_decides_the_exit_code() -> None:
    assert (InputError("x").exit_code, WorkError("x").exit_code) == (2, 1)
    assert issubclass(InputError, BenchError)
    assert issubclass(WorkError, BenchError)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("mIuO", "mIoU"), ("MIOU", "mIoU"), ("statistical-priror", "statistical-prior"), ("zzzz", None), ("", None)],
)
def test_the_nearest_name(typed: str, meant: str | None) -> None:
    assert nearest(typed, ["mIoU", "statistical-prior", "oracle"]) == meant


def test_nearest_of_nothing_is_nothing() -> None:
    assert nearest("x", []) is None


def test_an_unknown_name_lists_what_there_is() -> None:
    assert "Did you mean 'oracle'?" in str(unknown("method", "orakle", ["oracle", "random"]))
    assert "There is: oracle, random." in str(unknown("method", "zzzz", ["random", "oracle"]))
    assert "There is: none." in str(unknown("method", "zzzz", []))
    assert str(unknown("method", "zzzz", map(str, range(100)))).endswith(", ….")


ANYTHING = st.text(st.characters(), max_size=400)  # surrogates too: a file name may hold them


@given(ANYTHING, ANYTHING, ANYTHING, ANYTHING, st.integers(1, 100))
def test_a_message_is_one_printable_line(file: str, field: str, found: str, expected: str, times: int) -> None:
    """What is expected may come from a file, too: a sum that a page states."""
    text = str(InputError("no", file=file, field=field, found=found, line=1, expected=expected * times, hint=expected))
    assert text.isprintable()
    text.encode("utf-8")
    assert len(text) < 20_000


@given(ANYTHING)
def test_what_is_printable_stays_as_it_is(text: str) -> None:
    if text.isprintable() and len(text) <= 300:
        assert printable(text) == text


def test_a_value_of_any_size_is_shown_short() -> None:
    assert len(show("x" * 10_000_000)) <= 80
    assert len(show(list(range(100_000)))) <= 80
    assert "\x1b" not in show("\x1b[31mred")
    assert show("a") == "'a'"

"""HTML and SVG as text: every child and every attribute is escaped, but for what is markup already."""

from __future__ import annotations

from html import escape

BARE = frozenset(("meta", "img", "br", "input"))  # elements of HTML that have no end tag


class Markup(str):
    """Text that is markup and stays as it is."""

    __slots__ = ()


def element(tag: str, *children: object, **attributes: object) -> Markup:
    """An element; `class_` is class, `data_m` is data-m. None is left out, True stands without a value."""
    said = "".join(
        f" {name.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(str(value))}"')
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    return Markup(f"<{tag}{said}>" if tag in BARE else f"<{tag}{said}>{text(*children)}</{tag}>")


def text(*children: object) -> Markup:
    """Children one after the other; None is left out."""
    return Markup("".join(c if isinstance(c, Markup) else escape(str(c)) for c in children if c is not None))

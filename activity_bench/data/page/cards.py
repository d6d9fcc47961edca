"""A sample as a card: its timeline, a row each for the truth, the query, every method's answer, film and attention.

`page.js` makes the same elements from the same values; a test holds the two to one another. A card is what JSON holds:

- id, video, place (in the manifest), about (texts), labels (places among the page's classes), part (place, or null),
  error, scores (by method)
- from: seconds where the window starts; lanes: how many classes share a row; truth: bars
- rows: kind, name, bars, text, and where they have them: m (the method), at (seconds that the text links to), value,
  image (a data URI) with its alt, left and wide

A bar is left, width, lane, kind, text; left and width are hundredths of the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from activity_bench.data.page.markup import Markup, element

Card = dict[str, Any]
LIKE_JS = "!'()*"  # what encodeURIComponent leaves as it is


def link(template: str | None, card: Card, at: float) -> str | None:
    """The address of a second of a card's video."""
    if template is None or card.get("unlinked"):
        return None
    named = template.replace("{video}", quote(card["video"], safe=LIKE_JS))
    return named.replace("{start}", str(int(at)))


def card(one: Card, classes: Sequence[str], parts: Sequence[str], template: str | None) -> Markup:
    """The whole card."""
    said = [element("span", classes[place], class_="label") for place in one["labels"]]
    if one["part"] is not None:
        said.append(element("span", parts[one["part"]]))
    address = link(template, one, one["from"])
    video = one["video"] if address is None else _away(address, one["video"])
    said += [element("span", "video ", video), *(element("span", about) for about in one["about"])]
    rows = [_row(row, one, template) for row in one["rows"]]
    head = element("header", element("h3", one["id"]), element("p", *said))
    return element("article", head, element("ul", *rows, class_="rows"), class_="card")


def _row(row: dict[str, Any], one: Card, template: str | None) -> Markup:
    high = 18 if one["lanes"] == 1 else 4 + 8 * one["lanes"]
    if "image" in row:
        high = 40
        image = element("image", href=row["image"], x=f"{row['left']:g}%", y=0, width=f"{row['wide']:g}%", height=high,
                        preserveAspectRatio="none")  # fmt: skip
        edges = [_bar([*bar[:3], "edge", ""], one, high) for bar in one["truth"]]
        drawn = element("svg", image, *edges, height=high, role="img", aria_label=row["alt"])
    else:
        behind = [_bar([*bar[:3], "band", ""], one, high) for bar in one["truth"]] if row["kind"] != "truth" else []
        drawn = element("svg", *behind, *(_bar(bar, one, high) for bar in row["bars"]), height=high, aria_hidden="true")
    address = link(template, one, row["at"]) if "at" in row else None
    text = row["text"] if address is None else _away(address, row["text"])
    kind = f"row {row['kind']}" + (f" m{row['m']}" if "m" in row else "")
    name = element("span", row["name"], class_="name", title=row["name"])
    time, value = element("span", text, class_="time"), element("b", row.get("value", ""))
    return element("li", name, drawn, time, value, class_=kind)


def _bar(bar: Sequence[Any], one: Card, high: int) -> Markup:
    left, wide, lane, kind, said = bar
    if kind == "edge" or (kind == "band" and one["lanes"] == 1):
        y, tall = 0, high
    elif kind == "band":
        y, tall = 2 + 8 * lane, 8
    else:
        y, tall = (3, 12) if one["lanes"] == 1 else (3 + 8 * lane, 6)
    title = element("title", said) if said else None
    return element("rect", title, x=f"{left:g}%", y=y, width=f"{wide:g}%", height=tall, class_=kind)


def _away(address: str, text: str) -> Markup:
    return element("a", text, href=address, rel="noopener noreferrer", target="_blank")

"""The report page: one HTML file that needs no network, reads without JavaScript, and is better with it.

Everything is inside it. A content security policy forbids the rest: it names the hashes of the one style and the one
script, lets pictures come from the file itself, and nothing else. What came from files is text in every place: it is
escaped here, and `page.js` never parses markup. The same content gives the same bytes.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from activity_bench.data.disk import atomic
from activity_bench.data.page.cards import Card, card
from activity_bench.data.page.markup import Markup, element, text
from activity_bench.data.page.plots import DASHES, Plot, figure, interval, mark, number_of, strip
from activity_bench.errors import InputError

__all__ = ["Card", "Class", "Content", "Plot", "Row", "render", "write"]

HEAD = "<!doctype html><!-- activity-bench report -->"
STATIC = 20  # cards that stand in the page without JavaScript


@dataclass(frozen=True)
class Row:
    """A line of the leaderboard; a cited one is of a method whose answers are not at hand."""

    rank: str
    name: str
    method: int | None  # place among the page's methods
    tied: bool  # not told apart from the best
    score: float | None
    low: float | None
    high: float | None
    others: tuple[float | None, ...]
    source: str


@dataclass(frozen=True)
class Class:
    """A class (its place among the names), how often it is asked, and every method's score."""

    place: int
    asked: int
    scores: tuple[float | None, ...]


@dataclass(frozen=True)
class Content:
    """What a page shows."""

    title: str
    facts: tuple[str, ...]
    warnings: tuple[str, ...]
    methods: tuple[str, ...]
    focus: int  # the method that has the accent at first
    by: str  # the score that methods are ranked by
    others: tuple[str, ...]  # the other scores
    board: tuple[Row, ...]
    plots: tuple[Plot, ...]
    classes: tuple[str, ...]
    by_class: tuple[Class, ...]  # hardest first
    parts: tuple[str, ...]
    cards: tuple[Card, ...]  # worst first
    measure: str  # what a card's values are
    url: str | None  # of a second of a video: {video}, {start}
    notes: tuple[str, ...]
    version: str


def write(path: Path, content: Content) -> int:
    """Write a page over an older one, or over nothing; its size."""
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as stream:
            if stream.read(len(HEAD)) != HEAD.encode():
                raise InputError("refusing to replace a file that is not such a report", file=path,
                                 hint="Name another file, or remove this one yourself.")  # fmt: skip
    data = render(content).encode()
    with atomic(path) as stream:
        stream.write(data)
    return len(data)


def render(content: Content) -> str:
    """The whole page."""
    style = _resource("page.css") + "".join(
        f":root:has(#f{m}:checked) .m{m}{{--c:var(--accent);--w:2.6}}" for m in range(len(content.methods))
    )
    script = _resource("page.js")
    policy = (f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
              "base-uri 'none'; form-action 'none'")  # fmt: skip
    head = element(
        "head", element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"), element("title", content.title),
        element("style", Markup(style)),
    )  # fmt: skip
    body = element(
        "body", element("a", "To the samples", href="#samples", class_="skip"), _opening(content),
        element("main", _board(content), _plots(content), _classes(content), _samples(content)), _closing(content),
        element("script", Markup(_data(content)), type="application/json", id="data"),
        element("script", Markup(script)),
    )  # fmt: skip
    return f"{HEAD}\n{element('html', head, body, lang='en')}\n"


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(inline: str) -> str:
    return f"'sha256-{b64encode(sha256(inline.encode()).digest()).decode()}'"


def _data(content: Content) -> str:
    """All samples as JSON; `<` is written so that no id can end the block, or begin a comment."""
    data = {"classes": content.classes, "parts": content.parts, "methods": content.methods, "url": content.url,
            "samples": content.cards}  # fmt: skip
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _opening(content: Content) -> Markup:
    warnings = [element("p", warning, class_="warn") for warning in content.warnings]
    facts = element("p", *(element("span", fact) for fact in content.facts), class_="facts")
    return element("header", element("h1", content.title), facts, *warnings)


def _board(content: Content) -> Markup:
    bounded = any(row.low is not None for row in content.board)
    several = sum(row.tied for row in content.board) > 1
    heads: list[tuple[str, str | None]] = [
        ("rank", None), ("method", "word"), (f"{content.by}, 0 to 1", "wide word"), (content.by, "by"),
        *([("95 %", None)] if bounded else []), *((name, None) for name in content.others), ("source", "word"),
    ]  # fmt: skip
    names = [element("th", name, scope="col", class_=kind) for name, kind in heads]
    rows = []
    for row in content.board:
        bounds = "" if row.low is None else f"{number_of(row.low, 3)} – {number_of(row.high, 3)}"
        cells = [
            element("td", row.rank + (" =" if row.tied and row.rank != "1" else "")),
            element("th", row.name, scope="row", class_="word"),
            element("td", interval(row.score, row.low, row.high, row.method), class_="wide"),
            element("td", number_of(row.score, 4), class_="by"), *([element("td", bounds)] if bounded else []),
            *(element("td", number_of(score, 4)) for score in row.others), element("td", row.source, class_="word"),
        ]  # fmt: skip
        kind = " ".join([*(["tied"] if row.tied and several else []), *([] if row.source == "measured" else ["cited"])])
        rows.append(element("tr", *cells, class_=kind or None))
    said = (f"Ranked by {content.by}" + ("; a bar is its 95 % interval. " if bounded else ". ")
            + ("Rows with = and a line at the left cannot be told apart from the best." if several else "")
            + (" Figures of papers stand beside, unranked: nobody has their answers."
               if any(row.source != "measured" for row in content.board) else ""))  # fmt: skip
    table = element("table", element("caption", said), element("thead", element("tr", *names)), element("tbody", *rows),
                    class_="board")  # fmt: skip
    return element("section", element("h2", "Leaderboard"), _scroll(table, "Leaderboard"))


def _scroll(table: Markup, name: str, kind: str = "") -> Markup:
    """A table that is wider or longer than its place, which the keyboard can scroll, too."""
    return element("div", table, class_=f"scroll {kind}".strip(), tabindex=0, role="region", aria_label=name)


def _plots(content: Content) -> Markup | None:
    if not content.plots:
        return None
    choices = [
        element("label", element("input", type="radio", name="focus", id=f"f{m}", value=m, checked=m == content.focus),
                _key(m), name)
        for m, name in enumerate(content.methods)
    ]  # fmt: skip
    focus = element("fieldset", element("legend", "Method in colour"), *choices, class_="focus")
    drawn = [figure(plot, content.methods, number) for number, plot in enumerate(content.plots)]
    return element("section", element("h2", "Where methods are right"), focus, element("div", *drawn, class_="plots"))


def _key(method: int) -> Markup:
    line = element("path", d="M0,6H26", stroke_dasharray=DASHES[method % len(DASHES)], class_="line")
    return element("svg", line, mark(method, 13, 6), class_=f"m{method}", viewBox="0 0 26 12", aria_hidden="true")


def _classes(content: Content) -> Markup | None:
    if not content.by_class:
        return None
    head = element("tr", element("th", "class", scope="col", class_="word"), element("th", "asked", scope="col"),
                   element("th", f"{content.by}, 0 to 1", scope="col", class_="wide word"),
                   element("th", "least – most", scope="col"))  # fmt: skip
    rows = []
    for one in content.by_class:
        known = [score for score in one.scores if score is not None]
        extent = f"{number_of(min(known), 3)} – {number_of(max(known), 3)}" if known else ""
        name = element("a", content.classes[one.place], href="#samples", data_class=one.place)
        marks = element("td", strip(one.scores, content.methods), class_="wide")
        cells = element("th", name, scope="row", class_="word"), element("td", one.asked), marks, element("td", extent)
        rows.append(element("tr", *cells))
    said = "Hardest first, by the mean of all methods. A class leads to its samples, worst first."
    table = element("table", element("caption", said), element("thead", head), element("tbody", *rows))
    return element("section", element("h2", "Classes"), _scroll(table, "Classes", "classes"))


def _samples(content: Content) -> Markup | None:
    if not content.cards:
        return None
    chooser = element(
        "form", _select("class", "Class", "all classes", content.classes),
        _select("part", "Part", "all parts", content.parts),
        _select("method", "Method", "all methods", content.methods),
        element("label", "Order", element(
            "select", element("option", "worst first", value="worst"), element("option", "best first", value="best"),
            element("option", "methods differ most", value="spread"),
            element("option", "as in the manifest", value="manifest"), name="order")),
        element("label", "Find", element("input", type="search", name="find", placeholder="id or video")),
        element("button", "Reset", type="reset"), element("p", id="status", aria_live="polite", tabindex=-1),
        id="choose", hidden=True, aria_label="Choose samples",
    )  # fmt: skip
    first = [card(one, content.classes, content.parts, content.url) for one in content.cards[:STATIC]]
    said = element(
        "p",
        f"{content.measure} A grey band is the truth, and a frame on a picture; a dashed frame is the query.",
        class_="hint",
    )
    without = element("p", f"The worst {len(first)} of {len(content.cards):,} samples. With JavaScript: all of them.",
                      id="without", class_="hint")  # fmt: skip
    return element("section", element("h2", "Samples"), said, without, chooser,
                   element("div", *first, id="cards"), element("button", "More", id="more", type="button", hidden=True),
                   id="samples")  # fmt: skip


def _select(name: str, title: str, every: str, names: Sequence[str]) -> Markup | None:
    if not names:
        return None
    sorted_ = sorted(enumerate(names), key=lambda item: item[1]) if name == "class" else list(enumerate(names))
    options = [element("option", one, value=place) for place, one in sorted_]
    return element("label", title, element("select", element("option", every, value=""), *options, name=name))


def _closing(content: Content) -> Markup:
    notes = element("ul", *(element("li", note) for note in content.notes)) if content.notes else None
    heading = element("h2", "Notes") if content.notes else None
    made = element("p", f"Made by activity-bench {content.version}. This file loads nothing from anywhere.")
    return element("footer", text(heading, notes), made)

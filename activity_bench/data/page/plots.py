"""Plots as SVG: lines over categories or thresholds, an interval on a scale, marks on a strip. No plot needs colour:
each method has a mark and a dash of its own, and the one in focus has the accent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from activity_bench.data.page.markup import Markup, element, text

WIDTH, HEIGHT = 360, 236  # of a plot, in the units of its view box: pixels on a phone
LEFT, RIGHT, TOP, BOTTOM = 34, 12, 10, 46  # around the plotted area
MARKS = (  # around (0, 0), alike in size
    "M-3.5,0a3.5,3.5 0 1,0 7,0a3.5,3.5 0 1,0 -7,0z", "M-3.2,-3.2h6.4v6.4h-6.4z", "M0,-4.2L4,3.2H-4z",
    "M0,-4.6L4.6,0L0,4.6L-4.6,0z", "M0,4.2L4,-3.2H-4z", "M-1.3,-4h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7v-2.6h2.7z",
)  # fmt: skip
DASHES = (None, "6 3", "2 2.5", "9 3 2 3", "4 2", "1 3")
SHORT = {" s": "", " in its video": "", " third": "", " detection": "", " label": "", " to ": " – "}


@dataclass(frozen=True)
class Plot:
    """One score over the places of an axis, a line or a row of marks for each method."""

    title: str
    axis: str  # what the places are
    places: tuple[str, ...]  # their names
    series: tuple[tuple[float | None, ...], ...]  # of each method a score for each place
    notes: tuple[str, ...] = ()  # below each place: how many it stands for
    every: int = 1  # which places have their name below the axis
    marked: bool = True  # a mark at each place
    joined: bool = True  # the places have an order, and a line goes through them
    score: str = ""  # what the scale is


def mark(method: int, x: float = 0, y: float = 0) -> Markup:
    """The mark of a method."""
    return element("path", d=MARKS[method % len(MARKS)], transform=f"translate({x:g} {y:g})", class_="mark")


def figure(plot: Plot, names: Sequence[str], number: int) -> Markup:
    """A plot and, folded, its numbers as a table."""
    top = _top(plot)
    title, about = f"p{number}-title", f"p{number}-about"
    said = "; ".join(_said(name, plot, row) for name, row in zip(names, plot.series, strict=True))
    drawn = element(
        "svg", element("title", f"{plot.title}: {plot.score}", id=title), element("desc", said, id=about),
        _axes(plot, top), *(_line(plot, method, top) for method in reversed(range(len(names)))),
        viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_labelledby=title, aria_describedby=about,
    )  # fmt: skip
    head = element("tr", element("th", plot.axis, scope="col"), *(element("th", n, scope="col") for n in names))
    rows = [
        element("tr", element("th", place, scope="row"), *(element("td", number_of(v, 3)) for v in values))
        for place, *values in zip(plot.places, *plot.series, strict=True)
    ]
    table = element("table", element("caption", f"{plot.title}: {plot.score}"), element("thead", head),
                    element("tbody", *rows))  # fmt: skip
    scroll = element("div", table, class_="scroll", tabindex=0, role="region", aria_label=plot.title)
    numbers = element("details", element("summary", "Numbers"), scroll)
    caption = element("figcaption", element("b", plot.title), " ", element("span", plot.score))
    return element("figure", caption, drawn, numbers, class_="plot")


def _said(name: str, plot: Plot, row: Sequence[float | None]) -> str:
    """A line in words: its ends where it has many places."""
    chosen = range(len(row)) if len(row) <= 8 else range(0, len(row), plot.every)
    return f"{name}: " + ", ".join(f"{plot.places[i]} {number_of(row[i], 2)}" for i in chosen)


def number_of(value: float | None, digits: int) -> str:
    """A score as a table shows it."""
    return "–" if value is None else f"{value:.{digits}f}"


def _top(plot: Plot) -> float:
    """The end of the scale: 1, or less where nothing comes near it."""
    most = max((value for row in plot.series for value in row if value is not None), default=1.0)
    return next(top for top in (0.1, 0.2, 0.5, 1.0) if most <= top or top == 1.0)


def _place(plot: Plot, place: int) -> float:
    inside = WIDTH - LEFT - RIGHT
    if plot.marked:  # categories stand in the middle of their share
        return LEFT + inside * (place + 0.5) / len(plot.places)
    return LEFT + inside * place / (len(plot.places) - 1)


def _height(value: float, top: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(value / top, 1.0))


def _axes(plot: Plot, top: float) -> Markup:
    lines = []
    for part in range(5):
        y = _height(top * part / 4, top)
        lines.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="grid"))
        lines.append(element("text", f"{top * part / 4:.3g}", x=LEFT - 6, y=f"{y + 3.5:.1f}", text_anchor="end"))
    for place in range(0, len(plot.places), plot.every):
        x = f"{_place(plot, place):.1f}"
        lines.append(element("text", _short(plot.places[place]), x=x, y=HEIGHT - BOTTOM + 15, text_anchor="middle"))
        if plot.notes:
            lines.append(element("text", plot.notes[place], x=x, y=HEIGHT - BOTTOM + 27, text_anchor="middle",
                                 class_="few"))  # fmt: skip
    lines.append(element("text", plot.axis, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 2, text_anchor="middle"))
    return element("g", *lines, class_="axes", aria_hidden="true")


def _short(name: str) -> str:
    """A name that fits below its place."""
    for long, short in SHORT.items():
        name = name.removesuffix(long) if not short else name.replace(long, short)
    first, _, rest = name.partition(" ")
    return {"to": "≤ ", "over": "> "}[first] + rest if first in ("to", "over") else name


def _line(plot: Plot, method: int, top: float) -> Markup:
    points = [(_place(plot, place), _height(value, top))
              for place, value in enumerate(plot.series[method]) if value is not None]  # fmt: skip
    path = "".join(f"{'L' if n else 'M'}{x:.1f},{y:.1f}" for n, (x, y) in zip(count(), points, strict=False))
    marked = points if plot.marked else points[method * 3 + 2 :: 17]  # on a curve a few, at other places for each
    line = element("path", d=path, stroke_dasharray=DASHES[method % len(DASHES)], class_="line")
    return element(
        "g",
        line if path and plot.joined else None,
        *(mark(method, round(x, 1), round(y, 1)) for x, y in marked),
        class_=f"series m{method}",
    )


def interval(value: float | None, low: float | None, high: float | None, method: int | None) -> Markup:
    """A score and its interval on a scale from 0 to 1."""
    drawn = [element("line", x1="0%", x2="100%", y1=9, y2=9, class_="grid")]
    if low is not None and high is not None:
        drawn.append(element("line", x1=_percent(low), x2=_percent(high), y1=9, y2=9, class_="whisker"))
    if value is not None:
        drawn.append(element("circle", cx=_percent(value), cy=9, r=4, class_="dot"))
    return element("svg", *drawn, class_="interval" + ("" if method is None else f" m{method}"), height=18,
                   aria_hidden="true")  # fmt: skip


def strip(scores: Sequence[float | None], names: Sequence[str]) -> Markup:
    """Every method's score on a scale from 0 to 1."""
    said = ", ".join(f"{name} {number_of(score, 2)}" for name, score in zip(names, scores, strict=True))
    marks = [
        element("svg", mark(method), x=_percent(score), y=9, overflow="visible", class_=f"m{method}")
        for method, score in reversed(list(enumerate(scores))) if score is not None
    ]  # fmt: skip
    lines = [element("line", x1=f"{x}%", x2=f"{x}%", y1=0, y2=18, class_="grid") for x in (0, 25, 50, 75, 100)]
    return element("svg", *lines, *marks, class_="strip", height=18, role="img", aria_label=text(said))


def _percent(value: float) -> str:
    return f"{100 * value:.2f}%"

"""The answer of `localize` as a page that stands alone: the question, the answers on the video's timeline, its frames.

One HTML file without a script: pictures are data URIs, text from outside is escaped, colours follow the reader's theme.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from activity_bench.features import cut
from activity_bench.features.images import read_image

if TYPE_CHECKING:
    from activity_bench.workflow.localize import Answer, Localized

STRIP = 12  # pictures along the timeline
WARNING = (
    "Untrained: the features were made without trained weights. This page shows that all parts work; its answer says "
    "little of the video."
)
STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --dim: #59636e; --line: #d1d9e0; --best: #0b62c4;
  --other: #8c959f; --warn: #fff3c4 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --dim: #9198a1; --line: #3d444d;
  --best: #58a6ff; --other: #6e7681; --warn: #4a3b00 } }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 60rem; padding: 1rem; overflow-wrap: anywhere }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
figure { margin: 0 } figcaption, .dim { color: var(--dim); font-size: .875rem }
.warn { background: var(--warn); border: 2px solid currentColor; border-radius: .4rem; padding: .6rem 1rem }
.few { display: grid; gap: .5rem; grid-template-columns: repeat(3, minmax(0, 15rem)); margin: .8rem 0 }
.strip { display: flex } .strip img { flex: 1 1 0; min-width: 0; height: 3.5rem; object-fit: cover }
.few img { border-radius: .3rem; display: block; max-width: 100%; height: auto }
.line { background: var(--line); border-radius: .3rem; height: 1.6rem; margin: .4rem 0; overflow: hidden;
  position: relative }
.line span { background: var(--other); bottom: 0; min-width: 3px; outline: 2px solid var(--paper);
  position: absolute; top: 0 }
.line .best { background: var(--best) }
.ends { display: flex; justify-content: space-between }
table { border-collapse: collapse }
td, th { border-bottom: 1px solid var(--line); padding: .25rem .8rem; text-align: right }
dt { color: var(--dim); font-size: .875rem } dd { margin: 0 0 .5rem }
"""


def answer_page(found: Localized) -> str:
    """The page, whole."""
    best = found.answers[0] if found.answers else None
    said = f"{_clock(best.start)} to {_clock(best.end)}" if best else "nowhere"
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(found.video.name)}: {said}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>",
        f"<h1>{escape(found.video.name)}: {said}</h1>",
        f'<p class="warn" role="note">{escape(WARNING)}</p>' if found.untrained else "",
        f"<h2>What was asked with: {found.kind} {escape(found.query.name)}</h2>",
        _figures(_query(found)),
        "<h2>Where it is</h2>",
        _timeline(found),
        _figures(_of(found, best)) if best else "<p>The model gave no answer.</p>",
        _table(found.answers),
        "<h2>What answered</h2>",
        _account(found),
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _query(found: Localized) -> list[tuple[bytes, str]]:
    """Pictures of what is asked with."""
    if found.kind == "image":
        return [(cut.small(read_image(found.query)), "that is asked with")]
    return _at(found.query, [0.0, found.asked / 2, found.asked])


def _of(found: Localized, best: Answer) -> list[tuple[bytes, str]]:
    """Pictures of the best answer."""
    return _at(found.video, [best.start, (best.start + best.end) / 2, best.end])


def _at(path: Path, seconds: Sequence[float]) -> list[tuple[bytes, str]]:
    return [
        (picture, f"at {_clock(second)}") for picture, second in zip(cut.stills(path, seconds), seconds, strict=True)
    ]


def _figures(pictures: Iterable[tuple[bytes, str]]) -> str:
    every = [f'<figure><img src="{_uri(data)}" alt="the picture {text}"><figcaption>{text}</figcaption></figure>'
             for data, text in pictures]  # fmt: skip
    return '<div class="few">' + "".join(every) + "</div>"


def _timeline(found: Localized) -> str:
    """A strip of pictures, and under it the answers where they lie."""
    seconds = [found.duration * (place + 0.5) / STRIP for place in range(STRIP)]
    strip = "".join(f'<img src="{_uri(data)}" alt="">' for data in cut.stills(found.video, seconds))
    spans = []
    for rank, answer in reversed(list(enumerate(found.answers))):  # the best lies on top
        left, width = 100 * answer.start / found.duration, 100 * (answer.end - answer.start) / found.duration
        spans.append(f'<span{" class=best" * (rank == 0)} style="left:{left:.3f}%;width:{width:.3f}%" '
                     f'title="{_clock(answer.start)} to {_clock(answer.end)}"></span>')  # fmt: skip
    said = "; ".join(f"{_clock(answer.start)} to {_clock(answer.end)}" for answer in found.answers) or "no answer"
    return (
        f'<div class="strip">{strip}</div>\n<div class="line" role="img" aria-label="On a timeline of '
        f'{_clock(found.duration)}: {said}">{"".join(spans)}</div>\n'
        f'<div class="ends dim"><span>{_clock(0)}</span><span>{_clock(found.duration)}</span></div>'
    )


def _table(answers: Iterable[Answer]) -> str:
    rows = "".join(f"<tr><td>{a.start:.3f}</td><td>{a.end:.3f}</td><td>{a.score:.4g}</td></tr>" for a in answers)
    head = "<tr><th scope=col>start, s</th><th scope=col>end, s</th><th scope=col>score</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _account(found: Localized) -> str:
    made = found.features
    facts = {
        "model": f"{found.method}, {found.model}", "features": f"{made.backbone}, layer {made.layer}",
        "weights, sha256": "none: untrained" if found.untrained else made.weights_sha256,
        "projection": made.projection, "video": str(found.video), "windows": f"{found.windows:,}",
    }  # fmt: skip
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts.items()) + "</dl>"


def _uri(data: bytes) -> str:
    return "data:image/jpeg;base64," + b64encode(data).decode()


def _clock(second: float) -> str:
    """61.25 as 1:01.2."""
    tenths = int(second * 10)
    minutes, hours = tenths // 600, tenths // 36_000
    rest = f"{tenths % 600 / 10:04.1f}"
    return f"{hours}:{minutes % 60:02d}:{rest}" if hours else f"{minutes}:{rest}"

"""The report page in a real browser: structure, never pixels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from activity_bench.data.page import STATIC
from activity_bench.workflow.report import report
from tests.browser import runs
from tests.browser.chromium import Chromium, Page

pytestmark = pytest.mark.check

CARDS = "[...document.querySelectorAll('.card')]"
IDS = f"{CARDS}.map(card => card.querySelector('h3').textContent)"
WORST = f"{CARDS}[0].querySelector('h3').textContent"
STATUS = "document.getElementById('status').textContent"


@pytest.fixture
def opened(chromium: Chromium) -> Iterator[Any]:
    """`opened(file, "#class=Rafting", width=390)`; whatever was opened must have had no fault."""
    pages: list[Page] = []

    def open_(file: Path, fragment: str = "", **options: Any) -> Page:
        pages.append(chromium.page(file, fragment, **options))
        return pages[-1]

    yield open_
    for page in pages:
        assert page.faults() == []
        assert {address.partition("#")[0].partition(":")[0] for address in page.asked()} <= {"file"}
        page.close()


def data_of(file: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', file.read_text("utf-8"), re.DOTALL)
    assert found
    return json.loads(found[1])


def settled(page: Page) -> None:
    """Let the page's own events and frames pass."""
    page.run("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")


def clicked(page: Page, selector: str, status: str) -> None:
    """Click, and see what becomes of it: the mouse's events reach the page when they do."""
    page.click(selector)
    for _ in range(200):
        settled(page)
        if page.run(STATUS) == status:
            break
    assert page.run(STATUS) == status


@pytest.mark.parametrize(
    ("kind", "script", "width", "dark"),
    [*(("moments", script, width, dark) for script in (True, False) for width in (390, 1440) for dark in (False, True)),
     ("detections", True, 390, True), ("detections", False, 1440, False)],
)  # fmt: skip
def test_it_stands_at_every_width_and_in_the_dark(
    opened: Any, request: pytest.FixtureRequest, kind: str, width: int, dark: bool, script: bool
) -> None:
    page = opened(request.getfixturevalue(kind), width=width, dark=dark, script=script)
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run("[...document.querySelectorAll('h2')].map(h => h.textContent)") == [
        "Leaderboard", "Where methods are right", "Classes", "Samples", "Notes"
    ]  # fmt: skip
    assert page.run("document.querySelectorAll('.board tbody tr').length") == (3 if kind == "moments" else 2)
    assert page.run("document.querySelectorAll('figure.plot > svg').length") >= 4
    shade = sum(map(int, re.findall(r"\d+", page.run("getComputedStyle(document.body).backgroundColor"))[:3])) / 3
    assert shade < 60 if dark else shade > 200
    count = page.run(f"{CARDS}.length")
    assert count == (min(30 if script else STATIC, 60 if kind == "moments" else 12))
    assert page.run("getComputedStyle(document.getElementById('choose')).display") == ("flex" if script else "none")
    assert page.run("getComputedStyle(document.getElementById('without')).display") == ("none" if script else "block")
    wide = page.run(f"{CARDS}[0].querySelector('.method svg').getBoundingClientRect().width")
    assert wide > (300 if width == 390 else 600)
    assert page.run("[...document.querySelectorAll('.method .name')].every(e => e.getBoundingClientRect().width > 20)")


@pytest.mark.parametrize("kind", ["moments", "detections"])
def test_a_card_of_the_script_is_the_card_of_the_page(opened: Any, request: pytest.FixtureRequest, kind: str) -> None:
    file = request.getfixturevalue(kind)
    html = f"{CARDS}.map(card => card.outerHTML)"
    plain = opened(file, script=False).run(html)
    assert plain
    assert opened(file).run(html)[: len(plain)] == plain


@pytest.mark.parametrize("script", [True, False], ids=["script", "plain"])
def test_what_looks_like_markup_is_text(opened: Any, moments: Path, script: bool) -> None:
    page = opened(moments, script=script)
    assert page.run("window.hacked") is None
    assert page.run("document.images.length") == 0
    assert page.run("document.querySelectorAll('script').length") == 2
    shown = page.run("document.body.textContent")
    assert runs.NASTY in shown
    names = page.run("[...document.querySelectorAll('.classes tbody th a')].map(a => a.textContent)")
    assert sorted(names) == sorted(runs.LABELS)
    assert runs.ENDING in [card["id"] for card in data_of(moments)["samples"]]


def test_the_worst_sample_of_a_class_in_one_click(opened: Any, moments: Path) -> None:
    page, data = opened(moments), data_of(moments)
    place = data["classes"].index("Rafting")
    own = [card for card in data["samples"] if place in card["labels"]]
    clicked(page, f"a[data-class='{place}']", "15 of 60 samples")
    assert page.run(WORST) == min(own, key=lambda card: card["error"])["id"]
    assert page.run(IDS) == [card["id"] for card in own]  # 15, all worst first
    top = page.run("document.getElementById('samples').getBoundingClientRect().top")
    assert -5 < top < 200  # and it is in sight
    page.run("history.back()")
    settled(page)


def test_filters_orders_and_the_address(opened: Any, moments: Path) -> None:
    page, data = opened(moments), data_of(moments)

    def choose(name: str, value: str) -> list[str]:
        control = f"document.getElementById('choose').elements.namedItem('{name}')"
        page.run(f"{control}.value = {json.dumps(value)}")
        page.run(f"{control}.dispatchEvent(new Event('input', {{bubbles: true}}))")
        return page.run(IDS)

    cards, half = data["samples"], data["methods"].index("half")
    part = data["parts"].index("simple")
    assert choose("part", str(part)) == [card["id"] for card in cards if card["part"] == part][:30]
    by_half = sorted((card for card in cards if card["part"] == part), key=lambda card: card["scores"][half])
    assert choose("method", str(half)) == [card["id"] for card in by_half][:30]
    assert page.run(f"{CARDS}.every(c => [...c.querySelectorAll('.method:not([hidden])')].length === 1)")
    best = choose("order", "best")
    assert best[0] == max(by_half, key=lambda card: card["scores"][half])["id"]
    address = page.run("location.hash")
    assert {"part=simple", "method=half", "order=best"} <= set(address[1:].split("&"))
    assert choose("find", "test/7") == ["test/7"]
    clicked(page, "button[type=reset]", "60 of 60 samples")
    spread = choose("order", "spread")
    span = {card["id"]: max(card["scores"]) - min(card["scores"]) for card in cards}
    assert span[spread[0]] == max(span.values())
    asked = [sample.id for sample in runs.samples(60)]
    assert choose("order", "manifest") == asked[:30]
    assert opened(moments, address).run(IDS) == best  # whoever is sent the address sees the same


def test_thousands_of_samples_are_made_as_they_are_looked_at(opened: Any, tmp_path: Path) -> None:
    report(runs.moments(tmp_path, 3000), tmp_path / "report.html")
    page = opened(tmp_path / "report.html")
    settled(page)
    assert page.run(STATUS) == "3,000 of 3,000 samples"
    first = page.run(f"{CARDS}.length")
    assert first <= 60
    page.run("document.getElementById('more').scrollIntoView()")
    for _ in range(5):
        settled(page)
    assert first < page.run(f"{CARDS}.length") < 300
    assert page.run(f"getComputedStyle({CARDS}[0]).contentVisibility") == "auto"
    page.run("document.querySelector('a[data-class]').click()")
    settled(page)
    assert page.run(STATUS) == "750 of 3,000 samples"


@pytest.mark.parametrize("script", [True, False], ids=["script", "plain"])
def test_the_keyboard_does_it_all(opened: Any, moments: Path, script: bool) -> None:
    page = opened(moments, script=script)
    page.press("Tab", 9)
    assert page.run("document.activeElement.textContent") == "To the samples"
    outline = page.run("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    colour = "getComputedStyle(document.querySelector('figure .m1 .line')).stroke"
    page.run("document.querySelector('input[name=focus]:checked').focus()")
    assert page.run("document.activeElement.value") == "0"
    before = page.run(colour)
    page.press("ArrowRight", 39)
    assert page.run("document.activeElement.value") == "1"
    assert page.run(colour) != before  # the second method has the accent now, with or without a script
    for box in ("Leaderboard", "Classes"):  # what scrolls can be reached
        assert page.run(f"document.querySelector('[aria-label=\"{box}\"]').tabIndex") == 0


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read_and_pictures_have_words(opened: Any, moments: Path, dark: bool) -> None:
    page = opened(moments, dark=dark)
    ratios = page.run("""(() => {
      const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(v => v / 255)
        .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
      const back = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
        if (!c.endsWith(', 0)')) return c; } };
      const all = 'p, h1, h2, h3, th, td, caption, label, legend, summary, a, b, span, text, option';
      return [...document.querySelectorAll(all)]
        .filter(e => e.textContent.trim() && e.getClientRects().length).map(e => {
          const s = getComputedStyle(e), ink = light(e instanceof SVGElement ? s.fill : s.color), page = light(back(e));
          return [(Math.max(ink, page) + .05) / (Math.min(ink, page) + .05), e.outerHTML.slice(0, 80)]; }); })()""")
    assert len(ratios) > 200
    assert [said for ratio, said in ratios if ratio < 4.5] == []
    assert page.run("""[...document.querySelectorAll('body svg')].every(s => s.parentElement.closest('svg') ||
        s.getAttribute('aria-hidden') === 'true' || (s.getAttribute('role') === 'img' && (s.getAttribute('aria-label')
        || document.getElementById(s.getAttribute('aria-labelledby'))?.textContent)))""")
    assert page.run("[...document.querySelectorAll('table')].every(t => t.caption?.textContent.trim())")
    assert page.run("[...document.querySelectorAll('select, input')].every(e => e.labels.length === 1)")
    assert page.run("document.documentElement.lang") == "en"
    assert page.run("getComputedStyle(document.querySelector('.card')).animationName") == "none"


def test_the_policy_lets_nothing_out(chromium: Chromium, moments: Path) -> None:
    page = chromium.page(moments)
    blocked = page.run("""(async () => {
      const seen = []; addEventListener('securitypolicyviolation', e => seen.push(e.effectiveDirective));
      const script = document.createElement('script'); script.textContent = 'window.hacked = 3';
      document.body.append(script);
      new Image().src = 'https://example.com/x.png';
      document.body.setAttribute('style', 'color: red');
      try { await fetch('https://example.com/'); } catch { seen.push('fetch failed'); }
      await new Promise(done => setTimeout(done, 50));
      return seen.sort(); })()""")
    assert blocked == ["connect-src", "fetch failed", "img-src", "script-src-elem", "style-src-attr"]
    assert page.run("window.hacked") is None
    outside = [address for address in page.asked() if not address.startswith("file:")]
    assert page.blocked() == ["csp"] * len(outside)  # nothing of it left the browser
    page.close()


def test_links_lead_to_the_second_of_the_video(opened: Any, moments: Path) -> None:
    page = opened(moments, "#find=test%2F1")
    cards = page.run(
        f"{CARDS}.map(c => [c.querySelector('h3').textContent, [...c.querySelectorAll('a')].map(a => [a.href, a.rel])])"
    )
    links = dict(cards)
    assert links["test/1"][0] == ["https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=0s", "noopener noreferrer"]
    assert "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=12s" in [href for href, _ in links["test/1"]]
    assert all(not found for name, found in links.items() if name != "test/1")  # the others are no ids of YouTube

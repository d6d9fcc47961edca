"use strict";
// The page without this has the worst samples; with it, all of them, filtered and sorted. What is text stays text:
// elements are made one by one, and no markup is ever parsed.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const SVG = "http://www.w3.org/2000/svg", DRAWN = new Set(["svg", "rect", "image", "title"]);
  const STEP = 30; // cards that are made at a time

  function element(tag, attributes, ...children) {
    const made = DRAWN.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes))
      if (value !== null && value !== undefined) made.setAttribute(name, value);
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }

  // ---- a card, as cards.py has it ----

  const link = (card, at) => data.url === null || card.unlinked ? null
    : data.url.replaceAll("{video}", () => encodeURIComponent(card.video)).replaceAll("{start}", String(Math.floor(at)));
  const away = (href, text) =>
    element("a", {href, rel: "noopener noreferrer", target: "_blank"}, text);

  function cardOf(card) {
    const said = card.labels.map((place) => element("span", {class: "label"}, data.classes[place]));
    if (card.part !== null) said.push(element("span", {}, data.parts[card.part]));
    const address = link(card, card.from);
    said.push(element("span", {}, "video ", address === null ? card.video : away(address, card.video)));
    said.push(...card.about.map((about) => element("span", {}, about)));
    const head = element("header", {}, element("h3", {}, card.id), element("p", {}, ...said));
    const rows = card.rows.map((row) => rowOf(row, card));
    return element("article", {class: "card"}, head, element("ul", {class: "rows"}, ...rows));
  }

  function rowOf(row, card) {
    let high = card.lanes === 1 ? 18 : 4 + 8 * card.lanes, drawn;
    if ("image" in row) {
      high = 40;
      drawn = element("svg", {height: high, role: "img", "aria-label": row.alt}, element("image",
        {href: row.image, x: `${row.left}%`, y: 0, width: `${row.wide}%`, height: high, preserveAspectRatio: "none"}),
        ...card.truth.map((bar) => barOf([...bar.slice(0, 3), "edge", ""], card, high)));
    } else {
      const behind = row.kind === "truth" ? [] : card.truth.map((bar) => barOf([...bar.slice(0, 3), "band", ""], card, high));
      drawn = element("svg", {height: high, "aria-hidden": "true"}, ...behind,
        ...row.bars.map((bar) => barOf(bar, card, high)));
    }
    const address = "at" in row ? link(card, row.at) : null;
    return element("li", {class: `row ${row.kind}` + ("m" in row ? ` m${row.m}` : "")},
      element("span", {class: "name", title: row.name}, row.name), drawn,
      element("span", {class: "time"}, address === null ? row.text : away(address, row.text)),
      element("b", {}, row.value ?? ""));
  }

  function barOf([left, wide, lane, kind, said], card, high) {
    const one = card.lanes === 1;
    const [y, tall] = kind === "edge" || (kind === "band" && one) ? [0, high] : kind === "band" ? [2 + 8 * lane, 8]
      : one ? [3, 12] : [3 + 8 * lane, 6];
    return element("rect", {x: `${left}%`, y, width: `${wide}%`, height: tall, class: kind},
      said ? element("title", {}, said) : null);
  }

  // ---- which cards, in what order ----

  const form = document.getElementById("choose"), list = document.getElementById("cards");
  const status = document.getElementById("status"), more = document.getElementById("more");
  const fields = ["class", "part", "method", "order", "find"];
  const control = (name) => form.elements.namedItem(name);
  let chosen = [], shown = 0;

  const of = (card, method) => method === "" ? card.error : card.scores[Number(method)];
  const spread = (card) => {
    const known = card.scores.filter((score) => score !== null);
    return known.length ? Math.max(...known) - Math.min(...known) : 0;
  };
  const ORDERS = { // a null is a sample that has no score: it comes last
    worst: (method) => (card) => of(card, method),
    best: (method) => (card) => of(card, method) === null ? null : -of(card, method),
    spread: () => (card) => -spread(card),
    manifest: () => (card) => card.place,
  };

  function choose() {
    const label = control("class")?.value ?? "", part = control("part")?.value ?? "";
    const method = control("method").value, words = control("find").value.trim().toLowerCase();
    const key = (ORDERS[control("order").value] ?? ORDERS.worst)(method);
    chosen = data.samples
      .filter((card) => (label === "" || card.labels.includes(Number(label))) && (part === "" || card.part === Number(part))
        && (words === "" || card.id.toLowerCase().includes(words) || card.video.toLowerCase().includes(words)))
      .map((card, place) => [key(card), place, card])
      .sort((a, b) => a[0] === null || b[0] === null ? (a[0] === null) - (b[0] === null) || a[1] - b[1] : a[0] - b[0] || a[1] - b[1])
      .map((item) => item[2]);
    if (method === "") delete list.dataset.only; else list.dataset.only = method;
    list.replaceChildren();
    shown = 0;
    extend();
    status.textContent = `${chosen.length.toLocaleString("en")} of ${data.samples.length.toLocaleString("en")} samples`;
  }

  function extend() {
    const next = chosen.slice(shown, shown + STEP).map(cardOf), only = list.dataset.only;
    if (only !== undefined) for (const card of next)
      for (const row of card.querySelectorAll(".method, .map")) row.hidden = !row.classList.contains(`m${only}`);
    list.append(...next);
    shown += next.length;
    more.hidden = shown >= chosen.length;
  }

  // ---- the address says what is chosen, so that it can be sent and gone back from ----

  const NAMES = {class: data.classes, part: data.parts, method: data.methods};

  function write() {
    const said = new URLSearchParams();
    for (const name of fields) {
      const value = control(name)?.value ?? "";
      if (value === "" || value === "worst") continue;
      said.set(name, name in NAMES ? NAMES[name][Number(value)] : value);
    }
    const text = said.toString();
    history.replaceState(null, "", text ? `#${text}` : "#samples");
  }

  function read() {
    const said = new URLSearchParams(location.hash.slice(1));
    if (location.hash && ![...said.keys()].some((name) => fields.includes(name))) return false;
    for (const name of fields) {
      if (!control(name)) continue;
      const value = said.get(name) ?? "", place = NAMES[name]?.indexOf(value) ?? -1;
      control(name).value = name in NAMES ? (place < 0 ? "" : String(place)) : value || (name === "order" ? "worst" : "");
    }
    return location.hash !== "";
  }

  function refresh() {
    write();
    choose();
  }

  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", refresh);
  form.addEventListener("reset", () => setTimeout(refresh));
  more.addEventListener("click", extend);
  for (const anchor of document.querySelectorAll("a[data-class]")) {
    anchor.href = `#${new URLSearchParams({class: data.classes[Number(anchor.dataset.class)]})}`;
  }
  addEventListener("hashchange", () => {
    if (!read()) return;
    choose();
    document.getElementById("samples").scrollIntoView();
    status.focus({preventScroll: true});
  });
  new IntersectionObserver((seen) => { if (seen.some((one) => one.isIntersecting) && !more.hidden) extend(); },
    {rootMargin: "1200px"}).observe(more);
  document.getElementById("without").hidden = true;
  if (read()) document.getElementById("samples").scrollIntoView();
  choose();
})();

"""The samples of a report page: truth, query and every method's answers laid out along the window, worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import floor
from pathlib import Path
from typing import Any

from activity_bench.data import manifest as manifests
from activity_bench.data.attention import Attention
from activity_bench.data.instances import Instances
from activity_bench.data.page.png import picture, uri
from activity_bench.errors import InputError, printable
from activity_bench.scoring.detection import DetectionProtocol
from activity_bench.scoring.moments import MomentProtocol
from activity_bench.types import Sample
from activity_bench.workflow.answers import Answered, Shown, of_detections, of_moments, threshold
from activity_bench.workflow.judge import Protocol, Truth
from activity_bench.workflow.run import Progress

MOST = 10_000  # samples of a page; of more, the worst
LANES = 6  # classes of a video that have a lane of their own
OF_MOMENT, OF_DETECTION = 3, 20  # segments of a method that a row shows, best first
FILMS, MAPS = 60, 200  # samples that get a strip of film, and attention, worst first
MOST_FILM, MOST_MAPS = 4 << 20, 6 << 20  # bytes of all of them
ID = 11  # characters of a YouTube id
LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")

Card = dict[str, Any]
Bar = list[Any]  # left, width, lane, kind, text


class Cards:
    """The cards of a split in order, worst first, and what is known of all of them."""

    def __init__(
        self, asked: manifests.Manifest, split: str, truth: Truth, rules: Protocol, methods: Sequence[Shown],
        attention: Sequence[Path | str], videos: Path | str | None, linked: bool, progress: Progress,
    ) -> None:  # fmt: skip
        self.notes: list[str] = []
        self._truth, self._methods, self._linked = truth, methods, linked
        self._samples = asked.samples(split)
        if isinstance(truth, Instances):
            assert isinstance(rules, DetectionProtocol)
            self._answered = [of_detections(one, truth, rules) for one in methods]
            at = threshold(rules)
            self.measure = (
                f"A value is the mean average precision of the video by itself at IoU {rules.thresholds[at]:g}, over "
                f"the classes that it has. A filled bar found a target. The {OF_DETECTION} best of each method are "
                "shown; a class of the video has a lane, others share the last."
            )
            words = truth.labels
        else:
            assert isinstance(rules, MomentProtocol)
            self._answered = [of_moments(one, len(truth.ids), rules) for one in methods]
            self.measure = (
                f"A value is the IoU of a method's answer; of further segments, the {OF_MOMENT - 1} best are pale."
            )
            words = truth.label.words
        self.made_up = all(is_made_up(sample.video.id) for sample in self._samples)
        used = dict.fromkeys(word for sample in self._samples for word in _labels(sample)) if words else {}
        self._codes = {word: place for place, word in enumerate(used)}
        self.classes = tuple(printable(word, 120) for word in used)
        parts = dict.fromkeys(sample.part for sample in self._samples if sample.part is not None)
        self.parts, self._parts = tuple(printable(part, 60) for part in parts), {p: n for n, p in enumerate(parts)}
        order = self._worst_first() if methods else []
        if len(order) > MOST:
            self.notes.append(f"The worst {MOST:,} of {len(order):,} samples are shown.")
        self._maps = [self._opened(Path(file), asked.digest, split) for file in attention]
        self._films = _films(videos) if videos is not None else {}
        self._bytes = Counter[str]()
        self._lacking: Counter[str] = Counter()
        self._undrawn = 0
        self.made = [
            self._card(place, rank) for rank, place in enumerate(progress(order[:MOST], len(order), "samples"))
        ]
        if self._undrawn:
            self.notes.append(f"{self._undrawn:,} samples have attention that is not drawn: a page has that of the "
                              f"worst {MAPS}, and {MOST_MAPS >> 20} MB at most.")  # fmt: skip
        if videos is not None:
            self.notes += [f"No film: {count:,} x {why}." for why, count in sorted(self._lacking.items())]

    # ---- order ------------------------------------------------------------------------------------------------------

    def _error(self, place: int) -> float | None:
        """The mean value of all methods; None where the sample has none."""
        known = [value for one in self._answered if (value := one.values[place]) is not None]
        return round(sum(known) / len(known), 6) if known else None

    def _worst_first(self) -> list[int]:
        errors = [self._error(place) for place in range(len(self._samples))]
        return sorted(range(len(errors)), key=lambda place: (errors[place] is None, errors[place] or 0.0, place))

    # ---- a card -----------------------------------------------------------------------------------------------------

    def _card(self, place: int, rank: int) -> Card:
        sample = self._samples[place]
        span = self._span(sample, place)
        lanes = self._lanes(sample)
        truth = [_bar(span, t.start, t.end, lanes.get(t.label, len(lanes)), "true", _said(t.start, t.end, t.label))
                 for t in sample.targets]  # fmt: skip
        whole = 1 + max([*lanes.values(), *(bar[2] for bar in truth)], default=0)
        rows = [*self._film(sample, rank, span), _truth_row(sample, span, truth), *_query_row(sample, span)]
        for method, (shown, answered) in enumerate(zip(self._methods, self._answered, strict=True)):
            row = self._method_row(answered, place, span, lanes) | {"name": shown.name, "m": method}
            whole = max(whole, 1 + max((bar[2] for bar in row["bars"]), default=0))
            rows += [row, *self._attention_rows(sample, method, rank, span)]
        made: Card = {
            "place": place, "id": printable(sample.id), "video": printable(sample.video.id),
            "about": _about(sample, span),
            "labels": [self._codes[label] for label in _labels(sample) if label in self._codes],
            "part": None if sample.part is None else self._parts[sample.part], "error": self._error(place),
            "scores": [None if (v := one.values[place]) is None else round(v, 4) for one in self._answered],
            "from": span[0], "lanes": max(whole, 1), "truth": [bar[:3] for bar in truth], "rows": rows,
        }  # fmt: skip
        if not self._linked and not is_youtube(sample.video.id):
            made["unlinked"] = True
        elif not self._linked:
            made["video"] = sample.video.id[-ID:]
        return made

    def _span(self, sample: Sample, place: int) -> tuple[float, float]:
        """The window; where its end is not known, as far as anything reaches."""
        if sample.video.end is not None:
            return sample.video.start, sample.video.end
        ends = [target.end for target in sample.targets]
        for one in self._answered:
            ends += one.end[one.edges[place] : one.edges[place + 1]][:OF_DETECTION].tolist()
        return sample.video.start, max([sample.video.start + 1.0, *ends])

    def _lanes(self, sample: Sample) -> dict[str | None, int]:
        """The most frequent classes of a detection sample, a lane each; all others share the last."""
        if not isinstance(self._truth, Instances):
            return {target.label: 0 for target in sample.targets}
        counted = Counter(target.label or sample.label for target in sample.targets)
        frequent = sorted(counted.items(), key=lambda item: (-item[1], str(item[0])))[:LANES]
        return {label: lane for lane, (label, _) in enumerate(frequent)}

    def _method_row(
        self, answered: Answered, place: int, span: tuple[float, float], lanes: Mapping[str | None, int]
    ) -> dict[str, Any]:
        first, last = answered.edges[place], answered.edges[place + 1]
        most = OF_MOMENT if answered.label is None else OF_DETECTION
        bars: list[Bar] = []
        for k in range(first, min(last, first + most)):
            start, end = float(answered.start[k]), float(answered.end[k])
            label = None
            if answered.label is not None and isinstance(self._truth, Instances):
                label = self._truth.labels[answered.label[k]]
            kind = "answer" if k == first else "less"
            if answered.hit is not None:
                kind = "answer" if answered.hit[k] else "miss"
            said = f"{_said(start, end, label)}, score {answered.score[k]:.3g}"
            bars.append(
                _bar(span, start, end, lanes.get(label, len(lanes)) if answered.label is not None else 0, kind, said)
            )
        if answered.label is None:
            bars.reverse()  # the answer lies on top
        value = answered.values[place]
        row: dict[str, Any] = {"kind": "method", "name": "", "bars": bars, "text": "no answer",
                               "value": "–" if value is None else f"{value:.3f}"}  # fmt: skip
        if first < last and answered.label is None:
            row |= {
                "text": _said(float(answered.start[first]), float(answered.end[first])),
                "at": float(answered.start[first]),
            }
        elif first < last:
            row["text"] = f"{len(bars)} of {last - first:,}"
        return row

    # ---- pictures ---------------------------------------------------------------------------------------------------

    def _film(self, sample: Sample, rank: int, span: tuple[float, float]) -> Iterator[dict[str, Any]]:
        if not self._films or rank >= FILMS or self._bytes["film"] >= MOST_FILM:
            return
        name = sample.video.id
        file = self._films.get(name) or self._films.get(f"v_{name}") or self._films.get(name.removeprefix("v_"))
        if file is None:
            self._lacking["a video is not in the folder"] += 1
            return
        from activity_bench.features.film import strip
        from activity_bench.features.frames import Undecodable

        try:
            data = strip(file, *span)
        except Undecodable as error:
            self._lacking[f"{file.name}: {error.kind}"] += 1
            return
        self._bytes["film"] += len(data)
        yield {"kind": "film", "name": "film", "bars": [], "text": "", "image": uri("image/jpeg", data), "left": 0,
               "wide": 100, "alt": f"Pictures of the video from {_said(*span)}"}  # fmt: skip

    def _opened(self, file: Path, digest: str, split: str) -> tuple[int, Attention]:
        """A file of attention, and the place of its method."""
        opened = Attention(file)
        if (opened.about.manifest, opened.about.split) != (digest, split):
            found = f"{opened.about.split}, {opened.about.manifest}"
            raise InputError("attention to another split or manifest", file=file, field="manifest", found=found,
                             expected=f"{split}, {digest}")  # fmt: skip
        named = [
            n for n, one in enumerate(self._methods) if one.answers.header.method.get("name") == opened.about.method
        ]
        if len(named) != 1:
            there = ", ".join(one.name for one in self._methods)
            raise InputError("the attention of a method that the page has not once", file=file, field="method",
                             found=opened.about.method, expected=there)  # fmt: skip
        return named[0], opened

    def _attention_rows(
        self, sample: Sample, method: int, rank: int, span: tuple[float, float]
    ) -> Iterator[dict[str, Any]]:
        for of, opened in self._maps:
            found = opened.of(sample.id) if of == method else None
            if found is None:
                continue
            if rank >= MAPS or self._bytes["map"] >= MOST_MAPS:
                self._undrawn += 1
                continue
            maps, (start, end) = found
            left, wide = _extent(span, start, end)
            for name, values in zip(opened.about.maps, maps, strict=True):
                greatest = float(values.max())
                data = picture(values.T, greatest)  # across: rows of the window, as the timeline has them
                self._bytes["map"] += len(data)
                down = f"{values.shape[1]:,} {opened.about.columns}"
                name = printable(name, 40)
                yield {"kind": "map", "name": f"{name}: {down}", "bars": [], "m": method,
                       "text": f"most {greatest:.3g}", "image": uri("image/png", data), "left": left, "wide": wide,
                       "alt": f"Attention of {self._methods[method].name}, {name}: {len(values):,} rows of "
                              f"the window across, {down} down; the darkest is {greatest:.3g}."}  # fmt: skip


# ---- rows -----------------------------------------------------------------------------------------------------------


def is_youtube(video: str) -> bool:
    """Whether an id looks like one of YouTube, as ActivityNet has them, with `v_` or without. Made-up ones do not."""
    name = video.removeprefix("v_") if len(video) == ID + 2 else video
    return len(name) == ID and LETTERS.issuperset(name) and not is_made_up(video)


def is_made_up(video: str) -> bool:
    """Whether an id is one of the simulation's: 11 characters, like those of YouTube, that begin with `sim`."""
    return video.startswith("sim") and len(video) == ID


def _labels(sample: Sample) -> list[str]:
    """The classes of a sample, each once."""
    return list(
        dict.fromkeys(label for label in (sample.label, *(t.label for t in sample.targets)) if label is not None)
    )


def _said(start: float, end: float, label: str | None = None) -> str:
    return f"{start:.2f} – {end:.2f} s" if label is None else f"{printable(label, 120)}, {start:.2f} – {end:.2f} s"


def _extent(span: tuple[float, float], start: float, end: float) -> tuple[float, float]:
    """Left edge and width in hundredths of the span, two digits; what is short keeps a width that can be seen."""
    size = span[1] - span[0]
    left, right = (min(max(100 * (time - span[0]) / size, 0.0), 100.0) for time in (start, end))
    left, right = (floor(share * 100 + 0.5) / 100 for share in (left, right))
    wide = max(round(right - left, 2), 0.3)
    return min(left, 99.7), wide


def _bar(span: tuple[float, float], start: float, end: float, lane: int, kind: str, said: str) -> Bar:
    left, wide = _extent(span, start, end)
    return [left, wide, lane, kind, said]


def _about(sample: Sample, span: tuple[float, float]) -> list[str]:
    query = sample.query
    said = [_said(*span) + ("" if sample.video.end is not None else ", the end is not known")]
    if query.kind == "image":
        said.append(f"asked with an image of {printable(str(query.video))} at {query.time:.2f} s")
    elif query.kind == "clip":
        said.append(
            f"asked with a clip of {printable(str(query.video))}, {_said(query.start or 0.0, query.end or 0.0)}"
        )
    elif query.kind == "text":
        said.append(f"asked in words: {printable(str(query.text))}")
    shown = query.label
    return [*said, *([f"the query shows {printable(shown, 120)}"] if shown and shown != sample.label else [])]


def _truth_row(sample: Sample, span: tuple[float, float], bars: list[Bar]) -> dict[str, Any]:
    ignored = [
        _bar(span, i.start, i.end, 0, "ignore", f"not judged, {_said(i.start, i.end)}") for i in sample.ignore or ()
    ]
    row: dict[str, Any] = {"kind": "truth", "name": "truth", "bars": [*ignored, *bars],
                           "text": f"{len(bars)} targets" if len(bars) != 1 else ""}  # fmt: skip
    if len(bars) == 1:
        row["text"] = _said(sample.targets[0].start, sample.targets[0].end)
    if bars:
        row["at"] = min(target.start for target in sample.targets)
    return row


def _query_row(sample: Sample, span: tuple[float, float]) -> Iterator[dict[str, Any]]:
    """Where the query lies, if that is in the same video."""
    query = sample.query
    if query.video != sample.video.id or query.kind not in ("image", "clip"):
        return
    start = (query.time if query.kind == "image" else query.start) or 0.0
    end = start if query.kind == "image" else query.end or start
    inside = start < span[1] and end >= span[0]
    text = (f"{start:.2f} s" if query.kind == "image" else _said(start, end)) + ("" if inside else ", outside")
    yield {"kind": "query", "name": "query", "bars": [_bar(span, start, end, 0, "asked", text)] if inside else [],
           "text": text, "at": start}  # fmt: skip


def _films(folder: Path | str) -> dict[str, Path]:
    """The files of a folder and below it by their stem; the first of two that share one."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("no such folder", file=folder, field="--videos")
    from activity_bench.workflow.extract import SUFFIXES

    files = sorted((path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES), reverse=True)
    return {path.stem: path for path in files if path.is_file()}

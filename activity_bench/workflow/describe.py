"""What a manifest holds, in counts, means and pictures made of text: for its datasheet and for `inspect`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import floor
from typing import Any

from activity_bench.types import Sample

BARS = " ▏▎▍▌▋▊▉█"
WIDTH = 30  # characters of the longest bar


@dataclass(frozen=True)
class Histogram:
    """Counts of values in bins of equal width; the last bin holds all that is larger."""

    title: str
    edges: tuple[str, ...]
    counts: tuple[int, ...]

    def lines(self) -> list[str]:
        """One line a bin: its range, a bar, its count."""
        most = max([*self.counts, 1])
        wide = max(map(len, self.edges), default=0)
        return [
            f"{edge:>{wide}}  {bar(count / most):<{WIDTH}}  {count}"
            for edge, count in zip(self.edges, self.counts, strict=True)
        ]


def bar(share: float) -> str:
    """A bar of up to WIDTH characters, drawn to an eighth of one."""
    eighths = round(share * WIDTH * 8)
    return "█" * (eighths // 8) + BARS[eighths % 8].strip()


class Summary:
    """Sums over the samples of a split, taken as they go by: bounded memory whatever their number."""

    BINS = 10

    def __init__(self) -> None:
        self.samples = self.targets = self.windows = 0
        self.window_seconds = self.target_seconds = self.coverage = 0.0
        self.videos: set[str] = set()
        self.labels: Counter[str] = Counter()
        self.parts: Counter[str] = Counter()
        self.target_lengths: Counter[int] = Counter()  # bins of 5 s
        self.coverages: Counter[int] = Counter()  # bins of a tenth
        self.starts: Counter[int] = Counter()

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Summary:
        """The summary of some samples."""
        summary = cls()
        for sample in samples:
            summary.add(sample)
        return summary

    def add(self, sample: Sample) -> None:
        """Count one sample."""
        self.samples += 1
        self.videos.add(sample.video.id)
        for label in sample.classes():
            self.labels[label] += 1
        if sample.part:
            self.parts[sample.part] += 1
        length = None if sample.video.end is None else sample.video.end - sample.video.start
        if length:
            self.windows += 1
            self.window_seconds += length
        for target in sample.targets:
            seconds = target.end - target.start
            self.targets += 1
            self.target_seconds += seconds
            self.target_lengths[min(floor(seconds / 5), self.BINS - 1)] += 1
            if length:
                self.coverage += seconds / length
                self.coverages[min(floor(10 * seconds / length), 9)] += 1
                self.starts[min(floor(10 * (target.start - sample.video.start) / length), 9)] += 1

    def figures(self) -> dict[str, str]:
        """The split's figures, as text."""
        figures = {
            "samples": f"{self.samples:,}",
            "videos": f"{len(self.videos):,}",
            "classes": f"{len(self.labels):,}",
            "targets": f"{self.targets:,}",
            "mean window": _mean(self.window_seconds, self.windows),
            "mean target": _mean(self.target_seconds, self.targets),
            "mean target / window": f"{self.coverage / self.targets:.3f}" if self.windows and self.targets else "-",
        }
        return figures | {f"part {part}": f"{count:,}" for part, count in sorted(self.parts.items())}

    def histograms(self) -> list[Histogram]:
        """How long targets are, how much of their window they fill, and where they begin."""
        tenths = tuple(f"{i / 10:.1f} - {(i + 1) / 10:.1f}" for i in range(10))
        lengths = (*(f"{5 * i} - {5 * i + 5} s" for i in range(self.BINS - 1)), f"over {5 * self.BINS - 5} s")
        return [
            Histogram("Length of targets", lengths, _bins(self.target_lengths)),
            Histogram("Share of the window that a target fills", tenths, _bins(self.coverages)),
            Histogram("Where in its window a target begins", tenths, _bins(self.starts)),
        ]


def _mean(total: float, count: int) -> str:
    return f"{total / count:.2f} s" if count else "-"


def _bins(counter: Counter[int]) -> tuple[int, ...]:
    return tuple(counter[i] for i in range(Summary.BINS))


def datasheet(page: Mapping[str, Any], summaries: Mapping[str, Summary], paper: Mapping[str, Any]) -> str:
    """DATASHEET.md of a manifest."""
    provenance, splits = page["provenance"], {split: s for split, s in summaries.items() if s.samples}
    drops, unit = provenance["drops"], provenance["drops"]["unit"] + "s"
    sources = [[s["file"], f"{s['bytes']:,}", s["sha256"], s["licence"] or "not stated"] for s in provenance["sources"]]
    text = [
        f"# {page['name']}, version {page['version']}",
        "",
        f"Digest `{page['digest']}`, built by {provenance['package']}.",
        *_section("Counts", _beside_the_paper(splits, paper)),
        "",
        f"The paper: {escape(paper['title'])}." + (f" Note: {escape(paper['note'])}." if "note" in paper else ""),
        *_section("What was left out", [f"Of {drops['seen']:,} {unit} seen, {drops['kept']:,} were kept."]),
        "",
        *table(["reason", unit], [[reason, f"{count:,}"] for reason, count in drops["dropped"].items()]),
        "",
        *table(["mended", "times"], [[reason, f"{count:,}"] for reason, count in drops["mended"].items()]),
        *_section("Choices", table(["option", "value"], [[k, str(v)] for k, v in provenance["options"].items()])),
        *_section("Sources", table(["file", "bytes", "sha256", "licence"], sources)),
        *_subsets(provenance),
    ]
    for title, items in drops["notes"].items():
        text += _section(f"Noted: {title}", [f"- {escape(item)}" for item in items])
    for split, summary in splits.items():
        for histogram in summary.histograms():
            text += _section(f"{histogram.title}: {split}", ["```", *histogram.lines(), "```"])
    return "\n".join(text) + "\n"


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", f"## {title}", "", *lines]


def _beside_the_paper(splits: Mapping[str, Summary], paper: Mapping[str, Any]) -> list[str]:
    """Our figures a split, and in the last column the paper's own, where it prints one."""
    rows = {split: summary.figures() for split, summary in splits.items()}
    names = list(dict.fromkeys([*(name for figures in rows.values() for name in figures), *paper]))
    cells = [
        [name, *(figures.get(name, "") for figures in rows.values()), str(paper.get(name, ""))]
        for name in names
        if name not in ("title", "note")
    ]
    return table(["", *splits, "the paper"], cells)


def _subsets(provenance: Mapping[str, Any]) -> list[str]:
    """What was evaluated on, and what of it could be asked, where the provenance says so."""
    text = []
    if "evaluation" in provenance:
        subsets = [[split, s["name"], f"{s['videos']:,}", s["sha256"]] for split, s in provenance["evaluation"].items()]
        header = ["split", "name", "videos", "sha256 of the sorted ids, a line each"]
        text += _section("Evaluation subsets", table(header, subsets))
    if "coverage" in provenance:
        covered = [
            [split, f"{c['have']:,}", f"{c['samples']:,}", f"{c['missing videos']:,}"]
            for split, c in provenance["coverage"].items()
        ]
        header = ["split", "samples that can be asked", "of", "missing videos"]
        text += _section("Coverage by the videos at hand", table(header, covered))
    return text


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table, or a line saying that there is nothing."""
    if not rows:
        return ["(none)"]
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(escape(cell) for cell in line) + " |" for line in lines]


def escape(text: str) -> str:
    """Text from a file, harmless inside Markdown."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "\\`").replace("\n", " ")

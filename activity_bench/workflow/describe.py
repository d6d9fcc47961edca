"""What a manifest holds, in counts, means and pictures made of text: for its datasheet and for `inspect`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activity_bench.segments import Floats
from activity_bench.types import Sample, classes_of

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
    """Sums over the samples of a split, taken as they go by, some at a time: bounded memory whatever their number."""

    BINS = 10

    def __init__(self) -> None:
        self.samples = self.targets = self.windows = 0
        self.window_seconds = self.target_seconds = self.coverage = 0.0
        self.videos: set[str] = set()
        self.labels: set[str] = set()
        self.parts: Counter[str] = Counter()
        self.target_lengths = np.zeros(self.BINS, np.int64)  # bins of 5 s
        self.coverages = np.zeros(self.BINS, np.int64)  # bins of a tenth
        self.starts = np.zeros(self.BINS, np.int64)

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Summary:
        """The summary of some samples."""
        summary = cls()
        summary.add(samples)
        return summary

    def add(self, samples: Sequence[Sample]) -> None:
        """Count some samples."""
        self.samples += len(samples)
        self.videos.update([sample.video.id for sample in samples])
        self.labels |= classes_of(samples)
        self.parts.update([sample.part for sample in samples if sample.part])
        # an unknown end becomes nan
        windows = np.array([(s.video.start, s.video.end) for s in samples], np.float64).reshape(-1, 2)
        targets = np.array([(t.start, t.end) for s in samples for t in s.targets], np.float64).reshape(-1, 2)
        sample_of = np.repeat(np.arange(len(samples)), [len(s.targets) for s in samples])  # (targets,)
        lengths, seconds = windows[:, 1] - windows[:, 0], targets[:, 1] - targets[:, 0]
        length, begins = lengths[sample_of], targets[:, 0] - windows[sample_of, 0]
        self.windows += int(np.isfinite(lengths).sum())
        self.window_seconds += _total(lengths)
        self.targets += len(targets)
        self.target_seconds += _total(seconds)
        self.coverage += _total(seconds / length)
        self.target_lengths += _bins(seconds / 5)
        self.coverages += _bins(10 * seconds / length)
        self.starts += _bins(10 * begins / length)

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
            Histogram("Length of targets", lengths, tuple(self.target_lengths.tolist())),
            Histogram("Share of the window that a target fills", tenths, tuple(self.coverages.tolist())),
            Histogram("Where in its window a target begins", tenths, tuple(self.starts.tolist())),
        ]


def _mean(total: float, count: int) -> str:
    return f"{total / count:.2f} s" if count else "-"


def _total(values: Floats) -> float:
    return fsum(values[np.isfinite(values)].tolist())  # exact, so that no machine's order of adding shows


def _bins(values: Floats) -> NDArray[np.int64]:
    """How many values lie in each bin of width 1; the last one holds all that is larger."""
    bins = np.clip(values[np.isfinite(values)], 0, Summary.BINS - 1).astype(np.int64)
    return np.bincount(bins, minlength=Summary.BINS)


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

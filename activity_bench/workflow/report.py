"""report: runs of one question -> one page: the leaderboard, plots, and every sample on its timeline."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from activity_bench import __version__
from activity_bench.data import manifest as manifests
from activity_bench.data import page
from activity_bench.data import predictions as predicted
from activity_bench.data.disk import sha256
from activity_bench.data.page import Class, Content, Plot, Row
from activity_bench.data.predictions import Answers
from activity_bench.data.reports import Report, read_report
from activity_bench.errors import InputError, printable
from activity_bench.segments import Floats
from activity_bench.workflow.answers import Shown
from activity_bench.workflow.cards import Cards
from activity_bench.workflow.compare import check_same, check_scores, in_order, name_of, report_file, rules_of
from activity_bench.workflow.inspect import standing
from activity_bench.workflow.judge import Protocol, Truth, Verdict, Wanted, judge
from activity_bench.workflow.rank import Leaderboard, leaderboard
from activity_bench.workflow.run import Progress, silent
from activity_bench.workflow.score import read_truth

YOUTUBE = "https://www.youtube.com/watch?v={video}&t={start}s"
CURVE = 50  # steps of IoU in a curve
KINDS = {
    "by_length": "length of the target, seconds",
    "by_coverage": "target's share of its window",
    "by_position": "third of the window that the target is in",
    "by_number": "targets of a class in a video",
}
LOOKED_AT = 40  # manifests in the folders around a run


@dataclass(frozen=True)
class Reported:
    """A page that was written: its samples, its size, and what it lacks."""

    file: Path
    samples: int
    bytes: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Run:
    """A method of the page: its report and, where its answers are at hand, what they are worth."""

    path: Path
    report: Report
    name: str
    answers: Answers | None
    verdict: Verdict | None


def report(
    runs: Sequence[Path | str],
    out: Path | str,
    *,
    manifest: Path | str | None = None,
    by: str | None = None,
    attention: Sequence[Path | str] = (),
    videos: Path | str | None = None,
    url_template: str | None = None,
    published: bool = True,
    progress: Progress = silent,
) -> Reported:
    """Draw runs (their folders, or reports with the predictions beside them) that answer one split by one protocol.

    The manifest is looked for around the runs where it is not named. `attention` are files that `predict` wrote,
    `videos` a folder of films for thumbnails, and `url_template` an https address with {video} and {start}.

    >>> report(["run-a", "run-b"], "report.html").samples
    """
    board = leaderboard(runs, by=by, published=published)
    notes: list[str] = []
    read = _read(runs)
    path, first = read[0]
    asked = _manifest(manifest, [path for path, _ in read], first)
    rules = _rules(first, path)
    truth = read_truth(asked, first.manifest.split)
    ranked, rows = _ranked(board, read)
    names = _names(ranked)
    done = [
        _judged(path, report, name, truth, rules, asked.digest, notes)
        for (path, report), name in zip(progress(ranked, len(ranked), "answers"), names, strict=True)
    ]
    shown = [Shown(run.name, run.answers, run.verdict) for run in done if run.answers and run.verdict]
    _addresses(url_template)
    cards = Cards(
        asked, first.manifest.split, truth, rules, shown, attention, videos, url_template is not None, progress
    )
    content = Content(
        title=f"{printable(asked.name)} · {printable(first.manifest.split)}",
        facts=_facts(asked, first, cards), warnings=_warnings(done, cards), methods=tuple(names),
        focus=_focus(done, board.by), by=board.by, others=tuple(name for name in board.metrics if name != board.by),
        board=tuple(_row(row, place, board) for row, place in rows), plots=tuple(_plots(done, rules, board.by)),
        classes=cards.classes, by_class=tuple(_by_class(done, cards.classes, board.by)), parts=cards.parts,
        cards=tuple(_spread(card, shown, names) for card in cards.made), measure=cards.measure,
        url=url_template or YOUTUBE, notes=(f"Manifest: {asked.digest}", *notes, *cards.notes), version=__version__,
    )  # fmt: skip
    size = page.write(Path(out), content)
    return Reported(Path(out), len(content.cards), size, content.notes[1:])


# ---- what is read ---------------------------------------------------------------------------------------------------


def _read(runs: Sequence[Path | str]) -> list[tuple[Path, Report]]:
    """The reports, which answer one question by one set of rules, or the error says which of them differs."""
    read = [(path, read_report(path)) for path in (report_file(Path(run)) for run in runs)]
    path, first = read[0]
    for other, report in read[1:]:
        check_same(first, report, path, other, "Make a page for each; leaderboard ranks them in groups.")
    return read


def _rules(report: Report, path: Path) -> Protocol:
    rules: Protocol = rules_of(report, path)
    return replace(rules, ties="official") if " ties=official" in report.protocol else rules


def _manifest(named: Path | str | None, paths: Sequence[Path], report: Report) -> manifests.Manifest:
    """The manifest that the reports answer: the one that is named, or one with their digest around the runs."""
    digest = report.manifest.digest
    if named is not None:
        asked = manifests.load(Path(named))
        if asked.digest != digest:
            raise InputError("another manifest than that of the reports", file=asked.folder, field="digest",
                             found=asked.digest, expected=digest)  # fmt: skip
        return asked
    for folder in islice(_around(paths), LOOKED_AT):
        try:
            asked = manifests.load(folder)
        except InputError:
            continue
        if asked.digest == digest:
            return asked
    raise InputError("the manifest of these runs is not in a folder near them", field="--manifest", found=digest,
                     expected="the folder of the manifest with this digest")  # fmt: skip


def _around(paths: Sequence[Path]) -> Iterator[Path]:
    """Manifests in the folders of the runs, beside them, and beside the folders that they are in."""
    for above in dict.fromkeys(parent for path in paths for parent in list(path.resolve().parents)[:3]):
        yield from sorted(found.parent for found in above.glob("*/manifest.json"))


def _ranked(board: Leaderboard, read: Sequence[tuple[Path, Report]]) -> tuple[list[tuple[Path, Report]], list[Any]]:
    """The reports in the order of the leaderboard, each once; its rows, each with the place of its report or None."""
    ranked: list[tuple[Path, Report]] = []
    left, rows = list(read), []
    for row in board.rows:
        own = next((one for one in left if row["source"] == "measured" and _is_of(row, one[1], board)), None)
        if own is not None:
            left.remove(own)
            ranked.append(own)
        rows.append((row, None if own is None else len(ranked) - 1))
    return ranked, rows


def _is_of(row: Mapping[str, object], report: Report, board: Leaderboard) -> bool:
    same = all(row.get(metric) == report.metrics.get(metric) for metric in board.metrics)
    return same and row["method"] == name_of(report) and row["answered"] == report.answered


def _names(ranked: Sequence[tuple[Path, Report]]) -> list[str]:
    """What each method is called: its own name, with that of its folder where several share one, and then a number."""
    own = [printable(name_of(report), 80) for _, report in ranked]
    names = [
        name if own.count(name) == 1 else f"{name} ({printable(path.resolve().parent.name, 60)})"
        for name, (path, _) in zip(own, ranked, strict=True)
    ]
    return [f"{name} {names[:n].count(name) + 1}" if names.count(name) > 1 else name for n, name in enumerate(names)]


def _judged(
    path: Path, report: Report, name: str, truth: Truth, rules: Protocol, digest: str, notes: list[str]
) -> _Run:  # fmt: skip
    """A run with what its answers are worth, if the file that the report was made from is beside it."""
    file = path.parent / Path(report.predictions.get("file", "")).name
    if not file.is_file():
        notes.append(f"{name}: its predictions are not beside its report, so its answers are not shown.")
        return _Run(path, report, name, None, None)
    if sha256(file)[0] != report.predictions.get("sha256"):
        notes.append(f"{name}: {file.name} is not what its report was made from, so its answers are not shown.")
        return _Run(path, report, name, None, None)
    answers = predicted.read(file, truth, digest, rules.foreign, report.predictions.get("format"))
    verdict = judge(truth, answers, rules, Wanted(intervals=False, diagnosis=True, rows=True, seed=0))
    check_scores(path, report, verdict.metrics)
    return _Run(path, report, name, answers, verdict)


def _addresses(template: str | None) -> None:
    if template is None:
        return
    try:
        parts = urlsplit(template.replace("{video}", "v").replace("{start}", "0"))
        sound = parts.scheme == "https" and bool(parts.hostname) and parts.username is None
    except ValueError:
        sound = False
    known = re.sub(r"\{(video|start)\}", "", template)
    if not sound or "{" in known or "}" in known or "{video}" not in template or not template.isprintable():
        raise InputError("not an address of videos", field="--url-template", found=template,
                         expected="https://…{video}…, with {start} for the second")  # fmt: skip


# ---- what is shown --------------------------------------------------------------------------------------------------


def _facts(asked: manifests.Manifest, first: Report, cards: Cards) -> tuple[str, ...]:
    protocol = f"protocol {printable(first.protocol)}, rules {first.scorer.get('rules')}"
    counts = [f"{first.asked:,} samples", *([f"{len(cards.classes):,} classes"] if cards.classes else [])]
    return printable(asked.version), *counts, protocol, asked.digest[:19] + "…", standing(asked)


def _warnings(runs: Sequence[_Run], cards: Cards) -> tuple[str, ...]:
    said = ["A made-up corpus: these figures say nothing of real videos."] if cards.made_up else []
    return (*said, *(f"{run.name}: {printable(warning)}" for run in runs for warning in run.report.warnings))


def _focus(runs: Sequence[_Run], by: str) -> int:
    """The best method that is not perfect: of one that is there is nothing to see."""
    return next((place for place, run in enumerate(runs) if run.report.metrics.get(by, 1.0) < 1), 0)


def _row(row: Mapping[str, Any], method: int | None, board: Leaderboard) -> Row:
    others = tuple(row.get(name) for name in board.metrics if name != board.by)
    rank = "" if row.get("rank") is None else str(row["rank"])
    score, low, high = (row.get(f"{board.by}{end}") for end in ("", "_low", "_high"))
    tied = row.get("tied_with_best") == "yes"
    return Row(rank, printable(str(row["method"])), method, tied, score, low, high, others, str(row["source"]))


def _spread(card: dict[str, Any], shown: Sequence[Shown], names: Sequence[str]) -> dict[str, Any]:
    """A card of the methods whose answers are at hand, as one of all methods."""
    places = [names.index(one.name) for one in shown]
    scores: list[float | None] = [None] * len(names)
    for place, score in zip(places, card["scores"], strict=True):
        scores[place] = score
    rows = [row | {"m": places[row["m"]]} if "m" in row else row for row in card["rows"]]
    return card | {"scores": scores, "rows": rows}


def _plots(runs: Sequence[_Run], rules: Protocol, by: str) -> Iterator[Plot]:
    if not any(run.verdict for run in runs):
        return
    moments = rules.task == "moment"
    if moments:
        places = tuple(f"{step / CURVE:.2f}".rstrip("0").rstrip(".") for step in range(CURVE + 1))
        above = tuple(_above(run.verdict) for run in runs)
        yield Plot("Share of samples above each IoU", "IoU", places, above, every=CURVE // 5, marked=False,
                   score="how many answers have a greater IoU with the truth")  # fmt: skip
    else:
        names = [name for name in in_order(runs[0].report) if "@" in name]
        places = tuple(name.partition("@")[2] for name in names)
        series = tuple(tuple(run.report.metrics.get(name) for name in names) for run in runs)
        yield Plot("mAP at each threshold", "IoU", places, series, every=max(1, len(places) // 5),
                   score="mean over classes of the average precision")  # fmt: skip
    parts = [run.verdict.by_part if run.verdict else {} for run in runs]
    if any(len(found) > 1 for found in parts):
        yield _groups("By part", "part", parts, lambda group: group["metrics"].get(by), by, joined=False)
    found = [run.verdict.diagnosis if run.verdict else {} for run in runs]
    for kind, axis in KINDS.items():
        groups = [one.get(kind, {}) for one in found]
        if any(groups) and moments:
            yield _groups(kind.replace("_", " ").capitalize(), axis, groups, lambda group: group["metrics"].get(by), by)
        elif any(groups):
            yield _groups(kind.replace("_", " ").capitalize(), axis, groups, lambda group: group["found"],
                          f"share of targets that are found at IoU {found[0].get('at', 0.5)}")  # fmt: skip
    if any("false_positives" in one for one in found):
        wrong = [one.get("false_positives", {}).get("kinds", {}) for one in found]
        yield _groups("Wrong detections", "kind", wrong, lambda group: group["share"],
                      "share of the best detections, ten times as many as targets", joined=False)  # fmt: skip


def _above(verdict: Verdict | None) -> tuple[float | None, ...]:
    """The share of samples whose IoU is above each step. Exact: sorted once, counted from the right."""
    if verdict is None:
        return (None,) * (CURVE + 1)
    ious: Floats = np.sort(verdict.rows["iou"])
    edges = np.arange(CURVE + 1) / CURVE
    return tuple((1 - np.searchsorted(ious, edges, side="right") / len(ious)).tolist())


def _groups(
    title: str, axis: str, groups: Sequence[Mapping[str, Any]], score: Any, what: str, joined: bool = True
) -> Plot:  # fmt: skip
    places = tuple(dict.fromkeys(place for one in groups for place in one))
    first = next(one for one in groups if one)
    few = [first.get(place, {}).get("asked", first.get(place, {}).get("targets")) for place in places]
    notes = tuple("" if n is None else f"n {n:,}" for n in few)
    values = tuple(tuple(score(one[place]) if place in one else None for place in places) for one in groups)
    return Plot(
        title, axis, tuple(map(printable, places)), values, notes if any(notes) else (), score=what, joined=joined
    )


def _by_class(runs: Sequence[_Run], classes: Sequence[str], by: str) -> list[Class]:
    """Every class that has samples, hardest first."""
    found = []
    labels = dict.fromkeys(label for run in runs for label in run.report.by_label)
    places = {name: place for place, name in enumerate(classes)}
    for label in labels:
        groups = [run.report.by_label.get(label) for run in runs]
        scores = tuple(group["metrics"].get(by) if group else None for group in groups)
        known = [score for score in scores if score is not None]
        if printable(label) in places and known:
            asked = next(group["asked"] for group in groups if group)
            found.append((sum(known) / len(known), label, Class(places[printable(label)], asked, scores)))
    return [one for _, _, one in sorted(found, key=lambda item: item[:2])]

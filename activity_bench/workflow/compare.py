"""compare: two or more reports of one question -> what differs, and whether it could be chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activity_bench import catalog
from activity_bench.data.reports import Report, read_report, read_rows, write_comparison
from activity_bench.errors import InputError, unknown
from activity_bench.scoring import compare as paired_tests
from activity_bench.scoring import detection, moments
from activity_bench.scoring.compare import Difference
from activity_bench.scoring.curve import Curve
from activity_bench.segments import Floats
from activity_bench.workflow.options import check_seed

__all__ = ["Comparison", "Difference", "Versus", "compare"]

Rows = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Versus:
    """A method against the baseline, metric by metric; `holm` are the p adjusted for the number of methods."""

    method: str
    report: str
    differences: dict[str, Difference]
    holm: dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """The first report is the baseline; every other one is compared with it."""

    baseline: str
    report: str
    manifest: str
    split: str
    digest: str
    protocol: str
    asked: int
    test: str  # where p comes from
    by: str
    seed: int
    methods: list[Versus]


def compare(
    reports: Sequence[Path | str], *, by: str | None = None, seed: int = 0, json: Path | str | None = None
) -> Comparison:
    """Compare reports with the first of them, sample by sample; written to `json` if asked.

    >>> compare(["run-a", "run-b"]).methods[0].differences["mIoU"].p
    """
    check_seed(seed)
    if len(reports) < 2:
        raise InputError("nothing to compare with", found=f"{len(reports)} report(s)", expected="two or more")
    paths = [report_file(Path(path)) for path in reports]
    read = [read_report(path) for path in paths]
    for path, report in zip(paths[1:], read[1:], strict=True):
        check_same(read[0], report, paths[0], path)
    rules = rules_of(read[0], paths[0])
    by = by or rules.scores[0]
    if by not in rules.scores:
        raise unknown("metric", by, rules.scores)
    metrics = [by, *(metric for metric in rules.scores if metric != by)]
    rows = [read_rows(path, report) for path, report in zip(paths, read, strict=True)]
    measure = _moments if read[0].manifest.task == "moment" else _detections
    found, test = measure(rows, rules, paths, metrics, seed)
    for path, report, row in zip(paths, read, [found[0], *found], strict=True):
        check_scores(path, report, {m: d.baseline if path is paths[0] else d.score for m, d in row.items()})
    holm = {metric: paired_tests.holm([row[metric].p for row in found]) for metric in metrics}
    methods = [
        Versus(name_of(report), str(path), row, {metric: holm[metric][place] for metric in metrics})
        for place, (path, report, row) in enumerate(zip(paths[1:], read[1:], found, strict=True))
    ]
    asked = read[0].manifest
    result = Comparison(name_of(read[0]), str(paths[0]), f"{asked.name} {asked.version}", asked.split, asked.digest,
                        read[0].protocol, read[0].asked, test, by, seed, methods)  # fmt: skip
    if json is not None:
        write_comparison(Path(json), result)
    return result


def report_file(path: Path) -> Path:
    """A run's folder stands for the report in it."""
    return path / "report.json" if path.is_dir() else path


def name_of(report: Report) -> str:
    """What a table calls the method."""
    return str(report.method.get("name", report.predictions.get("file")))


def rules_of(report: Report, path: Path) -> Any:
    """The protocol that a report was scored by, with the thresholds that were chosen."""
    rules: Any = catalog.load("protocol", catalog.PROTOCOLS, base(report))
    if rules.task != report.manifest.task:
        raise InputError("this protocol does not score such a manifest", file=path, field="protocol",
                         found=report.protocol)  # fmt: skip
    if rules.task == "moment":
        return rules
    try:
        chosen = sorted(float(name.partition("@")[2]) for name in report.metrics if "@" in name)
    except ValueError:
        raise InputError("not scores of detections", file=path, field="metrics", found=list(report.metrics)) from None
    return replace(rules, thresholds=tuple(chosen))


def base(report: Report) -> str:
    """The protocol's name without what was chosen of it: `opentad tiou=0.5` is `opentad`."""
    return report.protocol.partition(" ")[0]


def in_order(report: Report) -> list[str]:
    """The report's metrics in the order of its protocol, where this version knows it."""
    known: list[str] = []
    if base(report) in catalog.PROTOCOLS:
        known = catalog.load("protocol", catalog.PROTOCOLS, base(report)).scores
    return sorted(report.metrics, key=lambda name: (known.index(name) if name in known else len(known), name))


def moment_columns(rules: moments.MomentProtocol, rows: Rows, path: Path) -> dict[str, Floats]:
    """The values, one a sample, whose means the scores are."""
    lacking = [name for name in rules.ranked if name not in rows]
    if lacking:
        raise InputError(f"rows without {lacking[0]}", file=path, hint="Score again with --json.")
    found = {name: rows[name] for name in rules.ranked}
    for metric in rules.metrics:
        if metric.of == "answer":
            found |= metric.columns(rows["iou"])
    return found


def check_same(first: Report, other: Report, first_path: Path, path: Path, hint: str | None = None) -> None:
    """Both reports answer one question by one set of rules, or the error says which of them differs."""
    for field, mine, theirs in (
        ("manifest.digest", other.manifest.digest, first.manifest.digest),
        ("manifest.split", other.manifest.split, first.manifest.split),
        ("asked", other.asked, first.asked),
        ("protocol", other.protocol, first.protocol),
        ("scorer.rules", other.scorer.get("rules"), first.scorer.get("rules")),
    ):
        if mine != theirs:
            raise InputError("these reports cannot be compared: they do not answer the same question by the same rules",
                             file=path, field=field, found=mine,
                             expected=f"{theirs}, as in {first_path}", hint=hint)  # fmt: skip


def check_scores(path: Path, report: Report, scores: Mapping[str, float]) -> None:
    """A report says what its rows give, or it is an error."""
    for metric, score in scores.items():
        found = report.metrics.get(metric)
        if found is None or abs(score - found) > 1e-9:
            raise InputError("the rows beside this report give another score", file=path, field=f"metrics.{metric}",
                             found=found, expected=str(score), hint="Score again with --json.")  # fmt: skip


Found = tuple[list[dict[str, Difference]], str]


def _moments(rows: Sequence[Rows], rules: Any, paths: Sequence[Path], metrics: Sequence[str], seed: int) -> Found:
    """Paired tests of means over samples, videos kept together."""
    video = rows[0]["video"]
    stacked = []
    for path, row in zip(paths, rows, strict=True):
        if not np.array_equal(row["video"], video):
            raise InputError("rows of another order of samples", file=path, hint="Score again with --json.")
        columns = moment_columns(rules, row, path)
        stacked.append(np.stack([columns[metric] for metric in metrics], axis=1))
    found = [
        dict(zip(metrics, paired_tests.paired(stacked[0], values, video, seed), strict=True)) for values in stacked[1:]
    ]
    return found, "sign flips of each video's differences"


def _detections(rows: Sequence[Rows], rules: Any, paths: Sequence[Path], metrics: Sequence[str], seed: int) -> Found:
    """Bootstrap of the difference of means of average precision over videos."""
    for path, row in zip(paths, rows, strict=True):
        same = all(np.array_equal(row[name], rows[0][name]) for name in ("truth_sample", "truth_label", "classes"))
        if not same or len(row["truth"]) != len(rules.thresholds):
            raise InputError("rows of other true segments, or other thresholds", file=path,
                             hint="Score again with --json.")  # fmt: skip
    of = [rules.scores.index(metric) for metric in metrics]
    curves = [Curve(_ranked(row), rules) for row in rows]

    def scores(weights: Floats | None) -> Floats | None:
        found = [detection.summary(curve, rules, weights) for curve in curves]
        return None if any(one is None for one in found) else np.array(found)[:, of]

    differences = paired_tests.resampled(scores, int(rows[0]["samples"]), seed)
    return [dict(zip(metrics, row, strict=True)) for row in differences], "bootstrap over videos"


def _ranked(rows: Rows) -> detection.Ranked:
    """Detections as average precision wants them: where they lie in time has been used up."""
    m, k, none = len(rows["truth_sample"]), len(rows["sample"]), np.zeros(0)
    truths = detection.Truths(
        int(rows["samples"]), int(rows["classes"]), rows["truth_sample"], rows["truth_label"], np.zeros(m), np.zeros(m),
        none.astype(np.int64), none, none,
    )  # fmt: skip
    times = np.zeros(k)
    return detection.Ranked(rows["sample"], rows["label"], times, times, times, rows["truth"], rows["counted"], truths)

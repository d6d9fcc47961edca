"""score: predictions and a manifest -> a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from activity_bench import __version__, catalog
from activity_bench.data import manifest as manifests
from activity_bench.data import predictions as predicted
from activity_bench.data.canonical import no_gc
from activity_bench.data.reports import Asked, Report, now, write_report
from activity_bench.data.truth import Moments, read_moments
from activity_bench.errors import InputError
from activity_bench.scoring import moments
from activity_bench.segments import Floats
from activity_bench.workflow.options import check_seed

__all__ = ["Report", "save", "score"]

DEFAULT_PROTOCOL = {"moment": "moments"}


def score(
    predictions: Path | str,
    manifest: Path | str,
    split: str,
    *,
    protocol: str | None = None,
    intervals: bool = True,
    seed: int = 0,
) -> Report:
    """Score a file of predictions against a split of a manifest.

    >>> score("run/predictions.jsonl", "manifest", "test").metrics["mIoU"]
    """
    check_seed(seed)
    asked = manifests.load(Path(manifest))
    rules = _protocol(asked, protocol)
    with no_gc():
        truth = read_moments(asked, split)
        answers = predicted.read(Path(predictions), truth, asked.digest)
    answered = int(np.count_nonzero(np.bincount(answers.sample, minlength=len(truth.ids))))
    ious = _ious(truth, answers)
    return Report(
        manifest=Asked(asked.name, asked.version, split, asked.digest, asked.task, asked.partial),
        predictions={"file": answers.file, "sha256": answers.sha256},
        method=answers.header.method,
        protocol=rules.name,
        scorer={"rules": moments.VERSION, "package": __version__},
        asked=len(truth.ids),
        answered=answered,
        metrics=moments.evaluate(ious, rules),
        intervals=moments.intervals(ious, seed, rules) if intervals else {},
        by_part=moments.by_group(ious, truth.part.codes, truth.part.words, rules),
        by_label=moments.by_group(ious, truth.label.codes, truth.label.words, rules),
        features=_features(answers.header.method),
        warnings=_warnings(truth, answers, answered, asked.partial),
        created=now(),
    )


def _protocol(asked: manifests.Manifest, name: str | None) -> moments.MomentProtocol:
    if name is None and asked.task not in DEFAULT_PROTOCOL:
        raise InputError(f"no protocol scores a {asked.task} manifest yet", file=asked.folder, field="task")
    rules: moments.MomentProtocol = catalog.load("protocol", catalog.PROTOCOLS, name or DEFAULT_PROTOCOL[asked.task])
    if rules.task != asked.task:
        raise InputError(f"protocol {rules.name} scores {rules.task} manifests", file=asked.folder, field="task",
                         found=asked.task, expected=rules.task)  # fmt: skip
    return rules


def _ious(truth: Moments, answers: predicted.Answers) -> Floats:
    best = moments.best_answers(answers.sample, answers.start, answers.end, answers.score, len(truth.ids))
    return moments.answer_iou(best, truth.step, truth.target_sample, truth.target_start, truth.target_end)


def _features(method: dict[str, Any]) -> str | None:
    features = method.get("features")
    return features if isinstance(features, str) else None


def _warnings(truth: Moments, answers: predicted.Answers, answered: int, partial: bool) -> list[str]:
    """What is legal and looks wrong all the same."""
    warnings = []
    if partial:
        warnings.append("a partial manifest: these scores are not ranked beside those of the whole one")
    if answered < len(truth.ids):
        warnings.append(f"{len(truth.ids) - answered:,} of {len(truth.ids):,} samples have no answer and count as 0")
    several = np.bincount(answers.sample, minlength=1).max(initial=0) > 1
    if several and np.ptp(answers.score) == 0:
        warnings.append("every segment has the same score, so the earliest of each sample counts")
    lengths = answers.end - answers.start
    if len(lengths) > 1 and (np.median(lengths) < 0.05):
        warnings.append("half of the segments are under 0.05 s: times are in seconds here, not minutes or shares")
    return warnings


def save(report: Report, path: Path | str) -> None:
    """Write a report as JSON, whole or not at all."""
    write_report(Path(path), report)

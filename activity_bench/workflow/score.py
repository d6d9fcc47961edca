"""score: predictions and a manifest -> a report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from activity_bench import __version__, catalog
from activity_bench.data import manifest as manifests
from activity_bench.data import predictions as predicted
from activity_bench.data.canonical import no_gc
from activity_bench.data.instances import read_instances
from activity_bench.data.predictions import Answers
from activity_bench.data.predictions.gathered import Gathered
from activity_bench.data.reports import Asked, Report, now, write_report
from activity_bench.data.truth import read_moments
from activity_bench.errors import InputError
from activity_bench.scoring import moments
from activity_bench.types import Prediction
from activity_bench.workflow.judge import Protocol, Truth, Verdict, Wanted, judge, suspicions
from activity_bench.workflow.options import check_seed

__all__ = ["Report", "Scorer", "score"]

DEFAULT_PROTOCOL = {"moment": "moments", "detection": "activitynet"}


def score(
    predictions: Path | str,
    manifest: Path | str,
    split: str,
    *,
    protocol: str | None = None,
    ties: str | None = None,
    tiou: str | None = None,
    format_: str | None = None,
    intervals: bool | None = None,
    diagnosis: bool = False,
    seed: int = 0,
    json: Path | str | None = None,
    limit: int | None = None,
) -> Report:
    """Score a file of predictions against a split of a manifest; with `json` the report and its rows are written.

    `tiou` is a list (0.3,0.5) or a range (0.3:0.7:0.1) of thresholds, for detection. Intervals are made for moments,
    and for detection on request. `limit` scores the first samples alone, in a report without rank.

    >>> score("run/predictions.jsonl", "manifest", "test").metrics["mIoU"]
    """
    check_seed(seed)
    asked = manifests.load(Path(manifest)).first(limit, split)
    rules = rules_of(asked, protocol, ties, tiou)
    wanted = Wanted(asked.task == "moment" if intervals is None else intervals, diagnosis, json is not None, seed)
    with no_gc():
        truth = read_truth(asked, split, wanted.intervals or wanted.rows)
        answers = predicted.read(Path(predictions), truth, asked.digest, rules.foreign, format_)
    report, verdict = _report(asked, split, rules, truth, answers, wanted)
    if json is not None:
        write_report(Path(json), report, verdict.rows)
    return report


class Scorer:
    """Scores answers as they come, inside a training loop for one: `update` as often as wished, then `compute`.

    >>> scorer = Scorer("manifest", "val")
    >>> scorer.update(method.predict(samples))
    >>> scorer.compute().metrics["mIoU"]
    """

    def __init__(self, manifest: Path | str, split: str, *, protocol: str | None = None, ties: str | None = None,
                 tiou: str | None = None) -> None:  # fmt: skip
        self.asked, self.split = manifests.load(Path(manifest)), split
        self.rules = rules_of(self.asked, protocol, ties, tiou)
        self.truth = read_truth(self.asked, split)
        self.reset()

    def reset(self) -> None:
        """Forget every answer; the truth stays."""
        self._gathered = Gathered(self.truth)

    def update(self, answers: Iterable[Prediction]) -> None:
        """Take some answers, checked like those of a file."""
        self._gathered.add(answers)

    def compute(self, *, intervals: bool = False, diagnosis: bool = False, seed: int = 0) -> Report:
        """The report of all answers so far; samples without one count 0."""
        check_seed(seed)
        wanted = Wanted(intervals, diagnosis, False, seed)
        return _report(self.asked, self.split, self.rules, self.truth, self._gathered.answers(), wanted)[0]


def read_truth(asked: manifests.Manifest, split: str, videos: bool = True) -> Truth:
    """The true answers of a split as columns; without `videos` the names of a million of them are left out."""
    return read_moments(asked, split, videos) if asked.task == "moment" else read_instances(asked, split)


def rules_of(asked: manifests.Manifest, name: str | None, ties: str | None = None, tiou: str | None = None) -> Protocol:
    """The protocol by its name, or the manifest's own, with what was chosen of it."""
    rules: Protocol = catalog.load("protocol", catalog.PROTOCOLS, name or DEFAULT_PROTOCOL[asked.task])
    if rules.task != asked.task:
        raise InputError(f"protocol {rules.name} scores {rules.task} manifests", file=asked.folder, field="task",
                         found=asked.task, expected=rules.task)  # fmt: skip
    if ties is not None and ties not in ("stable", "official"):
        raise InputError("not an order of equal scores", field="--ties", found=ties, expected="stable or official")
    if ties is not None and ties != rules.ties:
        chosen = cast(Literal["stable", "official"], ties)
        rules = replace(rules, ties=chosen, name=f"{rules.name} ties={ties}")
    if isinstance(rules, moments.MomentProtocol):
        if tiou is not None:
            raise InputError("this is a choice of detection protocols", field="--tiou", found=tiou,
                             expected=f"nothing: {rules.name} is a protocol of moments")  # fmt: skip
        return rules
    thresholds = rules.thresholds if tiou is None else _thresholds(tiou)
    if thresholds != rules.thresholds:
        rules = replace(rules, thresholds=thresholds, name=f"{rules.name} tiou={','.join(map(str, thresholds))}")
    return rules


def _thresholds(text: str) -> tuple[float, ...]:
    """0.3,0.5 or 0.3:0.7:0.1, both ends included: a step that misses the last is refused."""
    wrong = InputError("not thresholds of IoU", field="--tiou", found=text,
                       expected="numbers above 0 and up to 1, as 0.3,0.5 or 0.3:0.7:0.1, at most 32")  # fmt: skip
    try:
        if ":" in text:
            first, last, step = (float(part) for part in text.split(":"))
            steps = (last - first) / step if step > 0 else -1.0
            count = round(steps) + 1
            if not 0 < count <= 32 or abs(steps - round(steps)) > 1e-6:  # the last is one of them
                raise wrong
            found = tuple(round(first + place * step, 6) for place in range(count))
        else:
            found = tuple(float(part) for part in text.split(","))
    except (ValueError, OverflowError):
        raise wrong from None
    if not 0 < len(found) <= 32 or not all(0 < value <= 1 for value in found) or len(set(found)) < len(found):
        raise wrong
    return tuple(sorted(found))


def _report(
    asked: manifests.Manifest, split: str, rules: Protocol, truth: Truth, answers: Answers, wanted: Wanted
) -> tuple[Report, Verdict]:
    verdict = judge(truth, answers, rules, wanted)
    answered = int(np.count_nonzero(np.bincount(answers.sample[answers.sample >= 0], minlength=len(truth.ids))))
    warnings = []
    if asked.limit is not None:
        warnings.append(f"the first {asked.limit:,} samples alone: these scores have no rank")
    elif asked.partial:
        warnings.append("a partial manifest: these scores are not ranked beside those of the whole one")
    if answers.header.method.get("selected_on") == "test":
        warnings.append("the weights were selected on the test split: this score is not comparable")
    if answered < len(truth.ids) and asked.task == "moment":
        warnings.append(f"{len(truth.ids) - answered:,} of {len(truth.ids):,} samples have no answer and count as 0")
    report = Report(
        manifest=Asked(asked.name, asked.version, split, asked.digest, asked.task, asked.partial),
        predictions={"file": answers.file, "sha256": answers.sha256, "format": answers.format},
        method=answers.header.method,
        protocol=rules.name,
        scorer={"rules": moments.VERSION, "package": __version__},
        asked=len(truth.ids),
        answered=answered,
        metrics=dict(verdict.metrics),
        intervals=dict(verdict.intervals),
        by_part=dict(verdict.by_part),
        by_label=dict(verdict.by_label),
        diagnosis=dict(verdict.diagnosis),
        counts=answers.counts,
        features=_features(answers.header.method),
        warnings=[*warnings, *suspicions(answers, verdict.metrics)],
        created=now(),
    )
    return report, verdict


def _features(method: dict[str, Any]) -> str | None:
    features = method.get("features")
    return features if isinstance(features, str) else None

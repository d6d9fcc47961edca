"""validate: read a manifest, a feature store or predictions to the end, and say what is there and what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from activity_bench.data import manifest as manifests
from activity_bench.data import predictions as predicted
from activity_bench.data.canonical import no_gc
from activity_bench.data.instances import Instances
from activity_bench.data.predictions import Answers, Faults
from activity_bench.data.truth import Moments
from activity_bench.errors import InputError
from activity_bench.types import Foreign
from activity_bench.workflow.judge import suspicions
from activity_bench.workflow.score import read_truth, rules_of

FEW = 3  # samples that say the same by chance


class FaultyError(InputError):
    """A file of predictions with several faults: how many of each kind, and the first ones, located."""

    def __init__(self, file: Path, faults: Faults, warnings: list[str]) -> None:
        self.kinds, self.first, self.warnings = dict(faults.kinds), faults.located, warnings
        super().__init__(f"{faults.kinds.total():,} faults", file=file)

    def lines(self) -> list[str]:
        """Each kind with its count, most frequent first; the first faults; what is suspicious besides."""
        kinds = sorted(self.kinds.items(), key=lambda kind: (-kind[1], kind[0]))
        return [
            *(f"{count:,} x {kind}" for kind, count in kinds),
            *(str(error) for error in self.first),
            *(f"warning: {warning}" for warning in self.warnings),
        ]


def validate(
    path: Path | str,
    manifest: Path | str | None = None,
    split: str | None = None,
    *,
    format_: str | None = None,
    protocol: str | None = None,
) -> list[str]:
    """What was found sound, a line each. A fault is an error that locates it; of predictions, every fault is counted
    (`FaultyError`). Files of other formats are held to our own rules, or to what a `protocol` does with them.

    >>> validate("manifest")
    """
    path = Path(path)
    if manifest is None and protocol is not None:
        raise InputError("a protocol is for predictions", field="--protocol", found=protocol,
                         expected="--manifest and --split with it")  # fmt: skip
    if manifest is None and split is None and path.suffix in {".h5", ".hdf5"}:
        return _store(path)
    if manifest is None and split is None and (path.is_dir() or path.name == manifests.MARKER):
        asked = manifests.load(path)
        sound = [f"{name}: {len(asked.samples(name)):,} samples, sha256 as stated" for name in asked.splits]
        return [*sound, f"{asked.name} {asked.version}: {asked.digest}"]
    if manifest is None or split is None:
        raise InputError("predictions are checked against what they answer", file=path,
                         expected="--manifest and --split")  # fmt: skip
    asked = manifests.load(Path(manifest))
    return _predictions(path, asked, split, format_, None if protocol is None else rules_of(asked, protocol).foreign)


def _predictions(
    path: Path, asked: manifests.Manifest, split: str, format_: str | None, foreign: Foreign | None
) -> list[str]:
    with no_gc():
        truth = read_truth(asked, split)
        answers, faults = predicted.survey(path, truth, asked.digest, foreign, format_)
    warnings = _frames(faults)
    if answers is not None:
        warnings += _suspicious(truth, answers)
    if faults.kinds.total() == 1:
        raise faults.located[0]
    if faults.kinds or answers is None:
        raise FaultyError(path, faults, warnings)
    answered = _answered(answers)
    unanswered = len(truth.ids) - answered
    if asked.partial:
        warnings.insert(0, "a partial manifest: its scores are not ranked beside those of the whole one")
    if unanswered:
        warnings.insert(0, f"{unanswered:,} of {len(truth.ids):,} samples have no answer and count as 0")
    return [
        f"{path.name}: {answered:,} of {len(truth.ids):,} samples answered",
        *(f"{what}: {count:,}" for what, count in answers.counts.items()),
        *(f"warning: {warning}" for warning in warnings),
    ]


def _answered(answers: Answers) -> int:
    return len(np.unique(answers.sample[answers.sample >= 0]))


def _frames(faults: Faults) -> list[str]:
    """Whether times look like frames: most of them past their windows."""
    if not faults.past or faults.past < faults.segments / 2:
        return []
    what = ", and every time is a whole number" if faults.whole else ""
    return [f"{faults.past:,} of {faults.segments:,} segments end past their windows{what}: times are in seconds here, "
            "not in frames"]  # fmt: skip


def _suspicious(truth: Moments | Instances, answers: Answers) -> list[str]:
    """What is legal and looks wrong all the same."""
    warnings = suspicions(answers, {})
    count = np.unique(answers.sample[answers.sample >= 0], return_counts=True)[1]
    empty = int(np.count_nonzero(answers.end <= answers.start))
    if empty:
        warnings.append(f"{empty:,} segments have no length and hit nothing")
    if len(count) > FEW and count[0] > 1 and np.ptp(count) == 0:
        warnings.append(f"every sample has {count[0]:,} segments: the file may have been cut at that number")
    one = len(count) > FEW and all(times.min() == times.max() for times in (answers.start, answers.end))
    if one and len(np.unique(truth.window_end)) > 1:
        warnings.append(f"every segment is [{answers.start[0]}, {answers.end[0]}], whatever its video")
    return warnings


def _store(path: Path) -> list[str]:
    """A feature store, every number of it against the sha256 that was noted when it was written."""
    from activity_bench.data.features import FeatureStore  # h5py: only where it is asked for
    from activity_bench.data.features.images import ImageStore, has_images

    store = FeatureStore(path)
    _check_sums(path, store.damaged(), f"{len(store.ids())} videos")
    rows = sum(store.rows(video) for video in store.ids())
    found = [f"{len(store.ids()):,} videos, {rows:,} rows of {store.dim}, as they were written"]
    if has_images(path):
        images = ImageStore(path)
        _check_sums(path, images.damaged(), f"{len(images.frames())} images")
        found.append(f"{len(images.frames()):,} images, as they were written")
    return [*found, store.digest]


def _check_sums(path: Path, damaged: list[str], all_: str) -> None:
    if damaged:
        raise InputError("numbers that are not those that were written", file=path, field=damaged[0],
                         found=f"{len(damaged)} of {all_}", hint="Get the store again.")  # fmt: skip

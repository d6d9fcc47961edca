"""Plain detection: every instance of untrimmed videos, with its class. Any annotations become a truth to score against.

A split is all videos of one subset, those without an instance included: what a detector finds in them is wrong. A
subset without a single instance (ActivityNet's testing, whose annotations were never published) gives no split.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from activity_bench.builders.detection.untrimmed import evaluation, note_shared_bounds, question
from activity_bench.errors import InputError, unknown
from activity_bench.types import Built, Corpus, Ledger, Sample, Video, joined

SPLIT_OF = {"training": "train", "validation": "val", "testing": "test"}


@dataclass(frozen=True)
class Options:
    """Which videos."""

    seed: int = field(default=0, metadata={"help": "without effect: nothing is drawn here"})
    subset: str = field(
        default="", metadata={"help": "training, validation or testing alone; else a split each that has instances"}
    )

    def __post_init__(self) -> None:
        if self.subset and self.subset not in (*SPLIT_OF, *SPLIT_OF.values()):
            raise unknown("subset", self.subset, SPLIT_OF)


class Detection:
    """The builder, as the catalog names it."""

    options_class = Options
    protocols = ("default",)
    aliases: Mapping[str, str] = {}
    tables: Mapping[str, str] = {
        "durations": "JSON: {video: {duration: seconds}}, where the annotations state none",
    }
    paper: Mapping[str, Any] = {
        "title": "Detection on any annotations",
        "note": "of no paper: the truth of the annotation files, with what was left out below",
    }

    @staticmethod
    def build(
        corpora: Sequence[Corpus], options: Options, protocol: str = "default", tables: Mapping[str, Any] | None = None
    ) -> Built:
        """A manifest's samples from one corpus, or from several read as one."""
        videos, tree, ledger = joined(corpora)
        splits = _splits(videos, options, ledger)
        name = "+".join(sorted({corpus.name for corpus in corpora}))
        return Built(
            name="detection",
            version=f"{options.subset or 'all'}.1",
            task="detection",
            samples=_samples(splits, (tables or {}).get("durations", {}), ledger),
            ledger=ledger,
            splits=tuple(splits),
            vocabularies={"target": sorted({label for corpus in corpora for label in corpus.labels})},
            tree=tree,
            evaluation={split: evaluation(name, split, videos) for split, videos in splits.items()},
        )


def _splits(videos: Sequence[Video], options: Options, ledger: Ledger) -> dict[str, list[Video]]:
    """Split -> its videos; an asked subset without instances is an error that says where there are some."""
    instances = dict.fromkeys(SPLIT_OF, 0)
    for video in videos:
        instances[video.subset] += len(video.instances)
    asked = [subset for subset in SPLIT_OF if options.subset in (subset, SPLIT_OF[subset])] or list(SPLIT_OF)
    there = ", ".join(f"{subset} {count:,}" for subset, count in instances.items() if count) or "none at all"
    if not sum(instances[subset] for subset in asked):
        what = f"the subset {asked[0]!r} has" if options.subset else "these annotations have"
        raise InputError(f"{what} 0 instances", field="subset", hint=f"The annotations have {there}.")
    for subset, count in instances.items():
        empty = sum(video.subset == subset for video in videos)
        if subset not in asked:
            ledger.seen += count
            ledger.drop(f"in the subset {subset}, which was not asked for", count)
        elif empty and not count:
            ledger.note("a subset without any instance gives no split", f"{subset}: {empty:,} videos")
    return {SPLIT_OF[s]: [video for video in videos if video.subset == s] for s in asked if instances[s]}


def _samples(
    splits: Mapping[str, Sequence[Video]], durations: Mapping[str, float], ledger: Ledger
) -> Iterator[tuple[str, Sample]]:
    for split, videos in splits.items():
        for video in videos:
            yield split, question(split, video, durations, ledger)
    note_shared_bounds([video for videos in splits.values() for video in videos], ledger)

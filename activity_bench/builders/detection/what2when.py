"""What2When (CVPR 2020, section 4): learn classes from trimmed clips, find them in untrimmed videos.

1. Training lines are the clips of `source` (the paper: the validation set of Kinetics-400), each a window with one
   target that fills it. A clip of a video that is tested is left out: 14 of Kinetics' are in ActivityNet's validation.
2. Test lines are the whole untrimmed videos of the target's evaluation subset, with every instance; instances with the
   same bounds under two classes are both kept, as the official files have them. Ambiguous stretches become `ignore`.
3. With `zero_shot` the classes that source and target share leave the source (`overlap` says which and why). The paper
   counts classes of the source: 18 for THUMOS14 and MultiTHUMOS, 72 for ActivityNet 1.2, and names none.
4. `weak` trains on the target's own untrimmed videos with their labels: no boundary of one is in the training file.

Left open by the paper: which 17,281 clips (the list at hand has 19,906), which classes are shared, and which of the 213
THUMOS14 test videos are asked ("212"). One video has ambiguous stretches alone, and two are annotated falsely: projects
leave out none, the first, the two, or all three, so a subset has a name, and its ids are hashed. Where the annotations
have another number of videos than the name says, their number stands in the version.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from activity_bench.builders.detection import overlap
from activity_bench.builders.detection.untrimmed import evaluation, inside, name, note_shared_bounds, question, whole
from activity_bench.errors import InputError, unknown
from activity_bench.types import Built, Corpus, Ledger, Query, Sample, Target, Video, Window

AMBIGUOUS_ONLY = frozenset({"video_test_0001292"})
FALSE = frozenset({"video_test_0000270", "video_test_0001496"})  # left out by SSN, STPN, AFSD and others
THUMOS = {"213": frozenset[str](), "212": AMBIGUOUS_ONLY, "211": FALSE, "210": AMBIGUOUS_ONLY | FALSE}
SUBSETS: Mapping[str, Mapping[str, frozenset[str]]] = {  # target -> evaluation subset -> test videos left out
    "thumos14": THUMOS,
    "multithumos": THUMOS,
    "activitynet1.2": {"2383": frozenset()},
}
TRAINING = {"thumos14": "validation", "multithumos": "validation", "activitynet1.2": "training"}
TESTING = {"thumos14": "testing", "multithumos": "testing", "activitynet1.2": "validation"}
PAPER = {"thumos14": 18, "multithumos": 18, "activitynet1.2": 72}  # Kinetics classes that zero-shot leaves out


@dataclass(frozen=True)
class Options:
    """Which target, and how much of it may be known."""

    seed: int = field(default=0, metadata={"help": "without effect: nothing is drawn here"})
    target: str = field(default="", metadata={"help": f"one of {', '.join(SUBSETS)}"})
    subset: str = field(
        default="", metadata={"help": f"test videos of THUMOS14 and MultiTHUMOS: {', '.join(THUMOS)}; 213 unless said"}
    )
    zero_shot: bool = field(default=False, metadata={"help": "classes of the target leave the source"})

    def __post_init__(self) -> None:
        if not self.target:
            raise InputError("no target", field="target", expected=f"one of {', '.join(SUBSETS)}")
        if self.target not in SUBSETS:
            raise unknown("target", self.target, SUBSETS, field="target")
        if self.subset and self.subset not in SUBSETS[self.target]:
            raise unknown(f"evaluation subset of {self.target}", self.subset, SUBSETS[self.target], field="subset")


class What2When:
    """The builder, as the catalog names it."""

    options_class = Options
    protocols = ("trimmed", "weak")
    aliases: Mapping[str, str] = {}
    tables: Mapping[str, str] = {
        "source": "trimmed clips to train on, in any annotation format (Kinetics CSV)",
        "durations": "JSON: {video: {duration: seconds}}, where the annotations state none",
        "overlap": "CSV: target_class, source_class, basis, reason: what zero-shot leaves out, in place of ours",
    }
    example = "--source kinetics.csv --target thumos14 --annotations thumos/annotations_test"
    paper: Mapping[str, Any] = {
        "title": "ActionBytes: Learning from Trimmed Videos to Localize Actions, CVPR 2020, section 4",
        "training clips": "17,281 of Kinetics-400 validation, 400 classes",
        "test videos": "212 (THUMOS14, MultiTHUMOS), 2,383 (ActivityNet 1.2)",
        "classes": "20 (THUMOS14), 65 (MultiTHUMOS), 100 (ActivityNet 1.2)",
        "zero-shot": "18 (THUMOS14, MultiTHUMOS) and 72 (ActivityNet 1.2) Kinetics classes left out; it names none",
        "weak training": "200 (THUMOS14, MultiTHUMOS) and 4,819 (ActivityNet 1.2) videos",
    }

    @staticmethod
    def shipped(options: Options) -> Mapping[str, str]:
        """Tables of the package that these options want, each by its place in `manifests/`."""
        return {"shipped_overlap": f"overlap/kinetics400-{options.target}.csv"} if options.zero_shot else {}

    @staticmethod
    def build(
        corpora: Sequence[Corpus], options: Options, protocol: str = "trimmed", tables: Mapping[str, Any] | None = None
    ) -> Built:
        """A manifest's samples: `corpora` are the target's, the source is a table."""
        tables, target = tables or {}, options.target
        _check(protocol, options, tables)
        source: Corpus | None = tables.get("source")
        read = [*corpora, *([source] if source else [])]
        ledger = Ledger("instance", sum((Counter(corpus.mended) for corpus in read), Counter()))
        test, train = _subsets(corpora, protocol, options, ledger)
        vocabularies = {"target": sorted({label for corpus in corpora for label in corpus.labels})}
        if source is not None:
            pairs = overlap.common(vocabularies["target"], source.labels, tables, ledger) if options.zero_shot else []
            left_out = {pair[1] for pair in pairs}
            vocabularies["source"] = [label for label in source.labels if label not in left_out]
            if options.zero_shot:
                overlap.note(pairs, ledger)
                ledger.note("zero-shot: counts", f"{len(left_out)} classes of the source left out (the paper: "
                            f"{PAPER[target]}), for {len({pair[0] for pair in pairs})} of "
                            f"{len(vocabularies['target'])} classes of the target")  # fmt: skip
        mode = "-weak" if protocol == "weak" else "-zero-shot" if options.zero_shot else ""
        return Built(
            name="what2when",
            version=f"{target}@{len(test)}{mode}{'-own-overlap' if 'overlap' in tables else ''}.1",
            task="detection",
            samples=_samples(test, train, source, vocabularies, tables, ledger),
            ledger=ledger,
            splits=("train", "test"),
            vocabularies=vocabularies,
            tree={label: path for corpus in corpora for label, path in sorted(corpus.tree.items())},
            evaluation={"test": evaluation(target, "test", test)},
        )


def _check(protocol: str, options: Options, tables: Mapping[str, Any]) -> None:
    """What goes with what."""
    if protocol == "weak" and ("source" in tables or options.zero_shot):
        what = "source" if "source" in tables else "zero_shot"
        raise InputError("weak training reads the target's own videos alone", field=what, expected="none")
    if protocol != "weak" and "source" not in tables:
        raise InputError("no trimmed clips to train on", field="source", expected="--source FILE, or --protocol weak")
    if "overlap" in tables and not options.zero_shot:
        raise InputError("an overlap is for zero-shot alone", field="overlap", expected="--zero-shot beside it")


def _subsets(
    corpora: Sequence[Corpus], protocol: str, options: Options, ledger: Ledger
) -> tuple[list[Video], list[Video]]:
    """The videos that are tested, and those of weak training; what is in neither is dropped."""
    target = options.target
    subset = options.subset or next(iter(SUBSETS[target]))
    videos = sorted((video for corpus in corpora for video in corpus.videos), key=lambda video: video.id)
    counts = Counter(video.subset for video in videos)
    wanted = {"test": TESTING[target]} | ({"train": TRAINING[target]} if protocol == "weak" else {})
    for split, name_ in wanted.items():
        if not counts[name_]:
            there = ", ".join(f"{found} {count:,}" for found, count in sorted(counts.items()))
            raise InputError(f"no video of the subset {name_}, which is the {split} split of {target}",
                             field="annotations", found=there, hint="Give the files of each subset.")  # fmt: skip
    left_out = SUBSETS[target][subset]
    test = [video for video in videos if video.subset == TESTING[target] and video.id not in left_out]
    train = [video for video in videos if video.subset == wanted.get("train")]
    for video in videos:
        if video.subset not in wanted.values() or video.id in left_out:
            ledger.seen += len(video.instances)
            out = f"not in the evaluation subset {subset}" if video.id in left_out else "in a subset that is not used"
            ledger.drop(out, len(video.instances))
    if not test:
        raise InputError("no test video is left", field="subset", found=subset, expected="another evaluation subset")
    if len(test) != int(subset):
        ledger.note("not the number of videos that the subset's name says", f"{target}@{subset}: {len(test):,} videos")
    return test, train


def _samples(
    test: Sequence[Video], train: Sequence[Video], source: Corpus | None, vocabularies: Mapping[str, Sequence[str]],
    tables: Mapping[str, Any], ledger: Ledger,
) -> Iterator[tuple[str, Sample]]:  # fmt: skip
    durations = tables.get("durations", {})
    if durations and not any(video.id in durations for video in test):
        raise InputError("not one test video in the file of durations", field="durations", found=next(iter(durations)),
                         expected=f"ids such as {test[0].id}")  # fmt: skip
    if source is not None:
        yield from _clips(source, {video.id for video in test}, set(vocabularies["source"]), ledger)
    for video in train:
        ledger.seen += len(video.instances)  # kept: a label needs no boundary
        labels = tuple(sorted({instance.label for instance in video.instances}))
        window = whole(video, durations, ledger)
        if labels:
            yield "train", Sample(f"{name('train', window)}/0", Query("classes", vocabulary="target"), window, (),
                                  labels=labels)  # fmt: skip
        else:
            ledger.note("a training video without a label, left out", video.id)
    for video in test:
        yield "test", question("test", video, durations, ledger)
    note_shared_bounds(test, ledger)


def _clips(source: Corpus, tested: set[str], allowed: set[str], ledger: Ledger) -> Iterator[tuple[str, Sample]]:
    """A line a clip."""
    query = Query("classes", vocabulary="source")
    for video in sorted(source.videos, key=attrgetter("id")):
        ledger.seen += len(video.instances)
        numbers: Counter[str] = Counter()  # clips so far in one window, to the millisecond
        for clip in sorted(video.instances, key=attrgetter("start", "end", "label")):
            if clip.label not in allowed:
                ledger.drop("zero-shot: a class of the target")
            elif video.id in tested:
                ledger.drop("a clip of a video that is tested")
                ledger.note("a clip of a video that is tested", video.id)
            elif bounds := inside(clip, video.duration, ledger):
                window, target = (
                    Window(video.id, bounds.start, bounds.end),
                    Target(bounds.start, bounds.end, clip.label),
                )
                stem = name("train", window)
                yield "train", Sample(f"{stem}/{numbers[stem]}", query, window, (target,), clip.label)
                numbers[stem] += 1

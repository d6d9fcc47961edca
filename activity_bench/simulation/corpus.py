"""The embedded corpus: annotation files in the real formats, made up, as names and bytes.

`activitynet.json` (official layout), `activitynet_loose.json` (the looser shapes in the wild), `kinetics.csv` and
`thumos/annotations_{val,test}/*.txt`. The bytes depend on the options alone: not on the machine, the hash seed, the
locale or the time zone. Nothing is written here; whoever wants files on a disk takes them through the door.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from activity_bench import chance
from activity_bench.simulation.classes import SPOTTED, TRIMMED, nodes
from activity_bench.simulation.videos import annotated, made_up_id, unannotated
from activity_bench.types import Video

VERSION = "SIMULATION 1"
LOOSE_VIDEOS = 30
CLIP_SECONDS = 10
SPOTTED_VIDEOS = 20  # of each THUMOS-like class in each subset
AMBIGUOUS_IN = 10  # videos of each subset that have an ambiguous stretch beside their instances
RESOLUTIONS = ("320x240", "480x360", "640x360", "1280x720", "1920x1080")

README = """SIMULATED ANNOTATIONS

No video of these exists. The layout is that of the THUMOS 2014 annotations: a file a class, a line an instance,

[video_name starting_time ending_time]

in seconds to one decimal. 'Ambiguous_{subset}.txt' holds stretches that are taken out of the evaluation.
"""


@dataclass(frozen=True)
class CorpusOptions:
    """What the files depend on."""

    seed: int = field(default=0, metadata={"help": "of everything that is drawn"})
    videos: int = field(default=600, metadata={"help": "annotated videos; a tenth as many testing ones come on top"})


def files(options: CorpusOptions | None = None) -> dict[str, bytes]:
    """Every file of the corpus: its relative name (with `/`) and its bytes."""
    options = options or CorpusOptions()
    videos = annotated(options.seed, options.videos)
    found = {
        "activitynet.json": _official([*videos, *unannotated(options.seed, options.videos // 10)], options.seed),
        "activitynet_loose.json": _loose(videos[:LOOSE_VIDEOS]),
        "kinetics.csv": _trimmed(options.seed),
    }
    for subset, prefix in (("val", "video_validation"), ("test", "video_test")):
        folder = f"thumos/annotations_{subset}"
        found |= {f"{folder}/{name}": content for name, content in _spotted(options.seed, subset, prefix).items()}
    return dict(sorted(found.items()))


# ---- ActivityNet ----------------------------------------------------------------------------------------------------


def _official(videos: Iterable[Video], seed: int) -> bytes:
    """The official layout, one JSON object without spaces."""
    names = ("nodeId", "nodeName", "parentId", "parentName")
    database = {}
    for video in videos:
        database[video.id] = {
            "duration": video.duration,
            "subset": video.subset,
            "resolution": RESOLUTIONS[chance.integer(seed, video.id, "resolution", 0, len(RESOLUTIONS))],
            "url": f"https://video.invalid/watch?v={video.id}",  # .invalid never resolves: it is nobody's video
            "annotations": [{"segment": [_plain(i.start), _plain(i.end)], "label": i.label} for i in video.instances],
        }
    return _json({"version": VERSION, "taxonomy": [dict(zip(names, node, strict=True)) for node in nodes()],
                  "database": database})  # fmt: skip


def _loose(videos: Iterable[Video]) -> bytes:
    """The same videos as other projects write them: bounds as strings, ids with `v_`, subsets by other names."""
    database = {}
    for number, video in enumerate(videos):
        other_names = ("val", "Validation", "validation") if video.subset == "validation" else (video.subset,)
        database[video.id if number % 5 == 4 else f"v_{video.id}"] = {
            "duration": video.duration,
            "subset": other_names[number % len(other_names)],
            "annotations": [{"segment": [str(i.start), str(i.end)], "label": i.label} for i in video.instances],
        }
    return _json({"version": VERSION, "database": database})


def _plain(seconds: float) -> float | int:
    """Whole seconds stand without a fraction, as in the real file."""
    return int(seconds) if seconds.is_integer() else seconds


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


# ---- Kinetics -------------------------------------------------------------------------------------------------------


def _trimmed(seed: int) -> bytes:
    """Ten-second clips, 13 or 14 of a class, sorted by class and id."""
    rows = []
    for place, label in enumerate(TRIMMED):
        for i in range(14 if place % 3 == 0 else 13):
            clip = made_up_id(seed, f"trimmed {label} {i}")
            start = chance.integer(seed, clip, "trimmed start", 0, 291)
            is_cc = chance.integer(seed, clip, "licence", 0, 10) == 0
            rows.append((label, clip, start, start + CLIP_SECONDS, "val", int(is_cc)))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("label", "youtube_id", "time_start", "time_end", "split", "is_cc"))
    writer.writerows(sorted(rows))
    return text.getvalue().encode()


# ---- THUMOS ---------------------------------------------------------------------------------------------------------


def _spotted(seed: int, subset: str, prefix: str) -> dict[str, bytes]:
    """The txt files of one subset: many short instances a video, to a tenth of a second.

    One video has an ambiguous stretch and no instance, as one real test video has.
    """
    numbers = chance.shuffled(seed, (f"{i:07d}" for i in range(1, 1500)), f"thumos numbers {subset}")
    ambiguous: list[tuple[str, int, int]] = []
    found = {}
    for place, label in enumerate(SPOTTED):
        lines = []
        for number in numbers[place * SPOTTED_VIDEOS : (place + 1) * SPOTTED_VIDEOS]:
            name = f"{prefix}_{number}"
            *stretches, last = _stretches(seed, name)
            lines += [(name, *stretch) for stretch in stretches]
            if len(ambiguous) < AMBIGUOUS_IN and chance.integer(seed, name, "ambiguous", 0, 8) == 0:
                ambiguous.append((name, *last))
        found[f"{label}_{subset}.txt"] = _lines(lines)
    alone = f"{prefix}_{numbers[len(SPOTTED) * SPOTTED_VIDEOS]}"
    found[f"Ambiguous_{subset}.txt"] = _lines([*ambiguous, (alone, *_stretches(seed, alone)[-1])])
    found["readme.txt"] = README.format(subset=subset).encode()
    return found


def _stretches(seed: int, video: str) -> list[tuple[int, int]]:
    """3 to 12 stretches of 0.8 to 9 s, in order and apart, in tenths of a second."""
    found, clock = [], 0
    for i in range(chance.integer(seed, video, "stretches", 3, 13)):
        start = clock + chance.integer(seed, video, f"before {i}", 15, 240)
        clock = start + chance.integer(seed, video, f"stretch {i}", 8, 91)
        found.append((start, clock))
    return found


def _lines(stretches: Iterable[tuple[str, int, int]]) -> bytes:
    """Two spaces after the name, one between the times: the real files have it so."""
    return "".join(f"{v}  {a // 10}.{a % 10} {b // 10}.{b % 10}\n" for v, a, b in sorted(stretches)).encode()

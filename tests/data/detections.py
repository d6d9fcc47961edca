"""One set of detections in every format that is read, and the small manifests that they answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from activity_bench.data.manifest import Manifest
from activity_bench.data.predictions import Answers
from activity_bench.data.predictions.tables import UCF101
from activity_bench.types import Query, Sample, Target, Window
from tests import tiny

LABELS = ["BaseballPitch", "Billiards", "CleanAndJerk", "Diving", "LongJump"]
ENDS = {"a": 60.0, "v_bb": 30.0, "c": None}


def sample(video: str, number: int = 0) -> Sample:
    """One video, asked as a whole."""
    window = Window(video, 0.0, ENDS[video])
    return Sample(
        f"test/{video}/{number}", Query("classes", vocabulary="target"), window, (Target(1.0, 2.0, "Diving"),)
    )


def detection(folder: Path, *samples: Sample, labels: Sequence[str] = LABELS) -> Manifest:
    """A manifest of detection: three videos, one of them without an end, unless others are given."""
    samples = samples or tuple(sample(video) for video in ENDS)
    return tiny.write(folder, train=(), test=samples, task="detection", vocabularies={"target": labels})


def moment(folder: Path) -> Manifest:
    """A manifest of two moments, one of which has the id that an official file would give it."""
    samples = [tiny.in_seconds("2579", (0.0, 60.0), (1.0, 2.0)), tiny.in_seconds("q b", (5.0, 30.0), (6.0, 7.0))]
    return tiny.write(folder, train=(), test=samples)


def rows_of(answers: Answers) -> list[tuple[Any, ...]]:
    """Answers as sorted rows."""
    assert answers.label is not None
    columns = (answers.sample, answers.start, answers.end, answers.score, answers.label)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


Row = tuple[str, float, float, float, str]  # video, start, end, score, class
ROWS: list[Row] = [
    ("a", 1.0, 2.5, 0.9, "Diving"),
    ("a", 3.0, 60.0, 0.1, "LongJump"),
    ("v_bb", 0.0, 30.0, -3.5, "Diving"),
]
EXPECTED = sorted((list(ENDS).index(v), start, end, score, LABELS.index(label)) for v, start, end, score, label in ROWS)


def results(rows: list[Row], **more: Any) -> dict[str, list[dict[str, Any]]]:
    """The rows as ActivityNet's dictionary of videos."""
    found: dict[str, list[dict[str, Any]]] = {}
    for video, start, end, score, label in rows:
        found.setdefault(video, []).append({"score": score, "segment": [start, end], "label": label, **more})
    return found


def ours(rows: list[Row]) -> str:
    """The rows in our own lines."""
    lines = []
    for video, items in results(rows).items():
        segments = [[*item["segment"], item["score"]] for item in items]
        lines.append({"sample": f"test/{video}/0", "segments": segments, "labels": [item["label"] for item in items]})
    return "".join(json.dumps(line) + "\n" for line in lines)


def as_csv(rows: list[Row], header: str = "video,start,end,score,label") -> str:
    """The rows as CSV."""
    return header + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)


def thumos(rows: list[Row], numbers: dict[int, str] = UCF101) -> str:
    """The rows as the THUMOS evaluation kit's lines."""
    places = {name: number for number, name in numbers.items()}
    return "".join(f"{v} {start} {end} {places[label]} {score}\n" for v, start, end, score, label in rows)


def renamed(rows: list[Row], **names: str) -> list[Row]:
    """The rows with other names for their videos."""
    return [(names.get(row[0], row[0]), *row[1:]) for row in rows]


PLAIN = results(ROWS)

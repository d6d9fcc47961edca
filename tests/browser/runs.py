"""Scored runs made by hand, for pages: names that try to be markup, parts, queries in the same video, classes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from activity_bench.types import Query, Sample, Target, Window
from activity_bench.workflow.score import score
from tests import tiny

NASTY = '<img src=x onerror="window.hacked=1">'
ENDING = "test/</script><!--<script>window.hacked=2</script>/0"
LABELS = (NASTY, "Diving & 'swimming'", "Rafting", "Frisbee")


def samples(count: int) -> Iterator[Sample]:
    """Questions about ten seconds somewhere in a minute; every fifth asks with a clip of the same video."""
    for n in range(count):
        label, start = LABELS[n % len(LABELS)], 5.0 + 7 * n % 40
        video = "v_dQw4w9WgXcQ" if n == 1 else f'video {n} of "many" <b>'
        query = Query("clip", video=video if n % 5 == 0 else "other", start=46.0, end=52.0)
        if n % 5 == 1:
            query = Query("image", video="other", time=3.25, label="Swimming")
        yield Sample(
            id=ENDING if n == 0 else f"test/{n}", label=label, part="simple" if n % 2 else "difficult", query=query,
            targets=(Target(start, start + 10.0),), video=Window(video, 0.0, 60.0),
        )  # fmt: skip


def moments(folder: Path, count: int = 60) -> list[Path]:
    """Three runs: one some seconds late, one always the middle, one that answers every second sample."""
    asked = list(samples(count))
    tiny.write(folder / "manifest", (), asked)
    rows: dict[str, list[Any]] = {"near": [], "middle": [], "half": []}
    for n, sample in enumerate(asked):
        start, off = sample.targets[0].start, (n * 13 % 17) / 2  # at most 8 seconds off
        rows["near"].append(
            tiny.answer(sample.id, [start + off, min(start + off + 10, 60.0), 0.9], [0.0, 4.0, 0.2], [50.0, 60.0, 0.1])
        )
        rows["middle"].append(tiny.answer(sample.id, [20.0, 40.0, 0.5]))
        if n % 2:
            rows["half"].append(tiny.answer(sample.id, [start, start + 5.0, 0.5]))
    return [_scored(folder, name, lines) for name, lines in rows.items()]


def detections(folder: Path, count: int = 12) -> list[Path]:
    """Two runs on videos with several classes; one video has no target, one no known end."""
    asked, lines = [], []
    for n in range(count):
        targets = tuple(Target(4.0 * k, 4.0 * k + 2.5, LABELS[(n + k) % 3]) for k in range(n % 5))
        query = Query("classes", vocabulary="all")
        asked.append(
            Sample(id=f"test/{n}", query=query, targets=targets, video=Window(f"w{n}", 0.0, None if n == 3 else 40.0))
        )
        found = [[t.start + 0.1 * n, t.end, 0.9 - 0.1 * k] for k, t in enumerate(targets)] + [[30.0, 35.0, 0.3]]
        lines.append(tiny.answer(f"test/{n}", *found, labels=[*(t.label for t in targets), LABELS[3]]))
    tiny.write(folder / "manifest", (), asked, task="detection", name="detection", vocabularies={"all": LABELS})
    return [_scored(folder, "all", lines), _scored(folder, "few", lines[::2])]


def _scored(folder: Path, name: str, lines: list[Any]) -> Path:
    run = folder / "runs" / name
    run.mkdir(parents=True)
    header = {"method": {"name": name, "options": {}, "seed": 0}}
    tiny.answers(run / "predictions.jsonl", [header, *lines])
    score(run / "predictions.jsonl", folder / "manifest", "test", json=run / "report.json")
    return run

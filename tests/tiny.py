"""Small manifests made by hand, for tests that look at one fault at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from activity_bench.data import manifest
from activity_bench.data.manifest import Manifest
from activity_bench.segments import to_seconds
from activity_bench.types import Built, Grid, Ledger, Query, Sample, Source, Target, Window

STEP = 16 / 30
SOURCE = Source("annotations.json", 12, "ab" * 32)


def on_rows(
    name: str, window: tuple[int, int], *targets: tuple[int, int], label: str = "Diving", part: str | None = None
) -> Sample:
    """A sample on a grid; its query is a clip of another video."""
    return Sample(
        id=name,
        label=label,
        part=part,
        query=Query("clip", video=f"query of {name}", start=0.0, end=to_seconds((0, 3), STEP)[1]),
        targets=tuple(Target(*to_seconds(target, STEP), label) for target in targets),
        video=Window(f"video of {name}", *to_seconds(window, STEP)),
        grid=Grid(STEP, window, targets, (0, 3)),
    )


def in_seconds(name: str, window: tuple[float, float | None], *targets: tuple[float, float], **more: Any) -> Sample:
    """A sample without a grid; its query is an image."""
    return Sample(
        id=name,
        query=Query("image", video=f"query of {name}", time=1.5),
        targets=tuple(Target(*target) for target in targets),
        video=Window(f"video of {name}", *window),
        **more,
    )


TRAIN = (on_rows("train/v0/0-10/0", (0, 10), (2, 5)), on_rows("train/v1/0-20/0", (0, 20), (10, 20), label="Rafting"))
TEST = (
    on_rows("test/v2/0-10/0", (0, 10), (0, 4), part="simple"),
    on_rows("test/v3/5-25/0", (5, 25), (15, 25), part="difficult", label="Frisbee"),
    in_seconds("test/v4/0-60000/0", (0.0, 60.0), (10.0, 20.0), (30.0, 50.0), label="Frisbee"),
    in_seconds("test/é/0-/0", (0.0, None), (1.0, 2.0), label="Café"),
)


def built(samples: Iterable[tuple[str, Sample]], **changes: Any) -> Built:
    """What a builder would return."""
    plain: dict[str, Any] = {"name": "relocalization", "version": "test.1", "task": "moment"}
    return Built(**{**plain, "samples": samples, "ledger": Ledger("instance"), **changes})


def write(
    folder: Path, train: Sequence[Sample] = TRAIN, test: Sequence[Sample] = TEST, force: bool = False, **changes: Any
) -> Manifest:
    """A manifest on disk."""
    samples = [("train", sample) for sample in train] + [("test", sample) for sample in test]
    made = built(samples, **changes)
    return manifest.write(folder, made, {"options": {}}, (SOURCE,), lambda page: "# é\n", force=force)


def answer(sample: str, *segments: Sequence[float], **more: Any) -> dict[str, Any]:
    """One line of predictions."""
    return {"sample": sample, "segments": [list(segment) for segment in segments], **more}


def answers(path: Path, rows: Iterable[Any]) -> Path:
    """A file of predictions; text and bytes stand as they are."""
    lines = [
        row if isinstance(row, bytes) else row.encode() if isinstance(row, str) else json.dumps(row).encode()
        for row in rows
    ]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def by_hand(folder: Path, rows: list[dict[str, Any]] | bytes, **changes: Any) -> Path:
    """A manifest as a person writes it from the documentation: no seal, any layout of the JSON."""
    folder.mkdir(exist_ok=True)
    text = rows if isinstance(rows, bytes) else "".join(json.dumps(row) + "\n" for row in rows).encode()
    (folder / "test.jsonl").write_bytes(text)
    found = hashlib.sha256(text).hexdigest()
    split = {"file": "test.jsonl", "samples": text.count(b"\n"), "videos": 1, "classes": 1, "sha256": found}
    page = {
        "format": 1, "name": "mine", "version": "1", "task": "moment", "splits": {"test": split}, "provenance": {},
        "digest": "sha256:" + hashlib.sha256(f"test {found}\n".encode()).hexdigest(),
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps({**page, **changes}))
    return folder

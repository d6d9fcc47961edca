"""Scoring 1,000,000 moment answers against typed parsing of the same two files, both as whole processes.

`score_moments.py N` takes another number of answers.
"""

import sys
import tempfile
from pathlib import Path

from timing import command, compare, python

from activity_bench import chance
from activity_bench.data import manifest, predictions
from activity_bench.segments import to_seconds
from activity_bench.types import Built, Grid, Ledger, Prediction, Query, Sample, Target, Window

STEP = 16 / 30

PARSE = """
import gc, sys
import msgspec
gc.disable()
class Query(msgspec.Struct): kind: str; video: str; start: float; end: float
class Target(msgspec.Struct): start: float; end: float; label: str
class Window(msgspec.Struct): id: str; start: float; end: float
class Grid(msgspec.Struct):
    step: float; video: tuple[int, int]; targets: list[tuple[int, int]]; query: tuple[int, int]
class Sample(msgspec.Struct): id: str; query: Query; targets: list[Target]; video: Window; label: str; grid: Grid
class Answer(msgspec.Struct):
    sample: str | None = None; segments: list[tuple[float, float, float]] | None = None
for path, type_ in ((sys.argv[1], Sample), (sys.argv[2], Answer)):
    with open(path, "rb") as stream:
        msgspec.json.Decoder(type_).decode_lines(stream.read())
"""


def samples(count: int):  # type: ignore[no-untyped-def]
    for i in range(count):
        key = chance.key(0, str(i), "benchmark")
        first, length, label = key % 150, 1 + key // 150 % 32, f"Activity {key // 4800 % 200}"
        grid = Grid(STEP, (0, 200), ((first, first + length),), (5, 5 + length))
        start, end = to_seconds(grid.targets[0], STEP)
        query = Query("clip", video=f"video{(i * 7) % count:08}", start=2.666667, end=2.666667 + end - start)
        window = Window(f"video{i:08}", 0.0, to_seconds((0, 200), STEP)[1])
        yield Sample(f"test/video{i:08}/0-200/0", query, window, (Target(start, end, label),), label, None, grid)


def answers(count: int):  # type: ignore[no-untyped-def]
    for i in range(count):
        start = chance.number(1, str(i), "answer") * 80
        yield Prediction(f"test/video{i:08}/0-200/0", ((start, start + 1 + i % 17, i % 100 / 100),))


count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "manifest")
    built = Built("benchmark", "1", "moment", (("test", s) for s in samples(count)), Ledger("sample"))
    made = manifest.write(path, built, {}, (), lambda page: "")
    answered = Path(folder, "predictions.jsonl")
    with answered.open("wb") as stream:
        predictions.write(stream, answers(count), {"manifest": {"digest": made.digest}})
    compare(
        f"score {count:,} moments",
        command("score", str(answered), "--manifest", str(path), "--split", "test", "--no-intervals"),
        python(PARSE, str(path / "test.jsonl"), str(answered)),
        "at most 2 x",
        "typed parsing of both files",
    )

"""The bootstrap against drawing by index, in one process; comparing two reports against starting up, as processes."""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from timing import command, compare, python, row

from activity_bench.data.reports import Asked, Report, write_report
from activity_bench.scoring.intervals import exact_share, of_means, of_shares
from activity_bench.scoring.moments import evaluate

N, DRAWS, COLUMNS = 10_000, 10_000, 2


def by_index(values):  # type: ignore[no-untyped-def]
    """What a bootstrap is in most code: rows drawn by index, a mean for each draw."""
    rng = np.random.Generator(np.random.Philox(key=0))
    means = [values[rng.integers(0, len(values), size=(400, len(values)))].mean(axis=1) for _ in range(DRAWS // 400)]
    return np.quantile(np.concatenate(means), [0.025, 0.975], axis=0).T


def timed(function, *arguments):  # type: ignore[no-untyped-def]
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


values = np.random.default_rng(0).random((N, COLUMNS))
video = np.arange(N) // 5
pairs = [(timed(of_means, values, None, 0, DRAWS), timed(by_index, values)) for _ in range(5)]
ours, index = (statistics.median(column) for column in zip(*pairs, strict=True))
ratio = statistics.median(a / b for a, b in pairs)
name = f"{DRAWS:,} draws of {N:,} samples, {COLUMNS} metrics"
row(f"{name}, seconds", ours, "at most 1 s", "drawing by index", f"{index:.3f} s")
row(name, ratio, "at most 1 x", "drawing by index")
print(f"... of {N // 5:,} videos: {timed(of_means, values, video, 0, DRAWS):.3f} s; "
      f"a share by video {timed(of_shares, values[:, :1] > 0.6, video) * 1e3:.1f} ms, "
      f"exact {timed(exact_share, 4000, N) * 1e3:.1f} ms")  # fmt: skip

samples = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
with tempfile.TemporaryDirectory() as folder:
    rng = np.random.default_rng(1)
    for name in ("a", "b"):
        ious = rng.random(samples)
        report = Report(manifest=Asked("made-up", "1", "test", "sha256:00"), predictions={}, method={"name": name},
                        protocol="moments", scorer={"rules": 1}, asked=samples, answered=samples,
                        metrics=evaluate(ious))  # fmt: skip
        write_report(Path(folder, f"{name}.json"), report, {"iou": ious, "video": np.arange(samples) // 3})
    compare(
        f"compare two reports of {samples:,} samples",
        command("compare", f"{folder}/a.json", f"{folder}/b.json"),
        python("import numpy, msgspec, click"),
        "at most 2 s",
        "importing numpy, msgspec and click",
    )

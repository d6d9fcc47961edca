"""The frame-level search on the real re-localization test pairs against its plain twins, the answers compared.

Needs ACTIVITY_BENCH_DATA. Features are the simulated world's, at 128 and 500 numbers a row; reading them is not timed.
The search is compared with the same rounds in plain loops over the same tables, and, on every tenth pair, the whole
(distances and search) with plain Python from the features on.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from timing import row

from activity_bench.baselines import frame_level
from activity_bench.baselines.frame_level import UNIT, FrameLevel, Options, best_blocks, distances
from activity_bench.simulation.content import contents
from activity_bench.simulation.world import World, WorldOptions
from activity_bench.workflow.build import build_dataset
from tests.reference import frame_level as plain

RUNS = 3


class Held:
    """A provider whose rows are read once, in the order in which the method reads them: query, window, query, …"""

    def __init__(self, world: World) -> None:
        self.timing, self.rows, self.ids, self.world = world.timing, world.rows, world.ids, world
        self.held: dict[tuple[str, int, int], np.ndarray] = {}

    def read(self, *place):  # type: ignore[no-untyped-def]
        if place not in self.held:
            self.held[place] = self.world.read(*place)
        return self.held[place]


def timed(work):  # type: ignore[no-untyped-def]
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found


def from_scratch(query, window):  # type: ignore[no-untyped-def]
    return plain.searched([[round(plain.distance(a, b) * UNIT) for b in window] for a in query])


def compare(name, ours, twin, goal):  # type: ignore[no-untyped-def]
    pairs = [(timed(ours), timed(twin)) for _ in range(RUNS)]
    for (_, found), (_, expected) in pairs:
        assert [(block.average, block.first, block.last) for block in found] == expected
    a, b = (statistics.median(column[i][0] for column in pairs) for i in (0, 1))
    row(f"frame-level, {name}", b / a, goal, "plain Python", f"{a:.3f} s and {b:.2f} s")


data = os.environ.get("ACTIVITY_BENCH_DATA")
if data is None:
    sys.exit(print("frame-level: ACTIVITY_BENCH_DATA is not set"))
with tempfile.TemporaryDirectory() as folder:
    real = Path(data)
    tables = {"frame_counts": real / "relocalization/length.json", "class_order": real / "relocalization/perm.npy"}
    annotations = [real / "activitynet/activity_net.v1-3.min.json"]
    made = build_dataset("relocalization", annotations, Path(folder, "m"), protocol="released", tables=tables)
    samples = [sample.question() for sample in made.samples("test")]
    content, tree = contents(made.samples("test")), {label: tuple(path) for label, path in made.tree.items()}


def report(held, samples):  # type: ignore[no-untyped-def]
    asked = [frame_level._asked(sample, held) for sample in samples]
    pairs = [(held.read(a.query, *a.query_rows), held.read(a.window.id, *a.rows)) for a in asked]
    tables = [distances(*pair) for pair in pairs]
    lists = [table.tolist() for table in tables]
    print(f"{len(pairs)} pairs, {sum(map(np.size, tables)):,} cells, {pairs[0][0].shape[1]} numbers a row")
    dim, goal = pairs[0][0].shape[1], "at least 20 x"
    compare(f"search, {dim} numbers a row", lambda: best_blocks(tables, 1024),
            lambda: [plain.searched(table) for table in lists], goal)  # fmt: skip
    tenth = [[array.astype(float).tolist() for array in pair] for pair in pairs[::10]]
    compare(
        f"distances and search, every tenth pair, {dim} numbers a row",
        lambda: best_blocks([distances(*pair) for pair in pairs[::10]], 1024),
        lambda: [from_scratch(*pair) for pair in tenth],
        goal,
    )
    print(f"the method, rows at hand: {timed(lambda: list(FrameLevel(Options(), 0, held).predict(samples)))[0]:.2f} s")


for dim in (128, 500):
    report(Held(World(WorldOptions(dim=dim), tree, content)), samples)

"""demo: the whole way on the embedded corpus, offline, from annotations to a leaderboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from activity_bench.data.disk import atomic_folder
from activity_bench.simulation.parameters import CALIBRATED
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.inspect import standing
from activity_bench.workflow.rank import Leaderboard, leaderboard
from activity_bench.workflow.run import Progress, run_method, silent
from activity_bench.workflow.simulate import simulate_corpus, simulate_features

METHODS = ("random", "statistical-prior", "full-window", "frame-level", "oracle")
WORLD = {"dim": 64, "noise": CALIBRATED["embedded"]}  # numbers enough to see it work
MARKER = "features.h5"
OURS = ("corpus", "manifest", "features.h5", "runs", "leaderboard.csv")


def demo(
    out: Path | str, *, force: bool = False, say: Callable[[str], None] = lambda text: None, progress: Progress = silent
) -> Leaderboard:
    """Run every step once; all that each of them wrote is in `out` when the last has ended.

    >>> demo("demo-out").rows[0]["method"]
    """
    with atomic_folder(Path(out), force=force, marker=MARKER, ours=OURS) as draft:
        say("1  annotations: a made-up corpus in ActivityNet's format      simulate corpus")
        simulate_corpus(draft / "corpus")
        say("2  manifest: the benchmark, frozen                            build-dataset relocalization")
        made = build_dataset("relocalization", [draft / "corpus" / "activitynet.json"], draft / "manifest")
        say(f"   {sum(split.samples for split in made.splits.values()):,} samples, {made.digest}")
        say(f"   {standing(made)}")
        say("3  features: simulated, in a real store                       simulate features")
        simulate_features(made.folder, draft / "features.h5", options=WORLD, progress=progress)
        say("4  answers and scores                                         run-baseline")
        for method in METHODS:
            run_method(method, made.folder, "test", draft / "runs" / method, features=draft / "features.h5")
        say("5  leaderboard, simulated: it says nothing of real videos     leaderboard")
        return leaderboard([draft / "runs" / method for method in METHODS], draft / "leaderboard.csv")

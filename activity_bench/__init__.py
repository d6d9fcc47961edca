"""activity-bench: build, run and score benchmarks that find an activity in a video from a query.

>>> import activity_bench as ab
>>> ab.build_dataset("relocalization", ["activitynet.json"], "manifest")
>>> ab.run_method("statistical-prior", "manifest", "test", "run")
>>> ab.score("run/predictions.jsonl", "manifest", "test").metrics["mIoU"]
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

_VERBS = {
    "build_dataset": "activity_bench.workflow.build:build_dataset",
    "run_method": "activity_bench.workflow.run:run_method",
    "score": "activity_bench.workflow.score:score",
    "train": "activity_bench.workflow.train:train",
    "predict": "activity_bench.workflow.predict:predict",
    "Scorer": "activity_bench.workflow.score:Scorer",
    "compare": "activity_bench.workflow.compare:compare",
    "leaderboard": "activity_bench.workflow.rank:leaderboard",
    "load_manifest": "activity_bench.data.manifest:load",
    "open_features": "activity_bench.data.features:open_features",
}
__all__ = ["__version__", *_VERBS]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    """Import a name when it is asked for: `import activity_bench` alone costs nothing."""
    if name not in _VERBS:
        raise AttributeError(f"module 'activity_bench' has no attribute {name!r}")
    from activity_bench import catalog

    return catalog.load("name", _VERBS, name)

"""Name -> object, imported only when asked for. Adding a thing to the house is one line in one of these tables."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from activity_bench.errors import unknown

BUILDERS = {
    "activity-ibal": "activity_bench.builders.activity_ibal:ActivityIBAL",
    "detection": "activity_bench.builders.detection:Detection",
    "relocalization": "activity_bench.builders.relocalization:Relocalization",
    "what2when": "activity_bench.builders.detection.what2when:What2When",
}

METHODS = {
    "full-window": "activity_bench.baselines.full_window:FullWindow",
    "oracle": "activity_bench.baselines.oracle:Oracle",
    "random": "activity_bench.baselines.random:Random",
    "statistical-prior": "activity_bench.baselines.statistical_prior:StatisticalPrior",
}

METRICS = {
    "mIoU": "activity_bench.scoring.moments:MIOU",
    "IoU@R": "activity_bench.scoring.moments:IOU_AT",
    "top1-mAP": "activity_bench.scoring.moments:TOP1_MAP",
}

PROTOCOLS = {
    "moments": "activity_bench.scoring.moments:MOMENTS",
}

EXPORTS = {
    "actionformer": "activity_bench.data.exports.actionformer:ACTIONFORMER",
    "activitynet": "activity_bench.data.exports.activitynet:ACTIVITYNET",
    "croissant": "activity_bench.data.exports.croissant:CROISSANT",
    "hf": "activity_bench.data.exports.hf:HF",
    "opentad": "activity_bench.data.exports.opentad:OPENTAD",
    "qvhighlights": "activity_bench.data.exports.qvhighlights:QVHIGHLIGHTS",
    "video_reloc": "activity_bench.data.exports.video_reloc:VIDEO_RELOC",
}

COMMANDS = {
    "demo": "activity_bench.cli.demo:demo",
    "build-dataset": "activity_bench.cli.build_dataset:build_dataset",
    "run-baseline": "activity_bench.cli.run_baseline:run_baseline",
    "score": "activity_bench.cli.score:score",
    "validate": "activity_bench.cli.validate:validate",
    "inspect": "activity_bench.cli.inspect:inspect",
    "leaderboard": "activity_bench.cli.leaderboard:leaderboard",
    "export": "activity_bench.cli.export:export",
    "import": "activity_bench.cli.import_:import_",
    "simulate": "activity_bench.cli.simulate:simulate",
    "list": "activity_bench.cli.names:names",
    "doctor": "activity_bench.cli.doctor:doctor",
}


def load(kind: str, table: Mapping[str, str], name: str) -> Any:
    """The object that `table` has under `name`; a near miss where it has none."""
    if name not in table:
        raise unknown(kind, name, table)
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)

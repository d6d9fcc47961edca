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
    "actionbytes": "activity_bench.models.actionbytes:Method",
    "cgbm": "activity_bench.models.cgbm:Method",
    "flp": "activity_bench.models.flp:Method",
    "frame-level": "activity_bench.baselines.frame_level:FrameLevel",
    "full-window": "activity_bench.baselines.full_window:FullWindow",
    "msa": "activity_bench.models.msa:Method",
    "oracle": "activity_bench.baselines.oracle:Oracle",
    "random": "activity_bench.baselines.random:Random",
    "sail": "activity_bench.models.sail:Method",
    "sst": "activity_bench.models.sst:Method",
    "sst-plus": "activity_bench.models.sst_plus:Method",
    "statistical-prior": "activity_bench.baselines.statistical_prior:StatisticalPrior",
    "tal-plus": "activity_bench.models.tal_plus:Method",
    "video-level": "activity_bench.models.video_level:Method",
}

METRICS = {
    "mAP": "activity_bench.scoring.protocols:MAP",
    "mAP of samples": "activity_bench.scoring.moments:SAMPLE_MAP",
    "mIoU": "activity_bench.scoring.moments:MIOU",
    "IoU@R": "activity_bench.scoring.moments:IOU_AT",
    "R1": "activity_bench.scoring.moments:R1_AT",
    "top1-mAP": "activity_bench.scoring.moments:TOP1_MAP",
}

PROTOCOLS = {
    "actionformer": "activity_bench.scoring.protocols:ACTIONFORMER",
    "activitynet": "activity_bench.scoring.protocols:ACTIVITYNET",
    "autoloc": "activity_bench.scoring.protocols:AUTOLOC",
    "ibal": "activity_bench.scoring.moments:IBAL",
    "moments": "activity_bench.scoring.moments:MOMENTS",
    "opentad": "activity_bench.scoring.protocols:OPENTAD",
    "qvhighlights": "activity_bench.scoring.moments:QVHIGHLIGHTS",
    "released": "activity_bench.scoring.moments:RELEASED",
    "thumos-evalkit": "activity_bench.scoring.protocols:THUMOS_EVALKIT",
    "wtalc": "activity_bench.scoring.protocols:WTALC",
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
    "train": "activity_bench.cli.train:train",
    "predict": "activity_bench.cli.predict:predict",
    "score": "activity_bench.cli.score:score",
    "compare": "activity_bench.cli.compare:compare",
    "validate": "activity_bench.cli.validate:validate",
    "inspect": "activity_bench.cli.inspect:inspect",
    "leaderboard": "activity_bench.cli.leaderboard:leaderboard",
    "export": "activity_bench.cli.export:export",
    "import": "activity_bench.cli.import_:import_",
    "extract-features": "activity_bench.cli.extract_features:extract_features",
    "simulate": "activity_bench.cli.simulate:simulate",
    "reproduce": "activity_bench.cli.reproduce:reproduce",
    "list": "activity_bench.cli.names:names",
    "doctor": "activity_bench.cli.doctor:doctor",
}


def load(kind: str, table: Mapping[str, str], name: str) -> Any:
    """The object that `table` has under `name`; a near miss where it has none."""
    if name not in table:
        raise unknown(kind, name, table)
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)

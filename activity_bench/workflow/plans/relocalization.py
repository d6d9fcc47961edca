"""Re-localization: Tables 1 and 2 of ECCV 2018, Tables 2 to 4 of AAAI 2020."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from activity_bench.workflow.plans.cells import Asked, Cell, Place, Plan, Size

ECCV, AAAI = "ECCV 2018", "AAAI 2020"
TABLES = ("frame_counts", "class_order")


def _msa(name: str, table: str, row: str, manifest: str = "weak", **options: Any) -> Cell:
    return Cell(name, "msa", AAAI, table, row, {"supervision": "weak" if manifest == "weak" else "full"} | options,
                manifest)  # fmt: skip


RELOCALIZATION = Plan(
    benchmark="relocalization",
    by="top1-mAP",
    shown=("top1-mAP@0.5", "top1-mAP@0.6", "top1-mAP@0.7", "top1-mAP@0.8", "top1-mAP@0.9", "top1-mAP"),
    cells=(
        Cell("random", "random", ECCV, "Table 1", "Chance", also=(Place(AAAI, "Table 2", "Random"),)),
        Cell("statistical-prior", "statistical-prior", AAAI, "Table 4", "Stat. prior"),
        Cell("frame-level", "frame-level", ECCV, "Table 1", "Frame-level baseline",
             also=(Place(AAAI, "Table 2", "FL Baseline"),)),
        Cell("video-level", "video-level", ECCV, "Table 1", "Video-level baseline",
             also=(Place(AAAI, "Table 4", "VL Baseline"),)),
        Cell("sst", "sst", ECCV, "Table 1", "SST", also=(Place(AAAI, "Table 4", "SST"),)),
        Cell("cgbm-base", "cgbm", ECCV, "Table 2", "Base", {"variant": "base"}),
        Cell("cgbm-gating", "cgbm", ECCV, "Table 2", "Base + cross gating", {"variant": "gating"}),
        Cell("cgbm-bilinear", "cgbm", ECCV, "Table 2", "Base + bilinear", {"variant": "bilinear"}),
        Cell("cgbm", "cgbm", ECCV, "Table 2", "Ours",
             also=(Place(ECCV, "Table 1", "Ours"), Place(AAAI, "Table 4", "CGBM"))),
        _msa("msa-full-cross-entropy", "Table 4", "loss w", "full", co_attention=False),
        _msa("msa-full", "Table 4", "loss w + loss c", "full"),
        _msa("msa-weak-base", "Table 2", "base model, weak", variant="base"),
        _msa("msa-weak-multiscale", "Table 2", "+multiscale, weak", variant="multiscale"),
        _msa("msa-weak-selfatt", "Table 2", "+selfatt, weak", variant="selfatt"),
        replace(_msa("msa-weak", "Table 2", "full model, weak"), also=(Place(AAAI, "Table 3", "alpha = 0.3, weak"),)),
        _msa("msa-weak-alpha-1", "Table 3", "alpha = 1, weak", alpha=1.0),
        _msa("msa-weak-alpha-0.7", "Table 3", "alpha = 0.7, weak", alpha=0.7),
        _msa("msa-weak-alpha-0.5", "Table 3", "alpha = 0.5, weak", alpha=0.5),
        _msa("msa-weak-alpha-0", "Table 3", "alpha = 0, weak", alpha=0.0),
    ),
    orderings=(
        ("random", "frame-level"), ("frame-level", "video-level"), ("video-level", "sst"), ("sst", "cgbm"),
        ("cgbm-base", "cgbm-gating"), ("cgbm-base", "cgbm-bilinear"), ("cgbm-gating", "cgbm"),
        ("cgbm-bilinear", "cgbm"), ("cgbm", "msa-full-cross-entropy"), ("msa-full-cross-entropy", "msa-full"),
        ("msa-weak-base", "msa-weak-multiscale"), ("msa-weak-base", "msa-weak-selfatt"),
        ("msa-weak-multiscale", "msa-weak"), ("msa-weak-selfatt", "msa-weak"), ("msa-weak-alpha-1", "msa-weak"),
        ("msa-weak-alpha-0.7", "msa-weak"), ("msa-weak-alpha-0.5", "msa-weak"), ("msa-weak-alpha-0", "msa-weak"),
    ),
    sizes={
        "tiny": Size({"dim": 16}, {"steps": 4, "batch": 8, "hidden": 8, "workers": 0}, 1),
        "small": Size(  # whole videos are long
            {"dim": 128}, {"steps": 300, "batch": 64, "workers": 1}, 1, {"weak": {"steps": 100}},
        ),
        "paper": Size({"dim": 500}, {}, 3),
    },
    manifests={"full": Asked("released", "general", tables=TABLES), "weak": Asked("weak", tables=TABLES)},
    features=("c3d-activitynet",),
)  # fmt: skip

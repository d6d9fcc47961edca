"""What a paper's tables ask for, cell by cell: the method and options of each row, and the orderings that it claims.

A plan has sizes: `small` ends on a laptop in the time that docs/methods/relocalization.md states; `paper` is the
papers' own. Every cell of a plan runs at the same size, and nothing is chosen by looking at the test split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ECCV, AAAI = "ECCV 2018", "AAAI 2020"


@dataclass(frozen=True)
class Cell:
    """One row of a paper's table."""

    name: str
    method: str
    paper: str
    table: str
    row: str
    options: Mapping[str, Any] = field(default_factory=dict)
    manifest: str = "full"


@dataclass(frozen=True)
class Size:
    """How large the runs of a plan are."""

    world: Mapping[str, Any]  # options of the simulated features
    training: Mapping[str, Any]  # options of every method that is trained
    seeds: int


@dataclass(frozen=True)
class Plan:
    """The cells of one benchmark."""

    benchmark: str
    by: str  # the metric that orders
    cells: tuple[Cell, ...]
    orderings: tuple[tuple[str, str], ...]  # (worse, better), as the papers claim
    sizes: Mapping[str, Size]
    protocols: Mapping[str, str]  # manifest of a cell -> protocol of the builder, with the released tables
    embedded: Mapping[str, str]  # the same, on annotations alone


def _msa(name: str, table: str, row: str, manifest: str = "weak", **options: Any) -> Cell:
    return Cell(name, "msa", AAAI, table, row, {"supervision": "weak" if manifest == "weak" else "full"} | options,
                manifest)  # fmt: skip


RELOCALIZATION = Plan(
    benchmark="relocalization",
    by="top1-mAP",
    cells=(
        Cell("random", "random", ECCV, "Table 1", "Chance"),
        Cell("statistical-prior", "statistical-prior", AAAI, "Table 4", "Stat. prior"),
        Cell("frame-level", "frame-level", ECCV, "Table 1", "Frame-level baseline"),
        Cell("video-level", "video-level", ECCV, "Table 1", "Video-level baseline"),
        Cell("sst", "sst", ECCV, "Table 1", "SST"),
        Cell("cgbm-base", "cgbm", ECCV, "Table 2", "Base", {"variant": "base"}),
        Cell("cgbm-gating", "cgbm", ECCV, "Table 2", "Base + cross gating", {"variant": "gating"}),
        Cell("cgbm-bilinear", "cgbm", ECCV, "Table 2", "Base + bilinear", {"variant": "bilinear"}),
        Cell("cgbm", "cgbm", ECCV, "Table 2", "Ours"),
        _msa("msa-full-cross-entropy", "Table 4", "loss w", "full", co_attention=False),
        _msa("msa-full", "Table 4", "loss w + loss c", "full"),
        _msa("msa-weak-base", "Table 2", "base model, weak", variant="base"),
        _msa("msa-weak-multiscale", "Table 2", "+multiscale, weak", variant="multiscale"),
        _msa("msa-weak-selfatt", "Table 2", "+selfatt, weak", variant="selfatt"),
        _msa("msa-weak", "Table 2", "full model, weak"),
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
        "small": Size({"dim": 128}, {"steps": 300, "batch": 64, "workers": 1}, 1),
        "paper": Size({"dim": 500}, {}, 3),
    },
    protocols={"full": "released", "weak": "weak"},
    embedded={"full": "general", "weak": "weak"},
)  # fmt: skip

PLANS = {"relocalization": RELOCALIZATION}

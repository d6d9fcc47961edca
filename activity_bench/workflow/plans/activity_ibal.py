"""ActivityIBAL: Tables 2 to 4 and Figure 4 of IJCAI 2019, and what each part of SAIL earns where its cause is away."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from activity_bench.workflow.plans.cells import Asked, Cell, Place, Plan, Size

PAPER, FIGURE, OURS = "IJCAI 2019", "Figure 4", "knobs of the world"
ORDER = ("random", "flp", "sst-plus", "tal-plus", "sail")  # Table 2 and Table 3
PARTS = ("rs", "ml", "ls", "ba")  # Table 4
CAUSES = {"rs": "layout", "ml": "mislead", "ba": "order"}  # what a part is for, by the knob that takes it away


def _sail(name: str, table: str, row: str, options: Mapping[str, Any] | None = None, world: str = "") -> Cell:
    return Cell(name, "sail", PAPER, table, row, options or {}, "full", world)


def _both(
    name: str, method: str, row: str, options: Mapping[str, Any] | None = None, trained: str = "",
    also: tuple[Place, ...] = (),
) -> Cell:  # fmt: skip
    """Rows of Table 2 (all questions) and Table 3 (the difficult ones)."""
    return Cell(name, method, PAPER, "Table 2", row, options or {}, trained=trained,
                also=(Place(PAPER, "Table 3", row), *also))  # fmt: skip


ACTIVITY_IBAL = Plan(
    benchmark="activity-ibal",
    by="mIoU",
    shown=("mIoU", "IoU@0.3", "IoU@0.5", "IoU@0.7"),
    cells=(
        _both("random", "random", "Random"),
        _both("random-independent", "random", "Random", {"draw": "independent"}),
        Cell("statistical-prior", "statistical-prior", PAPER, "", ""),
        Cell("full-window", "full-window", PAPER, "", ""),
        _both("flp", "flp", "FLP"),
        _both("sst-plus", "sst-plus", "SST+"),
        _both("tal-plus", "tal-plus", "TAL+"),
        _both("sail", "sail", "SAIL", also=(Place(PAPER, "Table 4", "full"),)),
        _both("sail-argmax", "sail", "SAIL", {"decoding": "argmax"}, trained="sail"),
        *(_sail(f"sail-without-{part}", "Table 4", f"w/o. {part.upper()}", {part: False}) for part in PARTS),
        *(_sail(f"sail-{n}-layer{'s' if n > 1 else ''}", FIGURE, "", {"layers": n}) for n in range(1, 8) if n != 5),
        *(_sail(f"sail-no-{knob}", OURS, "", world=f"no-{knob}") for knob in CAUSES.values()),
        *(_sail(f"sail-without-{part}-no-{knob}", OURS, "", {part: False}, f"no-{knob}")
          for part, knob in CAUSES.items()),
    ),
    orderings=(
        *pairwise(ORDER),
        *((f"sail-without-{part}", "sail") for part in PARTS),
        *((f"sail-{n}-layer{'s' if n > 1 else ''}", "sail") for n in range(1, 8) if n != 5),
        *((f"sail-without-{part}-no-{knob}", f"sail-no-{knob}") for part, knob in CAUSES.items()),
        ("sail-argmax", "sail"),
    ),
    sizes={
        "tiny": Size(
            {"dim": 16, "stride": 8, "region_dim": 16, "global_dim": 16},
            {"steps": 4, "batch": 8, "rows": 24, "workers": 0}, 1,
            {"sail": {"hidden": 16, "heads": 2, "feedforward": 32}},
        ),
        "small": Size(
            {"dim": 128, "stride": 8, "region_dim": 128, "global_dim": 128},
            {"steps": 400, "batch": 32, "rows": 100, "workers": 1}, 1, {"sail": {"hidden": 64, "feedforward": 256}},
            {"train": 0.25, "val": 0.1, "test": 0.5},
        ),
        "paper": Size({"dim": 500, "stride": 8, "region_dim": 4096, "global_dim": 512}, {}, 3),
    },
    manifests={"full": Asked()},
    features=("c3d-activitynet", "faster-rcnn"),
    worlds={"": {}, **{f"no-{knob}": {knob: 0.0} for knob in CAUSES.values()}},
)  # fmt: skip

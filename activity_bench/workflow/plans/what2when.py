"""What2When: Tables 1 to 5, Figures 5 to 7 and the cells that stand in the text of CVPR 2020."""

from __future__ import annotations

from typing import Any

from activity_bench.workflow.plans.cells import Asked, Cell, Place, Plan, Size

PAPER = "CVPR 2020"
TARGETS = {"thumos14": "thumos14@213", "multithumos": "multithumos@213", "activitynet1.2": "activitynet1.2@2383"}
PERCENTILES = {"activitynet1.2": "92 95 97.5 99 99.5"}  # else 50
MODES: dict[str, dict[str, Any]] = {
    "Baseline": {"mode": "baseline"},
    "Ours": {"mode": "mined"},
    "Ours (+ Proposals)": {"proposals": True, "trained": "mined"},
}
PAUL = "Paul et al. [28], I3D"
WTALC = {"multithumos": f"{PAUL}, the paper's own evaluation"}
ZERO = ("thumos14", "multithumos")  # of Table 2
TRIPLES = [*((target, "") for target in TARGETS), *((target, "-zero-shot") for target in ZERO)]
TIOU = "0.1,0.2,0.3,0.4,0.5,0.7"
ALSO = {"thumos14-mined-proposals": (Place(PAPER, "Section 4.1", "ActionBytes"),)}
WEAK = {"thumos14": "Table 3", "activitynet1.2": "Table 4", "multithumos": "Table 5"}


def _cell(name: str, target: str, table: str, row: str, manifest: str = "", trained: str = "", **options: Any) -> Cell:
    if target in PERCENTILES and options.get("proposals"):
        options = {"percentile": PERCENTILES[target], **options}
    weights = f"{target}-{trained}{manifest}" if trained else ""
    name = f"{target}-{name}{manifest}"
    return Cell(name, "actionbytes", PAPER, table, row, options, f"{target}{manifest}", "", weights, ALSO.get(name, ()))


def _modes(target: str, table: str, manifest: str = "") -> list[Cell]:
    names = {"Baseline": "baseline", "Ours": "mined", "Ours (+ Proposals)": "mined-proposals"}
    return [_cell(names[row], target, table, row, manifest, **options) for row, options in MODES.items()]


WHAT2WHEN = Plan(
    benchmark="what2when",
    by="mAP@0.5",
    shown=("mAP@0.1", "mAP@0.2", "mAP@0.3", "mAP@0.4", "mAP@0.5", "mAP@0.7"),
    cells=(
        *(cell for target in TARGETS for cell in _modes(target, "Table 1")),
        _cell("fixed-length", "thumos14", "Section 4.1", "fixed-length segments", segments="fixed", mode="mined",
              proposals=True),
        *(_cell(f"clusters-{n}", "thumos14", "Figure 5", "", mode="mined", clusters=n) for n in (50, 200, 1000)),
        *(_cell(f"rounds-{n}", "thumos14", "Figure 6", "", mode="mined", rounds=n) for n in (1, 2)),
        *(_cell(f"merge-{most}", "thumos14", "Figure 7", "", "", "mined", proposals=True, merge=merge)
          for most, merge in ((1, "1"), (3, "1 2 3"), (4, "1 2 3 4"))),
        *(cell for target in ZERO for cell in _modes(target, "Table 2", "-zero-shot")),
        _cell("baseline", "activitynet1.2", "Section 4.3", "Baseline", "-zero-shot", mode="baseline"),
        *(_cell("wtalc", target, place, WTALC.get(target, PAUL), "-weak", mode="baseline", batch=10)
          for target, place in WEAK.items()),
        *(_cell("proposals", target, place, "Ours (Proposals), I3D", "-weak", "wtalc", proposals=True)
          for target, place in WEAK.items()),
    ),
    orderings=(
        *((f"{target}-baseline{kind}", f"{target}-mined{kind}") for target, kind in TRIPLES),
        *((f"{target}-mined{kind}", f"{target}-mined-proposals{kind}") for target, kind in TRIPLES),
        ("thumos14-fixed-length", "thumos14-mined-proposals"),
        ("thumos14-baseline", "thumos14-rounds-1"), ("thumos14-rounds-1", "thumos14-rounds-2"),
        *((f"thumos14-clusters-{n}", "thumos14-mined") for n in (50, 200, 1000)),
        ("thumos14-mined", "thumos14-merge-1"), ("thumos14-merge-1", "thumos14-mined-proposals"),
        *((f"{target}-wtalc-weak", f"{target}-proposals-weak") for target in WEAK),
    ),
    sizes={
        "tiny": Size({"dim": 16}, {"steps": 4, "batch": 8, "workers": 0}, 1, {"actionbytes": {"latent": 16}}),
        "small": Size(
            {"dim": 128}, {"steps": 800, "batch": 64, "workers": 1}, 1,
            {"actionbytes": {"latent": 256, "pairs": 8, "clusters": 100}}, {"train": 0.3},
        ),
        "paper": Size({"dim": 2048}, {}, 3),
    },
    manifests={
        **{target: Asked(None, None, {"target": target}, ("source",), target, "", f"{version}.1")
           for target, version in TARGETS.items()},
        **{f"{target}-zero-shot": Asked(None, None, {"target": target, "zero_shot": True}, ("source",), target, target,
                                        f"{version}-zero-shot.1") for target, version in TARGETS.items()},
        **{f"{target}-weak": Asked("weak", None, {"target": target}, (), target, "", f"{version}-weak.1", True)
           for target, version in TARGETS.items()},
    },
    judged=(("wtalc", TIOU), ("activitynet", TIOU)),
    corpus={"thumos14": "thumos", "activitynet1.2": "activitynet.json"},
    source="kinetics.csv",
    words=True,
    features=("i3d", "word-vectors"),
)  # fmt: skip

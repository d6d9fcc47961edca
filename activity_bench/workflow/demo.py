"""demo: the whole way offline, on the embedded corpus from annotations on, or on rendered videos from pixels on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from activity_bench.data import manifest as manifests
from activity_bench.data.disk import atomic_folder
from activity_bench.errors import WorkError
from activity_bench.simulation.parameters import CALIBRATED
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.inspect import standing
from activity_bench.workflow.rank import Leaderboard, leaderboard
from activity_bench.workflow.run import Progress, run_method, silent
from activity_bench.workflow.simulate import simulate_corpus, simulate_features

METHODS = ("random", "statistical-prior", "full-window", "frame-level", "oracle")
WORLD = {"dim": 64, "noise": CALIBRATED["embedded"]}  # numbers enough to see it work
MARKER = "features.h5"
VIDEO_ONLY = ("clips", "c3d.h5", "projection.safetensors")
OURS = ("corpus", "manifest", MARKER, "runs", "leaderboard.csv", *VIDEO_ONLY)
# Of rendered videos. A row of 1.6 s is shorter than any activity, and makes rows few enough for C3D on a processor.
BACKBONE, UNITS, FPS = "c3d-fc7", "c3d-nonoverlap", 10.0
COMPONENTS = 64
LEARNT = {"cgbm": {"hidden": 16, "rank": 2, "steps": 60, "batch": 16, "validate_every": 20, "workers": 0}}
WARNING = "made-up videos and random weights: this shows that the pipeline runs, and says nothing of any method"
Say = Callable[[str], None]


def demo(
    out: Path | str, *, force: bool = False, say: Say = lambda text: None, progress: Progress = silent
) -> Leaderboard:
    """Run every step once; all that each of them wrote is in `out` when the last has ended.

    >>> demo("demo-out").rows[0]["method"]
    """
    with atomic_folder(Path(out), force=force, marker=MARKER, ours=OURS) as draft:
        say("1  annotations: a made-up corpus in ActivityNet's format      simulate corpus")
        simulate_corpus(draft / "corpus")
        made = _manifest(draft, draft / "corpus" / "activitynet.json", {}, say)
        say(f"   {standing(made)}")
        say("3  features: simulated, in a real store                       simulate features")
        simulate_features(draft / "manifest", draft / MARKER, options=WORLD, progress=progress)
        return _ranked(draft, {}, "simulated: it says nothing of real videos    ", say)


def demo_video(
    out: Path | str,
    *,
    backbone: str = BACKBONE,
    videos: int = 36,
    force: bool = False,
    say: Say = lambda text: None,
    progress: Progress = silent,
) -> Leaderboard:
    """The same from pixels on: rendered, decoded, through the real network with random weights, projected, learnt from.

    >>> demo_video("demo-out").rows[0]["method"]
    """
    from activity_bench.data.features import open_features
    from activity_bench.workflow.clips import MARKER as ANNOTATIONS
    from activity_bench.workflow.clips import VIDEOS, simulate_clips
    from activity_bench.workflow.extract import extract_features
    from activity_bench.workflow.project import apply_projection, fit_projection

    with atomic_folder(Path(out), force=force, marker=MARKER, ours=OURS) as draft:
        say(f"WARNING: {WARNING}")
        say("1  videos: rendered, with their annotations                   simulate clips")
        simulate_clips(draft / "clips", options={"videos": videos}, progress=progress)
        _manifest(draft, draft / "clips" / ANNOTATIONS, {"step": 16 / FPS}, say)
        say(f"3  features: decoded, {backbone} with random weights           extract-features")
        found = extract_features(
            draft / "clips" / VIDEOS, backbone, draft / "c3d.h5", random_weights=True, units=UNITS, fps=FPS,
            progress=progress, tell=say,
        )  # fmt: skip
        if found.failed:
            raise WorkError("a rendered video gave no features", found=dict(found.failed))
        say("   fewer components, as the training videos have them        project fit, project apply")
        few = min(COMPONENTS, open_features(draft / "c3d.h5").dim)
        known = fit_projection(draft / "c3d.h5", draft / "manifest", draft / "projection.safetensors", few)
        apply_projection(
            draft / "c3d.h5", draft / "projection.safetensors", draft / MARKER, manifest=draft / "manifest"
        )
        say(f"   {few} hold {known.explained:.0%} of the variance of {known.rows:,} rows of {len(known.videos)} videos")
        return _ranked(draft, LEARNT, "of made-up videos and random weights         ", say)


def _manifest(draft: Path, annotations: Path, options: dict[str, float], say: Say) -> manifests.Manifest:
    say("2  manifest: the benchmark, frozen                            build-dataset relocalization")
    made = build_dataset("relocalization", [annotations], draft / "manifest", options=options)
    say(f"   {sum(split.samples for split in made.splits.values()):,} samples, {made.digest}")
    return made


def _ranked(draft: Path, learnt: dict[str, dict[str, int]], what: str, say: Say) -> Leaderboard:
    """The answers of every method, scored."""
    say("4  answers and scores                                         run-baseline")
    methods = (*METHODS, *learnt)
    for name in methods:
        options = learnt.get(name, {})
        run_method(name, draft / "manifest", "test", draft / "runs" / name, features=draft / MARKER, options=options)
    say(f"5  leaderboard, {what} leaderboard")
    return leaderboard([draft / "runs" / name for name in methods], draft / "leaderboard.csv")

"""simulate: the made-up corpus, and features of the simulated world for any manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from activity_bench.data import manifest as manifests
from activity_bench.data.disk import atomic_folder
from activity_bench.data.features import FeatureStore, write_store
from activity_bench.simulation.content import contents
from activity_bench.simulation.corpus import CorpusOptions, files
from activity_bench.simulation.world import World, WorldOptions
from activity_bench.workflow import options as option_table
from activity_bench.workflow.run import Progress, silent

CORPUS_MARKER = "activitynet_loose.json"  # a name that nobody else gives a file
CORPUS = ("activitynet.json", "activitynet_loose.json", "kinetics.csv", "thumos")


def simulate_corpus(
    out: Path | str, *, options: Mapping[str, Any] | None = None, force: bool = False
) -> Mapping[str, int]:
    """Write the embedded corpus, annotation files in the real formats, to a folder: name -> bytes.

    >>> simulate_corpus("corpus")["activitynet.json"]
    """
    made = files(option_table.make(CorpusOptions, options or {}, "simulate corpus"))
    with atomic_folder(Path(out), force=force, marker=CORPUS_MARKER, ours=CORPUS) as draft:
        for name, content in made.items():
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return {name: len(content) for name, content in made.items()}


def simulate_features(
    manifest: Path | str,
    out: Path | str,
    *,
    options: Mapping[str, Any] | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> FeatureStore:
    """Write a feature store for every video of a manifest, from the simulated world; the store, opened.

    >>> simulate_features("manifest", "features.h5", options={"dim": 64}).digest
    """
    asked = manifests.load(Path(manifest))
    chosen = option_table.make(WorldOptions, options or {}, "simulate features")
    samples = (sample for split in asked.splits for sample in asked.samples(split))
    tree = {label: tuple(path) for label, path in asked.tree.items()}
    world = World(chosen, tree, contents(samples).values())
    videos = progress(world.ids(), len(world.ids()), "simulate features")
    write_store(Path(out), world.attributes, ((video, world.read(video)) for video in videos), force=force)
    return FeatureStore(Path(out))

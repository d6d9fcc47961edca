"""simulate: the made-up corpus, and features of the simulated world for any manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activity_bench.data import manifest as manifests
from activity_bench.data import shipped
from activity_bench.data.disk import atomic, atomic_folder, draft_of, move_in
from activity_bench.data.embeddings import read_words
from activity_bench.data.features import FeatureStore, Provider, open_features, write_store
from activity_bench.data.features.hdf5 import write_faults
from activity_bench.data.features.images import add_images
from activity_bench.errors import InputError
from activity_bench.simulation.content import contents
from activity_bench.simulation.corpus import CorpusOptions, files
from activity_bench.simulation.parameters import WorldOptions
from activity_bench.simulation.properties import Moved, moved
from activity_bench.simulation.world import World
from activity_bench.workflow import options as option_table
from activity_bench.workflow.options import check_seed
from activity_bench.workflow.run import Progress, silent

JUDGED = 0.8  # of the variance of a class that it shares with one that was judged to name its activity in other words
SIMULATED = "simulated"  # in place of a file of features
CORPUS_MARKER = "activitynet_loose.json"  # a name that nobody else gives a file
CORPUS = ("activitynet.json", "activitynet_loose.json", "kinetics.csv", "thumos")


def simulate_corpus(
    out: Path | str, *, options: Mapping[str, Any] | None = None, force: bool = False
) -> Mapping[str, int]:
    """Write the embedded corpus, annotation files in the real formats, to a folder: name -> bytes.

    >>> simulate_corpus("corpus")["activitynet.json"]
    """
    chosen = option_table.make(CorpusOptions, options or {}, "simulate corpus")
    check_seed(chosen.seed)
    made = files(chosen)
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
    words: Path | str | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> FeatureStore:
    """Write a feature store for every video and every image query of a manifest; the store, opened.

    With `words`, a file of word vectors, classes whose names are near are near in the features, too.

    >>> simulate_features("manifest", "features.h5", options={"dim": 64}).digest
    """
    out = Path(out)
    world = simulated(manifest, options, words)
    videos = ((video, world.read(video)) for video in progress(world.ids(), len(world.ids()), "simulate features"))
    frames = world.frames()
    if not frames:
        return FeatureStore(write_store(out, world.attributes, videos, force=force))
    if out.exists() and not force:
        raise InputError("the file exists", file=out, hint="Use --force to replace it, or name another.")
    draft = draft_of(out)
    try:
        write_store(draft, world.attributes, videos)
        watched = progress(frames, len(frames), "simulate images")
        with write_faults(out):
            add_images(draft, (((video, time), world.image(video, time)) for video, time in watched))
        move_in(draft, out)
    finally:
        draft.unlink(missing_ok=True)  # gone already if all went well
    return FeatureStore(out)


def simulate_words(
    manifest: Path | str, out: Path | str, *, options: Mapping[str, Any] | None = None, force: bool = False
) -> int:
    """Write the vectors of a manifest's class names to an npz (`names`, `vectors`); how many there are.

    >>> simulate_words("manifest", "words.npz")
    """
    asked = manifests.load(Path(manifest))
    if Path(out).is_file() and not force:
        raise InputError("the file exists", file=Path(out), hint="Use --force to replace it, or name another.")
    world = simulated(manifest, options)
    names = _labels(asked)
    if not names:
        raise InputError("this manifest names no class", file=asked.folder)
    with atomic(Path(out)) as stream:
        np.savez(stream, names=np.array(names, np.str_), vectors=np.stack([world.word(name) for name in names]))
    return len(names)


def simulated(manifest: Path | str, options: Mapping[str, Any] | None = None, words: Path | str | None = None) -> World:
    """The world of a manifest, made when it is read: the numbers of `simulate_features`, and nothing on the disk.

    >>> simulated("manifest", {"dim": 64}).digest
    """
    asked = manifests.load(Path(manifest))
    names = read_words(words, _labels(asked)).vectors if words else None
    return world_of(asked, option_table.make(WorldOptions, options or {}, "simulate features"), names)


def _labels(asked: manifests.Manifest) -> list[str]:
    """Every class that a manifest names, sorted."""
    labels = {label for words in asked.vocabularies.values() for label in words}
    labels |= {label for split in asked.splits for sample in asked.samples(split) for label in sample.classes()}
    return sorted(labels)


def provider(features: Path | str, manifest: Path | str) -> Provider:
    """A store or another layout by its path; or `simulated`, made on the fly, with parameters after a colon.

    >>> provider("simulated:dim=64,noise=6.3", "manifest").dim
    """
    word, _, pairs = str(features).partition(":")
    if word != SIMULATED:
        return open_features(Path(features))
    return simulated(manifest, option_table.settings(pair for pair in pairs.split(",") if pair))


def world_of(
    asked: manifests.Manifest, chosen: WorldOptions, names: Mapping[str, NDArray[np.float32]] | None = None
) -> World:
    """The world in which the videos of a manifest show what its samples say."""
    samples = (sample for split in asked.splits for sample in asked.samples(split))
    tree = {label: tuple(path) for label, path in asked.tree.items()}
    return World(chosen, tree, contents(samples, chosen.seed), names=names, alike=_alike(asked))


def _alike(asked: manifests.Manifest) -> list[tuple[str, str, float]]:
    """Classes of two data sets that name one activity: in the same words, or in others, or one a kind of the other."""
    target = asked.provenance.get("options", {}).get("target")
    if asked.name != "what2when" or not target:
        return []
    return [(row["target_class"], row["source_class"], 1.0 if row["basis"] == "rule" else JUDGED)
            for row in shipped.overlap(str(target))]  # fmt: skip


def simulate_properties(options: Mapping[str, Any] | None = None) -> list[Moved]:
    """What each knob of the world sets, stated and measured, as it stands and at 0.

    >>> simulate_properties({"dim": 128})[0].found
    """
    return list(moved(option_table.make(WorldOptions, options or {}, "simulate properties")))

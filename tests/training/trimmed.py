"""The embedded what2when, small: manifests, features, words, and the method that learns from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from activity_bench.data.features import FeatureStore
from activity_bench.data.manifest import Manifest
from activity_bench.models.actionbytes import Method, Options
from activity_bench.simulation.corpus import files
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.simulate import simulate_features, simulate_words

SMALL = {"latent": 12, "clusters": 10, "rounds": 2, "proposals": True, "dropout": 0.3}
SHORT = {"steps": 12, "batch": 8, "validate_every": 4, "log_every": 1, "workers": 0, "device": "cpu"}


@dataclass(frozen=True)
class Stage:
    """The embedded corpus: manifests, features, words."""

    corpus: Path
    trimmed: Manifest
    weak: Manifest
    features: Path
    words: Path


def made_stage(folder: Path) -> Stage:
    """It is built once for a module that asks."""
    for name, data in files().items():
        path = folder / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    thumos, target = folder / "corpus" / "thumos", {"target": "thumos14"}
    source = {"source": folder / "corpus" / "kinetics.csv"}
    trimmed = build_dataset(
        "what2when", [thumos / "annotations_test"], folder / "trimmed", options=target, tables=source
    )
    weak = build_dataset("what2when", [thumos], folder / "weak", protocol="weak", options=target)
    simulate_words(trimmed.folder, folder / "words.npz")
    for manifest in (trimmed, weak):
        simulate_features(manifest.folder, folder / f"{manifest.folder.name}.h5", options={"dim": 16, "noise": 1})
    return Stage(folder / "corpus", trimmed, weak, folder / "trimmed.h5", folder / "words.npz")


def method(stage: Stage, **changes: Any) -> Method:
    options = {**SMALL, "words": str(stage.words), **changes}
    found = Method(Options(**options), 3, FeatureStore(stage.features), replace(Method.defaults, **SHORT))
    found.vocabularies = stage.trimmed.vocabularies
    return found

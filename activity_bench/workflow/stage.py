"""Where the cells of a reproduction are run: manifests, features and words, each made once, when a cell asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activity_bench.data import manifest as manifests
from activity_bench.data.features import open_features
from activity_bench.data.reports import Report, read_report
from activity_bench.errors import InputError
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.plans.cells import Cell, Plan, Size
from activity_bench.workflow.predict import predict
from activity_bench.workflow.run import Progress, choose, features_for, learnable, load_method, made, run_method
from activity_bench.workflow.score import score
from activity_bench.workflow.simulate import SIMULATED, simulate_corpus, simulate_features, simulate_words

if TYPE_CHECKING:
    from activity_bench.training.watch import Watch


@dataclass(frozen=True)
class Stage:
    """The folder of a reproduction, and what it is made from."""

    plan: Plan
    size: Size
    out: Path
    groups: Mapping[str, Sequence[Path]]  # annotations by target; none: the embedded corpus
    features: Mapping[str, Path]  # real ones, by target; none: simulated ones
    tables: Mapping[str, Path]
    noise: float
    words: str | None
    say: Callable[[str], None]
    progress: Progress
    watch: Watch | None

    def annotated(self) -> set[str]:
        """The manifests that can be built."""
        there = self.groups or self.plan.corpus
        return {name for name, asked in self.plan.manifests.items() if asked.group in there}

    def has(self, cell: Cell) -> bool:
        """Whether the annotations that a cell asks for are there, and the features, where real ones are read."""
        reads = self.features and load_method(cell.method).needs_features
        group = self.plan.manifests[cell.manifest].group
        return cell.manifest in self.annotated() and (not reads or group in self.features)

    def digests(self) -> dict[str, str]:
        """The digest of the real features of each target; simulated ones are refused, so that no table mixes them."""
        found = {}
        for group, path in self.features.items():
            opened = open_features(path)
            if opened.attributes.backbone == SIMULATED:
                raise InputError("these features are simulated", file=path, field="backbone", found=SIMULATED,
                                 expected="features of the videos",
                                 hint="Without --features all cells run on simulated ones.")  # fmt: skip
            found[group] = opened.digest
        return found

    def named(self, cell: Cell, digests: Mapping[str, str]) -> str:
        """The features that a cell reads, as a table names them."""
        if not load_method(cell.method).needs_features:
            return ""
        if self.features:
            return digests[self.plan.manifests[cell.manifest].group]
        return "simulated: " + ", ".join(f"{name}={value:g}" for name, value in self._world(cell.world).items())

    def check(self, cell: Cell, options: Mapping[str, Any], seed: int) -> None:
        """That real features have what a cell reads; it builds the manifest and runs nothing."""
        method_class, asked = load_method(cell.method), self.manifest(cell.manifest)
        if not method_class.needs_features or cell.trained:
            return
        if self.plan.words:
            options = {"words": self.words, **options}
        chosen, training = choose(method_class, options, cell.method)
        features = features_for(cell.method, method_class, self._features(cell.manifest, ""), asked.folder)
        assert features is not None
        samples = asked.samples("test")
        if training is not None:
            method = made(method_class, chosen, seed, features, training, asked)
            method.check(learnable(asked, "train"), learnable(asked, "val"))
            method.check_questions(samples)
            return
        there = set(features.ids())
        needed = {video for one in samples for video in (one.video.id, one.query.video) if video is not None}
        if missing := sorted(needed - there):
            raise InputError(f"the features lack {len(missing):,} of the {len(needed):,} videos that are asked",
                             file=self.features[self.plan.manifests[cell.manifest].group],
                             found=", ".join(missing[:3]))  # fmt: skip

    def run(self, cell: Cell, folder: Path, seed: int, options: Mapping[str, Any]) -> None:
        """Fit, ask and score a cell. A training that was cut off goes on; that of another cell is not done again."""
        asked = self.manifest(cell.manifest)
        features = self._features(cell.manifest, cell.world)
        if self.plan.words and not cell.trained:
            options = {"words": self.words or str(self._words(cell.manifest)), **options}
        if not hasattr(load_method(cell.method), "defaults"):
            run_method(cell.method, asked.folder, "test", folder, features=features, seed=seed, options=options,
                       progress=self.progress)  # fmt: skip
            return
        from activity_bench.workflow.train import train  # torch

        trained = self.out / "cells" / (cell.trained or cell.name) / folder.name
        if not cell.trained and not done(folder / "run.json"):
            train(cell.method, asked.folder, folder, features=features, seed=seed, options=options,
                  resume=(folder / "run.json").exists(), watch=self.watch)  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        answers = folder / "predictions.jsonl"
        predict(trained, asked.folder, "test", answers, features=features, force=True, progress=self.progress,
                options=options if cell.trained else {})  # fmt: skip
        score(answers, asked.folder, "test", json=folder / "report.json")

    def reports(self, cell: Cell, folders: Sequence[Path]) -> dict[str, list[Report]]:
        """What each protocol of the plan says of each run; scored where that was not done before."""
        if not self.plan.judged:
            found = [read_report(folder / "report.json") for folder in folders]
            return {found[0].protocol: found}
        judged: dict[str, list[Report]] = {}
        for protocol, tiou in self.plan.judged:
            for folder in folders:
                path = folder / f"{protocol}.json"
                if not path.exists():
                    score(folder / "predictions.jsonl", self.manifest(cell.manifest).folder, "test", protocol=protocol,
                          tiou=tiou, intervals=True, json=path)  # fmt: skip
                judged.setdefault(protocol, []).append(read_report(path))
        return judged

    def manifest(self, name: str) -> manifests.Manifest:
        """A manifest of the plan."""
        folder, asked = self.out / f"manifest-{name}", self.plan.manifests[name]
        if folder.is_dir():
            return manifests.load(folder)
        self.say(f"{folder.name}: {', '.join(path.name for path in self.groups.get(asked.group, ())) or 'embedded'}")
        tables = {table: path for table, path in self._tables().items() if table in asked.tables}
        return build_dataset(
            self.plan.benchmark, self._annotations(asked.group), folder, options=asked.options, tables=tables,
            protocol=asked.protocol if self.groups else asked.embedded or asked.protocol,
            share={} if asked.whole else self.size.share,
        )  # fmt: skip

    def _annotations(self, group: str) -> Sequence[Path]:
        return self.groups[group] if self.groups else [self._corpus() / self.plan.corpus[group]]

    def _tables(self) -> Mapping[str, Path]:
        if self.groups or not self.plan.source:
            return self.tables
        return {"source": self._corpus() / self.plan.source}

    def _corpus(self) -> Path:
        folder = self.out / "corpus"
        if not folder.is_dir():
            simulate_corpus(folder)
        return folder

    def _features(self, manifest: str, world: str) -> Path:
        """The features of a manifest in a world; of another manifest's, where they hold these videos, too."""
        if self.features:
            return self.features[self.plan.manifests[manifest].group]
        manifest = self.plan.manifests[manifest].like or manifest
        path = self.out / f"features-{manifest}{f'-{world}' if world else ''}.h5"
        if not path.is_file():
            options = self._world(world)
            self.say(f"{path.name}: simulated, {options}")
            simulate_features(self.manifest(manifest).folder, path, options=options, words=self.words,
                              progress=self.progress)  # fmt: skip
        return path

    def _world(self, world: str) -> dict[str, Any]:
        return {"noise": self.noise, **self.size.world, **self.plan.worlds[world]}

    def _words(self, manifest: str) -> Path:
        path = self.out / f"words-{manifest}.npz"
        if not path.is_file():
            simulate_words(self.manifest(manifest).folder, path, options=self.size.world)
        return path


def done(path: Path) -> bool:
    """Whether a training came to its end."""
    from activity_bench.workflow.train import read_run  # torch

    return path.exists() and read_run(path.parent).status == "done"

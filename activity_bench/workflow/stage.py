"""Where the cells of a reproduction are run: manifests, features and words, each made once, when a cell asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activity_bench.data import manifest as manifests
from activity_bench.data.reports import Report, read_report
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.plans.cells import Cell, Plan, Size
from activity_bench.workflow.predict import predict
from activity_bench.workflow.run import Progress, load_method, run_method
from activity_bench.workflow.score import score
from activity_bench.workflow.simulate import simulate_corpus, simulate_features, simulate_words
from activity_bench.workflow.train import read_run, train

if TYPE_CHECKING:
    from activity_bench.training.watch import Watch


@dataclass(frozen=True)
class Stage:
    """The folder of a reproduction, and what it is made from."""

    plan: Plan
    size: Size
    out: Path
    groups: Mapping[str, Sequence[Path]]  # annotations by target; none: the embedded corpus
    tables: Mapping[str, Path]
    noise: float
    words: str | None
    say: Callable[[str], None]
    progress: Progress
    watch: Watch | None

    def has(self, cell: Cell) -> bool:
        """Whether the annotations that a cell asks for are there."""
        return self.plan.manifests[cell.manifest].group in (self.groups or self.plan.corpus)

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
        manifest = self.plan.manifests[manifest].like or manifest
        path = self.out / f"features-{manifest}{f'-{world}' if world else ''}.h5"
        if not path.is_file():
            options = {"noise": self.noise, **self.size.world, **self.plan.worlds[world]}
            self.say(f"{path.name}: simulated, {options}")
            simulate_features(self.manifest(manifest).folder, path, options=options, words=self.words,
                              progress=self.progress)  # fmt: skip
        return path

    def _words(self, manifest: str) -> Path:
        path = self.out / f"words-{manifest}.npz"
        if not path.is_file():
            simulate_words(self.manifest(manifest).folder, path, options=self.size.world)
        return path


def done(path: Path) -> bool:
    """Whether a training came to its end."""
    return path.exists() and read_run(path.parent).status == "done"

"""Name -> object, imported only when asked for. Adding a thing to the house is one line in one of these tables."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

from activity_bench.errors import InputError, printable, unknown

BUILDERS = {
    "activity-ibal": "activity_bench.builders.activity_ibal:ActivityIBAL",
    "detection": "activity_bench.builders.detection:Detection",
    "relocalization": "activity_bench.builders.relocalization:Relocalization",
    "what2when": "activity_bench.builders.detection.what2when:What2When",
}

METHODS = {
    "actionbytes": "activity_bench.models.actionbytes:Method",
    "cgbm": "activity_bench.models.cgbm:Method",
    "flp": "activity_bench.models.flp:Method",
    "frame-level": "activity_bench.baselines.frame_level:FrameLevel",
    "full-window": "activity_bench.baselines.full_window:FullWindow",
    "msa": "activity_bench.models.msa:Method",
    "oracle": "activity_bench.baselines.oracle:Oracle",
    "random": "activity_bench.baselines.random:Random",
    "sail": "activity_bench.models.sail:Method",
    "sst": "activity_bench.models.sst:Method",
    "sst-plus": "activity_bench.models.sst_plus:Method",
    "statistical-prior": "activity_bench.baselines.statistical_prior:StatisticalPrior",
    "tal-plus": "activity_bench.models.tal_plus:Method",
    "video-level": "activity_bench.models.video_level:Method",
}

METRICS = {
    "mAP": "activity_bench.scoring.protocols:MAP",
    "mAP of samples": "activity_bench.scoring.moments:SAMPLE_MAP",
    "mIoU": "activity_bench.scoring.moments:MIOU",
    "IoU@R": "activity_bench.scoring.moments:IOU_AT",
    "R1": "activity_bench.scoring.moments:R1_AT",
    "top1-mAP": "activity_bench.scoring.moments:TOP1_MAP",
}

PROTOCOLS = {
    "actionformer": "activity_bench.scoring.protocols:ACTIONFORMER",
    "activitynet": "activity_bench.scoring.protocols:ACTIVITYNET",
    "autoloc": "activity_bench.scoring.protocols:AUTOLOC",
    "ibal": "activity_bench.scoring.moments:IBAL",
    "moments": "activity_bench.scoring.moments:MOMENTS",
    "opentad": "activity_bench.scoring.protocols:OPENTAD",
    "qvhighlights": "activity_bench.scoring.moments:QVHIGHLIGHTS",
    "released": "activity_bench.scoring.moments:RELEASED",
    "thumos-evalkit": "activity_bench.scoring.protocols:THUMOS_EVALKIT",
    "wtalc": "activity_bench.scoring.protocols:WTALC",
}

EXPORTS = {
    "actionformer": "activity_bench.data.exports.actionformer:ACTIONFORMER",
    "activitynet": "activity_bench.data.exports.activitynet:ACTIVITYNET",
    "croissant": "activity_bench.data.exports.croissant:CROISSANT",
    "hf": "activity_bench.data.exports.hf:HF",
    "opentad": "activity_bench.data.exports.opentad:OPENTAD",
    "qvhighlights": "activity_bench.data.exports.qvhighlights:QVHIGHLIGHTS",
    "video_reloc": "activity_bench.data.exports.video_reloc:VIDEO_RELOC",
}

LAYOUTS = {
    "lighthouse-features": "activity_bench.data.features.layouts:LIGHTHOUSE",
    "opentad-features": "activity_bench.data.features.layouts:OPENTAD",
}

BACKBONES = {
    "c3d-fc6": "activity_bench.features.backbones.c3d:FC6",
    "c3d-fc7": "activity_bench.features.backbones.c3d:FC7",
    "i3d-flow": "activity_bench.features.backbones.i3d:FLOW",
    "i3d-rgb": "activity_bench.features.backbones.i3d:RGB",
    "vgg16-regions": "activity_bench.features.backbones.faster_rcnn:REGIONS",
}

COMMANDS = {
    "demo": "activity_bench.cli.demo:demo",
    "build-dataset": "activity_bench.cli.build_dataset:build_dataset",
    "run-baseline": "activity_bench.cli.run_baseline:run_baseline",
    "train": "activity_bench.cli.train:train",
    "predict": "activity_bench.cli.predict:predict",
    "score": "activity_bench.cli.score:score",
    "compare": "activity_bench.cli.compare:compare",
    "validate": "activity_bench.cli.validate:validate",
    "inspect": "activity_bench.cli.inspect:inspect",
    "leaderboard": "activity_bench.cli.leaderboard:leaderboard",
    "report": "activity_bench.cli.report:report",
    "export": "activity_bench.cli.export:export",
    "import": "activity_bench.cli.import_:import_",
    "extract-features": "activity_bench.cli.extract_features:extract_features",
    "pack": "activity_bench.cli.pack:pack",
    "verify": "activity_bench.cli.verify:verify",
    "extract-regions": "activity_bench.cli.extract_regions:extract_regions",
    "project": "activity_bench.cli.project:project",
    "localize": "activity_bench.cli.localize:localize",
    "simulate": "activity_bench.cli.simulate:simulate",
    "reproduce": "activity_bench.cli.reproduce:reproduce",
    "list": "activity_bench.cli.names:names",
    "where": "activity_bench.cli.where:where",
    "doctor": "activity_bench.cli.doctor:doctor",
}


GROUP = "activity_bench.methods"  # of entry points: methods that live in other packages


def load(kind: str, table: Mapping[str, str], name: str) -> Any:
    """The object that `table` has under `name`; of METHODS, also a plug-in's; a near miss where there is none."""
    if name in table:
        module, _, attribute = table[name].partition(":")
        return getattr(import_module(module), attribute)
    others = plugins() if table is METHODS else []
    for plugin in others:
        if plugin.name == name:
            return plugin.load()
    raise unknown(kind, name, [*table, *(plugin.name for plugin in others)])


class Plugin(NamedTuple):
    """A method of another package, by its entry point. It is imported when it is loaded."""

    name: str
    package: str  # and its version: what a run notes
    entry: Any  # of importlib.metadata
    refused: str = ""  # why it cannot be had under this name

    def load(self) -> Any:
        """Its class, looked at; what is wrong with it is said with its package, and costs it alone."""
        if self.refused:
            raise self._error(self.refused)
        try:
            found = self.entry.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a stranger's module raises
            raise self._error(f"it cannot be imported: {type(error).__name__}: {printable(str(error))}") from None
        if fault := _fault(found):
            raise self._error(fault)
        return found

    def _error(self, problem: str) -> InputError:
        return InputError(problem, field=f"method {self.name} of {self.package}",
                          hint="Mend that package or uninstall it: nothing else needs it.")  # fmt: skip


def plugins() -> list[Plugin]:
    """The methods of other packages, by name, as the installed packages declare them now.

    A name that is taken, by a method of ours or by two packages, is nobody's: no plug-in is taken for another method.
    """
    from importlib.metadata import distributions  # most commands need none, and every start would pay for it

    found: list[tuple[str, str, Any]] = []
    met: set[str] = set()
    for package in distributions():
        declared: list[tuple[str, Any]]
        try:
            declared = [(entry.name, entry) for entry in package.entry_points.select(group=GROUP)]
        except Exception as error:  # noqa: BLE001 - a file that somebody wrote by hand
            declared = [("?", f"its entry points cannot be read: {printable(str(error))}")]
        if declared and package.name not in met:  # of two that are on the path, the first is imported
            met.add(package.name)
            found += [(name, f"{package.name} {package.version}", entry) for name, entry in declared]
    owners: dict[str, set[str]] = {}
    for name, whose, _ in found:
        owners.setdefault(name, set()).add(whose)
    return [Plugin(name, whose, entry, entry if isinstance(entry, str) else _refused(name, owners[name] - {whose}))
            for name, whose, entry in sorted(found, key=lambda one: one[:2])]  # fmt: skip


def package_of(method: str) -> str | None:
    """The package that a method comes from, and its version; None for our own."""
    return None if method in METHODS else next((p.package for p in plugins() if p.name == method), None)


def _refused(name: str, others: set[str]) -> str:
    if name in METHODS:
        return "a method of activity-bench has this name"
    return f"{' and '.join(sorted(others))} has a method of this name, too" if others else ""


def _fault(found: Any) -> str:
    """What keeps an object from being a method."""
    from dataclasses import is_dataclass

    from activity_bench.types import Method

    if not (isinstance(found, type) and issubclass(found, Method)):
        return "it is no subclass of activity_bench.types.Method"
    if missing := sorted(getattr(found, "__abstractmethods__", ())):
        return f"it lacks {' and '.join(missing)}()"
    if not is_dataclass(found.options_class):
        return "its options_class is no dataclass"
    return "a method may not see the answers (sees_answers)" if found.sees_answers else ""

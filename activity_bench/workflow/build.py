"""build-dataset: annotation files -> a manifest, frozen on disk with its datasheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from activity_bench import __version__, catalog
from activity_bench.data import annotations as reader
from activity_bench.data import manifest
from activity_bench.data.canonical import no_gc
from activity_bench.errors import InputError, unknown
from activity_bench.types import Sample
from activity_bench.workflow import coverage as coverages
from activity_bench.workflow import options as option_table
from activity_bench.workflow import tables as table_reader
from activity_bench.workflow.coverage import Coverage
from activity_bench.workflow.describe import Summary, datasheet


def build_dataset(
    name: str,
    annotations: Sequence[Path | str] | Path | str,
    out: Path | str,
    *,
    protocol: str | None = None,
    format_: str | None = None,
    options: Mapping[str, Any] | None = None,
    tables: Mapping[str, Path] | None = None,
    available: Path | None = None,
    share: Mapping[str, float] | None = None,
    limit: int | None = None,
    force: bool = False,
) -> manifest.Manifest:
    """Build the benchmark `name` and freeze it in the folder `out`.

    `format_` names the annotations' format where the file does not show it; `tables` are the builder's own files.
    With `available` (a folder of videos, a feature store or a list of ids) the manifest has the samples that those
    videos can ask, and is marked partial where any is missing. `share` (split -> 0 to 1) leaves out videos by hash,
    and `limit` all samples of a split but the first.

    >>> build_dataset("relocalization", [Path("activity_net.v1-3.min.json")], Path("out"), options={"seed": 1})
    """
    builder = catalog.load("benchmark", catalog.BUILDERS, name)
    annotations = [annotations] if isinstance(annotations, Path | str) else annotations
    if not annotations:
        raise InputError("no annotation file", field="--annotations", expected="at least one")
    protocol = builder.aliases.get(protocol, protocol) or builder.protocols[0]
    if protocol not in builder.protocols:
        raise unknown(f"protocol of {name}", protocol, builder.protocols)
    chosen = option_table.make(builder.options_class, options or {}, name)
    for table in tables or {}:
        if table not in builder.tables:
            raise unknown(f"table of {name}", table, builder.tables)
    coverage = None if available is None else Coverage(coverages.available(Path(available)))
    if share:
        coverage = coverages.Share(share)
    if limit is not None:
        coverage = coverages.First(limit, coverage)
    with no_gc():
        return _build(name, builder, annotations, Path(out), protocol, format_, chosen, tables or {}, coverage, force)


def rehearse(name: str, annotations: Sequence[Path | str] | Path | str, **more: Any) -> tuple[manifest.Manifest, int]:
    """What `build_dataset` would make, and the bytes of it: built where temporary files lie, and gone."""
    with TemporaryDirectory() as folder:
        made = build_dataset(name, annotations, Path(folder) / "manifest", **more)
        return made, sum(path.stat().st_size for path in made.folder.iterdir())


def _build(
    name: str, builder: Any, annotations: Sequence[Path | str], out: Path, protocol: str, format_: str | None,
    chosen: Any, tables: Mapping[str, Path], coverage: Coverage | None, force: bool,
) -> manifest.Manifest:  # fmt: skip
    shipped = builder.shipped(chosen) if hasattr(builder, "shipped") else {}
    read, table_sources = table_reader.read(tables, shipped)
    corpora = reader.read([Path(path) for path in annotations], format_)
    built = builder.build(corpora, chosen, protocol, read)
    if coverage is not None:
        built = replace(built, samples=coverage.only(built.samples))
    summaries = {split: Summary() for split in built.splits}

    def watch(split: str, samples: Sequence[Sample]) -> None:
        summaries[split].add(samples)

    provenance = {
        "builder": name,
        "protocol": protocol,
        "options": asdict(chosen),
        "package": f"activity-bench {__version__}",
    }
    return manifest.write(
        out,
        built,
        provenance,
        (*(source for corpus in corpora for source in corpus.sources), *table_sources),
        lambda page: datasheet(page, summaries, builder.paper),
        force=force,
        watch=watch,
        coverage=coverage,
    )

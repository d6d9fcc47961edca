"""export and import: a manifest in other people's formats, and their files as a manifest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from activity_bench import __version__, catalog
from activity_bench.builders import relocalization
from activity_bench.data import exports
from activity_bench.data import manifest as manifests
from activity_bench.data.annotations.values import check_id, check_label
from activity_bench.data.disk import atomic, atomic_folder
from activity_bench.data.exports import Export, Format, Imported, nodes, video_reloc
from activity_bench.data.samples import check
from activity_bench.errors import InputError, unknown
from activity_bench.types import Ledger, Sample, Source
from activity_bench.workflow import tables as table_reader
from activity_bench.workflow.describe import Summary, datasheet
from activity_bench.workflow.inspect import holds_features

__all__ = ["export_manifest", "import_manifest"]

MAX_ID = 1000  # characters of a sample's id


# ---- export ---------------------------------------------------------------------------------------------------------


def export_manifest(
    manifest: Path | str,
    to: str,
    out: Path | str,
    *,
    split: str | None = None,
    tables: Mapping[str, Path] | None = None,
    force: bool = False,
) -> list[str]:
    """Write a manifest, or one split of it, in the format `to`; the names of what was written. What a format loses
    stands in its entry of the catalog.

    >>> export_manifest("manifest", "qvhighlights", "test.jsonl", split="test")
    """
    if to not in catalog.EXPORTS:
        raise unknown("format", to, [*catalog.EXPORTS, *catalog.LAYOUTS])
    format_ = _format(to)
    if holds_features(Path(manifest)):
        raise InputError(f"{to} holds manifests, and these are features", file=manifest,
                         expected="--to " + " or ".join(catalog.LAYOUTS))  # fmt: skip
    asked = manifests.load(Path(manifest))
    if split is not None:
        asked.path(split)
    if asked.task not in format_.tasks:
        raise InputError(f"{to} does not hold {asked.task} manifests", file=asked.folder, field="task",
                         found=asked.task, expected=" or ".join(sorted(format_.tasks)))  # fmt: skip
    read, _ = _tables(to, format_.tables, tables or {})
    export = Export(asked, (split,) if split is not None else tuple(asked.splits), read)
    out = Path(out)
    if format_.shape == "file" or (format_.shape == "file a split" and split is not None):
        _may_write(out, force)
        (content,) = (content for _, content in format_.write(export))
        with atomic(out) as stream:
            stream.write(content)
        return [out.name]
    if format_.shape == "file a split" and out.suffix:
        raise InputError("this format has a file a split, so that all of them want a folder", file=out,
                         hint="Name a folder, or one split: --split NAME.")  # fmt: skip
    names = [exports.MARKER]
    with atomic_folder(out, force=force, marker=exports.MARKER) as draft:
        (draft / exports.MARKER).write_bytes(exports.page(export, to))
        for name, content in format_.write(export):
            path = draft / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            names.append(name)
    return names


def _format(name: str) -> Format:
    format_: Format = catalog.load("format", catalog.EXPORTS, name)
    return format_


def _may_write(path: Path, force: bool) -> None:
    if path.is_dir():
        raise InputError("this is a folder, and a file is to be written here", file=path)
    if path.is_file() and not force:
        raise InputError("the file exists", file=path, hint="Use --force to replace it, or name another.")


def _tables(
    name: str, wanted: Mapping[str, str], given: Mapping[str, Path]
) -> tuple[dict[str, Any], tuple[Source, ...]]:
    """The tables that were given, read, and their files; one that the format does not take is refused, not ignored."""
    found: dict[str, Any] = {}
    sources: list[Source] = []
    for table, path in given.items():
        if table not in wanted:
            raise InputError(f"{name} takes no such table", field=f"--{table.replace('_', '-')}", found=str(path),
                             expected=", ".join(wanted) or "none")  # fmt: skip
        if table in {"taxonomy", "classes"}:
            found[table] = nodes.read(Path(path))  # has its source with it
        else:
            read, files = table_reader.read({table: Path(path)})
            found |= read
            sources += files
    return found, tuple(sources)


# ---- import ---------------------------------------------------------------------------------------------------------


def import_manifest(
    path: Path | str,
    from_: str,
    out: Path | str,
    *,
    tables: Mapping[str, Path] | None = None,
    seed: int = 0,
    force: bool = False,
) -> manifests.Manifest:
    """Read a file or folder in the format `from_` and freeze it as a manifest in `out`.

    `seed` matters where a format has no queries (video_reloc): they are drawn by the builder's rule.

    >>> import_manifest("test.jsonl", "qvhighlights", "manifest").splits["test"].samples
    """
    format_ = _format(from_)
    if format_.read is None:
        readers = sorted(name for name in catalog.EXPORTS if _format(name).read)
        raise InputError(f"{from_} holds answers and no questions", file=path, expected=", ".join(readers),
                         hint=f"Build it: {format_.instead}")  # fmt: skip
    path = Path(path)
    read, sources = _tables(from_, format_.read_tables, tables or {})
    found = format_.read(path, read)
    options: dict[str, Any] = {"format": from_}
    if isinstance(found, video_reloc.Lists):
        options["seed"] = seed
        found = _asked(found, seed)
    return _freeze(replace(found, sources=(*found.sources, *sources)), path, Path(out), options, force)


def _asked(lists: video_reloc.Lists, seed: int) -> Imported:
    """The released lists with queries, which they lack: drawn by the builder of the benchmark."""
    ledger = Ledger("sample")
    ledger.seen = len(lists.rows)
    guessed = sum(row.guessed for row in lists.rows)
    ledger.mended.update({"rows of 16 frames at 30 per second: no duration known": guessed} if guessed else {})
    places = [relocalization.Place(row.video, row.label, row.target, row.window, row.step) for row in lists.rows]
    split_of = {row.label: row.split for row in lists.rows}
    built = relocalization.imported(places, split_of, relocalization.Options(seed=seed), ledger)
    return Imported(replace(built, name=lists.name, tree=lists.tree), lists.sources, lists.partial)


@dataclass(frozen=True)
class _Partial:
    """What is known of the coverage of a manifest that came back: that it was partial."""

    partial: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Nothing: the counts stayed with the manifest that was exported."""
        return {}


def _freeze(found: Imported, path: Path, out: Path, options: Mapping[str, Any], force: bool) -> manifests.Manifest:
    summaries = {split: Summary() for split in found.built.splits}

    def watch(split: str, samples: Sequence[Sample]) -> None:
        summaries[split].add(samples)

    provenance = {
        "builder": "import",
        "protocol": "imported",
        "options": dict(options),
        "package": f"activity-bench {__version__}",
    }
    return manifests.write(
        out,
        replace(found.built, samples=_sound(found.built.samples, path)),
        provenance,
        found.sources,
        lambda page: datasheet(page, summaries, {"title": f"imported from {options['format']}: no figures"}),
        force=force,
        watch=watch,
        coverage=_Partial() if found.partial else None,
    )


def _sound(samples: Iterable[tuple[str, Sample]], path: Path) -> Iterator[tuple[str, Sample]]:
    """The samples, each checked as those of a manifest and of annotations are, and each id once."""
    ids: set[str] = set()
    for split, sample in samples:
        check(sample, path)
        if not 0 < len(sample.id) <= MAX_ID or not sample.id.isprintable():
            raise InputError("not a sample's id", file=path, field="id", found=sample.id,
                             expected=f"1 to {MAX_ID} printable characters")  # fmt: skip
        if sample.id in ids:
            raise InputError("two samples share an id", file=path, field="id", found=sample.id)
        ids.add(sample.id)
        for field, video in (("video.id", sample.video.id), ("query.video", sample.query.video)):
            if video is not None:
                check_id(video, path, field)
        for label in sample.classes():
            check_label(label, path, "label")
        query, step = sample.query, sample.grid.step if sample.grid else None
        for number in (sample.video.end, query.time, query.start, query.end, step):
            if number is not None and not isfinite(number):
                raise InputError(f"sample {sample.id}: not a finite number", file=path, found=number)
        yield split, sample

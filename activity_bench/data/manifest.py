"""A manifest on disk: a folder with manifest.json, one JSON-lines file a split, and DATASHEET.md.

`write` freezes what a builder made; `load` opens it. Every split file is hashed as it is read, and `manifest.json`
carries a seal of its own text, so that a changed byte is an error that names the file. docs/formats.md has the format.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import msgspec

from activity_bench.data import canonical, lines
from activity_bench.data.disk import atomic_folder, read_bytes
from activity_bench.data.disk import sha256 as file_sha256
from activity_bench.data.samples import as_lines, check, check_ids
from activity_bench.errors import InputError, unknown
from activity_bench.types import Built, Sample, Source, Task, classes_of

FORMAT = 1
MARKER = "manifest.json"
OURS = ("manifest.json", "*.jsonl", "DATASHEET.md", "croissant.json")
MAX_DEPTH = 100  # of the class tree
MAX_MANIFEST_BYTES = 1 << 28  # of manifest.json: names, counts and a class tree
BATCH = 4096  # samples that are encoded, hashed and counted at a time


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What manifest.json says of one split."""

    file: str
    samples: int
    videos: int
    classes: int
    sha256: str


class _Source(msgspec.Struct):
    file: str
    sha256: str


class _Provenance(msgspec.Struct):
    """What is read of the provenance; it may hold more."""

    options: dict[str, Any] = {}
    sources: list[_Source] = []
    drops: dict[str, Any] = {}


class _Page(msgspec.Struct):
    format: int
    name: str
    version: str
    task: Task
    splits: dict[str, Split]
    provenance: dict[str, Any]
    digest: str
    vocabularies: dict[str, list[str]] = {}
    tree: dict[str, list[str]] = {}
    partial: bool = False
    seal: str | None = None


class Covered(Protocol):
    """An account of what could not be asked."""

    @property
    def partial(self) -> bool: ...
    def as_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Manifest:
    """An opened manifest. Samples are read, and verified, when they are asked for."""

    folder: Path
    name: str
    version: str
    task: Task
    splits: Mapping[str, Split]
    provenance: Mapping[str, Any]
    digest: str
    vocabularies: Mapping[str, list[str]]
    tree: Mapping[str, list[str]]
    partial: bool
    limit: int | None = None  # lines of a split that are read

    def first(self, count: int | None, split: str) -> Manifest:
        """Only the first `count` lines of each split: partial, where that leaves anything out of `split`."""
        self.path(split)
        if count is None or count >= self.splits[split].samples:
            return self
        if count < 1:
            raise InputError("not a number of samples", field="--limit", found=count, expected="1 or more")
        return replace(self, limit=count, partial=True)

    def path(self, split: str) -> Path:
        """The file of a split; a near miss where there is none."""
        if split not in self.splits:
            raise unknown("split", split, self.splits, file=self.folder / MARKER)
        return self.folder / self.splits[split].file

    def samples(self, split: str) -> list[Sample]:
        """Every sample of a split, verified."""
        samples = [sample for block in self.blocks(split, _SAMPLE) for sample in block.items]
        path = self.path(split)
        for sample in samples:
            check(sample, path)
        check_ids([sample.id for sample in samples], path)
        return samples

    def blocks(self, split: str, decoder: msgspec.json.Decoder[Any]) -> Iterator[lines.Block[Any]]:
        """The split's lines, decoded as the caller likes; hash and count are checked when the last one is read."""
        path, info = self.path(split), self.splits[split]
        if not path.is_file():
            raise InputError("this manifest lacks a file it names", file=path, hint="Build it again.")
        hasher, count, left = sha256(), 0, info.samples if self.limit is None else self.limit
        try:
            for block in lines.read(path, decoder, (hasher,)):
                count += len(block.items)
                if len(block.items) > left and self.limit is not None:
                    block = replace(block, items=block.items[:left])
                left -= len(block.items)
                if block.items:
                    yield block
        except InputError:
            self.verify(split)  # a changed file explains a line that fails
            raise
        self._verify(path, hasher.hexdigest(), info)
        if count != info.samples:
            raise InputError("wrong count of samples", file=path, found=count, expected=str(info.samples))

    def verify(self, split: str) -> None:
        """The split's file has the bytes that were frozen."""
        self._verify(self.path(split), file_sha256(self.path(split))[0], self.splits[split])

    def _verify(self, path: Path, found: str, info: Split) -> None:
        if found != info.sha256:
            raise InputError(
                "this file was changed since the manifest was built: its sha256 differs",
                file=path,
                found=found,
                expected=info.sha256,
                hint="Build the manifest again, or get the file again.",
            )


_SAMPLE = msgspec.json.Decoder(Sample)


def load(folder: Path | str) -> Manifest:
    """Open a manifest folder."""
    folder = Path(folder)
    if folder.suffix in (".h5", ".hdf5") and folder.is_file():
        raise InputError("these are features, and a manifest is wanted", file=folder)
    path = folder / MARKER
    if folder.is_file() and folder.name == MARKER:
        folder, path = folder.parent, folder
    data = read_bytes(path, MAX_MANIFEST_BYTES)
    if not data.strip():
        raise InputError("an empty manifest", file=path, expected="JSON with format, name, task, splits")
    early = canonical.read_page(data, path, dict[str, Any])
    if early.get("format") != FORMAT:
        raise InputError(
            "a manifest of another format",
            file=path,
            field="format",
            found=early.get("format"),
            expected=str(FORMAT),
            hint="Build it again with this version, or install the activity-bench that wrote it.",
        )
    canonical.check_keys(early, _Page.__struct_fields__, path, "key")
    page: _Page = canonical.read_page(data, path, _Page)
    try:
        msgspec.convert(page.provenance, _Provenance)
    except msgspec.ValidationError as error:
        raise canonical.complaint(error, path, path="provenance") from None
    if (page.seal is not None and data != canonical.page(early)) or page.seal not in (None, _seal(early)):
        raise InputError("this file was changed since the manifest was built: its seal differs", file=path)
    for name, split in page.splits.items():
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}\.jsonl", split.file):
            raise InputError("not a plain file name", file=path, field=f"splits.{name}.file", found=split.file)
    for label, ancestors in page.tree.items():
        if len(ancestors) > MAX_DEPTH:
            raise InputError("a class tree too deep", file=path, field=f"tree.{label:.80}", found=len(ancestors),
                             expected=f"at most {MAX_DEPTH} ancestors")  # fmt: skip
    expected = canonical.digest_of({name: split.sha256 for name, split in page.splits.items()})
    if page.digest != expected:
        raise InputError("the digest is not that of the splits", file=path, found=page.digest, expected=expected)
    if not any(split.samples for split in page.splits.values()):
        raise InputError("a manifest without samples", file=path, field="splits", expected="at least one sample")
    order = {name: place for place, name in enumerate(("train", "val", "test"))}
    page.splits = dict(sorted(page.splits.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))
    return Manifest(
        folder, page.name, page.version, page.task, page.splits, page.provenance, page.digest,
        page.vocabularies, page.tree, page.partial,
    )  # fmt: skip


def _seal(page: Mapping[str, Any]) -> str:
    return sha256(canonical.page({key: value for key, value in page.items() if key != "seal"})).hexdigest()


class _Tally:
    """One split while it is written: its file, hash and counts."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self.path, self.stream, self.hasher = path, stream, sha256()
        self.samples = 0
        self.videos: set[str] = set()
        self.classes: set[str] = set()

    def add(self, samples: Sequence[Sample]) -> None:
        text = as_lines(samples)
        self.stream.write(text)
        self.hasher.update(text)
        self.samples += len(samples)
        self.videos.update([sample.video.id for sample in samples])
        self.classes |= classes_of(samples)

    def info(self) -> Split:
        return Split(self.path.name, self.samples, len(self.videos), len(self.classes), self.hasher.hexdigest())


def write(
    folder: Path,
    built: Built,
    provenance: Mapping[str, Any],
    sources: tuple[Source, ...],
    datasheet: Callable[[Mapping[str, Any]], str],
    *,
    force: bool = False,
    watch: Callable[[str, Sequence[Sample]], None] = lambda split, samples: None,
    coverage: Covered | None = None,
) -> Manifest:
    """Freeze a built benchmark into `folder`: all of it or nothing. `watch` sees the samples as they go by."""
    with atomic_folder(folder, force=force, marker=MARKER, ours=OURS) as draft:
        with canonical.no_gc():  # ids are held, and the collector would walk through all of them time and again
            splits = _write_splits(draft, built, watch)
        if not splits:
            raise InputError(
                "these annotations give no sample",
                file=sources[0].file if sources else None,
                found=built.ledger.as_dict()["dropped"],
                expected="at least one video with a usable instance",
            )
        page: dict[str, Any] = {
            "format": FORMAT,
            "name": built.name,
            "version": built.version,
            "task": built.task,
            "splits": {split: msgspec.to_builtins(info) for split, info in splits.items()},
            "provenance": {**provenance, "sources": msgspec.to_builtins(sources), "drops": built.ledger.as_dict()},
            "digest": canonical.digest_of({split: info.sha256 for split, info in splits.items()}),
            "vocabularies": {name: list(words) for name, words in built.vocabularies.items()},
            "tree": {label: list(ancestors) for label, ancestors in built.tree.items()},
        }
        if built.evaluation:
            page["provenance"]["evaluation"] = {split: dict(said) for split, said in built.evaluation.items()}
        if coverage is not None:
            page["provenance"]["coverage"] = coverage.as_dict()
            page["partial"] = coverage.partial
        page["seal"] = _seal(page)
        (draft / MARKER).write_bytes(canonical.page(page))
        (draft / "DATASHEET.md").write_bytes(canonical.text(datasheet(page)))
    return load(folder)


def _write_splits(draft: Path, built: Built, watch: Callable[[str, Sequence[Sample]], None]) -> dict[str, Split]:
    """The split files, batch by batch, and what manifest.json says of each; a split without samples has no file."""
    with ExitStack() as stack:
        tallies = {
            split: _Tally(draft / f"{split}.jsonl", stack.enter_context((draft / f"{split}.jsonl").open("wb")))
            for split in built.splits
        }
        ids: set[str] = set()
        written = 0
        for split, run in groupby(built.samples, key=itemgetter(0)):
            while samples := [sample for _, sample in islice(run, BATCH)]:
                ids.update([sample.id for sample in samples])
                written += len(samples)
                if len(ids) < written:
                    raise AssertionError(f"the builder made an id twice, from {samples[0].id} to {samples[-1].id}")
                tallies[split].add(samples)
                watch(split, samples)
    for tally in tallies.values():
        if not tally.samples:
            tally.path.unlink()
    return {split: tally.info() for split, tally in tallies.items() if tally.samples}

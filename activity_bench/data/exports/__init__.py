"""Other people's formats: each module here writes a manifest in one, and reads it back where the format holds enough.

A module gives one `Format`, which the catalog names. It turns a manifest into named bytes and never touches the disk
to write: the verb does, whole or not at all. Every exported folder also gets `export.json`: which manifest it came
from, its class tree and its vocabularies, by which the folder is known to be ours and is read back in full.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec

from activity_bench.data import canonical
from activity_bench.data.disk import read_bytes
from activity_bench.data.manifest import Manifest
from activity_bench.errors import InputError
from activity_bench.types import Built, Ledger, Sample, Source, Task

MARKER = "export.json"
MAX_PAGE_BYTES = 1 << 28
SPLIT_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # a split names a file
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,99}")
VERSION = "imported.1"


@dataclass(frozen=True)
class Export:
    """What is to be written: some splits of a manifest, and the tables that the format wants beside it."""

    manifest: Manifest
    splits: tuple[str, ...]
    tables: Mapping[str, Any] = field(default_factory=dict)

    def stem(self, split: str) -> str:
        """The split's name in a file's name: that of the manifest's own file, which was checked."""
        return self.manifest.splits[split].file.removesuffix(".jsonl")

    @cached_property
    def samples(self) -> Mapping[str, Sequence[Sample]]:
        """The samples of each exported split, verified."""
        return {split: self.manifest.samples(split) for split in self.splits}


@dataclass(frozen=True)
class Imported:
    """What a foreign file holds, ready to be frozen, and where it was read."""

    built: Built
    sources: tuple[Source, ...]
    partial: bool = False  # exported from a manifest that lacked videos


@dataclass(frozen=True)
class Format:
    """A format: who reads it, what is lost in it, and the functions that write and read it.

    `shape`: a `file`, a `folder`, or a `file a split` (a folder of them, or the one file where one split is named).
    """

    definition: str
    lost: str
    shape: Literal["file", "folder", "file a split"]
    write: Callable[[Export], Iterator[tuple[str, bytes]]]
    tasks: frozenset[str] = frozenset({"moment", "detection"})
    tables: Mapping[str, str] = field(default_factory=dict)  # name -> what it is, of the files that `write` may want
    read: Callable[[Path, Mapping[str, Any]], Any] | None = None
    read_tables: Mapping[str, str] = field(default_factory=dict)
    instead: str = ""  # the command that reads the format, where `import` does not


class Page(msgspec.Struct):
    """What `export.json` says."""

    format: str
    name: str
    version: str
    task: Task
    digest: str
    splits: list[str] = []
    tree: dict[str, list[str]] = {}
    vocabularies: dict[str, list[str]] = {}
    sources: list[dict[str, Any]] = []
    evaluation: dict[str, dict[str, Any]] = {}
    partial: bool = False


def page(export: Export, format_: str) -> bytes:
    """`export.json` of an exported folder."""
    asked = export.manifest
    evaluation = asked.provenance.get("evaluation", {})
    found = Page(
        format_, asked.name, asked.version, asked.task, asked.digest, list(export.splits),
        {label: list(path) for label, path in asked.tree.items()},
        {name: list(words) for name, words in asked.vocabularies.items()},
        list(asked.provenance.get("sources", [])),
        {split: evaluation[split] for split in export.splits if split in evaluation}, asked.partial,
    )  # fmt: skip
    return canonical.page(msgspec.to_builtins(found))


def read_page(folder: Path) -> Page | None:
    """`export.json` of a folder that an export wrote, or None in a folder of other hands."""
    path = folder / MARKER
    if not path.is_file():
        return None
    found: Page = canonical.read_page(read_bytes(path, MAX_PAGE_BYTES), path, Page)
    named(found.name, path)
    return found


def named(name: str, file: Path) -> str:
    """A benchmark's name as a file of other hands gives it."""
    if not NAME.fullmatch(name):
        raise InputError("not a benchmark's name", file=file, field="name", found=name,
                         expected="up to 100 letters, digits, and . _ - inside")  # fmt: skip
    return name


def built(
    samples: Sequence[tuple[str, Sample]], sources: Sequence[Source], page: Page | None, name: str, task: Task
) -> Imported:
    """Samples that were read back, as a builder would return them. Nothing is dropped: what is wrong was refused."""
    ledger = Ledger("sample")
    ledger.seen = len(samples)
    splits = tuple(dict.fromkeys(split for split, _ in samples))
    found = Built(
        name=page.name if page else name,
        version=VERSION,
        task=page.task if page else task,
        samples=samples,
        ledger=ledger,
        splits=splits or ("test",),
        vocabularies=page.vocabularies if page else {},
        tree={label: tuple(path) for label, path in page.tree.items()} if page else {},
        evaluation=page.evaluation if page else {},
    )
    return Imported(found, tuple(sources), page is not None and page.partial)


def split_files(path: Path, suffix: str, pattern: re.Pattern[str] | None = None) -> dict[str, Path]:
    """Split -> file, of one file or of those in a folder that end in `suffix`; train, val and test come first."""
    files = [path] if path.is_file() else sorted(path.glob(f"*{suffix}")) if path.is_dir() else []
    if not files:
        if not path.is_dir():
            read_bytes(path, 0)  # says why it cannot be read
        raise InputError("no split in this folder", file=path, expected=f"files like test{suffix}")
    found: dict[str, Path] = {}
    for file in files:
        name = file.name.removesuffix(suffix)
        named = pattern.fullmatch(name) if pattern else None
        name = named[1] if named else name
        if not SPLIT_NAME.fullmatch(name):
            raise InputError("this name cannot be a split's", file=file, found=name,
                             expected="letters, digits, _ and -")  # fmt: skip
        if name in found:
            raise InputError(f"a second file for the split {name}", file=file, expected="one file a split")
        found[name] = file
    order = {name: place for place, name in enumerate(("train", "val", "test"))}
    return dict(sorted(found.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))


def plain(text: str) -> str:
    """Text from a file as Markdown that says just this text: one line, every mark of the syntax escaped."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", line)


def word(label: str, export: Export) -> str:
    """A class's name that may stand on a line of its own."""
    if not label or not label.isprintable() or label != label.strip():
        raise InputError(
            "a class name that a line cannot hold", file=export.manifest.folder, field="label", found=label
        )
    return label

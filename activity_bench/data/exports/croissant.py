"""Croissant 1.0: JSON-LD that says which files a data set has, their hashes, and where in them each field stands.

It lies beside the manifest's split files, which it names without a folder. One RecordSet a split: a record is a
sample. Readers of JSON lines take a key of the line as a column and a JSON path inside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from activity_bench.data import canonical, exports
from activity_bench.data.disk import read_bytes
from activity_bench.data.exports import Export, Format, Imported
from activity_bench.data.manifest import Manifest
from activity_bench.errors import InputError
from activity_bench.types import Sample, Source, Task

JSON_LINES = "application/jsonlines"
TYPES = {"text": "sc:Text", "number": "sc:Float", "whole": "sc:Integer"}
NAME = "croissant.json"
MAX_BYTES = 1 << 30

OWN = (
    "citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet", "format",
    "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex",
    "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform",
)  # fmt: skip
CONTEXT: dict[str, Any] = {  # the standard's own: readers warn of any other
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    **{name: f"cr:{name}" for name in OWN},
}


@dataclass(frozen=True)
class Column:
    """A field of a record: its name, kind (text, number, whole, or a list of each), and where it stands."""

    name: str
    kind: str
    about: str
    column: str  # of the table, or the key of the line
    path: str | None = None  # JSON path inside it


@dataclass(frozen=True)
class File:
    """A split's file."""

    split: str
    url: str
    encoding: str
    bytes: int
    sha256: str
    columns: Sequence[Column]


# the fields of a manifest's line: name, kind, meaning, key, JSON path
LINE = tuple(
    Column(*row)
    for row in (
        ("id", "text", "the sample's id, by which predictions answer it", "id"),
        ("label", "text", "the sample's class", "label"),
        ("part", "text", "simple or difficult", "part"),
        ("video", "text", "id of the video that is searched", "video", "$.id"),
        ("start", "number", "where the searched window starts, seconds of the original video", "video", "$.start"),
        ("end", "number", "where it ends; null where no duration is known", "video", "$.end"),
        ("query_kind", "text", "image, clip, classes or text", "query", "$.kind"),
        ("query_video", "text", "id of the video that the query was taken from", "query", "$.video"),
        ("query_time", "number", "second of an image query", "query", "$.time"),
        ("query_start", "number", "where a clip query starts", "query", "$.start"),
        ("query_end", "number", "where it ends", "query", "$.end"),
        ("query_label", "text", "the class that an image query shows", "query", "$.label"),
        ("query_vocabulary", "text", "the list of classes that a detection asks for", "query", "$.vocabulary"),
        ("target_start", "numbers", "where each true answer starts, seconds of the original video",
         "targets", "$.start"),
        ("target_end", "numbers", "where it ends", "targets", "$.end"),
        ("target_label", "texts", "its class", "targets", "$.label"),
        ("labels", "texts", "the classes that a video has where its boundaries are not told", "labels"),
        ("grid_step", "number", "seconds a row of features", "grid", "$.step"),
    )
)  # fmt: skip


def write(export: Export) -> Iterator[tuple[str, bytes]]:
    """croissant.json."""
    files = []
    for split, samples in export.samples.items():
        path = export.manifest.path(split)
        columns = [column for column in LINE if any(_has(sample, column.column) for sample in samples)]
        hashed = export.manifest.splits[split].sha256
        files.append(File(export.stem(split), path.name, JSON_LINES, path.stat().st_size, hashed, columns))
    yield NAME, describe(export.manifest, files)


def _has(sample: Sample, key: str) -> bool:
    return key not in {"label", "labels", "part", "grid"} or getattr(sample, key) is not None


def describe(asked: Manifest, files: Sequence[File]) -> bytes:
    """The JSON-LD of some files of a manifest."""
    licences = sorted({str(s.get("licence")) for s in asked.provenance.get("sources", []) if s.get("licence")})
    page = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": asked.name,
        "description": f"{asked.name} {asked.version}, a {asked.task} benchmark: untrimmed videos, queries and true "
        f"segments, by id and time. Digest of the whole manifest: {asked.digest}.",
        "license": licences or ["not stated: see the annotation files that the manifest names as its sources"],
        "version": "1.0.0",
        "alternateName": f"{asked.name} {asked.version}",
        "identifier": asked.digest,
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": f"file-{file.split}",
                "name": file.url,
                "contentUrl": file.url,
                "contentSize": f"{file.bytes} B",
                "encodingFormat": file.encoding,
                "sha256": file.sha256,
            }
            for file in files
        ],
        "recordSet": [*(_records(file) for file in files), *_lists(asked)],
    }
    return canonical.page(page)


def _records(file: File) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": file.split,
        "name": file.split,
        "description": f"The samples of the split {file.split}, one a record.",
        "key": {"@id": f"{file.split}/id"},
        "field": [_field(file, column) for column in file.columns],
    }


def _field(file: File, column: Column) -> dict[str, Any]:
    source: dict[str, Any] = {"fileObject": {"@id": f"file-{file.split}"}, "extract": {"column": column.column}}
    if column.path is not None:
        source["transform"] = {"jsonPath": column.path}
    many = column.kind.endswith("s")
    return {
        "@type": "cr:Field",
        "@id": f"{file.split}/{column.name}",
        "name": column.name,
        "description": column.about,
        "dataType": TYPES[column.kind.removesuffix("s")],
        **({"repeated": True} if many else {}),
        "source": source,
    }


def _lists(asked: Manifest) -> Iterator[dict[str, Any]]:
    """A vocabulary as a RecordSet whose data stand in the page itself."""
    for name, words in asked.vocabularies.items():
        ident = f"vocabulary/{name}"
        yield {
            "@type": "cr:RecordSet",
            "@id": ident,
            "name": name,
            "description": "The classes that a detection asks for.",
            "key": {"@id": f"{ident}/class"},
            "field": [{"@type": "cr:Field", "@id": f"{ident}/class", "name": "class", "dataType": "sc:Text"}],
            "data": [{f"{ident}/class": word} for word in words],
        }


# ---- reading --------------------------------------------------------------------------------------------------------


class _File(msgspec.Struct):
    contentUrl: str
    encodingFormat: str = ""
    sha256: str = ""


class _Records(msgspec.Struct):
    name: str
    data: list[dict[str, str]] = []


class _Page(msgspec.Struct):
    name: str
    distribution: list[_File]
    recordSet: list[_Records] = []


def read(path: Path, tables: Mapping[str, Any]) -> Imported:
    """The samples of the JSON lines that a croissant.json names, which lie beside it and have the sha256 it states."""
    path = path / NAME if path.is_dir() else path
    page: _Page = canonical.read_page(read_bytes(path), path, _Page)
    decoder = msgspec.json.Decoder(Sample)
    samples: list[tuple[str, Sample]] = []
    sources = []
    for file in page.distribution:
        if file.encodingFormat != JSON_LINES:
            continue
        if Path(file.contentUrl).name != file.contentUrl or not file.contentUrl.endswith(".jsonl"):
            raise InputError("not the name of a file beside this one", file=path, field="contentUrl",
                             found=file.contentUrl, expected="NAME.jsonl")  # fmt: skip
        beside = path.parent / file.contentUrl
        data = read_bytes(beside, MAX_BYTES)
        found = sha256(data).hexdigest()
        if found != file.sha256:
            raise InputError("its sha256 is not the stated one", file=beside, found=found, expected=file.sha256)
        (split,) = exports.split_files(beside, ".jsonl")
        try:
            samples += [(split, sample) for sample in decoder.decode_lines(data)]
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise canonical.complaint(error, beside) from None
        sources.append(Source(beside.name, len(data), found))
    if not sources:
        raise InputError("no JSON lines in its distribution", file=path, expected=JSON_LINES)
    words = {records.name: [word for row in records.data for word in row.values()]
             for records in page.recordSet if records.data}  # fmt: skip
    detects = any(sample.query.kind == "classes" for _, sample in samples)
    task: Task = "detection" if detects else "moment"
    known = exports.Page("croissant", exports.named(page.name, path), "", task, "", vocabularies=words)
    return exports.built(samples, sources, known, page.name, task)


CROISSANT = Format(
    definition="croissant.json, JSON-LD about a manifest's own split files; it belongs into the manifest's folder",
    lost="nothing of the samples, which stay in the split files; the class tree and the drop ledger are not described",
    shape="file",
    write=write,
    read=read,
)

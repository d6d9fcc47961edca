"""Parquet with a dataset card: the layout that the Hugging Face Hub shows and `datasets.load_dataset` opens."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from activity_bench.data import exports
from activity_bench.data.disk import GZIP_FREE, GZIP_RATIO, read_bytes
from activity_bench.data.exports import Export, Format, Imported, card, croissant
from activity_bench.data.exports.columns import COLUMNS, flat, sample_of
from activity_bench.errors import InputError
from activity_bench.types import Sample, Source

HINT = "pip install 'activity-bench[export]'"
KINDS = {"text": "string", "number": "float64", "whole": "int64"}
PARQUET = "application/x-parquet"
FREE = GZIP_FREE  # bytes that a file may take in memory whatever its size
BATCH = 1024  # rows


def write(export: Export) -> Iterator[tuple[str, bytes]]:
    """data/SPLIT.parquet, README.md and croissant.json."""
    pyarrow, parquet = _pyarrow()
    schema = pyarrow.schema([(name, _type(pyarrow, kind)) for name, kind, _ in COLUMNS])
    names: dict[str, str] = {}
    files: list[croissant.File] = []
    for split, samples in export.samples.items():
        names[split] = f"data/{export.stem(split)}.parquet"
        table = pyarrow.Table.from_pylist([flat(sample) for sample in samples], schema=schema)
        stream = io.BytesIO()
        parquet.write_table(table, stream, compression="zstd", row_group_size=1 << 16)
        content = stream.getvalue()
        yield names[split], content
        columns = [croissant.Column(name, kind, about, name) for name, kind, about in COLUMNS]
        files.append(croissant.File(export.stem(split), names[split], PARQUET, len(content),
                                    hashlib.sha256(content).hexdigest(), columns))  # fmt: skip
    yield "README.md", card.card(export, names).encode()
    yield "croissant.json", croissant.describe(export.manifest, files)


def read(path: Path, tables: Mapping[str, Any]) -> Imported:
    """The manifest's samples from the folder that `write` made, or from parquet files with the same columns."""
    pyarrow, parquet = _pyarrow()
    folder = path / "data" if (path / "data").is_dir() else path
    page = exports.read_page(path) if path.is_dir() else None
    samples: list[tuple[str, Sample]] = []
    sources = []
    for split, file in exports.split_files(folder, ".parquet").items():
        content = read_bytes(file)
        try:
            rows = list(_rows(parquet, content, file))
        except (pyarrow.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"not a parquet file that can be read: {reason:.200}", file=file) from None
        if rows and not {"id", "video", "query_kind"} <= rows[0].keys():
            raise InputError("not the columns of an exported manifest", file=file, found=sorted(rows[0])[:8],
                             expected=", ".join(name for name, _, _ in COLUMNS[:5]) + ", …")  # fmt: skip
        samples += [(split, sample_of(row, file, number)) for number, row in enumerate(rows, 1)]
        sources.append(Source(file.name, len(content), hashlib.sha256(content).hexdigest()))
    detects = any(sample.query.kind == "classes" for _, sample in samples)
    return exports.built(samples, sources, page, "hf", "detection" if detects else "moment")


def _rows(parquet: Any, content: bytes, file: Path) -> Iterator[Mapping[str, Any]]:
    """The rows, while what they take stays plausible: a text that is repeated takes no room in a file."""
    taken, most = 0, max(FREE, GZIP_RATIO * len(content))
    for batch in parquet.ParquetFile(io.BytesIO(content)).iter_batches(batch_size=BATCH):
        taken += batch.nbytes
        if taken > most:
            raise InputError("this parquet file expands beyond belief", file=file,
                             expected=f"at most {most:,} bytes in memory")  # fmt: skip
        yield from batch.to_pylist()


def _type(pyarrow: Any, kind: str) -> Any:
    one = getattr(pyarrow, KINDS[kind.removesuffix("s")])()
    return pyarrow.list_(one) if kind.endswith("s") else one


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InputError("parquet needs pyarrow, which is not installed here", hint=f"Install it: {HINT}") from None
    return pyarrow, parquet


HF = Format(
    definition="parquet, a dataset card and croissant.json: a folder for the Hugging Face Hub",
    lost="nothing of the samples; the drop ledger stays behind",
    shape="folder",
    write=write,
    read=read,
)

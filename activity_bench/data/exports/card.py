"""The dataset card of an exported folder: YAML that the Hub reads, then Markdown that a person reads."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from activity_bench.data.exports import Export, plain
from activity_bench.data.exports.columns import COLUMNS
from activity_bench.data.manifest import Manifest

LICENCE = """\
These files hold ids, times and class names taken from the annotation files below, and no video. The terms of those
files apply to them; the terms of the videos are those of their owners."""


def card(export: Export, files: Mapping[str, str]) -> str:
    """README.md: split -> its parquet file."""
    asked = export.manifest
    sources = asked.provenance.get("sources", [])
    counts = [
        f"| {plain(split)} | {info.samples:,} | {info.videos:,} | {info.classes:,} |"
        for split, info in asked.splits.items()
        if split in files
    ]
    text = [
        f"# {plain(asked.name)}, version {plain(asked.version)}",
        "",
        *(["**Partial**: it has not all samples of the whole one.", ""] if asked.partial else []),
        f"A {asked.task} benchmark, exported by activity-bench. Digest of the whole manifest: `{_code(asked.digest)}`.",
        "Times are seconds on the clock of the original video; segments are half-open.",
        "",
        "| split | samples | videos | classes |",
        "| --- | --- | --- | --- |",
        *counts,
        "",
        "## Licence",
        "",
        LICENCE,
        "",
        "| file | sha256 | licence |",
        "| --- | --- | --- |",
        *(
            f"| {plain(str(s.get('file', '')))} | {plain(str(s.get('sha256', '')))} "
            f"| {plain(str(s.get('licence') or 'not stated'))} |"
            for s in sources
        ),
        "",
        "## Columns",
        "",
        "| column | kind | |",
        "| --- | --- | --- |",
        *(f"| `{name}` | {kind} | {about} |" for name, kind, about in COLUMNS),
    ]
    return "\n".join([*_header(asked, files), *text]) + "\n"


def _header(asked: Manifest, files: Mapping[str, str]) -> list[str]:
    """What a hub reads, as YAML."""
    return [
        "---",
        f"pretty_name: {_quoted(f'{asked.name} {asked.version}')}",
        "license: other",
        "license_name: see-the-sources",
        "tags:",
        *(f"- {_quoted(tag)}" for tag in ("video", "temporal-localization", "activity-bench", asked.task)),
        "configs:",
        '- config_name: "default"',
        "  data_files:",
        *(
            line
            for split, file in files.items()
            for line in (f"  - split: {_quoted(_hub(split))}", f"    path: {_quoted(file)}")
        ),
        "---",
        "",
    ]


def _quoted(text: str) -> str:
    """Text as a YAML scalar: a JSON string is one, whatever it holds."""
    return json.dumps(text)


def _hub(split: str) -> str:
    """A split's name as the Hub takes it: letters, digits and underscores."""
    return re.sub(r"\W", "_", split, flags=re.ASCII)


def _code(text: str) -> str:
    return "".join(c for c in text if c.isprintable() and c != "`")

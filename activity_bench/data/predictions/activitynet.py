"""ActivityNet result JSON: `{"version", "results": {video: [{"label", "score", "segment": [start, end]}]}, …}`.

Also as others write it: `results` alone, or called `database`, or the dictionary of videos without a name; `scores` for
`score`; numbers as text. The whole is decoded as it should be; only a file that is not is looked at piece by piece.
"""

from __future__ import annotations

import json
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from activity_bench.data.canonical import complaint, no_gc
from activity_bench.data.predictions.faults import Faults
from activity_bench.data.predictions.foreign import Rows, What
from activity_bench.data.predictions.source import UNDECODABLE, quotes, repeated, text_of
from activity_bench.data.truth import encode
from activity_bench.errors import InputError

NAMES = (b'"segment"', b'"label"', b'"score')


class _Detection(msgspec.Struct, gc=False):
    segment: tuple[float, float]
    label: str | None = None
    score: float | None = None
    scores: float | None = None  # ActionFormer's name for it


_Results = dict[str, list[_Detection]]


class _Page(msgspec.Struct):
    results: _Results | None = None
    database: _Results | None = None
    version: msgspec.Raw = msgspec.Raw(b"")
    external_data: msgspec.Raw = msgspec.Raw(b"")


def read(path: Path, data: bytes, faults: Faults) -> Rows:
    """The detections of a file, in its order."""
    name, results = _decoded(path, data, faults)
    with no_gc():
        videos = list(results)
        count = np.fromiter(map(len, results.values()), np.int64, len(results))
        rows = list(chain.from_iterable(results.values()))
        n = len(rows)
        bounds = np.fromiter(chain.from_iterable([row.segment for row in rows]), np.float64, 2 * n).reshape(n, 2)
        scores = [row.score for row in rows]
        if None in scores:
            scores = [row.scores if row.score is None else row.score for row in rows]
        score = np.array(scores, np.float64)  # None becomes nan
        words: dict[str | None, int] = {None: -1}
        label = encode([row.label for row in rows], words)
    first = np.cumsum(count) - count
    video = np.repeat(np.arange(len(videos)), count)

    def where(row: int, what: What) -> dict[str, Any]:
        return {"field": f"{name}{videos[video[row]]}[{row - first[video[row]]}].{what}"}

    return Rows(
        videos, video, bounds[:, 0], bounds[:, 1], score, [word for word in words if word is not None], label, where,
        lambda place: {"field": name + videos[place]},
    )  # fmt: skip


def _decoded(path: Path, data: bytes, faults: Faults) -> tuple[str, _Results]:
    """What stands before a video's name in a message, and the detections by video."""
    try:
        with no_gc():
            page = msgspec.json.decode(data, type=_Page, strict=False)
            if page.results is not None and page.database is not None:
                raise InputError("two dictionaries of videos", file=path, field="database", expected="results alone")
            name = "results" if page.results is not None else "database"
            results = page.results if page.results is not None else page.database
            if results is None:
                name, results = "", msgspec.json.decode(data, type=_Results, strict=False)
    except UNDECODABLE as error:
        return _piece_by_piece(path, data, error, faults)
    if not _once(data, page, results) and (twice := repeated(data)) is not None:
        raise InputError("a key that stands twice in one object", file=path, field=twice, expected="one",
                         hint="Join what stands under both, or remove one.")  # fmt: skip
    return f"{name}." if name else "", results


def _once(data: bytes, page: _Page, results: _Results) -> bool:
    """Whether no key can stand twice. Quotes are counted: 8 a detection, 2 a video; or, which takes longer, the keys,
    and brackets: 1 a detection, 1 a video. A key may be spelt with escapes.
    """
    detections = sum(map(len, results.values()))
    around = [bytes(value).count(b'"') + 2 for value in (page.version, page.external_data) if value]
    named = 0 if page.results is None and page.database is None else 2
    if quotes(data) == 8 * detections + 2 * len(results) + sum(around) + named:
        return True
    dictionaries = data.count(b'"results"') + data.count(b'"database"')
    lists = data.count(b"[") <= detections + len(results)
    return b"\\" not in data and dictionaries < 2 and lists and all(data.count(key) <= detections for key in NAMES)


def _piece_by_piece(path: Path, data: bytes, fault: Exception, faults: Faults) -> tuple[str, _Results]:
    """The detections that are some; each of the others is a fault, and NaN is located when numbers are looked at.

    What is wrong elsewhere (half a character, NaN as the version) is said as it was found.
    """
    before = faults.kinds.total()
    try:
        page = json.loads(text_of(path, data))
    except (ValueError, RecursionError):
        raise complaint(fault, path, data=data) from None
    if not isinstance(page, dict):
        raise _wrong(page, dict[str, Any], path, "")
    name = next((key for key in ("results", "database") if key in page), "")
    videos = page[name] if name else page
    if not isinstance(videos, dict):
        raise _wrong(videos, dict[str, Any], path, name)
    found: _Results = {}
    for video, detections in videos.items():
        key = f"{name}.{video}" if name else video
        if not isinstance(detections, list):
            faults.add(_wrong(detections, list[Any], path, key))
            continue
        found[video] = []
        for place, detection in enumerate(detections):
            try:
                found[video].append(msgspec.convert(detection, _Detection, strict=False))
            except (msgspec.ValidationError, UnicodeEncodeError) as error:
                faults.add(complaint(error, path, path=f"{key}[{place}]"))
    if faults.kinds.total() == before and all(_finite(row) for rows in found.values() for row in rows):
        raise complaint(fault, path, data=data)
    return f"{name}." if name else "", found


def _finite(row: _Detection) -> bool:
    return all(value is None or isfinite(value) for value in (*row.segment, row.score, row.scores))


def _wrong(value: object, type_: Any, path: Path, field: str) -> InputError:
    try:
        msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        return complaint(error, path, path=field)
    raise AssertionError("a value of the right type")

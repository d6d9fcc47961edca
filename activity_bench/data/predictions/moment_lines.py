"""Moment-retrieval JSON lines: `{"qid", "vid", "pred_relevant_windows": [[start, end, score], …]}`, a query a line.

A `qid` is the id of a sample, as our export writes it and as our import takes it from the official files (there it is a
number). `vid`, where it is given, must be that sample's video.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from activity_bench.data import lines
from activity_bench.data.instances import Instances
from activity_bench.data.predictions.faults import Faults
from activity_bench.data.predictions.foreign import Rows, What
from activity_bench.data.predictions.source import json_lines
from activity_bench.data.truth import Moments
from activity_bench.errors import InputError

KEYS = (b'"qid"', b'"vid"', b'"pred_relevant_windows"')


class _Line(msgspec.Struct, gc=False):
    qid: str | int
    pred_relevant_windows: list[tuple[float, float, float]]
    vid: str | None = None


def read(path: Path, stream: BinaryIO, hasher: lines.Hasher, truth: Moments | Instances, faults: Faults) -> Rows:
    """The windows of a file, in its order."""
    if isinstance(truth, Instances):
        raise InputError("moment-retrieval lines have no classes, and a detection asks for them", file=path,
                         expected="ours, activitynet, thumos or csv")  # fmt: skip
    met: dict[str, int] = {}
    numbers: list[int] = []
    windows: list[list[tuple[float, float, float]]] = []
    for block in json_lines(path, stream, msgspec.json.Decoder(_Line, strict=False), hasher, faults, KEYS):
        row: _Line
        for item, row in enumerate(block.items):
            name = str(row.qid)
            fault = _fault(row, name, met, truth)
            if fault is None:
                met[name] = len(met)
                numbers.append(block.line_of(item))
                windows.append(row.pred_relevant_windows)
            else:
                faults.add(InputError(fault[1], file=path, line=block.line_of(item), field=fault[0], found=fault[2],
                                      expected=fault[3]))  # fmt: skip
    return _rows(list(met), numbers, windows)


def _fault(row: _Line, name: str, met: dict[str, int], truth: Moments) -> tuple[str, str, str, str] | None:
    """Field, problem, found and expected, of a line that cannot be taken."""
    if name in met:
        return "qid", "a query answered twice", name, "one line"
    place = truth.index.get(name)
    if (
        place is not None
        and row.vid is not None
        and row.vid.removeprefix("v_") != truth.videos[place].removeprefix("v_")
    ):
        return "vid", "another video than the query's", row.vid, repr(truth.videos[place])
    return None


def _rows(names: list[str], numbers: Sequence[int], windows: Sequence[list[tuple[float, float, float]]]) -> Rows:
    count = np.fromiter(map(len, windows), np.int64, len(windows))
    total = int(count.sum())
    flat = chain.from_iterable(chain.from_iterable(windows))
    values = np.fromiter(flat, np.float64, 3 * total).reshape(total, 3)
    line = np.repeat(np.arange(len(names)), count)
    first = np.cumsum(count) - count

    def where(row: int, what: What) -> dict[str, Any]:
        return {"line": numbers[line[row]], "field": f"pred_relevant_windows[{row - first[line[row]]}]"}

    return Rows(
        names, line, values[:, 0], values[:, 1], values[:, 2], [], np.full(total, -1), where,
        lambda name: {"line": numbers[name], "field": "qid"}, by="sample",
    )  # fmt: skip

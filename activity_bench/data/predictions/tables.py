"""Detections as tables: the THUMOS evaluation kit's text, and CSV with a header.

The kit's lines say `video start end class score`, and the class is a number: that of UCF101's 101 classes (the official
kit), or 1 to 20 in the order of the 20 detection classes (as S-CNN wrote it). Which one, the file's numbers tell.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from activity_bench.data.instances import Instances
from activity_bench.data.predictions.faults import Faults
from activity_bench.data.predictions.foreign import Rows, What
from activity_bench.data.predictions.source import text_of
from activity_bench.data.truth import Moments, encode
from activity_bench.errors import InputError, nearest
from activity_bench.segments import Floats

UCF101 = {
    7: "BaseballPitch", 9: "BasketballDunk", 12: "Billiards", 21: "CleanAndJerk", 22: "CliffDiving",
    23: "CricketBowling", 24: "CricketShot", 26: "Diving", 31: "FrisbeeCatch", 33: "GolfSwing", 36: "HammerThrow",
    40: "HighJump", 45: "JavelinThrow", 51: "LongJump", 68: "PoleVault", 79: "Shotput", 85: "SoccerPenalty",
    92: "TennisSwing", 93: "ThrowDiscus", 97: "VolleyballSpiking",
}  # fmt: skip
TWENTY = dict(enumerate(UCF101.values(), 1))  # thumos14_detclasslist.txt
BOTH = UCF101.keys() & TWENTY.keys()  # 7, 9 and 12 name a class of either list
THUMOS = ("video", "start", "end", "class", "score")
COLUMNS = {"start": ("start", "t-start"), "end": ("end", "t-end"), "score": ("score",)}
VIDEOS = ("video", "video-id")


def read_thumos(path: Path, data: bytes, truth: Moments | Instances, faults: Faults) -> Rows:
    """The evaluation kit's lines."""
    rows, numbers = [], []
    for number, line in enumerate(text_of(path, data).split("\n"), 1):
        fields = line.split()
        if len(fields) == len(THUMOS):
            rows.append(fields)
            numbers.append(number)
        elif fields:
            faults.add(InputError("not a line of the THUMOS evaluation kit", file=path, line=number,
                                  found=line.strip(), expected="video, start, end, class and score"))  # fmt: skip
    table = _Table(path, rows, numbers, dict(zip(THUMOS, range(5), strict=True)), faults)
    table.keep_numbers("start", "end", "score", "class")
    classes = table.column("class")
    indices = {text: float(text) for text in dict.fromkeys(classes)}
    names = _names(path, {text: int(value) if value.is_integer() else -1 for text, value in indices.items()}, truth)
    return table.rows("video", [names[text] for text in classes], label="class")


def _names(path: Path, indices: dict[str, int], truth: Moments | Instances) -> dict[str, str]:
    """The class of each number in the file. What neither list knows is refused, so that no list is off by one."""
    if isinstance(truth, Moments):
        return {text: text for text in indices}  # not looked at
    other = next((label for label in truth.labels if label not in TWENTY.values()), None)
    if other is not None:
        raise InputError("the THUMOS evaluation kit has numbers for 20 classes, and the truth has others", file=path,
                         field="class", found=other, hint="Write CSV, with the names of the classes.")  # fmt: skip
    used = set(indices.values())
    if used and used <= BOTH:
        raise InputError("numbers of classes that the list of 20 and that of 101 both have", file=path, field="class",
                         found=sorted(used), hint="Write CSV, with the names of the classes.")  # fmt: skip
    few = max(used, default=0) <= len(TWENTY)
    most, table = (len(TWENTY), TWENTY) if few else (101, UCF101)
    wrong = next((text for text, index in indices.items() if not 1 <= index <= most), None)
    if wrong is not None:
        raise InputError("not a number of a class", file=path, field="class", found=wrong,
                         expected=f"1 to {most}")  # fmt: skip
    return {text: table.get(index, f"class {index} of UCF101") for text, index in indices.items()}


def read_csv(path: Path, data: bytes, truth: Moments | Instances, faults: Faults) -> Rows:
    """CSV, its columns in any order."""
    reader = csv.reader(io.StringIO(text_of(path, data), newline=""), strict=True)
    rows, numbers = [], []
    header: list[str] | None = None
    first = 1
    try:
        for fields in reader:
            if header is None and fields:
                header, first = [field.strip().lower() for field in fields], reader.line_num
            elif header is not None and len(fields) == len(header):
                rows.append(fields)
                numbers.append(reader.line_num)
            elif fields:
                faults.add(InputError("another number of fields than the header's", file=path, line=reader.line_num,
                                      found=len(fields), expected=str(len(header or ()))))  # fmt: skip
    except csv.Error as error:
        raise InputError(f"not CSV: {error}", file=path, line=reader.line_num) from None
    if header is None:
        raise InputError("no header", file=path, expected="sample or video, start, end, score, label")
    places = _places(path, first, header, isinstance(truth, Instances))
    table = _Table(path, rows, numbers, places, faults)
    table.keep_numbers("start", "end", "score")
    return table.rows("sample" if "sample" in places else "video", table.column("label") if "label" in places else None)


def _places(path: Path, line: int, header: list[str], classes: bool) -> dict[str, int]:
    """Column -> place; a near miss for one that is missing."""

    def place(*names: str) -> int:
        found = [place for place, name in enumerate(header) if name in names]
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError("two columns for one thing", file=path, line=line, field=names[0],
                             found=[header[place] for place in found])  # fmt: skip
        close = nearest(names[0], [name for name in header if name])
        raise InputError(f"no column {' or '.join(names)}", file=path, line=line, found=header,
                         hint=f"Is it {close!r}?" if close else None)  # fmt: skip

    if not {"sample", *VIDEOS}.intersection(header):
        place(*VIDEOS, "sample")  # there is none
    places = {"sample": place("sample")} if "sample" in header else {"video": place(*VIDEOS)}
    places |= {name: place(*names) for name, names in COLUMNS.items()}
    return places | ({"label": place("label")} if classes or "label" in header else {})


class _Table:
    """Rows of text, and where each stands in the file."""

    def __init__(
        self, path: Path, rows: list[list[str]], numbers: list[int], places: dict[str, int], faults: Faults
    ) -> None:
        self.path, self.fields, self.numbers, self.places, self.faults = path, rows, numbers, places, faults
        self.values: dict[str, Floats] = {}

    def column(self, name: str) -> list[str]:
        """The texts of a column."""
        place = self.places[name]
        return [row[place] for row in self.fields]

    def keep_numbers(self, *names: str) -> None:
        """Read columns as numbers; a row with a text that is none is a fault, and is left out."""
        try:
            self.values = {name: _numbers(self.column(name)) for name in names}
        except ValueError:
            good = [row for row in range(len(self.fields)) if not self._fault(row, names)]
            self.fields, self.numbers = [self.fields[row] for row in good], [self.numbers[row] for row in good]
            self.values = {name: _numbers(self.column(name)) for name in names}

    def _fault(self, row: int, names: Sequence[str]) -> bool:
        for name in names:
            text = self.fields[row][self.places[name]]
            try:
                _numbers([text])
            except ValueError:
                self.faults.add(InputError("not a number", file=self.path, line=self.numbers[row], field=name,
                                           found=text))  # fmt: skip
                return True
        return False

    def rows(self, by: Any, labels: list[str] | None, label: str = "label") -> Rows:
        """The rows, their names and classes coded."""
        names: dict[str | None, int] = {None: -1}
        words: dict[str | None, int] = {None: -1}
        name = encode(self.column(by), names)
        codes = np.full(len(name), -1) if labels is None else encode(labels, words)
        first = np.unique(name, return_index=True)[1]
        fields = {"label": label, "score": "score", "segment": "start"}

        def where(row: int, what: What) -> dict[str, Any]:
            return {"line": self.numbers[row], "field": fields[what]}

        return Rows(
            [text for text in names if text is not None], name, self.values["start"], self.values["end"],
            self.values["score"], [text for text in words if text is not None], codes, where,
            lambda place: {"line": self.numbers[first[place]], "field": by}, by,
        )  # fmt: skip


def _numbers(texts: list[str]) -> Floats:
    """Texts as numbers; Python's `1_000` is none."""
    if any("_" in text for text in texts):
        raise ValueError("an underscore")
    return np.array([float(text) for text in texts], np.float64)

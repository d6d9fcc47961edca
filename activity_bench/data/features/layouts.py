"""Features as other tools read them: a file a video, and `features.json` that says what they are."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from numpy.lib import format as npy
from numpy.typing import NDArray

from activity_bench.data import canonical
from activity_bench.data.disk import read_bytes
from activity_bench.data.features.words import Attributes
from activity_bench.errors import InputError

MADE = "features.json"
MISSING = "missing_files.txt"
NAME_BYTES = 200  # of a file: some file systems hold 255, of which an ending and a hidden name take some
ZIP_BEGAN = (1980, 1, 1, 0, 0, 0)  # no time of the day in a file
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # no file names where Windows reads them


@dataclass(frozen=True)
class Layout:
    """How one tool wants its features: the ending of a file, and an array's bytes in it."""

    definition: str
    lost: str
    suffix: str
    encode: Callable[[NDArray[Any]], bytes]
    others: tuple[str, ...] = ()  # files beside, that it looks for


class _Made(msgspec.Struct):
    attributes: dict[str, Any]


def _npy(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    npy.write_array(stream, array, (1, 0), allow_pickle=False)
    return stream.getvalue()


def _npz(array: NDArray[Any]) -> bytes:
    """One array called `features`; what numpy.savez would write, but for the time in it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo("features.npy", ZIP_BEGAN), _npy(array))
    return stream.getvalue()


LOST = "regions, boxes and globals of images, what was noted of single videos, and the sums of the numbers"
OPENTAD = Layout(
    definition="features as OpenTAD and ActionFormer read them: <video>.npy, (rows, dim), and missing_files.txt",
    lost=LOST,
    suffix=".npy",
    encode=_npy,
    others=(MISSING,),
)
LIGHTHOUSE = Layout(
    definition="features as lighthouse reads them: <video>.npz with `features`, (rows, dim)",
    lost=LOST + "; lighthouse takes a row for each 1 or 2 seconds, and rows stay as they are",
    suffix=".npz",
    encode=_npz,
)


def page(attributes: Attributes, digest: str) -> bytes:
    """`features.json`: the attributes, and the same timing in the words of those who read such folders."""
    timing = attributes.timing
    centre = timing.offset + timing.window / 2  # of row 0, in frames
    told = {
        "attributes": attributes.as_dict(),
        "digest": digest,
        "seconds": {"step": timing.step, "centre_of_row_0": centre / timing.fps},
        "actionformer": {"feat_stride": timing.stride, "num_frames": timing.window, "default_fps": timing.fps,
                         "input_dim": attributes.dim},
        "opentad": {"feature_stride": timing.stride, "sample_stride": 1, "offset_frames": centre, "fps": timing.fps},
        "lighthouse": {"clip_length": timing.step, "v_feat_dim": attributes.dim},
    }  # fmt: skip
    return canonical.page(told)


def read_made(folder: Path) -> Attributes | None:
    """What the features of a folder are, where its `features.json` says it."""
    path = folder / MADE
    if not path.is_file():
        return None
    found: _Made = canonical.read_page(read_bytes(path, 1 << 20), path, _Made)
    return Attributes.read(found.attributes, path)


def plain_name(video: str) -> str:
    """An id that may name a file on any system, and stand on a line; another is refused, never bent to fit."""
    if (
        not video.isprintable()
        or re.search(r'[/\\:*?"<>|]', video)
        or video[:1] in ("", ".", " ")
        or video[-1:] in (".", " ")
        or len(video.encode()) > NAME_BYTES
        or DEVICES.fullmatch(video)
    ):
        raise InputError("this id cannot name a file", field="id", found=video,
                         expected=f"up to {NAME_BYTES} bytes that print, none of / \\ : * ? \" < > |, no dot at either "
                         "end", hint="Its features stay in the store, which holds any id.")  # fmt: skip
    return video

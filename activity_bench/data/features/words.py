"""What features are: when their rows lie, what made them, and what anything that hands them out must offer."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from activity_bench.errors import InputError, unknown
from activity_bench.types import Sample

if TYPE_CHECKING:
    from activity_bench.data.features.images import Image

Rows = NDArray[np.float32]

DTYPES = ("float16", "float32")
UNKNOWN = "unknown"  # what stands in the text attributes of features that came without them
MAX_ID = 4096  # bytes of a video's id
LEAST_TOLERANCE, TOLERANCE = 8, 0.02
SAME_STEP = 1.3  # times: rows of 16 frames are 0.53 s at 30 frames a second and 0.64 s at 25
BY_HAND = "Give the timing by hand, in frames: --fps, --window and --stride, or Timing(fps=…, window=…, stride=…)."
TRANSPOSED = "Do they lie as (dim, rows)? Then --transpose."


@dataclass(frozen=True, slots=True)
class Timing:
    """Row `i` covers `window` frames from frame `offset + i * stride` on, of a video at `fps` frames a second."""

    fps: float
    window: int
    stride: int
    offset: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.fps < math.inf:
            raise InputError("not a frame rate", field="fps", found=self.fps, expected="frames a second, above 0")
        for name in ("window", "stride"):
            if getattr(self, name) < 1:
                raise InputError("not a number of frames", field=name, found=getattr(self, name), expected="1 or more")

    @property
    def step(self) -> float:
        """Seconds from row to row."""
        return self.stride / self.fps

    @property
    def padded_rows(self) -> int:
        """By how many rows extractors differ that pad the ends of a video, or drop them."""
        return 2 + math.ceil((self.window - 1) / self.stride)

    def start_of(self, row: int) -> float:
        """The second at which a row's window starts."""
        return (self.offset + row * self.stride) / self.fps

    def rows_for(self, duration: float) -> int:
        """How many rows a video of `duration` seconds should have: one for each whole window, at least one."""
        frames = duration * self.fps - self.offset
        return max(1, math.floor((frames - self.window) / self.stride + 1e-6) + 1)


@dataclass(frozen=True, slots=True)
class Attributes:
    """What made a store's features. All of it is demanded: features of which this is not known cannot be compared."""

    backbone: str
    weights_sha256: str  # 64 hex digits, or "none" where no weights were used
    decoder: str
    decoder_version: str
    fps: float
    window: int
    stride: int
    offset: int
    dtype: str  # on the disk: float16 or float32
    layer: str
    projection: str  # "none", or what was applied after the layer
    dim: int

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "str" and not (isinstance(value, str) and value.strip() and value.isprintable()):
                raise InputError("not a text", field=field.name, found=value, expected='text on one line ("none")')
            if field.type == "int" and (not isinstance(value, int) or isinstance(value, bool)):
                raise InputError("not a whole number", field=field.name, found=value)
            if field.type == "float" and not isinstance(value, int | float):
                raise InputError("not a number", field=field.name, found=value)
        if not re.fullmatch(rf"[0-9a-f]{{64}}|none|{UNKNOWN}", self.weights_sha256):
            raise InputError("not a sha256", field="weights_sha256", found=self.weights_sha256,
                             expected='64 hex digits, or "none"')  # fmt: skip
        if self.dtype not in DTYPES:
            raise unknown("dtype", self.dtype, DTYPES, field="dtype")
        if self.dim < 1:
            raise InputError("not a dimension", field="dim", found=self.dim, expected="1 or more")
        self.timing  # noqa: B018 - checks its numbers

    @property
    def timing(self) -> Timing:
        """When the rows lie."""
        return Timing(self.fps, self.window, self.stride, self.offset)

    def as_dict(self) -> dict[str, Any]:
        """Plain values by name."""
        return asdict(self)

    @classmethod
    def read(cls, found: Mapping[str, Any], file: Path) -> Attributes:
        """From a file's attributes, or an error that names those that are missing or wrong."""
        names = [field.name for field in fields(cls)]
        if missing := [name for name in names if name not in found]:
            raise InputError(
                "the file does not say what its features are: it lacks the attributes " + ", ".join(missing),
                file=file, hint=BY_HAND,
            )  # fmt: skip
        try:
            return cls(**{name: plain(found[name]) for name in names})
        except InputError as error:
            raise InputError(error.problem, file=file, field=error.field, found=error.found, expected=error.expected,
                             hint=error.hint) from None  # fmt: skip

    @classmethod
    def unstated(cls, timing: Timing, dim: int, dtype: str) -> Attributes:
        """Of features of which only the timing is known, from the user."""
        texts = {field.name: UNKNOWN for field in fields(cls) if field.type == "str"}
        return cls(**{**texts, **asdict(timing), "dtype": dtype, "dim": dim})


def stored_as(dtype: Any) -> str:
    """The name that attributes give to the type of numbers in a file made by others."""
    return DTYPES[0] if np.dtype(dtype).itemsize == 2 else DTYPES[1]


def plain(value: Any) -> Any:
    """A file's attribute as a plain value: HDF5 gives NumPy scalars, and bytes for text of some writers."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value


class Images(Protocol):
    """Whatever hands out the frames that are asked with."""

    @property
    def digest(self) -> str: ...
    def frames(self) -> list[tuple[str, float]]:
        """A video and a second each, sorted."""
        ...

    def image(self, video: str, time: float) -> Image:
        """Regions, boxes and a vector of the whole."""
        ...

    def regions(self, video: str, time: float) -> int:
        """How many regions a frame has."""
        ...


class Described:
    """What has attributes, and by them a dimension and a timing."""

    attributes: Attributes

    @property
    def images(self) -> Images | None:
        """The frames that are asked with, where there are any."""
        return None

    @property
    def stored_as(self) -> str:
        """The type of numbers that holds all of them."""
        return self.attributes.dtype

    def raw(self, video: str, first: int = 0, last: int | None = None) -> Rows:
        """Rows as they lie in the file, be they finite or not."""
        found: Rows = self.read(video, first, last)  # type: ignore[attr-defined]
        return found

    @property
    def dim(self) -> int:
        """Numbers in a row."""
        return self.attributes.dim

    @property
    def timing(self) -> Timing:
        """When the rows lie."""
        return self.attributes.timing


class Provider(Protocol):
    """Whatever hands out features: a store on the disk, a folder of arrays, a world made on the fly."""

    @property
    def dim(self) -> int: ...
    @property
    def timing(self) -> Timing: ...
    @property
    def attributes(self) -> Attributes: ...
    @property
    def digest(self) -> str:
        """`sha256:…`, equal for equal features: the leaderboard's column."""
        ...

    @property
    def images(self) -> Images | None:
        """The frames that are asked with, where there are any."""
        ...

    def ids(self) -> Sequence[str]:
        """The videos, sorted."""
        ...

    def rows(self, video: str) -> int:
        """How many rows a video has."""
        ...

    def read(self, video: str, first: int = 0, last: int | None = None) -> Rows:
        """Rows [first, last) of a video, float32: (rows, dim). `last` beyond the last row is the last row."""
        ...


def check_id(video: str) -> str:
    """An id that can name a dataset, or an error."""
    try:
        size = len(video.encode())
    except UnicodeEncodeError:
        size = 0
    if not 0 < size <= MAX_ID or "/" in video or "\0" in video or video in {".", ".."}:
        raise InputError("this id cannot name a feature dataset", field="id", found=video,
                         expected=f"1 to {MAX_ID} bytes of UTF-8 without / or NUL, neither . nor ..")  # fmt: skip
    return video


def check_array(shape: Sequence[int], dtype: Any, dim: int | None, video: str, file: Path | None = None) -> None:
    """Features are (rows, dim), at least one row, floating point; anything else is an error that names the video."""
    expected = f"(rows, {dim or 'dim'}), at least one row"
    if len(shape) != 2 or shape[0] < 1 or shape[1] != (dim or max(1, shape[1])):
        raise InputError("features of a wrong shape", file=file, field=video, found=tuple(shape), expected=expected)
    if np.dtype(dtype).kind != "f":
        raise InputError("features that are no floating point numbers", file=file, field=video, found=str(dtype))


def check_finite(array: NDArray[Any], video: str, file: Path | None = None) -> None:
    """One NaN ruins a training silently: refuse it here, by row."""
    finite = np.isfinite(array).all(axis=1)  # (rows,)
    if not finite.all():
        raise InputError("features that are not finite", file=file, field=f"{video}, row {int(finite.argmin())}",
                         expected=f"finite numbers in {array.dtype}")  # fmt: skip


def check_slice(video: str, rows: int, first: int, last: int | None, file: Path) -> tuple[int, int]:
    """The rows that were asked for, clamped to those there are; an error where none of them is there."""
    last = rows if last is None else last
    if not 0 <= first < min(last, rows):
        raise InputError("no such rows", file=file, field=video, found=[first, last], expected=f"within [0, {rows})")
    return first, min(last, rows)


def check_grid(samples: Iterable[Sample], features: Provider) -> None:
    """Refuse features whose rows are not those of the samples' grid: 16 frames of each video's own rate.

    Videos of an unusual rate tell: their number of rows fits either the grid or one rate for all. A window that ends
    before its video fits neither, and tells nothing.
    """
    seen: dict[str, tuple[int, float]] = {}
    for sample in samples:
        if sample.grid is not None:
            last = max(sample.grid.video[1], seen.get(sample.video.id, (0, 0.0))[0])
            seen[sample.video.id] = last, sample.grid.step
    if not seen:
        return
    step, there = features.timing.step, set(features.ids())
    steps = sorted(own for _, own in seen.values())
    usual, fits, misses = steps[len(steps) // 2], 0, 0
    for video, (last, own) in seen.items():
        timed, tolerance = round(last * own / step), max(LEAST_TOLERANCE, TOLERANCE * last)
        if video in there and abs(timed - last) > 2 * tolerance:
            fits += abs(features.rows(video) - last) <= tolerance
            misses += abs(features.rows(video) - timed) <= tolerance
    is_one_rate = steps[0] == steps[-1]
    if (
        not 1 / SAME_STEP < step / usual < SAME_STEP
        or abs(features.timing.start_of(0)) > step / 2
        or (is_one_rate and misses > fits)
    ):
        raise InputError(
            "a row of these features is not a row of the manifest's grid", field="timing",
            found=f"{step:g} seconds a row, the first at {features.timing.start_of(0):g}",
            expected=f"about {usual:g}, the first at 0",
        )  # fmt: skip
    if misses > fits:
        raise InputError(
            "these features have one frame rate for all videos, the manifest's grid has each video's own",
            field="timing", expected="rows of 16 frames at the video's own rate",
            hint="Build with --protocol general, whose grid has one step for all.",
        )  # fmt: skip


def allowed_rows(timing: Timing, expected: int) -> float:
    """By how many rows a video may miss what its duration says; a window that is padded at both ends gives more."""
    return max(LEAST_TOLERANCE, TOLERANCE * expected, timing.padded_rows)


def check_rows(
    features: Provider, video: str, duration: float, tolerance_rows: float | None = None, file: Path | None = None
) -> None:
    """Refuse a video whose number of rows does not fit its duration at the features' timing: a wrong stride or fps.

    Real features miss it by a little: a third of the ActivityNet videos differ by up to 7 rows, because durations
    come from another copy of the video and tails are padded or dropped. So 8 rows, or 2 % of a long video, pass.
    """
    timing, found = features.timing, features.rows(video)
    expected = timing.rows_for(duration)
    allowed = allowed_rows(timing, expected) if tolerance_rows is None else tolerance_rows
    if abs(found - expected) > allowed:
        raise misfit(timing, video, found, expected, f"{duration:g} seconds", file, allowed)


def misfit(
    timing: Timing, video: str, found: int, expected: int, told: str, file: Path | None, allowed: float,
    hint: str = "Is the stride or the fps that of the extraction?",
) -> InputError:  # fmt: skip
    """That a video has not the rows that are expected by what is `told` of it."""
    return InputError(
        f"the rows do not fit {told} at fps {timing.fps:g}, window {timing.window} and stride {timing.stride}",
        file=file, field=video, found=found, expected=f"{expected} rows, give or take {allowed:g}", hint=hint,
    )  # fmt: skip

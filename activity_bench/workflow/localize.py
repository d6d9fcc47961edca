"""localize: a question to one's own video. A trained model says where in it the activity of a clip or an image is.

The features are made as those that the model was trained on; run.json says how. A long video is asked in windows of
equally many rows that overlap by half, so that memory does not grow with its length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activity_bench.data import disk
from activity_bench.data.features import Attributes, Timing
from activity_bench.errors import InputError, WorkError
from activity_bench.segments import iou
from activity_bench.types import Prediction, Query, Sample, Window
from activity_bench.workflow import run as runs
from activity_bench.workflow.predict import finished
from activity_bench.workflow.run import MARKER, Progress, silent

with runs.installed("localize"):  # torch is an extra
    from activity_bench.features import cached, cut
    from activity_bench.features.backbones import load_regions
    from activity_bench.features.cached import Asked
    from activity_bench.features.crew import Limits
    from activity_bench.features.images import read_image
    from activity_bench.workflow.answer_page import answer_page
    from activity_bench.workflow.recipe import NONE, AtHand, recipe_of

if TYPE_CHECKING:
    from activity_bench.data.features.images import Image
    from activity_bench.features.backbones import RegionBackbone
    from activity_bench.training.method import TrainedMethod
    from activity_bench.workflow.train import Page

ROWS = 512  # of a window
BATCH = 4  # windows that are read at a time
APART = 0.5  # IoU from which on two answers are one
WEIGHTS = "best.safetensors"  # of a run
UNTRAINED = "the features were made without trained weights"


@dataclass(frozen=True)
class Answer:
    """Where it is, in seconds from the video's first frame."""

    start: float
    end: float
    score: float


@dataclass(frozen=True)
class Localized:
    """The answers, best first, and what they rest on."""

    answers: tuple[Answer, ...]
    model: Path
    method: str
    video: Path
    duration: float
    query: Path
    kind: str  # clip or image
    asked: float  # seconds of the clip
    features: Attributes
    windows: int
    regions: str = ""  # the sha256 of the weights that saw the image

    @property
    def untrained(self) -> bool:
        """Whether the features were made without trained weights: then it shows that all works, and no more."""
        return NONE in (self.features.weights_sha256, self.regions)


@dataclass(frozen=True)
class Outputs:
    """What is written of the answer, if anything."""

    page: Path | None = None  # HTML that stands alone
    cut: Path | None = None  # the best answer as a video
    force: bool = False


def localize(
    model: Path | str,
    video: Path | str,
    *,
    clip: Path | str | None = None,
    image: Path | str | None = None,
    has: AtHand = AtHand(),  # noqa: B008
    top: int = 1,
    rows: int = ROWS,
    cache: Path | str | None = None,
    outputs: Outputs = Outputs(),
    progress: Progress = silent,
    tell: Callable[[str], object] = lambda text: None,
) -> Localized:
    """Where in `video` the activity of `clip`, or of `image`, happens; the best `top` answers of the run `model`.

    >>> localize("run", "video.mp4", clip="clip.mp4", has=AtHand(weights=Path("c3d.pth"))).answers[0].start
    """
    run, video = Path(model), Path(video)
    kind, query = _asked_with(clip, image)
    page = finished(run)
    _check(top, rows, outputs, (video, query, run / WEIGHTS))
    method_class: Any = runs.load_method(page.method.name)
    if method_class.query_kind != kind:
        raise InputError("the model is asked otherwise", file=run / MARKER, field=f"method {page.method.name}",
                         found=f"--{kind}", expected=_option(method_class.query_kind))  # fmt: skip
    recipe = recipe_of(run, has)
    seer, regions = _regions(query, has, recipe.regions) if kind == "image" else (None, None)
    names = {path: disk.sha256(path)[0] for path in ((video,) if regions else (video, query))}
    files = {name: path for path, name in names.items()}
    parts = cached.parts(Path(cache or disk.cache_folder()), recipe.task, recipe.stated, files, Limits(inf), tell)
    own, other = parts[names[video]], None if regions else parts[names[query]]
    # Where rows are of each file's own frames, they lie as the frames of this file do.
    made = replace(recipe.stated, fps=own.fps) if recipe.task.own_rate else recipe.stated
    provider = Asked(own, regions or other or own, made)
    asked = questions(provider, kind, own.seconds, rows)
    method = _loaded(run, page, method_class, provider, has.device)
    method.check_questions(asked)
    answers = merged(method.predict(progress(asked, len(asked), "windows")), top)
    found = Localized(
        answers, run, page.method.name, video, own.seconds, query, kind, other.seconds if other else 0.0, made,
        len(asked), seer.weights_sha256 if seer else "",
    )  # fmt: skip
    _write(found, outputs)
    return found


def questions(features: Asked, kind: str, duration: float, size: int) -> list[Sample]:
    """The question to each window of `size` rows of the video."""
    timing, rows, samples = features.timing, features.rows(Asked.VIDEO), []
    query = Query("image", video=Asked.QUERY, time=0.0)
    if kind == "clip":
        query = Query("clip", video=Asked.QUERY, start=0.0, end=_begins(features.rows(Asked.QUERY), timing))
    for first, last in windows(rows, size):
        start, end = _begins(first, timing), duration if last == rows else _begins(last, timing)
        samples.append(Sample(f"{first}-{last}", query, Window(Asked.VIDEO, start, end), ()))
    return samples


def windows(rows: int, size: int) -> list[tuple[int, int]]:
    """Stretches of `size` rows that overlap by half, or by more at the end; all rows where there are no more."""
    firsts = [*range(0, rows - size, size // 2), max(0, rows - size)]
    return [(first, min(first + size, rows)) for first in firsts]


def _begins(row: int, timing: Timing) -> float:
    """Where the time begins that a row stands for: one step around the middle of its window; the first begins at 0."""
    return max(0.0, timing.start_of(row) + (timing.window - timing.stride) / 2 / timing.fps) if row else 0.0


def merged(predictions: Iterable[Prediction], top: int) -> tuple[Answer, ...]:
    """The best answers of all windows that are not one another's: of two that overlap by half, the better one.

    Scores are compared as they are: a model's score is of rows and segments, and windows have equally many rows.
    """
    every = [Answer(*segment) for prediction in predictions for segment in prediction.segments]
    kept: list[Answer] = []
    for answer in sorted(every, key=lambda answer: (-answer.score, answer.start, answer.end)):
        if len(kept) < top and all(iou(answer.start, answer.end, k.start, k.end) < APART for k in kept):
            kept.append(answer)
    return tuple(kept)


def _loaded(run: Path, page: Page, method_class: Any, provider: Asked, device: str) -> TrainedMethod:
    """The method with the run's best weights."""
    chosen, training = runs.choose(method_class, {**page.method.options, **page.method.training}, page.method.name)
    assert training is not None
    method: TrainedMethod = method_class(chosen, page.method.seed, provider,
                                         replace(training, batch=BATCH, device=device))  # fmt: skip
    method.load(run / WEIGHTS)
    return method


def _regions(query: Path, has: AtHand, known: Mapping[str, str]) -> tuple[RegionBackbone, Image]:
    """Who sees an image's regions, and the regions. `known` is what made those of the training, or nothing."""
    if has.region_weights is None and not has.random_weights:
        which = f", the file with sha256 {known['weights_sha256']}" if "weights_sha256" in known else ""
        raise InputError("an image is asked with as its regions", field="--region-weights",
                         expected=f"weights of {known.get('backbone', has.region_backbone)}{which}")  # fmt: skip
    picture, is_random = read_image(query), has.region_weights is None
    backbone = load_regions(has.region_backbone, has.region_weights, is_random, has.device)
    for name, found in (("backbone", backbone.name), ("weights_sha256", backbone.weights_sha256)):
        if found != known.get(name, found):
            raise InputError("the regions of the model's images were made otherwise", field=name, found=found,
                             expected=known[name])  # fmt: skip
    return backbone, cached.regions_of(picture, backbone)


# ---- what is asked, and what is written -----------------------------------------------------------------------------


def _asked_with(clip: Path | str | None, image: Path | str | None) -> tuple[str, Path]:
    if (clip is None) == (image is None):
        raise InputError("one question at a time", field="--clip, --image", expected="one of the two")
    return ("clip", Path(clip)) if clip is not None else ("image", Path(str(image)))


def _option(kind: str) -> str:
    """How a method is asked here."""
    return {"clip": "--clip FILE", "image": "--image FILE"}.get(kind, "a model that is asked with a clip or an image")


def _check(top: int, rows: int, outputs: Outputs, inputs: tuple[Path, ...]) -> None:
    """What would fail after an hour of work."""
    for name, value, least in (("--top", top, 1), ("--rows", rows, 2)):
        if value < least:
            raise InputError("too few", field=name, found=value, expected=f"{least} or more")
    for path in inputs:
        disk.open_read(path).close()
    if outputs.cut is not None:
        cut.check_format(outputs.cut)
    for out in (outputs.page, outputs.cut):
        if out is None:
            continue
        if out.exists() and any(out.samefile(path) for path in inputs):
            raise InputError("this is what is asked, and would be lost", file=out)
        if out.is_dir():
            raise InputError("this is a folder, and a file is to be written here", file=out)
        if out.is_file() and not outputs.force:
            raise InputError("the file exists", file=out, hint="Use --force to replace it, or name another.")


def _write(found: Localized, outputs: Outputs) -> None:
    if outputs.page is not None:
        with disk.atomic(outputs.page) as stream:
            stream.write(answer_page(found).encode())
    if outputs.cut is not None:
        if not found.answers:
            raise WorkError("there is no answer to cut out", file=outputs.cut)
        cut.cut(found.video, found.answers[0].start, found.answers[0].end, outputs.cut)

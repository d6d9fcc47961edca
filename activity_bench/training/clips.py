"""Trimmed clips whose features are those of the cut clip, and lie from row 0 on, not at the clip's place in its video.

Training lines state the clock of the video that a clip is of (186 to 196 s); who has Kinetics has cut files of ten
seconds. Which of the two a store holds is not written in it, so it is read from its rows, for all clips at once: those
that fit the clip's length and are far too few for its place can only be cut, those that reach its place and are too
many for its length can only be whole. A clip's features bear the video's id, or the name of the cut file as the
ActivityNet devkit writes it, `ID_000186_000196`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from activity_bench.data.features import Provider
from activity_bench.data.features.words import LEAST_TOLERANCE, TOLERANCE, Described, Rows
from activity_bench.errors import InputError
from activity_bench.training.pairs import rows_of
from activity_bench.types import Sample

FAR = 1 << 40  # rows: a place that no video's end bounds


@dataclass(frozen=True, slots=True)
class Clip:
    """One training clip: where in its video it lies, and what there is of its features."""

    video: str
    name: str  # of its features
    start: float
    end: float
    first: int  # row of the video
    length: int  # rows that its seconds have
    rows: int  # rows that are there

    @property
    def fits(self) -> bool:
        """Whether these may be all rows of the clip, and no more."""
        return abs(self.rows - self.length) <= _slack(self.length)

    @property
    def reaches(self) -> bool:
        """Whether the video may have these rows, and the clip is within them."""
        last = self.first + self.length
        return self.name == self.video and last - self.rows <= _slack(last)


class CutClips(Described):
    """Features of videos, and of cut clips at their places in the videos that they are of."""

    def __init__(self, features: Provider, clips: Sequence[Clip]) -> None:
        self.features, self.attributes, self.clips = features, features.attributes, clips
        self._clips: dict[str, list[Clip]] = defaultdict(list)
        for clip in sorted(clips, key=lambda clip: (clip.first, clip.name)):
            self._clips[clip.video].append(clip)
        self._names = {clip.name for clip in clips}

    @property
    def digest(self) -> str:
        """That of the features, wherever their rows lie."""
        return self.features.digest

    def is_cut(self, video: str) -> bool:
        """Whether what there is of a video are cut clips; how long they are was looked at."""
        return video in self._clips

    def ids(self) -> Sequence[str]:
        """The videos, sorted."""
        return sorted((set(self.features.ids()) - self._names) | self._clips.keys())

    def rows(self, video: str) -> int:
        """The row after the last one that is there."""
        if video not in self._clips:
            return self.features.rows(video)
        return max(clip.first + clip.rows for clip in self._clips[video])

    def read(self, video: str, first: int = 0, last: int | None = None) -> Rows:
        """Rows [first, last) of a video, from the clip that has most of them."""
        if video not in self._clips:
            return self.features.read(video, first, last)
        begun = [clip for clip in self._clips[video] if clip.first <= first] or self._clips[video][:1]
        clip = max(begun, key=lambda clip: (min(clip.first + clip.rows, FAR if last is None else last), clip.first))
        return self.features.read(clip.name, first - clip.first, None if last is None else last - clip.first)


def notes(features: Provider) -> str:
    """What a training says of cut clips before its first step, where there are any."""
    if not isinstance(features, CutClips):
        return ""
    short = sum(not clip.fits for clip in features.clips)
    return f"{len(features.clips):,} clips are cut: row 0 of their features is where the clip begins" + (
        f"; {short:,} of them end long before the clip" if short else ""
    )


def placed(samples: Sequence[Sample], features: Provider) -> Provider:
    """The features with every clip of the training lines at its place: as they are, unless the clips are cut."""
    features = features.features if isinstance(features, CutClips) else features
    clips = _clips(samples, features)
    cut = [clip for clip in clips if clip.fits and not clip.reaches]
    whole = [clip for clip in clips if clip.reaches and not clip.fits]
    if cut and whole:
        raise InputError(
            "the features of some clips are those of the cut clip, of others those of the whole video",
            field="--features", expected="row 0 where each clip begins, or where each video begins",
            found=f"{len(cut):,} cut, {cut[0].name} with {cut[0].rows:,} rows; {len(whole):,} whole, {whole[0].name} "
                  f"with {whole[0].rows:,}")  # fmt: skip
    misfits = sum(not clip.fits for clip in clips)
    if whole or not (len(cut) > misfits or _none_reaches(clips)):
        return features
    names = Counter(clip.name for clip in clips)
    for clip in clips:
        if names[clip.name] > 1:
            raise InputError("several clips of this video, and the features of one cut clip", field=clip.name,
                             expected=f"features named {_names(clip.video, clip.start, clip.end)[0]}")  # fmt: skip
        if clip.rows > clip.length and not clip.fits:
            raise InputError("more rows than the cut clip can have", field=clip.name, found=f"{clip.rows:,} rows",
                             expected=f"about {clip.length:,}")  # fmt: skip
    places, videos = {(clip.video, clip.start, clip.end) for clip in clips}, {clip.video for clip in clips}
    for window in (sample.video for sample in samples):
        if window.id in videos and (window.id, window.start, window.end) not in places:
            raise InputError("the features lack this clip of a video of which they have others", field=window.id,
                             found=[window.start, window.end])  # fmt: skip
    return CutClips(features, clips)


def _none_reaches(clips: Sequence[Clip]) -> bool:
    """What is left to tell by where all clips lie so near to the beginning that they fit either way."""
    later = [clip for clip in clips if clip.first]
    return bool(later) and all(clip.fits and clip.rows < clip.first + clip.length for clip in later)


def _clips(samples: Sequence[Sample], features: Provider) -> list[Clip]:
    """The clips whose features are there, but for those of videos that are asked as a whole, too."""
    whole = {sample.video.id for sample in samples if not _is_clip(sample)}
    there, timing = set(features.ids()), features.timing
    found: dict[tuple[str, int, int], Clip] = {}
    for window in (sample.video for sample in samples):
        if window.end is None or window.id in whole:
            continue
        name = next((name for name in _names(window.id, window.start, window.end) if name in there), None)
        if name is not None:
            first = rows_of(window.start, window.end, timing, FAR)[0]
            length = timing.rows_for(window.end - window.start)
            clip = Clip(window.id, name, window.start, window.end, first, length, features.rows(name))
            found[name, first, length] = clip  # a clip may stand in several lines, with a class each
    return list(found.values())


def _is_clip(sample: Sample) -> bool:
    """Whether a line is one of training on a trimmed clip: it has a class of its own, and an end."""
    return sample.query.kind == "classes" and sample.label is not None and sample.video.end is not None


def _names(video: str, start: float, end: float) -> tuple[str, str]:
    """What the features of a clip may be called; where both are there, the clip's own."""
    return f"{video}_{int(start):06d}_{int(end):06d}", video


def _slack(rows: int) -> float:
    return max(LEAST_TOLERANCE, TOLERANCE * rows)

"""The one door to video files: frames in order, at stated times, the same pixels whichever decoder reads them.

Frames are counted by decoding them. Times are the stamps of the file, from its first frame on: edit lists are
honoured, a late start is removed, and a rotation is applied. A broken file gives what decodes, then its error.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

from activity_bench.errors import unknown
from activity_bench.features import decord, pyav, torchcodec
from activity_bench.features.frames import KINDS, MOST_PIXELS, Frame, Image, Look, Shown, Stated, Undecodable

__all__ = ["DECODERS", "KINDS", "Frame", "Image", "Look", "Reading", "Stated", "Undecodable", "read", "stated"]

DECODERS = ("auto", "pyav", "decord", "torchcodec")
SLACK = 1e-3  # seconds by which a stamp may be late: Matroska and FLV round to the millisecond
EARLY = 0.05, 1.0  # of the promised duration, and seconds: frames that end earlier by both were cut off
LONGEST = 3600.0  # seconds without a frame; a stamp beyond is broken, and would be filled up with frames


def stated(path: Path) -> Stated:
    """What the header of a file says, of the stream that is read."""
    return pyav.stated(Path(path), MOST_PIXELS)


class Reading(Iterator[Frame]):
    """The frames of one video, in one pass; `count` is right when they are at an end."""

    def __init__(self, path: Path, look: Look, decoder: str, most_pixels: int) -> None:
        if decoder not in DECODERS:
            raise unknown("decoder", decoder, DECODERS, field="decoder")
        self.path = Path(path)
        self.stated = pyav.stated(self.path, most_pixels)
        rate = look.fps or self.stated.fps
        if not rate:
            raise Undecodable("no frame rate", self.path, why="say which one to resample to")
        self.fps, self.count = rate, 0
        # What a decoder is known to read wrongly goes to PyAV, and `decoder` says so.
        if decoder == "decord" and decord.reads(self.stated):
            self.decoder, self.decoder_version = decord.NAME, decord.version()
            frames = decord.shown(self.path, look, self.stated)
        elif decoder == "torchcodec" and torchcodec.reads(self.stated):
            self.decoder, self.decoder_version = torchcodec.NAME, torchcodec.version()
            frames = torchcodec.shown(self.path, look, self.stated)
        else:
            self.decoder, self.decoder_version = pyav.NAME, pyav.version()
            frames = pyav.shown(self.path, look, most_pixels)
        frames = whole(frames, self.stated.promised, self.path)
        self._frames = own(frames) if look.fps is None else resampled(frames, look.fps, self.path)

    def __next__(self) -> Frame:
        try:
            frame = next(self._frames)
        except StopIteration:
            if not self.count:
                raise Undecodable("no frames", self.path) from None
            raise
        self.count += 1
        return frame

    def close(self) -> None:
        """Let go of the file before its end."""
        self._frames.close()


def read(path: Path, look: Look = Look(), decoder: str = "auto", most_pixels: int = MOST_PIXELS) -> Reading:  # noqa: B008
    """Open a video. `auto` is PyAV; another decoder is taken at its word but for the files that it reads wrongly."""
    return Reading(path, look, decoder, most_pixels)


def whole(frames: Iterable[Shown], promised: float, path: Path) -> Iterator[Shown]:
    """The frames, and an error behind them if they end well before the stream was to end."""
    end = 0.0
    for frame in frames:
        end = frame.time + frame.lasts
        yield frame
    if promised - end > max(EARLY[0] * promised, EARLY[1]) and end:
        raise Undecodable("cut off", path, found=f"frames up to {end:.2f} s", expected=f"{promised:.2f} s, as stated")


def own(frames: Iterable[Shown]) -> Generator[Frame, None, None]:
    """The frames of the file, each once."""
    for frame in frames:
        yield Frame(frame.time, frame.picture())


def resampled(frames: Iterable[Shown], fps: float, path: Path) -> Generator[Frame, None, None]:
    """Frame `k` is the one that is shown at `k / fps`, from the first frame to the end of the last.

    Only pictures that are shown are made; one that is shown several times is made once and handed out again.
    """
    held: Shown | None = None
    image: Image | None = None
    failure: Undecodable | None = None
    count = 0
    frames = iter(frames)
    while True:
        try:
            frame = next(frames, None)
        except Undecodable as error:  # the frame before it is shown all the same
            frame, failure = None, error
        if held is not None:
            until = held.time + held.lasts if frame is None else frame.time
            if until - held.time > LONGEST:
                raise Undecodable("corrupt", path, why=f"no frame for {until - held.time:.0f} s")
            while count / fps < until - SLACK or count == 0:
                image = held.picture() if image is None else image
                yield Frame(count / fps, image)
                count += 1
        if frame is None:
            break
        held, image = frame, None
    if failure is not None:
        raise failure

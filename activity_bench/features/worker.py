"""A worker of an extraction: a process that decodes one video after the other and writes its features.

It is told a task, then one video a line, and answers each with a line (JSON both). A fault of a video is an answer; a
fault of the program ends the process, and its parent starts another. It dies with its parent, whatever it is doing.
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from activity_bench.data.features import Attributes, PartsWriter
from activity_bench.errors import BenchError, InputError
from activity_bench.features import decord, pyav, torchcodec
from activity_bench.features.decode import Undecodable, read
from activity_bench.features.flow import flows
from activity_bench.features.units import PRESETS, Units, clips

if TYPE_CHECKING:
    from activity_bench.features.backbones import Backbone

VERSIONS = {"auto": pyav, "pyav": pyav, "decord": decord, "torchcodec": torchcodec}
FLOW = "i3d-flow"  # reads how the pictures move
OWN_RATE = ", frames of the file"  # after the decoder's name: features made otherwise cannot be put beside them
FPS = 25.0  # where neither the call nor the preset says one
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Task:
    """What a job asks of all its workers; plain values, since they travel as JSON."""

    file: str
    backbone: str  # a name of BACKBONES, or module:attribute, called with (weights, random_weights, device)
    weights: str | None = None
    random_weights: bool = False
    device: str = "cpu"
    batch: int = 8  # clips of one video that go through the backbone together
    decoder: str = "auto"
    units: str | None = None  # a preset; the backbone's own where none is named
    fps: float | None = None
    window: int | None = None
    stride: int | None = None
    own_rate: bool = False  # the frames of each file as they are; `fps` is what the features state all the same
    dtype: str = "float32"


class Extractor:
    """One backbone at work: the attributes of all that it makes, and the features of a video."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.backbone = backbone_of(task)
        self.units = units_of(task, self.backbone.window)
        decoder = VERSIONS[task.decoder]
        assert self.units.fps is not None
        self.attributes = Attributes(
            backbone=self.backbone.name, weights_sha256=self.backbone.weights_sha256, layer=self.backbone.layer,
            decoder=decoder.NAME + OWN_RATE * task.own_rate, decoder_version=decoder.version(),
            fps=self.units.fps, window=self.units.window, stride=self.units.stride, offset=0,
            dtype=task.dtype, projection="none", dim=self.backbone.dim,
        )  # fmt: skip
        if self.backbone.name == FLOW:
            next(flows([]), None)  # says now where OpenCV is not installed
        self._writer = PartsWriter(Path(task.file), self.attributes)
        self._look = replace(self.backbone.look, fps=None if task.own_rate else self.units.fps)

    def answer(self, video: str, path: Path) -> dict[str, Any]:
        """Make one video's features durable; what came of it."""
        try:
            features, notes = self._features(path)
        except Undecodable as error:
            return {"kind": error.kind, "message": str(error)}
        except MemoryError:
            return {"kind": "memory", "message": f"{path}: out of memory"}
        try:
            self._writer.write(video, features, notes)
        except InputError as error:  # not finite, for one: the video's fault; what the disk refuses is the job's
            return {"kind": "features", "message": str(error)}
        return {"rows": len(features)}

    def _features(self, path: Path) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """(rows, dim), and what else is known of them."""
        import torch

        reading = read(path, self._look, self.task.decoder)
        pictures: Iterator[NDArray[np.uint8]] = (frame.image for frame in reading)
        if self.backbone.name == FLOW:
            pictures = flows(pictures)
        found = [np.empty((0, self.backbone.dim), np.float32)]
        with torch.inference_mode():
            for batch in _batches(clips(pictures, self.units), self.task.batch):
                stacked = torch.from_numpy(np.stack(batch))  # (b, window, H, W, 3), or 2 of flow
                found.append(self.backbone(stacked).float().cpu().numpy())  # (b, dim)
        notes = {"frames": reading.count, "fps": reading.fps, "decoder": reading.decoder}
        return np.concatenate(found), notes


def backbone_of(task: Task) -> Backbone:
    """The backbone of a task: one of the house's by its name, anybody's as module:attribute."""
    import torch

    from activity_bench.features.backbones import FOREIGN, load

    torch.set_num_threads(1)  # a process for each core; and sums do not depend on how many there are
    given = None if task.weights is None else Path(task.weights)
    module, colon, attribute = task.backbone.partition(":")
    made: Any
    if not colon or module in FOREIGN:
        made = load(task.backbone, given, task.random_weights, task.device)
    else:
        try:
            make = getattr(import_module(module), attribute)
            made = make(given, task.random_weights, task.device)
        except (ImportError, AttributeError, TypeError) as error:
            raise InputError(f"no such backbone: {error}", field="--backbone", found=task.backbone,
                             expected="a name, or module:attribute") from None  # fmt: skip
    backbone: Backbone = made
    return backbone


def units_of(task: Task, window: int | None) -> Units:
    """The preset that is named, or that the backbone is known by, with what the call says otherwise."""
    family = task.units or next((name for name in ("c3d", "i3d") if task.backbone.startswith(name)), None)
    preset = PRESETS[family] if family else None
    stride = task.stride or (preset.stride if preset else task.window or window)
    frames = task.window or (preset.window if preset else window)
    if frames is None or stride is None:
        raise InputError("this backbone has no units of its own", field="--window", expected="frames of a unit",
                         hint="Give --window and --stride, in frames.")  # fmt: skip
    if window is not None and frames != window:
        raise InputError(f"{task.backbone} reads units of another length", field="--window", found=frames,
                         expected=str(window))  # fmt: skip
    return Units(task.fps or (preset.fps if preset else None) or FPS, frames, stride, preset.tail if preset else "pad")


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch


def main(parent: int) -> None:
    """Serve the process `parent` until it closes our standard input, or dies."""
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all of a terminal: the parent ends us
    orders = _orders(asked, parent)
    task = Task(**orders.get())
    try:
        extractor = Extractor(task)
    except BenchError as error:
        return _say(answers, {"error": str(error), "code": error.exit_code})
    _say(answers, {"ready": extractor.attributes.as_dict()})
    while True:
        order = orders.get()
        try:
            _say(answers, extractor.answer(order["video"], Path(order["path"])))
        except BenchError as error:  # the disk is full: no other video will fare better
            return _say(answers, {"error": str(error), "code": error.exit_code})


def _say(answers: BinaryIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()


def _orders(asked: BinaryIO, parent: int) -> queue.SimpleQueue[dict[str, Any]]:
    """The lines of our input as they come. With its end we end, which is how a parent's death shows everywhere; on
    Linux the kernel ends us, too: native code that hangs lets no thread of ours run.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)
    orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def listen() -> None:
        for line in asked:
            orders.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    return orders


if __name__ == "__main__":
    main(int(sys.argv[1]))

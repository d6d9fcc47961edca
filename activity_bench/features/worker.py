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
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from activity_bench.data.features import Attributes, PartsWriter
from activity_bench.data.features.parts import part_name
from activity_bench.errors import BenchError, InputError
from activity_bench.features import decord, projection, pyav, torchcodec
from activity_bench.features.decode import Undecodable, read
from activity_bench.features.distant import Distant
from activity_bench.features.flow import flows
from activity_bench.features.units import PRESETS, Units, batches, own_room

if TYPE_CHECKING:
    from activity_bench.features.backbones import Backbone

VERSIONS = {"auto": pyav, "pyav": pyav, "decord": decord, "torchcodec": torchcodec}
FLOW = "i3d-flow"  # reads how the pictures move
# After the decoder's name: features made otherwise cannot be put beside them.
OWN_RATE, NO_CROP = ", frames of the file", ", whole pictures"
FPS = 25.0  # where neither the call nor the preset says one
BF16 = ", bf16"  # after the layer's
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
    no_crop: bool = False  # whole pictures, squeezed to the size of the backbone's crop
    dtype: str = "float32"
    projection: str | None = None  # a file of principal components
    bf16: bool = False
    compile: bool = False
    one_network: bool = False  # one process holds the network, and batches clips of several workers


class Extractor:
    """One backbone at work: the attributes of all that it makes, and the features of a video."""

    def __init__(self, task: Task, network: int | None = None) -> None:
        self.task = task
        self.backbone: Backbone | Distant = backbone_of(task) if network is None else Distant(network)
        self.units = units_of(task, self.backbone.window)
        decoder = VERSIONS[task.decoder]
        assert self.units.fps is not None
        raw = Attributes(
            backbone=self.backbone.name, weights_sha256=self.backbone.weights_sha256,
            layer=self.backbone.layer + BF16 * task.bf16,
            decoder=decoder.NAME + OWN_RATE * task.own_rate + NO_CROP * task.no_crop,
            decoder_version=decoder.version(),
            fps=self.units.fps, window=self.units.window, stride=self.units.stride, offset=0,
            dtype=task.dtype, projection="none", dim=self.backbone.dim,
        )  # fmt: skip
        self._projection = projection.read(Path(task.projection)) if task.projection else None
        self.attributes = self._projection.attributes(raw) if self._projection else raw
        if self.backbone.name == FLOW:
            next(flows([]), None)  # says now where OpenCV is not installed
        self._writer = PartsWriter(Path(task.file), self.attributes)
        look = self.backbone.look.squeezed() if task.no_crop else self.backbone.look
        self._look = replace(look, fps=None if task.own_rate else self.units.fps)

    def answer(self, video: str, path: Path) -> dict[str, Any]:
        """Make one video's features durable; of what kind its fault is, where there is one."""
        if (self._writer.folder / part_name(video)).exists():  # by a worker that was killed before it could say so
            return {}
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
        return {}

    def _features(self, path: Path) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """(rows, dim), and what else is known of them."""
        reading = read(path, self._look, self.task.decoder)
        pictures: Iterator[NDArray[np.uint8]] = (frame.image for frame in reading)
        if self.backbone.name == FLOW:
            pictures = flows(pictures)
        found = [np.empty((0, self.attributes.dim), np.float32)]
        room = self.backbone.room if isinstance(self.backbone, Distant) else own_room
        for batch in batches(pictures, self.units, self.task.batch, room):
            rows = rows_of(self.backbone, batch)  # (b, dim)
            found.append(self._projection(rows) if self._projection else rows)
        notes = {"bytes": path.stat().st_size, "frames": reading.count, "fps": reading.fps, "decoder": reading.decoder}
        return np.concatenate(found), notes


def backbone_of(task: Task) -> Backbone:
    """The backbone of a task: one of the house's by its name, anybody's as module:attribute."""
    import torch

    from activity_bench.features.backbones import FOREIGN, load, of_your_own

    torch.set_num_threads(1)  # a process for each core; and sums do not depend on how many there are
    given = None if task.weights is None else Path(task.weights)
    family, colon, _ = task.backbone.partition(":")
    made: Any
    if not colon or family in FOREIGN:
        made = load(task.backbone, given, task.random_weights, task.device, task.bf16)
    elif task.bf16:
        raise InputError("a backbone of your own chooses its numbers itself", field="--bf16", found=task.backbone)
    else:
        made = of_your_own(task.backbone, given, task.random_weights, task.device)
    if task.compile:
        if not hasattr(made, "network"):
            raise InputError("this backbone shows no network to compile", field="--compile", found=task.backbone)
        made.network.compile()
    backbone: Backbone = made
    return backbone


def rows_of(backbone: Backbone | Distant, stacked: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(b, window, H, W, 3), or 2 of flow -> (b, dim)"""
    if isinstance(backbone, Distant):
        return backbone(stacked)
    import torch

    with torch.inference_mode():
        rows: NDArray[np.float32] = backbone(torch.from_numpy(stacked)).float().cpu().numpy()
    return rows.copy()  # torch's own small block, kept among large ones that are freed, held on to 50 KB a row


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


def main(parent: int, network: int | None = None) -> None:
    """Serve the process `parent` until it closes our standard input, or dies; `network` is a pipe to one."""
    orders, answers = serving(parent)
    task = Task(**orders.get())
    try:
        extractor = Extractor(task, network)
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


def serving(parent: int) -> tuple[queue.SimpleQueue[dict[str, Any]], BinaryIO]:
    """The lines of our input as they come, and where answers go. With the input's end we end, which is how a parent's
    death shows everywhere; on Linux the kernel ends us, too: native code that hangs lets no thread of ours run.
    """
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all of a terminal: the parent ends us
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
    return orders, answers


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

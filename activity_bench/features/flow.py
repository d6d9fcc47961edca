"""Optical flow between frames: TV-L1, of OpenCV's contributed modules, as the flow networks were trained on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from activity_bench.errors import InputError
from activity_bench.features.frames import Image

FARTHEST = 20.0  # pixels: a byte reaches from -20 to 20
ZERO, UNIT = 128.0, 127.5 / FARTHEST  # the byte of no motion, and how many more a pixel to the right or down is
HINT = "pip install 'activity-bench[flow]'"


def flows(frames: Iterable[Image]) -> Iterator[NDArray[np.uint8]]:
    """How the picture moves from each frame to the next, as bytes (H, W, 2): to the right, and down.

    As many as there are frames, so that rows lie where those of the colours do: the last one is given twice, and that
    of a single frame is no motion.
    """
    engine, grey = _engine()
    before, flow = None, None
    for frame in frames:
        now = grey(frame)  # (H, W)
        if before is not None:
            flow = as_bytes(engine.calc(before, now, None))
            yield flow
        before = now
    if before is not None:
        yield np.full((*before.shape, 2), ZERO, np.uint8) if flow is None else flow


def as_bytes(pixels: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Motion in pixels as bytes; farther than 20 is 20."""
    return np.asarray(np.clip(np.rint(ZERO + UNIT * pixels), 0, 255), np.uint8)


def _engine() -> tuple[Any, Any]:
    """TV-L1 with OpenCV's own parameters, and RGB to grey."""
    try:
        cv2: Any = import_module("cv2")
        engine = cv2.optflow.DualTVL1OpticalFlow_create()
    except (ImportError, AttributeError):  # the plain build of OpenCV has no `optflow`
        raise InputError("optical flow needs OpenCV's contrib build", field="cv2", hint=HINT) from None
    cv2.setNumThreads(1)  # a worker has one core
    return engine, lambda frame: cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)

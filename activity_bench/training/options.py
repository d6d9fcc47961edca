"""What the engine can be told; a method may have other defaults. `--set key=value` sets these and the method's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from activity_bench.errors import InputError


def _help(text: str) -> dict[str, str]:
    return {"help": text}


@dataclass(frozen=True)
class TrainOptions:
    """How a network is trained, and on what."""

    batch: int = field(default=128, metadata=_help("pairs a step, of all processes together"))
    steps: int = field(default=1000, metadata=_help("steps in all"))
    epochs: int = field(
        default=0, metadata=_help("passes over the training pairs at most; 0: any, as where steps are given by hand")
    )
    lr: float = field(default=1e-3, metadata=_help("Adam's learning rate"))
    schedule: Literal["constant", "cosine", "drop"] = field(default="constant", metadata=_help("of the learning rate"))
    warmup: int = field(default=0, metadata=_help("steps in which the rate rises from 0"))
    drop_every: int = field(default=200, metadata=_help("schedule=drop: steps between drops"))
    drop_by: float = field(default=10.0, metadata=_help("schedule=drop: what the rate is divided by"))
    clip: float = field(default=5.0, metadata=_help("the gradient's largest norm; 0 for any"))
    ema: float = field(default=0.0, metadata=_help("decay of the averaged weights; 0 for none"))
    bucket: int = field(default=30, metadata=_help("rows: windows of a batch are alike in length to this"))
    rows: int = field(
        default=0, metadata=_help("rows read of a window at most, evenly spread over a longer one; 0: all")
    )
    redraw: bool = field(default=True, metadata=_help("draw new training pairs each epoch"))
    augment: float = field(default=0.9, metadata=_help("chance that a window loses a random lead and tail"))
    validate_every: int = field(default=100, metadata=_help("steps between validations, each with a checkpoint"))
    patience: int = field(default=0, metadata=_help("validations without a better one before it stops; 0: never"))
    log_every: int = field(default=10, metadata=_help("steps between rows of metrics.csv"))
    workers: int = field(default=2, metadata=_help("processes that read features ahead; 0: none"))
    device: str = field(default="auto", metadata=_help("auto, cpu, cuda, cuda:1, mps"))
    precision: Literal["float32", "bf16"] = field(default="float32", metadata=_help("of the forward pass in training"))
    compile: bool = field(default=False, metadata=_help("compile the network"))
    tensorboard: bool = field(default=False, metadata=_help("write TensorBoard's event files, too"))

    def __post_init__(self) -> None:
        for name, low, high in BOUNDS:
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError("out of range", field=name, found=value, expected=f"{low:g} to {high:g}")
        if self.drop_by <= 1 or self.ema >= 1 or self.lr <= 0:
            name = "drop_by" if self.drop_by <= 1 else "ema" if self.ema >= 1 else "lr"
            expected = {"drop_by": "above 1", "ema": "below 1", "lr": "above 0"}[name]
            raise InputError("out of range", field=name, found=getattr(self, name), expected=expected)


MANY = 1_000_000_000
BOUNDS = (
    ("batch", 1, 1_000_000), ("steps", 0, MANY), ("epochs", 0, MANY), ("lr", 0, 1000), ("warmup", 0, MANY),
    ("drop_every", 1, MANY), ("drop_by", 1, 1_000_000), ("clip", 0, 1e9), ("ema", 0, 1), ("bucket", 1, MANY),
    ("rows", 0, MANY), ("augment", 0, 1), ("validate_every", 1, MANY), ("patience", 0, MANY), ("log_every", 1, MANY),
    ("workers", 0, 256),
)  # fmt: skip

# What may differ when a run goes on: how far, and on what machine. All else is what the run is.
MAY_CHANGE = ("steps", "epochs", "device", "workers", "precision", "compile", "tensorboard")

"""What a training leaves in its folder, so that it can be killed at any moment and go on to the same bits.

- `last.safetensors`, `best.safetensors`: weights to predict with (the averaged ones, where they are averaged), with the
  sha256 of what the file would be without it.
- `state-STEP.safetensors`: weights, averaged weights and Adam's moments of that step; `state.json` names it, with its
  sha256, and holds the counters. It is written last: whatever a kill leaves behind, the state that it names is whole.
- `metrics.csv`: a row every few steps.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import safetensors
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from activity_bench.data import canonical, disk
from activity_bench.errors import InputError

FORMAT = 1
OURS = ("run.json", "state.json", "*.safetensors", "metrics.csv", "nonfinite.json", "tensorboard",
        "predictions.jsonl", "report.json", "classes.json", "round-*", ".*.tmp-*")  # fmt: skip
SUM = "sha256"  # in the head of a file of weights
Tensors = Mapping[str, Tensor]


@dataclass
class State:
    """The counters of a training."""

    step: int = 0  # steps done
    best: float | None = None  # the best validation, and after which step
    best_step: int = 0
    stale: int = 0  # validations since then
    seconds: float = 0.0


class _Page(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    step: int
    best: float | None
    best_step: int
    stale: int
    seconds: float
    tensors: str
    sha256: str


class Folder:
    """The folder of one training."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def save(self, state: State, weights: Tensors, resume: Tensors) -> None:
        """A checkpoint: the state is replaced as a whole, and what the older one needed is removed after that."""
        name, data = f"state-{state.step}.safetensors", save(_plain(resume))
        _write(self.path / name, data)
        self.weights("last", weights)
        page = {"format": FORMAT, **asdict(state), "tensors": name, "sha256": sha256(data).hexdigest()}
        _write(self.path / "state.json", canonical.page(page))
        for old in self.path.glob("state-*.safetensors"):
            if old.name != name:
                old.unlink(missing_ok=True)

    def weights(self, name: str, weights: Tensors) -> None:
        """`best` or `last`."""
        own = _plain(weights)
        _write(self.path / f"{name}.safetensors", save(own, {SUM: _sum(own)}))

    def state(self) -> tuple[State, dict[str, Tensor]] | None:
        """The latest state and its tensors; None where none was saved yet."""
        path = self.path / "state.json"
        if not path.exists():
            return None
        page: _Page = canonical.read_page(disk.read_bytes(path), path, _Page)
        whole = page.format == FORMAT and page.tensors.startswith("state-") and "/" not in page.tensors
        if not whole or min(page.step, page.best_step, page.stale) < 0:
            raise InputError("not a state of a training", file=path, expected=f"format {FORMAT}, tensors in state-…, "
                             "no count below 0")  # fmt: skip
        if disk.sha256(self.path / page.tensors)[0] != page.sha256:
            raise InputError("not the file that state.json was written for: its sha256 differs",
                             file=self.path / page.tensors, expected=page.sha256)  # fmt: skip
        with whole_file(self.path / page.tensors):
            tensors = load_file(self.path / page.tensors)
        return State(page.step, page.best, page.best_step, page.stale, page.seconds), tensors

    def log(self, row: Mapping[str, Any]) -> None:
        """One more row of metrics.csv."""
        path = self.path / "metrics.csv"
        text = io.StringIO()
        writer = csv.DictWriter(text, list(row), lineterminator="\n")
        if not path.exists():
            writer.writeheader()
        writer.writerow(row)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(text.getvalue())

    def forget_after(self, step: int) -> None:
        """Drop what a run that was killed left half-written, and the rows of metrics.csv that come after `step`."""
        for draft in self.path.glob(".*.tmp-*"):
            draft.unlink(missing_ok=True)
        path = self.path / "metrics.csv"
        if path.exists():
            head, *rows = path.read_bytes().splitlines(keepends=True) or [b""]
            steps = {row: row.partition(b",")[0] for row in rows if row.endswith(b"\n")}
            _write(path, b"".join([head, *(row for row, n in steps.items() if n.isdigit() and int(n) <= step)]))


def read_weights(path: Path, network: nn.Module) -> dict[str, Tensor]:
    """The weights in a file, if they are those of such a network: names and shapes are looked at before any is read."""
    with disk.open_read(path):  # a missing file, a folder: said in the words of every other reader
        pass
    wanted = shapes(network.state_dict())
    with whole_file(path), safetensors.safe_open(path, "pt") as file:
        found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        check_shapes(found, wanted, path)
        weights, noted = {name: file.get_tensor(name) for name in wanted}, (file.metadata() or {}).get(SUM)
    if noted not in (None, _sum(weights)):  # None: of other hands
        raise InputError("not the weights that were written: their sha256 differs", file=path, expected=noted,
                         hint="Train again, or get the file again.")  # fmt: skip
    return weights


@contextmanager
def whole_file(path: Path) -> Iterator[None]:
    """What safetensors says of a damaged file, as an error of ours."""
    try:
        yield
    except safetensors.SafetensorError as error:
        raise InputError(f"not a whole file of weights: {error}", file=path) from None


def shapes(tensors: Tensors) -> dict[str, tuple[int, ...]]:
    """Name -> shape."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def check_shapes(found: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    """The tensors of a file are those of the network, or the first that is not is named."""
    for name in [*wanted, *found]:
        if found.get(name) != wanted.get(name):
            raise InputError("the weights of another model", file=path, field=name, found=found.get(name, "none"),
                             expected=str(wanted.get(name, "none")))  # fmt: skip


def flat(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's tensors by name: `adam.3.exp_avg` belongs to the fourth weight."""
    state = optimiser.state_dict()["state"]
    return {f"adam.{place}.{name}": tensor for place, moments in state.items() for name, tensor in moments.items()}


def restore(optimiser: torch.optim.Optimizer, tensors: Tensors, path: Path) -> None:
    """Give an optimiser the tensors that `flat` took. A weight that no gradient reaches has none."""
    own = {key: tensor for key, tensor in tensors.items() if key.startswith("adam.")}
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    wanted: dict[str, tuple[int, ...]] = {}
    for place, weight in enumerate(weights):
        like = {"step": (), "exp_avg": tuple(weight.shape), "exp_avg_sq": tuple(weight.shape)}
        if any(f"adam.{place}.{name}" in own for name in like):
            wanted |= {f"adam.{place}.{name}": shape for name, shape in like.items()}
            state[place] = {name: own[f"adam.{place}.{name}"] for name in like if f"adam.{place}.{name}" in own}
    check_shapes(shapes(own), wanted, path)
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _sum(weights: dict[str, Tensor]) -> str:
    return sha256(save(weights)).hexdigest()


def _plain(tensors: Tensors) -> dict[str, Tensor]:
    """Copies on the CPU that share no memory, as safetensors wants them."""
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}


def _write(path: Path, data: bytes) -> None:
    with disk.atomic(path) as stream:
        stream.write(data)

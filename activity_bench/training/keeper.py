"""What the loop leaves to others: the averaged weights, validation, the best of them, checkpoints and logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from activity_bench.data import canonical
from activity_bench.data.disk import atomic
from activity_bench.data.features import Provider
from activity_bench.errors import WorkError
from activity_bench.training import checkpoint
from activity_bench.training.batches import collate
from activity_bench.training.checkpoint import Folder, State
from activity_bench.training.distributed import Processes
from activity_bench.training.inference import answers, ious
from activity_bench.training.options import TrainOptions
from activity_bench.training.pairs import Pair
from activity_bench.training.plan import Collate, Steps
from activity_bench.training.watch import Progress, Silent, Watch


@dataclass
class Job:
    """What is to be trained, on what, and where it is kept."""

    network: nn.Module
    plan: Steps
    val: Sequence[Pair]  # with targets; where there are none, nothing is validated
    features: Provider
    seed: int
    device: torch.device
    folder: Folder | None = None
    processes: Processes = field(default_factory=Processes)
    watch: Watch = field(default_factory=Silent)
    collate: Collate = collate

    @property
    def options(self) -> TrainOptions:
        """Those that the plan was made for."""
        return self.plan.options


class Keeper:
    """Keeps the books of one training."""

    def __init__(self, job: Job, optimiser: torch.optim.Optimizer) -> None:
        self.job, self.optimiser = job, optimiser
        self.latest: float | None = None  # validation
        self._best: dict[str, Tensor] | None = None
        follow = 1 - job.options.ema
        self._averaged = (
            AveragedModel(job.network, avg_fn=lambda old, new, _: old.lerp(new, follow)) if job.options.ema else None
        )
        self._board: Any = None

    @property
    def network(self) -> nn.Module:
        """The network to answer with."""
        return self.job.network if self._averaged is None else self._averaged.module

    def average(self) -> None:
        """The weights have moved: the averaged ones follow."""
        if self._averaged is not None:
            self._averaged.update_parameters(self.job.network)

    def last_step(self, state: State) -> int:
        """Where this training ends, as far as is known: here, if it has not become better for long enough."""
        patience = self.job.options.patience
        return state.step if patience and state.stale >= patience else self.job.options.steps

    # ---- keeping and going on ---------------------------------------------------------------------------------------

    def resume(self) -> State:
        """The state in the folder, its tensors given back; a fresh one where there is none."""
        folder, network = self.job.folder, self.network
        if folder is not None and self.job.processes.writes:
            folder.path.mkdir(parents=True, exist_ok=True)
        found = folder.state() if folder else None
        state, tensors = found or (State(), {})
        if folder is not None and found:
            self._restore(tensors, folder)
        if folder is not None and state.best is not None:
            self._best = checkpoint.read_weights(folder.path / "best.safetensors", network)
            self.latest = state.best
        if folder is not None and self.job.processes.writes:
            folder.forget_after(state.step)
            if self.job.options.tensorboard:
                from torch.utils.tensorboard import SummaryWriter  # an extra

                self._board = SummaryWriter(str(folder.path / "tensorboard"), purge_step=state.step + 1)
        return state

    def _restore(self, tensors: Mapping[str, Tensor], folder: Folder) -> None:
        modules = {"weights.": self.job.network} | ({"averaged.": self._averaged} if self._averaged else {})
        for prefix, module in modules.items():
            own = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
            wanted = checkpoint.shapes(module.state_dict())
            checkpoint.check_shapes(checkpoint.shapes(own), wanted, folder.path / "state.json")
            module.load_state_dict(own)
        checkpoint.restore(self.optimiser, tensors, folder.path / "state.json")

    def save(self, state: State) -> None:
        """A checkpoint, if there is a folder and this process writes."""
        if self.job.folder is None or not self.job.processes.writes:
            return
        tensors = {f"weights.{name}": tensor for name, tensor in self.job.network.state_dict().items()}
        if self._averaged is not None:
            tensors |= {f"averaged.{name}": tensor for name, tensor in self._averaged.state_dict().items()}
        self.job.folder.save(state, self.network.state_dict(), tensors | checkpoint.flat(self.optimiser))

    def best_weights(self) -> dict[str, Tensor]:
        """Those of the best validation, or the last ones where nothing was validated; kept as `best`."""
        return self._best or self._keep_best()

    def _keep_best(self) -> dict[str, Tensor]:
        """The weights of now are the best."""
        self._best = {name: tensor.detach().cpu().clone() for name, tensor in self.network.state_dict().items()}
        if self.job.folder is not None and self.job.processes.writes:
            self.job.folder.weights("best", self._best)
        return self._best

    # ---- looking ----------------------------------------------------------------------------------------------------

    def validate(self, state: State) -> None:
        """The mean IoU on the validation pairs; the weights are kept if it is the best so far."""
        job = self.job
        if not job.val:
            return
        own = job.val[job.processes.rank :: job.processes.count]
        found = ious(answers(self.network, own, job.features, job.device, job.plan.size), own)
        total, count = job.processes.sums([sum(found), len(found)], job.device)
        self.latest = total / count
        if state.best is None or self.latest > state.best:
            state.best, state.best_step, state.stale = self.latest, state.step, 0
            self._keep_best()
        else:
            state.stale += 1

    def log(self, state: State, values: Mapping[str, float], validated: bool) -> None:
        """A row of metrics.csv, and TensorBoard's points."""
        if self.job.folder is None or not self.job.processes.writes:
            return
        shown = self.latest if validated else None
        row = {"step": state.step, "epoch": (state.step - 1) // self.job.plan.epoch_steps, **values,
               "val_mIoU": "" if shown is None else shown, "seconds": state.seconds}  # fmt: skip
        self.job.folder.log(row)
        if self._board is not None:
            for name, value in row.items():
                if name != "step" and value != "":
                    self._board.add_scalar(name, value, state.step)

    def show(self, progress: Progress) -> None:
        """Tell who watches."""
        if self.job.processes.writes:
            self.job.watch.step(progress)

    def not_finite(self, state: State, loss: float, gradient: float) -> WorkError:
        """The last good state is kept, and the batch that broke it is named."""
        self.save(state)
        ids = [item.id for item in self.job.plan.batch(state.step)]  # of all processes: which one broke is not known
        hint = "A lower lr or clip may help; a NaN among the features would do the same."
        if self.job.folder is not None and self.job.processes.writes:
            path = self.job.folder.path / "nonfinite.json"
            with atomic(path) as stream:
                named = {"loss": str(loss), "gradient": str(gradient), "ids": list(ids)}
                stream.write(canonical.page({"step": state.step + 1, **named}))
            hint += f" {path.name} names the batch; the state before it is kept."
        return WorkError(
            f"step {state.step + 1}: a loss or gradient that is not finite, in a batch of {len(ids)} ({ids[0]}, …)",
            field="loss", found=(loss, gradient), hint=hint,
        )  # fmt: skip

"""A network as a method: fitted by the loop, asked in batches by length, answered in the order of the questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields, replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from activity_bench import chance
from activity_bench.data.features import Provider
from activity_bench.errors import InputError
from activity_bench.training import loop, preflight
from activity_bench.training.checkpoint import Folder, Tensors, read_weights
from activity_bench.training.distributed import Processes, device_of, joined, said_plainly
from activity_bench.training.inference import POOL, answers
from activity_bench.training.keeper import Job
from activity_bench.training.options import TrainOptions
from activity_bench.training.pairs import Pair, pair_of, seconds_of
from activity_bench.training.plan import Plan, Steps
from activity_bench.training.watch import Silent, Watch
from activity_bench.types import Method, Prediction, Sample


class TrainedMethod(Method):
    """What a model file ends with: its network, its options, and the engine's defaults that its paper sets.

    The network is an `nn.Module` made as `network(*sizes, options)`, with

    - `forward(batch) -> outputs`, tensors in a dataclass;
    - `loss(outputs, batch) -> ()`, the mean over the batch;
    - `decode(outputs, batch) -> (first, last, score)`, each (B,) or (B, K), best first: rows within the window,
      half-open. Scores are finite.

    Its answer for a sample is the same alone, padded and in any batch. All weights that a variant does not use are not
    made. A network that would rather compile a part of itself overrides `compile()`.
    """

    network: ClassVar[Callable[..., nn.Module]]
    defaults: ClassVar[TrainOptions] = TrainOptions()
    query_kind: ClassVar[str] = "clip"
    at_prediction: ClassVar[frozenset[str]] = frozenset()  # options that training does not read: predict may set them
    needs_features = True

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        names = {field.name for field in fields(TrainOptions)}
        if clash := names & {field.name for field in fields(cls.options_class)}:
            raise TypeError(f"{cls.__name__}: options with a name of the engine's: {sorted(clash)}")

    def __init__(self, options: Any, seed: int, features: Any = None, training: TrainOptions | None = None) -> None:
        super().__init__(options, seed, features)
        self.training = training or self.defaults
        self.provider: Provider = features
        self.processes = Processes.of_environment()
        self.trained: nn.Module | None = None  # once it is fitted or loaded

    def needs_targets(self) -> bool:
        """Whether it learns from where targets lie. Where not, it is never shown one in training."""
        return True

    # ---- learning ---------------------------------------------------------------------------------------------------

    def check(self, train: Sequence[Sample], val: Sequence[Sample]) -> None:
        """Whatever can be seen to be wrong before the first step."""
        if not train:
            raise InputError(
                "a method that learns needs a training split", field="splits", expected="a split named train"
            )
        if self.needs_targets() and not all(sample.targets for sample in train):
            raise InputError("this method learns from targets, and these training lines have none (weak)",
                             field="train", found=next(s.id for s in train if not s.targets))  # fmt: skip
        if self.training.tensorboard and find_spec("tensorboard") is None:
            raise InputError("tensorboard is not installed", field="tensorboard",
                             hint="pip install 'activity-bench[tensorboard]'")  # fmt: skip
        self.check_questions([*train, *val])
        self.plan(train)

    def check_questions(self, samples: Sequence[Sample]) -> None:
        """That it answers such questions, that the features have what they ask, and that the device is there."""
        preflight.check(samples, self.provider, self.query_kind)
        device_of(self.training.device, self.processes)

    def joined(self) -> AbstractContextManager[None]:
        """Several processes, if there are, as one group while the block runs."""
        return joined(self.processes, device_of(self.training.device, self.processes))

    def first(self, work: Callable[[], None]) -> None:
        """Let the first process do something before all go on; where it refuses, so do the others."""
        self.processes.first(work, device_of(self.training.device, self.processes))

    def fit(
        self, train: Sequence[Sample], val: Sequence[Sample], folder: Folder | None = None, watch: Watch | None = None
    ) -> Mapping[str, Any]:
        """Train, in memory or in a folder, from the start or from where the folder stands; what came of it."""
        self.check(train, val)
        watch, device = watch or Silent(), device_of(self.training.device, self.processes)
        plan = self._pairs(train)
        validated = [pair_of(sample, self.provider, plan.options.rows) for sample in val if sample.targets]
        with (
            self.joined(),
            said_plainly(self.training),
            torch.random.fork_rng([device] if device.type == "cuda" else []),
        ):
            network = self._network(device)
            if self.processes.writes:
                watch.note(preflight.footprint(network, plan.pairs, self.provider, plan.options, self.processes.count))
                if said := preflight.bare(plan.pairs, self.provider):
                    watch.note(said)
            job = Job(network, plan, validated, self.provider, self.seed, device, folder, self.processes, watch)
            try:
                outcome = loop.train(job)
            finally:
                watch.end()
        self._take(outcome.weights)
        state = outcome.state
        return {
            "steps": state.step, "selected_step": state.best_step if validated else state.step,
            "val_mIoU": state.best, "samples": len(plan.pairs), "batch": plan.size,
            "weights": sum(weight.numel() for weight in network.parameters()), "device": str(device),
            "processes": self.processes.count, "seconds": round(state.seconds, 3), "waited": round(outcome.waited, 4),
        }  # fmt: skip

    def plan(self, train: Sequence[Sample]) -> Steps:
        """What each step learns from."""
        return self._pairs(train)

    def _pairs(self, train: Sequence[Sample]) -> Plan:
        pairs = [pair_of(sample, self.provider, self.training.rows) for sample in train]
        if not self.needs_targets():
            pairs = [replace(pair, targets=()) for pair in pairs]
        return Plan(pairs, self.seed, self.training, self.processes.count)

    def _network(self, device: torch.device | str) -> nn.Module:
        """The network with its first weights, which belong to the seed."""
        torch.manual_seed(chance.key(self.seed, "", "weights"))
        return self.network(*self.sizes(), self.options).to(device)

    def sizes(self) -> tuple[int, ...]:
        """What a network is made for: numbers a row; where images ask, also those of a region and of a whole image."""
        if self.query_kind != "image" or self.provider.images is None:
            return (self.provider.dim,)
        image = self.provider.images.image(*self.provider.images.frames()[0])
        return self.provider.dim, image.regions.shape[1], len(image.whole)

    # ---- answering --------------------------------------------------------------------------------------------------

    def load(self, path: Path) -> None:
        """Take the weights of a file. They are looked at before a network is made, so that no claim takes memory."""
        with torch.device("meta"):
            wanted = self.network(*self.sizes(), self.options)
        self._take(read_weights(path, wanted))

    def _take(self, weights: Tensors) -> None:
        with torch.random.fork_rng([]):
            self.trained = self._network(device_of(self.training.device, self.processes))
        self.trained.load_state_dict(weights)

    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """Answer in the order of the questions, batched by length some thousand at a time."""
        if self.trained is None:
            raise InputError("this method is neither fitted nor loaded")
        device, batch = next(self.trained.parameters()).device, self.training.batch
        source = iter(samples)
        while some := list(islice(source, POOL * batch)):
            pairs = [pair_of(sample, self.provider, self.training.rows) for sample in some]
            with said_plainly(self.training):
                found = answers(self.trained, pairs, self.provider, device, batch)
            for sample, pair, answer in zip(some, pairs, found, strict=True):
                yield Prediction(sample.id, tuple(self._segments(sample, pair, answer)))

    def _segments(self, sample: Sample, pair: Pair, answer: Any) -> Iterator[tuple[float, float, float]]:
        for first, last, score in answer.tolist():
            start, end = seconds_of(sample, pair, first, last, self.provider.timing)
            if start < end:  # a sliver of a row may be shorter than a microsecond
                yield start, end, score

    @staticmethod
    def libraries() -> dict[str, str]:
        """What a run notes of what it ran with."""
        return {"torch": str(torch.__version__)}

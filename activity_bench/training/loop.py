"""The loop: forward, backward, average, clip, step; every so often validate, keep, log.

Nothing in it depends on what ran before but the weights, Adam's moments and the counters: the batch, the rate and the
dropout masks of a step are functions of the seed and of its number. So a run that was killed goes on to the same bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from tempfile import gettempdir
from typing import Any

import torch
from torch import nn

from activity_bench import chance
from activity_bench.training.checkpoint import State, Tensors
from activity_bench.training.keeper import Job, Keeper
from activity_bench.training.loader import Loader
from activity_bench.training.options import TrainOptions
from activity_bench.training.watch import Meter


@dataclass(frozen=True)
class Outcome:
    """A finished training."""

    state: State
    weights: Tensors  # those of the best validation; the last ones where nothing was validated
    waited: float  # share of the time in which the loop stood still for features


def train(job: Job) -> Outcome:
    """Train a network, from the start or from where its folder stands."""
    network: Any = job.network  # loss, decode: see TrainedMethod
    options, processes = job.options, job.processes
    optimiser = torch.optim.Adam(network.parameters(), lr=options.lr)
    keeper = Keeper(job, optimiser)
    state = keeper.resume()
    if options.compile:
        network.compile()
    loader = Loader(job.plan, job.features, job.collate, job.device, processes.rank, processes.count)
    if loader.workers < options.workers and processes.writes:
        job.watch.note(f"no workers: {gettempdir()} is too long a path for the sockets that they need")
    meter = Meter(options.steps, job.plan.size, state.seconds)
    network.train()
    for step, batch in loader.batches(state.step, keeper.last_step(state)):
        torch.manual_seed(chance.key(job.seed, f"{step} {processes.rank}", "training step"))  # dropout, and its like
        for group in optimiser.param_groups:
            group["lr"] = rate(step, options)
        with torch.autocast(job.device.type, torch.bfloat16, enabled=options.precision == "bf16"):
            loss = network.loss(network(batch), batch)
        optimiser.zero_grad()
        loss.backward()
        processes.average_gradients(network)
        norm = nn.utils.clip_grad_norm_(network.parameters(), options.clip or math.inf)
        value, length = loss.item(), norm.item()
        if not math.isfinite(value + length):  # before it reaches the weights
            raise keeper.not_finite(state, value, length)
        optimiser.step()
        keeper.average()
        meter.add(value, length)
        state.step, state.seconds = step + 1, meter.seconds
        is_due = state.step % options.validate_every == 0 or state.step == options.steps
        if is_due:
            keeper.validate(state)
        if is_due or state.step % options.log_every == 0:
            keeper.log(state, {**meter.row(), "lr": rate(step, options), "waited": loader.waited}, is_due)
        if is_due:
            keeper.save(state)
        keeper.show(meter.progress(state.step, keeper.latest))
        if keeper.last_step(state) == state.step:
            break
    return Outcome(state, keeper.best_weights(), loader.waited / max(meter.here, 1e-9))


def rate(step: int, options: TrainOptions) -> float:
    """The learning rate of a step, counted from 0."""
    if step < options.warmup:
        return options.lr * (step + 1) / options.warmup
    if options.schedule == "drop":
        return options.lr / options.drop_by ** (step // options.drop_every)
    if options.schedule == "cosine":
        done = (step - options.warmup) / max(options.steps - options.warmup, 1)
        return options.lr * (1 + math.cos(math.pi * min(done, 1.0))) / 2
    return options.lr

"""Losses that look at the whole batch: two processes that share one learn as a single one does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from activity_bench.training.blocks.sst import multi_label_loss
from tests.conftest import assert_exit

pytestmark = pytest.mark.check

PROCESS = """
import sys
import torch
from safetensors.torch import save_file
from torch import distributed
from tests.models.test_blocks_processes import gradient, questions
rank, store, out = int(sys.argv[1]), *sys.argv[2:]
distributed.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=2)
save_file({"found": gradient(*(tensor[rank::2] for tensor in questions()))}, out)
distributed.destroy_process_group()
"""


def questions() -> tuple[Tensor, Tensor, Tensor]:
    """Logits, labels and which proposals there are, of four samples: the halves have other shares of right ones."""
    torch.manual_seed(0)
    logits = torch.randn(4, 6, 3, dtype=torch.float64)
    labels = torch.rand(4, 6, 3) < torch.tensor([0.8, 0.1, 0.6, 0.0])[:, None, None]
    return logits, labels, torch.rand(4, 6, 3) < 0.7


def gradient(logits: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    logits = logits.requires_grad_()
    return torch.autograd.grad(multi_label_loss(logits, labels, valid), logits)[0]


def test_shares_are_those_of_the_whole_batch(tmp_path: Path, environment: Callable[..., dict[str, str]]) -> None:
    words = [sys.executable, "-c", PROCESS]
    outs = [tmp_path / f"{rank}.safetensors" for rank in range(2)]
    started = [
        subprocess.Popen([*words, str(rank), str(tmp_path / "store"), str(out)], env=environment(OMP_NUM_THREADS="1"),
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
        for rank, out in enumerate(outs)
    ]  # fmt: skip
    for process in started:
        out, err = process.communicate(timeout=120)
        assert_exit(subprocess.CompletedProcess(words, process.returncode, out, err), 0)
    whole = gradient(*questions())
    for rank, path in enumerate(outs):  # each half is the mean of two, the whole of four
        torch.testing.assert_close(load_file(path)["found"] / 2, whole[rank::2])

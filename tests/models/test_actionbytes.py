"""ActionBytes: its cuts and losses against plain twins, and what its network and its options do."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from activity_bench.errors import InputError
from activity_bench.models.actionbytes import ActionBytes, Method, Options
from activity_bench.training.batches import VideoBatch, padded
from activity_bench.training.blocks import bytes as cuts
from activity_bench.training.blocks import mil
from activity_bench.training.transfer import Classes, affinity, left_out, nearest
from activity_bench.training.videos import MinedBatch
from tests.models.test_blocks_proposals import agree, as_list
from tests.reference import actionbytes as twin

pytestmark = pytest.mark.quick

ROWS = [9, 1, 17, 2, 40]
LATENT, CLASSES, PSEUDO = 4, 3, 5


def drawn(seed: int, width: int, rows: list[int] = ROWS) -> tuple[list[np.ndarray], Tensor, Tensor]:
    """Numbers for every row of some videos; the same padded, and the mask."""
    noise = np.random.Generator(np.random.Philox(key=seed))
    videos = [noise.standard_normal((n, width)) for n in rows]
    filled, mask = padded([video.astype(np.float32) for video in videos], 1)
    filled = torch.stack([torch.nn.functional.pad(torch.from_numpy(v), (0, 0, 0, filled.shape[1] - len(v)), value=9.0)
                          for v in videos])  # fmt: skip
    return videos, filled, mask


def marks(seed: int, count: int, width: int) -> np.ndarray:
    """Every video has a class, some have several."""
    noise = np.random.Generator(np.random.Philox(key=seed))
    marked = noise.random((count, width)) < 0.4
    marked[np.arange(count), noise.integers(0, width, count)] = True
    return marked.astype(np.float64)


# ---- cuts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("percentile", [0.0, 50.0, 92.0, 97.5, 100.0])
def test_boundaries_and_action_bytes(percentile: float) -> None:
    videos, filled, mask = drawn(1, LATENT)
    found = cuts.boundaries(filled, mask, percentile)
    expected = [twin.boundaries(video, percentile) for video in videos]
    assert [row.nonzero().flatten().tolist() for row in found] == expected
    pieces = list(zip(*(column.tolist() for column in cuts.action_bytes(found)), strict=True))
    assert pieces == [(n, *each) for n, bounds in enumerate(expected) for each in twin.action_bytes(bounds)]
    whole = cuts.or_whole(cuts.action_bytes(found), mask)
    assert set(whole[0].tolist()) == set(range(len(videos)))
    for n, first, last in zip(*(column.tolist() for column in whole), strict=True):
        assert (n, first, last) in pieces or (n not in {p[0] for p in pieces} and (first, last) == (0, ROWS[n]))


@given(st.integers(2, 60), st.floats(0, 100))
def test_the_number_of_boundaries_follows_the_percentile(rows: int, percentile: float) -> None:
    """Of n distinct changes n - 1 - floor((n - 1) p / 100) are above the percentile."""
    steps = np.random.Generator(np.random.Philox(key=rows)).permutation(np.arange(1, rows))
    latent = torch.from_numpy(np.concatenate([[0], np.cumsum(steps)]).astype(np.float64))[None, :, None]
    found = cuts.boundaries(latent, torch.ones(1, rows, dtype=torch.bool), percentile)
    n = rows - 1
    assert int(found.sum()) == n - 1 - int(np.floor((n - 1) * percentile / 100))


def test_rows_that_change_alike_are_no_boundaries() -> None:
    """ReLU leaves rows of zeros: a still video has no boundary, and of equal changes all or none are above."""
    mask = torch.ones(1, 8, dtype=torch.bool)
    still = torch.zeros(1, 8, 3)
    assert not cuts.boundaries(still, mask, 50).any()
    jumps = torch.tensor([0, 0, 1, 0, 1, 1, 0, 1.0])[None, :, None]  # changes 0 1 1 1 0 1 1: the median is 1
    assert not cuts.boundaries(jumps, mask, 50).any()
    assert cuts.boundaries(jumps, mask, 20)[0].nonzero().flatten().tolist() == [2, 3, 4, 6, 7]
    first, last = (column.tolist() for column in cuts.or_whole(cuts.action_bytes(torch.zeros(1, 8) > 0), mask)[1:])
    assert (first, last) == ([0], [8])


def test_segments_of_fixed_length_and_means() -> None:
    videos, filled, mask = drawn(2, LATENT)
    pieces = cuts.fixed(mask, 2)
    listed = list(zip(*(column.tolist() for column in pieces), strict=True))
    assert listed == [(n, *each) for n, rows in enumerate(ROWS) for each in twin.fixed(rows, 2)]
    expected = [videos[n][first:last].mean(axis=0) for n, first, last in listed]
    np.testing.assert_allclose(cuts.means(filled, pieces), np.array(expected), atol=1e-12)


# ---- losses ---------------------------------------------------------------------------------------------------------


def test_k_max_and_co_activity() -> None:
    latents, latent, mask = drawn(3, LATENT)
    scores, activations, _ = drawn(4, CLASSES)
    classes = marks(5, len(ROWS), CLASSES)
    expected = [[twin.k_max(own[:, c]) for c in range(CLASSES)] for own in scores]
    np.testing.assert_allclose(mil.k_max(activations, mask), expected, atol=1e-12)
    found = float(mil.k_max_loss(activations, mask, torch.from_numpy(classes)))
    assert found == pytest.approx(twin.k_max_loss(scores, classes), abs=1e-12)
    near = float(mil.co_activity_loss(latent, activations, mask, torch.from_numpy(classes)))
    assert near == pytest.approx(twin.co_activity_loss(latents, scores, classes), abs=1e-9)
    alone = torch.eye(len(ROWS), dtype=torch.float64)  # no two share a class
    wide = activations[:, :, :1].expand(-1, -1, len(ROWS))
    assert float(mil.co_activity_loss(latent, wide, mask, alone)) == 0


def test_co_activity_wants_a_classs_rows_alike_and_others_unlike() -> None:
    """The loss falls along its gradient until two videos' active rows agree."""
    _, latent, mask = drawn(6, LATENT, [8, 8])
    activations = torch.zeros(2, 8, 1, dtype=torch.float64)
    activations[0, 2:4] = activations[1, 5:7] = 9.0
    both, latent = torch.ones(2, 1, dtype=torch.float64), latent.clone().requires_grad_()
    losses = []
    for _ in range(200):
        loss = mil.co_activity_loss(latent, activations, mask, both)
        losses.append(float(loss.detach()))
        (gradient,) = torch.autograd.grad(loss, latent)
        latent = (latent - 0.5 * gradient).detach().requires_grad_()
    assert losses[-1] < 0.2 < losses[0]
    a, b = latent.detach()[0, 2:4].mean(0), latent.detach()[1, 5:7].mean(0)
    assert float(torch.cosine_similarity(a, b, dim=0)) > 0.5


# ---- the network ----------------------------------------------------------------------------------------------------

DIM = 6


def small(pseudo: int = PSEUDO, **changes: Any) -> ActionBytes:
    torch.manual_seed(0)
    network = ActionBytes(
        DIM, Options(latent=LATENT, dropout=0.0, proposals=True, **changes), CLASSES, 2, pseudo
    ).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    network.affinity.copy_(torch.tensor([[1.0, 0.0], [0.5, 0.0], [0.0, 1.0]]))
    return network


def batch(pseudo: bool = True) -> VideoBatch:
    _, video, mask = drawn(7, DIM)
    ids, classes = [str(n) for n in ROWS], torch.from_numpy(marks(8, len(ROWS), CLASSES))
    if not pseudo:
        return VideoBatch(ids, video, mask, classes)
    return MinedBatch(ids, video, mask, classes, torch.from_numpy(marks(9, len(ROWS), PSEUDO)))


@pytest.mark.parametrize("pseudo", [0, PSEUDO])
def test_equations(pseudo: int) -> None:
    network, asked = small(pseudo, co_activity=0.3), batch(bool(pseudo))
    outputs = network(asked)
    weights = {name: value.detach().numpy() for name, value in network.named_parameters()}
    latents, scores, said = [], [], []
    for n, rows in enumerate(ROWS):
        video = asked.video[n, :rows].numpy()
        latents.append(np.maximum(video @ weights["project.weight"].T + weights["project.bias"], 0))
        scores.append(latents[-1] @ weights["classify.weight"].T + weights["classify.bias"])
        said.append(scores[-1] @ weights["transfer.weight"].T + weights["transfer.bias"] if pseudo else scores[-1])
        np.testing.assert_allclose(outputs.classes[n, :rows].detach(), said[-1], atol=1e-12)
    classes = asked.classes.numpy()
    taught = asked.pseudo.numpy() if isinstance(asked, MinedBatch) else classes
    expected = 0.7 * twin.k_max_loss(scores, taught) + 0.3 * twin.co_activity_loss(latents, scores, taught)
    expected += twin.k_max_loss(said, classes) if pseudo else 0
    assert float(network.loss(outputs, asked).detach()) == pytest.approx(expected, abs=1e-9)


def test_class_labels_do_not_reach_the_localisation_model() -> None:
    network, asked = small(co_activity=0.0), batch()
    mil.k_max_loss(network(asked).classes, asked.video_mask, asked.classes).backward()
    reached = {name for name, weight in network.named_parameters() if weight.grad is not None}
    assert reached == {"transfer.weight", "transfer.bias"}


@pytest.mark.parametrize("pseudo", [0, PSEUDO])
def test_gradients(pseudo: int) -> None:
    network, asked = small(pseudo), batch(bool(pseudo))
    names = [name for name, _ in network.named_parameters()]

    class Loss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, asked: VideoBatch) -> Tensor:
            return network.loss(network(asked), asked)

    def loss(*values: Tensor) -> Tensor:
        found = torch.func.functional_call(
            Loss(), dict(zip([f"network.{n}" for n in names], values, strict=True)), asked
        )
        assert isinstance(found, Tensor)
        return found

    values = [weight.detach().clone().requires_grad_() for weight in network.parameters()]
    if not pseudo:
        assert torch.autograd.gradcheck(loss, values, fast_mode=True)
    loss(*values).backward()
    assert all(value.grad is not None for value in values)


@torch.inference_mode()
def test_a_video_is_answered_with_what_is_asked_for() -> None:
    network, asked = small(), batch()
    rows = asked.video[4:5]
    found = network.decode(rows)
    assert set(found.label.tolist()) <= {0, 1} and len(found.first)
    latent = network.latent(rows)
    said = (network.heads(latent)[1][0] @ network.affinity).detach().numpy()
    bounds = twin.boundaries(latent[0].detach().numpy(), 50)
    expected = twin.localised(said, twin.proposals([bounds], [1, 2], len(said)), 0.5)
    agree(as_list(found), expected)
    other = network.decode(rows, torch.tensor([[0.0], [0.0], [1.0]]))
    assert set(other.label.tolist()) == {0}
    network.options = Options(proposals=False)
    agree(sorted(as_list(network.decode(rows)), key=lambda e: (e[2], e[0])), twin.two_stage(said))
    network.options = Options(proposals=True, percentile="92 95 97.5 99 99.5", merge="1", overlap=1.0)
    several = [twin.boundaries(latent[0].detach().numpy(), p) for p in (92, 95, 97.5, 99, 99.5)]
    assert len(network.decode(rows).first) == len(twin.localised(said, twin.proposals(several, [1], len(said)), 1.0))


def test_affinities_of_the_nearest_classes() -> None:
    cosines = torch.tensor([[0.9, 0.1], [0.3, 0.1], [0.9, -0.5], [-1.0, 0.1]])
    assert nearest(cosines, 1).tolist() == torch.tensor([[0.9, 0.1], [0, 0], [0, 0], [0, 0]]).tolist()
    assert nearest(cosines, 2).tolist() == torch.tensor([[0.9, 0.1], [0, 0.1], [0.9, 0], [0, 0]]).tolist()
    assert all(nearest(cosines, count) is cosines for count in (0, 4, 9))


def test_classes_of_ones_own_name_need_no_words(tmp_path: Path) -> None:
    assert affinity(("a", "b", "c"), ("c", "a"), "no such file").tolist() == [[0, 1], [0, 0], [1, 0]]
    with pytest.raises(InputError, match=r"words: 1 of 2 classes that are asked for are none .*found 'd'.*words=FILE"):
        affinity(("a", "b"), ("b", "d"), "")
    np.savez(tmp_path / "w.npz", names=np.array(["a", "b", "d"]), vectors=np.array([[1.0, 0], [0, 2], [3, 4]]))
    found = affinity(("a", "b"), ("b", "d"), str(tmp_path / "w.npz"))
    np.testing.assert_allclose(found, [[0, 0.6], [1, 0.8]], atol=1e-7)


def test_words_without_a_vector_are_said(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", names=np.array(["high", "jump", "d"]), vectors=np.eye(3))
    words = str(tmp_path / "w.npz")
    said = left_out(Classes(("HighJump", "ski jump"), ("d", "high dive"), 0, words))
    assert said == "2 classes have words without a vector, which count for nothing: dive (high dive), ski (ski jump)"
    assert left_out(Classes(("HighJump",), ("d",), 0, words)) == ""
    assert left_out(Classes(("ski jump",), ("ski jump",), 0, words)) == left_out(Classes(("a",), ("a",))) == ""


def test_bf16() -> None:
    network, asked = small().float(), batch()
    for column in fields(asked):
        value = getattr(asked, column.name)
        if isinstance(value, Tensor) and value.is_floating_point():
            setattr(asked, column.name, value.float())
    expected = network.loss(network(asked), asked)
    with torch.autocast("cpu", torch.bfloat16):
        found = network.loss(network(asked), asked)
    torch.testing.assert_close(found.float(), expected, rtol=0.1, atol=0.05)
    with torch.autocast("cpu", torch.bfloat16):
        near = mil.co_activity_loss(asked.video, asked.video, asked.video_mask, asked.classes)
    torch.testing.assert_close(
        near, mil.co_activity_loss(asked.video, asked.video, asked.video_mask, asked.classes), rtol=0, atol=0
    )  # the margin is kept in full precision


def test_the_papers_hyperparameters_are_the_defaults() -> None:
    plain = Options()
    assert (plain.rounds, plain.clusters, plain.merged, plain.percentiles) == (3, 500, [1, 2], [50])
    assert (plain.mode, plain.segments, plain.mine_percentile, Method.defaults.lr) == ("mined", "bytes", 50, 1e-3)
    assert (plain.latent, plain.dropout, plain.co_activity, plain.pairs) == (2048, 0.7, 0.5, 3)  # W-TALC's
    assert (Method.defaults.batch, Method.defaults.rows) == (10, 750)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"merge": "1 x"}, "merge: not numbers"), ({"merge": ""}, "merge: not numbers"),
        ({"merge": "0 1"}, "merge: out of range"), ({"merge": "1.5"}, "merge: out of range"),
        ({"percentile": "50 101"}, "percentile: out of range"), ({"percentile": "nan"}, "percentile: not numbers"),
        ({"clusters": 0}, "clusters: out of range"), ({"overlap": 0.0}, "overlap: out of range"),
        ({"mine_percentile": 100.5}, "mine_percentile: out of range"), ({"rounds": -1}, "rounds: out of range"),
    ],
)  # fmt: skip
def test_options_out_of_range(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Options(**wrong)

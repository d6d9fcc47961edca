"""The video-level baseline against its plain twin, what it draws, its masks, and what it can learn."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from activity_bench.models.video_level import Options, VideoLevel
from tests.models.networks import (
    alone_and_together,
    differentiable,
    learns_from_labels_alone,
    learns_to_answer,
    runs_in_bf16,
    weights_of,
)
from tests.models.pairs import ODD, batch_of, drawn
from tests.reference import video_level as twin

pytestmark = pytest.mark.quick

DIM = 5


def small(**changes: Any) -> VideoLevel:
    torch.manual_seed(0)
    network = VideoLevel(DIM, Options(**{"hidden": 4, "longest": 6, **changes})).double()  # type: ignore[arg-type]
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return network


def test_the_search_finds_the_segment_most_like_the_query() -> None:
    network, pairs = small(), drawn(1, ODD, DIM)
    batch = batch_of(pairs, rows=14, query_rows=7)
    first, last, score = network.decode(network(batch), batch)
    for i, (video, query, _, _) in enumerate(pairs):
        expected = twin.best(video.numpy(), query.numpy(), weights_of(network), 6)
        assert (int(first[i]), int(last[i])) == expected[:2]
        assert float(score[i].detach()) == pytest.approx(expected[2], abs=1e-6)


def test_the_loss_of_what_was_drawn() -> None:
    network, pairs = small(margin=0.5), drawn(1, ODD, DIM)
    batch, weights, losses = batch_of(pairs, rows=14, query_rows=7), weights_of(network), []
    torch.manual_seed(5)
    first, last, both = network.draw(batch)
    for i, (video, query, _, _) in enumerate(pairs):
        parts = [video[first[side, i] : last[side, i]].numpy() for side in range(2)]
        losses.append(twin.triplet(query.numpy(), *parts, weights, 0.5) if both[i] else 0.0)
    torch.manual_seed(5)
    assert float(network.loss(network(batch), batch).detach()) == pytest.approx(np.mean(losses), abs=1e-6)
    assert np.mean(losses) > 0


@pytest.mark.parametrize(("over", "under"), [(0.8, 0.2), (0.5, 0.4)])
def test_positives_overlap_and_negatives_do_not(over: float, under: float) -> None:
    """Only real rows, none longer than the search may answer, and in time every one of them."""
    pairs = drawn(1, [(9, 4, 2, 7), (5, 6, 0, 5), (7, 1, 3, 4)], DIM)
    batch, network = batch_of(pairs, rows=12), small(positive=over, negative=under)
    seen: list[tuple[set[tuple[int, int]], ...]] = [(set(), set()) for _ in pairs]
    torch.manual_seed(0)
    for _ in range(400):
        first, last, both = network.draw(batch)
        assert both.tolist() == [True, under > 0.2, True]  # a target that fills five rows: the least overlap is 1/5
        for i in (0, 2):
            for side in range(2):
                seen[i][side].add((int(first[side, i]), int(last[side, i])))
    for i in (0, 2):
        n, target = len(pairs[i][0]), (pairs[i][2], pairs[i][3])
        every = [(a, b) for a in range(n) for b in range(a + 1, min(n, a + 6) + 1)]
        assert seen[i][0] == {s for s in every if twin.tiou(s, target) > over}
        assert seen[i][1] == {s for s in every if twin.tiou(s, target) < under}


def test_gradients() -> None:
    assert differentiable(small(margin=2.0), drawn(2, [(6, 2, 1, 3), (8, 3, 0, 2)], DIM))


def test_alone_padded_and_in_any_place() -> None:
    alone_and_together(VideoLevel(DIM, Options(hidden=8, longest=6)), DIM)


def test_bf16() -> None:
    runs_in_bf16(VideoLevel(DIM, Options(hidden=8)), DIM)


def learner(dim: int, **changes: Any) -> VideoLevel:
    return VideoLevel(dim, Options(**{"hidden": 16, "longest": 8, **changes}))  # type: ignore[arg-type]


def test_it_learns_to_answer() -> None:
    """Its loss takes all segments over 0.8 for equally right, and says nothing of those down to 0.2, or is narrower."""
    learns_to_answer(learner, steps=200, above=0.7)
    learns_to_answer(partial(learner, hidden=32, margin=0.5, positive=0.9, negative=0.9), steps=400)


def test_it_learns_from_labels_alone() -> None:
    learns_from_labels_alone(learner, steps=200)

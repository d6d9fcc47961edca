"""Blocks against plain twins at the edges that no network's test reaches: long rows, ties, the last row, empty runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.errors import InputError
from activity_bench.training.blocks.decoding import best_segment, longest_run
from activity_bench.training.blocks.losses import co_attention, mean_of, position_labels, triplet
from activity_bench.training.blocks.ranges import SIZE, check
from activity_bench.training.blocks.recurrent import last_row, lstm_gates, reverse
from activity_bench.training.blocks.sst import best_proposal, multi_label_loss, possible, proposal_labels
from tests.models.pairs import batch_of, drawn
from tests.reference import cgbm as positions
from tests.reference import msa, video_level
from tests.reference.recurrence import lstm_cell

pytestmark = pytest.mark.quick

counts = st.lists(st.integers(1, 12), min_size=1, max_size=4)


def mask_of(lengths: list[int], rows: int = 0) -> torch.Tensor:
    return torch.arange(max(rows, *lengths)) < torch.tensor(lengths)[:, None]


@given(counts, st.integers(1, 15), st.integers(0, 99))
def test_the_best_segment_is_the_best_of_all_pairs(lengths: list[int], longest: int, seed: int) -> None:
    mask = mask_of(lengths, 13)
    logits = torch.randn(*mask.shape, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    log_p = logits.log_softmax(-1)
    found = best_segment(log_p, mask, longest)
    for i, n in enumerate(lengths):
        first, last, score = positions.best(log_p[i, :n].numpy(), longest)
        assert (int(found[0][i]), int(found[1][i])) == (first, last)
        assert float(found[2][i]) == pytest.approx(score, rel=1e-6)


def test_a_long_segment_does_not_underflow() -> None:
    """A thousand rows of which each is inside with chance 1e-3: the product is 1e-3000."""
    p = torch.full((1, 1000, 4), 1e-3)
    p[0, 0, 0] = p[0, 999, 1] = 1.0
    first, last, score = best_segment(p.log(), torch.ones(1, 1000, dtype=torch.bool), 1000)
    assert (int(first), int(last)) == (0, 1000)
    assert float(score) == pytest.approx(1e-3, rel=1e-4)


def test_of_equal_segments_the_first_and_shortest_answers() -> None:
    log_p = torch.full((2, 5, 4), 0.25).log()
    assert [x.tolist() for x in best_segment(log_p, mask_of([5, 3]), 4)[:2]] == [[0, 0], [1, 1]]


@given(st.lists(st.lists(st.sampled_from([0.1, 0.2, 0.9]), min_size=1, max_size=9), min_size=1, max_size=4))
def test_the_longest_run(rows: list[list[float]]) -> None:
    mask = mask_of([len(row) for row in rows], 10)
    p = torch.full(mask.shape, 0.9, dtype=torch.float64)  # padding that would win
    for i, row in enumerate(rows):
        p[i, : len(row)] = torch.tensor(row, dtype=torch.float64)
    first, last, score = longest_run(p, mask)
    for i, row in enumerate(rows):
        if len(set(row)) > 1:  # the mean of equal numbers may round to either side
            assert (int(first[i]), int(last[i])) == msa.run_above_mean(np.array(row))
        assert float(score[i]) == pytest.approx(np.mean(row[int(first[i]) : int(last[i])]))


def test_where_no_row_stands_out_the_window_answers() -> None:
    first, last, _ = longest_run(torch.full((1, 6), 0.25), mask_of([4], 6))
    assert (int(first), int(last)) == (0, 4)


@given(counts)
def test_reversed_twice_is_as_before(lengths: list[int]) -> None:
    mask = mask_of(lengths, 13)
    x = torch.arange(mask.numel()).view(*mask.shape, 1)
    there = reverse(x, mask)
    assert torch.equal(reverse(there, mask), x)
    for i, n in enumerate(lengths):
        assert there[i, :n, 0].tolist() == x[i, :n, 0].tolist()[::-1]
        assert int(last_row(x, mask)[i]) == int(x[i, n - 1])


@given(st.integers(1, 9), st.data())
def test_label_rows(n: int, data: st.DataObject) -> None:
    """Section 3.4, among them the row that starts and ends at once."""
    first = data.draw(st.integers(0, n - 1))
    last = data.draw(st.integers(first + 1, n))
    found = position_labels(torch.tensor([first]), torch.tensor([last]), mask_of([n]))[0]
    np.testing.assert_allclose(found, positions.labels(n, first, last - 1), atol=1e-7)


def test_an_lstm_cell_is_torchs() -> None:
    gates, c = (torch.randn(size, generator=torch.Generator().manual_seed(1)).double() for size in (12, 3))
    for found, expected in zip(lstm_gates(gates, c), lstm_cell(gates.numpy(), c.numpy()), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-9)


@given(st.integers(1, 9), st.integers(1, 3), st.data())
def test_right_proposals(n: int, stride: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, n - 1))
    last = data.draw(st.integers(first + 1, n))
    right = proposal_labels(torch.tensor([first]), torch.tensor([last]), n, 4, stride)[0]
    valid = possible(mask_of([n]), 4, stride)[0]
    for end in range(1, n + 1):
        for k in range(1, 5):
            start = end - k * stride
            assert bool(valid[end - 1, k - 1]) == (start >= 0)
            if start >= 0:
                assert bool(right[end - 1, k - 1]) == (video_level.tiou((start, end), (first, last)) > 0.5)


def test_a_length_that_is_never_right_is_still_taught() -> None:
    logits = torch.zeros(1, 3, 2, requires_grad=True)
    multi_label_loss(logits, torch.zeros(1, 3, 2, dtype=torch.bool), possible(mask_of([3]), 2, 1)).backward()
    assert logits.grad is not None and (logits.grad[0, 1:] > 0).all()


def test_a_window_shorter_than_every_proposal_answers_whole() -> None:
    first, last, _ = best_proposal(torch.zeros(2, 6, 2), mask_of([2, 6]), 3)
    assert list(zip(first.tolist(), last.tolist(), strict=True)) == [(0, 2), (0, 3)]


def test_losses_of_nothing_are_finite() -> None:
    """A background of no rows has no mean; its distance is that of strangers, and its gradient is none."""
    weight = torch.zeros(2, 3, requires_grad=True)
    batch = batch_of(drawn(1, [(3, 2, 0, 1)] * 2, 4, torch.float32))
    background = mean_of(batch.video, weight)
    query, action = batch.query[:, 0], batch.video[:, 0]
    loss = co_attention(query, action, background, 0.3)
    loss.backward()
    assert loss.isfinite() and weight.grad is not None and weight.grad.isfinite().all()
    assert float(triplet(query, query, action, 0.0).sum()) == 0.0


def test_wrong_sizes_are_named() -> None:
    class Made:
        hidden = 0

    with pytest.raises(InputError, match="hidden"):
        check(Made(), hidden=SIZE)

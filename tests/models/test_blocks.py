"""Blocks against plain twins at the edges that no network's test reaches: long rows, ties, the last row, empty runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.errors import InputError
from activity_bench.training.blocks.anchors import anchors, apart, moved, offsets, pooled
from activity_bench.training.blocks.decoding import best_segment, longest_run, most_likely_run
from activity_bench.training.blocks.fusion import Fusion
from activity_bench.training.blocks.losses import co_attention, mean_of, position_labels, triplet
from activity_bench.training.blocks.ranges import SIZE, check
from activity_bench.training.blocks.recurrent import last_row, lstm_gates, reverse
from activity_bench.training.blocks.sst import best_proposal, multi_label_loss, possible, proposal_labels
from tests.models.pairs import batch_of, drawn
from tests.reference import cgbm as positions
from tests.reference import flp, msa, tal_plus, video_level
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


@given(counts, st.integers(0, 99))
def test_the_most_likely_run_has_the_greatest_product(lengths: list[int], seed: int) -> None:
    mask = mask_of(lengths, 13)
    logits = 2 * torch.randn(mask.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = most_likely_run(logits.masked_fill(~mask, 50.0), mask)
    for i, n in enumerate(lengths):
        first, last, score = flp.best(logits[i, :n].sigmoid().numpy())
        assert (int(found[0][i]), int(found[1][i])) == (first, last)
        assert float(found[2][i]) == pytest.approx(score, rel=1e-6)


def test_the_most_likely_run_where_products_are_zero() -> None:
    """300 rows, 120 of them inside with p = 0.6, the others outside with p = 0.4: every product is 0 in float32."""
    p = torch.full((1, 300), 0.4)
    p[0, 90:210] = 0.6
    assert torch.cat((1 - p[0, :90], p[0, 90:210], 1 - p[0, 210:])).prod() == 0  # the best of all
    found = most_likely_run(p.logit(), torch.ones(1, 300, dtype=torch.bool))
    assert [float(x) for x in found] == pytest.approx([90, 210, 0.6])


def test_where_no_row_is_likely_the_likeliest_answers() -> None:
    logits = torch.tensor([[-3.0, -1.0, -2.0, 9.0], [-80.0, -90.0, -70.0, -60.0]])
    first, last, score = most_likely_run(logits, mask_of([3, 4]))
    assert list(zip(first.tolist(), last.tolist(), strict=True)) == [(1, 2), (3, 4)]
    assert score.isfinite().all()


def test_of_equally_likely_runs_the_first_and_shortest_answers() -> None:
    logits = torch.tensor([[1.0, -1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert [x.tolist() for x in most_likely_run(logits, mask_of([4, 4]))[:2]] == [[0, 0], [1, 1]]


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


@given(st.integers(1, 9), st.integers(1, 3), st.sampled_from([0.5, 0.7]), st.data())
def test_right_proposals(n: int, stride: int, positive: float, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, n - 1))
    last = data.draw(st.integers(first + 1, n))
    right = proposal_labels(torch.tensor([first]), torch.tensor([last]), n, 4, stride, positive)[0]
    valid = possible(mask_of([n]), 4, stride)[0]
    for end in range(1, n + 1):
        for k in range(1, 5):
            start = end - k * stride
            assert bool(valid[end - 1, k - 1]) == (start >= 0)
            if start >= 0:
                assert bool(right[end - 1, k - 1]) == (video_level.tiou((start, end), (first, last)) > positive)


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


ends = st.lists(st.tuples(st.floats(-5, 15), st.floats(0.25, 20)), min_size=1, max_size=40)


def segments_of(places: list[tuple[float, float]]) -> torch.Tensor:
    """(P, 2) of starts and lengths."""
    return torch.tensor([(start, start + length) for start, length in places], dtype=torch.float64)


@given(ends, st.floats(0.1, 0.9))
def test_what_is_left_apart_is_what_one_after_another_leaves(places: list[tuple[float, float]], most: float) -> None:
    segments = segments_of(places)
    listed = [(float(a), float(b)) for a, b in segments]
    real = torch.arange(len(places)) < len(places) * 3 // 4 + 1
    keep = apart(segments.expand(2, -1, -1), torch.stack((real, torch.ones_like(real))), most)
    for i, some in enumerate((listed[: int(real.sum())], listed)):
        kept = [listed[j] for j in keep[i].nonzero().flatten().tolist()]
        assert kept == tal_plus.suppressed(some, most)


@given(ends, st.integers(1, 12))
def test_offsets_lead_back(places: list[tuple[float, float]], n: int) -> None:
    """From every anchor to every segment that lies in the window."""
    rows = torch.tensor(n)
    segments = moved(segments_of(places), torch.zeros(len(places), 2), rows)  # cut to the window
    assert (segments[:, 0] >= 0).all() and (segments[:, 1] <= n).all() and (segments.diff() > 1 - 1e-9).all()
    assert ((segments + 0.5).floor().diff() >= 1).all()  # so it is in whole rows, too
    places_of_anchors = anchors(n, torch.tensor([2.0, 5.0], dtype=torch.float64)).flatten(0, 1)[:, None]  # (2 n, 1, 2)
    back = moved(places_of_anchors, offsets(segments, places_of_anchors), rows)  # (2 n, P, 2)
    torch.testing.assert_close(back, segments.expand_as(back), atol=1e-9, rtol=0)
    for a, b in segments.tolist():
        found = offsets(torch.tensor([a, b], dtype=torch.float64), places_of_anchors[0, 0])
        assert found.tolist() == pytest.approx(tal_plus.offsets((a, b), tal_plus.anchor(0, 2.0)))


@given(counts, ends, st.integers(1, 10))
def test_what_is_read_in_parts(lengths: list[int], places: list[tuple[float, float]], bins: int) -> None:
    """In whole rows too: the end of a part that is the end of a row does not touch the next."""
    x = torch.randn(len(lengths), 13, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64).abs()
    whole = segments_of(places).round() + torch.tensor([0.0, 1.0])
    segments = torch.cat((segments_of(places), whole, torch.tensor([[0.0, bins]], dtype=torch.float64)))
    found = pooled(x, torch.tensor(lengths), segments.expand(len(lengths), -1, -1), bins)
    for i, n in enumerate(lengths):
        for j, (start, end) in enumerate(segments.tolist()):
            expected = tal_plus.parts(x[i, :n].numpy(), (start, end), bins)
            np.testing.assert_array_equal(found[i, j], expected)


def test_a_fusion_tells_its_sides_apart() -> None:
    fuse = Fusion(2)
    torch.nn.init.constant_(fuse.linear.weight, 0.1)
    torch.nn.init.zeros_(fuse.linear.bias)
    a, b = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 0.5])
    total = 1 + 2 + 3 + 0.5 + 1 * 3 + 2 * 0.5 + (1 - 3) + (2 - 0.5)  # a, b, a * b, a - b
    torch.testing.assert_close(fuse(a, b), torch.full((2,), 0.1 * total).tanh())

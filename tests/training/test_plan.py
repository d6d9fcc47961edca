"""The batches of every step: what an epoch holds, what is drawn, and that a step is always the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.errors import InputError
from activity_bench.training.options import TrainOptions
from activity_bench.training.pairs import Pair
from activity_bench.training.plan import Plan, _shortened

pytestmark = pytest.mark.quick

OPTIONS = TrainOptions(batch=8, bucket=10)


def pair(n: int, label: str = "Diving", rows: int = 40, target: tuple[int, int] = (10, 15), **more: object) -> Pair:
    return Pair(f"s{n}", label, f"v{n}", (0, rows), (target,), f"v{n}", (0, 1), **more)  # type: ignore[arg-type]


def pairs(count: int = 50) -> list[Pair]:
    return [pair(n, "ABC"[n % 3], 20 + n, (3, 5 + n % 7)) for n in range(count)]


def ids(batches: list[list[Pair]]) -> list[str]:
    return [pair.id for batch in batches for pair in batch]


def test_an_epoch_asks_each_line_once_but_for_a_rest_that_changes() -> None:
    plan = Plan(pairs(), 0, OPTIONS)
    left_out = []
    for epoch in range(4):
        batches = plan.epoch(epoch)
        assert [len(batch) for batch in batches] == [8] * 6
        assert len(set(ids(batches))) == 48
        left_out.append({p.id for p in plan.pairs} - set(ids(batches)))
    assert len(set(map(frozenset, left_out))) > 1


def test_a_step_is_the_same_whatever_came_before() -> None:
    plan, other = Plan(pairs(), 3, OPTIONS), Plan(pairs(), 3, OPTIONS)
    forward = [plan.batch(step) for step in range(20)]
    assert [other.batch(step) for step in reversed(range(20))] == forward[::-1]
    assert forward[6] != forward[0] and plan.epoch(0) != plan.epoch(1)
    assert Plan(pairs(), 4, OPTIONS).epoch(0) != plan.epoch(0)


def test_a_clip_is_of_the_class_from_elsewhere_and_no_longer_than_the_window() -> None:
    lines = {p.id: p for p in pairs()}
    targets = {(p.video, p.target): p.label for p in lines.values()}
    drawn = Counter()
    plan = Plan(list(lines.values()), 0, replace(OPTIONS, augment=0.0))
    for epoch in range(6):
        for asked in (p for batch in plan.epoch(epoch) for p in batch):
            assert targets[asked.query_video, asked.query] == asked.label
            assert asked.query_video != asked.video
            drawn[asked.id] |= 0
            drawn[asked.id, asked.query_video] += 1
    different = Counter(key[0] for key in drawn if isinstance(key, tuple))
    assert max(different.values()) > 3  # redrawn: not one clip for a line


def test_a_line_that_no_clip_fits_keeps_its_own() -> None:
    short = Pair("s", "A", "v", (0, 4), ((0, 4),), "own", (7, 9))
    long = Pair("t", "A", "w", (0, 90), ((5, 80),), "own", (7, 9))
    plan = Plan([short, long], 0, TrainOptions(batch=1, augment=0.0))
    asked = {p.id: (p.query_video, p.query) for batch in plan.epoch(0) for p in batch}
    assert asked == {"s": ("own", (7, 9)), "t": ("v", (0, 4))}


def test_lines_without_targets_ask_with_each_others_clips_and_keep_their_windows() -> None:
    weak = [replace(p, targets=(), query_video=f"q{p.id}", query=(0, 3)) for p in pairs(30)]
    found = [p for epoch in range(5) for batch in Plan(weak, 0, OPTIONS).epoch(epoch) for p in batch]
    windows = {p.id: p.window for p in weak}
    assert all(p.window == windows[p.id] for p in found)
    assert all(p.query_video.startswith("qs") and p.targets == () for p in found)
    assert len({(p.id, p.query_video) for p in found}) > 60


def test_without_redrawing_the_manifests_pairs_are_asked() -> None:
    plan = Plan(pairs(), 0, replace(OPTIONS, redraw=False, augment=0.0))
    assert {asked for batch in plan.epoch(2) for asked in batch} < set(plan.pairs)


def test_windows_lose_leads_and_tails_around_the_target() -> None:
    lines = [pair(n, rows=40, target=(10, 15)) for n in range(400)]
    found = [p for batch in Plan(lines, 0, replace(OPTIONS, batch=400)).epoch(0) for p in batch]
    assert all(0 <= p.window[0] <= 10 and 15 <= p.window[1] <= 40 for p in found)
    untouched = sum(p.window == (0, 40) for p in found)
    assert 20 <= untouched <= 65  # a tenth of 400, and the odd one that lost nothing
    assert {p.window[0] for p in found} == set(range(11))
    assert {p.window[1] for p in found} == set(range(15, 41))


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_a_shortened_window_holds_its_target(lead: int, tail: int) -> None:
    first, last = _shortened((5, 30), (9, 12), lead, tail)
    assert 5 <= first <= 9 and 12 <= last <= 30


def test_the_ends_of_a_draw_are_reached() -> None:
    assert _shortened((5, 30), (9, 12), 0, 0) == (5, 30)
    assert _shortened((5, 30), (9, 12), 2**64 - 1, 2**64 - 1) == (9, 12)


def test_batches_are_alike_in_length() -> None:
    lines = [pair(n, rows=20 + n % 300) for n in range(3000)]
    batches = Plan(lines, 0, replace(OPTIONS, bucket=30, augment=0.0, batch=32)).epoch(0)
    spreads = [max(p.window[1] for p in batch) - min(p.window[1] for p in batch) for batch in batches]
    assert sum(spread < 30 for spread in spreads) >= 0.85 * len(batches)
    firsts = [batch[0].window[1] for batch in batches]
    assert firsts != sorted(firsts)  # batches come in an order of chance


def test_a_small_split_is_one_batch() -> None:
    assert [len(batch) for batch in Plan(pairs(7), 0, OPTIONS).epoch(0)] == [7]
    assert Plan(pairs(7), 0, OPTIONS, processes=2).size == 6


@pytest.mark.parametrize(("count", "processes"), [(50, 3), (1, 2)])
def test_a_batch_that_cannot_be_shared_out_is_refused(count: int, processes: int) -> None:
    with pytest.raises(InputError, match="shared out evenly"):
        Plan(pairs(count), 0, OPTIONS, processes)


def test_a_small_split_gets_as_many_passes_and_no_more() -> None:
    options = replace(OPTIONS, steps=1000, epochs=17)
    assert Plan(pairs(50), 0, options).options.steps == 17 * 6  # six batches of 8 in 50 pairs
    assert Plan(pairs(5000), 0, options).options.steps == 1000
    assert Plan(pairs(50), 0, replace(options, epochs=0)).options.steps == 1000


@pytest.mark.parametrize(("given", "epochs"), [({}, 17), ({"steps": 40}, 0), ({"steps": 40, "epochs": 3}, 3)])
def test_steps_by_hand_switch_the_passes_off(given: dict[str, int], epochs: int) -> None:
    from activity_bench.models.cgbm import Method
    from activity_bench.workflow.run import choose

    training = choose(Method, given, "cgbm")[1]
    assert training is not None
    assert (training.steps, training.epochs) == (given.get("steps", 1000), epochs)

"""What may not matter to detection scores, and what must: order, units, cuts, copies, the worst and the best answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from activity_bench.scoring.detection import average_precision, rank
from activity_bench.scoring.matching import greedy, pairs
from tests.reference.detection import Case
from tests.scoring.test_detection_twin import CLASSES, ROWS, VIDEOS, arrays, cases, scored

pytestmark = pytest.mark.quick


def whole(case: Case) -> bool:
    """Whether every protocol has a truth to ask for."""
    return any(b - a > 0.01 for _, _, a, b in case.truths)


def distinct(case: Case) -> Case:
    """The same with no two scores equal."""
    return replace(case, detections=[(*d[:4], d[4] + 0.001 * place) for place, d in enumerate(case.detections)])


@pytest.mark.parametrize("name", ROWS)
@settings(max_examples=30)
@given(case=cases(), rng=st.randoms(use_true_random=False))
def test_order_is_nothing_where_scores_differ(name: str, case: Case, rng) -> None:
    assume(whole(case))
    case = distinct(case)
    shuffled = rng.sample(list(case.detections), len(case.detections))
    assert scored(case, ROWS[name]) == scored(replace(case, detections=shuffled), ROWS[name])


@pytest.mark.parametrize("name", ROWS)
@settings(max_examples=30)
@given(case=cases())
def test_the_order_of_lines_is_nothing_even_where_scores_tie(name: str, case: Case) -> None:
    assume(whole(case))
    lines = sorted(case.detections, key=lambda d: -d[0])  # videos the other way round, each as it was
    assert scored(case, ROWS[name]) == scored(replace(case, detections=lines), ROWS[name])


def moved(case: Case, scale: float, shift: Sequence[float], videos: Sequence[int]) -> Case:
    """Each video's times scaled and shifted, and the video renamed. An unknown video keeps its -1."""

    def move(row: tuple, at: int) -> tuple:
        video = row[0]
        times = [row[i] * scale + shift[video] for i in (at, at + 1)]
        return (videos[video] if video >= 0 else -1, *row[1:at], *times, *row[at + 2 :])

    return Case(
        [move(row, 2) for row in case.truths], [move(row, 1) for row in case.ignore],
        [move(row, 2) for row in case.detections],
    )  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
@settings(max_examples=30)
@given(case=cases(), steps=st.integers(0, 5))
def test_a_shift_of_the_clock_changes_nothing(name: str, case: Case, steps: int) -> None:
    assume(whole(case))
    shift = [32.0 * steps] * (VIDEOS + 1)  # whole pairs of rows: halves round as before
    assert scored(case, ROWS[name]) == scored(moved(case, 1.0, shift, range(VIDEOS)), ROWS[name])


@pytest.mark.parametrize("name", ["activitynet", "autoloc", "thumos-evalkit"])  # the others know of ms or rows
@settings(max_examples=30)
@given(case=cases(), power=st.integers(-3, 6))
def test_the_unit_of_time_is_nothing(name: str, case: Case, power: int) -> None:
    scaled = moved(case, 2.0**power, [0.0] * (VIDEOS + 1), range(VIDEOS))
    assert scored(case, ROWS[name]) == scored(scaled, ROWS[name])


@pytest.mark.parametrize("name", ROWS)
@settings(max_examples=30)
@given(case=cases())
def test_videos_may_be_cut_and_joined_where_nothing_is(name: str, case: Case) -> None:
    assume(whole(case))
    case = distinct(case)
    case = replace(case, detections=[d for d in case.detections if d[0] in {truth[0] for truth in case.truths}])
    joined = moved(case, 1.0, [64.0 * video for video in range(VIDEOS)], [0] * VIDEOS)
    assert scored(joined, ROWS[name]) == pytest.approx(scored(case, ROWS[name]), abs=1e-12)


def repeated(case: Case, times: Sequence[int]) -> Case:
    """Each video as often as is said, every copy under an id of its own."""
    copies = [(video, copy) for video in range(VIDEOS) for copy in range(times[video])]
    both = [moved(case, 1.0, [0.0] * 4, [place if v == video else -2 for v in range(VIDEOS)])
            for place, (video, _) in enumerate(copies)]  # fmt: skip
    parts = [[row for part in both for row in getattr(part, field) if row[0] >= 0] for field in ("truths", "ignore")]
    found = [row for part in both for row in part.detections if row[0] >= 0]
    return Case(*parts, found + [row for row in case.detections if row[0] == -1])


@pytest.mark.parametrize("name", ["activitynet", "opentad", "actionformer", "autoloc"])
@settings(max_examples=40)
@given(case=cases(), times=st.lists(st.integers(0, 3), min_size=VIDEOS, max_size=VIDEOS))
def test_a_weight_is_a_number_of_copies(name: str, case: Case, times: list[int]) -> None:
    """Of interpolated precision: the copies of a hit stand together, and the last of them has the greatest."""
    case, rules = distinct(case), ROWS[name]
    copied = rank(*arrays(repeated(case, times), sum(times)), rules)
    weighted = average_precision(rank(*arrays(case), rules), rules, np.array(times, float))
    np.testing.assert_allclose(average_precision(copied, rules), weighted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ROWS)
@settings(max_examples=30)
@given(case=cases(), weight=st.integers(2, 5), keep=st.lists(st.booleans(), min_size=VIDEOS, max_size=VIDEOS))
def test_equal_weights_change_nothing_and_none_takes_a_video_out(
    name: str, case: Case, weight: int, keep: list[bool]
) -> None:
    rules = ROWS[name]
    case = replace(case, detections=[d for d in case.detections if d[0] >= 0])
    ranked = rank(*arrays(case), rules)
    plain = average_precision(ranked, rules)
    np.testing.assert_allclose(average_precision(ranked, rules, np.full(VIDEOS, float(weight))), plain, atol=1e-12)
    part = Case(*([row for row in rows if keep[row[0]]] for rows in (case.truths, case.ignore, case.detections)))
    fewer = average_precision(rank(*arrays(part), rules), rules)
    np.testing.assert_allclose(average_precision(ranked, rules, np.array(keep, float)), fewer, atol=1e-12)


@pytest.mark.parametrize("name", ROWS)
@settings(max_examples=30)
@given(case=cases(), label=st.integers(0, CLASSES - 1))
def test_a_wrong_answer_at_the_bottom_never_raises_a_class(name: str, case: Case, label: int) -> None:
    """Nor mAP, but for `wtalc`, where the first answer to a class lifts the rest from nought."""
    rules = ROWS[name]
    worse = replace(case, detections=[*case.detections, (-1, label, 0.0, 5.0, -1.0)])
    before, after = (average_precision(rank(*arrays(c), rules), rules) for c in (case, worse))
    assert (np.nan_to_num(after) <= np.nan_to_num(before)).all()


@pytest.mark.parametrize("name", ROWS)
@settings(max_examples=30)
@given(case=cases())
def test_the_truth_scores_one(name: str, case: Case) -> None:
    """Truths of one class and video apart: a first free truth may otherwise be another's."""
    apart = [(v, c, 32.0 * place, 32.0 * place + 3) for place, (v, c, *_) in enumerate(case.truths)]
    answer = Case(apart, [], [(*truth, 0.5) for truth in apart])
    assert set(scored(answer, ROWS[name]).values()) == {1.0}


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), max_size=40))
def test_parallel_rounds_give_what_the_sequence_gives(asks: list[tuple[int, int]]) -> None:
    asks.sort(key=lambda pair: pair[0])  # of one proposer, in any order
    taken: dict[int, int] = {}
    for proposer, acceptor in asks:
        if proposer not in taken and acceptor not in taken.values():
            taken[proposer] = acceptor
    who, whom = greedy(*(np.array([pair[place] for pair in asks], np.int64) for place in (0, 1)), 7)
    assert dict(zip(who.tolist(), whom.tolist(), strict=True)) == taken


def test_a_long_chain_of_refusals_ends_right() -> None:
    """Everybody wants the same acceptors in the same order: the n-th proposer is turned away n times."""
    n = 300
    who, whom = greedy(np.repeat(np.arange(n), n), np.tile(np.arange(n), n), n)
    assert who.tolist() == whom.tolist() == list(range(n))


@settings(max_examples=100)
@given(st.lists(st.integers(0, 5), max_size=12), st.lists(st.integers(0, 5), max_size=12), st.integers(1, 9))
def test_pairs_in_pieces_are_all_pairs(a: list[int], b: list[int], at_once: int) -> None:
    pieces = list(pairs(np.array(a, np.int64), np.array(b, np.int64), at_once))
    assert [pair for i, j in pieces for pair in zip(i.tolist(), j.tolist(), strict=True)] == [
        (i, j) for i in range(len(a)) for j in range(len(b)) if a[i] == b[j]
    ]
    assert all(len(i) <= at_once or len(set(i.tolist())) == 1 for i, _ in pieces)

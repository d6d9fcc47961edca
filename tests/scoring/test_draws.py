"""Draws of signs and of samples: none is lost between blocks; and which scores and targets there are."""

from __future__ import annotations

import numpy as np
import pytest

from activity_bench.scoring import compare, intervals, moments

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("videos", [18, 500, 2000])  # the last takes two blocks
def test_every_flip_is_counted_once(videos: int) -> None:
    """Differences that cancel: no flip is nearer to 0, so all count, and p is 1 to the last digit."""
    even = np.tile([1.0, -1.0], videos // 2)[:, None]
    assert compare.sign_flips(even, None).tolist() == [1.0]
    assert compare.sign_flips(np.ones((videos, 1)), None).tolist() == [1 / (1 + compare.FLIPS)]


def test_seeds_are_0_unless_said() -> None:
    chance = np.random.default_rng(0)
    values, other = chance.random((60, 2)), chance.random((60, 2))
    found, expected = compare.paired(values, other, None), compare.paired(values, other, None, 0)
    assert found == expected != compare.paired(values, other, None, 1)
    flips = compare.sign_flips(values - other, None)
    assert flips.tolist() == compare.sign_flips(values - other, None, 0).tolist()
    assert flips.tolist() == compare.sign_flips(values - other, None, 0, 9_999).tolist()
    means = intervals.of_means(values)
    assert means.tolist() == intervals.of_means(values, None, 0, 2000, 0.95).tolist()
    ious = values[:, 0]
    assert moments.intervals(ious) == moments.intervals(ious, 0) != moments.intervals(ious, 1)


def test_drawn_signs_are_those_of_one_stream_of_bits() -> None:
    values = np.random.default_rng(1).integers(-3, 6, (40, 2)).astype(float)
    stream = np.random.Generator(np.random.Philox(key=[7, 1]))
    bits = np.unpackbits(np.frombuffer(stream.bytes(40 * 300 // 8), np.uint8)).reshape(300, 40).tolist()
    columns = [sorted(column) for column in values.T.tolist()]
    expected = []
    for column in columns:
        seen, hits = abs(sum(column)), 0
        for row in bits:
            hits += abs(sum(-v if bit else v for v, bit in zip(column, row, strict=True))) >= seen
        expected.append((1 + hits) / 301)
    assert compare.sign_flips(values, None, 7, 300).tolist() == expected


def test_samples_of_one_video_count_less_even_where_few_videos_have_several() -> None:
    hits = (np.random.default_rng(2).random((120, 2)) < [0.3, 0.6]).astype(float)
    alone = intervals.of_shares(hits)
    assert intervals.of_shares(hits, np.arange(120)).tolist() == alone.tolist()
    twins = intervals.of_shares(np.repeat(hits, 2, axis=0), np.arange(240) // 2)
    assert twins == pytest.approx(alone, abs=1e-3)
    video = np.array([0, 0, *range(1, 119)])
    mixed = np.concatenate([hits[:1], hits[:1], hits[1:119]])  # the first video is asked twice, and answers alike
    squares = sum((mixed[video == v] - mixed.mean(axis=0)).sum(axis=0) ** 2 for v in range(119))
    error = np.sqrt(squares * 119 / 118) / 120
    for column, p, e in zip(range(2), mixed.mean(axis=0), error, strict=True):
        m = min(p * (1 - p) / e**2, 120)
        expected = intervals.exact_share(p * m, m)
        assert intervals.of_shares(mixed, video)[column] == pytest.approx(expected, abs=1e-9)


def test_so_many_videos_that_a_draw_is_a_block() -> None:
    (block,) = intervals.cluster_counts(4_000_001, 0, 1)
    assert block.shape == (1, 4_000_001) and block.sum() == 4_000_001


def test_the_scores_of_the_papers_by_name() -> None:
    """IJCAI 2019, section 6.2; ECCV 2018, section 5.2; QVHighlights (NeurIPS 2021), whose lengths are in seconds."""
    top = ["top1-mAP@0.5", "top1-mAP@0.6", "top1-mAP@0.7", "top1-mAP@0.8", "top1-mAP@0.9", "top1-mAP"]
    ious = ["mIoU", "IoU@0.3", "IoU@0.5", "IoU@0.7"]
    steps = ["0.5", "0.55", "0.6", "0.65", "0.7", "0.75", "0.8", "0.85", "0.9", "0.95"]
    assert moments.IBAL.scores == ious
    assert sorted(moments.RELEASED.scores) == sorted(top)
    assert sorted(moments.MOMENTS.scores) == sorted([*ious, *top])
    both = [*(f"mAP@{t}" for t in steps), "mAP", *(f"R1@{t}" for t in steps)]
    assert sorted(moments.QVHIGHLIGHTS.scores) == sorted(both)
    assert moments.QVHIGHLIGHTS.lengths == {"short": (0, 10), "middle": (10, 30), "long": (30, 150)}


def test_as_many_targets_as_samples_need_not_be_one_each() -> None:
    answer, step = (np.array([0.0, 0.0, 0.0]), np.array([10.0, 10.0, 10.0])), np.full(3, np.nan)
    ious = moments.answer_iou(answer, step, np.array([0, 1, 1]), np.array([0.0, 6.0, 0.0]), np.array([5.0, 10.0, 8.0]))
    assert ious.tolist() == [0.5, 0.8, 0.0]

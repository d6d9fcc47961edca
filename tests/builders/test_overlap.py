"""The rule on names, step by step, and which table counts: what zero-shot training leaves out, and why."""

from __future__ import annotations

import pytest

from activity_bench.builders.detection.overlap import ALIKE, LEFT_OUT, SAME, by_rule, common, keys, note, stem, words
from activity_bench.errors import InputError
from activity_bench.types import Ledger

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("cars", "car"), ("bus", "bus"), ("ass", "as"), ("grass", "gras"), ("lawns", "lawn"),  # plurals
        ("jumping", "jump"), ("king", "king"), ("string", "string"), ("crying", "cry"),  # -ing where a word is left
        ("swimming", "swim"), ("ball", "bal"), ("zoo", "zo"), ("oo", "oo"), ("kick", "kick"),  # a doubled last letter
        ("dance", "danc"), ("dances", "danc"), ("dancing", "danc"), ("free", "fre"), ("skiing", "ski"),  # a silent e
    ],
)  # fmt: skip
def test_a_word_without_its_endings(word: str, expected: str) -> None:
    assert stem(word) == expected


def test_the_words_of_a_name() -> None:
    assert words("CleanAndJerk") == ["clean", "jerk"]
    assert words("Mowing the lawn") == ["mowing", "lawn"]
    assert words("Top5Drops of UFO") == ["top5", "drops", "ufo"]
    assert keys("Throwing discuses") == {"discus throw", "throwingdiscus"}
    assert keys("the") == set()


def test_the_pairs_are_sorted_and_say_how_they_are_alike() -> None:
    found = by_rule(["Shotput", "HighJump", "Tango"], ["shot put", "high jump", "jumping high", "tango dancing"])
    assert found == [
        ("HighJump", "high jump", "rule", SAME),
        ("HighJump", "jumping high", "rule", ALIKE),
        ("Shotput", "shot put", "rule", ALIKE),
    ]


JUDGED = [("Tango", "tango dancing", "judged", "one dance"), ("Tango", "waltz", "judged", "-"),
          ("Waltz", "tango dancing", "judged", "-"), ("HighJump", "high jump", "rule", "stale")]  # fmt: skip


def test_judgements_count_beside_the_rule_where_both_classes_are_there() -> None:
    ledger = Ledger("instance")
    found = common(["Tango", "HighJump"], ["tango dancing", "high jump"], {"shipped_overlap": JUDGED}, ledger)
    assert found == [("HighJump", "high jump", "rule", SAME), JUDGED[0]]
    assert ledger.notes == {"zero-shot: judged pairs that these files lack": ["Tango = waltz", "Waltz = tango dancing"]}


def test_a_table_of_ones_own_counts_alone_and_in_order() -> None:
    given = [("Tango", "welding", "judged", "b"), ("HighJump", "welding", "judged", "a")]
    ledger = Ledger("instance")
    tables = {"overlap": given, "shipped_overlap": JUDGED}
    assert common(["Tango", "HighJump"], ["welding", "high jump"], tables, ledger) == given[::-1]
    assert ledger.notes == {}
    with pytest.raises(InputError, match="overlap, pair 2: unknown class of the target; found 'HighJump'"):
        common(["Tango"], ["welding"], tables, ledger)


def test_every_pair_is_noted_with_its_reason() -> None:
    ledger = Ledger("instance")
    note(JUDGED[:1], ledger)
    assert ledger.notes == {LEFT_OUT: ["tango dancing = Tango (judged: one dance)"]}

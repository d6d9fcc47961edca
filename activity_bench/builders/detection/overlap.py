"""Which classes of a trimmed source are classes of the target too: what zero-shot training may not see.

The rule compares names: without case, CamelCase taken apart, without stop words, plurals and -ing, in any order of the
words, and with words joined or apart ("Shotput" is "shot put"). What the rule cannot see was judged pair by pair, and
stands in a table with its reason. The judgement: a pair is common where both name one activity in other words, where
one is a kind of the other, or where the target is an act of the game that the source names and the source has no class
of its own for that act. A step, a sister discipline or a like movement is not enough.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from activity_bench.errors import unknown
from activity_bench.types import Ledger

Pair = tuple[str, str, str, str]  # target class, source class, basis (`rule` or `judged`), reason
STOP_WORDS = frozenset(["a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"])
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
SAME = "the same words"
ALIKE = "the same words, but for their order, endings or how they are joined"
LEFT_OUT = "zero-shot: source classes left out, with the target class that each is"


def words(name: str) -> list[str]:
    """The words of a class's name, stop words left out."""
    return [word for word in re.findall(r"\w+", CAMEL.sub(" ", name).casefold()) if word not in STOP_WORDS]


def stem(word: str) -> str:
    """A word without plural, -ing, a silent e and a doubled last letter: dances, dancing and dance are one."""
    if word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        word = word[:-1]
    if word.endswith("ing") and re.search("[aeiouy]", word[:-3]):
        word = word[:-3]
    word = word.removesuffix("e")
    return word[:-1] if len(word) > 2 and word[-1] == word[-2] else word


def keys(name: str) -> set[str]:
    """What two names share if the rule calls them one."""
    found = words(name)
    return {" ".join(sorted(map(stem, found))), stem("".join(found))} - {""}


def by_rule(targets: Iterable[str], sources: Iterable[str]) -> list[Pair]:
    """The pairs that the rule finds, sorted."""
    known = defaultdict(set)
    for source in sources:
        for key in keys(source):
            known[key].add(source)
    pairs = {(target, source) for target in targets for key in keys(target) for source in known[key]}
    return [
        (target, source, "rule", SAME if words(target) == words(source) else ALIKE) for target, source in sorted(pairs)
    ]


def common(
    targets: Sequence[str], sources: Sequence[str], tables: Mapping[str, Sequence[Pair]], ledger: Ledger
) -> list[Pair]:
    """The pairs that count: those of the user's table alone, else the rule's and the shipped judgements."""
    given = tables.get("overlap")
    if given is not None:
        for number, (target, source, _, _) in enumerate(given, 1):
            where = f"overlap, pair {number}"
            if target not in targets:
                raise unknown("class of the target", target, targets, field=where)
            if source not in sources:
                raise unknown("class of the source", source, sources, field=where)
        return sorted(given)
    pairs = by_rule(targets, sources)
    for pair in tables.get("shipped_overlap", ()):
        if pair[2] == "judged":
            if pair[0] in targets and pair[1] in sources:
                pairs.append(pair)
            else:
                ledger.note("zero-shot: judged pairs that these files lack", f"{pair[0]} = {pair[1]}")
    return sorted(pairs)


def note(pairs: Iterable[Pair], ledger: Ledger) -> None:
    """Every pair and its reason, for the manifest."""
    for target, source, basis, reason in pairs:
        ledger.note(LEFT_OUT, f"{source} = {target} ({basis}: {reason})")

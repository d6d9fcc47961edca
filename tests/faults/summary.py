"""The nightly summary: what was tried, by kind, and what came of it, written by the very call that tried it.

    python -m pytest -m nightly -p tests.faults.summary --reliability docs/reliability.md

A plug-in of pytest. It counts what the tests report, also those of other processes, and writes one page at the end.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

# Of a report's user_properties:
CASE = "fault"  # (command, kind, seed, outcome)
HUNT = "hunt"  # (kind of file, engine, seconds, files tried, finds)
FOUND = Path(__file__).with_name("found.md")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--reliability", type=Path, help="Write the summary of the faults that were tried here.")


class Summary:
    """Counts reports as they come in."""

    def __init__(self, page: Path) -> None:
        self.page = page
        self.cases: list[tuple[str, str, int, str]] = []
        self.hunts: list[tuple[str, str, int, int, int]] = []
        self.others: Counter[tuple[str, str]] = Counter()  # (module, outcome) of the other tests

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A case says what it was before it is tried, and what came of it afterwards."""
        if report.when != "call" and report.passed:
            return
        said = dict(report.user_properties)
        case = said.get(CASE)
        if HUNT in said:
            self.hunts.append(said[HUNT])
        elif case is None:
            self.others[report.nodeid.partition("::")[0], report.outcome] += 1
        else:
            command, kind, seed, outcome = case
            self.cases.append((command, kind, int(seed), "FAILED" if report.failed else outcome))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not hasattr(session.config, "workerinput") and self.cases:
            found = FOUND.read_text(encoding="utf-8")
            self.page.write_text(text(self.cases, self.hunts, self.others, found), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    if page := config.getoption("--reliability"):
        config.pluginmanager.register(Summary(config.rootpath / page))


def text(
    cases: list[tuple[str, str, int, str]],
    hunts: list[tuple[str, str, int, int, int]],
    others: Counter[tuple[str, str]],
    found: str,
) -> str:
    """The page. The same cases in any order give the same page of a day."""
    seeds = sorted(seed for _, _, seed, _ in cases)
    failed = sorted((seed, command, kind) for command, kind, seed, outcome in cases if outcome == "FAILED")
    lost = "Nothing was lost, half-written or silently wrong." if not failed else "Cases that failed: " + "; ".join(
        f"seed {seed}, {command}, {kind}" for seed, command, kind in failed) + "."  # fmt: skip
    return "\n".join([
        "# Reliability", "",
        "Written by the nightly tests (`make nightly`, or a range of seeds: `FAULT_SEEDS`) on "
        f"{datetime.now(UTC):%Y-%m-%d}; seeds {seeds[0]} to {seeds[-1]}, {len(seeds)} cases. {lost}", "",
        "Each case calls a command as a process of its own, disturbs it once, looks at what is there, and calls it",
        "again. It ends with exit code 0 or with one located message; a file under its final name is as it was or as",
        "the undisturbed call leaves it, byte for byte; a changed byte of what has a sum is said; the second call",
        "succeeds. `tests/faults/` has the cases; a seed names one.", "",
        "## By kind", "", *_table("kind", [(kind, outcome) for _, kind, _, outcome in cases]), "",
        "## By command", "", *_table("command", [(command, outcome) for command, _, _, outcome in cases]), "",
        *(["## Damaged files", "", "Every reader of foreign bytes was given changed files, and had to give a result or "
           "one located message,", "in bounded memory and time (`tests/fuzz/`).", "", *_hunted(hunts), ""]
          if hunts else []),
        *(["## The other nightly tests", "", *_table("tests", list(others.elements())), ""] if others else []),
        "## Found and mended", "", found.strip(), "",
    ])  # fmt: skip


def _hunted(hunts: list[tuple[str, str, int, int, int]]) -> list[str]:
    rows = [["kind of file", "readers", "engine", "minutes", "files tried", "finds"], ["---", *["---:"] * 5]]
    for kind, engine in sorted({hunt[:2] for hunt in map(tuple, hunts)}):
        those = [hunt[2:] for hunt in hunts if tuple(hunt[:2]) == (kind, engine)]
        seconds, tried, finds = (sum(column) for column in zip(*those, strict=True))
        rows.append([kind, str(len(those)), engine, f"{seconds / 60:.0f}", f"{tried:,}", str(finds)])
    return ["| " + " | ".join(row) + " |" for row in rows]


def _table(what: str, pairs: list[tuple[str, str]]) -> list[str]:
    counts = Counter(pairs)
    rows, columns = sorted({row for row, _ in counts}), sorted({column for _, column in counts})
    cells = [[row, str(sum(counts[row, c] for c in columns)), *(str(counts[row, c]) for c in columns)] for row in rows]
    head = [what, "cases", *columns]
    return ["| " + " | ".join(line) + " |" for line in (head, ["---", *["---:"] * (len(head) - 1)], *cells)]

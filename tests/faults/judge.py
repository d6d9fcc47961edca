"""What may be left after a disturbance: whole files, one message, inputs as they were; a second call succeeds."""

from __future__ import annotations

import math
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np

from tests.faults.harness import (
    DAMAGES,
    SIGNALS,
    Case,
    Said,
    Snapshot,
    Undisturbed,
    Whole,
    call,
    drafts,
    finish,
    harm,
    look,
    prepare,
    raw,
    small_disk,
    start,
    strike,
)

PAGE = 4096
ENDS = {0, 1, 2, 130, 143}
SUMMED = re.compile(r"in/(manifest/(manifest\.json|\w+\.jsonl)|features\.h5|trained/.*\.safetensors)$")


def tried(case: Case, undisturbed: Undisturbed, folder: Path) -> Case:
    """Do it, and assert all that must hold."""
    row, whole = case.row, undisturbed.of(case.row)
    draw = np.random.Generator(np.random.Philox(key=case.seed))
    prepare(row, undisturbed.stage, folder)
    out = folder / "out"
    if case.renewed:
        shutil.copytree(whole.folder / "out", out, dirs_exist_ok=True)
    victim = harm(case.kind, folder, draw) if case.kind in DAMAGES else None
    began = look(out, row.makes)
    given = None if victim and case.kind == "unreadable" else raw(folder / "in")
    words = [*row.words, *(row.replaces if case.renewed else [])]
    said = disturbed(case, words, folder, whole, draw)
    for one in said:
        check_words(case, one, victim)
    assert given is None or raw(folder / "in") == given, "an input is not what it was"
    codes = {one.code for one in said}
    left = look(out, row.makes)
    check_left(case, whole, began, left, codes, victim, folder)
    killed = case.kind == "killed"
    assert killed or row.resumes is not None or not drafts(out), f"left behind: {drafts(out)}"
    right = left == whole.new and (not row.says or row.makes or said[0].out == whole.out)
    if 0 in codes and victim and not right:
        assert not SUMMED.search(str(victim)), f"another answer, and nobody was told: {victim}"
    case.outcome = _outcome(codes, right)
    if not (0 in codes and right):
        again(case, undisturbed, folder, whole, anew=case.kind == "a byte flipped" and 0 in codes)
    return case


def disturbed(case: Case, words: list[str], folder: Path, whole: Whole, draw: np.random.Generator) -> list[Said]:
    """The call, or both."""
    began, out = time.monotonic(), folder / "out"
    if case.kind in SIGNALS:
        writing = bool(case.row.makes) and bool(draw.integers(2))
        moment = draw.uniform(0, 0.02) if writing else draw.uniform(0, 1.1) * whole.seconds
        process = start(words, folder)
        strike(process, SIGNALS[case.kind], out, moment, writing)
        return [finish(process, began)]
    if case.kind == "disk full":
        share = draw.uniform(0, 1)
        sizes = [len(data) for data in whole.new.values()]
        there = sum(PAGE * math.ceil(path.stat().st_size / PAGE) for path in out.rglob("*"))
        with small_disk(out, there + PAGE + int(share * sum(sizes)) // PAGE * PAGE) as mounted:
            limit = None if mounted else int(share * max(sizes))
            return [finish(start(words, folder, limit), began)]
    processes = [start(words, folder) for _ in range(1 + (case.kind == "two at once"))]
    return [finish(process, began) for process in processes]


def check_words(case: Case, said: Said, victim: Path | None) -> None:
    """The exit code, and one message where the work was not done."""
    code = {-signal.SIGTERM: 143, -signal.SIGINT: 130}.get(said.code, said.code)  # before the program listened
    if case.kind == "killed" and said.code == -signal.SIGKILL:
        return
    # Python's own start has words of its own, and reads these two files as its last act.
    ours = "Traceback" in said.err and re.search(r"activity_bench/(?!__init__|__main__)", said.err)
    assert not ours, f"a traceback reached the user:\n{said.err}"
    assert code in ENDS, f"exit code {said.code}\n{said.err}"
    if code in (1, 2):
        lines = [line for line in said.err.splitlines() if re.match("(?i)error: ", line)]
        assert len(lines) == 1, said.err
        assert lines[0].isprintable() and len(lines[0]) < 1500, lines
        assert re.search(r"\b(in|out)/", lines[0]), f"not located: {lines[0]}"
    if code in (130, 143):
        assert case.kind in SIGNALS, said.err


def check_left(
    case: Case, whole: Whole, began: Snapshot, left: Snapshot, codes: set[int], victim: Path | None, folder: Path
) -> None:
    """Each thing that is there is whole: as it was, or as the undisturbed call leaves it."""
    row = case.row
    for name in row.makes:
        now, before, new = (_of(snapshot, name) for snapshot in (left, began, whole.new))
        if 0 in codes and not victim:
            assert now == new, f"done, and {name} is not what it should be: {_difference(now, new)}"
        if row.resumes is not None or (victim and 0 in codes):
            continue
        assert now or not before, f"lost: {name}"
        assert now in (before, new), f"half of {name}: {_difference(now, new)}"


def again(case: Case, undisturbed: Undisturbed, folder: Path, whole: Whole, anew: bool) -> None:
    """The same call, with nothing in its way: it ends well, and with the undisturbed call's bytes.

    What goes on where it was knows files by their size: where one was as long as it had been, it begins `anew`.
    """
    row = case.row
    whole_again = prepare(row, undisturbed.stage, folder / "again")
    for name in ["in", *(["out"] if anew and row.resumes is not None else [])]:
        shutil.rmtree(folder / name)
        shutil.move(whole_again / name, folder / name)
    there = any(path.name in row.makes for path in (folder / "out").iterdir())
    more = (row.resumes or row.replaces) if there else []
    is_done = look(folder / "out", row.makes) == whole.new  # the blow fell after the work: there is nothing left to do
    said = call([*row.words, *more], folder)
    assert said.code == 0 or is_done, f"the second call fails:\n{said.err}"
    assert said.code or not row.says or row.makes or said.out == whole.out
    left = look(folder / "out", row.makes)
    assert left == whole.new, f"the second call leaves something else: {_difference(left, whole.new)}"


def _of(snapshot: Snapshot, name: str) -> Snapshot:
    return {path: data for path, data in snapshot.items() if Path(path).parts[0] == name}


def _difference(now: Snapshot, new: Snapshot) -> str:
    changed = sorted(name for name in now.keys() & new.keys() if now[name] != new[name])
    return f"lacks {sorted(new.keys() - now.keys())}, more {sorted(now.keys() - new.keys())}, other {changed}"


def _outcome(codes: set[int], right: bool) -> str:
    if 0 in codes:
        return "done" if right else "done with what the changed input says"
    return "stopped" if codes - {1, 2} else "refused with one message"

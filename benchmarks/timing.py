"""Whole processes timed in turn, A B A B …, so that a ratio holds while the machine drifts; rows of one table."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode, as the standard library has
ROWS = "ACTIVITY_BENCH_ROWS"  # the file to which rows are added, where one is named


def row(name: str, figure: float, goal: str, against: str, detail: str = "") -> None:
    """Print a line of the table, and keep it for the one who asked.

    `goal` is "at least 2.5 x" or "at most 450 MB", or where there is none "more x" or "less s", whichever is better;
    `against` is the reference of the same run.
    """
    against = f"{against}: {detail}" if detail else against
    kept = {"name": name, "figure": float(f"{figure:.4g}"), "goal": goal, "against": against}
    unit = goal.rpartition(" ")[2]
    wanted = f" (goal: {goal})" if goal.startswith("at ") else ""
    print(f"{name}: {figure:.4g} {unit}{wanted}; {against}", flush=True)
    if os.environ.get(ROWS):
        with Path(os.environ[ROWS]).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(kept | {"script": Path(sys.argv[0]).stem}) + "\n")


def seconds(command: list[str]) -> float:
    """Wall time of one run; its output is thrown away, its failure is not."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.perf_counter() - started


def compare(
    name: str, ours: list[str], floor: list[str], goal: str, against: str, runs: int = 5
) -> tuple[float, float]:
    """A row of the median of the ratios, pair by pair, or of our seconds where the goal is in s; the two medians."""
    seconds(ours), seconds(floor)  # warm the caches
    pairs = [(seconds(ours), seconds(floor)) for _ in range(runs)]
    ratio = statistics.median(a / b for a, b in pairs)
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    row(name, ratio if goal.endswith("x") else a, goal, against, f"{a:.3f} s and {b:.3f} s")
    return a, b


def python(code: str, *arguments: str) -> list[str]:
    """A fresh interpreter that runs `code`."""
    return [sys.executable, "-c", code, *arguments]


def command(*arguments: str) -> list[str]:
    """The command line of the toolkit."""
    return [sys.executable, "-c", "import sys; from activity_bench.cli import main; sys.exit(main())", *arguments]

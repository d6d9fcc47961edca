"""Whole processes timed in turn, A B A B …, so that a ratio holds while the machine's speed drifts."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode, as the standard library has


def seconds(command: list[str]) -> float:
    """Wall time of one run; its output is thrown away, its failure is not."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.perf_counter() - started


def compare(name: str, ours: list[str], floor: list[str], goal: str, runs: int = 5) -> tuple[float, float]:
    """Print the medians and the median of the ratios, pair by pair; the two medians."""
    seconds(ours), seconds(floor)  # warm the caches
    pairs = [(seconds(ours), seconds(floor)) for _ in range(runs)]
    ratio = statistics.median(a / b for a, b in pairs)
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"{name}: {a:.3f} s against {b:.3f} s: {ratio:.2f} x (goal: {goal})")
    return a, b


def python(code: str, *arguments: str) -> list[str]:
    """A fresh interpreter that runs `code`."""
    return [sys.executable, "-c", code, *arguments]


def command(*arguments: str) -> list[str]:
    """The command line of the toolkit."""
    return [sys.executable, "-c", "import sys; from activity_bench.cli import main; sys.exit(main())", *arguments]

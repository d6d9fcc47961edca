"""Every benchmark in one table: ours over the reference of the same run, beside its goal and what was recorded.

    python benchmarks [--only build,store] [--record]

`recorded.json` holds the rows of the last `--record`, which also writes them into docs/performance.md, and the reason
of each goal that is not met. A ratio that is more than 20 % worse than the recorded one is named.
"""

from __future__ import annotations

import argparse
import ast
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from timing import ROWS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RECORDED, PAGE = HERE / "recorded.json", ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- rows: python benchmarks --record -->", "<!-- end of rows -->"
WORSE = 1.2
GOAL = re.compile(r"(?:(?:at )?(least|most|more|less) )?(?:([\d.]+) )?(.+)")
SCRIPTS = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in ("timing", "__main__"))


def run(scripts: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of these scripts, and those that failed."""
    rows, failed = [], []
    for script in scripts:
        print(f"== {script}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            told = Path(folder, "rows.jsonl")
            env = {**os.environ, ROWS: str(told), "PYTHONPATH": str(ROOT)}
            if subprocess.run([sys.executable, HERE / f"{script}.py"], env=env, cwd=ROOT, check=False).returncode:
                failed.append(script)
            rows += [json.loads(line) for line in told.read_text("utf-8").splitlines()] if told.exists() else []
    return rows, failed


def parsed(goal: str) -> tuple[bool, float | None, str]:
    """Whether more is better, the number to reach, and the unit."""
    way, number, unit = GOAL.fullmatch(goal).groups()  # type: ignore[union-attr]
    return way in ("least", "more"), float(number) if number else None, unit


def met(row: dict[str, Any]) -> bool | None:
    """Whether a row meets its goal; None where it has none."""
    more, number, _ = parsed(row["goal"])
    return None if number is None else bool(row["figure"] >= number if more else row["figure"] <= number)


def worse(row: dict[str, Any], before: dict[str, Any] | None) -> bool:
    """Whether a ratio is more than 20 % worse than the one recorded; times and sizes are not compared."""
    more, _, unit = parsed(row["goal"])
    if before is None or unit != "x":
        return False
    a, b = row["figure"], before["figure"]
    return bool(a * WORSE < b if more else a > b * WORSE)


def table(rows: list[dict[str, Any]], recorded: dict[str, Any]) -> list[list[str]]:
    """What is printed and written of each row."""
    found = [["what", "figure", "goal", "met", "recorded", "against"]]
    for row in rows:
        before, reason = recorded["rows"].get(row["name"]), recorded["reasons"].get(row["name"], "")
        unit = parsed(row["goal"])[2]
        said = {None: "", True: "yes", False: f"no: {reason}" if reason else "no"}[met(row)]
        goal = row["goal"] if met(row) is not None else ""
        against = _figure(before["figure"]) if before else ""
        found.append([row["name"], f"{_figure(row['figure'])} {unit}", goal, said, against, row["against"]])
    return found


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def show(lines: list[list[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def page(recorded: dict[str, Any]) -> str:
    """The recorded rows as Markdown, script by script."""
    rows = list(recorded["rows"].values())
    goals = [met(row) for row in rows if met(row) is not None]
    lines = [BEGIN, "", f"{sum(map(bool, goals))} of {len(goals)} goals are met.", ""]
    for script in sorted({row["script"] for row in rows}):
        mine = [row for row in rows if row["script"] == script]
        title = (ast.get_docstring(ast.parse((HERE / f"{script}.py").read_text("utf-8"))) or "").partition("\n\n")[0]
        lines += [f"## {script}", "", " ".join(title.split()), ""]
        lines += [f"{mine[0]['date']}, {mine[0]['machine']}.", ""]
        lines += ["| what | figure | goal | met | against |", "|---|---|---|---|---|"]
        cells = table(mine, recorded)[1:]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in (*c[:4], c[5])) + " |" for c in cells] + [""]
    return "\n".join([*lines, END])


def record(rows: list[dict[str, Any]], recorded: dict[str, Any]) -> None:
    """Rows in place of those of the same scripts; the file and the page are written anew."""
    machine = f"{_processor()}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()}"
    machine = f"{machine} of its cores, Python {platform.python_version()}"
    ran = {row["script"] for row in rows}
    kept = [row for row in recorded["rows"].values() if row["script"] not in ran]
    fresh = [row | {"date": datetime.date.today().isoformat(), "machine": machine} for row in rows]
    recorded["rows"] = {row["name"]: row for row in sorted([*kept, *fresh], key=lambda row: row["script"])}
    RECORDED.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n", "utf-8")
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(before + page(recorded) + rest.partition(END)[2], "utf-8")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default=",".join(SCRIPTS), help="some of: %(default)s")
    parser.add_argument("--record", action="store_true", help="keep the rows, and write docs/performance.md")
    asked = parser.parse_args()
    if unknown := set(asked.only.split(",")) - set(SCRIPTS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}: there are {', '.join(SCRIPTS)}")
    recorded = json.loads(RECORDED.read_text("utf-8"))
    rows, failed = run(asked.only.split(","))
    print()
    show(table(rows, recorded))
    for row in rows:
        if worse(row, before := recorded["rows"].get(row["name"])):
            now, then = _figure(row["figure"]), _figure(before["figure"])
            print(f"more than 20 % worse: {row['name']}: {now} x, recorded {then} x")
        if met(row) is False and row["name"] not in recorded["reasons"]:
            print(f"goal not met: {row['name']}: {_figure(row['figure'])}, goal {row['goal']}")
    for script in failed:
        print(f"failed: {script}")
    if asked.record:
        record(rows, recorded)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

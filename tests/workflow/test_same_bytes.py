"""Every benchmark, built under another hash seed, locale and time zone, has the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick

BUILD = """
import sys
from hashlib import sha256
from pathlib import Path
from activity_bench.workflow.build import build_dataset
from activity_bench.workflow.simulate import simulate_corpus
out = Path(sys.argv[1])
simulate_corpus(out / "corpus")
official, clips, thumos = (out / "corpus" / name for name in ("activitynet.json", "kinetics.csv", "thumos"))
runs = {
    "general": ("relocalization", official, None, {}, {}),
    "weak": ("relocalization", official, "weak", {}, {}),
    "ibal": ("activity-ibal", official, None, {}, {}),
    "w2w": ("what2when", thumos, None, {"target": "thumos14", "zero_shot": True}, {"source": clips}),
    "truth": ("detection", official, None, {}, {}),
}
for name, (benchmark, annotations, protocol, options, tables) in runs.items():
    build_dataset(benchmark, [annotations], out / name, protocol=protocol, options=options, tables=tables)
    for path in sorted((out / name).iterdir()):
        print(name, path.name, sha256(path.read_bytes()).hexdigest())
"""


def test_the_same_bytes_wherever_it_is_built(tmp_path: Path) -> None:
    settings = ({"PYTHONHASHSEED": "1", "LC_ALL": "C", "TZ": "UTC"},
                {"PYTHONHASHSEED": "4242", "LC_ALL": "C.UTF-8", "TZ": "Asia/Kathmandu"})  # fmt: skip
    printed = [
        subprocess.run(
            [sys.executable, "-c", BUILD, str(tmp_path / str(number))],
            env={**os.environ, **more}, check=True, capture_output=True, text=True,
        ).stdout
        for number, more in enumerate(settings)
    ]  # fmt: skip
    assert printed[0] == printed[1]
    assert {line.split()[0] for line in printed[0].splitlines()} == {"general", "weak", "ibal", "w2w", "truth"}

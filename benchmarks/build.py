"""Building the benchmarks from the real annotations, as whole processes, against json.load of the same bytes.

Needs ACTIVITY_BENCH_DATA. The released protocol is also compared with a plain-Python reading of its six rules.
"""

import os
import sys
import tempfile
from pathlib import Path

from timing import command, compare, python

LOAD = "import json, sys\nfor path in sys.argv[1:]:\n    json.load(open(path, 'rb'))"

RULES = """
import json, sys
from math import floor
import numpy as np
annotations, counts, order, out = sys.argv[1:]
database, length = json.load(open(annotations))["database"], json.load(open(counts))
names = sorted({a["label"] for v in database.values() for a in v["annotations"]})
place = {names[n]: i for i, n in enumerate(np.load(order))}
found = {"train": [], "val": [], "test": []}
for name, video in database.items():
    merged, sound = [], True
    for a in sorted(video["annotations"], key=lambda a: a["segment"][0]):
        start, end = a["segment"]
        if merged and start <= merged[-1][1]:
            sound = sound and merged[-1][2] == a["label"]
            merged[-1] = [merged[-1][0], max(end, merged[-1][1]), merged[-1][2]]
        else:
            merged.append([start, end, a["label"]])
    if not merged or not sound:
        continue
    frames, rows = length[name]["n_frames"], length[name]["n_feat"]
    row = lambda t: floor(frames * t / video["duration"] / 16)
    for i, (start, end, label) in enumerate(merged):
        first, last = row(start), min(rows, row(end) + 1)
        if not 0 < last - first <= 32:
            continue
        before = [row(m[1]) for m in merged[:i] if m[2] == label]
        after = [min(rows, row(m[0]) + 1) for m in merged[i + 1:] if m[2] == label]
        low, high = before[-1] if before else 0, after[0] if after else rows
        split = "train" if place[label] < 160 else "val" if place[label] < 180 else "test"
        found[split].append((name, label, first, last, low, high))
np.random.seed(0)
for split, samples in found.items():
    with open(f"{out}/{split}.json", "w") as stream:
        lines = []
        for name, label, first, last, low, high in samples:
            if high - low > 300:
                low = np.random.randint(max(last - 300, low), min(first, high - 300) + 1)
                high = low + 300
            lines.append({"id": name, "label": label, "groundtruth": [first - low, last - low],
                          "location": [int(low), int(high)]})
        json.dump(lines, stream)
"""

if "ACTIVITY_BENCH_DATA" not in os.environ:
    sys.exit("ACTIVITY_BENCH_DATA is not set: nothing was measured")
data = Path(os.environ["ACTIVITY_BENCH_DATA"])
v13, v12 = (data / "activitynet" / f"activity_net.v1-{n}.min.json" for n in (3, 2))
counts, order = data / "relocalization" / "length.json", data / "relocalization" / "perm.npy"
kinetics, thumos = data / "kinetics" / "kinetics-400_val.csv", data / "thumos14" / "annotations_test"
with tempfile.TemporaryDirectory() as folder:
    out = ["--out", f"{folder}/m", "--force"]
    released = ["--protocol", "released", "--frame-counts", str(counts), "--class-order", str(order)]
    runs = {
        "relocalization": ["--annotations", str(v13), *released],
        "activity-ibal": ["--annotations", str(v13)],
        "what2when": ["--source", str(kinetics), "--target", "activitynet1.2", "--annotations", str(v12)],
    }
    read = {"relocalization": [v13, counts], "activity-ibal": [v13], "what2when": [v12]}
    for name, arguments in runs.items():
        if name != "relocalization":
            out = ["--out", f"{folder}/{name}", "--force"]
        compare(f"build {name}", command("build-dataset", name, *arguments, *out),
                python(LOAD, *map(str, read[name])), "12 x json.load for the three together")  # fmt: skip
    compare(
        "plain reading of the released rules, against ours",
        python(RULES, str(v13), str(counts), str(order), folder),
        command("build-dataset", "relocalization", *runs["relocalization"], "--out", f"{folder}/m", "--force"),
        "at least 2.5 x",
    )

"""Building the benchmarks from the real annotations, as whole processes, against json.load of the same bytes.

Needs ACTIVITY_BENCH_DATA. The released protocol is also compared with a plain-Python reading of its six rules, once as
it is (targets and windows alone) and once with all that the command leaves behind: a query for every sample, drawn by a
hash of each pair, unique ids, canonical lines and their sha256, the sha256 of the inputs, what was dropped and why, the
counts, means and histograms of a datasheet, and a folder that is synced and renamed. The plain reading checks nothing
of what it reads; the command checks every id, class, subset and time.
"""

import os
import sys
import tempfile
from pathlib import Path

from timing import command, compare, python, row

LOAD = "import json, sys\nfor path in sys.argv[1:]:\n    json.load(open(path, 'rb'))"

RULES = """
import json, os, shutil, sys
from collections import Counter
from hashlib import blake2b, sha256
from math import floor
import numpy as np
annotations, counts, order, out = sys.argv[1:]
database, length = json.load(open(annotations))["database"], json.load(open(counts))
names = sorted({a["label"] for v in database.values() for a in v["annotations"]})
place = {names[n]: i for i, n in enumerate(np.load(order))}
found = {"train": [], "val": [], "test": []}
drops = Counter()
for name, video in database.items():
    merged, sound = [], True
    drops["seen"] += len(video["annotations"])
    for a in sorted(video["annotations"], key=lambda a: a["segment"][0]):
        start, end = a["segment"]
        if merged and start <= merged[-1][1]:
            sound = sound and merged[-1][2] == a["label"]
            merged[-1] = [merged[-1][0], max(end, merged[-1][1]), merged[-1][2]]
        else:
            merged.append([start, end, a["label"]])
    if not merged or not sound:
        drops["overlap"] += len(video["annotations"])
        continue
    drops["merged"] += len(video["annotations"]) - len(merged)
    frames, rows = length[name]["n_frames"], length[name]["n_feat"]
    row = lambda t: floor(frames * t / video["duration"] / 16)
    for i, (start, end, label) in enumerate(merged):
        first, last = row(start), min(rows, row(end) + 1)
        if not 0 < last - first <= 32:
            drops["too long" if first < last else "past the end"] += 1
            continue
        before = [row(m[1]) for m in merged[:i] if m[2] == label]
        after = [min(rows, row(m[0]) + 1) for m in merged[i + 1:] if m[2] == label]
        low, high = before[-1] if before else 0, after[0] if after else rows
        split = "train" if place[label] < 160 else "val" if place[label] < 180 else "test"
        found[split].append((name, label, first, last, low, high))
np.random.seed(0)
if out.startswith("whole:"):
    out = out[6:] + "/plain"
    os.mkdir(out + ".tmp")
    sources = {path: sha256(open(path, "rb").read()).hexdigest() for path in sys.argv[1:4]}
    page = {"drops": drops, "splits": {}, "sources": sources}
    numbers = Counter()  # of the samples in one window
    for split, samples in found.items():
        by_class, lengths, shares, starts = {}, Counter(), Counter(), Counter()
        windows = targets = covered = 0.0
        for sample in samples:
            by_class.setdefault(sample[1], []).append(sample)
        digest = sha256()
        with open(f"{out}.tmp/{split}.jsonl", "wb") as stream:
            for name, label, first, last, low, high in samples:
                fit = [q for q in by_class[label] if q[0] != name and q[3] - q[2] <= high - low]
                fit = fit or [q for q in by_class[label] if q[0] != name]
                draw = lambda q: blake2b(f"{name} {first} {q[0]} {q[2]}".encode(), digest_size=8).digest()
                query = max(fit, key=draw)
                step, other = (16 * database[n]["duration"] / length[n]["n_frames"] for n in (name, query[0]))
                at = lambda row, step: round(row * step, 6)
                stem = f"{split}/{name}/{low}-{high}"
                line = {
                    "id": f"{stem}/{numbers[stem]}", "label": label,
                    "query": {"kind": "clip", "video": query[0],
                              "start": at(query[2], other), "end": at(query[3], other)},
                    "targets": [{"start": at(first, step), "end": at(last, step), "label": label}],
                    "video": {"id": name, "start": at(low, step), "end": at(high, step)},
                    "grid": {"step": step, "video": [low, high], "targets": [[first, last]], "query": query[2:4]},
                }
                numbers[stem] += 1
                (target,), window = line["targets"], line["video"]
                seconds, room = target["end"] - target["start"], window["end"] - window["start"]
                windows, targets, covered = windows + room, targets + seconds, covered + seconds / room
                lengths[min(floor(seconds / 5), 9)] += 1
                shares[min(floor(10 * seconds / room), 9)] += 1
                starts[min(floor(10 * (target["start"] - window["start"]) / room), 9)] += 1
                text = json.dumps(line, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\\n"
                text = text.encode()
                digest.update(text)
                stream.write(text)
        page["splits"][split] = {
            "samples": len(samples), "videos": len({s[0] for s in samples}), "classes": len(by_class),
            "sha256": digest.hexdigest(), "mean window": windows / len(samples), "mean target": targets / len(samples),
            "mean share": covered / len(samples), "histograms": [lengths, shares, starts],
        }
    with open(f"{out}.tmp/manifest.json", "w") as stream:
        json.dump(page, stream, sort_keys=True, indent=1)
    for name in os.listdir(out + ".tmp"):
        handle = os.open(f"{out}.tmp/{name}", os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
    shutil.rmtree(out, ignore_errors=True)
    os.rename(out + ".tmp", out)
    sys.exit()
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
    print("ACTIVITY_BENCH_DATA is not set: nothing was measured")
    sys.exit()
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
    medians = []
    for name, arguments in runs.items():
        if name != "relocalization":
            out = ["--out", f"{folder}/{name}", "--force"]
        medians.append(
            compare(
                f"build {name}",
                command("build-dataset", name, *arguments, *out),
                python(LOAD, *map(str, read[name])),
                "less x",
                "json.load of the same bytes",
            )
        )
    ours, floor = (sum(column) for column in zip(*medians, strict=True))
    row("build, the three together", ours / floor, "at most 12 x", "json.load of the same bytes")
    for what, target in (("targets and windows alone", folder), ("a whole manifest", f"whole:{folder}")):
        compare(
            f"a plain script's time for the released rules, {what}",
            python(RULES, str(v13), str(counts), str(order), target),
            command("build-dataset", "relocalization", *runs["relocalization"], "--out", f"{folder}/m", "--force"),
            "at least 2.5 x",
            "build-dataset relocalization",
        )

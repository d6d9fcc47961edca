"""Scoring 472,800 detections of 200 classes at 10 thresholds: the whole process, the arithmetic and its growth.

The made-up answers stand in a file in the ActivityNet layout; the floor is a raw parse of that file (orjson where it is
installed, gc off). On a tenth: plain Python, and a reading of the devkit's rules with the tools that it uses (a pandas
table a class, one group a detection), which is what people wait for.
"""

import gc
import json
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
from timing import command, compare, python, row

from activity_bench.scoring.detection import Detections, Truths, evaluate, rank
from activity_bench.scoring.protocols import ACTIVITYNET, PROTOCOLS

VIDEOS, EACH, CLASSES = 4728, 100, 200


def made_up(videos: int, seed: int = 0) -> tuple[Truths, Detections]:
    """Videos of one class with a few truths; half of a video's detections have its class, all lie near a truth."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    number = np.maximum(1, rng.poisson(1.5, videos))
    sample = np.repeat(np.arange(videos), number)
    of_video, duration = rng.integers(0, CLASSES, videos), rng.uniform(20, 220, videos)
    start = rng.uniform(0, 0.7, len(sample)) * duration[sample]
    end = start + rng.uniform(0.05, 0.3, len(sample)) * duration[sample]
    nothing = np.zeros(0)
    truths = Truths(
        videos, CLASSES, sample, of_video[sample], start, end, nothing.astype(np.int64), nothing, nothing
    )  # fmt: skip
    at = np.repeat(np.arange(videos), EACH)
    k = len(at)
    label = np.where(rng.random(k) < 0.5, of_video[at], rng.integers(0, CLASSES, k))
    near = rng.integers(0, number[at]) + (np.cumsum(number) - number)[at]
    length = end[near] - start[near]
    first = np.maximum(start[near] + rng.normal(0, 0.3, k) * length, 0).round(4)
    last = (first + length * rng.uniform(0.6, 1.6, k)).round(4)
    return truths, Detections(at, label, first, last, rng.random(k).round(6))


def plain(truths: Truths, found: Detections) -> float:
    """The devkit's rules in plain Python; the mAP."""
    by_class: dict[int, list[tuple[float, int, float, float]]] = {}
    rows = zip(
        *(column.tolist() for column in (found.label, found.score, found.sample, found.start, found.end)), strict=True
    )
    for label, score, *rest in rows:
        by_class.setdefault(label, []).append((score, *rest))
    true: dict[tuple[int, int], list[tuple[float, float]]] = {}
    columns = (truths.label, truths.sample, truths.start, truths.end)
    for label, sample, start, end in zip(*(column.tolist() for column in columns), strict=True):
        true.setdefault((label, sample), []).append((start, end))
    total = 0.0
    for label in {label for label, _ in true}:
        ranking = sorted(by_class.get(label, []), key=lambda row: -row[0])
        positives = sum(len(segments) for (of, _), segments in true.items() if of == label)
        for t in ACTIVITYNET.thresholds:
            taken: set[tuple[int, int]] = set()
            precisions, hits = [], 0
            for place, (_, sample, start, end) in enumerate(ranking, 1):
                fits = []
                for j, (a, b) in enumerate(true.get((label, sample), ())):
                    shared = max(0.0, min(end, b) - max(start, a))
                    fits.append((shared / ((b - a) + (end - start) - shared), -j))
                for fit, j in sorted(fits, reverse=True):
                    if fit >= t and (sample, j) not in taken:
                        taken.add((sample, j))
                        hits += 1
                        precisions.append(hits / place)
                        break
            best = 0.0
            for precision in reversed(precisions):
                best = max(best, precision)
                total += best / positives
    return total / len({label for label, _ in true}) / len(ACTIVITYNET.thresholds)


def with_pandas(truths: Truths, found: Detections) -> float:
    """The same rules, as the devkit goes about them; the mAP."""
    names = ("sample", "label", "start", "end")
    truth = pandas.DataFrame({name: getattr(truths, name) for name in names})
    answers = pandas.DataFrame({name: getattr(found, name) for name in (*names, "score")})
    total = 0.0
    for label, positives in truth.groupby("label"):
        ranking = answers[answers["label"] == label].sort_values("score", ascending=False).reset_index(drop=True)
        positives = positives.reset_index(drop=True)
        videos = positives.groupby("sample")
        taken = np.full((len(ACTIVITYNET.thresholds), len(positives)), -1)
        hit = np.zeros((len(ACTIVITYNET.thresholds), len(ranking)))
        for place, answer in ranking.iterrows():
            try:
                mine = videos.get_group(answer["sample"]).reset_index()
            except KeyError:
                continue
            (start, end), segments = answer[["start", "end"]].to_numpy(), mine[["start", "end"]].to_numpy()
            shared = (np.minimum(end, segments[:, 1]) - np.maximum(start, segments[:, 0])).clip(0)
            fits = shared / (segments[:, 1] - segments[:, 0] + end - start - shared)
            for at, t in enumerate(ACTIVITYNET.thresholds):
                for j in fits.argsort()[::-1]:
                    if fits[j] >= t and taken[at, mine.loc[j, "index"]] < 0:
                        taken[at, mine.loc[j, "index"]], hit[at, place] = place, 1
                        break
        precision = hit.cumsum(axis=1) / np.arange(1, len(ranking) + 1)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        total += float((best * hit).sum() / len(positives) / len(ACTIVITYNET.thresholds))
    return total / truth["label"].nunique()


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def write(path: Path, found: Detections) -> None:
    """The detections in the ActivityNet layout."""
    results: dict[str, list[object]] = {}
    columns = (found.sample, found.label, found.start, found.end, found.score)
    for sample, label, start, end, score in zip(*(column.tolist() for column in columns), strict=True):
        row = {"label": f"class {label}", "score": score, "segment": [start, end]}
        results.setdefault(f"video {sample}", []).append(row)
    path.write_text(json.dumps({"version": "VERSION 1.3", "results": results, "external_data": {}}), "utf-8")


def write_truth(path: Path, truths: Truths) -> None:
    """The truths in the ActivityNet layout."""
    videos: dict[str, list[object]] = {f"video {sample}": [] for sample in range(truths.samples)}
    columns = (truths.sample, truths.label, truths.start, truths.end)
    for sample, label, start, end in zip(*(column.tolist() for column in columns), strict=True):
        videos[f"video {sample}"].append({"label": f"class {label}", "segment": [start, end]})
    rows = {name: {"subset": "validation", "duration": 300.0, "annotations": found} for name, found in videos.items()}
    path.write_text(json.dumps({"version": "1.3", "database": rows, "taxonomy": []}), "utf-8")


PARSE = """
import gc, sys
gc.disable()
try:
    from orjson import loads
except ImportError:
    from json import loads
loads(open(sys.argv[1], "rb").read())
"""

PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, capture_output=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""

gc.disable()
sets = {times: made_up(VIDEOS * times) for times in (1, 2, 4)}
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "detections.json"
    write(file, sets[1][1])
    floor = statistics.median(seconds(lambda: json.loads(file.read_bytes())) for _ in range(3))
    manifest = Path(folder) / "manifest"
    write_truth(Path(folder) / "truth.json", sets[1][0])
    subprocess.run(
        command("build-dataset", "detection", "--annotations", f"{folder}/truth.json", "--out", str(manifest)),
        check=True, capture_output=True,
    )  # fmt: skip
    ours = command("score", str(file), "--manifest", str(manifest), "--split", "val", "--protocol", "activitynet")
    memory = float(subprocess.run(python(PEAK, *ours), check=True, capture_output=True).stdout) / 1024
    name = f"score {VIDEOS * EACH:,} detections"
    whole, _ = compare(name, ours, python(PARSE, str(file)), "at most 3.5 x", "a raw parse of the file")
    row(f"{name}, peak memory", memory, "at most 450 MB", f"a file of {file.stat().st_size / 1e6:.0f} MB")
gc.enable()
for rules in PROTOCOLS:
    runs: dict[int, list[float]] = {times: [] for times in sets}
    rules = replace(rules, thresholds=ACTIVITYNET.thresholds)  # the same work for all
    for _ in range(5):
        for times, (truths, found) in sets.items():
            runs[times].append(seconds(lambda a=truths, b=found, r=rules: evaluate(rank(a, b, r), r)))
    median = {times: statistics.median(taken) for times, taken in runs.items()}
    growth = " and ".join(f"{median[times] / median[1]:.2f} x at {times} x the size" for times in (2, 4))
    row(f"the arithmetic of {rules.name}", median[1] / floor, "less x", "json.loads of the file", growth)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"peak memory, all sizes and the parsed file together: {peak:.0f} MB")
truths, found = made_up(VIDEOS // 10)
ranked = rank(truths, found, ACTIVITYNET)
assert abs(evaluate(ranked, ACTIVITYNET)["mAP"] - plain(truths, found)) < 1e-12
ratios = []
for _ in range(3):
    slow = seconds(lambda: plain(truths, found))
    ratios.append(slow / seconds(lambda: evaluate(rank(truths, found, ACTIVITYNET), ACTIVITYNET)))
row("plain Python on a tenth", statistics.median(ratios), "more x", "our arithmetic of activitynet")
assert abs(evaluate(ranked, ACTIVITYNET)["mAP"] - with_pandas(truths, found)) < 1e-12
slow = seconds(lambda: with_pandas(truths, found))
row("pandas, as the devkit, ten times a tenth", 10 * slow / whole, "at least 200 x", "our whole process",
    f"{slow:.1f} s for a tenth")  # fmt: skip

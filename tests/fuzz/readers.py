"""Every reader of foreign bytes: a valid file or two to begin with, and what reads such a file to its end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from activity_bench.data import annotations, attention, manifest, predictions, reports
from activity_bench.data.exports import nodes
from activity_bench.data.instances import read_instances
from activity_bench.data.truth import read_moments
from activity_bench.errors import InputError
from activity_bench.workflow import coverage, tables
from activity_bench.workflow.score import score
from tests import tiny
from tests.data import detections, vectors
from tests.fuzz import binary
from tests.fuzz.binary import KEPT, MIB, page, scratch


@dataclass(frozen=True)
class Reader:
    """One reader, what it is begun with, and how much memory it may take beyond that of a file that it accepts."""

    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    name: str = "file.json"
    memory: int = 512 * MIB  # for a file of up to 1 MiB; what a .gz may expand to stands in data.disk


# ---- annotations ----------------------------------------------------------------------------------------------------

ACTIVITYNET = {
    "version": "1.3",
    "taxonomy": [{"nodeId": 0, "nodeName": "Root", "parentId": None},
                 {"nodeId": 1, "nodeName": "Diving", "parentId": 0}],
    "database": {
        "v_abcdefghijk": {"subset": "training", "duration": 60.0,
                          "annotations": [{"segment": [1.0, 9.5], "label": "Diving"}]},
        "v_bcdefghijkl": {"subset": "val", "duration": "18.1",
                          "annotations": [{"segment": ["2", 4], "label": "golf é"}]},
    },
}  # fmt: skip
TREE = {"taxonomy": ACTIVITYNET["taxonomy"], "database": {"v_abcdefghijk": {"duration": 60.0}}}
KINETICS = (
    b'label,youtube_id,time_start,time_end,split\nhigh jump,abcdefghijk,1,11,train\n"a, b",bcdefghijkl,2,12,val\n'
)
MULTITHUMOS = {"video_1": {"subset": "train", "duration": 30.5, "actions": [[1, 0.5, 3], [22, "1.5", 2.0]]}}


def thumos(path: Path) -> object:
    """The class file is one of a folder."""
    with scratch() as folder:
        for name in ("Diving_test.txt", "Ambiguous_test.txt"):
            shutil.copyfile(path, folder / name)
        return annotations.read([folder])


# ---- manifests ------------------------------------------------------------------------------------------------------


@cache
def moment() -> manifest.Manifest:
    return tiny.write(Path(KEPT.name) / "m")


def manifest_page() -> bytes:
    """Without its seal, so that a change of it can be read."""
    found = json.loads((moment().folder / manifest.MARKER).read_bytes())
    return page({key: value for key, value in found.items() if key != "seal"})


def read_manifest(path: Path) -> object:
    loaded = manifest.load(path)
    for split in list(loaded.splits)[:4]:
        if loaded.path(split).is_file():
            loaded.samples(split)
    return loaded


def split_lines() -> list[bytes]:
    return [(moment().folder / "test.jsonl").read_bytes(), detected().path("test").read_bytes()]


def read_split(path: Path) -> object:
    """Every way to read a split, with the hash of what stands there."""
    with scratch() as folder:
        opened = manifest.load(tiny.by_hand(folder / "m", path.read_bytes()))
        return any_of([lambda: opened.samples("test"), lambda: read_moments(opened, "test"),
                       lambda: read_instances(opened, "test")])  # fmt: skip


def any_of(readings: list[Callable[[], object]]) -> object:
    """The first result; the last refusal where there is none. All are tried."""
    found: object = None
    refusal: InputError | None = None
    for reading in readings:
        try:
            result = reading()
            found = result if found is None else found
        except InputError as error:
            refusal = error
    if found is None and refusal is not None:
        raise refusal
    return found


# ---- predictions ----------------------------------------------------------------------------------------------------


@cache
def detected() -> manifest.Manifest:
    return detections.detection(Path(KEPT.name) / "d")


MOMENTS = [tiny.answer(sample.id, [sample.video.start + 1, sample.video.start + 2, 0.5]) for sample in tiny.TEST]
QVHIGHLIGHTS = [
    {"qid": sample.id, "vid": sample.video.id, "query": "a", "pred_relevant_windows": row["segments"]}
    for sample, row in zip(tiny.TEST, MOMENTS, strict=True)
]


def lines(rows: list[Any]) -> bytes:
    return b"".join(page(row) + b"\n" for row in rows)


def prediction_files() -> list[bytes]:
    texts = (
        detections.ours(detections.ROWS),
        json.dumps(detections.PLAIN),
        detections.as_csv(detections.ROWS),
        detections.thumos(detections.ROWS),
    )
    return [lines(MOMENTS), lines(QVHIGHLIGHTS), *(text.encode() for text in texts)]


def read_predictions(path: Path) -> object:
    """By a moment's truth and by a detection's, all faults gathered and the first one raised."""
    readings: list[Callable[[], object]] = []
    for made, truth in ((moment(), read_moments(moment(), "test")), (detected(), read_instances(detected(), "test"))):
        predictions.survey(path, truth, made.digest)
        readings.append(partial(predictions.read, path, truth, made.digest))
    return any_of(readings)


# ---- reports ---------------------------------------------------------------------------------------------------------


def report_files() -> list[bytes]:
    with scratch() as folder:
        tiny.answers(folder / "p.jsonl", MOMENTS)
        reports.write_page(folder / "r.json", score(folder / "p.jsonl", moment().folder, "test"))
        return [(folder / "r.json").read_bytes()]


def row_files() -> list[bytes]:
    return [reports._packed({"iou": np.linspace(0, 1, 4), "video": np.arange(4)})]


def read_rows(path: Path) -> object:
    """Behind the sha256 that a report states: anybody can state one."""
    return reports._arrays(path.read_bytes(), path)


def table(name: str) -> Callable[[Path], object]:
    return lambda path: tables.READERS[name](path)


OVERLAP = b'target_class,source_class,basis,reason\nDiving,springboard diving,same,"a, b"\n'

READERS: dict[str, Reader] = {
    "activitynet": Reader(lambda: [page(ACTIVITYNET)], lambda path: annotations.read([path], "activitynet")),
    "kinetics": Reader(lambda: [KINETICS], lambda path: annotations.read([path], "kinetics"), "file.csv"),
    "multithumos": Reader(lambda: [page(MULTITHUMOS)], lambda path: annotations.read([path], "multithumos")),
    "thumos": Reader(lambda: [b"video_1  1.5 2.5\nvideo_2 0 3e0\n"], thumos, "Diving_test.txt"),
    "annotations": Reader(lambda: [page(ACTIVITYNET), KINETICS, page(MULTITHUMOS)],
                          lambda path: annotations.read([path])),
    "class-tree": Reader(lambda: [page(TREE), page({"Diving": 1, "golf": 2})], nodes.read),
    "manifest": Reader(lambda: [manifest_page()], read_manifest, "manifest.json"),
    "split": Reader(split_lines, read_split, "test.jsonl"),
    "predictions": Reader(prediction_files, read_predictions, "predictions.any"),
    "words": Reader(binary.word_files, binary.read_words, "words.any", 1 << 30),
    "named-vectors": Reader(binary.named_vectors, binary.read_named_array, "file.any"),
    "store": Reader(binary.stores, binary.read_features, "features.h5"),
    "part": Reader(binary.parts, binary.read_parts, "part.h5"),
    "npy": Reader(binary.arrays(".npy"), binary.read_array, "v_a.npy"),
    "npz": Reader(binary.arrays(".npz"), binary.read_array, "v_a.npz"),
    "csv": Reader(binary.arrays(".csv"), binary.read_array, "v_a.csv"),
    "attention": Reader(binary.maps, attention.Attention, "attention.h5"),
    "report": Reader(report_files, reports.read_report, "report.json"),
    "rows": Reader(row_files, read_rows, "report.rows.npz"),
    "weights": Reader(binary.safetensors, binary.read_weights, "weights.safetensors", 1 << 30),
    "checkpoint": Reader(binary.checkpoints, binary.read_weights, "weights.pt", 1 << 30),
    "state": Reader(binary.states, binary.read_state, "state.json"),
    "projection": Reader(binary.projections, binary.read_projection, "p.safetensors"),
    "settings": Reader(lambda: [b'steps = 100\nlr = 1e-3\nschedule = "cosine" # as published\nflag = true\n'],
                       binary.read_settings, "file.toml"),
    "picture": Reader(binary.pictures, binary.read_picture, "picture.any", 2 << 30),  # MOST_PIXELS of it
    "frame-counts": Reader(lambda: [page({"abcdefghijk": {"n_frames": 900, "n_feat": 56}})], table("frame_counts")),
    "class-order": Reader(lambda: [vectors.npy(np.array([2, 0, 1]))], table("class_order"), "file.npy"),
    "class-split": Reader(lambda: [page({"train": ["a"], "val": ["b"], "test": ["c"]})], table("class_split")),
    "durations": Reader(lambda: [page({"abcdefghijk": {"duration": 30.5}})], table("durations")),
    "overlap": Reader(lambda: [OVERLAP], table("overlap"), "file.csv"),
    "available": Reader(lambda: [b"abcdefghijk\nv_b\n"], coverage.available, "have.txt"),
}  # fmt: skip

# What a night gives as much time to, whatever number of readers it has.
KINDS: dict[str, tuple[str, ...]] = {
    "annotations": ("activitynet", "kinetics", "multithumos", "thumos", "annotations", "class-tree"),
    "manifests": ("manifest", "split"),
    "predictions": ("predictions",),
    "word vectors": ("words", "named-vectors"),
    "features": ("store", "part", "npy", "npz", "csv", "attention", "picture"),
    "checkpoints": ("weights", "checkpoint", "state", "projection"),
    "settings, tables and reports": ("settings", "frame-counts", "class-order", "class-split", "durations", "overlap",
                                     "available", "report", "rows"),
}  # fmt: skip
KIND_OF = {name: kind for kind, names in KINDS.items() for name in names}
assert KIND_OF.keys() == READERS.keys()

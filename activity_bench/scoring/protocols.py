"""The rules of the evaluators of detection in the field, one row each, and how far each row is from its original.

The sizes are the largest change of any mAP: of AutoLoc's detections on ActivityNet 1.2 validation for the rows that
come from the ActivityNet devkit, of S-CNN's on the THUMOS14 test set for the others.
"""

from __future__ import annotations

from dataclasses import dataclass

from activity_bench.scoring.detection import DetectionProtocol
from activity_bench.types import Foreign


@dataclass(frozen=True)
class Mean:
    """A score whose rules are the protocol's."""

    name: str
    definition: str


MAP = Mean("mAP", "mean over classes of the average precision at IoU t, by the protocol's rules; its mean over t")


TO_HALF = (0.1, 0.2, 0.3, 0.4, 0.5)
THUMOS = (0.3, 0.4, 0.5, 0.6, 0.7)
TWENTIETHS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)

AS_IN_FILE = Foreign(unknown_video="count", outside="keep", empty="keep")
LEAVING_OUT = Foreign(unknown_video="count", unknown_label="drop", outside="keep", empty="keep")

ACTIVITYNET = DetectionProtocol(
    "activitynet", TWENTIETHS,
    "ActivityNet devkit: IoU >= t, best free truth, interpolated",
    "Equal scores are ordered by video and place in the file, not by an unstable sort (3.7e-6; up to 3e-2 where most "
    "scores are equal). Two empty segments have IoU 0, not 0 / 0, which the devkit takes for a match. Ties `official` "
    "has both as the devkit has them. A manifest holds no empty truth (3.5e-4) and ends a truth where its video ends "
    "(0). Blocked videos are asked of no server.",
    foreign=AS_IN_FILE,
)  # fmt: skip
OPENTAD = DetectionProtocol(
    "opentad", TWENTIETHS,
    "OpenTAD: activitynet without empty truths and without truths within 1 ms of an earlier one",
    "Equal scores are ordered by video and place in the file, not by an unstable sort (3.7e-6). The thresholds are "
    "those of its ActivityNet runs; its THUMOS14 runs have .3 to .7.",
    duplicates=1e-3, shortest_truth=0.0, foreign=LEAVING_OUT,
)  # fmt: skip
ACTIONFORMER = DetectionProtocol(
    "actionformer", THUMOS,
    "ActionFormer: activitynet without truths under 1 ms and without truths within 1 ms of an earlier one",
    "Equal scores are ordered by video and place in the file, not by an unstable sort (3.7e-6). A truth of exactly "
    "1 ms is dropped, not kept (0). A label that no truth has is left out; the original reads its number as the place "
    "of a class, and may score it as that class. The thresholds are those of its THUMOS14 runs; its ActivityNet runs "
    "have .5 to .95.",
    duplicates=1e-3, shortest_truth=1e-3, foreign=LEAVING_OUT,
)  # fmt: skip
WTALC = DetectionProtocol(
    "wtalc", TO_HALF,
    "W-TALC: IoU >= t in rows of 16/25 s, first free truth, 0 overall if a class has no detection",
    "The original starts from activations of rows; here seconds are rounded to rows as it rounds truths (0 for what "
    "stood on rows). Truths are in the manifest's order (0). Equal scores are ordered by video and place in the file, "
    "not by an unstable sort (1.9e-3). Shares, not percentages.",
    matching="first", interpolated=False, ignore="drop", grid=25 / 16, shortest=2.0, absent="all zero",
    empty_videos="drop", foreign=Foreign(unknown_video="drop", unknown_label="drop", outside="keep", empty="keep"),
)  # fmt: skip
THUMOS_EVALKIT = DetectionProtocol(
    "thumos-evalkit", TO_HALF,
    "THUMOS14 evaluation kit (TH14evalDet_Updated): IoU > t, each truth its best free detection, ambiguous excused",
    "Truths choose in the manifest's order, by start; the original, in order of its files (1.9e-4). A detection that "
    "ends before it starts has IoU 0; the original turns it round. An older copy of the kit takes precision at eleven "
    "points of recall and puts hits before misses of equal score (3.9e-2 to 7.6e-2 more): that is not this row.",
    strict=True, matching="truth", interpolated=False, ignore="excuse", foreign=LEAVING_OUT,
)  # fmt: skip
AUTOLOC = DetectionProtocol(
    "autoloc", TWENTIETHS,
    "AutoLoc: IoU >= t, best free truth, interpolated",
    "The original computes in single precision (3e-9; an IoU that equals t may fall on either side). Equal scores are "
    "ordered by video and place in the file, not by an unstable sort (3.7e-6). Two empty segments have IoU 0; the "
    "original stops. A manifest holds no empty truth (3.5e-4) and ends a truth where its video ends (0). "
    "The thresholds are those of its ActivityNet run; its THUMOS14 run has .1 to .9.",
    foreign=AS_IN_FILE,
)  # fmt: skip

PROTOCOLS = (ACTIVITYNET, OPENTAD, ACTIONFORMER, WTALC, THUMOS_EVALKIT, AUTOLOC)

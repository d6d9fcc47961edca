"""What each command is called with when it is disturbed: its words, what it reads, what it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.faults.stage import EXTRACT, MODEL, SMALL

TINY_REGIONS = ["--backbone", "tests.features.tiny_regions:Tiny", "--random-weights"]
MOVING = ["--backbone", "tests.workflow.moving:Moving", "--random-weights"]


@dataclass(frozen=True)
class Row:
    """One way of calling a command, in a folder with `in/`, which it reads, and `out/`, which it fills."""

    words: list[str]
    takes: list[str] = field(default_factory=list)  # of the stage, copied to in/
    starts: Mapping[str, str] = field(default_factory=dict)  # of the stage, copied to these names in out/
    makes: list[str] = field(default_factory=list)  # names in out/ that are whole, or not there
    older: list[str] | None = None  # more words, with which an older output is made that is to be replaced
    replaces: list[str] = field(default_factory=list)  # more words, with which it is replaced
    resumes: list[str] | None = None  # more words, with which it goes on in a folder that grows as the work does
    heavy: bool = False  # seconds
    says: bool = True  # stdout is the same each time

    @property
    def command(self) -> str:
        """The command's name."""
        return self.words[0]


FROM = ["--manifest", "in/manifest"]
BOTH = [*FROM, "--features", "in/features.h5"]
ASKED = [*FROM, "--split", "test"]
FORCE, RETRY = ["--force"], ["--retry-failed"]  # what failed stands in a ledger, and is not tried again unasked

ROWS = [
    Row(["demo", "--out", "out/demo"], makes=["demo"], replaces=FORCE, older=[], heavy=True),
    Row(["build-dataset", "relocalization", "--annotations", "in/activitynet.json", "--limit", "9", "--out", "out/m"],
        ["activitynet.json"], makes=["m"], older=["--seed", "7"], replaces=FORCE),
    Row(["run-baseline", "statistical-prior", *ASKED, "--out", "out/run"], ["manifest"], makes=["run"],
        older=["--limit", "5"], replaces=FORCE),
    Row(["run-baseline", "frame-level", *BOTH, "--split", "test", "--out", "out/run"], ["manifest", "features.h5"],
        makes=["run"], older=["--limit", "5"], replaces=FORCE),
    Row(["train", "cgbm", *BOTH, "--out", "out/run", *MODEL], ["manifest", "features.h5"], makes=["run"],
        resumes=["--resume"], heavy=True, says=False),
    Row(["predict", "in/trained", "--features", "in/features.h5", *ASKED, "--out", "out/p.jsonl", "--device", "cpu",
         "--attention", "out/maps.h5"], ["trained", "manifest", "features.h5"], makes=["p.jsonl", "maps.h5"],
        older=["--weights", "last", "--limit-attention", "2"], replaces=FORCE, heavy=True),
    Row(["score", "in/random/predictions.jsonl", *ASKED, "--json", "out/report.json"], ["random", "manifest"],
        makes=["report.json"], older=["--no-intervals"]),
    Row(["compare", "in/random", "in/full-window", "--json", "out/c.json"], ["random", "full-window"],
        makes=["c.json"], older=["--seed", "3"]),
    Row(["validate", "in/manifest"], ["manifest"]),
    Row(["validate", "in/random/predictions.jsonl", *ASKED], ["random", "manifest"]),
    Row(["inspect", "in/manifest"], ["manifest"]),
    Row(["inspect", "in/features.h5", *FROM], ["features.h5", "manifest"]),
    Row(["leaderboard", "in/random", "in/full-window", "--csv", "out/b.csv", "--markdown", "out/b.md",
         "--latex", "out/b.tex"], ["random", "full-window"], makes=["b.csv", "b.md", "b.tex"],
        older=["--by", "IoU@0.5"]),
    Row(["report", "in/random", "in/full-window", *FROM, "--out", "out/r.html"],
        ["random", "full-window", "manifest"], makes=["r.html"], older=["--by", "IoU@0.5"]),
    Row(["export", "in/manifest", "--to", "qvhighlights", "--split", "test", "--out", "out/q.jsonl"], ["manifest"],
        makes=["q.jsonl"]),
    Row(["export", "in/manifest", "--to", "hf", "--out", "out/hub"], ["manifest"], makes=["hub"], replaces=FORCE,
        older=["--split", "test"]),
    Row(["export", "in/features.h5", "--to", "opentad-features", "--out", "out/npy"], ["features.h5"], makes=["npy"]),
    Row(["import", "in/hub", "--from", "hf", "--out", "out/m"], ["hub"], makes=["m"], replaces=FORCE, older=[]),
    Row(["import", "in/features.h5", "--from", "features", "--out", "out/f.h5"], ["features.h5"], makes=["f.h5"],
        replaces=FORCE),
    Row(["extract-features", *EXTRACT, "--out", "out/f.h5"], ["videos"], makes=["f.h5"],
        resumes=RETRY, heavy=True),
    Row(["pack", "out/parts.h5"], starts={"parts.h5.parts": "parts.h5.parts"}, makes=["parts.h5"], resumes=[]),
    Row(["verify", "in/manifest"], ["manifest"]),
    Row(["verify", "in/features.h5"], ["features.h5"]),
    Row(["verify", "in/random"], ["random"]),
    Row(["extract-regions", "--features", "out/f.h5", "--manifest", "in/frames", "--videos", "in/videos",
         *TINY_REGIONS], ["frames", "videos"], starts={"features.h5": "f.h5"}, makes=["f.h5"], resumes=RETRY,
        heavy=True),
    Row(["project", "fit", *BOTH, "--dim", "2", "--out", "out/pca.safetensors"], ["manifest", "features.h5"],
        makes=["pca.safetensors"], older=["--dim", "3"], replaces=FORCE, heavy=True),
    Row(["project", "apply", "--features", "in/features.h5", "--projection", "in/pca.safetensors", "--out", "out/s.h5"],
        ["features.h5", "pca.safetensors"], makes=["s.h5"], older=[], replaces=FORCE, heavy=True),
    Row(["localize", "--model", "in/untaught/run", "--clip", "in/clip.mp4", "--video", "in/video.mp4", *MOVING,
         "--page", "out/a.html", "--cut", "out/a.mp4", "--cache", "out/cache"], ["untaught", "clip.mp4", "video.mp4"],
        makes=["a.html", "a.mp4"], older=["--top", "3"], replaces=FORCE, heavy=True),
    Row(["simulate", "corpus", "--out", "out/corpus"], makes=["corpus"], older=["--seed", "5"], replaces=FORCE),
    Row(["simulate", "features", *FROM, "--out", "out/f.h5", *SMALL], ["manifest"], makes=["f.h5"],
        older=["--seed", "5"], replaces=FORCE),
    Row(["simulate", "clips", "--videos", "18", "--out", "out/clips"], makes=["clips"], older=[], replaces=FORCE,
        heavy=True),
    Row(["reproduce", "relocalization", "--out", "out/again", "--size", "tiny", "--only", "random"], makes=["again"],
        resumes=[], heavy=True),
    Row(["list"]),
    Row(["where", "--folder", "in"], ["activitynet.json"]),
    Row(["doctor"], says=False, heavy=True),
]  # fmt: skip

"""simulate clips: made-up videos as real files, with their annotations beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from activity_bench.data.disk import atomic_folder
from activity_bench.simulation.clips import Clip, ClipsOptions, annotation_file, encode, plan
from activity_bench.workflow import options as option_table
from activity_bench.workflow.options import check_seed
from activity_bench.workflow.run import Progress, silent

MARKER = "clips.json"  # the annotations, by a name that nobody else gives a file
VIDEOS = "videos"


def simulate_clips(
    out: Path | str, *, options: Mapping[str, Any] | None = None, force: bool = False, progress: Progress = silent
) -> list[Clip]:
    """Write `clips.json` (ActivityNet layout) and `videos/<id>.mp4` to a folder; what happens in each video.

    >>> len(simulate_clips("clips", options={"videos": 18}))
    """
    chosen = option_table.make(ClipsOptions, options or {}, "simulate clips")
    check_seed(chosen.seed)
    clips = plan(chosen)
    with atomic_folder(Path(out), force=force, marker=MARKER, ours=(MARKER, VIDEOS)) as draft:
        (draft / VIDEOS).mkdir()
        for clip in progress(clips, len(clips), "simulate clips"):
            (draft / VIDEOS / f"{clip.id}.mp4").write_bytes(encode(clip, chosen.seed))
        (draft / MARKER).write_bytes(annotation_file(clips))
    return clips

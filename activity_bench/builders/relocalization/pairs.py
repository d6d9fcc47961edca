"""Who asks for what: each place meets a clip of its class from another source video, by rendezvous hashing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from activity_bench import chance
from activity_bench.builders.relocalization.places import Options, Place
from activity_bench.types import Ledger

NO_QUERY = "no query fits the window: the shortest of its class was taken"


def ask(
    askers: Sequence[Place], clips: Sequence[Place], options: Options, ledger: Ledger
) -> Iterator[tuple[Place, Place]]:
    """Each place of one class with its query: the target of one of `clips`, no longer in rows than the window."""
    clip_names = [_name(place) for place in clips]
    asker_names = clip_names if askers is clips else [_name(place) for place in askers]
    number = {video: i for i, video in enumerate({place.video: None for place in (*askers, *clips)})}
    clip_source = np.array([number[place.video] for place in clips])
    source = clip_source if askers is clips else np.array([number[place.video] for place in askers])
    length = np.array([place.target[1] - place.target[0] for place in clips])
    room = np.array([place.window[1] - place.window[0] for place in askers])
    asker_keys = chance.keys(options.seed, asker_names, "relocalization asker")
    clip_keys = chance.keys(options.seed, clip_names, "relocalization query")
    chunk = max(1, 4_000_000 // len(clips))  # askers at a time: bounded memory for a class of any size
    for first in range(0, len(askers), chunk):
        some = slice(first, first + chunk)
        elsewhere = source[some, None] != clip_source[None, :]  # (askers, clips)
        met = chance.rendezvous(asker_keys[some], clip_keys, elsewhere & (length[None, :] <= room[some, None]))
        for row, (place, chosen) in enumerate(zip(askers[some], met.tolist(), strict=True)):
            if chosen < 0:
                others = np.flatnonzero(elsewhere[row]).tolist()
                chosen = min(others, key=lambda i: (length[i], clip_names[i]))
                ledger.note(NO_QUERY, f"{place.video} {place.target[0]}-{place.target[1]} {place.label}")
            yield place, clips[chosen]


def _name(place: Place) -> str:
    return f"{place.video}\0{place.target[0]}-{place.target[1]}"

"""Extraction that survives the night: worker processes, each with one video at a time, watched from a parent.

The parent decodes nothing and holds no network. A video may take so many seconds and its worker so many bytes; whoever
takes more is killed, which costs that video one line of the ledger. Features that were written stay written: a job that
is killed goes on where it was, and ends with the bytes that it would have had.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from activity_bench.data.features import FeatureStore, PartsWriter, add_parts, parts_folder
from activity_bench.errors import InputError
from activity_bench.features import ledger
from activity_bench.features.crew import Crew, Outcome
from activity_bench.features.ledger import Failure


class Job:
    """An extraction: which videos are left to do, doing them, and the one file of them all.

    `file` that exists already is added to; the same job again does only what is left. A video whose file has another
    size than when its features were made (`changed`: it had not come whole, say) is left to do.
    """

    def __init__(self, file: Path, crew: Crew, videos: Mapping[str, Path], retry: bool) -> None:
        self._file, self._crew = file, crew
        self._writer = PartsWriter(file, crew.attributes())
        self._store = self._opened()
        parts = self._writer.done()
        self.done = parts | set(self._store.ids() if self._store else ())
        self.changed = [video for video in sorted(self.done & videos.keys()) if self._is_other(video, parts, videos)]
        for video in self.changed:
            self._writer.remove(video)
        self.done.difference_update(self.changed)
        self._ledger = ledger.ledger_of(self._file)
        self.failures = {v: f for v, f in ledger.read(self._ledger).items() if v not in self.done}
        self.left = {
            video: path for video, path in videos.items()
            if video not in self.done and (retry or video not in self.failures)
        }  # fmt: skip

    def _is_other(self, video: str, parts: Container[str], videos: Mapping[str, Path]) -> bool:
        """Whether a video's file has another size than the one whose features there are."""
        try:
            size = videos[video].stat().st_size
        except OSError:
            return False
        noted = self._writer.noted(video) if video in parts or self._store is None else self._store.attributes_of(video)
        return bool(noted.get("bytes", size) != size)

    @property
    def discarded(self) -> list[str]:
        """Broken parts that were thrown away, and why."""
        return self._writer.discarded

    def run(self) -> Iterator[Outcome]:
        """Do what is left; failures go to the ledger as they happen."""
        for outcome in self._crew.run(self.left):
            if outcome.failure is None:
                self.done.add(outcome.video)
                self.failures.pop(outcome.video, None)
            else:
                outcome = self._note(outcome, outcome.failure)
            yield outcome

    def finish(self) -> None:
        """Pack what there is, and leave in the ledger what failed."""
        if any(parts_folder(self._file).glob("*.h5")):
            if self._store is not None:
                self._store.close()
            add_parts(self._file)
        else:
            _remove_empty(parts_folder(self._file))
        ledger.replace(self._ledger, self.failures)

    def _note(self, outcome: Outcome, failure: Failure) -> Outcome:
        before = self.failures.get(outcome.video)
        attempts = failure.attempts + (before.attempts if before else 0)
        failure = replace(failure, attempts=attempts, seconds=round(failure.seconds, 3))
        self.failures[outcome.video] = failure
        ledger.add(self._ledger, failure)
        return replace(outcome, failure=failure)

    def _opened(self) -> FeatureStore | None:
        """The file of an earlier job, which must have made the same."""
        if not self._file.exists():
            return None
        store = FeatureStore(self._file)
        mine, theirs = self._writer.attributes.as_dict(), store.attributes.as_dict()
        for name in mine:
            if mine[name] != theirs[name]:
                raise InputError(
                    "these features were made otherwise", file=self._file, field=name, found=theirs[name],
                    expected=str(mine[name]), hint="Name another file, or use the same options to add to this one.",
                )  # fmt: skip
        if store.images is not None:
            raise InputError("this file holds images, too, and cannot be added to", file=self._file)
        return store


def _remove_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()

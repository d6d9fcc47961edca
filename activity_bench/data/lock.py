"""One job a folder: a second one is refused at once, and what a killed one held is free.

The folder itself is locked (`flock`), so that nothing is left in it and the kernel lets go of it when the process ends,
however it ends. Where there is no such lock (Windows, some network file systems) nothing is held, and nobody refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from activity_bench.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_HELD: set[int] = set()  # descriptors of the folders that this process has locked


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """A folder, which exists, is this job's while the block runs; `what` is what another job in it would be."""
    handle = None
    with suppress(OSError):
        handle = _locked(folder, what)
    try:
        yield
    finally:
        if handle in _HELD:  # in a forked child it is closed already
            _HELD.discard(handle)
            os.close(handle)


def _locked(folder: Path, what: str) -> int | None:
    if fcntl is None:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if isinstance(error, BlockingIOError):
            raise InputError(
                f"another {what} runs here", file=folder, hint="Wait for it, or name another folder."
            ) from None
        raise
    _HELD.add(handle)
    return handle


def _let_go() -> None:
    """A forked child does not hold what its parent holds: a reader of features may outlive a killed job by seconds."""
    while _HELD:
        os.close(_HELD.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)

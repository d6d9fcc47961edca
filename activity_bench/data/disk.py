"""The low-level door to the disk: whole files or none, bounded reading, every fault of the disk in a user's words."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import shutil
import stat
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from activity_bench.data.exchange import exchange
from activity_bench.errors import InputError, WorkError, nearest

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BLOCK = 1 << 24
LIMIT = 1 << 30  # bytes that `read_bytes` takes into memory unless told otherwise
GZIP_FREE = 1 << 28  # bytes that a gzip file may expand to whatever its ratio
GZIP_RATIO = 250  # beyond that; JSON lines reach some 10 to 50, a bomb of zeros 1,000
_DRAFTS: set[Path] = set()  # hidden names that this process may have to remove
NAME_MAX = 255  # bytes of a file's name, on every common file system


def cache_folder() -> Path:
    """Where what can be made again is kept from run to run."""
    try:
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "activity-bench"
        home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache"
    except RuntimeError:  # a number that no table of users knows
        raise InputError("this user has no home", field="cache", hint="Set XDG_CACHE_HOME.") from None
    return Path(home) / "activity-bench"


# ---- writing --------------------------------------------------------------------------------------------------------


@contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """A binary stream that becomes `path` when the block ends well; otherwise nothing appears under that name.

    A device or a pipe (`/dev/stdout`) cannot be renamed over: it is written to directly.
    """
    path = Path(path)
    with _faults(path):
        if _is_special(path):
            with path.open("wb") as stream:
                yield stream
            return
        draft = draft_of(path)
        try:
            with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666), "wb", BLOCK) as stream:
                yield stream
            move_in(draft, path)
        finally:
            with suppress(OSError):
                draft.unlink()  # gone already if all went well


def draft_of(path: Path) -> Path:
    """A new hidden name in the folder of `path`, which is made if need be; an error if `path` cannot become a file."""
    path = _real(path)
    with _faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            mode = path.stat().st_mode  # a name that is too long raises here, before the work
            if not stat.S_ISREG(mode):
                what = "a folder" if stat.S_ISDIR(mode) else "a device or a pipe"
                raise InputError(f"this is {what}, and a file is to be written here", file=path)
    draft = _beside(path, "tmp")
    _DRAFTS.add(draft)
    return draft


def discard_drafts() -> None:
    """Remove what is being written, for a process that is told to stop and may not go on."""
    for draft in list(_DRAFTS):
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            with suppress(OSError):
                draft.unlink()


def move_in(draft: Path, path: Path) -> None:
    """Make a finished draft durable and give it its final name."""
    path = _real(path)
    with _faults(path):
        _sync(draft)
        draft.replace(path)
        _DRAFTS.discard(draft)
        _sync(path.parent)


@contextmanager
def atomic_folder(path: Path, force: bool, marker: str, ours: Sequence[str] | None = None) -> Iterator[Path]:
    """A folder to fill, which becomes `path` when the block ends well.

    With `force` it replaces a folder that holds the file `marker` and nothing but names that match `ours` (any, where
    that is None), or nothing at all; any other folder is not ours to delete.
    """
    path = _real(path)
    with _faults(path):
        _may_replace(path, force, marker, ours)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = _beside(path, "tmp")
        _DRAFTS.add(draft)
        draft.mkdir()
        try:
            yield draft
            for folder, _, files in os.walk(draft, topdown=False):
                for name in files:
                    _sync(Path(folder, name))
                _sync(Path(folder))
            _swap(draft, path, force)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            _DRAFTS.discard(draft)


def _may_replace(path: Path, force: bool, marker: str, ours: Sequence[str] | None) -> None:
    if not path.exists():  # OSError if the name is too long
        return
    if not path.is_dir():
        raise InputError("this is a file, and a folder is to be written here", file=path)
    if not force:
        raise InputError("the folder exists", file=path, hint="Use --force to replace it, or name another.")
    here = Path.cwd()
    if path == here or path in here.parents or path.is_mount():
        raise InputError("the current folder, one above it or a mount cannot be replaced", file=path,
                         hint="Name a folder inside it.")  # fmt: skip
    if any(path.iterdir()) and not (path / marker).is_file():
        raise InputError(
            "refusing to delete a folder that is not ours", file=path, expected=f"one that holds {marker}, or nothing",
            hint="Name another folder, or remove this one yourself.",
        )  # fmt: skip
    for entry in path.iterdir():
        if ours is not None and not any(entry.match(pattern) for pattern in ours):
            raise InputError(
                "refusing to delete a folder that holds more than was written there", file=path, found=entry.name,
                hint="Name another folder, or move that away.",
            )  # fmt: skip


def _swap(draft: Path, path: Path, force: bool) -> None:
    """Rename `draft` to `path`. What was there changes names with it, or is put aside, and back if that fails."""
    if not path.exists() or not force:
        draft.rename(path)  # onto a folder that somebody filled meanwhile: an error
    elif not exchange(draft, path):  # else what was there has the draft's name, and goes with it
        old = _beside(path, "old")
        path.rename(old)
        try:
            draft.rename(path)
        except BaseException:
            if path.exists():  # another job's, which has just replaced it
                shutil.rmtree(old, ignore_errors=True)
            else:
                old.rename(path)
            raise
        _sync(path.parent)
        shutil.rmtree(old, ignore_errors=True)
    _sync(path.parent)


def _beside(path: Path, what: str) -> Path:
    suffix = f".{what}-{os.urandom(4).hex()}"
    room = NAME_MAX - 1 - len(suffix)
    name = os.fsencode(path.name)[:room].decode("utf-8", "ignore")  # a name of full length still has a draft
    return path.with_name(f".{os.fsdecode(name.encode())}{suffix}")


def _real(path: Path) -> Path:
    """The path behind symbolic links: a link stays, and what it points to is replaced."""
    try:
        return Path(os.path.realpath(path))
    except ValueError:
        raise InputError("no such name is possible", found=str(path)) from None


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    except ValueError:
        raise InputError("no such name is possible", found=str(path)) from None
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _sync(path: Path) -> None:
    is_folder = path.is_dir()
    if is_folder and not hasattr(os, "O_DIRECTORY"):
        return  # this system has no way to sync a folder
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if not (is_folder and error.errno in (errno.EINVAL, errno.ENOTSUP)):  # some network file systems
            raise
    finally:
        os.close(handle)


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    """What the disk refuses while `path` is written, as an error that names the file and the reason."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of our output went away: not this file's fault
    except OSError as error:
        reason = error.strerror or str(error)
        if isinstance(error.filename, str) and not Path(error.filename).name.startswith("."):
            raise WorkError(reason, file=error.filename) from error  # another file, or a folder on the way to it
        raise WorkError(f"cannot write: {reason}", file=path) from error


# ---- reading --------------------------------------------------------------------------------------------------------


def open_read(path: Path, *, free: int = GZIP_FREE, ratio: int = GZIP_RATIO) -> BinaryIO:
    """A binary stream: of standard input for `-`, of what `.gz` holds, or of the file.

    A gzip file that has expanded beyond `free` bytes and `ratio` times what was read of it is refused.
    """
    path = Path(path)
    try:
        if str(path) == "-":
            return os.fdopen(0, "rb", BLOCK >> 4, closefd=False)
        stream = path.open("rb")
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    return io.BufferedReader(_Gzip(path, stream, free, ratio), 1 << 20) if path.suffix == ".gz" else stream


def read_bytes(path: Path, limit: int = LIMIT) -> bytes:
    """All of a file (`.gz` expanded), if it has at most `limit` bytes."""
    with open_read(path) as stream:
        try:
            if Path(path).suffix != ".gz" and os.fstat(stream.fileno()).st_size > limit:
                raise _too_large(path, limit)  # before it is held
            data = stream.read(limit + 1)
        except OSError as error:
            raise _unreadable(path, error) from None
    if len(data) > limit:
        raise _too_large(path, limit)
    return data


def _too_large(path: Path, limit: int) -> InputError:
    return InputError("too large to be what it should be", file=path, expected=f"at most {limit:,} bytes")


def sha256(path: Path) -> tuple[str, int]:
    """The hex digest and the size of a file as it lies on the disk, compressed or not."""
    hasher, size = hashlib.sha256(), 0
    try:
        with Path(path).open("rb", buffering=0) as stream:
            while data := stream.read(BLOCK >> 4):
                hasher.update(data)
                size += len(data)
    except (OSError, ValueError) as error:
        raise _unreadable(Path(path), error) from None
    return hasher.hexdigest(), size


def blocks(stream: BinaryIO, size: int = BLOCK, longest: int = 4 * BLOCK) -> Iterator[bytes]:
    """Blocks of whole lines, of some `size` bytes; the very last line may lack its newline.

    A line of more than `longest` bytes is refused.
    """
    line = 1
    while data := stream.read(size):
        tail = b"" if data.endswith(b"\n") else stream.readline(longest + 1)
        begun = len(data) - data.rfind(b"\n") - 1  # of the line that `tail` ends
        line += newlines(data)
        if begun + len(tail) > longest:
            file = getattr(stream, "name", None)
            raise InputError("a line that is too long", file=file if isinstance(file, str) else None, line=line,
                             expected=f"at most {longest:,} bytes")  # fmt: skip
        line += bool(tail)
        yield data + tail if tail else data


def newlines(data: bytes) -> int:
    """How many lines end in `data`: bytes.count, 7 x as fast."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == 10))


class _Gzip(io.RawIOBase):
    """What a gzip file holds, while that stays plausible."""

    def __init__(self, path: Path, stream: BinaryIO, free: int, ratio: int) -> None:
        self.name, self._raw, self._free, self._ratio = str(path), stream, free, ratio
        self._gzip = gzip.GzipFile(fileobj=stream, mode="rb")
        self._given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        try:
            count = self._gzip.readinto(buffer)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(f"not a whole gzip file: {error}", file=self.name) from None
        self._given += count
        if self._given > max(self._free, self._ratio * self._raw.tell()):
            raise InputError(
                "this gzip file expands beyond belief", file=self.name,
                expected=f"at most {self._free:,} bytes, or {self._ratio} times its size", hint="Expand it yourself.",
            )  # fmt: skip
        return count

    def close(self) -> None:
        if not self.closed:
            self._gzip.close()
            self._raw.close()
        super().close()


def _unreadable(path: Path, error: OSError | ValueError) -> InputError:
    if isinstance(error, ValueError):
        return InputError("no such name is possible", found=str(path))
    if isinstance(error, FileNotFoundError):
        return InputError("no such file", file=path, hint=_near(path))
    if isinstance(error, IsADirectoryError):
        return InputError("this is a folder, and a file is to be read", file=path)
    return InputError(f"cannot read: {error.strerror or error}", file=path)


def _near(path: Path) -> str:
    """What a missing file was probably meant to be."""
    try:
        names = [entry.name for entry in islice(os.scandir(path.parent), 2000)]  # a look, not a search
    except OSError:
        return f"There is no folder {str(path.parent)!r} either."
    close = nearest(path.name, (name for name in names if not name.startswith(".")))
    return f"Did you mean {str(path.parent / close)!r}?" if close else f"The folder is {str(path.parent)!r}."

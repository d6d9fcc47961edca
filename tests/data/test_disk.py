"""The low-level door: whole files or none, whatever happens in between."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.data import disk
from activity_bench.errors import InputError, WorkError

# Python warns of a fork in a process with threads, and NumPy may have started some: forking is what is tried here.
pytestmark = [pytest.mark.quick, pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")]

ROOT = Path(__file__).resolve().parents[2]
MARKER = "manifest.json"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(path: Path, data: bytes) -> None:
    with disk.atomic(path) as stream:
        stream.write(data)


# ---- files ----------------------------------------------------------------------------------------------------------


def test_a_file_appears_whole_and_its_folder_with_it(tmp_path: Path) -> None:
    write(tmp_path / "a/b/c.json", b"{}")
    assert (tmp_path / "a/b/c.json").read_bytes() == b"{}"
    assert names(tmp_path / "a/b") == ["c.json"]


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt, SystemExit, InputError])
def test_what_stops_the_writer_leaves_what_was_there(tmp_path: Path, fault: type[BaseException]) -> None:
    write(tmp_path / "kept", b"old")
    for name in ("kept", "new"):
        with pytest.raises(fault), disk.atomic(tmp_path / name) as stream:  # noqa: PT012
            stream.write(b"half")
            assert names(tmp_path) != ["kept"]  # the draft lies beside
            raise fault("stop")
    assert names(tmp_path) == ["kept"]
    assert (tmp_path / "kept").read_bytes() == b"old"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_is_one_message_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, full)
    with pytest.raises(WorkError, match=r"out\.json: cannot write: No space left on device"):
        write(tmp_path / "out.json", b"data")
    assert names(tmp_path) == []


LIMITED = """
import resource, sys
from pathlib import Path
from activity_bench.data import disk
from activity_bench.errors import WorkError
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    with disk.atomic(Path(sys.argv[1])) as stream:
        for _ in range(64):
            stream.write(bytes(1 << 20))
except WorkError as error:
    print(error)
"""


def test_a_real_limit_of_the_system_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path / "big"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith("big: cannot write: File too large")
    assert names(tmp_path) == []


def test_names_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="folder: this is a folder, and a file is to be written here"):
        write(tmp_path / "folder", b"data")
    for name, reason in [("x" * 300, "too long"), ("file/x", "Not a directory|exists")]:
        with pytest.raises(WorkError, match=reason):
            write(tmp_path / name, b"data")
    for name in ("a\0b", "a\ud800b"):
        with pytest.raises(InputError, match="no such name"):
            write(tmp_path / name, b"data")
    assert names(tmp_path) == ["file", "folder"]


def test_a_name_of_full_length_has_a_draft_too(tmp_path: Path) -> None:
    for name in ("x" * 255, "é" * 127):
        write(tmp_path / name, b"data")
        assert (tmp_path / name).read_bytes() == b"data"


def test_the_users_umask_holds(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "file", b"")
        with disk.atomic_folder(tmp_path / "folder", False, MARKER):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


def test_a_link_stays_and_a_device_is_not_replaced(tmp_path: Path) -> None:
    write(tmp_path / "target", b"old")
    (tmp_path / "link").symlink_to("target")
    write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"
    write(Path("/dev/null"), b"data")
    assert Path("/dev/null").is_char_device()
    code = "import sys; from pathlib import Path; from activity_bench.data import disk\n"
    code += "with disk.atomic(Path('/dev/stdout')) as s: s.write(b'out')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout == b"out"


KILLED = """
import sys, time
from pathlib import Path
from activity_bench.data import disk
with disk.atomic(Path(sys.argv[1])) as stream:
    stream.write(bytes(1 << 20))
    stream.flush()
    print("half", flush=True)
    time.sleep(60)
"""


def test_killed_half_way_no_final_name(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path / "out"], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
    assert all(name.startswith(".out.tmp-") for name in names(tmp_path))


def many(path: Path, byte: int) -> None:
    for _ in range(30):
        write(path, bytes([byte]) * 100_000)


def test_two_writers_of_one_name_never_mix(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=many, args=(tmp_path / "out", byte)) for byte in (1, 2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        if (tmp_path / "out").exists():
            data = (tmp_path / "out").read_bytes()
            assert len(data) == 100_000
            assert len(set(data)) == 1
        time.sleep(0.001)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert names(tmp_path) == ["out"]


# ---- folders --------------------------------------------------------------------------------------------------------


def fill(path: Path, text: str, force: bool = False) -> None:
    with disk.atomic_folder(path, force, MARKER) as draft:
        (draft / MARKER).write_text(text)
        (draft / "sub").mkdir()
        (draft / "sub" / "more").write_text(text)


def test_a_folder_appears_whole_and_is_replaced_only_by_force(tmp_path: Path) -> None:
    fill(tmp_path / "x/out", "one")
    with pytest.raises(InputError, match="--force"):
        fill(tmp_path / "x/out", "two")
    assert (tmp_path / "x/out" / MARKER).read_text() == "one"
    fill(tmp_path / "x/out", "two", force=True)
    assert (tmp_path / "x/out/sub/more").read_text() == "two"
    assert names(tmp_path / "x") == ["out"]


def test_a_folder_that_is_not_ours_is_never_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = tmp_path / "thesis"
    theirs.mkdir()
    (theirs / "chapter1.tex").write_text("years of work")
    worked = []

    def attempt(path: Path, force: bool = True) -> None:
        with pytest.raises(InputError) as caught, disk.atomic_folder(path, force, MARKER):
            worked.append(path)
        assert str(path) in str(caught.value)

    attempt(theirs)
    attempt(theirs / "chapter1.tex")
    attempt(Path("/proc"))
    monkeypatch.chdir(theirs)
    (theirs / MARKER).write_text("even so")
    attempt(theirs)
    attempt(tmp_path)
    assert worked == []  # refused before the work
    assert names(theirs) == ["chapter1.tex", MARKER]


def test_an_empty_folder_may_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="--force"):
        fill(tmp_path / "out", "one")
    fill(tmp_path / "out", "one", force=True)
    assert names(tmp_path / "out") == [MARKER, "sub"]


def test_a_failed_builder_leaves_the_old_folder(tmp_path: Path) -> None:
    fill(tmp_path / "out", "one")
    with pytest.raises(RuntimeError), disk.atomic_folder(tmp_path / "out", True, MARKER) as draft:  # noqa: PT012
        (draft / MARKER).write_text("two")
        raise RuntimeError
    assert (tmp_path / "out" / MARKER).read_text() == "one"
    assert names(tmp_path) == ["out"]


def test_a_failed_rename_puts_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "out", "one")
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if ".tmp-" in self.name:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    monkeypatch.setattr(disk, "exchange", lambda one, other: False)  # as where there is no such thing
    with pytest.raises(WorkError, match="out: cannot write: Input/output error"):
        fill(tmp_path / "out", "two", force=True)
    assert (tmp_path / "out" / MARKER).read_text() == "one"
    assert names(tmp_path) == ["out"]


def test_a_folder_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    with pytest.raises(WorkError), disk.atomic_folder(tmp_path / "out", False, MARKER) as draft:  # noqa: PT012
        (draft / MARKER).write_text("mine")
        fill(tmp_path / "out", "theirs")
    assert (tmp_path / "out" / MARKER).read_text() == "theirs"
    assert names(tmp_path) == ["out"]


# ---- reading --------------------------------------------------------------------------------------------------------


def test_plain_gzip_and_standard_input_read_alike(tmp_path: Path) -> None:
    data = os.urandom(5000) * 3
    (tmp_path / "a.jsonl").write_bytes(data)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(data[:7000]) + gzip.compress(data[7000:]))
    for name in ("a.jsonl", "a.jsonl.gz"):
        assert disk.read_bytes(tmp_path / name) == data
    code = "from pathlib import Path; from activity_bench.data import disk; print(len(disk.read_bytes(Path('-'))))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, input=data, capture_output=True, check=True)
    assert done.stdout == b"15000\n"


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_bytes(b"")
    with pytest.raises(InputError, match=r"no such file.*Did you mean '.*train\.jsonl'"):
        disk.open_read(tmp_path / "trian.jsonl")
    with pytest.raises(InputError, match="There is no folder"):
        disk.read_bytes(tmp_path / "nowhere" / "x")
    for read in (disk.open_read, disk.read_bytes, disk.sha256):
        with pytest.raises(InputError, match="this is a folder"):
            read(tmp_path)
        with pytest.raises(InputError, match="no such name"):
            read(Path("a\0b"))
        with pytest.raises(InputError, match="too long"):
            read(tmp_path / ("x" * 300))


def test_permission_denied_is_an_input_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", denied)  # root may read all
    with pytest.raises(InputError, match="cannot read: Permission denied"):
        disk.open_read(tmp_path / "secret")


def test_broken_gzip_is_an_input_error(tmp_path: Path) -> None:
    whole = gzip.compress(os.urandom(100_000))
    flipped = bytearray(whole)
    flipped[-6] ^= 1  # in the checksum
    for data in (b"not gzip at all", whole[: len(whole) // 2], bytes(flipped), whole[:30] + b"\xff" * 100):
        (tmp_path / "a.gz").write_bytes(data)
        with pytest.raises(InputError, match=r"a\.gz: not a whole gzip file"):
            disk.read_bytes(tmp_path / "a.gz")


def test_a_gzip_bomb_is_stopped_while_it_expands(tmp_path: Path) -> None:
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(50 << 20)))
    given_out = 0
    stream = disk.open_read(tmp_path / "bomb.gz", free=1 << 20)
    with stream, pytest.raises(InputError, match="beyond belief"):  # noqa: PT012
        while data := stream.read(1 << 16):
            given_out += len(data)
    assert given_out < 30 << 20
    with disk.open_read(tmp_path / "bomb.gz", free=1 << 20, ratio=2000) as stream:
        assert len(stream.read()) == 50 << 20


def test_a_file_beyond_its_limit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1001))
    assert len(disk.read_bytes(tmp_path / "a", 1001)) == 1001
    with pytest.raises(InputError, match="at most 1,000 bytes"):
        disk.read_bytes(tmp_path / "a", 1000)
    with pytest.raises(InputError, match="at most 1,000 bytes"):
        disk.read_bytes(Path("/dev/zero"), 1000)


def test_sha256_is_of_the_file_as_it_lies(tmp_path: Path) -> None:
    data = gzip.compress(os.urandom(3 << 20))
    (tmp_path / "a.gz").write_bytes(data)
    assert disk.sha256(tmp_path / "a.gz") == (hashlib.sha256(data).hexdigest(), len(data))


@given(
    st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"")), max_size=40),
    st.integers(4, 64),
    st.booleans(),
)
def test_blocks_are_whole_lines_and_all_of_them(lines: list[bytes], size: int, ended: bool) -> None:
    text = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    found = list(disk.blocks(io.BytesIO(text), size, 20))
    assert b"".join(found) == text
    assert all(block.endswith(b"\n") for block in found[:-1])
    assert all(len(block) <= size + 20 for block in found)


def test_a_line_without_end_is_refused_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1\n2\n" + b"x" * 1000 + b"\n4\n")
    with disk.open_read(tmp_path / "a") as stream, pytest.raises(InputError, match="a:3: a line that is too long"):
        list(disk.blocks(stream, 10, 900))
    with disk.open_read(tmp_path / "a") as stream:
        assert b"".join(disk.blocks(stream, 10, 1001)) == (tmp_path / "a").read_bytes()
    with disk.open_read(Path("/dev/zero")) as stream, pytest.raises(InputError, match="/dev/zero:1"):
        list(disk.blocks(stream, 1000, 4000))


@given(st.binary(max_size=200))
def test_newlines_are_counted(data: bytes) -> None:
    assert disk.newlines(data) == data.count(b"\n")

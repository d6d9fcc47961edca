"""No file of word vectors does harm: a fault is named with its place, and memory is taken for what is wanted alone."""

from __future__ import annotations

import gzip
import io
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.data.embeddings import read_words
from activity_bench.data.embeddings.entries import MAX_DIM
from activity_bench.errors import InputError
from tests.data.vectors import VECTORS, WORDS, Write, binary, bytewise, glove, npy, npz, put, text

pytestmark = pytest.mark.quick


# ---- faults ---------------------------------------------------------------------------------------------------------


def archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for name, data in members.items():
            made.writestr(name + ".npy", data)
    return stream.getvalue()


def claiming(shape: str, data: bytes = b"", descr: str = "'<f4'") -> bytes:
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


GOOD, BIN = glove(WORDS, VECTORS), binary(WORDS, VECTORS)
ENTRY = 20 + len(b"the ") + 1  # bytes of the first entry of BIN
NAMES = npy(np.array(WORDS))
FAULTS = {
    "empty": (b"", "an empty file"),
    "prose": (b"It was a dark and stormy night", "not a known format .*found 'It was a dark"),
    "counts": (b"the 5\na 3\n", "not a known format"),
    "gzip by content": (gzip.compress(GOOD), r"not a known format.*name ends in \.gz"),
    "pickle": (b"\x80\x04\x95", "not a known format.*Pickled.*never read"),
    "fastText": (b"\xba\x16O/\x0c\0\0\0", r"not a known format.*the \.vec file"),
    "short line": (GOOD.replace(b"ice ", b"ice 1 2\nx "), ":5: ice: a vector of another length; found 2; expected 5"),
    "long line": (GOOD.replace(b"ice ", b"ice 1 2 "), ":5: ice: a vector of another length; found 7; expected 5"),
    "no number": (b"a 1 2\nice 0,5 2\n", ":2: ice: not a number; found '0,5'"),
    "underscore": (b"a 1 2\nice 1_0 2\n", ":2: ice: not a number; found '1_0'"),
    "nan": (b"a 1 2\nice nan 2\n", ":2: ice: not a finite number; found 'nan'"),
    "overflow": (b"a 1 2\nice 1 1e39\n", ":2: ice: not a finite number; found '1e39'"),
    "bare word": (b"a 1 2\nice\n", ":2: a line without numbers; found 'ice'; expected a word and 2 numbers"),
    "long line without end": (b"a 1 2\n" + b"x" * (1 << 22), ":2: a line that is too long"),
    "header of nothing": (b"0 300\n", ":1: no word in it; found '0 300'"),
    "header without length": (b"3 0\na\n", ":1: not a vector's length; found 0"),
    "header of 10^9 x 10^9": (b"1000000000 1000000000\na 1\n", ":1: not a vector's length; found 1000000000"),
    "header of 10^12 words": (b"1000000000000 300\na 1\n", "another number of words .*found 1; expected 1000000000000"),
    "header of 100 digits": (b"9" * 100 + b" 300\na 1\n", "another number of words .*found 1; expected 9"),
    "fewer lines": (b"4 2\na 1 2\nb 3 4\nice 1 2\n", "another number of words .*found 3; expected 4"),
    "more lines": (b"2 2\na 1 2\nb 3 4\nice 1 2\n", "another number of words .*found 3; expected 2"),
    "text too short": (b"2 3\nice 1 2\na 1 2\n", ":2: ice: a vector of another length; found 2; expected 3"),
    "binary cut": (BIN[:-12], r"word 7 of 7: a file that is cut; found '\d+ bytes from byte \d+ on'; .* and 20 bytes"),
    "binary cut in a word": (BIN[: 4 + 2 * ENTRY], r"word 2 of 7: a file that is cut"),
    "binary goes on": (BIN + b"more", "more in the file than its header says; found 'byte 195 and more'; .*7 words"),
    "binary, one short": (BIN.replace(b"7 5", b"6 5", 1), "more in the file than its header says"),
    "binary, longer vectors": (b"1 1024\n" + BIN[4:] * 20 + b"\0" * (1 << 13), "word 1 of 1|more in the file"),
    "binary without spaces": (b"2 1\n" + b"\x01" * 9000, "word 1 of 2: a word that is too long.*found 'byte 4'"),
    "binary nan": (
        binary(["ice"], np.float32([[1, np.nan]])), "word 1 of 1, ice: not a finite number; found 'byte 12'"
    ),
    "npz without names": (archive(vectors=npy(VECTORS)), "unknown array; found 'names'"),
    "npz without vectors": (archive(names=NAMES), "unknown array; found 'vectors'"),
    "npz cut": (npz(WORDS, VECTORS)[:-30], "a damaged file: File is not a zip file"),
    "npz, names of objects": (
        archive(names=claiming("(7,)", b"cos\nsystem", "'|O'"), vectors=npy(VECTORS)), "names: pickled objects"
    ),
    "npz, other count": (archive(names=npy(np.array(WORDS[1:])), vectors=npy(VECTORS)),
                         "not one name a row; found '6 names'; expected 7, the rows of vectors"),
    "npz, numbers as names": (archive(names=npy(VECTORS[:, 0]), vectors=npy(VECTORS)), "names: no list of names"),
    "npz, flat": (archive(names=NAMES, vectors=npy(VECTORS[:, 0])), "vectors: no array of vectors; found 'float32"),
    "npz, complex": (archive(names=NAMES, vectors=npy(VECTORS * 1j)), "vectors: no array of vectors; found 'complex64"),
    "npz, infinite": (npz(WORDS, VECTORS * np.float32("inf")), "ice: a vector that is not finite; found 'row 4'"),
    "npz, doubles too large": (archive(names=NAMES, vectors=npy(VECTORS.astype(float) * 1e99)), "ice: .*not finite"),
    "npz, 10^9 x 10^9": (
        archive(names=NAMES, vectors=claiming("(1000000000, 1000000000)", b"\0" * 64)), "vectors: an array larger"
    ),
    "npz, no rows": (archive(names=npy(np.array([], "U1")), vectors=npy(VECTORS[:0])), "vectors: no vector in it"),
    "npz, no columns": (archive(names=NAMES, vectors=npy(VECTORS[:, :0])), "vectors: not a vector's length"),
    "npz, no such number": (archive(names=NAMES, vectors=claiming("(7, 5)", descr="'<f3'")), "vectors: no such kind"),
    "npz, fields": (
        archive(names=NAMES, vectors=claiming("(7, 5)", descr="[('a', '<f4')]")), "vectors: not an array of numbers"
    ),
    "npz, text": (archive(names=NAMES, vectors=b"hello"), "vectors: not an array of numbers; found 'hello'"),
    "npz, code points": (
        archive(names=claiming("(1,)", b"\xff" * 4, "'<U1'"), vectors=npy(VECTORS[:1])), "a damaged file"
    ),
    "npy alone": (npy(VECTORS), r"an array without names .*words\.json or words\.txt .*words\.any,NAMES\.json"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_file_is_named_with_the_place(fault: str, tmp_path: Path) -> None:
    data, message = FAULTS[fault]
    with pytest.raises(InputError, match=rf"words\.any.*{message}") as raised:
        read_words(put(tmp_path, data), ["ice"])
    assert raised.value.exit_code == 2 and "\n" not in str(raised.value)


@pytest.mark.parametrize(("name", "data", "message"), [
    ("words.txt", b"a\nb\n", r"words\.txt: not one name a row; found '2 names'; expected 7, the rows of words\.any"),
    ("words.txt", b"\xff\n", r"words\.txt: not UTF-8 text"),
    ("words.json", b'["a", 3]', r"words\.json: \[1\]: found a whole number"),
    ("words.json", b'[{"title": "a"}]', r"words\.json: \[0\]: an entry without a name; .*name or word or label"),
    ("words.json", b"[" * 100_000, r"words\.json: "),
    ("words.json", b"{}", r"words\.json: not one name a row; found '1 names'"),
])  # fmt: skip
def test_a_faulty_file_of_names_is_named(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    put(tmp_path, data, name)
    with pytest.raises(InputError, match=message):
        read_words(put(tmp_path, npy(VECTORS)), ["ice"])


def test_an_npy_larger_than_its_file_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "\n".join(WORDS).encode(), "words.txt")
    for data, message in (
        (claiming("(7, 5)", b"\0" * 8), "larger than its file"),
        (claiming("(7,)", b"\0" * 28), "no array of vec"),
    ):
        with pytest.raises(InputError, match=message):
            read_words(put(tmp_path, data), ["ice"])


def test_what_is_no_file_is_refused_before_it_is_waited_for(tmp_path: Path) -> None:
    put(tmp_path, GOOD, "words.txt")
    with pytest.raises(InputError, match=r"no such file.*Did you mean .*words\.txt"):
        read_words(tmp_path / "word.txt", ["ice"])
    with pytest.raises(InputError, match="this is a folder"):
        read_words(tmp_path, ["ice"])
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", tmp_path / "pipe"):
        with pytest.raises(InputError, match="a device or a pipe"):
            read_words(path, ["ice"])
    for path in ("-", "", "a\0b", "x" * 5000):
        with pytest.raises(InputError):
            read_words(path, ["ice"])


def test_a_compressed_file_that_lies_is_refused(tmp_path: Path) -> None:
    for data, message in (
        (b"1000000 300\nice " + b"\0" * (1 << 20), "word 2 of 1,000,000: a word that is too long"),
        (b"a 1 2\n" + b"\0" * (1 << 24), ":2: a line that is too long"),
    ):
        with pytest.raises(InputError, match=message):
            read_words(put(tmp_path, data, "bomb.gz"), ["ice"])
    with pytest.raises(InputError, match="not a whole gzip file"):
        read_words(put(tmp_path, GOOD).rename(tmp_path / "plain.gz"), ["ice"])
    with pytest.raises(InputError, match=r"Expand it: of \.gz only"):
        read_words(put(tmp_path, npz(WORDS, VECTORS), "a.npz.gz"), ["ice"])


SEEDS = [GOOD, text(WORDS, VECTORS), BIN, npz(WORDS, VECTORS), bytewise(WORDS, VECTORS), npy(VECTORS)]


def harmless(path: Path, label: str) -> None:
    """Either vectors, all of them finite and of the stated length, or an error of ours."""
    try:
        found = read_words(path, [label, "ice"])
    except InputError:
        return
    for vector in found.vectors.values():
        assert vector.shape == (found.dim,) and vector.dtype == np.float32 and np.isfinite(vector).all()


@given(data=st.binary(max_size=200), label=st.text(max_size=20), names=st.binary(max_size=50),
       prefix=st.sampled_from([b"", b"2 3\n", b"PK\x03\x04", b"\x93NUMPY\x01\0", b"ice 1 "]))  # fmt: skip
def test_no_bytes_do_harm(
    data: bytes, prefix: bytes, label: str, names: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    put(folder, names, "fuzz.json")
    harmless(put(folder, prefix + data, "fuzz.npy"), label)


@given(seed=st.sampled_from(SEEDS), cut=st.integers(0, 2000),
       edits=st.lists(st.tuples(st.integers(0, 1999), st.integers(0, 255)), max_size=4))  # fmt: skip
def test_no_damaged_file_does_harm(
    seed: bytes, cut: int, edits: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    put(folder, "\n".join(WORDS).encode(), "damaged.txt")
    data = bytearray(seed)
    for place, value in edits:
        data[place % len(data)] = value
    harmless(put(folder, bytes(data[:cut]) if cut < len(data) else bytes(data), "damaged.npy"), "JavelinThrow")


# ---- size -----------------------------------------------------------------------------------------------------------

MEASURE = """
import sys
from activity_bench.data.embeddings import read_words
labels = [f"w{i} x{i}" for i in range(0, 1000, 10)]
read_words(sys.argv[1], labels)
peak = lambda: int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
before = peak()
found = read_words(sys.argv[2], labels)
print(peak() - before, len(found.vectors), found.repeated)
"""


@pytest.mark.parametrize("write", [glove, binary, npz])
def test_a_large_file_is_read_in_bounded_memory(write: Write, tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(1000)]
    vectors = np.full((len(words), 300), 0.125, np.float32)
    small = write(words, vectors)
    if write is npz:  # 60 MB
        large = write([f"w{number}" for number in range(50_000)], np.tile(vectors, (50, 1)))
    else:  # binary 60 MB, text 90 MB: the same thousand words again and again
        large = small.replace(b"1000 300\n", b"50000 300\n") + small.removeprefix(b"1000 300\n") * 49
    command = [sys.executable, "-c", MEASURE, str(put(tmp_path, small, "small")), str(put(tmp_path, large, "large"))]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    grown, found, repeated = map(int, result.stdout.split())
    assert found == 100 and grown < 6000  # KiB
    assert repeated == (0 if write is npz else 49 * 100)


def test_a_vector_may_be_as_long_as_is_said(tmp_path: Path) -> None:
    vector = np.full((1, MAX_DIM), -1.1754943508222875e-38, np.float32)
    for write in (glove, text, binary, npz):
        assert read_words(put(tmp_path, write(["ice"], vector)), ["ice"]).dim == MAX_DIM

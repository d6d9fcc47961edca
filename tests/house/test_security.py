"""What SECURITY.md promises: no file is run, and none names a path, speaks to a terminal, or takes all memory."""

from __future__ import annotations

import ast
import csv
import hashlib
import io
import json
import pickle
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from activity_bench.data import canonical
from activity_bench.data.exports import hf
from tests import tiny
from tests.conftest import Invoked

ROOT = Path(__file__).resolve().parents[2]
Invoke = Callable[..., Invoked]

# ---- no code of ours runs what a file says --------------------------------------------------------------------------

MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml", "xml", "lxml"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
NEEDED = {"load": ("allow_pickle", False), "read_array": ("allow_pickle", False)}  # of numpy
FORBIDDEN = {"os.system", "os.popen", "torch.jit.load", "torch.hub.load", "torch.package", "pandas.read_pickle"}


def dangers(source: str) -> Iterator[str]:
    """What in a module may run what a file says."""
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (f"import {name}" for name in names if name.partition(".")[0] in MODULES)
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {word.arg: getattr(word.value, "value", ...) for word in node.keywords}
        if called in BUILTINS or called in FORBIDDEN:
            yield called
        if called == "torch.load" and given.get("weights_only") is not True:
            yield "torch.load without weights_only"
        if re.fullmatch(r"(np|numpy|npy|np\.lib\.format)\.(load|read_array)", called):
            name, value = NEEDED[called.rpartition(".")[2]]
            if given.get(name) is not value:
                yield f"{called} that may unpickle"
        if given.get("shell") not in (None, False):
            yield "a shell"


@pytest.mark.quick
@pytest.mark.parametrize("folder", ["activity_bench", "examples", "benchmarks"])
def test_nothing_is_unpickled_or_evaluated(folder: str) -> None:
    paths = sorted((ROOT / folder).rglob("*.py"))
    assert paths
    assert {str(path): found for path in paths if (found := list(dangers(path.read_text(encoding="utf-8"))))} == {}


@pytest.mark.quick
@pytest.mark.parametrize(
    "line",
    ["import pickle", "from yaml import load", "eval(x)", "exec(text)", "torch.load(p)", "np.load(p)", "os.system(x)",
     "torch.load(p, weights_only=False)", "npy.read_array(s, allow_pickle=True)", "subprocess.run(x, shell=True)"],
)  # fmt: skip
def test_a_danger_is_seen(line: str) -> None:
    assert list(dangers(line))


class Spy:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def npy(spy: Spy) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([spy], object), allow_pickle=True)
    return stream.getvalue()


def npz(spy: Spy, *names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(f"{name}.npy", npy(spy))
    return stream.getvalue()


def hdf5(path: Path, spy: Spy) -> None:
    """Objects as other programs put them into HDF5: opaque bytes, and text of any length."""
    with h5py.File(path, "w") as file:
        for name in ("v_a/c3d_features", "features/a", "index/ids", "index/rows"):
            file.create_dataset(name, data=np.void(pickle.dumps(spy)))


FEATURES = ["import", "{}", "--from", "features", "--out", "f.h5", "--fps", "30", "--window", "16", "--stride", "16"]
READERS: dict[str, tuple[list[str], Callable[[Path, Spy], None]]] = {
    "features, npy": (FEATURES, lambda p, spy: (p.mkdir(), (p / "a.npy").write_bytes(npy(spy)))[0]),
    "features, npz": (FEATURES, lambda p, spy: (p.mkdir(), (p / "a.npz").write_bytes(npz(spy, "features")))[0]),
    "features, pt": (FEATURES, lambda p, spy: (p.mkdir(), (p / "a.pt").write_bytes(pickle.dumps(spy)))[0]),
    "features, HDF5": ([*FEATURES[:1], "{}.h5", *FEATURES[2:]], lambda p, spy: hdf5(p.with_suffix(".h5"), spy)),
    "a store": (["validate", "{}.h5"], lambda p, spy: hdf5(p.with_suffix(".h5"), spy)),
    "class order": (["build-dataset", "relocalization", "--annotations", "a.json", "--out", "m", "--class-order",
                     "{}"], lambda p, spy: p.write_bytes(npy(spy)) and None),
    "rows of a report": (["compare", "{}.json", "{}.json"], lambda p, spy: report(p.with_suffix(".json"), spy)),
    "predictions": (["score", "{}", "--manifest", "m", "--split", "test"],
                    lambda p, spy: p.write_bytes(pickle.dumps(spy)) and None),
    "annotations": (["build-dataset", "relocalization", "--annotations", "{}", "--out", "o"],
                    lambda p, spy: p.write_bytes(pickle.dumps(spy)) and None),
}  # fmt: skip


def report(path: Path, spy: Spy) -> None:
    """A report whose rows are objects, with the right sum."""
    data = npz(spy, "iou", "video")
    path.with_name("rows.npz").write_bytes(data)
    page = json.loads((path.parent / "run" / "report.json").read_text(encoding="utf-8"))
    page["rows"] = {**page["rows"], "file": "rows.npz", "sha256": hashlib.sha256(data).hexdigest()}
    path.write_text(json.dumps(page), encoding="utf-8")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke: Invoke) -> Path:
    monkeypatch.chdir(tmp_path)
    tiny.write(tmp_path / "m")
    invoke("run-baseline", "oracle", "--manifest", "m", "--split", "test", "--out", "run")
    video = {"subset": "training", "duration": 60, "annotations": [{"segment": [1, 9], "label": "A"}]}
    (tmp_path / "a.json").write_text(json.dumps({"database": {"v": video}}))
    return tmp_path


@pytest.mark.quick
@pytest.mark.parametrize("name", READERS)
def test_a_file_that_would_run_is_refused(place: Path, invoke: Invoke, name: str) -> None:
    words, make = READERS[name]
    make(place / "evil", spy := Spy(place / "spied"))
    said = invoke(*(word.replace("{}", "evil") for word in words), code=2)
    assert "evil" in said.err or "rows.npz" in said.err
    assert not spy.path.exists()
    pickle.loads(pickle.dumps(spy))
    assert spy.path.exists()  # had anybody unpickled it


# ---- no word of a file names a path, or speaks to a terminal, a spreadsheet, a page ---------------------------------

NAMES = {
    "up": "../../etc/x", "absolute": "/etc/x", "back": "..\\x", "nul": "a\0b", "flood": "x" * 4096, "device": "CON",
    "device with an ending": "nul.txt", "dot": "a.", "space": "a ", "dots": "..", "drive": "C:x", "line": "a\nb",
    "escape": "\x1b[2J\x1b]0;x\x07", "turned": "\u202eabc", "formula": "=cmd()|'x'", "option": "-rf", "at": "@x",
    "html": "<script>alert(1)</script>", "attribute": "\" onload='alert(1)'", "latex": r"\input{/etc/passwd}$&%#_^~",
}  # fmt: skip
WRITERS = {
    "run": ["run-baseline", "random", "--manifest", "evil", "--split", "test", "--out", "out/run"],
    "features": ["simulate", "features", "--manifest", "evil", "--out", "out/f.h5", "--set", "dim=4"],
    "words": ["simulate", "words", "--manifest", "evil", "--out", "out/w.npz"],
    **{f"to {to}": ["export", "evil", "--to", to, "--out", f"out/{to}"]
       for to in ("activitynet", "actionformer", "croissant", "hf", "opentad", "qvhighlights", "video_reloc")},
    **{f"to {to}": ["export", "out/f.h5", "--to", to, "--out", f"out/{to}"]
       for to in ("opentad-features", "lighthouse-features")},
    "score": ["score", "out/run", "--manifest", "evil", "--split", "test", "--by-label", "--json", "out/r.json"],
    "again": ["score", "out/run/predictions.jsonl", "--manifest", "evil", "--split", "test", "--by-label", "--json",
              "out/r.json"],
    "board": ["leaderboard", "out/run", "--csv", "out/b.csv", "--markdown", "out/b.md", "--latex", "out/b.tex"],
    "page": ["report", "out/run", "--manifest", "evil", "--videos", "out", "--out", "out/p.html"],
    "inspect": ["inspect", "evil"],
    "inspect features": ["inspect", "out/f.h5", "--manifest", "evil"],
    "difference": ["inspect", "evil", "--diff", "m"],
    "validate": ["validate", "evil"],
    "verify": ["verify", "out/f.h5"],
    "list": ["list", "methods"],
}  # fmt: skip
PLAIN = re.compile(r"(?!(?i:con|prn|aux|nul|com\d|lpt\d)(\.|$))[^\x00-\x1f<>:\"/\\|?*]{1,254}[^\x00-\x1f<>:\"/\\|?*. ]")


def evil(folder: Path, name: str) -> None:
    """A manifest made by hand in which everything that may have a name has this one."""
    rows = [{
        "id": name, "label": name, "part": "simple", "query": {"kind": "clip", "video": name, "start": 0.0, "end": 1.6,
                                                               "label": name},
        "targets": [{"start": 1.6, "end": 3.2, "label": name}], "video": {"id": name, "start": 0.0, "end": 16.0},
        "grid": {"step": 1.6, "video": [0, 10], "targets": [[1, 2]], "query": [0, 1]},
    }]  # fmt: skip
    tiny.by_hand(folder, rows, name=name, version=name, provenance={"sources": [{"file": name, "sha256": name}]})
    page = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    page["splits"][name] = page["splits"]["test"]
    page["digest"] = canonical.digest_of({split: said["sha256"] for split, said in page["splits"].items()})
    (folder / "manifest.json").write_text(json.dumps(page), encoding="utf-8")


class Page(HTMLParser):
    """Refuses what would run."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not [name for name, _ in attrs if name.startswith("on")], attrs

    def handle_data(self, data: str) -> None:
        assert self.cdata_elem != "script" or not data.startswith("alert")


@pytest.mark.check
@pytest.mark.parametrize("kind", NAMES)
def test_a_name_is_no_path_and_no_command(place: Path, invoke: Invoke, kind: str) -> None:
    evil(place / "evil", NAMES[kind])
    before = set(place.rglob("*"))
    done = 0
    for words in WRITERS.values():
        said = invoke(*words, code=None)
        done += said.code == 0
        assert said.code in (0, 2), said.err
        assert all(line.isprintable() for line in (said.out + said.err).replace("\t", "").split("\n")), words
    assert done > len(WRITERS) // 2, done
    made = [path.relative_to(place) for path in place.rglob("*") if path not in before]
    assert all(path.parts[0] == "out" for path in made), made
    assert [path for path in made if not all(map(PLAIN.fullmatch, path.parts))] == []
    for path in (place / "out").glob("*.csv"):
        for cell in (cell for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8"))) for cell in row):
            assert not re.match(r"[=@\t\r]|[+-](?!\d)", cell), cell
    for path in (place / "out").glob("*.html"):
        Page().feed(path.read_text(encoding="utf-8"))
    for path in (place / "out").glob("*.tex"):
        assert r"\input" not in path.read_text(encoding="utf-8")


# ---- nothing takes more than its size lets expect -------------------------------------------------------------------


@pytest.mark.quick
def test_a_parquet_bomb_is_refused(place: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few kilobytes that would be gigabytes: one text, over and over."""
    import pyarrow
    from pyarrow import parquet

    invoke("export", "m", "--to", "hf", "--out", "hub")
    file = place / "hub" / "data" / "test.parquet"
    row = parquet.read_table(file).slice(0, 1).to_pylist()[0]
    table = pyarrow.Table.from_pylist([{**row, "label": "x" * 10_000}] * 1000)
    parquet.write_table(table, file)
    assert file.stat().st_size < 60_000
    monkeypatch.setattr(hf, "FREE", 1 << 20)
    said = invoke("import", "hub", "--from", "hf", "--out", "o", code=2)
    assert "test.parquet: this parquet file expands beyond belief" in said.err


@pytest.mark.quick
def test_an_array_that_claims_much_is_refused(place: Path, invoke: Invoke) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<i8", "fortran_order": False, "shape": (10**13,)})
    (place / "order.npy").write_bytes(stream.getvalue() + bytes(80))
    said = invoke(*READERS["class order"][0][:-1], "order.npy", code=2)
    assert "order.npy: not an order of classes" in said.err


# ---- what is installed ----------------------------------------------------------------------------------------------

PIN = re.compile(r"([A-Za-z0-9._-]+)==[0-9][A-Za-z0-9.+!]*")


@pytest.mark.quick
def test_every_dependency_is_pinned() -> None:
    """What CI and `make` install has one version each; torch and its kin come by hand, and may lack one."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [match[1].lower().replace("_", "-") for line in lines if (match := PIN.fullmatch(line.strip()))]
    assert len(pins) == len([line for line in lines if line.strip() and not line.startswith("#")]) == len(set(pins))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[<>=;\[ ]", line)[0].lower().replace("_", "-") for line in wanted}
    assert names - set(pins) == set()


@pytest.mark.nightly
def test_no_pinned_version_has_a_known_hole(tmp_path: Path) -> None:
    """Where pip-audit is installed and its service answers; elsewhere it says why not."""
    argv = [
        sys.executable,
        "-m",
        "pip_audit",
        "--strict",
        "--no-deps",
        "--disable-pip",
        "-r",
        str(ROOT / "constraints.txt"),
    ]
    done = subprocess.run(argv, capture_output=True, encoding="utf-8", check=False)
    if re.search("No module named|onnection|resolve|could not be audited|not found on PyPI", done.stderr):
        pytest.skip((done.stderr.strip().splitlines() or ["pip-audit says nothing"])[-1][:300])
    assert done.returncode == 0, done.stdout + done.stderr

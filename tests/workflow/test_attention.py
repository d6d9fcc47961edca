"""Attention: what `predict --attention` keeps of each sample, how it is read back, and how a page draws it."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from activity_bench.data import attention
from activity_bench.data import manifest as manifests
from activity_bench.data.page.png import SHADES, picture
from activity_bench.errors import InputError
from activity_bench.workflow.predict import predict
from activity_bench.workflow.report import report
from activity_bench.workflow.score import score
from activity_bench.workflow.train import train
from tests.browser import runs
from tests.training import made

pytestmark = pytest.mark.quick

PAGE = Path(__file__).resolve().parents[2] / "docs" / "report.md"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder with features, a manifest and a run of two steps: `trained("cgbm")`."""
    folder = tmp_path_factory.mktemp("trained")
    made.features(folder / "features.h5")
    made.manifest(folder / "manifest")
    small = {"steps": 2, "batch": 4, "hidden": 8, "workers": 0, "device": "cpu"}

    def run(name: str) -> Path:
        if not (folder / name).is_dir():
            train(name, folder / "manifest", folder / name, features=folder / "features.h5", options=small)
        return folder

    return run


@pytest.mark.parametrize(("method", "maps", "columns"), [("cgbm", 2, "rows of the query"), ("msa", 1, "heads")])
def test_attention_is_that_of_each_sample_alone(
    trained: Callable[[str], Path], tmp_path: Path, method: str, maps: int, columns: str
) -> None:
    from activity_bench.data.features import open_features
    from activity_bench.training.batches import collate
    from activity_bench.training.pairs import pair_of
    from activity_bench.workflow import run as runs_of
    from activity_bench.workflow.train import read_run

    folder = trained(method)
    done = predict(folder / method, folder / "manifest", "test", tmp_path / "p.jsonl", attention=tmp_path / "a.h5")
    assert done.attended == 9
    kept = attention.Attention(tmp_path / "a.h5")
    assert (len(kept), kept.about.method, kept.about.columns, len(kept.about.maps)) == (9, method, columns, maps)
    features = open_features(folder / "features.h5")
    page, kind = read_run(folder / method), runs_of.load_method(method)
    chosen, training = runs_of.choose(kind, {**page.method.options, **page.method.training}, method)
    one: Any = runs_of.made(kind, chosen, 0, features, training, manifests.load(folder / "manifest"))
    one.load(folder / method / "best.safetensors")
    for sample in made.samples("test"):
        outputs = one.trained.eval()(collate([pair_of(sample, features)], features), attention=True)
        found = kept.of(sample.id)
        assert found is not None
        values, span = found
        wanted = outputs.attention[0].detach().numpy()
        np.testing.assert_allclose(values, wanted if maps == 2 else wanted[None], atol=1e-3)
        assert span == pytest.approx((sample.video.start, sample.video.end), abs=1e-6)
        if maps == 2:
            np.testing.assert_allclose(values.astype(float).sum(axis=2), 1, atol=0.02)  # Eq. 2 is a softmax
    assert kept.of("test/stranger") is None


def test_attention_is_bounded_and_of_methods_that_have_it(
    trained: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained("sst")
    asked = (folder / "manifest", "test", tmp_path / "p.jsonl")
    with pytest.raises(InputError, match="sst has no attention"):
        predict(folder / "sst", *asked, attention=tmp_path / "a.h5")
    folder = trained("cgbm")
    with pytest.raises(InputError, match="--attention FILE with it"):
        predict(folder / "cgbm", *asked, limit_attention=3)
    with pytest.raises(InputError, match="1 or more"):
        predict(folder / "cgbm", *asked, attention=tmp_path / "a.h5", limit_attention=0)
    monkeypatch.setattr(attention, "LARGEST", 1000)
    with pytest.raises(InputError, match="--limit-attention N"):
        predict(folder / "cgbm", *asked, attention=tmp_path / "a.h5")
    assert not asked[2].exists()  # all of it is said before any answer is made
    monkeypatch.undo()
    assert predict(folder / "cgbm", *asked, attention=tmp_path / "a.h5", limit_attention=3).attended == 3
    with pytest.raises(InputError, match="the file exists"):
        predict(folder / "cgbm", folder / "manifest", "test", tmp_path / "q.jsonl", attention=tmp_path / "a.h5")


def test_a_page_draws_the_attention_of_its_methods(trained: Callable[[str], Path], tmp_path: Path) -> None:
    folder = trained("cgbm")
    (tmp_path / "run").mkdir()
    file = tmp_path / "run" / "predictions.jsonl"
    predict(folder / "cgbm", folder / "manifest", "test", file, attention=tmp_path / "a.h5")
    score(file, folder / "manifest", "test", json=tmp_path / "run" / "report.json")
    out = tmp_path / "page.html"
    report([tmp_path / "run"], out, manifest=folder / "manifest", attention=[tmp_path / "a.h5"])
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', out.read_text("utf-8"), re.DOTALL)
    assert block
    data = json.loads(block[1])
    kept = attention.Attention(tmp_path / "a.h5")
    for card in data["samples"]:
        rows = [row for row in card["rows"] if row["kind"] == "map"]
        assert [row["name"].partition(":")[0] for row in rows] == ["forward", "backward"]
        maps = kept.of(card["id"])
        assert maps is not None
        for row, values in zip(rows, maps[0], strict=True):
            assert (row["left"], row["wide"]) == (0, 100)  # the whole window, as the timeline has it
            shape, shades = pixels(base64.b64decode(row["image"].partition(",")[2]))
            assert shape == (values.shape[1], values.shape[0])  # the query down, the window across
            assert shades[values.max() <= values.T].tolist() == [SHADES - 1] * int((values == values.max()).sum())
            order = values.T.reshape(-1).argsort(kind="stable")
            assert (np.diff(shades.reshape(-1)[order].astype(int)) >= 0).all()  # the greater, the darker
    other = runs.moments(tmp_path / "other", 5) if (tmp_path / "other").mkdir() is None else []
    with pytest.raises(InputError, match="attention to another split or manifest"):
        report(other, tmp_path / "page.html", attention=[tmp_path / "a.h5"])


def pixels(png: bytes) -> tuple[tuple[int, int], np.ndarray]:
    """The shades of a PNG, read by the letter of its specification."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    place, data, shape = 8, b"", (0, 0)
    while place < len(png):
        (length,), name = struct.unpack(">I", png[place : place + 4]), png[place + 4 : place + 8]
        body = png[place + 8 : place + 8 + length]
        assert struct.unpack(">I", png[place + 8 + length : place + 12 + length])[0] == zlib.crc32(name + body)
        if name == b"IHDR":
            wide, high = struct.unpack(">II", body[:8])
            shape = high, wide
        data += body if name == b"IDAT" else b""
        place += 12 + length
    lines = np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape[0], shape[1] + 1)
    assert not lines[:, 0].any()
    return shape, lines[:, 1:]


def test_a_picture_is_as_dark_as_its_numbers() -> None:
    values = np.array([[0.0, 0.25, 1.0], [np.nan, 2.0, 0.5]], np.float16)
    shape, shades = pixels(picture(values, 1.0))
    last = SHADES - 1
    assert shape == (2, 3)
    assert shades.tolist() == [[0, round(last / 4), last], [0, last, round(last / 2)]]
    assert pixels(picture(np.zeros((1, 2), np.float16), 0.0))[1].tolist() == [[0, 0]]


@pytest.mark.parametrize("fault", ["values", "shape", "ids", "format", "link", "twice", "no file"])
def test_a_file_of_attention_is_read_with_distrust(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "a.h5"
    maps = [np.ones((2, 3, 4), np.float16), np.zeros((2, 5, 1), np.float16)]
    about = attention.About("cgbm", "sha256:0", "test", "rows of the query", ("forward", "backward"))
    attention.write(path, about, ["a/../b", "é"], [(2, 3, 4), (2, 5, 1)], [(0.0, 1.0), (2.0, 3.0)], maps)
    found = attention.Attention(path).of("é")
    assert found is not None and found[0].shape == (2, 5, 1) and found[1] == (2.0, 3.0)
    with h5py.File(path, "r+") as file:
        if fault == "values":
            del file["values"]
            file["values"] = np.zeros(30, np.float16)
        elif fault == "shape":
            file["shape"][0] = 2, 1 << 40, 1 << 40
        elif fault == "ids":
            del file["ids"]
        elif fault == "format":
            file.attrs["format"] = 2
        elif fault == "link":
            del file["values"]
            file["values"] = h5py.ExternalLink("/etc/passwd", "/values")
        elif fault == "twice":
            file["ids"][1] = "a/../b"
        else:
            del file.attrs["columns"]
    with pytest.raises(InputError):
        attention.Attention(path)


def test_the_documented_lines_read_a_map(
    trained: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained("cgbm")
    predict(folder / "cgbm", folder / "manifest", "test", tmp_path / "p.jsonl", attention=tmp_path / "maps.h5")
    (lines,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(lines, names)
    fourth = made.samples("test")[3]
    assert fourth.id in capsys.readouterr().out
    wanted = attention.Attention(tmp_path / "maps.h5").of(fourth.id)
    assert wanted is not None
    np.testing.assert_array_equal(names["attention"], wanted[0])

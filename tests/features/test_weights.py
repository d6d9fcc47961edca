"""Weights from files: others' names, what is no such file, and random ones that are the same everywhere."""

from __future__ import annotations

import hashlib
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from activity_bench import chance
from activity_bench.errors import InputError
from activity_bench.features import boxes, weights
from activity_bench.features.backbones import c3d, faster_rcnn, i3d
from activity_bench.features.backbones.c3d import FC6, FC7, PLACES
from activity_bench.features.backbones.faster_rcnn import REGIONS, FasterRCNN, RegionKind
from activity_bench.features.weights import fill, fill_at_random

pytestmark = pytest.mark.quick

Tensors = dict[str, Tensor]


def small_c3d() -> c3d.C3D:
    return c3d.C3D("fc7", widths=(1, 2, 2, 2, 2), hidden=3, side=32)


def filled(path: Path, own_name: Any = c3d.own_name, beyond: str = FC7.beyond, make: Any = small_c3d) -> Tensors:
    """What a network holds after reading a file."""
    with torch.device("meta"):
        network: nn.Module = make()
    fill(network, path, own_name, beyond)
    return network.state_dict()


def some(make: Any = small_c3d) -> Tensors:
    """Weights as a training leaves them, a classifier among them."""
    torch.manual_seed(0)
    return {name: torch.randn(tensor.shape) for name, tensor in make().state_dict().items()}


def with_classifier(tensors: Tensors) -> Tensors:
    return {**tensors, "fc8.weight": torch.ones(7, 3), "fc8.bias": torch.ones(7)}


def saved(tensors: Any, path: Path, **how: Any) -> Path:
    torch.save(tensors, path, **how)
    return path


def same(found: Tensors, expected: Tensors) -> bool:
    return found.keys() >= expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


# ---- the names of others --------------------------------------------------------------------------------------------

MMACTION = {"conv1": "conv1a.conv", "conv2": "conv2a.conv", **{f"conv{i}{x}": f"conv{i}{x}.conv" for i in (3, 4, 5)
            for x in "ab"}}  # fmt: skip
SEQUENCE = {ours: place for place, ours in PLACES.items()}


@pytest.mark.parametrize("port", ["plain", "mmaction2", "sequence", "several GPUs"])
def test_names_of_c3d(port: str, tmp_path: Path) -> None:
    mine = some()

    def theirs(name: str) -> str:
        layer, _, part = name.partition(".")
        if port == "mmaction2":
            return f"backbone.{MMACTION.get(layer, layer)}.{part}"
        return f"{SEQUENCE[layer]}.{part}" if port == "sequence" else f"module.{name}" if "GPU" in port else name

    tensors = {theirs(name): tensor for name, tensor in mine.items()}
    assert len(tensors) == len(mine) == 20
    assert same(filled(saved({"state_dict": OrderedDict(tensors), "epoch": 3}, tmp_path / "c3d.pth")), mine)


def test_names_of_i3d(tmp_path: Path) -> None:
    def make() -> i3d.I3D:
        return i3d.I3D(narrow=16)

    names = set(make().state_dict())
    assert {"Conv3d_1a_7x7.conv3d.weight", "Mixed_3b.b0.conv3d.weight", "Mixed_5c.b3b.bn.running_var"} <= names
    mine = {name: tensor for name, tensor in some(make).items() if not name.endswith("num_batches_tracked")}
    tensors = {**mine, "logits.conv3d.weight": torch.ones(4, 64, 1, 1, 1), "logits.conv3d.bias": torch.ones(4)}
    assert same(filled(saved(tensors, tmp_path / "old.pt"), i3d.own_name, i3d.RGB.beyond, make), mine)
    counted = {**tensors, "Mixed_3b.b0.bn.num_batches_tracked": torch.tensor(7)}
    assert same(filled(saved(counted, tmp_path / "new.pt"), i3d.own_name, i3d.RGB.beyond, make), mine)


THEIRS = {"base.": "RCNN_base.", "rpn.": "RCNN_rpn.RPN_Conv.", "rpn_score.": "RCNN_rpn.RPN_cls_score.",
          "rpn_box.": "RCNN_rpn.RPN_bbox_pred.", "fc6.": "RCNN_top.0.", "fc7.": "RCNN_top.3."}  # fmt: skip


def small_rcnn() -> FasterRCNN:
    return FasterRCNN(widths=(1, 1, 2, 2, 2), hidden=3, middle=2)


@pytest.mark.parametrize("pooling", ["crop", "align"])
def test_names_of_faster_rcnn(pooling: str, tmp_path: Path) -> None:
    mine = some(small_rcnn)
    tensors = {}
    for name, tensor in mine.items():
        ours = next(prefix for prefix in THEIRS if name.startswith(prefix))
        tensors[THEIRS[ours] + name.removeprefix(ours)] = tensor
    assert "RCNN_base.0.weight" in tensors and "RCNN_base.28.bias" in tensors  # conv1_1 and conv5_3
    more = {"RCNN_cls_score.weight": torch.ones(21, 3), "RCNN_bbox_pred.bias": torch.ones(84)}
    path = saved({"model": {**tensors, **more}, "pooling_mode": pooling, "epoch": 7}, tmp_path / "rcnn.pth")
    kind = RegionKind("small", "fc7", 3, None, REGIONS.look, small_rcnn, faster_rcnn.own_name, REGIONS.beyond)
    loaded = kind.load(path)
    assert same(loaded.network.state_dict(), mine)
    assert loaded.network.pool is (boxes.align if pooling == "align" else boxes.pool)
    assert loaded.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_vgg16_alone_has_no_proposals(tmp_path: Path) -> None:
    tensors = {name.replace("base.", "features."): t for name, t in some(small_rcnn).items() if "rpn" not in name}
    tensors = {n.replace("fc6.", "classifier.0.").replace("fc7.", "classifier.3."): t for n, t in tensors.items()}
    with pytest.raises(InputError, match=r"rpn\.weight: the weights of another network; found 'none'"):
        filled(saved(tensors, tmp_path / "vgg.pth"), faster_rcnn.own_name, REGIONS.beyond, small_rcnn)


@pytest.mark.parametrize("form", ["safetensors", "zip", "old", "half"])
def test_forms_of_files(form: str, tmp_path: Path) -> None:
    mine = some()
    if form == "safetensors":
        path = tmp_path / "weights.safetensors"
        save_file(with_classifier(mine), path)
    elif form == "half":
        mine = {name: tensor.half().float() for name, tensor in mine.items()}
        path = saved({name: tensor.half() for name, tensor in mine.items()}, tmp_path / "weights.pt")
    else:
        path = saved(with_classifier(mine), tmp_path / "c3d.pickle", _use_new_zipfile_serialization=form == "zip")
    assert same(filled(path), mine)


def test_a_layer_below_needs_no_layer_above(tmp_path: Path) -> None:
    tensors = with_classifier(some())

    def make() -> c3d.C3D:
        return c3d.C3D("fc6", widths=(1, 2, 2, 2, 2), hidden=3, side=32)

    found = filled(saved(tensors, tmp_path / "c3d.pt"), c3d.own_name, FC6.beyond, make)
    assert "fc7.weight" not in found
    assert torch.equal(found["fc6.weight"], tensors["fc6.weight"])


# ---- what is refused ------------------------------------------------------------------------------------------------


def changed(change: str) -> Tensors:
    tensors = some()
    if change == "missing":
        del tensors["conv3b.bias"]
    elif change == "shape":
        tensors["conv4a.weight"] = torch.ones(2, 2, 3, 3)
    elif change == "unexpected":
        tensors["temporal.weight"] = torch.ones(2)
    elif change == "twice":
        tensors["module.conv1.bias"] = torch.ones(1)
    elif change == "nan":
        tensors["fc6.bias"][1] = float("nan")
    elif change == "too great":
        tensors["fc6.bias"] = tensors["fc6.bias"].double() * 1e300
    elif change == "integers":
        tensors["conv1.bias"] = torch.ones(1, dtype=torch.int64)
    return tensors


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("missing", r"conv3b\.bias: the weights of another network; found 'none'; expected \(2,\)"),
        ("shape", r"conv4a\.weight: .*found \(2, 2, 3, 3\); expected \(2, 2, 3, 3, 3\)"),
        ("unexpected", r"temporal\.weight: .*found \(2,\); expected none of this name"),
        ("twice", r"conv1\.bias: a weight that stands twice"),
        ("nan", r"fc6\.bias: not finite numbers"),
        ("too great", r"fc6\.bias: not finite numbers"),
        ("integers", r"conv1\.bias: not finite numbers of .*found 'torch.int64'; expected torch.float32"),
    ],
)
def test_a_wrong_file_is_named_by_its_key(change: str, said: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights.{suffix}"
    save_file(changed(change), path) if suffix == "safetensors" else torch.save(changed(change), path)
    with pytest.raises(InputError, match=said) as caught:
        filled(path)
    assert caught.value.file == path


def test_a_sparse_weight_is_none(tmp_path: Path) -> None:
    tensors = {**some(), "fc7.weight": torch.eye(3).to_sparse()}
    with pytest.raises(InputError, match=r"fc7\.weight: .*found 'none'"):
        filled(saved(tensors, tmp_path / "sparse.pt"))


class Spy:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("form", ["zip", "old"])
def test_nothing_in_a_file_is_run(form: str, tmp_path: Path) -> None:
    spied = tmp_path / "spied"
    page = {"state_dict": some(), "optimiser": Spy(spied)}
    path = saved(page, tmp_path / "evil.pt", _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(InputError, match="no file of weights that can be read safely"):
        filled(path)
    assert not spied.exists()


def test_a_huge_shape_takes_no_memory(tmp_path: Path) -> None:
    tensors = {**some(), "fc6.weight": torch.ones(1, 1).expand(1 << 20, 1 << 20)}  # 4 TiB if anybody asked
    with pytest.raises(InputError, match=r"fc6\.weight: .*found \(1048576, 1048576\)"):
        filled(saved(tensors, tmp_path / "huge.pt"))


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    saved(some(), tmp_path / "weights.pt")
    with (
        zipfile.ZipFile(tmp_path / "weights.pt") as plain,
        zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for entry in plain.infolist():
            bomb.writestr(entry.filename, plain.read(entry))
    with pytest.raises(InputError, match="compressed archive"):
        filled(tmp_path / "bomb.pt")


def test_an_old_file_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(some(), tmp_path / "weights.pt", _use_new_zipfile_serialization=False)
    monkeypatch.setattr(weights, "LIMIT", 1000)
    with pytest.raises(InputError, match="at most 1,000 bytes"):
        filled(path)


@pytest.mark.parametrize("content", [b"", b"conv1: 3\n", b"\x80\x02]q\x00.", b"PK\x03\x04", b"\x89HDF\r\n"])
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_what_is_no_file_of_weights(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights.{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"no(t a whole)? file of weights"):
        filled(path)


@settings(max_examples=60)
@given(data=st.data(), form=st.sampled_from(["zip", "old", "safetensors"]))
def test_damaged_files_are_refused_or_whole(
    data: st.DataObject, form: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    mine = some()
    path = folder / ("weights.safetensors" if form == "safetensors" else "weights.pt")
    if form == "safetensors":
        save_file(mine, path)
    else:
        saved(mine, path, _use_new_zipfile_serialization=form == "zip")
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    for _ in range(data.draw(st.integers(0, 4))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        found = filled(path)
    except InputError:
        return
    assert {name: tensor.shape for name, tensor in found.items()} == {n: t.shape for n, t in mine.items()}


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder"):
        filled(tmp_path)
    saved(some(), tmp_path / "c3d.pt")
    with pytest.raises(InputError, match=r"no such file.*c3d\.pt"):
        filled(tmp_path / "cd3.pt")


# ---- random weights -------------------------------------------------------------------------------------------------


def random_state(make: Any) -> Tensors:
    with torch.device("meta"):
        network: nn.Module = make()
    fill_at_random(network)
    return network.state_dict()


def test_random_weights_by_hand() -> None:
    """splitmix64's finaliser of key xor place, in Python's integers."""
    found = random_state(small_c3d)["conv2.weight"].flatten()
    key, mask = chance.key(weights.SEED, "C3D/conv2.weight", "random weights"), (1 << 64) - 1
    bound = np.float32(np.sqrt(6 / 27))
    for place, value in enumerate(found.tolist()):
        x = ((place ^ key) + 0x9E3779B97F4A7C15) & mask
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = ((x ^ (x >> shift)) * factor) & mask
        x ^= x >> 31
        assert np.float32(((x >> 41) + 0.5) * 2.0**-22 - 1) * bound == np.float32(value)


def test_random_weights_keep_signals_alive() -> None:
    with torch.device("meta"):
        network = c3d.C3D("fc7", widths=(16, 16, 16, 16, 16), hidden=256, side=32)
    fill_at_random(network.requires_grad_(False))
    state = network.state_dict()
    assert float(state["fc7.weight"].std()) == pytest.approx((2 / 256) ** 0.5, rel=0.02)
    assert abs(float(state["fc7.weight"].mean())) < 1e-3
    assert all(not tensor.any() for name, tensor in state.items() if name.endswith("bias"))
    out = network(torch.randn(4, 3, 16, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert 0.1 < float(out.std()) < 3


def test_random_normalisations_do_nothing() -> None:
    state = random_state(lambda: i3d.I3D(narrow=16))
    for part, value in (("running_mean", 0), ("running_var", 1), ("weight", 1), ("bias", 0)):
        assert (state[f"Mixed_4b.b1b.bn.{part}"] == value).all()


def test_layers_share_random_weights_where_they_share_names() -> None:
    low = random_state(lambda: c3d.C3D("fc6", widths=(1, 2, 2, 2, 2), hidden=3, side=32))
    assert same(random_state(small_c3d), low)


def test_random_weights_do_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = random_state(small_c3d)["fc6.weight"]
    monkeypatch.setattr(weights, "BLOCK", 7)
    assert torch.equal(random_state(small_c3d)["fc6.weight"], expected)

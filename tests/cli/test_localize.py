"""localize as a user calls it: what is printed and written, what is kept for the next question, what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from activity_bench.features.cut import small
from activity_bench.features.decode import read, stated
from activity_bench.simulation.clips import ClipsOptions, encode, plan
from tests.conftest import Invoked
from tests.features.videos import greys
from tests.workflow import asked

OWN = ["--random-weights", "--backbone", asked.MOVING]
REGIONS = ["--region-backbone", "tests.features.tiny_regions:Tiny"]
HOSTILE = '<img src=x onerror="alert(1)">.mp4'
Call = Callable[..., Invoked]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that knows nothing, two short videos, one of them under a name that wants to be HTML, and a picture."""
    folder = tmp_path_factory.mktemp("stage")
    asked.untaught(folder / "trained")
    clip = plan(ClipsOptions())[3]
    (folder / HOSTILE).write_bytes(encode(clip, 0))
    greys(folder / "clip.mp4", "mp4", "libx264", count=10)
    (folder / "picture.jpg").write_bytes(small(np.full((40, 60, 3), 120, np.uint8)))
    (folder / "broken.mp4").write_bytes(b"\0" * 100)
    return folder


def words(
    stage: Path, *more: object, model: str = "trained", clip: str = "clip.mp4", video: str = HOSTILE
) -> list[Any]:
    run = stage / model / "run"
    return ["localize", "--model", run, "--clip", stage / clip, "--video", stage / video,
            "--cache", stage / "cache", *OWN, *more]  # fmt: skip


# ---- the whole way --------------------------------------------------------------------------------------------------


@pytest.mark.check
def test_an_answer_is_printed_drawn_and_cut(stage: Path, tmp_path: Path, invoke: Call) -> None:
    page, cut = tmp_path / "answer.html", tmp_path / "answer.mkv"
    said = invoke(*words(stage, "--page", page, "--cut", cut), code=0)
    head, line = said.out.splitlines()
    assert head == "start\tend\tscore\tfeatures"
    start, end, _, marked = line.split("\t")
    assert marked == "untrained" and "warning: untrained: the features were made without trained weights" in said.err
    frames = [frame.time for frame in read(stage / HOSTILE)]
    assert 0 <= float(start) < float(end) <= stated(stage / HOSTILE).duration
    inside = sum(float(start) - 1 / 24 < time < float(end) - 1e-3 for time in frames)
    assert abs(len(list(read(cut))) - inside) <= 1
    text = page.read_text()
    assert "<img src=x" not in text and "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;.mp4" in text
    assert text.count("data:image/jpeg;base64,") == 3 + 3 + 12 and "http" not in text and "<script" not in text
    assert "Untrained: the features were made without trained weights" in text

    again = invoke(*words(stage, "--json", "--top", 3, "--rows", 8), code=0)
    assert "making the features" in said.err and "making the features" not in again.err  # they were kept
    rows = [json.loads(text) for text in again.out.splitlines()]
    assert 1 < len(rows) <= 3 and rows[0]["windows"] > 3
    assert {row["features"] for row in rows} == {"untrained"} and rows[0]["weights_sha256"] == "none"
    assert rows[0]["clip"] == str(stage / "clip.mp4") and rows[0]["duration"] == pytest.approx(frames[-1], abs=0.1)
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)


@pytest.mark.check
def test_damaged_features_in_the_cache_are_made_anew(stage: Path, tmp_path: Path, invoke: Call) -> None:
    cache = ["--cache", tmp_path / "cache"]
    first = invoke(*words(stage, *cache), code=0)
    parts = sorted((tmp_path / "cache").rglob("*.h5"))
    assert len(parts) == 2
    whole = [part.read_bytes() for part in parts]
    middle = whole[0].rindex(np.float32(0).tobytes() * 2, 0, len(whole[0]))
    parts[0].write_bytes(whole[0][:middle] + b"\x01" * 8 + whole[0][middle + 8 :])
    parts[1].write_bytes(whole[1][: len(whole[1]) // 2])
    second = invoke(*words(stage, *cache), code=0)
    assert second.out == first.out
    assert second.err.count("damaged features in the cache are made anew") == 2
    assert [part.read_bytes() for part in parts] == whole


@pytest.mark.check
def test_an_image_asks(stage: Path, tmp_path: Path, invoke: Call) -> None:
    """The run's store has drawn images of the sizes that the tiny backbone's have."""
    asked.untaught(tmp_path / "flp", "flp", images=True)
    given = ["localize", "--model", tmp_path / "flp" / "run", "--video", stage / HOSTILE, "--cache", stage / "cache"]
    image = ["--image", stage / "picture.jpg", *OWN, "--page", tmp_path / "answer.html"]
    said = invoke(*given, *image, *REGIONS, "--json", code=0)
    (row,) = map(json.loads, said.out.splitlines())
    assert row["image"] == str(stage / "picture.jpg") and row["features"] == "untrained"
    assert 'alt="the picture that is asked with"' in (tmp_path / "answer.html").read_text()
    refused = invoke(*given, "--clip", stage / "clip.mp4", *OWN, code=2)
    assert "method flp: the model is asked otherwise; found '--clip'; expected --image FILE" in refused.err
    file = tmp_path / "flp" / "run" / "run.json"
    page = json.loads(file.read_text())
    page["features"]["images_made_by"] = {"backbone": "tiny-regions", "weights_sha256": "ab" * 32}
    file.write_text(json.dumps(page))
    refused = invoke(*given, *image, *REGIONS, "--force", code=2)
    assert "weights_sha256: the regions of the model's images were made otherwise; found 'none'" in refused.err
    own = hashlib.sha256((stage / "picture.jpg").read_bytes()).hexdigest()  # any file will do
    page["features"] |= {"backbone": "c3d-fc6", "weights_sha256": own}
    file.write_text(json.dumps(page))
    refused = invoke(*given, *image[:2], "--weights", stage / "picture.jpg", code=2)
    assert "--region-weights: an image is asked with as its regions; expected weights of tiny-regions" in refused.err


@pytest.mark.nightly
def test_an_image_asks_by_the_backbone_of_the_house(stage: Path, tmp_path: Path, invoke: Call) -> None:
    asked.untaught(tmp_path / "sail", "sail", images=True, sizes=(4096, 512))
    invoke("localize", "--model", tmp_path / "sail" / "run", "--video", stage / HOSTILE, "--image",
           stage / "picture.jpg", *OWN, "--cache", stage / "cache", code=0)  # fmt: skip


@pytest.mark.check
@pytest.mark.real
def test_real_videos_with_random_weights(real_data: Path, tmp_path: Path, invoke: Call) -> None:
    asked.untaught(tmp_path / "c3d", backbone="c3d-fc6", layer="fc6", dim=4096, fps=2.0, window=16, stride=16)
    folder = real_data / "videos"
    names = ("mmaction2_demo_demo.mp4", "torchcodec_nasa_13013.mp4", "v_BaseballPitch_g01_c01.avi")
    for name, other in zip(names, names[1:] + names[:1], strict=True):
        page, cut = tmp_path / f"{name}.html", tmp_path / f"{name}.mp4"
        given = ["--video", folder / name, "--clip", folder / other, "--page", page, "--cut", cut]
        said = invoke("localize", "--model", tmp_path / "c3d" / "run", "--random-weights", *given,
                      "--cache", tmp_path / "cache", code=0)  # fmt: skip
        assert said.out.splitlines()[1].endswith("\tuntrained") and "warning: untrained" in said.err
        assert "Untrained" in page.read_text() and stated(cut).codec == "h264"
    assert len(list((tmp_path / "cache").rglob("*.h5"))) == 3


# ---- an hour --------------------------------------------------------------------------------------------------------

ASK = """
import json, re, sys
from pathlib import Path
from activity_bench.workflow.localize import localize
from activity_bench.workflow.recipe import AtHand
model, video, cache, rows = sys.argv[1:]
has = AtHand(random_weights=True, backbone="tests.workflow.moving:Wide")
found = localize(model, video, clip=Path(model) / "clip.mp4", has=has, cache=cache, rows=int(rows))
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) >> 10
print(json.dumps({"windows": found.windows, "seconds": found.duration, "MB": peak}))
"""


@pytest.mark.check
@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells the most memory that a process held")
def test_an_hour_takes_the_memory_of_minutes(tmp_path: Path, environment: Callable[..., dict[str, str]]) -> None:
    run = asked.untaught(tmp_path / "wide", backbone="wide", dim=4096, fps=1.0, stride=1)
    shutil.copy(asked.long(tmp_path / "clip.mp4", 12), run)
    minutes, hour = asked.long(tmp_path / "minutes.mp4", 600), asked.long(tmp_path / "hour.mp4", 3600)

    def ask(video: Path, rows: int) -> dict[str, Any]:
        given = [sys.executable, "-c", ASK, str(run), str(video), str(tmp_path / "cache"), str(rows)]
        done = subprocess.run(given, env=environment(), capture_output=True, check=True, timeout=600)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    few, many = ask(minutes, 256), ask(hour, 256)
    at_once = ask(hour, 10_000)  # that the measure would show it
    assert (few["windows"], many["windows"], at_once["windows"]) == (4, 28, 1) and many["seconds"] == 3600
    assert many["MB"] - few["MB"] < 40 < at_once["MB"] - many["MB"], (few, many, at_once)


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--image", "picture.jpg"], "--clip, --image: one question at a time"),
        (["--cut", "a.gif"], "a.gif: unknown container; found '.gif'"),
        (["--cut", "clip.mp4", "--force"], "clip.mp4: this is what is asked, and would be lost"),
        (["--page", "trained"], "trained: this is a folder, and a file is to be written here"),
        (["--page", "there.html"], "there.html: the file exists"),
        (["--weights", "w.pth"], "made without trained weights; found 'w.pth'"),
        (["--projection", "p"], "--projection: the model's features are not projected"),
        (["--top", "0"], "0 is not in the range"),
        (["--rows", "1"], "1 is not in the range"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_named(
    more: list[str], said: str, stage: Path, invoke: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stage)
    (stage / "there.html").touch()
    assert said in invoke(*words(stage, *more), code=2).err


@pytest.mark.quick
def test_a_wrong_file_is_named(stage: Path, tmp_path: Path, invoke: Call) -> None:
    assert "no such file" in invoke(*words(stage, video="hour.mp4"), code=2).err
    assert "no such file" in invoke(*words(stage, model="trainde"), code=2).err
    run = tmp_path / "half" / "run"
    shutil.copytree(stage / "trained" / "run", run)
    (run / "best.safetensors").unlink()
    assert "best.safetensors: no such file" in invoke(*words(stage, model=str(run.parent)), code=2).err
    shutil.copy(stage / "trained" / "run" / "best.safetensors", run)
    page = json.loads((run / "run.json").read_text())
    for status, backbone, said in (
        ("training", "moving", "run.json: status: this training did not come to its end"),
        ("done", "simulated", "features.backbone: this model was trained on features of the simulated world"),
    ):
        page["status"], page["features"]["backbone"] = status, backbone
        (run / "run.json").write_text(json.dumps(page))
        assert said in invoke(*words(stage, model=str(run.parent)), code=2).err


@pytest.mark.check
def test_a_broken_video_is_named_with_its_kind(stage: Path, invoke: Call) -> None:
    refused = invoke(*words(stage, video="broken.mp4"), code=2)
    assert "broken.mp4: not a video: " in refused.err and not refused.out
    other = invoke(*words(stage)[:-1], asked.WIDE, code=2)
    assert (
        "backbone: these are not the features that the model was trained on; found 'wide'; expected moving" in other.err
    )

"""Extraction jobs: what each bad video costs, what a kill costs (nothing), and the same bytes however it went."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from activity_bench.data.features import FeatureStore, open_features, parts_folder
from activity_bench.errors import InputError
from activity_bench.features import ledger
from activity_bench.features.ledger import Failure
from activity_bench.features.worker import Task, units_of
from activity_bench.workflow.extract import Extracted, extract_features
from tests.features.videos import huge

TINY, FRAGILE = "tests.features.tiny:Tiny", "tests.features.tiny:Fragile"
FPS, FRAMES = 10, 40
ROWS = (FRAMES - 16) // 8 + 1
COLOURS = {
    "grey": (90, 90, 90), "dim": (60, 80, 70), "red": (255, 0, 0), "blue": (0, 0, 255), "green": (0, 255, 0),
    "black": (0, 0, 0), "white": (255, 255, 255),
}  # fmt: skip


def render(path: Path, colour: tuple[int, int, int], frames: int = FRAMES) -> None:
    """A video of one colour, whose brightness moves a little."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            picture = np.full((48, 64, 3), colour, np.uint8)
            picture[: 1 + number % 8] //= 2
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good videos, and one for each way in which a worker can fail."""
    folder = tmp_path_factory.mktemp("videos")
    for name, colour in COLOURS.items():
        render(folder / f"{name}.mp4", colour)
    (folder / "nothing.mp4").write_bytes(b"")
    huge(folder / "huge.mp4")
    (folder / "text.avi").write_text("not a video, whatever its name\n" * 50)
    (folder / "readme.txt").write_text("looked at by nobody")
    return folder


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six good videos, some in a folder below."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "below").mkdir()
    for number in range(6):
        render(folder / ("below" if number % 2 else "") / f"v{number}.mp4", (30 * number + 20, 90, 60))
    return folder


@pytest.fixture(scope="module")
def whole(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their features, by two workers."""
    out = tmp_path_factory.mktemp("whole") / "features.h5"
    assert extract(good, out, workers=2).done == 6
    return out


def extract(videos: Path, out: Path, backbone: str = TINY, **options: object) -> Extracted:
    given = {"random_weights": True, "fps": FPS, "stride": 8, "workers": 1, **options}
    return extract_features(videos, backbone, out, **given)  # type: ignore[arg-type]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.check
def test_each_bad_video_costs_one_line(videos: Path, tmp_path: Path) -> None:
    out, told = tmp_path / "features.h5", []
    found = extract(videos, out, FRAGILE, workers=2, limit=8.0, memory=1000, tell=told.append)
    assert (found.videos, found.done, found.packed) == (10, 2, True)
    assert found.failed == {
        "empty": 1, "failed": 1, "features": 1, "killed": 1, "memory": 1, "not a video": 1, "timeout": 1,
        "too large": 1,
    }  # fmt: skip
    failures = ledger.read(found.ledger)
    assert {name: failure.kind for name, failure in failures.items()} == {
        "nothing": "empty", "black": "failed", "white": "features", "green": "killed", "blue": "memory",
        "text": "not a video", "red": "timeout", "huge": "too large",
    }  # fmt: skip
    assert len(found.ledger.read_text().splitlines()) == len(told) == 8
    assert {name: failure.attempts for name, failure in failures.items()} == dict.fromkeys(failures, 1) | {"green": 2}
    assert "ZeroDivisionError: a fault of the program" in failures["black"].message
    assert failures["red"].seconds >= 8.0
    assert sorted(open_features(out).ids()) == ["dim", "grey"]
    assert not parts_folder(out).exists()


@pytest.mark.check
def test_what_failed_waits_until_it_is_asked_for(good: Path, whole: Path, tmp_path: Path) -> None:
    out, videos = tmp_path / "features.h5", tmp_path / "videos"
    shutil.copytree(good, videos)
    (videos / "v0.mp4").write_bytes(b"")
    first = extract(videos, out)
    assert (first.done, first.failed) == (5, {"empty": 1})
    shutil.copy(good / "v0.mp4", videos)
    before = out.read_bytes()
    assert extract(videos, out).failed == {"empty": 1}  # not looked at again
    assert out.read_bytes() == before
    again = extract(videos, out, retry_failed=True)
    assert (again.done, again.failed, again.ledger.exists()) == (6, {}, False)
    assert sha256(out) == sha256(whole)  # added to, or made in one go


@pytest.mark.check
def test_shards_and_workers_change_no_byte(good: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "features.h5"
    shards = [extract(good, out, shard=f"{i}/2") for i in (1, 2)]
    assert [shard.packed for shard in shards] == [False, False]
    assert sum(shard.videos for shard in shards) == 6 > max(shard.videos for shard in shards)
    assert not out.exists()
    with pytest.raises(InputError, match="not finished"):
        open_features(out)
    assert extract(good, out).done == 6
    assert sha256(out) == sha256(whole)


@pytest.mark.check
def test_features_are_those_of_the_frames_and_say_what_made_them(good: Path, whole: Path) -> None:
    import torch

    from activity_bench.features.decode import read
    from tests.features.tiny import Tiny

    store = FeatureStore(whole)
    images = [frame.image for frame in read(good / "v0.mp4", Tiny.look)]
    assert len(images) == FRAMES
    clips = np.stack([np.stack(images[first : first + 16]) for first in range(0, FRAMES - 15, 8)])
    expected = Tiny(None, True, "cpu")(torch.from_numpy(clips)).numpy()
    assert expected.shape == (ROWS, 6)
    np.testing.assert_allclose(store.read("v0"), expected, rtol=1e-6)
    found = store.attributes.as_dict()
    assert [found[name] for name in ("backbone", "layer", "fps", "window", "stride", "decoder")] == [
        "tiny", "moments", FPS, 16, 8, "pyav",
    ]  # fmt: skip
    assert store.attributes_of("v0") == {"frames": FRAMES, "fps": FPS, "decoder": "pyav"}
    assert store.rows("v0") == store.timing.rows_for(FRAMES / FPS)


@pytest.mark.check
@pytest.mark.parametrize(("options", "field"), [({"stride": 16}, "stride"), ({"own_rate": True}, "decoder")])
def test_a_file_made_otherwise_is_not_added_to(good: Path, whole: Path, options: Any, field: str) -> None:
    before = sha256(whole)
    with pytest.raises(InputError, match=f"{field}: these features were made otherwise"):
        extract(good, whole, **options)
    assert sha256(whole) == before
    assert not parts_folder(whole).exists()


# ---- kills ----------------------------------------------------------------------------------------------------------


def start(videos: Path, out: Path) -> subprocess.Popen[bytes]:
    """The job as a process of its own."""
    words = f"extract-features --backbone {TINY} --random-weights --stride 8 --workers 2 --videos".split()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "activity_bench", *words, str(videos), "--out", str(out)], env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@contextmanager
def started(videos: Path, out: Path) -> Iterator[subprocess.Popen[bytes]]:
    job = start(videos, out)
    try:
        yield job
    finally:
        job.kill()
        job.wait()


def workers_of(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(words[1]) == pid and words[0] not in "ZX":
            found.append(int(path.parent.name))
    return found


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for(what: Callable[[], object], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def parts(out: Path) -> set[str]:
    return {path.name for path in parts_folder(out).glob("[!.]*.h5")}


def check_parts(out: Path) -> None:
    """Every part under a final name is whole."""
    for path in parts_folder(out).glob("[!.]*.h5"):
        with h5py.File(path) as part:
            rows = part["rows"][:]
            assert hashlib.sha256(rows.tobytes()).hexdigest() == part.attrs["sha256"]


def kill(job: subprocess.Popen[bytes], out: Path, what: str) -> None:
    """SIGKILL to the parent, whose workers must die with it; or to a worker first, without which the job goes on."""
    workers = workers_of(job.pid)
    if what == "worker" and workers:
        count = len(parts(out))
        os.kill(workers[0], signal.SIGKILL)
        wait_for(lambda: len(parts(out)) > count or job.poll() is not None or not parts_folder(out).exists())
        workers = workers_of(job.pid)
    elif what == "parent of one that hangs" and workers:
        os.kill(workers[0], signal.SIGSTOP)  # as in native code, where no thread of its own runs
    job.kill()
    job.wait()
    wait_for(lambda: not any(map(lives, workers)), 20)


@pytest.mark.real
@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")
@pytest.mark.parametrize(
    "kills", [pytest.param(3, marks=pytest.mark.check), pytest.param(30, marks=pytest.mark.nightly)]
)
def test_killed_anywhere_and_resumed_it_ends_with_the_same_bytes(kills: int, real_data: Path, tmp_path: Path) -> None:
    videos, plain, out = real_data / "videos", tmp_path / "plain.h5", tmp_path / "features.h5"
    whole = extract_features(videos, TINY, plain, random_weights=True, stride=8, workers=2)
    assert whole.failed == {"corrupt": 1}
    moments = np.random.Generator(np.random.Philox(key=9))
    kept: set[str] = set()
    for number in range(kills):
        enough = len(kept) + int(moments.integers(1, 4))
        with started(videos, out) as job:
            wait_for(lambda job=job, enough=enough: len(parts(out)) >= enough or job.poll() is not None)
            time.sleep(moments.uniform(0, 0.3))
            kill(job, out, ("parent", "worker", "parent of one that hangs")[number % 3])
        if out.exists():  # it was quicker: begin anew
            assert sha256(out) == sha256(plain)
            shutil.rmtree(parts_folder(out), ignore_errors=True)
            out.unlink()
        else:
            assert parts(out) >= kept  # what was finished stays
            check_parts(out)
        kept = parts(out)
    with started(videos, out) as job:
        assert job.wait(300) == 0
    assert sha256(out) == sha256(plain)
    assert ledger.read(ledger.ledger_of(out)).keys() == ledger.read(whole.ledger).keys()


@pytest.mark.quick
def test_units_are_the_presets_the_calls_or_the_backbones() -> None:
    def units(reads: int | None = 16, backbone: str = "mine:Mine", **options: Any) -> tuple[float | None, int, int]:
        found = units_of(Task("out", backbone, **options), reads)
        return found.fps, found.window, found.stride

    assert units(backbone="c3d-fc6") == (25.0, 16, 8)
    assert units(backbone="c3d-fc6", units="c3d-nonoverlap", fps=30.0) == (30.0, 16, 16)
    assert units(backbone="i3d-rgb", stride=4) == (25.0, 16, 4)
    assert units() == (25.0, 16, 16)
    assert units(None, window=32) == (25.0, 32, 32)
    with pytest.raises(InputError, match="another length; found 8; expected 16"):
        units_of(Task("out", "mine:Mine", window=8), 16)
    with pytest.raises(InputError, match="no units of its own"):
        units(None)


# ---- the ledger -----------------------------------------------------------------------------------------------------


@pytest.mark.quick
def test_a_line_that_was_cut_short_is_no_line(tmp_path: Path) -> None:
    path = tmp_path / "x.failures.jsonl"
    first, second = (
        Failure("a", "timeout", "ä\udc80".encode("utf-8", "replace").decode(), 1, 2.0),
        Failure("b", "empty", "", 2, 0.5),
    )
    ledger.add(path, first)
    with path.open("ab") as stream:
        stream.write(second.line()[:20])
    assert ledger.read(path) == {"a": first}
    ledger.add(path, second)
    assert ledger.read(path) == {"a": first, "b": second}
    ledger.add(path, Failure("a", "timeout", "", 2, 2.0))
    assert ledger.read(path)["a"].attempts == 2
    ledger.replace(path, {"b": second})
    assert path.read_bytes() == second.line()
    ledger.replace(path, {})
    assert not path.exists()
    assert ledger.read(path) == {}

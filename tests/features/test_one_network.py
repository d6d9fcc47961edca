"""One process that holds the network, for all that decode: the plain features, and what each death costs."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest

from activity_bench.data.features import FeatureStore, open_features
from activity_bench.errors import InputError
from activity_bench.features import ledger
from activity_bench.features.network import Question, batches, work
from activity_bench.workflow.extract import extract_features
from tests.features.processes import NETWORK, TINY, WORKER, kill, like, parts, sha256, started, wait_for
from tests.features.test_jobs import FRAGILE, render
from tests.features.tiny import Tiny
from tests.features.videos import rendered

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")


def question(count: int, value: int, side: int = 4) -> Question:
    return Question(np.full((count, 16, side, side, 3), value, np.uint8))


@pytest.mark.quick
def test_batches_are_of_one_shape_the_oldest_first() -> None:
    questions = SimpleQueue[Question]()
    asked = [question(3, 1), question(1, 2, side=6), question(4, 3)]
    for one in asked:
        questions.put(one)
    taken = batches(questions, 5)
    assert [clip[0, 0, 0, 0] for _, clip in next(taken)] == [1, 1, 1, 3, 3]
    assert [(whose is asked[1], clip.shape[1]) for whose, clip in next(taken)] == [(True, 6)]
    assert [clip[0, 0, 0, 0] for _, clip in next(taken)] == [3, 3]


@pytest.mark.quick
def test_each_clip_gets_its_own_row_whoever_is_beside_it() -> None:
    seen: list[int] = []

    class Watched(Tiny):
        def __call__(self, clips):  # type: ignore[no-untyped-def]
            seen.append(len(clips))
            return super().__call__(clips)

    questions, asked = SimpleQueue[Question](), [question(3, 50), question(2, 7), question(9, 90)]
    for one in asked:
        questions.put(one)
    backbone = Watched(None, True, "cpu")
    threading.Thread(target=work, args=(backbone, questions, 8, 60.0), daemon=True).start()
    for one, value in zip(asked, (50, 7, 90), strict=True):
        assert one.answered.wait(60)
        np.testing.assert_allclose(np.stack(one.rows), [[value] * 3 + [0] * 3] * len(one.clips), atol=1e-5)
    assert seen == [8, 8]  # padded: a batch has one size


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number in range(6):
        rendered(folder, number)
    return folder


@pytest.mark.check
def test_a_real_backbone_makes_the_features_that_it_makes_alone(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    for number, colour in enumerate(((90, 60, 40), (10, 200, 90))):
        render(tmp_path / "videos" / f"v{number}.mp4", colour, frames=18 + 6 * number)
    stores = []
    for name, one_network in (("plain", False), ("one", True)):
        extract_features(
            tmp_path / "videos", "c3d-fc6", tmp_path / f"{name}.h5", random_weights=True, fps=10, batch=2, workers=2,
            one_network=one_network,
        )  # fmt: skip
        stores.append(FeatureStore(tmp_path / f"{name}.h5"))
    plain, one = stores
    assert plain.attributes == one.attributes
    assert plain.ids() == one.ids() == ["v0", "v1"]
    for video in plain.ids():
        assert plain.read(video).std() > 0
        np.testing.assert_allclose(one.read(video), plain.read(video), rtol=1e-5, atol=1e-5)


@pytest.mark.check
def test_who_is_killed_costs_nothing(videos: Path, tmp_path: Path) -> None:
    """A worker first, then the process of the network, and then nobody: six videos of six, each once."""
    plain, out = tmp_path / "plain.h5", tmp_path / "features.h5"
    extract_features(videos, TINY, plain, random_weights=True, stride=8, workers=1)
    with started(videos, out, "--one-network") as job:
        wait_for(lambda: parts(out) or job.poll() is not None)
        for role in (WORKER, NETWORK):
            for pid in like(job.pid, role)[:1]:
                kill(pid, signal.SIGKILL)
            count = len(parts(out))
            wait_for(lambda count=count: len(parts(out)) > count or out.exists() or job.poll() is not None)
        said = job.communicate(timeout=300)[1]
        assert job.returncode == 0, said
    assert "6 of 6 videos have features" in said
    assert sha256(out) == sha256(plain)
    assert not ledger.ledger_of(out).exists()


@pytest.mark.check
def test_a_video_that_breaks_the_network_costs_one_line(tmp_path: Path) -> None:
    """Black breaks the program, green kills it, red hangs it: those beside them have their features all the same."""
    videos, out = tmp_path / "videos", tmp_path / "features.h5"
    videos.mkdir()
    for name, colour in {"black": (0, 0, 0), "green": (0, 255, 0), "red": (255, 0, 0), "grey": (90, 90, 90),
                         "dim": (60, 80, 70), "dusk": (70, 60, 60)}.items():  # fmt: skip
        render(videos / f"{name}.mp4", colour)
    found = extract_features(
        videos, FRAGILE, out, random_weights=True, fps=10, stride=8, workers=2, limit=12.0, one_network=True, batch=4
    )
    failures = ledger.read(found.ledger)
    assert sorted(open_features(out).ids()) == ["dim", "dusk", "grey"]
    assert {name: failure.kind for name, failure in failures.items()} == dict.fromkeys(
        ("black", "green", "red"), "killed"
    )
    assert "ZeroDivisionError: a fault of the program" in failures["black"].message
    assert "a batch took longer than 6 seconds" in failures["red"].message


@pytest.mark.check
def test_what_is_wrong_with_the_backbone_is_said_once(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such backbone"):
        extract_features(videos, "tests.features.tinny:Tiny", tmp_path / "f.h5", random_weights=True, one_network=True)
    assert list(tmp_path.iterdir()) == []

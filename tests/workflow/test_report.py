"""The report page as a file: what it says, what it refuses, and the same bytes again."""

from __future__ import annotations

import base64
import json
import re
import shutil
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity_bench.data import manifest as manifests
from activity_bench.data import predictions
from activity_bench.data.instances import read_instances
from activity_bench.data.reports import read_report, read_rows
from activity_bench.errors import InputError
from activity_bench.workflow.cards import is_youtube
from activity_bench.workflow.report import report
from activity_bench.workflow.score import score
from tests import tiny
from tests.browser import runs
from tests.features import videos

pytestmark = pytest.mark.quick

DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return runs.moments(tmp_path_factory.mktemp("moments"), 40)


def drawn(of: list[Path], out: Path, **options: Any) -> tuple[str, dict[str, Any]]:
    """The page, and its data."""
    report(of, out, **options)
    text = out.read_text(encoding="utf-8")
    found = DATA.findall(text)
    assert len(found) == 1
    return text, json.loads(found[0])


def test_the_same_runs_give_the_same_bytes(moments: list[Path], tmp_path: Path) -> None:
    drawn(moments, tmp_path / "a.html")
    drawn(moments, tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    drawn(moments[::-1], tmp_path / "c.html")  # the leaderboard orders them
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "c.html").read_bytes()


def test_samples_stand_worst_first_with_the_scores_of_the_report(moments: list[Path], tmp_path: Path) -> None:
    _, data = drawn(moments, tmp_path / "page.html")
    ious = {run.name: read_rows(run / "report.json", read_report(run / "report.json"))["iou"] for run in moments}
    asked = [sample.id for sample in runs.samples(40)]
    for card in data["samples"]:
        assert card["id"] == asked[card["place"]]
        for name, value in zip(data["methods"], card["scores"], strict=True):
            assert value == pytest.approx(ious[name][card["place"]], abs=5e-5)
    errors = np.mean(list(ious.values()), axis=0)
    assert [card["place"] for card in data["samples"]] == np.argsort(np.round(errors, 6), kind="stable").tolist()
    unanswered = next(card for card in data["samples"] if card["place"] == 0)
    assert [row["text"] for row in unanswered["rows"] if row["name"] == "half"] == ["no answer"]
    places = [row["bars"] for row in unanswered["rows"] if row["kind"] == "query"]
    assert places == [[[76.67, 10.0, 0, "asked", "46.00 – 52.00 s"]]]  # 46 to 52 of 60 seconds


def test_the_curve_is_the_share_above_each_iou(moments: list[Path], tmp_path: Path) -> None:
    text, data = drawn(moments, tmp_path / "page.html")
    table = re.search(r"<caption>Share of samples above.*?</table>", text, re.DOTALL)
    assert table
    rows = re.findall(r'<th scope="row">([\d.]+)</th>((?:<td>[^<]+</td>)+)', table[0])
    assert len(rows) == 51
    columns = np.array([re.findall(r"<td>([^<]+)", cells) for _, cells in rows], float).T
    for name, column in zip(data["methods"], columns, strict=True):
        path = next(run for run in moments if run.name == name) / "report.json"
        iou = read_rows(path, read_report(path))["iou"]
        for (place, _), value in zip(rows, column, strict=True):
            assert value == pytest.approx(sum(iou > float(place)) / len(iou), abs=5.1e-4)


class Shape(HTMLParser):
    """The elements of a page, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}


def test_nothing_that_a_file_says_is_markup(moments: list[Path], tmp_path: Path) -> None:
    text, data = drawn(moments, tmp_path / "page.html")
    shape = Shape(text)
    assert shape.tags.count("script") == 2 and shape.tags.count("style") == 1
    assert not {"img", "iframe", "link", "object", "embed", "base"} & set(shape.tags)
    assert not [name for name in shape.attributes if name.startswith("on") or name == "style" or name == "src"]
    assert runs.ENDING in [card["id"] for card in data["samples"]]  # and it came through whole
    assert runs.NASTY in data["classes"]


def test_the_policy_names_the_one_style_and_the_one_script(moments: list[Path], tmp_path: Path) -> None:
    text, _ = drawn(moments, tmp_path / "page.html")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    style, script = (
        re.search(r"<style>(.*?)</style>", text, re.DOTALL),
        re.search(r"<script>(.*?)</script>", text, re.DOTALL),
    )
    assert policy and style and script
    for kind, inline in (("style", style[1]), ("script", script[1])):
        digest = base64.b64encode(sha256(inline.encode()).digest()).decode()
        assert f"{kind}-src &#x27;sha256-{digest}&#x27;" in policy[1]
    assert policy[1].startswith("default-src &#x27;none&#x27;; img-src data:;")
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)", style[1] + script[1])


@given(text=st.text(st.characters(codec="utf-8", categories=("L", "P", "S", "Nd")), max_size=12), nasty=st.booleans())
def test_any_id_leaves_the_data_whole(text: str, nasty: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    from activity_bench.data.page import Content, render

    name = f"{text}</script><!--{text}" if nasty else text
    card = {"id": name, "video": name, "about": [name], "labels": [], "part": None, "rows": [], "from": 0, "lanes": 1}
    content = Content(name, (), (), (name,), 0, "m", (), (), (), (name,), (), (), (card,), "", None, (), "0")
    page = render(content)
    found = DATA.findall(page)
    assert len(found) == 1
    assert json.loads(found[0])["samples"][0]["id"] == name
    assert Shape(page).tags.count("script") == 2


# ---- what is refused, and what is lacking -------------------------------------------------------------------------


def test_reports_of_two_questions_make_no_page(moments: list[Path], tmp_path: Path) -> None:
    other = runs.moments(tmp_path / "other", 41) if (tmp_path / "other").mkdir() is None else []
    with pytest.raises(InputError, match=r"manifest\.digest.*these reports cannot be compared"):
        report([moments[0], other[0]], tmp_path / "page.html")
    again = tmp_path / "ibal.json"
    score(moments[1] / "predictions.jsonl", moments[0].parents[1] / "manifest", "test", protocol="ibal", json=again)
    with pytest.raises(InputError, match="protocol"):
        report([moments[0], again], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_page_replaces_pages_alone(moments: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    out.write_text("my thesis", encoding="utf-8")
    with pytest.raises(InputError, match="refusing to replace"):
        report(moments, out)
    assert out.read_text(encoding="utf-8") == "my thesis"
    out.unlink()
    report(moments, out)
    report(moments[:1], out)


def test_a_manifest_is_found_by_its_digest_or_asked_for(moments: list[Path], tmp_path: Path) -> None:
    far = tmp_path / "far" / "away" / "from" / "it"
    shutil.copytree(moments[0], far)
    with pytest.raises(InputError, match="--manifest"):
        report([far], tmp_path / "page.html")
    assert report([far], tmp_path / "page.html", manifest=moments[0].parents[1] / "manifest").samples == 40
    tiny.write(tmp_path / "another")
    with pytest.raises(InputError, match="another manifest than that of the reports"):
        report([far], tmp_path / "page.html", manifest=tmp_path / "another")


@pytest.mark.parametrize("fault", ["gone", "changed"])
def test_answers_that_are_not_at_hand_are_said_and_not_shown(moments: list[Path], tmp_path: Path, fault: str) -> None:
    copies = [Path(shutil.copytree(run, tmp_path / "runs" / run.name)) for run in moments]
    shutil.copytree(moments[0].parents[1] / "manifest", tmp_path / "manifest")
    file = copies[1] / "predictions.jsonl"
    file.unlink() if fault == "gone" else file.write_bytes(file.read_bytes() + b"\n")
    text, data = drawn(copies, tmp_path / "page.html")
    assert f"{copies[1].name}: " in text and "so its answers are not shown" in text
    place = data["methods"].index(copies[1].name)
    assert {card["scores"][place] for card in data["samples"]} == {None}
    assert {row.get("m") for card in data["samples"] for row in card["rows"]} == {None, 0, 1, 2} - {place}


@pytest.mark.parametrize(
    "wrong",
    ["http://x.org/{video}", "javascript:alert('{video}')", "https://x.org/", "https:///{video}", "https://x.org/{vide}",
     "https://me@x.org/{video}", "https://[/{video}", "https://x.org/{video}\n", "//x.org/{video}"],
)  # fmt: skip
def test_addresses_are_https_and_name_the_video(moments: list[Path], tmp_path: Path, wrong: str) -> None:
    with pytest.raises(InputError, match="--url-template"):
        report(moments, tmp_path / "page.html", url_template=wrong)


def test_a_template_links_every_video(moments: list[Path], tmp_path: Path) -> None:
    text, data = drawn(moments, tmp_path / "page.html", url_template="https://x.org/v/{video}.mp4#t={start}")
    number = next(card["place"] for card in data["samples"] if card["video"] != "v_dQw4w9WgXcQ")
    assert f'"https://x.org/v/video%20{number}%20of%20%22many%22%20%3Cb%3E.mp4#t=0"' in text
    assert "youtube" not in text


@pytest.mark.parametrize(
    ("video", "looks"),
    [("v_dQw4w9WgXcQ", True), ("dQw4w9WgXcQ", True), ("v_abcdefghi", True), ("video_test_0000004", False),
     ("v1", False), ("simAbCdEfGh", False), ("dQw4w9WgXc!", False), ("dQw4w9WgXcQ_000010_000020", False),
     ("", False)],
)  # fmt: skip
def test_what_looks_like_an_id_of_youtube(video: str, looks: bool) -> None:
    assert is_youtube(video) is looks


@pytest.mark.parametrize(("protocol", "shown"), [("moments", "10.00 – 20.00 s"), ("qvhighlights", "30.00 – 40.00 s")])
def test_the_answer_that_is_shown_is_the_one_that_is_scored(tmp_path: Path, protocol: str, shown: str) -> None:
    asked = list(runs.samples(2))
    tiny.write(tmp_path / "manifest", (), asked)
    tied = [[30.0, 40.0, 0.5], [10.0, 20.0, 0.5]]  # the earlier one, or the first of the file
    tiny.answers(tmp_path / "p.jsonl", [tiny.answer(sample.id, *tied) for sample in asked])
    score(tmp_path / "p.jsonl", tmp_path / "manifest", "test", protocol=protocol, json=tmp_path / "report.json")
    _, data = drawn([tmp_path / "report.json"], tmp_path / "page.html")
    assert {row["text"] for card in data["samples"] for row in card["rows"] if row["kind"] == "method"} == {shown}


def test_the_papers_rows_stand_beside_and_are_not_ranked(tmp_path: Path) -> None:
    asked = list(runs.samples(6))
    tiny.write(tmp_path / "manifest", (), asked, version="released.1")
    tiny.answers(tmp_path / "p.jsonl", [tiny.answer(sample.id, [1.0, 2.0, 1.0]) for sample in asked])
    score(tmp_path / "p.jsonl", tmp_path / "manifest", "test", json=tmp_path / "report.json")
    text, data = drawn([tmp_path / "report.json"], tmp_path / "page.html")
    cited = re.findall(r'<tr class="cited"><td></td><th scope="row" class="word">([^<]+)', text)
    assert {"Ours (ECCV 2018 Table 1)", "Chance (ECCV 2018 Table 1)"} <= set(cited)
    assert data["methods"] == ["p.jsonl"]
    assert (
        "cited"
        not in drawn([tmp_path / "report.json"], tmp_path / "page.html", published=False)[0].split("</style>")[1]
    )


# ---- detections ---------------------------------------------------------------------------------------------------


def test_a_videos_value_is_its_map_by_itself(tmp_path: Path) -> None:
    made_runs = runs.detections(tmp_path)
    _, data = drawn(made_runs, tmp_path / "page.html")
    asked = manifests.load(tmp_path / "manifest")
    lines = (made_runs[0] / "predictions.jsonl").read_text("utf-8").splitlines()[1:]
    place = data["methods"].index("all")
    seen = 0
    for sample, line in zip(asked.samples("test"), lines, strict=True):
        card = next(card for card in data["samples"] if card["id"] == sample.id)
        if not sample.targets:
            assert card["scores"][place] is None and data["samples"][-1]["error"] is None
            continue
        alone = tmp_path / sample.id.replace("/", "-")
        alone.mkdir()
        own = tuple(dict.fromkeys(target.label or "" for target in sample.targets))
        tiny.write(alone / "manifest", (), [sample], task="detection", vocabularies={"all": own})
        row = json.loads(line)
        kept = [(s, label) for s, label in zip(row["segments"], row["labels"], strict=True) if label in own]
        tiny.answers(
            alone / "p.jsonl", [tiny.answer(sample.id, *(s for s, _ in kept), labels=[label for _, label in kept])]
        )
        wanted = score(alone / "p.jsonl", alone / "manifest", "test").metrics["mAP@0.5"]
        assert card["scores"][place] == pytest.approx(wanted, abs=5e-5)
        seen += 1
    assert seen > 8
    truth = read_instances(asked, "test")
    read = predictions.read(made_runs[0] / "predictions.jsonl", truth, asked.digest)
    assert sum(len(r["bars"]) for c in data["samples"] for r in c["rows"] if r.get("m") == place) == len(read.start)


# ---- film ---------------------------------------------------------------------------------------------------------


def test_film_is_drawn_where_videos_are_and_a_broken_one_costs_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    path, clip = videos.rendered(folder)
    (folder / "broken.mp4").write_bytes(path.read_bytes()[:2000])
    asked = [tiny.in_seconds(name, (0.0, 4.0), (1.0, 3.0), label="x") for name in ("a", "b", "c")]
    for sample, name in zip(asked, (clip.id, "broken", "missing"), strict=True):
        sample.video.id = name  # a value of its own
    tiny.write(tmp_path / "manifest", (), asked)
    tiny.answers(tmp_path / "p.jsonl", [tiny.answer(sample.id, [1.0, 2.0, 1.0]) for sample in asked])
    score(tmp_path / "p.jsonl", tmp_path / "manifest", "test", json=tmp_path / "report.json")
    done = report([tmp_path / "report.json"], tmp_path / "page.html", manifest=tmp_path / "manifest", videos=folder)
    data = json.loads(DATA.findall((tmp_path / "page.html").read_text("utf-8"))[0])
    films = {card["video"]: [row["image"] for row in card["rows"] if row["kind"] == "film"] for card in data["samples"]}
    assert [len(films[name]) for name in (clip.id, "broken", "missing")] == [1, 0, 0]
    assert base64.b64decode(films[clip.id][0].partition(",")[2])[:3] == b"\xff\xd8\xff"
    assert any("a video is not in the folder" in note for note in done.notes)
    assert any("broken.mp4" in note for note in done.notes)
    with pytest.raises(InputError, match="no such folder"):
        report(
            [tmp_path / "report.json"], tmp_path / "page.html", manifest=tmp_path / "manifest", videos=tmp_path / "none"
        )

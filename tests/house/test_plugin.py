"""Methods of other packages: the example installs from its own folder and runs; a bad one is named and costs itself."""

from __future__ import annotations

import csv
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from activity_bench import catalog

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "plugin"

Declare = Callable[..., None]


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Declare:
    """`declare("pack", "name = module:Class", module="source")`: an installed package, as pip leaves one."""
    site = tmp_path / "site"

    def install(package: str, *entries: str, **modules: str) -> None:
        metadata = site / f"{package}-1.2.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n", encoding="utf-8")
        (metadata / "entry_points.txt").write_text("\n".join([f"[{catalog.GROUP}]", *entries]), encoding="utf-8")
        for name, source in modules.items():
            (site / f"{name}.py").write_text(source, encoding="utf-8")
            monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()

    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    return install


SOUND = '''"""Says nothing."""
from activity_bench.types import Method
class Mine(Method):
    def predict(self, samples):
        return iter(())
'''
FAULTS = {
    "it cannot be imported: ModuleNotFoundError: No module named 'no_such_thing'": "import no_such_thing",
    "it cannot be imported: RuntimeError: by design": "raise RuntimeError('by design')",
    "it cannot be imported: SystemExit: 3": "raise SystemExit(3)",
    "it cannot be imported: AttributeError": "x = 1",
    "no subclass of activity_bench.types.Method": "Mine = 5",
    "it lacks predict()": "from activity_bench.types import Method\nclass Mine(Method): pass",
    "options_class is no dataclass": SOUND + "    options_class = int",
    "may not see the answers": SOUND + "    sees_answers = True",
}


@pytest.mark.quick
def test_a_plugin_is_found_by_name_and_by_a_near_miss(declare: Declare, invoke: Any, tmp_path: Path) -> None:
    declare("pack", "quiet-one = m_sound:Mine", m_sound=SOUND)
    assert catalog.load("method", catalog.METHODS, "quiet-one").__name__ == "Mine"
    assert catalog.package_of("quiet-one") == "pack 1.2"
    assert "quiet-one\tmethods\tSays nothing. (pack 1.2)" in invoke("list", "methods").out
    asked = ("run-baseline", "quiet-on", "--manifest", tmp_path, "--split", "test", "--out", tmp_path / "run")
    assert "Did you mean 'quiet-one'?" in invoke(*asked, code=2).err


@pytest.mark.quick
@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_plugin_is_named_and_costs_only_itself(declare: Declare, invoke: Any, tmp_path: Path, fault: str) -> None:
    declare("bad-pack", "bad-one = m_bad:Mine", m_bad=FAULTS[fault])
    declare("pack", "quiet-one = m_sound:Mine", m_sound=SOUND)
    listed = invoke("list", "methods").out
    assert fault in listed and "bad-pack 1.2" in listed
    assert "Says nothing." in listed and "\ncgbm\t" in listed
    said = invoke(
        "run-baseline", "bad-one", "--manifest", tmp_path, "--split", "test", "--out", tmp_path / "run", code=2
    )
    assert fault in said.err and "bad-pack 1.2" in said.err


@pytest.mark.quick
def test_no_plugin_takes_the_name_of_another_method(declare: Declare, invoke: Any, tmp_path: Path) -> None:
    declare("thief", "random = m_thief:Mine", "twin = m_thief:Mine", m_thief="raise RuntimeError('imported')")
    declare("other", "twin = m_sound:Mine", m_sound=SOUND)
    assert catalog.load("method", catalog.METHODS, "random").__module__ == "activity_bench.baselines.random"
    assert catalog.package_of("random") is None
    listed = invoke("list", "methods").out
    assert "method random of thief 1.2: a method of activity-bench has this name" in listed
    asked = ("run-baseline", "twin", "--manifest", tmp_path, "--split", "test", "--out", tmp_path / "run")
    assert "thief 1.2 has a method of this name, too" in invoke(*asked, code=2).err


@pytest.mark.quick
def test_entry_points_that_cannot_be_read_are_named(declare: Declare, invoke: Any) -> None:
    declare("torn", "no equals sign")
    declare("pack", "quiet-one = m_sound:Mine", m_sound=SOUND)
    listed = invoke("list", "methods").out
    assert "torn 1.2: its entry points cannot be read" in listed and "Says nothing." in listed
    assert catalog.load("method", catalog.METHODS, "quiet-one").__name__ == "Mine"


@pytest.mark.quick
def test_a_message_of_a_plugin_stays_on_its_line(declare: Declare, invoke: Any, tmp_path: Path) -> None:
    declare("bad-pack", "bad-one = m_bad:Mine", m_bad="raise RuntimeError('one\\n\\x1b[2Jtwo')")
    asked = ("run-baseline", "bad-one", "--manifest", tmp_path, "--split", "test", "--out", tmp_path / "run")
    said = invoke(*asked, code=2).err
    assert said.count("\n") == 1 and "\x1b" not in said


@pytest.mark.quick
@pytest.mark.parametrize("words", [["--help"], ["run-baseline", "--help"], ["train", "--help"]])
def test_help_reads_no_entry_points(words: list[str], environment: Callable[..., dict[str, str]]) -> None:
    code = (
        f"import sys; from activity_bench.cli import main; main({words}); sys.exit('importlib.metadata' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True, capture_output=True)


@pytest.mark.check
def test_the_example_installs_from_its_own_folder_and_runs(tmp_path: Path, cli: Any) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "plugin")  # building leaves nothing in the checkout
    alone = ["--no-build-isolation"] if find_spec("hatchling") else []
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *alone, "--target", tmp_path / "site"]
    subprocess.run([*map(str, pip), str(tmp_path / "plugin")], check=True)
    env = {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path / 'site'}"}

    def bench(*words: object) -> Any:
        return cli(*words, cwd=tmp_path, env=env)

    listed = bench("list", "methods").stdout
    assert "\nquery-length\t" in listed and "\nrow-match\t" in listed and "(my-methods 0.1.0)" in listed
    bench("demo", "--out", "demo")
    demo = tmp_path / "demo"
    given = ("--manifest", demo / "manifest", "--split", "test")
    bench("run-baseline", "query-length", *given, "--out", "query", "--set", "longest=0.5")
    features = ("--features", demo / "features.h5")
    bench("train", "row-match", "--manifest", demo / "manifest", *features, "--out", "trained", "--set", "steps=5",
          "--set", "batch=16", "--set", "workers=0", "--device", "cpu")  # fmt: skip
    bench("predict", "trained", *given, "--out", "rows.jsonl", "--device", "cpu")
    bench("score", "rows.jsonl", *given, "--json", "rows.json")
    bench("leaderboard", "query", "rows.json", demo / "runs" / "random", "--csv", "board.csv")
    for report in ("query/report.json", "rows.json"):
        method = json.loads((tmp_path / report).read_text(encoding="utf-8"))["method"]
        assert method["package"] == "my-methods 0.1.0"
    assert json.loads((tmp_path / "query" / "run.json").read_text())["method"]["package"] == "my-methods 0.1.0"
    with (tmp_path / "board.csv").open(encoding="utf-8") as stream:
        ranked = {row["method"]: row["rank"] for row in csv.DictReader(stream) if row["rank"]}
    assert sorted(ranked) == ["query-length", "random", "row-match"]
    assert ranked["query-length"] < ranked["random"]  # it knows how long clips are: that is worth something


@pytest.mark.check
def test_another_version_of_a_plugin_is_another_run(declare: Declare, tmp_path: Path) -> None:
    from activity_bench.errors import InputError
    from activity_bench.workflow.demo import demo
    from activity_bench.workflow.train import train

    sys.path.insert(0, str(EXAMPLE))
    try:
        declare("grown", "grown = my_methods.row_match:Method")
        demo(tmp_path / "demo")
        given = {"features": tmp_path / "demo" / "features.h5", "options": {"steps": 2, "batch": 8, "workers": 0}}
        train("grown", tmp_path / "demo" / "manifest", tmp_path / "run", **given)
        page = tmp_path / "run" / "run.json"
        assert '"package": "grown 1.2"' in page.read_text(encoding="utf-8")
        page.write_text(page.read_text(encoding="utf-8").replace("grown 1.2", "grown 1.1"), encoding="utf-8")
        with pytest.raises(InputError, match=r"method\.package: this is another run; found 'grown 1\.2'"):
            train("grown", tmp_path / "demo" / "manifest", tmp_path / "run", resume=True, **given)
    finally:
        sys.path.remove(str(EXAMPLE))

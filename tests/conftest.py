"""What every test relies on: tiers that cannot be forgotten, real data that cannot be skipped, running commands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.browser.chromium import find

ROOT = Path(__file__).resolve().parents[1]
TIERS = ("quick", "check", "nightly")
DATA_VARIABLE = "ACTIVITY_BENCH_DATA"

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side: threads that wait for threads take all day

# `ci` draws the same examples in every run: a red build is red for everybody, and a search for new faults is nightly's.
settings.register_profile("ci", derandomize=True, max_examples=50, deadline=None, database=None)
settings.register_profile(
    "nightly", max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def data_folder() -> Path | None:
    """The folder of real files, or None; a relative name is relative to the repository."""
    value = os.environ.get(DATA_VARIABLE)
    return (ROOT / value).resolve() if value else None


# ---- tiers ----------------------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A test without exactly one tier is a collection error that names it."""
    report = yield
    if report.skipped and data_folder() and _speaks_of_real(collector):
        _fail(report, f"{collector.nodeid} was skipped as a whole, though {DATA_VARIABLE} is set")
    offenders = []
    for item in (node for node in report.result or () if isinstance(node, pytest.Item)):
        found = [tier for tier in TIERS if item.get_closest_marker(tier)]
        if len(found) != 1:
            offenders.append(f"{item.nodeid} has {' and '.join(found) or 'no tier'}")
    if report.passed and offenders:
        _fail(report, "Every test carries exactly one of quick, check, nightly:\n" + "\n".join(offenders))
    return report


def _fail(report: pytest.CollectReport, message: str) -> None:
    report.outcome, report.longrepr, report.result = "failed", message, []


def _speaks_of_real(collector: pytest.Collector) -> bool:
    return isinstance(collector, pytest.Module) and "mark.real" in collector.path.read_text(encoding="utf-8")


# ---- real data ------------------------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """A variable that points nowhere would deselect nothing and fail everything: say it once instead."""
    folder = data_folder()
    if folder and not folder.is_dir():
        raise pytest.UsageError(f"{DATA_VARIABLE} is set, and {folder} is no folder")


@pytest.hookimpl(trylast=True)  # after -m and -k, so that the count is of what would have run
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without real files, tests that want them are deselected (never skipped: a skip would look like a reason)."""
    if data_folder():
        return
    real = [item for item in items if item.get_closest_marker("real")]
    if real:
        items[:] = [item for item in items if item not in real]
        config.hook.pytest_deselected(items=real)
    config.stash[DESELECTED] = len(real)


DESELECTED = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Under xdist only the workers collect: they tell the controller what they left out."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["deselected_real"] = session.config.stash.get(DESELECTED, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    node.config.stash[DESELECTED] = getattr(node, "workeroutput", {}).get("deselected_real", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line, so that a green run says what it did not look at."""
    if count := config.stash.get(DESELECTED, 0):
        terminalreporter.write_line(f"{count} tests marked `real` deselected: {DATA_VARIABLE} is not set")
    if not find():
        terminalreporter.write_line("browser tests deselected: no chromium is installed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With real files at hand, a test that wants them may not skip."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("real"):
        report.outcome = "failed"
        report.longrepr = (
            f"{item.nodeid} is marked `real` and skipped, though {DATA_VARIABLE} is set: {report.longrepr}"
        )
    return report


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real annotation files; for tests marked `real`."""
    folder = data_folder()
    assert folder, "a test that takes real_data carries @pytest.mark.real"
    return folder


# ---- running commands -----------------------------------------------------------------------------------------------


def assert_exit(result: subprocess.CompletedProcess[str], code: int) -> None:
    """The exit code, and no traceback, which no user may ever see."""
    said = f"\n--- stdout\n{result.stdout}\n--- stderr\n{result.stderr}"
    assert "Traceback" not in result.stderr, f"a traceback reached the user{said}"
    assert result.returncode == code, f"exit code {result.returncode}, expected {code}{said}"


def clean_environment(**changes: str) -> dict[str, str]:
    """This process's environment with the working tree importable, and nothing that colours or sizes the output."""
    drop = {"COLUMNS", "FORCE_COLOR", "CLICOLOR_FORCE", "PYTHONWARNINGS"}
    kept = {name: value for name, value in os.environ.items() if name not in drop}
    return kept | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "PYTHONUTF8": "1"} | changes


@pytest.fixture(scope="session")
def environment() -> Callable[..., dict[str, str]]:
    """`environment(LC_ALL="C")`: what a process that a test starts should see."""
    return clean_environment


@pytest.fixture(scope="session")
def cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`cli("score", path, code=0, cwd=…, env={…}, input=…)`: the real command in a process of its own."""

    def run(*args: object, code: int | None = 0, env: dict[str, str] | None = None, **options: Any) -> Any:
        command = [sys.executable, "-m", "activity_bench", *map(str, args)]
        options = {"timeout": 300, "stdin": None if "input" in options else subprocess.DEVNULL, **options}
        result = subprocess.run(
            command, capture_output=True, encoding="utf-8", env=clean_environment(**(env or {})), check=False, **options
        )
        if code is not None:
            assert_exit(result, code)
        return result

    return run


@dataclass(frozen=True)
class Invoked:
    """What a command run in this process left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Callable[..., Invoked]:
    """`invoke("score", path, code=2)`: the same command in this process, for tests that run it often."""
    from activity_bench.cli import main

    def run(*args: object, code: int | None = 0) -> Invoked:
        capsys.readouterr()
        returned = main([str(arg) for arg in args])
        said = capsys.readouterr()
        result = Invoked(returned, said.out, said.err)
        if code is not None:
            assert_exit(subprocess.CompletedProcess(args, result.code, result.out, result.err), code)
        return result

    return run

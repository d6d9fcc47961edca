"""How far a training is: a bar on a terminal, one line a minute elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from activity_bench.cli import train
from activity_bench.training.watch import Meter, Progress

pytestmark = pytest.mark.quick


def test_one_line_a_minute(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = 1000.0
    monkeypatch.setattr(train.time, "monotonic", lambda: clock)
    bar = train.Bar("cgbm")
    for step in range(1, 31):
        clock += 10
        bar.step(Progress(step, 100, 1.25, 0.5 if step > 10 else None, 321.4, 600.0))
    bar.end()
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "cgbm: step 6 of 100, loss 1.2500, 321 samples/s, 10 min to go",
        *(
            f"cgbm: step {step} of 100, loss 1.2500, val mIoU 0.5000, 321 samples/s, 10 min to go"
            for step in (12, 18, 24, 30)
        ),
    ]


def test_a_bar_on_a_terminal_is_taken_away_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    bar = train.Bar("cgbm")
    for step in (5, 6):  # a run that went on
        bar.step(Progress(step, 100, 1.25, 0.5, 321.4, 600.0))
    assert (bar.bar.tasks[0].completed, bar.bar.tasks[0].total) == (6, 100)
    bar.end()
    assert "loss 1.2500, val mIoU 0.5000, 321 samples/s" in sys.stderr.getvalue()
    assert bar.bar is None
    bar.end()  # nothing is left to take away


def test_means_begin_anew_with_each_row_and_time_goes_on_with_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0
    monkeypatch.setattr("activity_bench.training.watch.time.perf_counter", lambda: clock)
    meter = Meter(steps=10, batch=4, before=100.0)
    for loss in (1.0, 3.0):
        clock += 2.0
        meter.add(loss, 0.5)
    assert meter.row() == {"loss": 2.0, "gradient": 0.5, "samples_per_second": 2.0}
    clock += 1.0
    meter.add(7.0, 1.5)
    assert meter.row() == {"loss": 7.0, "gradient": 1.5, "samples_per_second": 4.0}
    assert meter.seconds == 105.0
    told = meter.progress(3, 0.25)
    assert (told.loss, told.rate, told.eta) == pytest.approx((7.0, 4 / (5 / 3), 7 * 5 / 3))
